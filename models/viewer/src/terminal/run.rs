//! The run that is shown, and the branches that leave it.

use super::rows::Rows;
use super::writes::Writes;
use counterfoil_protocol::Actor;
use counterfoil_world::lanes::order;
use counterfoil_world::messages::follow;
use counterfoil_world::replay::{Step, judge};
use counterfoil_world::trace::{Kind, process_name};
use counterfoil_world::{Action, Cluster, Outcome, Protocol, Replay, Trace, replay};
use std::collections::BTreeSet;

/// A run with everything that is shown of it, worked out once.
pub(crate) struct Run<P: Protocol> {
    /// What the file is called.
    pub(crate) name: String,
    /// The run that is shown: that of the file, or a branch.
    pub(crate) trace: Trace<P>,
    pub(crate) replay: Replay<P>,
    /// Where the actors stand.
    pub(crate) lanes: Vec<Actor>,
    /// The rows of the diagram.
    pub(crate) rows: Rows,
    pub(crate) writes: Writes,
    /// The safety properties that are violated, by index, each with the step.
    pub(crate) violated: Vec<(usize, usize)>,
    /// For liveness: by state, whether the goal is true.
    pub(crate) goals: Vec<bool>,
    /// Counts the changes of what is shown.
    pub(crate) edition: usize,
    hidden: BTreeSet<Actor>,
    file: Trace<P>,
    file_outcome: Outcome,
    rest: Option<Rest<P>>,
}

/// What of the run of the file comes after the step at which a branch leaves it.
struct Rest<P: Protocol> {
    from: usize,
    states: Vec<Cluster<P>>,
    steps: Vec<Step>,
}

/// A branch: from where, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Branch<P: Protocol> {
    pub(crate) from: usize,
    pub(crate) steps: Vec<Action<P>>,
}

impl<P: Protocol> Run<P> {
    /// Runs a trace again.
    pub(crate) fn new(name: String, trace: Trace<P>) -> Self {
        let replay = replay(&trace);
        let mut run = Run {
            name,
            lanes: order(&replay),
            file: trace.clone(),
            file_outcome: replay.outcome.clone(),
            trace,
            rows: Rows::default(),
            writes: Writes::default(),
            violated: Vec::new(),
            goals: Vec::new(),
            edition: 0,
            hidden: BTreeSet::new(),
            rest: None,
            replay,
        };
        run.note(0);
        run
    }

    /// The number of the last step.
    pub(crate) fn last(&self) -> usize {
        self.replay.steps.len()
    }

    /// The step at which the property is violated.
    pub(crate) fn violation(&self) -> Option<usize> {
        violation(&self.replay.outcome)
    }

    /// What came of the run of the file, whatever is shown.
    pub(crate) fn file_outcome(&self) -> &Outcome {
        &self.file_outcome
    }

    /// The step after which the run repeats itself.
    pub(crate) fn loops(&self) -> Option<usize> {
        let start = self.trace.back_to.filter(|start| *start < self.last());
        start.filter(|_| self.trace.kind == Kind::Liveness && self.violation().is_some())
    }

    /// The branch that is shown.
    pub(crate) fn branch(&self) -> Option<Branch<P>> {
        let from = self.rest.as_ref()?.from;
        Some(Branch { from, steps: self.trace.steps[from..].to_vec() })
    }

    /// From where the branch that is shown leaves the run of the file.
    pub(crate) fn branched(&self) -> Option<usize> {
        self.rest.as_ref().map(|rest| rest.from)
    }

    /// The action that the run takes after this step.
    pub(crate) fn next_action(&self, step: usize) -> Option<&Action<P>> {
        self.trace.steps.get(step).filter(|_| step < self.last())
    }

