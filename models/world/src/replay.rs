//! A saved run, run again through the real machines, and judged.

use crate::changes::{Change, at, brief, changes, label, way, words};
use crate::cluster::{Action, Cluster, Mail, World};
use crate::itf::{self, field_name};
use crate::messages::{Message, follow};
use crate::protocol::{Coverage, Protocol, Tiding};
use crate::scenario::Outside;
use crate::shared::Shared;
use crate::trace::{Expected, Kind, Trace, process_name, state};
use counterfoil_properties::Violation;
use counterfoil_protocol::{Actor, Address};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// A run that was run again: everything that there is to show of it.
#[derive(Clone, Debug)]
pub struct Replay<P: Protocol> {
    /// Where it happens.
    pub world: World<P>,
    /// The states, from the initial one on: one more than there are steps.
    pub states: Vec<Cluster<P>>,
    /// What happened.
    pub steps: Vec<Step>,
    /// What became of every message.
    pub messages: Vec<Message>,
    /// What came of it.
    pub outcome: Outcome,
}

/// One step of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The kind of the action, as in [`Action::KINDS`].
    pub kind: &'static str,
    /// What happened.
    pub action: String,
    /// Who acted, if it was one actor.
    pub actor: Option<Actor>,
    /// Which way the machines decided.
    pub decisions: Vec<String>,
    /// What became different in the processes; each way begins with the process.
    pub changes: Vec<Change>,
}

/// What came of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The property holds.
    Holds {
        /// For liveness: what is missing for a violation.
        because: String,
    },
    /// The property is violated.
    Violated {
        /// At this step; for liveness, from this step on.
        step: usize,
        /// What is violated.
        violation: Violation,
    },
    /// The run does not go as it is written.
    Diverged(Divergence),
}

/// Where and how a replay went another way than what is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// An action cannot happen there.
    NotEnabled {
        /// The step, from 1.
        step: usize,
        /// What should happen.
        action: String,
        /// What of the same kind could happen.
        instead: Vec<String>,
    },
    /// A state is not the one that is written.
    State {
        /// The step that led to it; 0 for the initial state.
        step: usize,
        /// Where the two differ first.
        at: String,
        /// What is written.
        written: String,
        /// What the replay came to.
        replayed: String,
    },
    /// There are more or fewer states written than there are.
    Length {
        /// How many are written.
        written: usize,
        /// How many there are.
        replayed: usize,
    },
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Divergence::NotEnabled { step, action, instead } => {
                write!(f, "diverged at step {step}: it cannot happen that {action}")?;
                match instead.is_empty() {
                    true => write!(f, "; nothing of that kind can"),
                    false => write!(f, "; of that kind can: {}", instead.join("; ")),
                }
            }
            Divergence::State { step, at, written, replayed } => write!(
                f,
                "diverged after step {step}: {at} is {replayed}, and the trace says {written}"
            ),
            Divergence::Length { written, replayed } => {
                write!(f, "diverged: the trace has {written} states, and the run {replayed}")
            }
        }
    }
}

impl<P: Protocol> Replay<P> {
    /// The start of a run: nothing has happened in it yet.
    pub fn begin(world: World<P>) -> Self {
        let initial = world.initial();
        Replay {
            messages: follow(std::slice::from_ref(&initial), &[]),
            states: vec![initial],
            steps: Vec::new(),
            outcome: Outcome::Holds { because: "nothing has happened yet".to_owned() },
            world,
        }
    }

    /// Takes one more action, which must be enabled after the last step. What became of the
    /// messages and what came of the run are not judged anew.
    pub fn take(&mut self, action: &Action<P>) {
        let index = self.steps.len();
        let mut coverage = Coverage::new::<P>();
        let after = self.world.step(&self.states[index], action, Some(&mut coverage));
        let changes = changed(&self.states[index], &after);
        let first = changes.first().and_then(|change| change.path.first());
        let owner =
            |address: &&Address| first.is_some_and(|name| *name == process_name(&after, **address));
        let alone = after.processes.keys().find(owner).map(|address| address.actor);
        self.steps.push(Step {
            kind: action.kind(),
            action: describe(&self.world, action),
            actor: action.actor().or(alone),
            decisions: coverage.arms.keys().map(|arm| P::told_arm(&self.world, *arm)).collect(),
            changes,
        });
        self.states.push(after);
    }

