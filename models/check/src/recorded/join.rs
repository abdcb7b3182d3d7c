//! Takes the events of recordings as actions of the world.

use super::NotJoined;
use super::act::Deed;
use super::scenario::{OutsideInputs, scenario, unlike};
use super::tale::{AnyInput, Tales};
use counterfoil_protocol::{Actor, Body, Datagram, Output, client, node, scheduler};
use counterfoil_world::cluster::Cluster;
use counterfoil_world::{Action, Counterfoil, Outcome, Protocol, Scenario, Trace, World, replay};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;
use std::path::Path;

/// How many requests and orders a run of the world may have.
pub const OUTSIDE_MAX: usize = 255;

/// How long a run of the world may be.
const STEPS_MAX: usize = 50_000;

/// What the run is to lead to.
#[derive(Clone, Copy, Debug)]
pub struct Aim<'a> {
    /// The property that the trace is about.
    pub property: &'a str,
    /// Whether it is violated there. If not, the run ends with the last event before.
    pub is_violated: bool,
    /// Whose event it is.
    pub actor: Actor,
    /// Which, in [`super::Tale::events`].
    pub event: usize,
}

/// A run of the world made of recordings.
#[derive(Debug)]
pub struct Joined {
    /// The run.
    pub trace: Trace<Counterfoil>,
    /// How many events of the recordings it is made of.
    pub events: usize,
    /// How many of these are no step of it: they changed nothing, or the world does them by itself.
    pub left_out: usize,
    /// Who, at its end, is not what it was recorded to be.
    pub unlike: Vec<Actor>,
}

impl Tales {
    /// The event after which a recording was at this step: whose it is, and which.
    pub fn event(&self, recording: &Path, step: u64) -> Option<(Actor, usize)> {
        self.of.iter().find_map(|(actor, tale)| {
            let is = |event: &super::Event| event.recording == recording && event.step == step;
            Some((*actor, tale.events.iter().position(is)?))
        })
    }
}

/// Makes a run of the world that leads to `aim`. `question` and `command` are those of its trace.
///
/// # Errors
/// Says what is in the way.
pub fn join(
    tales: &Tales,
    aim: Aim<'_>,
    question: &str,
    command: &str,
) -> Result<Joined, NotJoined> {
    let mut past = past(tales, aim);
    if !aim.is_violated {
        past.insert(aim.actor, aim.event);
    }
    let (scenario, outside) = scenario(tales, &past, aim, question)?;
    let world: World<Counterfoil> = World::new(scenario);
    let state = world.initial();
    let at = past.keys().map(|actor| (*actor, 1)).collect();
    let mut joining =
        Joining { tales, world, state, steps: Vec::new(), past, at, outside, left_out: 0 };
    let index = Counterfoil::safety().iter().position(|known| known.name == aim.property);
    let sought = index.filter(|_| aim.is_violated);
    joining.go(sought)?;
    joining.finish(aim, sought, command)
}

/// How many events of each actor can have led to the aim.
fn past(tales: &Tales, aim: Aim<'_>) -> BTreeMap<Actor, usize> {
    let mut said: HashMap<u64, (Actor, usize)> = HashMap::new();
    for (actor, tale) in &tales.of {
        for (index, event) in tale.events.iter().enumerate() {
            for print in event.outputs.iter().filter_map(print_said) {
                said.entry(print).or_insert((*actor, index));
            }
        }
    }
    let first = if aim.is_violated { Some(aim.event) } else { aim.event.checked_sub(1) };
    let mut past: BTreeMap<Actor, usize> = tales.of.keys().map(|actor| (*actor, 0)).collect();
    let mut todo: Vec<(Actor, usize)> = first.map(|event| (aim.actor, event)).into_iter().collect();
    while let Some((actor, event)) = todo.pop() {
        let known = past.entry(actor).or_default();
        let new = *known..event + 1;
        *known = (*known).max(event + 1);
        for event in &tales.of[&actor].events[new.start.min(new.end)..new.end] {
            let heard = event.input.as_ref().and_then(|input| print_heard(actor, input));
            todo.extend(heard.and_then(|print| said.get(&print)).copied());
        }
    }
    past
}

