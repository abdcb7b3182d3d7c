//! What each actor was given, in order, and what it said.

use super::NotJoined;
use counterfoil_protocol::{
    Actor, Client, Config, Machine, Node, Output, Scheduler, client, node, scheduler,
};
use counterfoil_recording::audit::{EXTENSION, Judged};
use counterfoil_recording::{Origin, Reader, Run, RunError, Start, Step};
use counterfoil_world::counterfoil::Process;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What all actors were given.
#[derive(Debug, Default)]
pub struct Tales {
    /// By actor.
    pub of: BTreeMap<Actor, Tale>,
    /// Recordings that could not be rebuilt to their end: how far they go is in the tale.
    pub broken: Vec<(PathBuf, RunError)>,
}

/// What one actor was given.
#[derive(Debug)]
pub struct Tale {
    /// What its first life started from.
    pub origin: Origin,
    /// What its machines were given at construction.
    pub config: Config,
    /// Starts and inputs, over all its lives, in order.
    pub events: Vec<Event>,
    /// Whether its recordings reach back to the start of its first life.
    pub is_whole: bool,
}

/// The start of a life, or a step of it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The place of its recording among those that were given.
    pub recording: PathBuf,
    /// The step in that recording; 0 is the start.
    pub step: u64,
    /// What the machine was given; `None` if it started.
    pub input: Option<AnyInput>,
    /// What it became.
    pub after: Process,
    /// What it said.
    pub outputs: Vec<Output>,
    /// Whether it changed, or said something to someone.
    pub has_effect: bool,
}

/// The input of any machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyInput {
    /// Of a node.
    Node(node::Input),
    /// Of a scheduler.
    Scheduler(scheduler::Input),
    /// Of a client.
    Client(client::Input),
}

/// A machine whose runs can be told.
trait Told: Judged {
    fn any(input: Self::Input) -> AnyInput;
    fn process(self) -> Process;
}

macro_rules! told {
    ($machine:ident) => {
        impl Told for $machine {
            fn any(input: <Self as Machine>::Input) -> AnyInput {
                AnyInput::$machine(input)
            }

            fn process(self) -> Process {
                Process::$machine(self)
            }
        }
    };
}

told!(Node);
told!(Scheduler);
told!(Client);

impl Tales {
    /// Of the recordings at `paths`, files or folders.
    ///
    /// # Errors
    /// If a folder or file cannot be read. Where a run ends early is in what is returned.
    pub fn read(paths: &[PathBuf]) -> Result<Tales, NotJoined> {
        let mut named: Vec<(String, u32, PathBuf)> =
            files(paths)?.into_iter().filter_map(named).collect();
        named.sort();
        let mut lives: BTreeMap<Actor, Vec<(PathBuf, Reader)>> = BTreeMap::new();
        let mut tales = Tales::default();
        for (_, _, path) in named {
            match Reader::open(&path) {
                Ok(reader) => {
                    let actor = reader.header().origin.actor();
                    lives.entry(actor).or_default().push((path, reader));
                }
                Err(counterfoil_recording::Error::NoHeader) => {}
                Err(error) => tales.broken.push((path, error.into())),
            }
        }
        for (actor, lives) in lives {
            match actor {
                Actor::Node(_) => tales.tell::<Node>(actor, lives),
                Actor::Scheduler(_) => tales.tell::<Scheduler>(actor, lives),
                Actor::Client(_) => tales.tell::<Client>(actor, lives),
            }
        }
        if tales.of.is_empty() && tales.broken.is_empty() {
            return Err(NotJoined::Nothing);
        }
        Ok(tales)
    }

    fn tell<R: Told>(&mut self, actor: Actor, lives: Vec<(PathBuf, Reader)>) {
        let disks: Vec<Option<R::Disk>> = lives
            .iter()
            .map(|(_, reader)| R::of(&reader.header().origin).map(|(_, disk)| disk.clone()))
            .collect();
        let header = lives[0].1.header();
        let fresh = R::of(&header.origin).is_some_and(|(_, disk)| R::is_fresh(disk));
        let mut tale = Tale {
            origin: header.origin.clone(),
            config: header.config.clone(),
            events: Vec::new(),
            is_whole: fresh && header.running.is_none(),
        };
        for (index, (path, reader)) in lives.into_iter().enumerate() {
            let next_disk = disks.get(index + 1).cloned().flatten();
            if let Err(error) = tale.go_on::<R>(&path, reader, next_disk) {
                self.broken.push((path, error));
                break;
            }
        }
        self.of.insert(actor, tale);
    }
}

impl Tale {
    fn go_on<R: Told>(
        &mut self,
        path: &Path,
        reader: Reader,
        next_disk: Option<R::Disk>,
    ) -> Result<(), RunError> {
        let mut run = Run::<R>::rebuild(reader, next_disk)?;
        if let Some(Start { machine, outputs, .. }) = run.start().cloned() {
            self.events.push(Event {
                recording: path.to_owned(),
                step: 0,
                input: None,
                after: machine.process(),
                outputs,
                has_effect: true,
            });
        }
        for step in run.by_ref() {
            let Step { number, before, input, outputs, after, .. } = step?;
            let says = |output: &Output| match output {
                Output::Persist(_)
                | Output::Send(_)
                | Output::Call(..)
                | Output::Answer(..)
                | Output::Choose(_)
                | Output::Ended(..) => true,
                Output::SetTimer { .. } | Output::Notice(_) => false,
            };
            self.events.push(Event {
                recording: path.to_owned(),
                step: number,
                input: Some(R::any(input)),
                has_effect: before != after || outputs.iter().any(says),
                after: after.process(),
                outputs,
            });
        }
        Ok(())
    }
}

/// The files at `paths`, and in the folders among them.
///
/// # Errors
/// If one cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, NotJoined> {
    let mut files = Vec::new();
    for path in paths {
        list(path, &mut files).map_err(|source| NotJoined::Read { path: path.clone(), source })?;
    }
    Ok(files)
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        std::fs::metadata(path)?;
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        list(&entry?.path(), files)?;
    }
    Ok(())
}

/// Whose recording it is by its name, and which of them.
fn named(path: PathBuf) -> Option<(String, u32, PathBuf)> {
    let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let (actor, life) = name.split_once('.')?;
    let (actor, life) = (actor.to_owned(), life.parse().ok()?);
    Some((actor, life, path))
}
