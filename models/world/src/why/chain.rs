//! How a run came to its violation: the steps that it rests on, and what each of them did to that.

use super::messages::{Concerned, Difference};
use super::{How, Origin};
use crate::changes::{Change, way};
use crate::itf::field_name;
use crate::messages::{Message, named};
use crate::protocol::Protocol;
use crate::replay::Replay;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// How many steps are told: those that the violation rests on most directly.
const LINKS_MAX: usize = 12;

/// The steps that a violation rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// In their order; the last is that of the violation, unless it is one of liveness.
    pub links: Vec<Link>,
    /// How many more there are, further back.
    pub more: usize,
}

/// A step that a violation rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The step.
    pub step: usize,
    /// What happened.
    pub action: String,
    /// Which way the machines decided.
    pub decisions: Vec<String>,
    /// What it did to the values that later ones rest on.
    pub effects: Vec<Effect>,
    /// The messages that it sent and that later ones rest on.
    pub sends: Vec<String>,
}

/// What a step did to a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// The way to it.
    pub place: String,
    /// What it did.
    pub how: How,
    /// If it is gone or another: which step had written what it was; 0 if it stood so at the start.
    pub since: Option<usize>,
}

impl Chain {
    /// Of a violation at `step`. It goes back from there, and from the steps that wrote what the clause
    /// names: from each step to the one that sent what arrived in it, and to the ones that wrote or
    /// lost before what it wrote or lost. Bookkeeping does not count, and a value that only became
    /// another is not followed further back.
    pub(super) fn of<P: Protocol>(
        replay: &Replay<P>,
        step: usize,
        origins: &[Origin],
        messages: &[Concerned],
    ) -> Chain {
        let (found, order, queue) = (BTreeMap::new(), Vec::new(), VecDeque::new());
        let mut walk = Walk { replay, found, order, queue };
        walk.begin(step, origins, messages);
        while let Some(next) = walk.queue.pop_front() {
            walk.back_from(next);
        }
        let more = walk.order.len().saturating_sub(LINKS_MAX);
        let told: BTreeSet<usize> = walk.order.iter().copied().take(LINKS_MAX).collect();
        let links = told.into_iter().map(|step| walk.link(step)).collect();
        Chain { links, more }
    }

    /// What the step of the violation wrote anew, and who had lost it before.
    pub(super) fn lost_before(&self, step: usize) -> Vec<&Link> {
        let Some(last) = self.links.last().filter(|link| link.step == step) else {
            return Vec::new();
        };
        let anew = |effect: &&Effect| effect.how == How::Came;
        let anew: Vec<&str> = last.effects.iter().filter(anew).map(|e| e.place.as_str()).collect();
        let loses = |link: &&Link| link.losses().any(|place| anew.contains(&place));
        self.links.iter().filter(|link| link.step < step).filter(loses).collect()
    }
}

impl Link {
    /// What it lost.
    pub fn losses(&self) -> impl Iterator<Item = &str> {
        let lost = self.effects.iter().filter(|effect| effect.how == How::Went);
        lost.map(|effect| effect.place.as_str())
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.action)?;
        if !self.decisions.is_empty() {
            write!(f, ": {}", self.decisions.join(", "))?;
        }
        for effect in &self.effects {
            let did = match effect.how {
                How::Came => "writes",
                How::Changed => "changes",
                How::Went => "loses",
            };
            write!(f, "; {did} {}", effect.place)?;
            if let Some(since) = effect.since.filter(|since| *since > 0) {
                write!(f, " (of step {since})")?;
            }
        }
        if !self.sends.is_empty() {
            write!(f, "; sends {}", self.sends.join(", "))?;
        }
        Ok(())
    }
}

/// What is known of a step that the violation rests on.
#[derive(Default)]
struct Found {
    /// By their index among the changes of the step.
    effects: BTreeSet<usize>,
    sends: BTreeSet<usize>,
}

/// Goes back through a run.
struct Walk<'a, P: Protocol> {
    replay: &'a Replay<P>,
    found: BTreeMap<usize, Found>,
    /// The steps, in the order in which they were found.
    order: Vec<usize>,
    queue: VecDeque<usize>,
}

