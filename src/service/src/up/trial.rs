//! A trial run: places a workload, stops everything, and judges what was recorded.

use super::UpError;
use super::children::{Child, ChildError};
use super::cluster::{Gone, Place, Processes, Size};
use super::placing::{Counts, Placing};
use super::report::Report;
use crate::driver::Driver;
use crate::monitor::Watch;
use crate::remote::{AroundClient, Asked, Remote, Work};
use crate::stop::{self, Asked as Signal};
use crate::store::Store;
use crate::workload::Row;
use counterfoil_protocol::client::Order;
use counterfoil_protocol::{Client, ClientId, Config, Limits, Machine, Outcome, RequestId};
use counterfoil_recording::audit::audit;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const CLIENT: ClientId = ClientId(1);

/// From one look at what the schedulers know to the next, before anything is placed.
const LOOK: Duration = Duration::from_millis(20);

/// What a trial run is told.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Which processes there are.
    pub size: Size,
    /// What to place.
    pub rows: Vec<Row>,
    /// Requests that are sought at once.
    pub window: usize,
    /// Whether a node and a scheduler are killed halfway, and started again.
    pub crash: bool,
    /// The folder to keep everything in, which must be empty or not there; or none, and nothing is
    /// kept.
    pub keep: Option<PathBuf>,
}

/// What happens around the client, besides what schedulers say.
enum Event {
    /// The killed processes have been started again.
    StartedAgain(Result<Processes, ChildError>),
    /// A process ended by itself.
    Gone(String),
    /// This process was asked to stop.
    Stop,
}

/// What the client is to do, and what has happened meanwhile.
struct Placed {
    placing: Placing,
    /// What came of starting the killed processes again, once it is known.
    started_again: Option<Result<Processes, ChildError>>,
    /// A process that ended by itself.
    gone: Option<String>,
    /// Whether this process was asked to stop.
    stopped: bool,
}

type Say = Sender<Asked<Event>>;

/// Places the workload and judges the run.
///
/// # Errors
/// If there is no run to judge. What is wrong with the run is in the report.
pub fn trial(trial: &Trial) -> Result<Report, UpError> {
    let temporary;
    let root = match &trial.keep {
        Some(path) => path.as_path(),
        None => {
            temporary = tempfile::Builder::new().prefix("counterfoil-").tempdir()?;
            temporary.path()
        }
    };
    let recordings = prepare(root)?;
    let counts = run(trial, root, &recordings)?;
    tracing::info!("all processes have stopped; judging what they recorded");
    let found =
        audit(&recordings).map_err(|source| UpError::Folder { path: recordings, source })?;
    Ok(Report::new(trial, counts, &found))
}

/// Makes the folder of the recordings, in the folder `root`, which must be empty.
fn prepare(root: &Path) -> Result<PathBuf, UpError> {
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
    Ok(recordings)
}

/// Starts everything, places the workload, and stops everything in order.
fn run(trial: &Trial, root: &Path, recordings: &Path) -> Result<Counts, UpError> {
    let (say, events) = channel();
    // A mutex, so that any thread can say it.
    let saying = Mutex::new(say.clone());
    let gone: Gone = Arc::new(move |actor: &str| {
        let saying = saying.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = saying.send(Asked::Else(Event::Gone(actor.to_owned())));
    });
    let place =
        Place { root: root.to_owned(), recordings: Some(recordings.to_owned()), logs: false };
    let mut processes = place.start(&trial.size, &gone)?;
    let on_stop = say.clone();
    stop::when_asked(false, move |asked| match asked {
        Signal::Stop => {
            let _ = on_stop.send(Asked::Else(Event::Stop));
        }
        Signal::Reload => {}
    })?;
    let remote = place.remote(&processes)?;
    wait_until_known(trial, &mut processes, &remote, &events)?;
    let placed = Placed {
        placing: Placing::new(trial.rows.clone(), trial.window),
        started_again: None,
        gone: None,
        stopped: false,
    };
    let channel = (say.clone(), events);
    let mut around = AroundClient::new((CLIENT, &remote), trial.window, 1, channel, placed)?;
    let kept = Store::<Client>::open(&root.join("c1"), &[CLIENT], |_| Vec::new())?;
    let recording = recordings.join("c1.1.recording");
    let mut client = Driver::start(
        kept,
        (&client_config(), Watch::default()),
        |_| Some(recording.clone()),
        &mut around,
    )?;
    take_turns(trial, &mut client, &mut around, &mut processes, &say)?;
    processes.stop()?;
    Ok(around.work.placing.counts)
}

