//! Puts a cluster of real processes to the test: kills them, loses their packets, parts them, and
//! judges what they promised.

pub mod cases;
mod client;
mod cluster;
mod generator;
mod judge;
mod load;
pub mod overload;
mod plan;
mod process;
pub mod soak;
mod usage;
mod views;

pub use cluster::Size;
pub use generator::Tally;
pub use judge::{Recordings, Stores};
pub use load::Requests;
pub use usage::Used;

use crate::histogram::Histogram;
use crate::relay::{Counts, Links, Way};
use client::{About, Runs};
use cluster::{Cluster, names};
use counterfoil_protocol::{ClaimId, RequestId};
use counterfoil_service::driver::DriverError;
use counterfoil_service::key::KeyError;
use counterfoil_service::remote::{Method, RemoteError, path_of};
use counterfoil_service::serve::ServeError;
use counterfoil_service::stop;
use counterfoil_service::store::StoreError;
use load::Load;
use plan::{Act, plan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long views may take to converge before that is a finding.
const CONVERGE: Duration = Duration::from_secs(20);

/// How long the client may take to settle before that is a finding.
const SETTLE: Duration = Duration::from_secs(60);

/// Requests that arrive in a second for each node, if nothing else is said: about as many as fit.
const RATE_PER_NODE: f64 = 2.5;

/// Promises that are asked for through the API in the end.
const ASKED_MAX: usize = 200;

/// From one look whether something is over to the next.
const LOOK: Duration = Duration::from_millis(20);

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub size: Size,
    /// What is between its processes. Without it each has a network namespace of its own.
    pub links: Option<Links>,
    /// How many rounds of faults.
    pub rounds: u64,
    /// After this long no other round begins.
    pub duration: Option<Duration>,
    /// Requests that arrive in a second.
    pub rate: Option<f64>,
    /// Where everything random begins.
    pub seed: u64,
    /// The folder to keep everything in, which must be empty or not there; or none, and nothing is
    /// kept.
    pub keep: Option<PathBuf>,
}

