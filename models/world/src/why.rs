//! Why a property is violated, as data: the clause that is false, its values with the steps that
//! wrote them, the messages that made the difference, the last safe choice, and one sentence.
//!
//! [`crate::explain`] tells it in text. All of it is composed from what the property says of its
//! violation and from the run; nothing here knows a property.

mod chain;
mod messages;
mod plain;

use crate::changes::{Change, at, keys, way};
use crate::choices::{Claim, Fate, Judge, LastSafe};
use crate::cluster::{Cluster, World};
use crate::messages::named;
use crate::protocol::Protocol;
use crate::replay::{Outcome, Replay, describe};
use crate::trace::{Kind, Trace};
pub use chain::{Chain, Effect, Link};
use counterfoil_properties::{Fact, Violation};
pub use messages::{Concerned, Difference};
pub use plain::plain;
use serde::Serialize;
use std::collections::HashSet;

/// Why a run violates its property; or that it does not, and what came of it instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The property.
    pub property: String,
    /// What it says.
    pub statement: String,
    /// The rules that are off.
    pub without: Vec<String>,
    /// What came of the run.
    pub verdict: Verdict,
    /// If the property is not violated: why not, or where the run diverged.
    pub because: String,
    /// The step at which it is violated; for liveness, from which on.
    pub step: Option<usize>,
    /// The clause that is false, with its variables filled in.
    pub clause: String,
    /// Every value in it, and where that comes from.
    pub facts: Vec<Origin>,
    /// The steps that it rests on, and what each of them did to that.
    pub chain: Chain,
    /// The messages concerned, in the order of sending. Those that made a difference say which.
    pub messages: Vec<Concerned>,
    /// The last safe choice.
    pub choice: LastChoice,
    /// For liveness: why the run can go on so for ever.
    pub for_ever: Option<ForEver>,
    /// All of it in one sentence.
    pub sentence: String,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The property is violated.
    Violated,
    /// It holds.
    Holds,
    /// The run does not go as it is written.
    Diverged,
}

/// A fact of a violation, and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The fact.
    pub fact: Fact,
    /// Its value in plain words, shortened to where it differs from that of another fact.
    pub shown: String,
    /// Where it stands: `n1.durable.allocations`; empty if it is what truly happened.
    pub place: String,
    /// What last wrote it; `None` if it stands in no process.
    pub written: Option<Written>,
    /// The same for every entry, if the value is a map.
    pub entries: Vec<(String, Written)>,
    /// The steps at which it came and went, up to the last, if there are more than one.
    pub passages: Vec<(usize, How)>,
}

/// What a step did to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was not there, and is.
    Came,
    /// It is another.
    Changed,
    /// It is not there any more.
    Went,
}

impl How {
    fn of(change: &Change) -> How {
        match (&change.before, &change.after) {
            (None, _) => How::Came,
            (Some(_), Some(_)) => How::Changed,
            (Some(_), None) => How::Went,
        }
    }
}

/// What wrote a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// At which step; 0 if it stood so at the start.
    pub step: usize,
    /// What happened then, with the names of messages; empty at the start.
    pub action: String,
}

/// The last safe choice of a run. [`crate::choices`] says what safe means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LastChoice {
    /// At this step.
    At(LastSafe),
    /// Fair steps could not keep the property from the start on.
    Never,
    /// It would take too many steps to tell.
    NotKnown,
    /// Nothing is violated, or nothing was chosen before.
    None,
}

/// Why a run can go on for ever without its goal, although nothing fair is put off for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForEver {
    /// How many steps lead to where it repeats itself, or to where nothing fair changes anything.
    pub stem: usize,
    /// The first and the last step that repeat; `None` if nothing fair changes anything.
    pub repeats: Option<(usize, usize)>,
    /// How many states fair steps can still lead to, if the goal is true in none of them and that
    /// could be told.
    pub states: Option<usize>,
    /// If that could not be told: what is fair, would change something on the loop, and is not taken.
    pub left_out: Vec<String>,
}

/// How many states are looked at to tell what can still follow.
const FOLLOW_MAX: usize = 4_000;

impl Why {
    /// Of a run that was replayed.
    pub fn of<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> Why {
        let mut why = Why {
            property: trace.property.clone(),
            statement: trace.statement().to_owned(),
            without: trace.scenario.without.iter().map(|rule| rule.name().to_owned()).collect(),
            verdict: Verdict::Violated,
            because: String::new(),
            step: None,
            clause: String::new(),
            facts: Vec::new(),
            chain: Chain::default(),
            messages: Vec::new(),
            choice: LastChoice::None,
            for_ever: None,
            sentence: String::new(),
        };
        match &replay.outcome {
            Outcome::Holds { because } => {
                (why.verdict, why.because) = (Verdict::Holds, because.clone());
            }
            Outcome::Diverged(divergence) => {
                (why.verdict, why.because) = (Verdict::Diverged, divergence.to_string());
            }
            Outcome::Violated { step, violation } => {
                why.step = Some(*step);
                why.clause.clone_from(&violation.clause);
                why.facts = origins(replay, *step, violation);
                why.messages = messages::concerned(replay, *step, &why.facts);
                why.chain = Chain::of(replay, *step, &why.facts, &why.messages);
                why.choice = last_choice(trace, replay, *step);
                why.for_ever = (trace.kind == Kind::Liveness).then(|| ForEver::of(trace, replay));
            }
        }
        // The name of a property stays as it is.
        let sentence = why.in_short(replay);
        let is_name = sentence.starts_with(&why.property);
        let sentence = if is_name { sentence } else { capital(&sentence) };
        why.sentence = format!("{sentence}.");
        why
    }