/// Waits until every scheduler knows what every node has: before that it would take it for lost.
fn wait_until_known(
    trial: &Trial,
    processes: &mut Processes,
    remote: &Remote,
    events: &Receiver<Asked<Event>>,
) -> Result<(), UpError> {
    let knows_all = |scheduler: &Remote| {
        scheduler.nodes().is_ok_and(|(_, nodes)| {
            let heard = nodes.iter().filter(|node| !node["stamp"].is_null());
            heard.count() == trial.size.nodes as usize
        })
    };
    for scheduler in remote.each() {
        while !knows_all(&scheduler) {
            match events.recv_timeout(LOOK) {
                Ok(Asked::Else(Event::Gone(actor))) => return Err(ended(processes, &actor)),
                Ok(Asked::Else(Event::Stop)) => return Err(UpError::Stopped),
                Ok(
                    Asked::Called { .. } | Asked::Told { .. } | Asked::Else(Event::StartedAgain(_)),
                )
                | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(UpError::Stopped),
            }
        }
    }
    Ok(())
}

/// Takes turns until every request has ended and the client waits for nothing more.
fn take_turns(
    trial: &Trial,
    client: &mut Driver<Client>,
    around: &mut AroundClient<Placed>,
    processes: &mut Processes,
    say: &Say,
) -> Result<(), UpError> {
    let mut crash = if trial.crash { Crash::Due } else { Crash::Over };
    let halfway = around.work.placing.count() / 2;
    loop {
        let flow = client.turn(around)?;
        if let Some(gone) = around.work.gone.take() {
            return Err(ended(processes, &gone));
        }
        if let Some(refused) = around.refused.take() {
            return Err(refused.into());
        }
        if around.work.stopped {
            return Err(UpError::Stopped);
        }
        assert_eq!(flow, ControlFlow::Continue(()), "only these end the turns");
        if matches!(crash, Crash::Due) && around.work.placing.decided() >= halfway {
            kill_one_of_each(trial, processes, say)?;
            crash = Crash::UnderWay;
        }
        if let Some(again) = around.work.started_again.take() {
            let again = again?;
            processes.schedulers.extend(again.schedulers);
            processes.nodes.extend(again.nodes);
            crash = Crash::Over;
        }
        let over = matches!(crash, Crash::Over) && around.work.placing.is_over();
        if over && client.machine(CLIENT).timers().is_empty() {
            return Ok(());
        }
    }
}

/// The error that a process ended by itself.
fn ended(processes: &mut Processes, actor: &str) -> UpError {
    let mut all = processes.schedulers.iter_mut().chain(&mut processes.nodes);
    let child = all.find(|child| child.actor() == actor);
    let why = child.map_or_else(|| "it was just started again".to_owned(), Child::why_it_ended);
    ChildError::Gone { actor: actor.to_owned(), why }.into()
}

/// Kills a node and a scheduler, and has them started again while the client goes on.
fn kill_one_of_each(trial: &Trial, processes: &mut Processes, say: &Say) -> Result<(), UpError> {
    let take_one = |children: &mut Vec<Child>| {
        let nth = trial.size.seed % children.len() as u64;
        let mut child = children.remove(usize::try_from(nth).expect("below a length"));
        child.kill().map(|()| child)
    };
    let node = take_one(&mut processes.nodes)?;
    let scheduler = take_one(&mut processes.schedulers)?;
    let say = say.clone();
    thread::Builder::new().name("crash".to_owned()).spawn(move || {
        let again = || {
            let nodes = vec![node.start_again()?];
            Ok(Processes { nodes, schedulers: vec![scheduler.start_again()?] })
        };
        let _ = say.send(Asked::Else(Event::StartedAgain(again())));
    })?;
    Ok(())
}

impl Work for Placed {
    type Event = Event;

    fn orders(&mut self, max: usize) -> Vec<Order> {
        self.placing.orders(max)
    }

    fn ended(&mut self, request: RequestId, outcome: &Outcome) {
        self.placing.ended(request, outcome);
    }

    fn on_event(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::StartedAgain(processes) => {
                self.started_again = Some(processes);
                return ControlFlow::Continue(());
            }
            Event::Gone(actor) => self.gone = Some(actor),
            Event::Stop => self.stopped = true,
        }
        ControlFlow::Break(())
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
