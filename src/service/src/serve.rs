//! What the daemons have in common.

use crate::driver::DriverError;
use crate::store::StoreError;
use counterfoil_protocol::Config;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// Things that happened and were not yet taken in; then whoever has more to say waits.
pub(crate) const EVENTS_MAX: usize = 4096;

/// What every daemon is told.
#[derive(Clone, Debug)]
pub struct Common {
    /// Where it listens for datagrams.
    pub listen: SocketAddr,
    /// The folder that it keeps its store in; made if there is none.
    pub data: PathBuf,
    /// Where it records its run, if it does. The file must not be there.
    pub recording: Option<PathBuf>,
    /// Whether it stops when its standard input ends.
    pub until_stdin_closes: bool,
}

/// Why a daemon cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot listen.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Its folder cannot be made.
    #[error("cannot make the folder {path:?}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its driver cannot go on.
    #[error(transparent)]
    Driver(DriverError),
    /// The system does not play along.
    #[error("the system refused a thread, a signal or its standard output")]
    System(#[from] io::Error),
}

impl From<DriverError> for ServeError {
    fn from(error: DriverError) -> Self {
        match error {
            DriverError::Store(error) => ServeError::Store(error),
            DriverError::Recording { .. } | DriverError::Wait(_) => ServeError::Driver(error),
        }
    }
}

impl Common {
    /// The path of the store, in a folder that is there.
    pub(crate) fn store(&self) -> Result<PathBuf, ServeError> {
        let folder = |source| ServeError::Folder { path: self.data.clone(), source };
        std::fs::create_dir_all(&self.data).map_err(folder)?;
        Ok(self.data.join("store"))
    }
}

/// The rules of the protocol are all in force, and its limits and intervals are the usual ones.
pub(crate) fn config() -> Config {
    Config::default()
}

/// Tells whoever started this process that it works now, and where: one line on standard output.
pub(crate) fn say_ready(addresses: &[SocketAddr]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "ready")?;
    for address in addresses {
        write!(out, " {address}")?;
    }
    writeln!(out)?;
    out.flush()
}

/// Waits until there is an event or `deadline` has come; then takes what there is, up to `max`.
pub(crate) fn gather<E>(events: &Receiver<E>, deadline: Option<Instant>, max: usize) -> Vec<E> {
    let first = match deadline {
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            events.recv_timeout(left).ok()
        }
        None => events.recv().ok(),
    };
    first.into_iter().chain(events.try_iter()).take(max).collect()
}