    /// The run of the file, beside a branch of it: its actions, and its states.
    pub(crate) fn file(&self) -> Side<'_, P> {
        let (shared, rest) = match &self.rest {
            Some(rest) => (rest.from, Some(rest)),
            None => (self.last(), None),
        };
        let more = rest.map_or(&[][..], |rest| &rest.steps);
        let states = rest.map_or(&[][..], |rest| &rest.states);
        Side {
            actions: &self.file.steps[..shared + more.len()],
            steps: self.replay.steps[..shared].iter().chain(more).collect(),
            states: self.replay.states[..=shared].iter().chain(states).collect(),
            violation: violation(&self.file_outcome),
        }
    }

    /// The run that is shown.
    pub(crate) fn side(&self) -> Side<'_, P> {
        Side {
            actions: &self.trace.steps[..self.last()],
            steps: self.replay.steps.iter().collect(),
            states: self.replay.states.iter().collect(),
            violation: self.violation(),
        }
    }

    /// Whether the property, if it is one of safety, is violated in a state.
    pub(crate) fn violates(&self, state: &Cluster<P>) -> bool {
        let mut violated = state.violated.keys();
        violated.any(|property| P::safety()[*property].name == self.trace.property)
    }

    /// Draws only what these actors do or are told.
    pub(crate) fn hide(&mut self, hidden: &BTreeSet<Actor>) {
        self.hidden = hidden.clone();
        self.rows = Rows::of(self);
    }

    /// Whether an actor is drawn.
    pub(crate) fn is_drawn(&self, actor: Actor) -> bool {
        !self.hidden.contains(&actor)
    }

    /// The actors that are drawn.
    pub(crate) fn drawn(&self) -> Vec<Actor> {
        self.lanes.iter().copied().filter(|actor| !self.hidden.contains(actor)).collect()
    }

    /// Leaves the run that is shown after `step`, by `action`.
    pub(crate) fn go_on(&mut self, step: usize, action: &Action<P>) {
        let from = self.branched().unwrap_or(step).min(step);
        let mut steps = self.trace.steps[from..step].to_vec();
        steps.push(action.clone());
        self.show(Some(&Branch { from, steps }));
    }

    /// Shows a branch, or the run of the file.
    pub(crate) fn show(&mut self, branch: Option<&Branch<P>>) {
        let now = self.branch();
        let kept = match (&now, branch) {
            (Some(now), Some(then)) if now.from == then.from => {
                let pairs = now.steps.iter().zip(&then.steps);
                then.from + pairs.take_while(|(one, other)| one == other).count()
            }
            (now, then) => {
                let from = |branch: Option<&Branch<P>>| branch.map_or(usize::MAX, |b| b.from);
                self.join();
                from(now.as_ref()).min(from(then)).min(self.last())
            }
        };
        if let Some(then) = branch {
            let taken = kept.max(then.from);
            self.leave(then.from, taken);
            then.steps[taken - then.from..].iter().for_each(|action| self.replay.take(action));
        }
        self.trace = self.file.clone();
        if let Some(branch) = branch {
            let steps = [&self.file.steps[..branch.from], &branch.steps].concat();
            self.trace = Trace::new(self.file.scenario.clone(), &self.file.property, steps);
        }
        self.note(kept);
    }

    /// Keeps only the first `kept` steps, and sets aside what the file has after `from`.
    fn leave(&mut self, from: usize, kept: usize) {
        let Replay { states, steps, .. } = &mut self.replay;
        if self.rest.is_none() {
            let states = states.split_off(from + 1);
            self.rest = Some(Rest { from, states, steps: steps.split_off(from) });
        }
        states.truncate(kept + 1);
        steps.truncate(kept);
    }

    /// Goes back to the run of the file.
    fn join(&mut self) {
        let Some(rest) = self.rest.take() else { return };
        let Replay { states, steps, .. } = &mut self.replay;
        states.truncate(rest.from + 1);
        steps.truncate(rest.from);
        states.extend(rest.states);
        steps.extend(rest.steps);
    }

    /// Works out what is shown of the run, of which the first `kept` steps are as before.
    fn note(&mut self, kept: usize) {
        let last = self.last();
        self.edition += 1;
        self.writes.cut(kept);
        for step in kept + 1..=last {
            self.writes.note(step, &self.replay.steps[step - 1].changes);
        }
        self.replay.messages = follow(&self.replay.states, &self.trace.steps[..last]);
        self.note_goals(kept);
        self.replay.outcome = match self.rest {
            None => self.file_outcome.clone(),
            Some(_) => {
                self.close();
                judge(&self.trace, &self.replay)
            }
        };
        let known = self.replay.states.last().map(|state| &state.violated);
        let first = |property: &usize| {
            let states = self.replay.states.iter();
            states.enumerate().find(|(_, state)| state.violated.contains_key(property))
        };
        let violated = known.into_iter().flat_map(|violated| violated.keys());
        self.violated =
            violated.filter_map(|property| Some((*property, first(property)?.0))).collect();
        let new = self.replay.actors().into_iter().filter(|actor| !self.lanes.contains(actor));
        let new: Vec<Actor> = new.collect();
        self.lanes.extend(new);
        self.rows = Rows::of(self);
    }

    fn note_goals(&mut self, kept: usize) {
        let goals = P::liveness().iter();
        let index = goals.enumerate().find(|(_, of)| of.name == self.trace.property);
        let Some((index, _)) = index.filter(|_| self.trace.kind == Kind::Liveness) else { return };
        self.goals.truncate(kept + 1);
        for state in &self.replay.states[self.goals.len()..] {
            self.goals.push(P::is_reached(&self.replay.world, state, index));
        }
    }

    /// Whether a branch about liveness comes back to where it was, by fair steps and with the goal
    /// not true: then it can go on so for ever.
    fn close(&mut self) {
        if self.trace.kind == Kind::Safety {
            return;
        }
        let states = &self.replay.states;
        let last = self.last();
        let fair =
            |step: &usize| self.replay.world.is_fair(&states[*step], &self.trace.steps[*step]);
        let starts = (0..last).rev().take_while(fair);
        let start = starts.into_iter().find(|start| states[*start] == states[last]);
        self.trace.back_to = start.filter(|start| self.goals[*start..=last].contains(&false));
    }
}

fn violation(outcome: &Outcome) -> Option<usize> {
    match outcome {
        Outcome::Violated { step, .. } => Some(*step),
        Outcome::Holds { .. } | Outcome::Diverged(_) => None,
    }
}

/// A run, to be compared with another.
pub(crate) struct Side<'a, P: Protocol> {
    pub(crate) actions: &'a [Action<P>],
    pub(crate) steps: Vec<&'a Step>,
    pub(crate) states: Vec<&'a Cluster<P>>,
    /// The step at which its property is violated.
    pub(crate) violation: Option<usize>,
}

/// The names of an actor's lives in a state: the latest by the name of the actor, older ones by
/// name and life.
pub(crate) fn names<P: Protocol>(state: &Cluster<P>, actor: Actor) -> Vec<String> {
    let lives = state.processes.keys().filter(|address| address.actor == actor);
    let mut names: Vec<String> = lives.map(|address| process_name(state, *address)).collect();
    names.reverse();
    names
}
