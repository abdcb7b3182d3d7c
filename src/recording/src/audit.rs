//! Judges recordings together: rebuilds every run and checks every property at every step.
//!
//! The runs are rebuilt one after the other, not in the order in which their steps happened: first
//! those of the nodes, by life, which say what truly happened; then those of the schedulers and
//! clients, which are judged by it.

use crate::reader::{Error, Reader};
use crate::role::Role;
use crate::run::{Run, RunError, Start, Step};
use counterfoil_properties::{Check, History, Process, Safety, Violation};
use counterfoil_protocol::{Actor, Client, Machine, Node, NodeId, Notice, Output, Scheduler};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How the name of a recording ends. Before it stand the actor and the number of its life, counted
/// from 1 by whoever started the processes: `n1.2.recording`.
pub const EXTENSION: &str = "recording";

/// Findings that are kept; more are counted.
const FINDINGS_MAX: usize = 100;

/// What came of judging recordings.
#[derive(Debug, Default)]
pub struct Audit {
    /// How often the premise of each property was true, for those that were judged at all.
    pub judged: BTreeMap<Safety, u64>,
    /// How often a property was violated.
    pub violations: u64,
    /// How many runs could not be rebuilt.
    pub not_rebuilt: u64,
    /// What was found, up to a hundred, in the order in which it was.
    pub findings: Vec<Finding>,
    /// How often every decision went every way.
    pub notices: BTreeMap<Notice, u64>,
    /// Steps that were rebuilt and judged, starts included.
    pub steps: u64,
    /// Runs that were rebuilt.
    pub runs: u64,
    /// Steps that had no effect, because their process was killed before it committed them.
    pub steps_without_effect: u64,
    /// Checks that were left out, because what the node did at the time was not recorded.
    pub left_out: u64,
}

/// Something wrong, and where it stands.
#[derive(Debug)]
pub struct Finding {
    /// In which recording.
    pub recording: PathBuf,
    /// What.
    pub what: Wrong,
}

/// Something wrong.
#[derive(Debug)]
pub enum Wrong {
    /// A property is violated.
    Violated {
        /// After which step; 0 is the start.
        step: u64,
        /// Which property.
        property: Safety,
        /// How.
        violation: Violation,
    },
    /// The run cannot be rebuilt.
    NotRebuilt(RunError),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recording = self.recording.display();
        match &self.what {
            Wrong::Violated { step, property, violation } => {
                let clause = &violation.clause;
                write!(f, "{property} is violated in {recording}, step {step}: {clause}")
            }
            Wrong::NotRebuilt(error) => write!(f, "{recording} {error}"),
        }
    }
}

/// Judges all recordings in the folder `path`.
///
/// # Errors
/// If the folder cannot be read. What is wrong with a recording is a finding.
pub fn audit(path: &Path) -> io::Result<Audit> {
    let mut recordings = Vec::new();
    for entry in std::fs::read_dir(path)? {
        recordings.extend(Recorded::named(entry?.path()));
    }
    recordings.sort();
    let mut audit = Auditor::default();
    // Nodes come first in the order of actors.
    for (actor, lives) in audit.open(recordings) {
        match actor {
            Actor::Node(node) => {
                if audit.judge_lives::<Node>(lives) {
                    audit.complete.insert(node);
                }
            }
            Actor::Scheduler(_) => {
                audit.judge_lives::<Scheduler>(lives);
            }
            Actor::Client(_) => {
                audit.judge_lives::<Client>(lives);
            }
        }
    }
    Ok(audit.found)
}

/// A recording by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Recorded {
    actor: String,
    life: u32,
    path: PathBuf,
}

impl Recorded {
    /// The recording at `path`, if it is named like one.
    fn named(path: PathBuf) -> Option<Recorded> {
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let (actor, life) = name.split_once('.')?;
        let (actor, life) = (actor.to_owned(), life.parse().ok()?);
        Some(Recorded { actor, life, path })
    }
}

/// The recordings of one actor, in the order of its lives.
type Lives = Vec<(PathBuf, Reader)>;

#[derive(Default)]
struct Auditor {
    found: Audit,
    history: History,
    /// Nodes of which everything was recorded since before their first life.
    complete: BTreeSet<NodeId>,
}

impl Auditor {
    fn open(&mut self, recordings: Vec<Recorded>) -> BTreeMap<Actor, Lives> {
        let mut lives: BTreeMap<Actor, Lives> = BTreeMap::new();
        for Recorded { path, .. } in recordings {
            match Reader::open(&path) {
                Ok(reader) => {
                    let actor = reader.header().origin.actor();
                    lives.entry(actor).or_default().push((path, reader));
                }
                // Killed before it did anything.
                Err(Error::NoHeader) => {}
                Err(error) => self.not_rebuilt(&path, error.into()),
            }
        }
        lives
    }

