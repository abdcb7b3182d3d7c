//! Judges recordings together: rebuilds every run, checks every property at every step, and that
//! whatever arrived was sent.
//!
//! The runs are rebuilt one after the other, not in the order in which their steps happened: first
//! those of the nodes, by life, which say what truly happened; then those of the schedulers and
//! clients, which are judged by it.

mod join;

use crate::reader::{Ending, Error, Reader};
use crate::role::Role;
use crate::run::{Run, RunError, Start, Step};
use counterfoil_properties::{Check, History, Process, Safety, Violation};
use counterfoil_protocol::{Actor, Client, Machine, Node, Notice, Output, Scheduler};
use join::{Heard, Join};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How the name of a recording ends. Before it stand the actor and a number that counts its recordings
/// from 1, in their order: `n1.2.recording`.
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
    /// Checks that were left out, because what they compare with was not recorded.
    pub left_out: u64,
    /// Messages that arrived from someone all of whose runs were recorded.
    pub messages_joined: u64,
    /// Of these, messages that were never sent.
    pub never_sent: u64,
    /// Recordings that end torn: their process was killed while it wrote.
    pub torn: Vec<PathBuf>,
    /// Nodes and schedulers that others heard of, and of which there is no recording.
    pub missing: BTreeSet<Actor>,
    /// Actors whose recordings do not reach back to the start of their first life, so that what was
    /// before is unknown.
    pub incomplete: BTreeSet<Actor>,
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
    /// A message arrived that nobody sent.
    NeverSent {
        /// At which step.
        step: u64,
        /// What kind of message.
        kind: &'static str,
        /// Who is to have sent it.
        from: Actor,
    },
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
            Wrong::NeverSent { step, kind, from } => {
                write!(
                    f,
                    "the {kind} that arrives at step {step} of {recording} was never sent by {from}"
                )
            }
        }
    }
}

impl Audit {
    /// Whether a recording of this actor ends torn.
    pub fn is_torn(&self, actor: Actor) -> bool {
        let name = format!("{actor}.");
        let of = |path: &PathBuf| path.file_name()?.to_str()?.starts_with(&name).then_some(());
        self.torn.iter().any(|path| of(path).is_some())
    }

    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        (self.violations, self.not_rebuilt, self.never_sent) == (0, 0, 0)
    }
}

/// Judges all recordings in the folder `path`, and in its folders.
///
/// # Errors
/// If the folder cannot be read. What is wrong with a recording is a finding.
pub fn audit(path: &Path) -> io::Result<Audit> {
    let mut paths = Vec::new();
    list(path, &mut paths)?;
    Ok(audit_files(paths))
}

fn list(path: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), paths)?;
        } else {
            paths.push(entry.path());
        }
    }
    Ok(())
}

/// Judges the recordings at `paths` together. What is not named like a recording is left out.
pub fn audit_files(paths: Vec<PathBuf>) -> Audit {
    let mut recordings: Vec<Recorded> = paths.into_iter().filter_map(Recorded::named).collect();
    recordings.sort();
    let mut audit = Auditor::default();
    // Nodes come first in the order of actors.
    for (actor, lives) in audit.open(recordings) {
        match actor {
            Actor::Node(_) => audit.judge_lives::<Node>(actor, lives),
            Actor::Scheduler(_) => audit.judge_lives::<Scheduler>(actor, lives),
            Actor::Client(_) => audit.judge_lives::<Client>(actor, lives),
        }
    }
    audit.finish()
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
    /// Actors of whom there is a recording.
    recorded: BTreeSet<Actor>,
    /// Actors of whom everything was recorded since before their first life.
    complete: BTreeSet<Actor>,
    join: Join,
    /// The recordings, in the order in which they were read.
    paths: Vec<PathBuf>,
}

impl Auditor {
    fn open(&mut self, recordings: Vec<Recorded>) -> BTreeMap<Actor, Lives> {
        let mut lives: BTreeMap<Actor, Lives> = BTreeMap::new();
        for Recorded { path, .. } in recordings {
            match Reader::open(&path) {
                Ok(reader) => {
                    let actor = reader.header().origin.actor();
                    self.recorded.insert(actor);
                    lives.entry(actor).or_default().push((path, reader));
                }
                // Killed before it did anything.
                Err(Error::NoHeader) => {}
                Err(error) => self.not_rebuilt(&path, error.into()),
            }
        }
        lives
    }

