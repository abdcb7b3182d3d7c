//! A trial run: starts schedulers and nodes as processes of their own, places a workload, stops
//! them, and judges what they recorded.

mod around;
mod children;
mod placing;
mod report;

pub use children::ChildError;
pub use report::Report;

use crate::driver::{Driver, DriverError};
use crate::monitor::Watch;
use crate::recorder::Extent;
use crate::scheduler::EVENTS_MAX;
use crate::stop::{self, Asked};
use crate::store::{Store, StoreError};
use crate::workload::Row;
use around::{AroundClient, Event};
use children::{Child, Spec};
use counterfoil_placement::PolicyName;
use counterfoil_protocol::{Client, ClientId, Config, Limits, Machine, SchedulerId};
use counterfoil_recording::audit::audit;
use placing::Placing;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

const CLIENT: ClientId = ClientId(1);

/// What a trial run is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many schedulers.
    pub schedulers: u32,
    /// How many nodes.
    pub nodes: u32,
    /// What every node has, as options of the subcommand `node`.
    pub node_args: Vec<OsString>,
    /// How the schedulers pick a node.
    pub policy: PolicyName,
    /// What to place.
    pub rows: Vec<Row>,
    /// Requests that are sought at once.
    pub window: usize,
    /// Whether a node and a scheduler are killed halfway, and started again.
    pub crash: bool,
    /// Where random policies start, and who is killed.
    pub seed: u64,
    /// The folder to keep everything in, which must be empty or not there; or none, and nothing is
    /// kept.
    pub keep: Option<PathBuf>,
    /// What the processes log, as their option `--log`.
    pub log: String,
}

/// Why a trial run came to no result.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// A folder cannot be made or read.
    #[error("the folder {path:?} cannot be used")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder to keep everything in has something in it.
    #[error("the folder {0:?} is not empty")]
    NotEmpty(PathBuf),
    /// A process is not there.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The store of the client cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client cannot go on.
    #[error("the client cannot go on")]
    Client(#[from] DriverError),
    /// The system does not play along.
    #[error("the system refused a thread or a signal")]
    System(#[from] io::Error),
    /// It was asked to stop.
    #[error("stopped before the end")]
    Stopped,
}

/// Places the workload and judges the run.
///
/// # Errors
/// If there is no run to judge. What is wrong with the run is in the report.
pub fn up(options: &Options) -> Result<Report, UpError> {
    let temporary;
    let root = match &options.keep {
        Some(path) => path.as_path(),
        None => {
            temporary = tempfile::Builder::new().prefix("counterfoil-").tempdir()?;
            temporary.path()
        }
    };
    let trial = Trial::prepare(options, root)?;
    let counts = trial.run()?;
    tracing::info!("all processes have stopped; judging what they recorded");
    let recordings = trial.recordings;
    let found =
        audit(&recordings).map_err(|source| UpError::Folder { path: recordings, source })?;
    Ok(Report::new(options, counts, &found))
}

struct Trial<'a> {
    options: &'a Options,
    root: &'a Path,
    recordings: PathBuf,
}

/// The processes of a trial run.
#[derive(Default)]
struct Processes {
    nodes: Vec<Child>,
    schedulers: Vec<Child>,
    started_again: Vec<Child>,
}

impl Processes {
    fn stop(self) -> Result<(), ChildError> {
        let Processes { nodes, schedulers, started_again } = self;
        schedulers.into_iter().chain(nodes).chain(started_again).try_for_each(Child::stop)
    }
}

impl<'a> Trial<'a> {
    fn prepare(options: &'a Options, root: &'a Path) -> Result<Self, UpError> {
        let folder = |path: &Path| {
            let path = path.to_owned();
            move |source| UpError::Folder { path, source }
        };
        std::fs::create_dir_all(root).map_err(folder(root))?;
        if std::fs::read_dir(root).map_err(folder(root))?.next().is_some() {
            return Err(UpError::NotEmpty(root.to_owned()));
        }
        let recordings = root.join("recordings");
        std::fs::create_dir(&recordings).map_err(folder(&recordings))?;
        Ok(Trial { options, root, recordings })
    }

