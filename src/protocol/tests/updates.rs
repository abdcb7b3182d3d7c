//! Deltas and snapshots: whatever arrives, in whatever order, the cache is a state that the node
//! had.

use counterfoil_protocol::host_state::{DeltaLog, Touched};
use counterfoil_protocol::node::Order;
use counterfoil_protocol::{
    Actor, Address, Body, Claim, ClaimId, ClaimNumber, ClassInventory, Config, Datagram, Demand,
    Given, HostState, Incarnation, Inventory, Limits, Machine, Node, NodeId, Output, Relation,
    RequestId, ResourceClass, Resources, Resync, Scheduler, SchedulerId, Stamp, Status, Timer,
    Version, node, scheduler,
};
use proptest::prelude::*;

const CHANGES_MAX: usize = 12;

/// One change of a host state.
#[derive(Clone, Debug)]
enum Change {
    Inventory(u64),
    Status(Status),
    Used(ResourceClass, u64),
}

fn classes() -> impl Strategy<Value = ResourceClass> {
    prop::sample::select(vec![ResourceClass::Vcpu, ResourceClass::MemoryMb, ResourceClass::DiskGb])
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let status = prop::sample::select(vec![Status::Up, Status::Draining]);
    let change = prop_oneof![
        (0..5_u64).prop_map(Change::Inventory),
        status.prop_map(Change::Status),
        (classes(), 0..3_u64).prop_map(|(class, amount)| Change::Used(class, amount)),
    ];
    prop::collection::vec(change, 1..CHANGES_MAX)
}

fn inventory(total: u64) -> Inventory {
    let classes = [ResourceClass::Vcpu, ResourceClass::MemoryMb, ResourceClass::DiskGb];
    Inventory {
        classes: classes.into_iter().map(|class| (class, ClassInventory::of(total))).collect(),
        ..Inventory::default()
    }
}

/// The state at each version, and the log of all changes.
fn history(changes: &[Change]) -> (Vec<HostState>, DeltaLog) {
    let mut states = vec![HostState::default()];
    let mut log = DeltaLog::default();
    for change in changes {
        let mut state = states.last().expect("starts with one").clone();
        let touched = match change {
            Change::Inventory(total) => {
                state.inventory = inventory(*total);
                Touched::inventory()
            }
            Change::Status(status) => {
                state.status = *status;
                Touched::status()
            }
            Change::Used(class, amount) => {
                state.used.set(class.clone(), *amount);
                Touched::used(&[(class.clone(), 1)].into_iter().collect())
            }
        };
        log.note(Version(states.len() as u64), touched, CHANGES_MAX);
        states.push(state);
    }
    (states, log)
}

/// By the versions that a delta would bring and those that are missing, one by one.
fn relation_by_counting(life: u64, from: u64, to: u64, cached: Option<(u64, u64)>) -> Relation {
    let Some((cached_life, cached)) = cached else { return Relation::Gap };
    if life != cached_life {
        return if life < cached_life { Relation::Stale } else { Relation::Gap };
    }
    let missing: Vec<u64> = (cached + 1..=to).collect();
    let brings_all = missing.iter().all(|version| (from + 1..=to).contains(version));
    if missing.is_empty() {
        Relation::Stale
    } else if brings_all {
        Relation::Next
    } else {
        Relation::Gap
    }
}

/// Something that happens to a node.
#[derive(Clone, Debug)]
enum Event {
    Claim(ResourceClass, u64),
    Confirm(usize),
    Release(usize),
    Lapse(usize),
    Inventory(u64),
    Status(Status),
    Announce,
    Resync(Option<(u64, u64)>),
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let status = prop::sample::select(vec![Status::Up, Status::Draining]);
    let event = prop_oneof![
        6 => (classes(), 1..3_u64).prop_map(|(class, amount)| Event::Claim(class, amount)),
        1 => (0..9_usize).prop_map(Event::Confirm),
        2 => (0..9_usize).prop_map(Event::Release),
        2 => (0..9_usize).prop_map(Event::Lapse),
        1 => (0..9_u64).prop_map(Event::Inventory),
        1 => status.prop_map(Event::Status),
        4 => Just(Event::Announce),
        3 => prop::option::of((1..4_u64, 0..9_u64)).prop_map(Event::Resync),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..40)
}

const NODE: NodeId = NodeId(1);
const ME: Address =
    Address { actor: Actor::Scheduler(SchedulerId(1)), incarnation: Some(Incarnation(1)) };

/// A node under test, all that it said, and every host state that it had.
struct Run {
    node: Node,
    config: Given<Config>,
    claims: u64,
    said: Vec<Datagram>,
    states: Vec<(Stamp, HostState)>,
}

impl Run {
    fn start() -> Self {
        let limits = Limits { delta_log_max: 3, ..Limits::default() };
        let config = Given::new(Config { limits, ..Config::default() });
        let disk = node::Disk::new(inventory(4));
        let node = Node::start(NODE, disk, config.clone(), &mut Vec::new());
        let states = vec![(node.stamp(), node.host_state())];
        Run { node, config, claims: 0, said: Vec::new(), states }
    }