    /// Whether the replay shows what it should.
    pub fn is_as_expected(&self, expect: Expected) -> bool {
        match (&self.outcome, expect) {
            (Outcome::Violated { .. }, Expected::Witness)
            | (Outcome::Holds { .. }, Expected::Regression) => true,
            (Outcome::Violated { .. }, Expected::Regression)
            | (Outcome::Holds { .. }, Expected::Witness)
            | (Outcome::Diverged(_), Expected::Witness | Expected::Regression) => false,
        }
    }

    /// Everyone who lives at some point of the run, in order.
    pub fn actors(&self) -> Vec<Actor> {
        let lives = self.states.iter().flat_map(|state| state.processes.keys());
        let actors: BTreeSet<(u8, Actor)> = lives.map(|a| (rank(a.actor), a.actor)).collect();
        actors.into_iter().map(|(_, actor)| actor).collect()
    }

    /// A state as it stands in a trace.
    pub fn value(&self, index: usize) -> Map<String, Value> {
        let taken = index.checked_sub(1).map_or("init", |step| self.steps[step].kind);
        state(&self.states[index], index, taken)
    }

    /// The states as they stand in a trace. They are large: each is made when it is asked for.
    pub fn values(&self) -> impl Iterator<Item = Map<String, Value>> {
        (0..self.states.len()).map(|index| self.value(index))
    }

    /// The value of a process at a state, by its name.
    pub fn process(&self, state: usize, name: &str) -> Option<Value> {
        process(self.states.get(state)?, name)
    }

    /// The last step up to `step` that changed the value at the end of `path`, or something in it;
    /// 0 if it stood so at the start, and `None` if it stands nowhere.
    pub fn written(&self, step: usize, path: &[String]) -> Option<usize> {
        let (name, rest) = path.split_first()?;
        let same = |(one, two): (&String, &String)| one == two || *one == field_name(two);
        let touches = |change: &Change| change.path.iter().zip(path).all(same);
        let mut steps = self.steps[..step.min(self.steps.len())].iter();
        let last = steps.rposition(|step| step.changes.iter().any(touches));
        last.map(|index| index + 1).or_else(|| at(&self.process(0, name)?, rest).map(|_| 0))
    }
}

/// A process of a state as a value, by its name.
pub fn process<P: Protocol>(state: &Cluster<P>, name: &str) -> Option<Value> {
    let mut processes = state.processes.iter();
    let (_, found) = processes.find(|(address, _)| process_name(state, **address) == name)?;
    Some(itf::value(found).expect("what can be hashed has no floats"))
}

/// What became different in the processes; each way begins with the process.
fn changed<P: Protocol>(before: &Cluster<P>, after: &Cluster<P>) -> Vec<Change> {
    let named = |state: &Cluster<P>| -> Vec<(String, Shared<P::Process>)> {
        let processes = state.processes.iter();
        processes.map(|(at, process)| (process_name(state, *at), process.clone())).collect()
    };
    let (old, new) = (named(before), named(after));
    let value = |process: Option<&Shared<P::Process>>| {
        process.map(|process| itf::value(process).expect("what can be hashed has no floats"))
    };
    let of = |all: &[(String, Shared<P::Process>)], name: &str| {
        all.iter().find(|(known, _)| known == name).map(|(_, process)| process.clone())
    };
    let added = new.iter().filter(|(name, _)| of(&old, name).is_none());
    let mut found = Vec::new();
    for (name, _) in old.iter().chain(added) {
        let (one, two) = (of(&old, name), of(&new, name));
        if one == two {
            continue;
        }
        let differences = match (value(one.as_ref()), value(two.as_ref())) {
            (Some(one), Some(two)) => changes(&one, &two),
            (before, after) => vec![Change { path: Vec::new(), before, after }],
        };
        found.extend(differences.into_iter().map(|mut change| {
            change.path.insert(0, name.clone());
            change
        }));
    }
    found
}

/// Clients first, nodes last.
fn rank(actor: Actor) -> u8 {
    match actor {
        Actor::Client(_) => 0,
        Actor::Scheduler(_) => 1,
        Actor::Node(_) => 2,
    }
}

