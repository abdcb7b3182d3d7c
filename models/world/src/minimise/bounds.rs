//! Scenarios with tighter bounds, for a run that does not need the wider ones: what it does not use,
//! and actors whose part another can take.

use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use crate::scenario::{Fault, Outside, Scenario};
use crate::walk::fault_of;
use counterfoil_protocol::resources::ClassInventory;
use counterfoil_protocol::{Actor, NodeId, RequestId, SchedulerId};
use std::collections::{BTreeMap, BTreeSet};

/// Tighter scenarios, each with the run as it is written there: without faults, requests and orders
/// that do not happen, without the last node, without the last scheduler, with smaller nodes and
/// requests.
pub(super) fn tighter<P: Protocol>(
    world: &World<P>,
    states: &[Cluster<P>],
    steps: &[Action<P>],
) -> Vec<(Scenario, Vec<Action<P>>)> {
    let scenario = &world.scenario;
    let mut all = fewer_faults(world, states, steps);
    let made: BTreeSet<u8> = steps.iter().filter_map(outside_of).collect();
    let unmade: Vec<u8> =
        (0..world.outside.len() as u8).filter(|index| !made.contains(index)).collect();
    if unmade.len() > 1 {
        all.push(without_outside(scenario, &unmade, steps));
    }
    all.extend(unmade.iter().map(|index| without_outside(scenario, &[*index], steps)));
    if scenario.schedulers > 1 {
        let schedulers = scenario.schedulers - 1;
        all.push((Scenario { schedulers, ..scenario.clone() }, steps.to_vec()));
    }
    if scenario.nodes_at_start > 1 {
        let nodes_at_start = scenario.nodes_at_start - 1;
        all.push((Scenario { nodes_at_start, ..scenario.clone() }, steps.to_vec()));
    }
    all.extend(smaller(scenario).into_iter().map(|scenario| (scenario, steps.to_vec())));
    let joining = scenario.orders.iter().filter_map(|order| match order {
        Outside::Join(Actor::Node(NodeId(number))) => Some(*number),
        Outside::Join(_)
        | Outside::Place(_)
        | Outside::PlaceTogether(_)
        | Outside::Release(_)
        | Outside::Drain(_)
        | Outside::Undrain(_)
        | Outside::Inventory(..)
        | Outside::Disable(_)
        | Outside::Leave(_) => None,
    });
    let last = joining.chain([scenario.nodes_at_start]).max().unwrap_or_default() as usize;
    if scenario.nodes.len() > last {
        let nodes = scenario.nodes[..last].to_vec();
        all.push((Scenario { nodes, ..scenario.clone() }, steps.to_vec()));
    }
    all
}

/// Scenarios without the last scheduler or node, each with that one and one whose name it takes.
pub(super) fn without_an_actor(scenario: &Scenario) -> Vec<(Scenario, Actor, Actor)> {
    let scheduler = |number| Actor::Scheduler(SchedulerId(number));
    let node = |number| Actor::Node(NodeId(number));
    let (schedulers, nodes) = (scenario.schedulers, scenario.nodes_at_start);
    let fewer_schedulers = (1..schedulers).map(|other| {
        let fewer = Scenario { schedulers: schedulers - 1, ..scenario.clone() };
        (fewer, scheduler(schedulers), scheduler(other))
    });
    let fewer_nodes = (1..nodes).map(|other| {
        let mut fewer = Scenario { nodes_at_start: nodes - 1, ..scenario.clone() };
        fewer.nodes.swap(nodes as usize - 1, other as usize - 1);
        (fewer, node(nodes), node(other))
    });
    fewer_schedulers.chain(fewer_nodes).collect()
}

