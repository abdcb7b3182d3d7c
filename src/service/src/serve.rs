//! What the daemons have in common.

use crate::api::ApiError;
use crate::driver::DriverError;
use crate::key::{KeyError, Keys};
use crate::meters::Meters;
use crate::monitor::Watch;
use crate::post::Post;
use crate::recorder::{Extent, next_in};
use crate::store::StoreError;
use counterfoil_protocol::{Actor, Config, Incarnation, SchedulerId};
use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// From one try to find the address of a peer by its name to the next.
const RESOLVE: Duration = Duration::from_secs(10);

/// What every daemon is told.
#[derive(Clone, Debug)]
pub struct Common {
    /// Where it listens for packets.
    pub listen: SocketAddr,
    /// Where others are told that it listens, if that is another address.
    pub advertise: Option<SocketAddr>,
    /// Processes of the cluster, as HOST:PORT: any of them, for each knows others.
    pub peers: Vec<String>,
    /// Where the keys of the cluster are. Without keys it listens on loopback only.
    pub key_file: Option<PathBuf>,
    /// The folder that it keeps its store in; made if there is none. `None` keeps nothing: for
    /// measurements.
    pub data: Option<PathBuf>,
    /// Where it records its run, if it does: a file, which must not be there; or a folder, which is
    /// there, and then the file has the name of the actor and the next number.
    pub recording: Option<PathBuf>,
    /// How much it records.
    pub extent: Extent,
    /// Whether it stops when its standard input ends.
    pub until_stdin_closes: bool,
    /// Limits and intervals. The rules are all in force.
    pub config: Config,
    /// How closely it watches itself.
    pub watch: Watch,
}

/// Why a daemon cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its keys cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It would listen to strangers.
    #[error(
        "without a key it listens on loopback only, not at {0}: make a key with `counterfoil key`, \
         and name its file with --key-file"
    )]
    Keyless(SocketAddr),
    /// Others could not find it.
    #[error("it listens at {0}, where others cannot find it: say where with --advertise")]
    Unspecified(SocketAddr),
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
    /// What it has would not fit a packet.
    #[error("{0}")]
    TooMuch(String),
    /// Another process is this scheduler, too.
    #[error(
        "another process is {actor}, too, in life {incarnation}, at {address}: give one of them \
         another --id, and a folder of its own; with --id auto, empty the folder of one of them"
    )]
    Twin {
        /// Who it is.
        actor: Actor,
        /// In which life the other is.
        incarnation: Incarnation,
        /// Where the other listens.
        address: SocketAddr,
    },
    /// A later life of this scheduler is at work.
    #[error(
        "a later life of {0} is at work, so this one is over: if it was not started in the place of \
         this one, two processes have this number; give one of them another --id, and a folder of \
         its own"
    )]
    Superseded(SchedulerId),
    /// Its API cannot start.
    #[error(transparent)]
    Api(#[from] ApiError),
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
            DriverError::Recording(_) | DriverError::Violated(_) | DriverError::Wait(_) => {
                ServeError::Driver(error)
            }
        }
    }
}

impl Common {
    /// The path of the store, in a folder that is there; `None` if nothing is kept.
    pub(crate) fn store(&self) -> Result<Option<PathBuf>, ServeError> {
        let Some(data) = &self.data else { return Ok(None) };
        let folder = |source| ServeError::Folder { path: data.clone(), source };
        std::fs::create_dir_all(data).map_err(folder)?;
        Ok(Some(data.join("store")))
    }

    /// The keys, if there are any.
    pub(crate) fn keys(&self) -> Result<Option<Keys>, KeyError> {
        self.key_file.as_deref().map(Keys::read).transpose()
    }

    /// Whether what is said about addresses and keys goes together.
    ///
    /// # Errors
    /// If it does not, or the keys cannot be used.
    pub fn check(&self) -> Result<(), ServeError> {
        if self.keys()?.is_none() && !self.listen.ip().is_loopback() {
            return Err(ServeError::Keyless(self.listen));
        }
        if self.listen.ip().is_unspecified() && self.advertise.is_none() {
            return Err(ServeError::Unspecified(self.listen));
        }
        Ok(())
    }

    /// Where the run of `actor` is recorded, and how much of it.
    pub(crate) fn recording(&self, actor: impl fmt::Display) -> Option<(PathBuf, Extent)> {
        let path = self.recording.as_deref()?;
        let file = if path.is_dir() { next_in(path, &actor.to_string()) } else { path.to_owned() };
        Some((file, self.extent))
    }

    /// The socket.
    pub(crate) fn post(&self, meters: &Arc<Meters>) -> Result<Post, ServeError> {
        self.check()?;
        let listen = |source| ServeError::Listen { address: self.listen, source };
        Post::listen(self.listen, self.advertise, self.keys()?, Arc::clone(meters)).map_err(listen)
    }

    /// Finds the addresses of the peers, on a thread of its own, for names may take long to be
    /// found, and may come to mean something else: `found` is given those of each, again and again,
    /// until it is false.
    pub(crate) fn resolve(
        &self,
        mut found: impl FnMut(Vec<SocketAddr>) -> bool + Send + 'static,
    ) -> io::Result<()> {
        let peers = self.peers.clone();
        let named = |peer: &String| peer.parse::<SocketAddr>().is_err();
        let again = peers.iter().any(named);
        thread::Builder::new().name("resolve".to_owned()).spawn(move || {
            loop {
                for peer in &peers {
                    match peer.to_socket_addrs() {
                        Ok(addresses) => {
                            if !found(addresses.collect()) {
                                return;
                            }
                        }
                        Err(error) => tracing::warn!(peer, %error, "the peer has no address"),
                    }
                }
                if !again {
                    return;
                }
                thread::sleep(RESOLVE);
            }
        })?;
        Ok(())
    }
}

/// Tells whoever started this process that it works now, and where: one line on standard output, and
/// systemd that it does.
pub(crate) fn say_ready(addresses: &[SocketAddr]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "ready")?;
    for address in addresses {
        write!(out, " {address}")?;
    }
    writeln!(out)?;
    out.flush()?;
    // Without systemd this does nothing.
    sd_notify::notify(&[sd_notify::NotifyState::Ready])
}

/// The addresses in the line with which a daemon says that it works; `None` if that is no such line,
/// or not all of it.
pub fn said_ready(line: &str) -> Option<Vec<SocketAddr>> {
    let addresses = line.strip_suffix('\n')?.strip_prefix("ready ")?;
    addresses.split(' ').map(|address| address.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_is_ready() {
        let addresses = said_ready("ready 127.0.0.1:1 127.0.0.1:2\n").unwrap();
        assert_eq!(addresses.iter().map(SocketAddr::port).collect::<Vec<_>>(), [1, 2]);
        for bad in ["", "ready", "ready 127.0.0.1:1", "ready x\n", "error: no\n"] {
            assert_eq!(said_ready(bad), None, "{bad:?}");
        }
    }
}
