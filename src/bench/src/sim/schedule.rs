//! Fault schedules: a small cluster, what is asked of it, and what befalls it, all drawn from one seed.

use super::draw::permille;
use super::links::{Links, Sides};
use counterfoil_placement::PolicyName;
use counterfoil_protocol::{
    Actor, ClassInventory, Config, GroupId, Intervals, Inventory, Limits, Map, NodeId, RequestId,
    ResourceClass, Rule, SchedulerId, Set,
};
use counterfoil_world::network::Kind;
use counterfoil_world::scenario::{Design, Lapses, Outside, Request, Start, Timers};
use counterfoil_world::walk::plan::FAULTS;
use counterfoil_world::{Expect, Scenario};
use fastrand::Rng;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How many processes there are at the start, the client included.
pub(crate) const PROCESSES: RangeInclusive<u32> = 5..=20;
/// The fewest faults of a schedule.
pub(crate) const FAULTS_MIN: usize = 3;
/// The fewest steps of a schedule.
pub(crate) const STEPS_MIN: u64 = 500;

const SCHEDULERS_MAX: u32 = 5;
const FAULTS_MAX: usize = 12;
const REQUESTS: RangeInclusive<u64> = 8..=30;
/// How long requests, orders and faults go on, in microseconds.
const SPAN_US: u64 = 2_000_000;
/// About so many steps of a schedule are beats and what follows from them.
const BEAT_STEPS: u64 = 600;

/// Something that befalls a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The outside input of this index.
    Outside(usize),
    /// A fault.
    Fault(Fault),
    /// Nothing is parted any more.
    Heal,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A crash, and the next life.
    Restart(Actor),
    /// The next step that writes is cut short by a crash.
    Tear(Actor),
    /// A crash for good.
    Die(SchedulerId),
    /// The client's connection to a scheduler breaks.
    Disconnect(SchedulerId),
    /// Nothing passes between two sides.
    Part(Sides),
    /// Everything in flight is lost.
    LoseAll,
}

impl Fault {
    /// The name in reports.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Fault::Restart(Actor::Node(_)) => "node_restart",
            Fault::Restart(Actor::Scheduler(_)) => "scheduler_restart",
            Fault::Restart(Actor::Client(_)) => "client_restart",
            Fault::Tear(_) => "torn_write_due",
            Fault::Die(_) => "scheduler_death",
            Fault::Disconnect(_) => "disconnect",
            Fault::Part(_) => "partition",
            Fault::LoseAll => "lose_all",
        }
    }
}

/// A schedule.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) scenario: Scenario,
    pub(crate) config: Config,
    pub(crate) links: Links,
    pub(crate) policy: PolicyName,
    /// What befalls the cluster, and when, in microseconds; in order.
    pub(crate) events: Vec<(u64, What)>,
}

/// The schedule of a seed, `without` these rules.
pub(crate) fn schedule(seed: u64, without: &[Rule]) -> Schedule {
    let rng = &mut Rng::with_seed(seed);
    let processes = rng.u32(PROCESSES);
    let schedulers = rng.u32(1..=SCHEDULERS_MAX.min(processes - 3));
    let nodes = processes - schedulers - 1;
    let units = rng.u64(1..=4);
    let inventories: Vec<Inventory> =
        (0..nodes + 1).map(|_| inventory(rng.u64(1..=units))).collect();
    let requests = requests(rng);
    let orders = orders(rng, nodes, schedulers, requests.len() as u64, units);
    let limits = limits(rng);
    let intervals = intervals(rng, u64::from(nodes * schedulers));
    let scenario = Scenario {
        name: format!("seed {seed}"),
        question: "Does anything go wrong in this fault schedule?".to_owned(),
        expect: Expect::Holds,
        protocol: Design::Counterfoil,
        flaw: None,
        answer: None,
        numbers: Vec::new(),
        symmetry: false,
        distinct: None,
        without: without.to_vec(),
        network: Kind::Set,
        timers: Timers::Any,
        start: Start::Cold,
        lapses: Lapses::Free,
        schedulers,
        clients: true,
        nodes: inventories,
        nodes_at_start: nodes,
        requests,
        orders,
        faults: FAULTS.into_iter().map(|fault| (fault, u8::MAX)).collect(),
        only_lose: Vec::new(),
        faults_in_all: None,
        limits: limits.clone(),
    };
    let events = events(rng, &scenario);
    let config = Config { rules: scenario.rules(), limits, intervals };
    let links = links(rng);
    let policy = PolicyName::ALL[rng.usize(..PolicyName::ALL.len())];
    Schedule { scenario, config, links, policy, events }
}

