//! The setting of processes: each scheduler is one, and all nodes are one, that speak over UDP on
//! loopback.
//!
//! Each is this program again. It reads its orders from standard input, a line each: what it is, where
//! the others listen, `go`, `stop`; and says on standard output where it listens, that it is ready, and
//! what it counted.

use super::conductor::Conductor;
use super::drive::{Control, run_nodes, run_scheduler};
use super::spec::Spec;
use super::tally::{Tally, Witness};
use super::transport::Socket;
use super::{CompareError, cell::Cell, model, parts, service};
use crate::baselines::Design;
use crate::baselines::database::Place;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The hidden command that makes this program a part of a comparison.
pub const COMMAND: &str = "part";

/// How long a part may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// From one look at how far a part is to the next.
const LOOK: Duration = Duration::from_millis(2);

/// What a part is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    /// What is measured.
    spec: Spec,
    /// The number of the scheduler; 0 for all nodes.
    scheduler: u32,
    /// The database, which is filled.
    database: String,
    /// A folder for files.
    folder: PathBuf,
}

/// What a part says.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Said {
    /// It listens here.
    Listens(SocketAddr),
    /// It knows all nodes.
    Ready,
    /// What it counted.
    Scheduler(Box<Tally>),
    /// What it counted.
    Nodes(Box<Witness>),
}

/// A process of the comparison.
struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<Said>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It stops when its input ends, unless it hangs.
        drop(self.input.take());
        let until = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

impl Process {
    fn start(order: &Order) -> Result<Process, CompareError> {
        let name = match order.scheduler {
            0 => "the process of the nodes".to_owned(),
            id => format!("the process of scheduler {id}"),
        };
        let mut child = Command::new(std::env::current_exe()?)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().expect("it is piped");
        let input = child.stdin.take();
        let (tell, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(what) = serde_json::from_str(&line)
                    && tell.send(what).is_err()
                {
                    return;
                }
            }
        });
        let mut process = Process { name, child, input, said };
        process.tell(&serde_json::to_string(order).expect("an order has a form"));
        Ok(process)
    }

    /// Tells it something. If it is gone, that shows when it is heard.
    fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}").and_then(|()| input.flush());
        }
    }

    fn hear(&mut self, wait: Duration) -> Result<Option<Said>, CompareError> {
        match self.said.recv_timeout(wait) {
            Ok(said) => Ok(Some(said)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.failed("it stopped")),
        }
    }

    fn failed(&self, said: &str) -> CompareError {
        CompareError::Process { part: self.name.clone(), said: said.to_owned() }
    }

    fn listens(&mut self) -> Result<SocketAddr, CompareError> {
        match self.hear(PATIENCE)? {
            Some(Said::Listens(address)) => Ok(address),
            Some(_) | None => Err(self.failed("it does not say where it listens")),
        }
    }
}