/// Runs a trace again: every action must be possible where it happens, every state must be the one
/// that is written, if states are written, and in the end the property is judged.
pub fn replay<P: Protocol>(trace: &Trace<P>) -> Replay<P> {
    let mut replay = Replay::begin(World::new(trace.scenario.clone()));
    let diverged = replay.run(trace);
    replay.messages = follow(&replay.states, &trace.steps);
    replay.outcome = match diverged {
        Some(divergence) => Outcome::Diverged(divergence),
        None => judge(trace, &replay),
    };
    replay
}

/// What came of the run of a trace that goes as it is written.
pub fn judge<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> Outcome {
    match trace.kind {
        Kind::Safety => judge_safety(trace, replay),
        Kind::Liveness => judge_liveness(trace, replay),
    }
}

impl<P: Protocol> Replay<P> {
    /// Takes every step, up to the first that diverges.
    fn run(&mut self, trace: &Trace<P>) -> Option<Divergence> {
        let stored = trace.stored();
        let first = stored.first().and_then(|written| differs(0, written, self.value(0)));
        if first.is_some() {
            return first;
        }
        for (index, action) in trace.steps.iter().enumerate() {
            let step = index + 1;
            let before = &self.states[index];
            let enabled = self.world.enabled(before);
            if !enabled.contains(action) {
                return Some(self.not_enabled(step, action, &enabled));
            }
            self.take(action);
            let written = stored.get(step);
            let difference = written.and_then(|written| differs(step, written, self.value(step)));
            if difference.is_some() {
                self.states.pop();
                self.steps.pop();
                return difference;
            }
        }
        let (written, replayed) = (stored.len(), self.states.len());
        (written != 0 && written != replayed).then_some(Divergence::Length { written, replayed })
    }

    fn not_enabled(&self, step: usize, action: &Action<P>, enabled: &[Action<P>]) -> Divergence {
        const SHOWN_MAX: usize = 4;
        let like = enabled.iter().filter(|other| other.kind() == action.kind());
        let instead = like.take(SHOWN_MAX).map(|other| describe(&self.world, other)).collect();
        Divergence::NotEnabled { step, action: describe(&self.world, action), instead }
    }
}

fn differs(step: usize, written: &RawValue, replayed: Map<String, Value>) -> Option<Divergence> {
    let text = json!(replayed).to_string();
    if text == written.get() {
        return None;
    }
    let variables = |state: Map<String, Value>| {
        let variables = state.into_iter().filter(|(name, _)| !name.starts_with('#'));
        Value::Object(variables.collect())
    };
    // A trace that is loaded has objects for states.
    let written = serde_json::from_str(written.get()).unwrap_or_default();
    let (written, replayed) = (variables(written), variables(replayed));
    let first = changes(&written, &replayed).into_iter().next()?;
    let text = |value: Option<Value>| value.as_ref().map_or("nothing".to_owned(), brief);
    Some(Divergence::State {
        step,
        at: way(&first.path),
        written: text(first.before),
        replayed: text(first.after),
    })
}

fn judge_safety<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> Outcome {
    let index = P::safety().iter().position(|property| property.name == trace.property);
    let found = replay.states.iter().enumerate().find_map(|(step, state)| {
        let violation = state.violated.get(&index?)?;
        Some(Outcome::Violated { step, violation: violation.clone() })
    });
    found.unwrap_or_else(|| Outcome::Holds { because: "it is violated at no step".to_owned() })
}

/// A run that goes on for ever without the goal: by a loop of fair actions, or because nothing fair
/// changes anything any more.
fn judge_liveness<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> Outcome {
    let holds = |because: String| Outcome::Holds { because };
    let (world, states, last) = (&replay.world, &replay.states, trace.steps.len());
    let start = trace.back_to.unwrap_or(last);
    if start > last || states[start] != states[last] {
        return holds(format!("the run does not lead back to the state after step {start}"));
    }
    let mut repeated = states.iter().zip(&trace.steps).enumerate().skip(start);
    if let Some((index, _)) = repeated.find(|(_, (state, action))| !world.is_fair(state, action)) {
        return holds(format!("step {} of the loop need not happen: it is a fault", index + 1));
    }
    if start == last {
        let goes_on = world.enabled(&states[last]).into_iter().find(|action| {
            world.is_fair(&states[last], action)
                && world.apply(&states[last], action) != states[last]
        });
        if let Some(action) = goes_on {
            let action = describe(world, &action);
            return holds(format!("the run goes on in the end: {action}"));
        }
    }
    let index = P::liveness().iter().position(|property| property.name == trace.property);
    let found = (start..=last).find_map(|step| {
        let violation = P::goal(world, &states[step], index?)?();
        Some(Outcome::Violated { step, violation })
    });
    found.unwrap_or_else(|| holds("its goal is true in the end".to_owned()))
}