    fn id(&self, pick: usize) -> ClaimId {
        let number = ClaimNumber(pick as u64 % self.claims.max(1));
        let (scheduler, incarnation) = (SchedulerId(1), Incarnation(1));
        ClaimId { scheduler, incarnation, node: NODE, number }
    }

    fn give(&mut self, event: &Event) {
        let to_me =
            Address { actor: Actor::Node(NODE), incarnation: Some(self.node.incarnation()) };
        let says = |body| node::Input::Datagram(Datagram { src: ME, dst: to_me, body });
        let stamp =
            |(life, version)| Stamp { incarnation: Incarnation(life), version: Version(version) };
        let input = match event {
            Event::Claim(class, amount) => {
                self.claims += 1;
                let claim = self.id(self.claims as usize - 1);
                let resources = [(class.clone(), *amount)].into_iter().collect();
                let demand = Demand { resources, ..Demand::default() };
                let request = RequestId(claim.number.0);
                says(Body::Claim(Claim {
                    claim,
                    request,
                    demand: demand.into(),
                    floor: claim.number,
                }))
            }
            Event::Confirm(pick) => says(Body::Confirm(self.id(*pick))),
            Event::Release(pick) => says(Body::Release(self.id(*pick))),
            Event::Lapse(pick) => node::Input::Timer(Timer::Lapse(self.id(*pick))),
            Event::Inventory(total) => node::Input::Order(Order::Inventory(inventory(*total))),
            Event::Status(status) => node::Input::Order(Order::Status(*status)),
            Event::Announce => node::Input::Timer(Timer::Announce),
            Event::Resync(have) => says(Body::Resync(Resync { have: have.map(stamp) })),
            Event::Restart => {
                let (disk, config) = (self.node.durable.clone(), self.config.clone());
                self.node = Node::start(NODE, disk, config, &mut Vec::new());
                return self.states.push((self.node.stamp(), self.node.host_state()));
            }
        };
        let mut outputs = Vec::new();
        self.node.handle(input, &mut outputs);
        self.states.push((self.node.stamp(), self.node.host_state()));
        for output in outputs {
            if let Output::Send(datagram) = output {
                self.said.push(datagram);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_delta_that_follows_leads_to_the_state_at_its_end(changes in changes()) {
        let (states, log) = history(&changes);
        let version = |index: usize| Version(index as u64);
        for to in 1..states.len() {
            for from in 0..to {
                let touched = log.touched_since(version(from), version(to)).expect("all is kept");
                let delta = states[to].changes(&touched);
                for cached in states.iter().take(to).skip(from) {
                    let mut state = cached.clone();
                    state.apply(&delta);
                    prop_assert_eq!(&state, &states[to], "({}, {}]", from, to);
                    state.apply(&delta);
                    prop_assert_eq!(&state, &states[to], "twice is once");
                }
            }
        }
    }

    #[test]
    fn a_relation_is_what_counting_versions_says(
        life in 1..3_u64,
        from in 0..6_u64,
        to in 0..6_u64,
        cached in prop::option::of((1..3_u64, 0..6_u64)),
    ) {
        let stamp = cached.map(|(life, version)| Stamp {
            incarnation: Incarnation(life),
            version: Version(version),
        });
        let relation = Relation::of(Incarnation(life), Version(from), Version(to), stamp);
        prop_assert_eq!(relation, relation_by_counting(life, from, to, cached));
    }

    #[test]
    fn a_view_is_a_state_that_the_node_had(
        events in events(),
        arrivals in prop::collection::vec(0..1000_usize, 0..60),
    ) {
        let mut run = Run::start();
        events.iter().for_each(|event| run.give(event));
        let disk = scheduler::Disk::default();
        let mut scheduler =
            Scheduler::start(SchedulerId(1), disk, run.config.clone(), &mut Vec::new());
        let mut known: Option<Stamp> = None;
        for arrival in arrivals.iter().filter(|_| !run.said.is_empty()) {
            let datagram = run.said[arrival % run.said.len()].clone();
            scheduler.handle(scheduler::Input::Datagram(datagram), &mut Vec::new());
            let host = scheduler.nodes.get(&NODE).and_then(|peer| peer.host.clone());
            let Some(host) = host else { continue };
            prop_assert!(known <= Some(host.stamp), "the view went back");
            known = Some(host.stamp);
            prop_assert!(run.states.contains(&(host.stamp, host.state)), "no such state was");
        }
    }

    #[test]
    fn a_stamp_stands_for_one_state(events in events()) {
        let mut run = Run::start();
        events.iter().for_each(|event| run.give(event));
        for (stamp, state) in &run.states {
            let others = run.states.iter().filter(|(other, _)| other == stamp);
            for (_, other) in others {
                prop_assert_eq!(state, other, "{}", stamp);
            }
        }
        let mut sums = Resources::default();
        for allocation in run.node.durable.allocations.values() {
            sums.add(&allocation.demand.resources);
        }
        prop_assert_eq!(run.node.host_state().used, sums);
    }
}
