//! The client of a run: the protocol's own machine, on a thread, with a store that outlives it.

use super::FaultError;
use super::load::Load;
use counterfoil_protocol::{Client, ClientId, Config, Intervals, Limits, Machine};
use counterfoil_service::driver::Driver;
use counterfoil_service::monitor::Watch;
use counterfoil_service::recorder::Extent;
use counterfoil_service::remote::{AroundClient, Remote};
use counterfoil_service::store::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) const CLIENT: ClientId = ClientId(1);

/// Threads that speak for the client, at most.
const WINDOW: usize = 48;

/// More connections than one life of the client makes.
const CONNECTIONS: u64 = 1 << 32;

/// What a client needs in each of its lives.
#[derive(Clone)]
pub(crate) struct About {
    pub(crate) remote: Remote,
    pub(crate) store: PathBuf,
    pub(crate) recordings: PathBuf,
    pub(crate) load: Load,
}

/// A client that runs.
pub(crate) struct Runs {
    about: About,
    lives: u32,
    ends: Arc<AtomicBool>,
    /// What the machine still waits for.
    waits_for: Arc<AtomicU32>,
    running: Option<JoinHandle<Result<(), FaultError>>>,
}

impl Runs {
    /// Starts its first life.
    pub(crate) fn start(about: About) -> Result<Runs, FaultError> {
        let ends = Arc::new(AtomicBool::new(false));
        let waits_for = Arc::new(AtomicU32::new(0));
        let mut runs = Runs { about, lives: 0, ends, waits_for, running: None };
        runs.next_life()?;
        Ok(runs)
    }

    fn next_life(&mut self) -> Result<(), FaultError> {
        self.lives += 1;
        self.ends = Arc::new(AtomicBool::new(false));
        let (about, life, ends) = (self.about.clone(), self.lives, Arc::clone(&self.ends));
        let waits_for = Arc::clone(&self.waits_for);
        let running = std::thread::Builder::new().name("client".to_owned());
        self.running = Some(running.spawn(move || live(&about, life, &ends, &waits_for))?);
        Ok(())
    }

    /// Ends it between two of its turns, without a word; what is on its way stays on its way.
    fn end(&mut self) -> Result<(), FaultError> {
        self.ends.store(true, Ordering::SeqCst);
        match self.running.take() {
            Some(running) => running.join().expect("the client does not panic"),
            None => Ok(()),
        }
    }

    /// Ends it, and starts the next life from its store.
    pub(crate) fn restart(&mut self) -> Result<(), FaultError> {
        self.end()?;
        self.next_life()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether the machine waits for nothing more.
    pub(crate) fn waits_for_nothing(&self) -> bool {
        self.waits_for.load(Ordering::SeqCst) == 0
    }

    /// Ends it for good.
    pub(crate) fn stop(&mut self) -> Result<(), FaultError> {
        self.end()
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        // What it says was asked for before, if anyone wanted to know.
        let _ = self.end();
    }
}

/// A client waits for a killed scheduler less patiently than usual, so that it often asks twice.
fn config() -> Config {
    let intervals = Intervals { impatience: Duration::from_secs(1), ..Intervals::default() };
    let limits = Limits { attempts_max: 16, ..Limits::default() };
    Config { intervals, limits, ..Config::default() }
}

fn live(
    about: &About,
    life: u32,
    ends: &AtomicBool,
    waits_for: &AtomicU32,
) -> Result<(), FaultError> {
    let first = CONNECTIONS * u64::from(life);
    let remote = (CLIENT, &about.remote);
    let mut around = AroundClient::new(remote, WINDOW, first, channel(), about.load.clone())?;
    let kept = Store::<Client>::open(&about.store, &[CLIENT], |_| Vec::new())?;
    let recording = about.recordings.join(format!("{CLIENT}.{life}.recording"));
    let mut client = Driver::start(
        kept,
        (&config(), Watch::default()),
        |_| Some((recording.clone(), Extent::default())),
        &mut around,
    )?;
    if life > 1 {
        about.load.lock().client_restarted(client.machine(CLIENT));
    }
    while !ends.load(Ordering::SeqCst) {
        let flow = client.turn(&mut around)?;
        let timers = client.machine(CLIENT).timers().len();
        waits_for.store(u32::try_from(timers).unwrap_or(u32::MAX), Ordering::SeqCst);
        if let Some(refused) = around.refused.take() {
            return Err(FaultError::Refused(refused.to_string()));
        }
        if flow.is_break() {
            return Ok(());
        }
    }
    Ok(())
}
