//! The scenario that recordings are a run of.

use super::act::{CLIENT, Deed};
use super::join::OUTSIDE_MAX;
use super::tale::{AnyInput, Tale, Tales};
use super::{Aim, NotJoined};
use counterfoil_protocol::{
    Actor, Config, Demand, Inventory, NodeId, RequestId, Rule, SchedulerId, Set, client, node,
    scheduler,
};
use counterfoil_recording::Origin;
use counterfoil_world::network::Kind;
use counterfoil_world::scenario::{Design, Lapses, Outside, Request, Start, Timers};
use counterfoil_world::{Expect, Fault, Scenario};
use std::collections::BTreeMap;

/// A request as a scenario has it: what else the demand asks for is left out.
pub(super) fn request(id: RequestId, demand: &Demand, bundle: Set<RequestId>) -> Request {
    let Demand { resources, near, apart, .. } = demand.clone();
    Request { id, resources, near, apart, at: None, bundle }
}

pub(super) fn unlike(what: impl Into<String>) -> NotJoined {
    NotJoined::Unlike(what.into())
}

/// By event: which outside input it is.
pub(super) type OutsideInputs = BTreeMap<(Actor, usize), u8>;

/// The scenario that recordings are a run of, and which event is which outside input.
pub(super) fn scenario(
    tales: &Tales,
    past: &BTreeMap<Actor, usize>,
    aim: Aim<'_>,
    question: &str,
) -> Result<(Scenario, OutsideInputs), NotJoined> {
    let config = &tales.of[&aim.actor].config;
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
    let (schedulers, nodes) = cast(tales)?;
    let Asked { requests, orders, outside } = asked(tales, past)?;
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
        protocol: Design::Counterfoil,
        flaw: None,
        answer: None,
        numbers: Vec::new(),
        symmetry: false,
        distinct: None,
        without: off(config),
        network: Kind::Set,
        timers: Timers::Any,
        start: Start::Cold,
        lapses: Lapses::Free,
        schedulers,
        clients: tales.of.contains_key(&CLIENT),
        nodes_at_start: nodes.len() as u32,
        nodes,
        requests,
        orders,
        faults: faults.into_iter().map(|fault| (fault, u8::MAX)).collect(),
        only_lose: Vec::new(),
        faults_in_all: None,
        limits: config.limits.clone(),
    };
    Ok((scenario, outside))
}

/// How many schedulers there are, and what the nodes have.
fn cast(tales: &Tales) -> Result<(u32, Vec<Inventory>), NotJoined> {
    let last = |role: fn(&Actor) -> Option<u32>| tales.of.keys().filter_map(role).max();
    let nodes = last(|a| if let Actor::Node(id) = a { Some(id.0) } else { None }).unwrap_or(0);
    let schedulers = last(|a| if let Actor::Scheduler(id) = a { Some(id.0) } else { None });
    let schedulers = schedulers.unwrap_or(0);
    if nodes.max(schedulers) > Scenario::COUNT_MAX {
        let most = Scenario::COUNT_MAX;
        return Err(unlike(format!("the world has up to {most} nodes and schedulers")));
    }
    for id in 1..=schedulers {
        let actor = Actor::Scheduler(SchedulerId(id));
        if !tales.of.contains_key(&actor) {
            return Err(unlike(format!(
                "the world names schedulers from s1 on without gaps, and there is no recording of \
                 {actor}"
            )));
        }
    }
    let inventories = (1..=nodes).map(|id| inventory(tales, id)).collect::<Result<Vec<_>, _>>()?;
    Ok((schedulers, inventories))
}

/// What came from outside.
struct Asked {
    requests: Vec<Request>,
    orders: Vec<Outside>,
    outside: OutsideInputs,
}

fn asked(tales: &Tales, past: &BTreeMap<Actor, usize>) -> Result<Asked, NotJoined> {
    let (mut requests, mut orders) = (Vec::new(), Vec::new());
    let (mut places, mut later) = (Vec::new(), Vec::new());
    for (actor, tale) in &tales.of {
        let events = tale.events[..past[actor]].iter().enumerate();
        for (index, event) in events.filter(|(_, event)| event.has_effect) {
            let Deed::Outside(outside) = Deed::of(event, *actor) else { continue };
            let all = match outside {
                Outside::Place(one) => vec![one],
                Outside::PlaceTogether(all) => all.values().cloned().collect(),
                order @ (Outside::Release(_)
                | Outside::Drain(_)
                | Outside::Undrain(_)
                | Outside::Inventory(..)
                | Outside::Leave(_)
                | Outside::Disable(_)
                | Outside::Join(_)) => {
                    orders.push(order);
                    later.push((*actor, index));
                    continue;
                }
            };
            expressible(event.input.as_ref())?;
            requests.extend(all);
            places.push((*actor, index));
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
    Ok(Asked { requests, orders, outside: all.into_iter().zip(0..).collect() })
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
                return Err(unlike(format!(
                    "the world has one client, {CLIENT}, and {by} heard of {from}"
                )));
            }
        }
    }
    let others = tales.of.keys().find(|a| matches!(a, Actor::Client(_)) && **a != CLIENT);
    match others {
        Some(other) => Err(unlike(format!(
            "the world has one client, {CLIENT}, and there is a recording of {other}"
        ))),
        None => Ok(()),
    }
}

fn inventory(tales: &Tales, id: u32) -> Result<Inventory, NotJoined> {
    let actor = Actor::Node(NodeId(id));
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