/// The faults that happen, as often as they do: all at once, or of one kind.
fn fewer_faults<P: Protocol>(
    world: &World<P>,
    states: &[Cluster<P>],
    steps: &[Action<P>],
) -> Vec<(Scenario, Vec<Action<P>>)> {
    let scenario = &world.scenario;
    let mut all = Vec::new();
    let mut used: BTreeMap<Fault, u8> = BTreeMap::new();
    for (now, action) in states.iter().zip(steps) {
        if let Some(fault) = fault_of(world, now, action) {
            *used.entry(fault).or_default() += 1;
        }
    }
    let idle = |(fault, times): (&Fault, &u8)| *times > used.get(fault).copied().unwrap_or(0);
    if scenario.faults.iter().any(idle) {
        all.push((Scenario { faults: used.clone(), ..scenario.clone() }, steps.to_vec()));
    }
    for (fault, _) in scenario.faults.iter().filter(|of| idle(*of)) {
        let mut tighter = scenario.clone();
        match used.get(fault) {
            Some(times) => tighter.faults.insert(*fault, *times),
            None => tighter.faults.remove(fault),
        };
        all.push((tighter, steps.to_vec()));
    }
    all
}

/// Nodes of one or two units each, requests for one.
fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    for (units, amount) in [(1, 1), (2, 1), (2, 2), (u64::MAX, 1)] {
        let mut tighter = scenario.clone();
        for node in &mut tighter.nodes {
            let classes = std::mem::take(&mut node.classes);
            let less = classes.iter().map(|(class, of)| {
                (class.clone(), ClassInventory { total: of.total.min(units), ..of.clone() })
            });
            node.classes = less.collect();
        }
        for request in &mut tighter.requests {
            let resources = std::mem::take(&mut request.resources);
            let less = resources.iter().map(|(class, of)| (class.clone(), of.min(amount)));
            request.resources = less.collect();
        }
        if tighter != *scenario {
            all.push(tighter);
        }
    }
    all
}

/// The outside input that an action is, by index.
fn outside_of<P: Protocol>(action: &Action<P>) -> Option<u8> {
    match action {
        Action::Outside(index, _) => Some(*index),
        Action::Torn(inner, _) => outside_of(inner),
        Action::Deliver(_)
        | Action::Copy(_)
        | Action::Lose(_)
        | Action::LoseAll
        | Action::Mail(_)
        | Action::Fire(..)
        | Action::Pick(..)
        | Action::Tell(..)
        | Action::Restart(_)
        | Action::Die(_)
        | Action::Twin(_)
        | Action::Disconnect(..) => None,
    }
}

/// The scenario without these outside inputs; the others are known by other indices there.
fn without_outside<P: Protocol>(
    scenario: &Scenario,
    unmade: &[u8],
    steps: &[Action<P>],
) -> (Scenario, Vec<Action<P>>) {
    let mut tighter = scenario.clone();
    let outside = scenario.outside();
    let stays = |index: usize| !unmade.contains(&(index as u8));
    let is_made = |request: RequestId| {
        outside.iter().enumerate().filter(|(index, _)| stays(*index)).any(|(_, one)| match one {
            Outside::Place(one) => one.id == request,
            Outside::PlaceTogether(bundle) => bundle.contains_key(&request),
            Outside::Release(_)
            | Outside::Drain(_)
            | Outside::Undrain(_)
            | Outside::Inventory(..)
            | Outside::Leave(_)
            | Outside::Disable(_)
            | Outside::Join(_) => false,
        })
    };
    tighter.requests.retain(|request| is_made(request.id));
    let mut index = outside.len() - scenario.orders.len()..;
    tighter.orders.retain(|_| index.next().is_some_and(stays));
    let moved = |index: u8| index - unmade.iter().filter(|gone| **gone < index).count() as u8;
    (tighter, steps.iter().map(|action| with_outside(action, &moved)).collect())
}

fn with_outside<P: Protocol>(action: &Action<P>, moved: &impl Fn(u8) -> u8) -> Action<P> {
    match action {
        Action::Outside(index, at) => Action::Outside(moved(*index), *at),
        Action::Torn(inner, kept) => Action::Torn(Box::new(with_outside(inner, moved)), *kept),
        Action::Deliver(_)
        | Action::Copy(_)
        | Action::Lose(_)
        | Action::LoseAll
        | Action::Mail(_)
        | Action::Fire(..)
        | Action::Pick(..)
        | Action::Tell(..)
        | Action::Restart(_)
        | Action::Die(_)
        | Action::Twin(_)
        | Action::Disconnect(..) => action.clone(),
    }
}