/// What happens, in one clause.
pub fn describe<P: Protocol>(world: &World<P>, action: &Action<P>) -> String {
    let datagram = |d: &P::Datagram| {
        let (src, dst) = (P::source(d).actor, P::destination(d).actor);
        (value_of(d, label), src, dst)
    };
    match action {
        Action::Deliver(d) => {
            let (label, src, dst) = datagram(d);
            format!("{label} of {src} reaches {dst}")
        }
        Action::Copy(d) => {
            let (label, src, dst) = datagram(d);
            format!("a copy of {label} of {src} reaches {dst}")
        }
        Action::Lose(d) => {
            let (label, src, dst) = datagram(d);
            format!("{label} of {src} to {dst} is lost")
        }
        Action::LoseAll => "everything in flight is lost".to_owned(),
        Action::Mail(Mail { from, to, letter: Some(letter) }) => {
            format!("{} of {} reaches {}", value_of(letter, label), from.actor, to.actor)
        }
        Action::Mail(Mail { from, to, letter: None }) => {
            format!("{} learns that its connection to {} broke", to.actor, from.actor)
        }
        Action::Fire(at, timer) => {
            let name = |timer: &Value| timer.as_str().map_or_else(|| brief(timer), words);
            format!("timer {} fires at {}", value_of(timer, name), at.actor)
        }
        Action::Pick(at, pick) => format!("{} picks {}", at.actor, value_of(pick, brief)),
        Action::Tell(at, Tiding::Joined(who)) => {
            format!("{} is told that {who} is there", at.actor)
        }
        Action::Tell(at, Tiding::Over(who)) => {
            format!("{} is told that {who} will never come back", at.actor)
        }
        Action::Outside(index, at) => {
            let at = at.map_or_else(String::new, |address| format!(" at {}", address.actor));
            match world.outside.get(usize::from(*index)) {
                Some(outside) => format!("{}{at}", describe_outside(outside)),
                None => format!("outside input {index}{at}"),
            }
        }
        Action::Restart(actor) => format!("{actor} crashes and starts again"),
        Action::Torn(inner, kept) => {
            let inner = describe(world, inner);
            format!("{inner}, which crashes after {kept} of its outputs and starts again")
        }
        Action::Die(actor) => format!("{actor} crashes for good"),
        Action::Twin(actor) => format!("{actor} starts a second time"),
        Action::Disconnect(client, scheduler) => {
            format!("the connection between {} and {} breaks", client.actor, scheduler.actor)
        }
    }
}

fn describe_outside(outside: &Outside) -> String {
    match outside {
        Outside::PlaceTogether(requests) => {
            let requests =
                requests.values().map(|one| describe_outside(&Outside::Place(one.clone())));
            requests.collect::<Vec<String>>().join(", together with it ")
        }
        Outside::Place(request) => {
            let demand = value_of(&request.resources, brief);
            let mut text = format!("request {} for {demand} is made", request.id);
            for group in request.near.iter() {
                text += &format!(", near {group}");
            }
            for (group, bears) in request.apart.iter() {
                text += &format!(", apart from more than {bears} of {group}");
            }
            text
        }
        Outside::Release(request) => format!("request {request} is given up"),
        Outside::Drain(node) => format!("{node} is ordered to drain"),
        Outside::Undrain(node) => format!("{node} is ordered to take claims again"),
        Outside::Inventory(node, inventory) => {
            let classes =
                inventory.classes.iter().map(|(class, of)| format!("{class} {}", of.total));
            let classes: Vec<String> = classes.collect();
            format!("{node} is given another inventory: {}", classes.join(", "))
        }
        Outside::Leave(node) => format!("{node} is ordered to leave"),
        Outside::Join(actor) => format!("{actor} joins"),
        Outside::Disable(scheduler) => format!("{scheduler} is taken out of service"),
    }
}

/// The words that `text` finds for a value.
fn value_of(of: &impl Serialize, text: impl Fn(&Value) -> String) -> String {
    itf::value(of).map_or_else(|error| error.to_string(), |value| text(&value))
}