fn inventory(units: u64) -> Inventory {
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(units))].into_iter().collect();
    Inventory { classes, ..Inventory::default() }
}

/// Most requests have to do with no group; some are of a bundle.
fn requests(rng: &mut Rng) -> Vec<Request> {
    let count = rng.u64(REQUESTS);
    let mut requests = Vec::new();
    for id in 1..=count {
        let group = GroupId(rng.u64(1..=2));
        let joins = permille(rng, 250).then_some((ResourceClass::Group(group), 1));
        let amount = [(ResourceClass::Vcpu, rng.u64(1..=2))];
        let near: Set<GroupId> = permille(rng, 60).then_some(group).into_iter().collect();
        let apart: Map<GroupId, u32> =
            permille(rng, 120).then(|| (group, rng.u32(0..=1))).into_iter().collect();
        let resources = amount.into_iter().chain(joins).collect();
        let (id, at, bundle) = (RequestId(id), None, Set::default());
        requests.push(Request { id, resources, near, apart, at, bundle });
    }
    let mut rest = &mut requests[..];
    while rest.len() > 3 {
        let size = if permille(rng, 250) { rng.usize(2..=3) } else { 1 };
        let (members, others) = rest.split_at_mut(size);
        let bundle: Set<RequestId> = members.iter().map(|request| request.id).collect();
        if size > 1 {
            members.iter_mut().for_each(|request| request.bundle = bundle.clone());
        }
        rest = others;
    }
    requests
}

/// What else comes from outside. One more node and scheduler may join.
fn orders(rng: &mut Rng, nodes: u32, schedulers: u32, requests: u64, units: u64) -> Vec<Outside> {
    let mut orders = Vec::new();
    for _ in 0..rng.usize(0..=6) {
        let node = NodeId(rng.u32(1..=nodes));
        let order = match rng.u8(0..7) {
            0 | 1 => Outside::Drain(node),
            2 => Outside::Undrain(node),
            3 => Outside::Leave(node),
            4 => Outside::Inventory(node, inventory(rng.u64(0..=units))),
            5 => Outside::Join(Actor::Node(NodeId(nodes + 1))),
            _ => Outside::Join(Actor::Scheduler(SchedulerId(schedulers + 1))),
        };
        if !orders.contains(&order) {
            orders.push(order);
        }
    }
    for request in 1..=requests {
        if permille(rng, 200) {
            orders.push(Outside::Release(RequestId(request)));
        }
    }
    orders
}

/// One of these.
fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// Each limit is tight in most schedules, and out of reach in the others.
fn limits(rng: &mut Rng) -> Limits {
    Limits {
        attempts_max: one(rng, &[2, 3, 4, 16]),
        claims_per_attempt_max: one(rng, &[1, 2, 3, 16]),
        delta_log_max: one(rng, &[1, 2, 64]),
        fences_max: one(rng, &[2, 3, 64]),
        claims_open_max: one(rng, &[1, 2, 3, 64]),
        ..Limits::default()
    }
}

/// Beats are as rare as keeps a large cluster from doing nothing else.
fn intervals(rng: &mut Rng, pairs: u64) -> Intervals {
    let millis = |rng: &mut Rng, of: &[u64]| Duration::from_millis(one(rng, of));
    let beat_us = (pairs * 5 * SPAN_US / BEAT_STEPS).clamp(50_000, SPAN_US / 4);
    let beat = Duration::from_micros(beat_us);
    Intervals {
        announce: millis(rng, &[1, 5, 20]),
        beat,
        lapse: millis(rng, &[30, 150, 1_000]),
        silence: beat * one(rng, &[2, 3, 6]),
        resend: millis(rng, &[10, 40, 100]),
        retry: millis(rng, &[10, 100]),
        impatience: millis(rng, &[20, 300, 2_000]),
    }
}

