//! Takes the events of recordings as actions of the world.

use super::NotJoined;
use super::act::{CLIENT, Deed};
use super::tale::{AnyInput, Tale, Tales};
use counterfoil_protocol::{
    Actor, Body, Config, Datagram, Demand, Output, RequestId, Rule, Set, client, node, scheduler,
};
use counterfoil_recording::Origin;
use counterfoil_world::cluster::Cluster;
use counterfoil_world::network::Kind;
use counterfoil_world::scenario::{Lapses, Outside, Request, Start, Timers};
use counterfoil_world::{
    Action, Counterfoil, Expect, Fault, Outcome, Protocol, Scenario, Trace, World, replay,
};
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
    /// Which, in [`Tale::events`].
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
            for print in event.outputs.iter().filter_map(|output| print_said(*actor, output)) {
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

fn print_said(me: Actor, output: &Output) -> Option<u64> {
    match output {
        Output::Send(datagram) => Some(print(ends(datagram))),
        Output::Call(to, call) => Some(print((Actor::Scheduler(*to), "call", call.attempt))),
        Output::Answer(_, answer) => {
            Some(print((answer.attempt, discriminant(&answer.placement))))
        }
        Output::Persist(_)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..)
        | Output::Notice(_) => {
            let _ = me;
            None
        }
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

/// A request as a scenario has it: what else the demand asks for is left out.
pub(super) fn request(id: RequestId, demand: &Demand, bundle: Set<RequestId>) -> Request {
    let Demand { resources, near, apart, .. } = demand.clone();
    Request { id, resources, near, apart, at: None, bundle }
}

fn unlike(what: impl Into<String>) -> NotJoined {
    NotJoined::Unlike(what.into())
}

/// By event: which outside input it is.
type OutsideInputs = BTreeMap<(Actor, usize), u8>;

/// The scenario that recordings are a run of.
fn scenario(
    tales: &Tales,
    past: &BTreeMap<Actor, usize>,
    aim: Aim<'_>,
    question: &str,
) -> Result<(Scenario, OutsideInputs), NotJoined> {
    let tale = &tales.of[&aim.actor];
    let config = &tale.config;
    for (actor, other) in tales.of.iter().filter(|(actor, _)| past[actor] > 0) {
        if !other.is_whole {
            return Err(NotJoined::NoStart(*actor));
        }
        if (other.config.rules, &other.config.limits) != (config.rules, &config.limits) {
            return Err(unlike(format!(
                "{actor} and {} have other limits or rules, and in the world all have the same",
                aim.actor
            )));
        }
    }
    heard_of(tales, past)?;
    let count = |role: fn(&Actor) -> Option<u32>| tales.of.keys().filter_map(role).max();
    let nodes = count(|a| if let Actor::Node(id) = a { Some(id.0) } else { None }).unwrap_or(0);
    let schedulers = count(|a| if let Actor::Scheduler(id) = a { Some(id.0) } else { None });
    let inventories = (1..=nodes).map(|id| inventory(tales, id)).collect::<Result<Vec<_>, _>>()?;
    let schedulers = schedulers.unwrap_or(0);
    for id in 1..=schedulers {
        let actor = Actor::Scheduler(counterfoil_protocol::SchedulerId(id));
        if !tales.of.contains_key(&actor) {
            return Err(unlike(format!("the world names schedulers from s1 on without gaps, and there is no recording of {actor}")));
        }
    }
    if nodes.max(schedulers) > Scenario::COUNT_MAX {
        return Err(unlike(format!("the world has up to {} nodes and schedulers", Scenario::COUNT_MAX)));
    }
    let mut requests = Vec::new();
    let mut orders = Vec::new();
    let mut places = Vec::new();
    let mut later = Vec::new();
    for (actor, tale) in &tales.of {
        for (index, event) in tale.events[..past[actor]].iter().enumerate() {
            if !event.has_effect {
                continue;
            }
            match Deed::of(event, *actor) {
                Deed::Outside(Outside::Place(one)) => {
                    expressible(event.input.as_ref())?;
                    requests.push(one);
                    places.push((*actor, index));
                }
                Deed::Outside(Outside::PlaceTogether(all)) => {
                    expressible(event.input.as_ref())?;
                    requests.extend(all.values().cloned());
                    places.push((*actor, index));
                }
                Deed::Outside(order) => {
                    orders.push(order);
                    later.push((*actor, index));
                }
                _ => {}
            }
        }
    }
    let all: Vec<(Actor, usize)> = places.into_iter().chain(later).collect();
    if all.len() > OUTSIDE_MAX {
        return Err(unlike(format!(
            "{} requests and orders led to it, and a run of the world has up to {OUTSIDE_MAX}: \
             record fewer",
            all.len()
        )));
    }
    let outside = all.into_iter().zip(0..).collect();
    let faults = [
        Fault::NodeRestart,
        Fault::SchedulerRestart,
        Fault::ClientRestart,
        Fault::Disconnect,
        Fault::Suspicion,
        Fault::Forget,
        Fault::Impatience,
    ];
    let expect = match aim.is_violated {
        true => Expect::Violates(aim.property.to_owned()),
        false => Expect::Holds,
    };
    let scenario = Scenario {
        name: "recorded".to_owned(),
        question: question.to_owned(),
        expect,
        symmetry: false,
        distinct: None,
        without: off(config),
        network: Kind::Set,
        timers: Timers::Any,
        start: Start::Cold,
        lapses: Lapses::Free,
        schedulers,
        clients: tales.of.contains_key(&CLIENT),
        nodes: inventories,
        nodes_at_start: nodes,
        requests,
        orders,
        faults: faults.into_iter().map(|fault| (fault, u8::MAX)).collect(),
        faults_in_all: None,
        limits: config.limits.clone(),
    };
    Ok((scenario, outside))
}

fn off(config: &Config) -> Vec<Rule> {
    Rule::ALL.into_iter().filter(|rule| !config.rules.has(*rule)).collect()
}

/// Everyone of whom someone heard must be there.
fn heard_of(tales: &Tales, past: &BTreeMap<Actor, usize>) -> Result<(), NotJoined> {
    for (by, tale) in &tales.of {
        for event in &tale.events[..past[by]] {
            let from = match &event.input {
                Some(
                    AnyInput::Node(node::Input::Datagram(datagram))
                    | AnyInput::Scheduler(scheduler::Input::Datagram(datagram))
                    | AnyInput::Client(client::Input::Datagram(datagram)),
                ) => datagram.src.actor,
                Some(AnyInput::Scheduler(scheduler::Input::Call(from, _))) => Actor::Client(*from),
                Some(AnyInput::Client(client::Input::Chosen(_, to))) => Actor::Scheduler(*to),
                Some(_) | None => continue,
            };
            let is_client = matches!(from, Actor::Client(_));
            let is_there = tales.of.contains_key(&from)
                || is_client && matches!(by, Actor::Node(_)) && tales.of.contains_key(&CLIENT);
            if !is_there {
                return Err(NotJoined::Missing { missing: from, by: *by });
            }
            if is_client && from != CLIENT && !matches!(by, Actor::Node(_)) {
                return Err(unlike(format!("the world has one client, {CLIENT}, and {by} heard of {from}")));
            }
        }
    }
    let others = tales.of.keys().find(|a| matches!(a, Actor::Client(_)) && **a != CLIENT);
    match others {
        Some(other) => Err(unlike(format!("the world has one client, {CLIENT}, and there is a recording of {other}"))),
        None => Ok(()),
    }
}

fn inventory(tales: &Tales, id: u32) -> Result<counterfoil_protocol::Inventory, NotJoined> {
    let actor = Actor::Node(counterfoil_protocol::NodeId(id));
    let Some(Tale { origin: Origin::Node(_, disk), .. }) = tales.of.get(&actor) else {
        return Err(unlike(format!(
            "the world names nodes from n1 on without gaps, and there is no recording of {actor}"
        )));
    };
    if *disk != node::Disk::new(disk.inventory.clone()) {
        return Err(NotJoined::NoStart(actor));
    }
    Ok(disk.inventory.clone())
}

/// Whether the world can ask for what a client was asked for.
fn expressible(input: Option<&AnyInput>) -> Result<(), NotJoined> {
    let demands: Vec<(RequestId, &Demand)> = match input {
        Some(AnyInput::Client(client::Input::Order(client::Order::Place(id, demand)))) => {
            vec![(*id, demand)]
        }
        Some(AnyInput::Client(client::Input::Order(client::Order::PlaceTogether(all)))) => {
            all.iter().map(|(id, demand)| (*id, demand)).collect()
        }
        Some(_) | None => Vec::new(),
    };
    for (id, demand) in demands {
        if request(id, demand, Set::default()).demand() != *demand {
            return Err(unlike(format!(
                "request {id} asks for traits, a zone or aggregates, and no request of the world can"
            )));
        }
    }
    Ok(())
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
            let actors: Vec<Actor> =
                last.into_iter().chain(self.past.keys().copied()).collect();
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
            let between = |action: &&Action<Counterfoil>| match action {
                Action::Disconnect(one, two) => {
                    [one.actor, two.actor].iter().all(|end| [actor, other].contains(end))
                }
                _ => false,
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
        let Some(last) = self.at[&actor].checked_sub(1) else { return false };
        let Some(event) = self.tales.of[&actor].events.get(last) else { return false };
        let address = Counterfoil::address(&event.after);
        self.state.processes.get(&address).is_none_or(|process| **process != event.after)
    }
}