    /// Rebuilds and judges the lives of one actor; whether all of it was recorded, from its first
    /// life on.
    fn judge_lives<R: Judged>(&mut self, lives: Lives) -> bool {
        let disks: Vec<Option<R::Disk>> = lives
            .iter()
            .map(|(_, reader)| R::of(&reader.header().origin).map(|(_, disk)| disk.clone()))
            .collect();
        let mut complete = disks.first().is_some_and(|disk| disk.as_ref().is_some_and(R::is_fresh));
        for (index, (path, reader)) in lives.into_iter().enumerate() {
            let next_disk = disks.get(index + 1).cloned().flatten();
            let judged =
                Run::<R>::rebuild(reader, next_disk).and_then(|run| self.judge(&path, run));
            if let Err(error) = judged {
                self.not_rebuilt(&path, error);
                complete = false;
            }
        }
        complete
    }

    fn judge<R: Judged>(&mut self, path: &Path, mut run: Run<R>) -> Result<(), RunError> {
        if let Some(Start { machine, outputs, .. }) = run.start().cloned() {
            let process = R::process(None, None, &machine);
            self.judge_step(path, 0, process, &outputs);
        }
        for step in run.by_ref() {
            let Step { number, before, input, outputs, after, .. } = step?;
            let process = R::process(Some(&before), Some(&input), &after);
            self.judge_step(path, number, process, &outputs);
        }
        self.found.runs += 1;
        self.found.steps_without_effect += run.steps_without_effect();
        Ok(())
    }

    fn judge_step(&mut self, path: &Path, number: u64, process: Process<'_>, outputs: &[Output]) {
        let step = counterfoil_properties::Step { process, outputs };
        self.history.observe(&step);
        self.found.steps += 1;
        for output in outputs {
            if let Output::Notice(notice) = output {
                *self.found.notices.entry(*notice).or_default() += 1;
            }
        }
        for property in Safety::ALL {
            if reads_nodes(property) && !self.nodes_are_known(process) {
                self.found.left_out += 1;
                continue;
            }
            match property.check(&step, &self.history) {
                Check::Vacuous => {}
                Check::Holds => *self.found.judged.entry(property).or_default() += 1,
                Check::Violated(violation) => {
                    *self.found.judged.entry(property).or_default() += 1;
                    self.found.violations += 1;
                    self.find(path, Wrong::Violated { step: number, property, violation });
                }
            }
        }
    }

    /// Whether everything that the nodes of a scheduler or client did was recorded.
    fn nodes_are_known(&self, process: Process<'_>) -> bool {
        match process {
            Process::Node { .. } => true,
            Process::Scheduler { after, .. } => {
                after.nodes.keys().all(|node| self.complete.contains(node))
            }
            Process::Client { input, .. } => match input {
                Some(counterfoil_protocol::client::Input::Datagram(datagram)) => {
                    let src = datagram.src.actor;
                    self.complete.iter().any(|node| Actor::Node(*node) == src)
                }
                Some(_) | None => true,
            },
        }
    }

    fn not_rebuilt(&mut self, path: &Path, error: RunError) {
        self.found.not_rebuilt += 1;
        self.find(path, Wrong::NotRebuilt(error));
    }

    fn find(&mut self, path: &Path, what: Wrong) {
        if self.found.findings.len() < FINDINGS_MAX {
            self.found.findings.push(Finding { recording: path.to_owned(), what });
        }
    }
}

/// Whether a property of schedulers and clients compares with what nodes did.
fn reads_nodes(property: Safety) -> bool {
    match property {
        Safety::ViewsAreRealStates | Safety::VerdictsAreTrue | Safety::AnswersAreTrue => true,
        Safety::NoOvercommit
        | Safety::GroupsAreKept
        | Safety::OneGrantPerClaim
        | Safety::ViewsNeverGoBack
        | Safety::OwnClaimsCountOnce
        | Safety::NoClaimAgainstKnownRefusal
        | Safety::NoClaimToUnavailable
        | Safety::Bounded
        | Safety::AllocationsSurviveRestart
        | Safety::OneConfirmedPerRequest => false,
    }
}

/// A role whose steps the properties can judge.
pub trait Judged: Role {
    /// Whether what an actor of this role has sent and heard in its life can be kept beside it, to
    /// judge it by: it is forgotten once it no longer matters. What is kept of others never is.
    const HAS_HISTORY: bool;

    /// A step as the properties see it.
    fn process<'a>(
        before: Option<&'a Self>,
        input: Option<&'a <Self as Machine>::Input>,
        after: &'a Self,
    ) -> Process<'a>;

    /// Whether no life has started from this disk or an earlier one.
    fn is_fresh(disk: &Self::Disk) -> bool;
}

macro_rules! judged {
    ($machine:ident, $has_history:literal, $fresh:expr) => {
        impl Judged for $machine {
            const HAS_HISTORY: bool = $has_history;

            fn process<'a>(
                before: Option<&'a Self>,
                input: Option<&'a <Self as Machine>::Input>,
                after: &'a Self,
            ) -> Process<'a> {
                Process::$machine { before, input, after }
            }

            fn is_fresh(disk: &Self::Disk) -> bool {
                let fresh: fn(&Self::Disk) -> bool = $fresh;
                fresh(disk)
            }
        }
    };
}

judged!(Node, false, |disk| disk.incarnation.0 == 0);
judged!(Scheduler, true, |disk| disk.incarnation.0 == 0);
judged!(Client, false, |disk| disk.choices.is_empty());

#[cfg(test)]
mod tests;
