//! Runs of `counterfoil place` on disk: what one has chosen outlives a crash of it.
//!
//! Each run is a client of its own, with a folder of its own: a plan, and the store of the client's
//! machine, which writes its choice down before it confirms it. The folder goes when the run ends.
//! One that stays is of a run that did not, and `counterfoil resume` goes on with it.

use super::super::Failure;
use super::batch::{Batch, Ended};
use crate::driver::{Driver, DriverError};
use crate::monitor::Watch;
use crate::remote::{AroundClient, Asked, Remote};
use crate::stop;
use crate::store::{Fault, Store, StoreError};
use counterfoil_protocol::client::{Phase, Request};
use counterfoil_protocol::{Client, ClientId, Config, Demand, Limits, Machine, RequestId};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

/// Clients below this number make up their own; above, schedulers do.
const CLIENTS_MAX: u32 = 1 << 31;

/// Requests that are sought at once.
const WINDOW: usize = 16;

/// A run that has not ended.
#[derive(Debug)]
pub(super) struct Run {
    folder: PathBuf,
    plan: Plan,
}

/// What a run must know to go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    client: u32,
    instances: u32,
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Its folder cannot be used.
    #[error("the folder {path:?} cannot be used")]
    Folder { path: PathBuf, source: io::Error },
    /// Its store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot go on.
    #[error("it cannot go on")]
    Driver(#[from] DriverError),
    /// Another process goes on with it.
    #[error("it is not finished, and still running")]
    InUse,
    /// It took too long, and nothing is placed.
    #[error("not placed: no scheduler found a place in time; --timeout says how long to try")]
    TimedOut,
    /// Too many attempts failed.
    #[error("not placed: too many attempts failed")]
    Exhausted,
    /// It took too long, and is not finished.
    #[error("not finished: a node does not answer; `counterfoil resume` goes on")]
    Stuck,
    /// The user interrupted it.
    #[error("interrupted; if something was chosen, `counterfoil resume` goes on")]
    Interrupted,
    /// The system does not play along.
    #[error("the system refused a thread or a signal")]
    System(#[source] io::Error),
    /// The system has no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

impl Run {
    /// A new run, in a folder of its own in `folder`.
    pub(super) fn new(folder: &Path, instances: u32) -> Result<Run, RunError> {
        let client = u32::try_from(random()? % u64::from(CLIENTS_MAX)).expect("below its limit");
        let path = folder.join(format!("{:016x}", random()?));
        let plan = Plan { client, instances };
        let failed = |source| RunError::Folder { path: path.clone(), source };
        let write = || {
            std::fs::create_dir_all(&path)?;
            let mut file = std::fs::File::create(path.join("plan.json"))?;
            file.write_all(&serde_json::to_vec(&plan)?)?;
            file.sync_all()
        };
        write().map_err(failed)?;
        Ok(Run { folder: path, plan })
    }

    /// The runs in `folder` that have not ended: some may still be running.
    pub(super) fn unfinished(folder: &Path) -> Result<Vec<Run>, RunError> {
        let failed = |source| RunError::Folder { path: folder.to_owned(), source };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut runs = Vec::new();
        for entry in entries {
            let folder = entry.map_err(failed)?.path();
            let plan = std::fs::read(folder.join("plan.json")).ok();
            // A plan that was not written to its end is of a run that placed nothing.
            let plan = plan.and_then(|plan| serde_json::from_slice(&plan).ok());
            runs.extend(plan.map(|plan| Run { folder, plan }));
        }
        runs.sort_by(|one, other| one.folder.cmp(&other.folder));
        Ok(runs)
    }

    /// Places, confirms, and forgets the run.
    pub(super) fn place(
        self,
        remote: &Remote,
        demand: &Demand,
        timeout: Duration,
    ) -> Result<Ended, Failure> {
        let requests: Result<Vec<RequestId>, RunError> =
            (0..self.plan.instances).map(|_| random().map(RequestId)).collect();
        let batch = Batch::new(requests?, demand, timeout);
        Ok(self.take_turns(remote, batch, |_, _| true)?.expect("there are requests"))
    }

    /// Goes on with what was chosen, or releases it, and forgets the run; `None` if nothing was.
    pub(super) fn resume(
        self,
        remote: &Remote,
        release: bool,
        timeout: Duration,
    ) -> Result<Option<Ended>, Failure> {
        let wanted = usize::try_from(self.plan.instances).expect("instances fit a usize");
        let go_on = |batch: &mut Batch, client: &Client| {
            batch.go_on(client, wanted, release);
            !client.requests.is_empty()
        };
        self.take_turns(remote, Batch::nothing(timeout), go_on)
    }

    /// Runs the client until the batch has ended, if `begin` says that there is something to do.
    fn take_turns(
        self,
        remote: &Remote,
        batch: Batch,
        begin: impl FnOnce(&mut Batch, &Client) -> bool,
    ) -> Result<Option<Ended>, Failure> {
        let client = ClientId(self.plan.client);
        let store = self.folder.join("store");
        let kept = Store::<Client>::open(&store, &[client], |_| Vec::new()).map_err(in_use)?;
        let (say, events) = channel();
        let interrupt = say.clone();
        // It fails only if the run is over.
        let on_signal = move |_| interrupt.send(Asked::Else(())).unwrap_or_default();
        stop::when_asked(false, on_signal).map_err(RunError::System)?;
        let mut around = AroundClient::new((client, remote), WINDOW, now(), (say, events), batch)
            .map_err(RunError::System)?;
        let mut driver = Driver::start(kept, (&config(), Watch::default()), |_| None, &mut around)
            .map_err(RunError::Driver)?;
        if !begin(&mut around.work, driver.machine(client)) {
            self.forget();
            return Ok(None);
        }
        loop {
            let flow = driver.turn(&mut around).map_err(RunError::Driver)?;
            let settled = driver.machine(client).timers().is_empty();
            if let Some(ended) = around.work.ended().filter(|_| settled) {
                self.forget();
                return Ok(Some(ended));
            }
            let chosen = driver.machine(client).requests.values().any(has_chosen);
            if let Some(refused) = around.refused.take() {
                if !chosen {
                    self.forget();
                }
                return Err(refused.into());
            }
            if flow.is_break() {
                if !chosen {
                    self.forget();
                }
                return Err(RunError::Interrupted.into());
            }
            if around.work.is_stuck() {
                return Err(RunError::Stuck.into());
            }
        }
    }

    fn forget(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = ?self.folder, %error, "cannot be removed");
        }
    }
}

/// The usual limits, but for one: attempts are made until it takes too long.
fn config() -> Config {
    let limits = Limits { attempts_max: u32::MAX, ..Limits::default() };
    Config { limits, ..Config::default() }
}

fn has_chosen(request: &Request) -> bool {
    match request.phase {
        Phase::Confirming(_) | Phase::Confirmed(_) | Phase::Releasing(_) => true,
        // What is only held lapses.
        Phase::Seeking | Phase::Held(_) | Phase::Ended(_) => false,
    }
}

fn in_use(error: StoreError) -> RunError {
    match error.fault() {
        Fault::Database(redb::Error::DatabaseAlreadyOpen) => RunError::InUse,
        Fault::Database(_) | Fault::Unreadable(_) | Fault::Format(_) | Fault::OtherActor { .. } => {
            RunError::Store(error)
        }
    }
}

fn random() -> Result<u64, RunError> {
    getrandom::u64().map_err(|_| RunError::Randomness)
}

/// Milliseconds since 1970: above the connections of every earlier life.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