    fn in_short<P: Protocol>(&self, replay: &Replay<P>) -> String {
        let (property, off) = (&self.property, self.without.join(", "));
        let step = match (self.verdict, self.step) {
            (Verdict::Violated, Some(step)) => step,
            (Verdict::Violated | Verdict::Holds, _) => {
                return format!("{property} holds: {}", self.because);
            }
            (Verdict::Diverged, _) => return self.because.clone(),
        };
        let rules = match self.without.len() {
            0 if P::rules().is_empty() => {
                format!("in the design {}", replay.world.scenario.protocol.name())
            }
            0 => "with every rule in force".to_owned(),
            1 => format!("without the rule {off}"),
            _ => format!("without the rules {off}"),
        };
        let done = match (&self.for_ever, step.checked_sub(1).and_then(|at| replay.steps.get(at))) {
            (Some(ForEver { repeats: Some((first, last)), .. }), _) if first == last => {
                format!("step {last} repeats for ever and {property} is not reached")
            }
            (Some(ForEver { repeats: Some((first, last)), .. }), _) => {
                format!("steps {first} to {last} repeat for ever and {property} is not reached")
            }
            (Some(ForEver { stem, .. }), _) => {
                format!(
                    "nothing fair is left to happen after step {stem} and {property} is not reached"
                )
            }
            (None, Some(was)) => {
                let action = named(&replay.messages, step, &was.action);
                let decided = was.decisions.join(", ");
                let decided = if decided.is_empty() { decided } else { format!(": {decided}") };
                format!("step {step} ({action}{decided}) breaks {property}")
            }
            (None, None) => format!("{property} is violated from the start"),
        };
        let cause = self.cause(step).map_or_else(String::new, |cause| format!(", {cause}"));
        format!("{rules}, {done}{cause}{}", self.last_words())
    }

    /// What it came from: what was lost before and is written anew; what the step itself loses; the
    /// message that went another way; or else what last wrote a value before.
    fn cause(&self, step: usize) -> Option<String> {
        let lost = self.chain.lost_before(step);
        if !lost.is_empty() {
            let told = lost.iter().map(|link| {
                let places: Vec<&str> = link.losses().collect();
                format!("step {} ({}) had lost {}", link.step, link.action, places.join(" and "))
            });
            return Some(format!("after {}", told.collect::<Vec<_>>().join(" and ")));
        }
        let last = self.chain.links.last().filter(|link| link.step == step);
        let of_clause = |place: &&str| {
            let mut places = self.facts.iter().map(|origin| origin.place.as_str());
            places.any(|of_fact| !of_fact.is_empty() && place.starts_with(of_fact))
        };
        let losses = last.into_iter().flat_map(Link::losses).filter(of_clause);
        let losses: Vec<&str> = losses.collect();
        if self.for_ever.is_none() && !losses.is_empty() {
            return Some(format!("as it drops {}", losses.join(" and ")));
        }
        let told = self.messages.iter().filter_map(|message| Some((message.worst()?, message)));
        if let Some((difference, message)) = told.min_by_key(|(worst, _)| worst.rank()) {
            return Some(match difference {
                Difference::Late { .. } | Difference::InFlight => {
                    format!("while {} was under way", message.short())
                }
                Difference::Overtaken { .. }
                | Difference::Lost { .. }
                | Difference::Copied { .. }
                | Difference::Dropped { .. } => {
                    format!("where {} {difference}, as may happen", message.short())
                }
            });
        }
        let written = self.facts.iter().filter_map(|origin| {
            let entries = origin.entries.iter().map(|(_, written)| written);
            let written = entries.chain(&origin.written).filter(|w| w.step > 0 && w.step < step);
            Some((&origin.place, written.max_by_key(|written| written.step)?))
        });
        let (place, written) = written.max_by_key(|(_, written)| written.step)?;
        Some(format!("after step {} ({}) had written {place}", written.step, written.action))
    }