    /// Starts everything, places the workload, and stops everything in order.
    fn run(&self) -> Result<placing::Counts, UpError> {
        let (say, events) = sync_channel(EVENTS_MAX);
        let mut processes = self.start(&say)?;
        let on_stop = say.clone();
        stop::when_asked(false, move |asked| match asked {
            Asked::Stop => {
                let _ = on_stop.send(Event::Stop);
            }
            Asked::Reload => {}
        })?;
        let schedulers = (1..).map(SchedulerId).zip(&processes.schedulers);
        let schedulers = schedulers.map(|(id, child)| (id, child.addresses[1]));
        let placing = Placing::new(self.options.rows.clone(), self.options.window);
        let channel = (say.clone(), events);
        let mut around = AroundClient::new(CLIENT, schedulers, channel, placing);
        let store = self.root.join("c1");
        let kept = Store::<Client>::open(&store, &[CLIENT], |_| Vec::new())?;
        let recording = self.recordings.join("c1.1.recording");
        let mut client = Driver::start(
            kept,
            (&client_config(), Watch::default()),
            |_| Some((recording.clone(), Extent::default())),
            &mut around,
        )?;
        self.place(&mut client, &mut around, &mut processes, &say)?;
        processes.stop()?;
        Ok(around.placing.counts)
    }

    /// Takes turns until every request has ended and the client waits for nothing more.
    fn place(
        &self,
        client: &mut Driver<Client>,
        around: &mut AroundClient,
        processes: &mut Processes,
        say: &SyncSender<Event>,
    ) -> Result<(), UpError> {
        let mut crash = if self.options.crash { Crash::Due } else { Crash::Over };
        let halfway = around.placing.count() / 2;
        loop {
            let flow = client.turn(around)?;
            if let Some(gone) = around.gone.take() {
                return Err(ChildError::Gone(gone).into());
            }
            if around.stopped {
                return Err(UpError::Stopped);
            }
            assert_eq!(flow, ControlFlow::Continue(()), "only these two end the turns");
            if matches!(crash, Crash::Due) && around.placing.decided() >= halfway {
                self.crash(processes, say)?;
                crash = Crash::UnderWay;
            }
            if let Some(again) = around.started_again.take() {
                processes.started_again.extend(again?);
                crash = Crash::Over;
            }
            let over = matches!(crash, Crash::Over) && around.placing.is_over();
            if over && client.machine(CLIENT).timers().is_empty() {
                return Ok(());
            }
        }
    }

    fn start(&self, say: &SyncSender<Event>) -> Result<Processes, UpError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut processes = Processes::default();
        let mut peers: Vec<OsString> = Vec::new();
        for id in 1..=self.options.schedulers {
            let mut args = vec![
                "--policy".into(),
                self.options.policy.as_str().into(),
                "--seed".into(),
                self.options.seed.wrapping_add(u64::from(id)).to_string().into(),
            ];
            args.extend(peers.iter().cloned());
            let child = self.spec("scheduler", "s", id, args, say).start(1, &[any, any])?;
            peers.extend(["--peer".into(), child.addresses[0].to_string().into()]);
            processes.schedulers.push(child);
        }
        for id in 1..=self.options.nodes {
            let args = self.options.node_args.iter().chain(&peers).cloned().collect();
            processes.nodes.push(self.spec("node", "n", id, args, say).start(1, &[any])?);
        }
        Ok(processes)
    }

    fn spec(
        &self,
        subcommand: &str,
        letter: &str,
        id: u32,
        more: Vec<OsString>,
        say: &SyncSender<Event>,
    ) -> Spec {
        let actor = format!("{letter}{id}");
        let mut args: Vec<OsString> = vec![subcommand.into(), "--id".into(), id.to_string().into()];
        args.extend(["--log".into(), self.options.log.clone().into()]);
        args.extend(["--data".into(), self.root.join(&actor).into()]);
        args.extend(more);
        let say = say.clone();
        let gone = Arc::new(move |actor: &str| {
            let _ = say.send(Event::Gone(actor.to_owned()));
        });
        Spec { actor, args, recordings: self.recordings.clone(), gone }
    }

    /// Kills a node and a scheduler, and has them started again while the client goes on.
    fn crash(&self, processes: &mut Processes, say: &SyncSender<Event>) -> Result<(), UpError> {
        let mut victims = Vec::new();
        for children in [&mut processes.nodes, &mut processes.schedulers] {
            let nth = self.options.seed % children.len() as u64;
            let mut child = children.remove(usize::try_from(nth).expect("below a length"));
            child.kill()?;
            victims.push(child);
        }
        let say = say.clone();
        thread::Builder::new().name("crash".to_owned()).spawn(move || {
            let again = victims.into_iter().map(Child::start_again).collect();
            let _ = say.send(Event::StartedAgain(again));
        })?;
        Ok(())
    }
}

/// How far the crash of a trial run is.
enum Crash {
    Due,
    UnderWay,
    Over,
}

/// The usual limits, but for one: a client that waits for a crashed process makes attempts until it
/// is there again.
fn client_config() -> Config {
    let limits = Limits { attempts_max: u32::MAX, ..Limits::default() };
    Config { limits, ..Config::default() }
}