    /// Looks at all together.
    fn finish(mut self) -> Audit {
        self.found.messages_joined = self.join.judged(&self.complete);
        self.found.left_out += self.join.left_out(&self.complete);
        let never_said: Vec<Heard> = self.join.never_said(&self.complete).cloned().collect();
        self.found.never_sent = never_said.len() as u64;
        // What comes from a client comes under a name that a scheduler puts on it.
        let others = self.join.heard_of().filter(|actor| !matches!(actor, Actor::Client(_)));
        self.found.missing = others.filter(|actor| !self.recorded.contains(actor)).collect();
        for Heard { recording, step, kind, from, .. } in never_said {
            let path = self.paths[recording].clone();
            self.find(&path, Wrong::NeverSent { step, kind, from });
        }
        self.found
    }

    /// Rebuilds and judges the lives of one actor.
    fn judge_lives<R: Judged>(&mut self, actor: Actor, lives: Lives) {
        let disks: Vec<Option<R::Disk>> = lives
            .iter()
            .map(|(_, reader)| R::of(&reader.header().origin).map(|(_, disk)| disk.clone()))
            .collect();
        let from_its_start =
            lives.first().is_some_and(|(_, reader)| reader.header().running.is_none());
        let fresh = disks.first().is_some_and(|disk| disk.as_ref().is_some_and(R::is_fresh));
        let mut complete = fresh && from_its_start;
        // Until a life starts of which all is known.
        let mut unknown_before = !from_its_start;
        for (index, (path, reader)) in lives.into_iter().enumerate() {
            let next_disk = disks.get(index + 1).cloned().flatten();
            unknown_before &= reader.header().running.is_some();
            self.paths.push(path.clone());
            let judged = Run::<R>::rebuild(reader, next_disk)
                .and_then(|run| self.judge(&path, run, unknown_before));
            if let Err(error) = judged {
                self.not_rebuilt(&path, error);
                complete = false;
            }
        }
        if complete {
            self.complete.insert(actor);
        } else if !(fresh && from_its_start) {
            self.found.incomplete.insert(actor);
        }
    }

    fn judge<R: Judged>(
        &mut self,
        path: &Path,
        mut run: Run<R>,
        unknown_before: bool,
    ) -> Result<(), RunError> {
        if let Some(Start { machine, outputs, .. }) = run.start().cloned() {
            let process = R::process(None, None, &machine);
            self.judge_step(path, 0, process, &outputs, unknown_before);
        }
        for step in run.by_ref() {
            let Step { number, before, input, outputs, after, .. } = step?;
            let process = R::process(Some(&before), Some(&input), &after);
            self.judge_step(path, number, process, &outputs, unknown_before);
        }
        self.found.runs += 1;
        if matches!(run.ending(), Some(Ending::Torn { .. })) {
            self.found.torn.push(path.to_owned());
        }
        self.found.steps_without_effect += run.steps_without_effect();
        Ok(())
    }

    fn judge_step(
        &mut self,
        path: &Path,
        number: u64,
        process: Process<'_>,
        outputs: &[Output],
        unknown_before: bool,
    ) {
        let step = counterfoil_properties::Step { process, outputs };
        self.history.observe(&step);
        self.join.note(self.paths.len() - 1, number, &step);
        self.found.steps += 1;
        for output in outputs {
            if let Output::Notice(notice) = output {
                *self.found.notices.entry(*notice).or_default() += 1;
            }
        }
        for property in Safety::ALL {
            let unknown = unknown_before && reads_the_past(property);
            if unknown || reads_nodes(property) && !self.nodes_are_known(process) {
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
                after.nodes.keys().all(|node| self.complete.contains(&Actor::Node(*node)))
            }
            Process::Client { input, .. } => match input {
                Some(counterfoil_protocol::client::Input::Datagram(datagram)) => {
                    self.complete.contains(&datagram.src.actor)
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
        Safety::ViewsAreRealStates
        | Safety::VerdictsAreTrue
        | Safety::BundlesEndWhole
        | Safety::AnswersAreTrue => true,
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

/// Whether a property compares a step with what the same actor did before it.
fn reads_the_past(property: Safety) -> bool {
    match property {
        Safety::NoOvercommit | Safety::GroupsAreKept | Safety::ViewsNeverGoBack => false,
        Safety::OneGrantPerClaim
        | Safety::OwnClaimsCountOnce
        | Safety::NoClaimAgainstKnownRefusal
        | Safety::NoClaimToUnavailable
        | Safety::Bounded
        | Safety::ViewsAreRealStates
        | Safety::VerdictsAreTrue
        | Safety::AllocationsSurviveRestart
        | Safety::OneConfirmedPerRequest
        | Safety::BundlesEndWhole
        | Safety::AnswersAreTrue => true,
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