impl<P: Protocol> Walk<'_, P> {
    /// Finds the step of the violation, those that wrote the values of its clause, and those at which
    /// messages that it concerns were lost or should have been sent later.
    fn begin(&mut self, step: usize, origins: &[Origin], messages: &[Concerned]) {
        self.find(step);
        for origin in origins.iter().filter(|origin| !origin.fact.path.is_empty()) {
            if origin.entries.is_empty() {
                self.follow(&origin.fact.path, step);
            }
            for (key, _) in &origin.entries {
                let path = [&origin.fact.path[..], std::slice::from_ref(key)].concat();
                self.follow(&path, step);
            }
        }
        for message in messages {
            for difference in &message.differences {
                match difference {
                    Difference::Lost { step } | Difference::Dropped { step } => {
                        self.find(*step);
                        self.find_sender(message.number);
                    }
                    Difference::Overtaken { .. } => self.find_sender(message.number),
                    Difference::Copied { .. } | Difference::Late { .. } | Difference::InFlight => {}
                }
            }
        }
    }

    /// Takes note of a step; what happened before the first is none.
    fn find(&mut self, step: usize) -> Option<&mut Found> {
        if step == 0 {
            return None;
        }
        if !self.found.contains_key(&step) {
            self.order.push(step);
            self.queue.push_back(step);
        }
        Some(self.found.entry(step).or_default())
    }

    fn find_sender(&mut self, number: usize) {
        let sent = self.replay.messages[number - 1].sent;
        if let Some(sender) = self.find(sent) {
            sender.sends.insert(number);
        }
    }

    /// Finds the steps up to `step` that wrote or lost the value at the end of `path`, back to one
    /// that made it another.
    fn follow(&mut self, path: &[String], step: usize) {
        for at in (1..=step.min(self.replay.steps.len())).rev() {
            let changes = &self.replay.steps[at - 1].changes;
            let touching = changes.iter().enumerate().filter(|(_, change)| touches(change, path));
            let touching: Vec<usize> = touching.map(|(index, _)| index).collect();
            if touching.is_empty() {
                continue;
            }
            if let Some(found) = self.find(at) {
                found.effects.extend(&touching);
            }
            if touching.iter().any(|index| How::of(&changes[*index]) == How::Changed) {
                return;
            }
        }
    }

    fn back_from(&mut self, step: usize) {
        let arrived = |message: &&Message| message.arrivals().any(|at| at == step);
        let arrived: Vec<usize> =
            self.replay.messages.iter().filter(arrived).map(|message| message.number).collect();
        arrived.into_iter().for_each(|number| self.find_sender(number));
        let changes = &self.replay.steps[step - 1].changes;
        let telling = |change: &&Change| {
            let is_bookkeeping = change.path.iter().any(|part| P::is_bookkeeping(part));
            How::of(change) != How::Changed && !is_bookkeeping
        };
        let known = |path: &[String]| {
            let mut before = self.replay.steps[..step - 1].iter();
            before.any(|was| was.changes.iter().any(|change| touches(change, path)))
        };
        let again: Vec<Vec<String>> = changes
            .iter()
            .filter(telling)
            .filter(|change| known(&change.path))
            .map(|change| change.path.clone())
            .collect();
        again.iter().for_each(|path| self.follow(path, step));
    }

    fn link(&self, step: usize) -> Link {
        let (was, found) = (&self.replay.steps[step - 1], &self.found[&step]);
        let effect = |index: &usize| {
            let Change { path, before, .. } = &was.changes[*index];
            let since = before.is_some().then(|| self.replay.written(step - 1, path));
            Effect { place: way(path), how: How::of(&was.changes[*index]), since: since.flatten() }
        };
        Link {
            step,
            action: named(&self.replay.messages, step, &was.action),
            decisions: was.decisions.clone(),
            effects: found.effects.iter().map(effect).collect(),
            sends: found.sends.iter().map(|number| crate::messages::name(*number)).collect(),
        }
    }
}

/// Whether a change is of the value at the end of `path`, of something in it, or of what it is in.
fn touches(change: &Change, path: &[String]) -> bool {
    let same = |(one, two): (&String, &String)| one == two || *one == field_name(two);
    change.path.iter().zip(path).all(same)
}