/// Measures a cell; the rows of its designs.
///
/// # Errors
/// If a process does not start, or fails.
pub fn measure(
    spec: &Spec,
    folder: &Path,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Cell>, CompareError> {
    let scene = spec.scene()?;
    let given = &scene.given;
    let place = spec.place().within(folder);
    let mut owned = spec.has_database().then(|| parts::database(given, &place)).transpose()?;
    service::prepare(spec, given, folder)?;
    let order = |scheduler| Order {
        spec: spec.clone(),
        scheduler,
        database: place.to_string(),
        folder: folder.to_owned(),
    };
    let has_nodes = spec.designs.iter().any(|design| *design != Design::Placement);
    let mut nodes = has_nodes.then(|| Process::start(&order(0))).transpose()?;
    let mut schedulers = (1..=spec.schedulers())
        .map(|id| Process::start(&order(id)))
        .collect::<Result<Vec<_>, _>>()?;
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let mut addresses = vec![nodes.as_mut().map_or(Ok(nowhere), Process::listens)?];
    for scheduler in &mut schedulers {
        addresses.push(scheduler.listens()?);
    }
    let addresses = serde_json::to_string(&addresses).expect("addresses have a form");
    nodes.iter_mut().chain(&mut schedulers).for_each(|process| process.tell(&addresses));
    let tallies = run(spec, &mut nodes, &mut schedulers, interrupted)?;
    let mut witness = Witness::default();
    if let Some(nodes) = &mut nodes {
        nodes.tell("stop");
        witness = match nodes.hear(PATIENCE)? {
            Some(Said::Nodes(witness)) => *witness,
            Some(_) | None => return Err(nodes.failed("it does not say what it counted")),
        };
    } else if let Some(database) = &mut owned {
        model::look(&mut **database, given, &mut witness)?;
    }
    Ok(model::rows(spec, &scene, &tallies, &witness))
}

/// Lets all begin when the schedulers are ready, and waits until they are done.
fn run(
    spec: &Spec,
    nodes: &mut Option<Process>,
    schedulers: &mut [Process],
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Tally>, CompareError> {
    for scheduler in &mut *schedulers {
        match scheduler.hear(PATIENCE)? {
            Some(Said::Ready) => {}
            Some(_) | None => return Err(scheduler.failed("it does not come to know all nodes")),
        }
    }
    nodes.iter_mut().chain(&mut *schedulers).for_each(|process| process.tell("go"));
    let until = Instant::now() + spec.limit;
    let mut stopped = None;
    let mut tallies: Vec<Option<Tally>> = vec![None; schedulers.len()];
    while tallies.iter().any(Option::is_none) {
        for (scheduler, tally) in schedulers.iter_mut().zip(&mut tallies) {
            if tally.is_some() {
                continue;
            }
            if let Some(Said::Scheduler(counted)) = scheduler.hear(LOOK)? {
                *tally = Some(*counted);
            }
        }
        if stopped.is_none() && (Instant::now() > until || interrupted()) {
            schedulers.iter_mut().for_each(|process| process.tell("stop"));
            stopped = Some(Instant::now());
        }
        if stopped.is_some_and(|at| at.elapsed() > PATIENCE) {
            return Err(schedulers[0].failed("it does not stop"));
        }
    }
    Ok(tallies.into_iter().flatten().collect())
}

/// Is a part: does what is ordered on standard input.
pub fn serve() -> ExitCode {
    match obey() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = format!("bench: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                message.push_str(&format!(": {error}"));
                cause = error.source();
            }
            eprintln!("{message}");
            ExitCode::from(3)
        }
    }
}

fn say(said: &Said) {
    println!("{}", serde_json::to_string(said).expect("it has a form"));
}

/// A line of standard input, as what is expected next.
fn line<T: for<'de> Deserialize<'de>>() -> Result<T, Box<dyn std::error::Error>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Passes `go` and `stop` on; the end of standard input is a stop.
fn listen(control: &Arc<Control>) {
    let control = Arc::clone(control);
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            match line.as_str() {
                "go" => control.go(),
                _ => break,
            }
        }
        control.stop();
    });
}

/// Says that the scheduler is ready, once it is.
fn say_when_ready(control: &Arc<Control>) {
    let control = Arc::clone(control);
    thread::spawn(move || {
        while control.ready() == 0 {
            thread::sleep(LOOK);
        }
        say(&Said::Ready);
    });
}

fn obey() -> Result<(), Box<dyn std::error::Error>> {
    let order: Order = line()?;
    let Order { spec, scheduler: id, database, folder } = &order;
    let control = Arc::new(Control::default());
    let design = spec.designs[(*id as usize).saturating_sub(1)];
    if design == Design::Counterfoil {
        let meet = |address| -> Result<Vec<SocketAddr>, Box<dyn std::error::Error>> {
            say(&Said::Listens(address));
            let parts: Vec<SocketAddr> = line()?;
            listen(&control);
            say_when_ready(&control);
            Ok(parts)
        };
        let said = if *id == 0 {
            Said::Nodes(service::nodes(spec, folder, &control, meet)?.into())
        } else {
            Said::Scheduler(service::scheduler(spec, *id, folder, &control, meet)?.into())
        };
        say(&said);
        return Ok(());
    }
    let mut socket = Socket::bind()?;
    say(&Said::Listens(socket.address()?));
    socket.meet(line()?);
    listen(&control);
    let (place, scene) = (database.parse::<Place>()?, spec.scene()?);
    if *id == 0 {
        let mut part =
            parts::nodes(spec, &scene.given, &place)?.ok_or("this design has no nodes")?;
        let about = (&scene.given[..], spec.schedulers());
        say(&Said::Nodes(run_nodes(&mut *part, &mut socket, about, &control)?.into()));
    } else {
        let share = scene.share(*id, spec.schedulers());
        let conductor = Conductor::new(share, spec.window, spec.attempts_max);
        let mut part = parts::scheduler(spec, *id, scene.given.len() as u32, &place)?;
        say_when_ready(&control);
        say(&Said::Scheduler(run_scheduler(&mut *part, &mut socket, conductor, &control)?.into()));
    }
    Ok(())
}