fn links(rng: &mut Rng) -> Links {
    let delay_max_us = one(rng, &[500, 5_000, 50_000]);
    Links {
        loss: one(rng, &[0, 10, 100, 300]),
        copies: one(rng, &[0, 50, 300]),
        reorder: one(rng, &[0, 50, 300]),
        delay_min_us: one(rng, &[0, 100]),
        delay_max_us,
    }
}

/// What befalls the cluster, and when.
fn events(rng: &mut Rng, scenario: &Scenario) -> Vec<(u64, What)> {
    let outside = scenario.outside();
    let is_request = |what: &Outside| matches!(what, Outside::Place(_) | Outside::PlaceTogether(_));
    let requests = outside.iter().filter(|what| is_request(what)).count();
    // Requests come in their order: equal ones are told apart by it.
    let mut times: Vec<u64> = (0..requests).map(|_| rng.u64(0..SPAN_US)).collect();
    times.sort_unstable();
    times.extend((requests..outside.len()).map(|_| rng.u64(0..SPAN_US)));
    let outside = times.into_iter().enumerate().map(|(index, at)| (at, What::Outside(index)));
    let mut events: Vec<(u64, What)> = outside.collect();
    let mut deaths_left = scenario.schedulers - 1;
    for number in 0..rng.usize(FAULTS_MIN..=FAULTS_MAX) {
        let at = rng.u64(0..SPAN_US);
        let mut fault = fault(rng, scenario, &mut deaths_left);
        // Whether a step is cut short depends on what there is to cut.
        if let (true, Fault::Tear(actor)) = (number < FAULTS_MIN, &fault) {
            fault = Fault::Restart(*actor);
        }
        if let Fault::Part(_) = fault {
            events.push((at + rng.u64(10_000..SPAN_US / 2), What::Heal));
        }
        events.push((at, What::Fault(fault)));
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

fn fault(rng: &mut Rng, scenario: &Scenario, deaths_left: &mut u32) -> Fault {
    let node = Actor::Node(NodeId(rng.u32(1..=scenario.nodes_at_start)));
    let scheduler = SchedulerId(rng.u32(1..=scenario.schedulers));
    let client = Actor::Client(counterfoil_protocol::ClientId(1));
    let anyone = one(rng, &[node, node, Actor::Scheduler(scheduler), client]);
    match rng.u8(0..12) {
        0..=3 => Fault::Restart(anyone),
        // A scheduler writes nothing but its life.
        4..=6 => Fault::Tear(one(rng, &[node, node, client])),
        7 if *deaths_left > 0 => {
            *deaths_left -= 1;
            Fault::Die(scheduler)
        }
        7 | 8 => Fault::Disconnect(scheduler),
        9 | 10 => {
            let sides = |rng: &mut Rng, count: u32| (0..count).map(|_| rng.bool()).collect();
            let nodes = sides(rng, scenario.nodes_at_start);
            Fault::Part(Sides { nodes, schedulers: sides(rng, scenario.schedulers) })
        }
        _ => Fault::LoseAll,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_is_within_its_bounds() {
        for seed in 0..2_000 {
            let Schedule { scenario, events, .. } = schedule(seed, &[]);
            let processes = scenario.schedulers + scenario.nodes_at_start + 1;
            assert!(PROCESSES.contains(&processes), "{seed}: {processes}");
            let faults = events.iter().filter(|(_, what)| matches!(what, What::Fault(_)));
            assert!(faults.count() >= FAULTS_MIN, "{seed}");
            assert!(events.is_sorted_by_key(|(at, _)| *at), "{seed}");
            assert!(scenario.outside().len() <= usize::from(u8::MAX), "{seed}");
        }
    }
}