fn print(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Of a client only that it is one counts: a scheduler puts another name on what it passes on.
fn ends(datagram: &Datagram) -> (Option<Actor>, Option<Actor>, &Body) {
    let end = |actor| (!matches!(actor, Actor::Client(_))).then_some(actor);
    (end(datagram.src.actor), end(datagram.dst.actor), &datagram.body)
}

fn print_said(output: &Output) -> Option<u64> {
    match output {
        Output::Send(datagram) => Some(print(ends(datagram))),
        Output::Call(to, call) => Some(print((Actor::Scheduler(*to), "call", call.attempt))),
        Output::Answer(_, answer) => Some(print((answer.attempt, discriminant(&answer.placement)))),
        Output::Persist(_)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..)
        | Output::Notice(_) => None,
    }
}

fn print_heard(me: Actor, input: &AnyInput) -> Option<u64> {
    match input {
        AnyInput::Node(node::Input::Datagram(datagram))
        | AnyInput::Scheduler(scheduler::Input::Datagram(datagram))
        | AnyInput::Client(client::Input::Datagram(datagram)) => Some(print(ends(datagram))),
        AnyInput::Scheduler(scheduler::Input::Call(_, call)) => {
            Some(print((me, "call", call.attempt)))
        }
        AnyInput::Client(client::Input::Answer(answer)) => {
            Some(print((answer.attempt, discriminant(&answer.placement))))
        }
        AnyInput::Node(_) | AnyInput::Scheduler(_) | AnyInput::Client(_) => None,
    }
}

/// A run of the world while it is made.
struct Joining<'a> {
    tales: &'a Tales,
    world: World<Counterfoil>,
    state: Cluster<Counterfoil>,
    steps: Vec<Action<Counterfoil>>,
    /// How many events of each actor are to be taken.
    past: BTreeMap<Actor, usize>,
    /// How many of each have been.
    at: BTreeMap<Actor, usize>,
    outside: OutsideInputs,
    left_out: usize,
}