    fn last_words(&self) -> String {
        match &self.choice {
            LastChoice::At(LastSafe { step, claim: Claim::ForGood, .. })
                if self.for_ever.is_none() && Some(*step) == self.step =>
            {
                "; until then the violation could be avoided".to_owned()
            }
            LastChoice::At(LastSafe { step, claim: Claim::ForGood, .. }) => {
                format!("; step {step} was the last at which that could be avoided")
            }
            LastChoice::Never => "; fair steps could not avoid that from the start on".to_owned(),
            LastChoice::At(_) | LastChoice::NotKnown | LastChoice::None => String::new(),
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn last_choice<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>, step: usize) -> LastChoice {
    let Some(mut judge) = Judge::new(&replay.world, &trace.property) else {
        return LastChoice::None;
    };
    // Of a run that goes on for ever every step counts.
    let step = if trace.kind == Kind::Liveness { trace.steps.len() } else { step };
    if step == 0 {
        return LastChoice::None;
    }
    match judge.last_safe(&replay.states, &trace.steps, step) {
        Some(last) => LastChoice::At(last),
        None if judge.fate(&replay.states[0]) == Fate::Doomed => LastChoice::Never,
        None => LastChoice::NotKnown,
    }
}

/// Where the values of a violation at `step` come from.
pub fn origins<P: Protocol>(replay: &Replay<P>, step: usize, violation: &Violation) -> Vec<Origin> {
    let shown = plain::values(&violation.facts);
    let facts = violation.facts.iter().zip(shown);
    facts.map(|(fact, shown)| origin(replay, step, fact, shown)).collect()
}

fn origin<P: Protocol>(replay: &Replay<P>, step: usize, fact: &Fact, shown: String) -> Origin {
    let entries = fact.path.split_first().and_then(|(name, path)| {
        let keys = keys(at(&replay.process(step, name)?, path)?);
        let of = |key: String| {
            let path = [&fact.path[..], std::slice::from_ref(&key)].concat();
            (key, Written::at(replay, replay.written(step, &path).unwrap_or(0)))
        };
        Some(keys.into_iter().map(of).collect())
    });
    Origin {
        fact: fact.clone(),
        shown,
        place: way(&fact.path),
        written: replay.written(step, &fact.path).map(|step| Written::at(replay, step)),
        entries: entries.unwrap_or_default(),
        passages: passages(replay, step, &fact.path),
    }
}

/// The steps up to `step` at which the value at the end of `path` came and went, if there are more
/// than one.
fn passages<P: Protocol>(replay: &Replay<P>, step: usize, path: &[String]) -> Vec<(usize, How)> {
    let steps = replay.steps.iter().take(step).enumerate();
    let found = steps.filter_map(|(index, was)| {
        let of_it = |change: &&Change| !change.path.is_empty() && path.starts_with(&change.path);
        let how = How::of(was.changes.iter().find(of_it)?);
        (how != How::Changed).then_some((index + 1, how))
    });
    let found: Vec<(usize, How)> = found.collect();
    if found.len() > 1 { found } else { Vec::new() }
}

impl Written {
    fn at<P: Protocol>(replay: &Replay<P>, step: usize) -> Written {
        let was = step.checked_sub(1).and_then(|index| replay.steps.get(index));
        let action = was.map(|was| named(&replay.messages, step, &was.action));
        Written { step, action: action.unwrap_or_default() }
    }
}

impl ForEver {
    fn of<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> ForEver {
        let last = trace.steps.len();
        let stem = trace.back_to.unwrap_or(last);
        if stem == last {
            return ForEver { stem, repeats: None, states: Some(1), left_out: Vec::new() };
        }
        let index = P::liveness().iter().position(|property| property.name == trace.property);
        let is_reached = |state: &Cluster<P>| {
            index.is_none_or(|index| P::is_reached(&replay.world, state, index))
        };
        let follow = follow(&replay.world, &replay.states[stem]);
        let states = follow.filter(|states| !states.iter().any(is_reached));
        let left_out = if states.is_none() { left_out(trace, replay) } else { Vec::new() };
        let states = states.map(|states| states.len());
        ForEver { stem, repeats: Some((stem + 1, last)), states, left_out }
    }
}

/// Every state that fair steps lead to from `state`, if they are not too many to tell.
fn follow<P: Protocol>(world: &World<P>, state: &Cluster<P>) -> Option<HashSet<Cluster<P>>> {
    let mut seen = HashSet::from([state.clone()]);
    let mut queue = vec![state.clone()];
    while let Some(state) = queue.pop() {
        for action in world.enabled(&state) {
            if world.is_fair(&state, &action) {
                let next = world.apply(&state, &action);
                if seen.insert(next.clone()) {
                    queue.push(next);
                }
            }
        }
        if seen.len() > FOLLOW_MAX {
            return None;
        }
    }
    Some(seen)
}

/// What is fair and would change something on the loop, and is never taken in it.
fn left_out<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> Vec<String> {
    let (start, last) = (trace.back_to.unwrap_or_default(), trace.steps.len());
    let repeated = &trace.steps[start..];
    let mut left_out: Vec<String> = Vec::new();
    for state in &replay.states[start..last] {
        let enabled = replay.world.enabled(state).into_iter();
        let fair = enabled.filter(|action| replay.world.is_fair(state, action));
        let put_off = fair.filter(|action| {
            !repeated.contains(action) && replay.world.apply(state, action) != *state
        });
        for action in put_off.map(|action| describe(&replay.world, &action)) {
            if !left_out.contains(&action) {
                left_out.push(action);
            }
        }
    }
    left_out
}