/// Why a run came to no result.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// A folder or file cannot be made or read.
    #[error("{path:?} cannot be used")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder to keep everything in has something in it.
    #[error("the folder {0:?} is not empty")]
    NotEmpty(PathBuf),
    /// A process cannot be started.
    #[error("the process {name} cannot be started")]
    Process {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A process did not say that it works.
    #[error("the process {name} did not become ready: see {log:?}")]
    NotReady {
        /// Which.
        name: String,
        /// Where it logs.
        log: PathBuf,
    },
    /// A process did not stop in order.
    #[error("the process {name} did not stop in order: see {log:?}")]
    Disorder {
        /// Which.
        name: String,
        /// Where it logs.
        log: PathBuf,
    },
    /// A namespace cannot be made or changed.
    #[error("network namespaces cannot be used here: {command} says: {why}")]
    Apart {
        /// What was tried.
        command: String,
        /// What came of it.
        why: String,
    },
    /// A scheduler refuses what it is asked.
    #[error("a scheduler refuses what it is asked: {0}")]
    Refused(String),
    /// A store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client cannot go on.
    #[error("the client cannot go on")]
    Client(#[from] DriverError),
    /// A scheduler cannot be spoken to.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The observer cannot go on.
    #[error("the observer cannot go on")]
    Observer(#[from] ServeError),
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system does not play along.
    #[error("the system refused a thread, a socket or a signal")]
    System(#[from] io::Error),
    /// It was asked to stop.
    #[error("stopped before the end")]
    Stopped,
}

/// What was done to a cluster.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Done {
    /// Schedulers killed and started again.
    pub schedulers_killed: u64,
    /// Nodes killed and started again.
    pub nodes_killed: u64,
    /// Times that the client ended without a word and came back.
    pub client_restarts: u64,
    /// Partitions one way.
    pub partitions_one_way: u64,
    /// Partitions both ways.
    pub partitions_two_way: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was run.
    pub schedulers: u32,
    /// What was run.
    pub nodes: u32,
    /// Where everything random began.
    pub seed: u64,
    /// What was between the processes; nothing if they were in namespaces of their own.
    pub links: Option<Links>,
    /// Requests that arrived in a second, on average.
    pub rate: f64,
    /// From a grant that nobody confirms to its lapse, in milliseconds.
    pub lapse_ms: u64,
    /// Rounds that were run.
    pub rounds: u64,
    /// How long it took, without the judgement.
    pub seconds: f64,
    /// What was done to the cluster.
    pub done: Done,
    /// What came of the requests.
    pub requests: Requests,
    /// What became of packets.
    pub packets: Option<Counts>,
    /// How often views were waited for to converge after a round.
    pub converged: u64,
    /// How long half of that took at most, in milliseconds.
    pub converged_p50_ms: f64,
    /// How long all of that took at most, in milliseconds.
    pub converged_max_ms: f64,
    /// From the end of the load until nothing was held that was not confirmed, in milliseconds.
    pub quiet_ms: f64,
    /// What was promised in the end and not released.
    pub promised: u64,
    /// What was wrong while it ran.
    pub problems: Vec<String>,
    /// What the stores of the nodes say.
    pub stores: Stores,
    /// What the recordings say.
    pub recordings: Recordings,
    /// Whether nothing was wrong.
    pub fine: bool,
}

/// A folder that is kept, or one that goes.
pub(crate) enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    pub(crate) fn new(keep: Option<&Path>) -> Result<Folder, FaultError> {
        let Some(path) = keep else {
            return Ok(Folder::Temporary(tempfile::Builder::new().prefix("faults-").tempdir()?));
        };
        let folder = |source| FaultError::Folder { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(folder)?;
        if std::fs::read_dir(path).map_err(folder)?.next().is_some() {
            return Err(FaultError::NotEmpty(path.to_owned()));
        }
        Ok(Folder::Kept(path.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Folder::Kept(path) => path,
            Folder::Temporary(folder) => folder.path(),
        }
    }
}

/// Whether this process was asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<AtomicBool>);

impl Asked {
    /// Listens to signals from now on.
    pub(crate) fn listen() -> Result<Asked, FaultError> {
        let asked = Asked::default();
        let set = asked.clone();
        stop::when_asked(false, move |what| match what {
            stop::Asked::Stop => set.0.store(true, Ordering::SeqCst),
            stop::Asked::Reload => {}
        })?;
        Ok(asked)
    }

    /// Waits, unless it was asked to stop.
    pub(crate) fn wait_until(&self, until: Instant) -> Result<(), FaultError> {
        loop {
            if self.0.load(Ordering::SeqCst) {
                return Err(FaultError::Stopped);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

/// Runs a cluster through rounds of faults and a quiet, and judges it.
///
/// # Errors
/// If there is no run to judge. What is wrong with it is in the report.
pub fn faults(options: &Options, progress: impl Fn(&str)) -> Result<Report, FaultError> {
    let asked = Asked::listen()?;
    let folder = Folder::new(options.keep.as_deref())?;
    let root = folder.path();
    let cluster = match options.links {
        Some(links) => Cluster::start(root, &options.size, options.seed, links)?,
        None => Cluster::start_apart(root, &options.size, options.seed)?,
    };
    let load = Load::new(options.seed);
    let client = Runs::start(About {
        remote: cluster.remote.clone(),
        store: root.join("c1.store"),
        recordings: cluster.recordings(),
        load: load.clone(),
    })?;
    let rate = options.rate.unwrap_or(RATE_PER_NODE * f64::from(options.size.nodes));
    let mut trial = Trial {
        options,
        cluster,
        client,
        load,
        rate,
        asked,
        done: Done::default(),
        converged: Histogram::default(),
        converged_max: Duration::ZERO,
        problems: Vec::new(),
    };
    trial.run(&progress)
}

struct Trial<'a> {
    options: &'a Options,
    cluster: Cluster,
    client: Runs,
    load: Load,
    rate: f64,
    asked: Asked,
    done: Done,
    converged: Histogram,
    converged_max: Duration,
    problems: Vec<String>,
}

impl Trial<'_> {
    fn run(&mut self, progress: &impl Fn(&str)) -> Result<Report, FaultError> {
        let start = Instant::now();
        self.converge(0);
        self.load.set_rate(self.rate);
        let names = names(&self.options.size);
        let mut rounds = 0;
        while rounds < self.options.rounds
            && self.options.duration.is_none_or(|longest| start.elapsed() < longest)
        {
            rounds += 1;
            self.round(&plan(self.options.seed, rounds, &names))?;
            self.converge(rounds);
            if let Some(ended) = self.cluster.ended().first() {
                self.problems.push(format!("round {rounds}: {ended} ended by itself"));
                break;
            }
            if self.client.has_ended() {
                break;
            }
            if rounds % 10 == 0 {
                let (of, wrong) = (self.options.rounds, self.problems.len());
                let counts = self.load.lock().counts;
                let Requests { arrived, confirmed, .. } = counts;
                progress(&format!(
                    "round {rounds} of {of}: {arrived} requests, {confirmed} confirmed, \
                     {wrong} problems"
                ));
            }
        }
        self.load.set_rate(0.0);
        progress("quiet");
        let quiet = self.quiet()?;
        self.judge(rounds, start.elapsed(), quiet, progress)
    }

    fn round(&mut self, acts: &[(Duration, Act)]) -> Result<(), FaultError> {
        let start = Instant::now();
        for (at, act) in acts {
            self.asked.wait_until(start + *at)?;
            match act {
                Act::Kill(name) => {
                    self.cluster.process(name).kill();
                    let scheduler = name.starts_with('s');
                    self.done.schedulers_killed += u64::from(scheduler);
                    self.done.nodes_killed += u64::from(!scheduler);
                }
                Act::Start(name) => {
                    self.cluster.process(name).start()?;
                }
                Act::Part(these, those, way) => {
                    self.cluster.net.part(these, those, *way)?;
                    match way {
                        Way::OneWay => self.done.partitions_one_way += 1,
                        Way::TwoWay => self.done.partitions_two_way += 1,
                    }
                }
                Act::Heal => self.cluster.net.heal()?,
                Act::RestartClient => {
                    self.client.restart()?;
                    self.done.client_restarts += 1;
                }
            }
        }
        Ok(())
    }

    fn converge(&mut self, round: u64) {
        match self.cluster.converge(CONVERGE) {
            Ok(time) => {
                self.converged.note(time);
                self.converged_max = self.converged_max.max(time);
            }
            Err(why) => self.problems.push(format!("round {round}: no convergence: {why}")),
        }
    }

    /// Waits until the client waits for nothing, and nothing is held that it does not know of; how
    /// long that took.
    fn quiet(&mut self) -> Result<Duration, FaultError> {
        let start = Instant::now();
        let settled =
            |trial: &Self| trial.load.lock().is_settled() && trial.client.waits_for_nothing();
        while !settled(self) && start.elapsed() < SETTLE && !self.client.has_ended() {
            self.asked.wait_until(Instant::now() + LOOK)?;
        }
        if !settled(self) {
            self.problems.push("the client did not settle".to_owned());
        }
        let promised = self.load.lock().promised().len() as u64;
        let lapsed = |trial: &Self| trial.allocations() == Some(promised);
        let patience = self.options.size.lapse * 2 + CONVERGE;
        while !lapsed(self) && start.elapsed() < SETTLE + patience {
            self.asked.wait_until(Instant::now() + LOOK)?;
        }
        if !lapsed(self) {
            let found = self.allocations();
            let problem = format!("{found:?} are allocated in the quiet, {promised} were promised");
            self.problems.push(problem);
        }
        let quiet = start.elapsed();
        if let Err(why) = self.cluster.agree(CONVERGE) {
            self.problems.push(format!("views differ in the quiet: {why}"));
        }
        self.ask_for_promises();
        Ok(quiet)
    }

    /// How many allocations there are, says the observer.
    fn allocations(&self) -> Option<u64> {
        let views = self.cluster.observer.views()?;
        let of = |known: &views::Known| known.used.get(load::COUNTED).copied().unwrap_or(0);
        Some(views.values().map(of).sum())
    }

    /// Asks through the API for some of what was promised.
    fn ask_for_promises(&mut self) {
        let promised = self.load.lock().promised();
        for claim in promised.keys().take(ASKED_MAX) {
            let path = path_of(*claim);
            match self.cluster.remote.ask_any(Method::Get, &path, None) {
                Ok((_, reply)) if reply.status == 200 && reply.body["state"] == "confirmed" => {}
                Ok((url, reply)) => {
                    let problem = format!("{url} says {} {} of {claim}", reply.status, reply.body);
                    self.problems.push(problem);
                }
                Err(error) => self.problems.push(format!("nobody says where {claim} is: {error}")),
            }
        }
    }

    fn judge(
        &mut self,
        rounds: u64,
        time: Duration,
        quiet: Duration,
        progress: &impl Fn(&str),
    ) -> Result<Report, FaultError> {
        let promised: BTreeMap<ClaimId, RequestId> = self.load.lock().promised();
        if let Err(error) = self.client.stop() {
            self.problems.push(format!("the client: {error}"));
        }
        if let Err(error) = self.cluster.stop() {
            self.problems.push(error.to_string());
        }
        self.problems.extend(self.cluster.errors());
        progress("judging stores and recordings");
        let stores = Stores::read(&self.cluster, &promised)?;
        let recordings = Recordings::read(&self.cluster.recordings())?;
        self.problems.append(&mut self.load.lock().broken);
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let fine = self.problems.is_empty() && stores.is_fine() && recordings.is_fine();
        Ok(Report {
            schedulers: self.options.size.schedulers,
            nodes: self.options.size.nodes,
            seed: self.options.seed,
            links: self.options.links,
            rate: self.rate,
            lapse_ms: u64::try_from(self.options.size.lapse.as_millis()).unwrap_or(u64::MAX),
            rounds,
            seconds: time.as_secs_f64(),
            done: self.done,
            requests: self.load.lock().counts,
            packets: self.cluster.net.counts(),
            converged: self.converged.count(),
            converged_p50_ms: millis(self.converged.quantile(0.5)),
            converged_max_ms: millis(self.converged_max),
            quiet_ms: millis(quiet),
            promised: promised.len() as u64,
            problems: std::mem::take(&mut self.problems),
            stores,
            recordings,
            fine,
        })
    }
}