impl Joining<'_> {
    /// Takes events until all are taken, the property is violated, or none can be.
    fn go(&mut self, sought: Option<usize>) -> Result<(), NotJoined> {
        let mut last = None;
        while !sought.is_some_and(|index| self.state.violated.contains_key(&index)) {
            if self.steps.len() > STEPS_MAX {
                return Err(unlike(format!("more than {STEPS_MAX} steps led to it: record fewer")));
            }
            if self.answers() {
                continue;
            }
            // Whoever acted goes on for as long as it can: so the run is calm.
            let actors: Vec<Actor> = last.into_iter().chain(self.past.keys().copied()).collect();
            let acted = actors.iter().copied().find(|actor| self.advances(*actor, false));
            // A life ends once nothing else can happen: with it goes what is under way to it.
            let acted = acted.or_else(|| actors.into_iter().find(|a| self.advances(*a, true)));
            if acted.is_none() {
                return Ok(());
            }
            last = acted;
        }
        Ok(())
    }

    /// If a driver has a question to answer: as it did, or, if it was killed before, anyhow.
    fn answers(&mut self) -> bool {
        if self.state.choices.is_empty() {
            return false;
        }
        let enabled = self.world.enabled(&self.state);
        let Some(Action::Pick(asker, _)) = enabled.first() else { return false };
        let actor = asker.actor;
        let next = self.tales.of[&actor].events.get(self.at[&actor]);
        let deed = next.map(|event| Deed::of(event, actor));
        let answer = deed.and_then(|deed| enabled.iter().find(|a| deed.is(actor, a, None)));
        if answer.is_some() {
            self.count(actor);
        }
        let answer = answer.unwrap_or(&enabled[0]).clone();
        self.take(answer);
        true
    }

    /// Takes the next event of an actor, if it can be taken now.
    fn advances(&mut self, actor: Actor, ends: bool) -> bool {
        let at = self.at[&actor];
        if at >= self.past[&actor] {
            return false;
        }
        let event = &self.tales.of[&actor].events[at];
        let deed = Deed::of(event, actor);
        if matches!(deed, Deed::Start) && !ends {
            return false;
        }
        let index = self.outside.get(&(actor, at)).copied();
        let enabled = self.world.enabled(&self.state);
        if let Some(action) = enabled.iter().find(|action| deed.is(actor, action, index)) {
            let action = action.clone();
            self.count(actor);
            self.take(action);
            return true;
        }
        let by_itself = matches!(deed, Deed::Pick(_) | Deed::Tell(_) | Deed::Forget);
        if by_itself || !event.has_effect {
            self.count(actor);
            self.left_out += 1;
            return true;
        }
        if let Deed::Broken(other) = deed {
            let between = |action: &&Action<Counterfoil>| {
                let Action::Disconnect(one, two) = action else { return false };
                [one.actor, two.actor].iter().all(|end| [actor, other].contains(end))
            };
            if let Some(action) = enabled.iter().find(between).cloned() {
                self.take(action);
                return true;
            }
        }
        false
    }

    fn count(&mut self, actor: Actor) {
        *self.at.get_mut(&actor).expect("it has a tale") += 1;
    }

    fn take(&mut self, action: Action<Counterfoil>) {
        self.state = self.world.apply(&self.state, &action);
        self.steps.push(action);
    }

    fn finish(
        self,
        aim: Aim<'_>,
        sought: Option<usize>,
        command: &str,
    ) -> Result<Joined, NotJoined> {
        let is_found = sought.is_some_and(|index| self.state.violated.contains_key(&index));
        if !is_found {
            let waits = self.past.iter().find(|(actor, past)| self.at[actor] < **past);
            if let Some((actor, _)) = waits {
                let event = &self.tales.of[actor].events[self.at[actor]];
                let (path, step) = (event.recording.clone(), event.step);
                return Err(NotJoined::Stuck { path, step, what: Deed::of(event, *actor).words() });
            }
            if sought.is_some() {
                return Err(NotJoined::Holds { property: aim.property.to_owned() });
            }
        }
        let unlike = self.past.keys().copied().filter(|actor| self.is_unlike(*actor)).collect();
        let events = self.at.values().sum();
        let mut scenario = self.world.scenario.clone();
        for (fault, times) in &mut scenario.faults {
            *times -= self.state.budget.get(fault).copied().unwrap_or_default();
        }
        scenario.faults.retain(|_, times| *times > 0);
        let made = |scenario: Scenario| {
            let mut trace = Trace::new(scenario, aim.property, self.steps.clone());
            trace.engine = "joined from recordings".to_owned();
            trace.command = command.to_owned();
            trace
        };
        // With no more faults than there were, less may happen; not less than this, as a rule.
        let tight = made(scenario);
        let trace = match (&replay(&tight).outcome, is_found) {
            (Outcome::Violated { .. }, true) | (Outcome::Holds { .. }, false) => tight,
            _ => made(self.world.scenario.clone()),
        };
        Ok(Joined { trace, events, left_out: self.left_out, unlike })
    }

    fn is_unlike(&self, actor: Actor) -> bool {
        // Of who only started, the world tells at once whom it was told of later.
        let Some(last) = self.at[&actor].checked_sub(1).filter(|last| *last > 0) else {
            return false;
        };
        let Some(event) = self.tales.of[&actor].events.get(last) else { return false };
        let address = Counterfoil::address(&event.after);
        self.state.processes.get(&address).is_none_or(|process| **process != event.after)
    }
}
