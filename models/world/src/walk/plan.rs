//! What a walk is to be, by proptest: made from a seed and a number, and made smaller.
//!
//! A third of the clusters are small (up to 2 schedulers, 2 nodes, 4 requests), where collisions
//! are frequent, a third middling (3 x 3 x 8), a third as large as walks go (5 x 8 x 30). Lengths
//! vary in the same way, and nobody walks longer than there is something to do. Proptest makes scenario, pace and length smaller; which
//! actions of the run are needed is left to [`mod@crate::minimise`], which knows them by what they
//! are, and not by the numbers that once chose them.

use super::pace::{Pace, paces};
use crate::network::Kind;
use crate::scenario::{Design, Expect, Fault, Lapses, Outside, Request, Scenario, Start, Timers};
use counterfoil_protocol::resources::ClassInventory;
use counterfoil_protocol::{
    Actor, GroupId, Inventory, Limits, Map, NodeId, RequestId, ResourceClass, Rule, SchedulerId,
    Set,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;

/// The most schedulers that a random cluster has from the start.
pub const SCHEDULERS_MAX: u32 = 5;
/// The most nodes that a random cluster has from the start.
pub const NODES_MAX: u32 = 8;
/// The most requests that are made in a random cluster.
pub const REQUESTS_MAX: usize = 30;

/// How many actions a walk takes at most for each outside input.
pub const STEPS_PER_INPUT_MAX: usize = 50;

/// What may go wrong on a walk: everything.
pub const FAULTS: [Fault; 14] = [
    Fault::Lose,
    Fault::Copy,
    Fault::LoseAll,
    Fault::NodeRestart,
    Fault::SchedulerRestart,
    Fault::ClientRestart,
    Fault::TornWrite,
    Fault::SchedulerDeath,
    Fault::Twin,
    Fault::Disconnect,
    Fault::Suspicion,
    Fault::Forget,
    Fault::Impatience,
    Fault::Lapse,
];

/// What a walk is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where.
    pub scenario: Scenario,
    /// How many actions it takes at most, before it is healed.
    pub length: usize,
    /// How the actions are weighed.
    pub pace: Pace,
    /// What chooses them.
    pub seed: u64,
}

/// Plans that can be made.
#[derive(Clone, Debug)]
pub struct Plans {
    /// Where; random clusters if nowhere.
    scenario: Option<Scenario>,
    /// The rules that are off in random clusters.
    without: Vec<Rule>,
    steps_max: usize,
}

impl Plans {
    /// Walks of up to `steps_max` actions in random clusters, `without` these rules.
    pub fn random(steps_max: usize, without: &[Rule]) -> Plans {
        Plans { scenario: None, without: without.to_vec(), steps_max }
    }

    /// Walks of up to `steps_max` actions in this scenario, within its bounds.
    pub fn within(scenario: &Scenario, steps_max: usize) -> Plans {
        Plans { scenario: Some(scenario.clone()), without: Vec::new(), steps_max }
    }

    fn scenarios(&self) -> BoxedStrategy<Scenario> {
        match self.scenario.clone() {
            Some(scenario) => Just(scenario).boxed(),
            None => {
                let without = self.without.clone();
                let set = move |scenario| Scenario { without: without.clone(), ..scenario };
                scenarios().prop_map(set).boxed()
            }
        }
    }

    /// The plan of walk `number` of `seed`: it depends on nothing else.
    pub fn plan(&self, seed: u64, number: u64) -> Box<dyn ValueTree<Value = Plan>> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, random);
        let up_to = |length: usize| 0..=length.min(self.steps_max);
        let length = prop_oneof![up_to(80), up_to(400), up_to(self.steps_max)];
        let plan = (self.scenarios(), length, paces(), any::<u64>().no_shrink());
        let plan =
            plan.prop_map(|(scenario, length, pace, seed)| Plan { scenario, length, pace, seed });
        plan.boxed().new_tree(&mut runner).expect("no strategy rejects anything")
    }
}

/// The smallest plan found, within so many tries, that still goes wrong; `None` if none smaller
/// does.
pub fn shrink(
    tree: &mut dyn ValueTree<Value = Plan>,
    tries_max: usize,
    mut goes_wrong: impl FnMut(&Plan) -> bool,
) -> Option<Plan> {
    let mut least = None;
    let mut went_on = tree.simplify();
    for _ in 0..tries_max {
        if !went_on {
            break;
        }
        let plan = tree.current();
        if goes_wrong(&plan) {
            least = Some(plan);
            went_on = tree.simplify();
        } else {
            went_on = tree.complicate();
        }
    }
    least
}

fn inventory(units: u64) -> Inventory {
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(units))].into_iter().collect();
    Inventory { classes, ..Inventory::default() }
}

/// How large a cluster may be: at most so many of each.
#[derive(Clone, Copy, Debug)]
struct Size {
    schedulers: u32,
    nodes: u32,
    requests: usize,
    orders: usize,
    units: u64,
}

const SMALL: Size = Size { schedulers: 2, nodes: 2, requests: 4, orders: 3, units: 2 };
const MIDDLING: Size = Size { schedulers: 3, nodes: 3, requests: 8, orders: 4, units: 3 };
const LARGE: Size = Size {
    schedulers: SCHEDULERS_MAX,
    nodes: NODES_MAX,
    requests: REQUESTS_MAX,
    orders: 8,
    units: 4,
};

/// What a request has to do with a group.
#[derive(Clone, Copy, Debug)]
struct Company {
    group: GroupId,
    joins: bool,
    near: bool,
    /// How many members it bears, if it matters.
    bears: Option<u32>,
}

impl Company {
    fn joins(&self) -> Option<(ResourceClass, u64)> {
        self.joins.then_some((ResourceClass::Group(self.group), 1))
    }

    fn near(&self) -> Set<GroupId> {
        self.near.then_some(self.group).into_iter().collect()
    }

    fn apart(&self) -> Map<GroupId, u32> {
        self.bears.map(|bears| (self.group, bears)).into_iter().collect()
    }
}

/// Two groups: most requests have to do with none, some join one, some are near or apart from it.
fn companies() -> impl Strategy<Value = Company> {
    let often = proptest::bool::weighted;
    let bears = proptest::option::weighted(0.2, 0..=1u32);
    (1..=2u64, often(0.4), often(0.1), bears).prop_map(|(group, joins, near, bears)| Company {
        group: GroupId(group),
        joins,
        near,
        bears,
    })
}

/// Requests for one or two units, at any scheduler or at one.
fn requests(size: Size, schedulers: u32) -> impl Strategy<Value = Vec<Request>> {
    let at = proptest::option::weighted(0.3, 1..=schedulers);
    prop::collection::vec((1..=2u64, at, companies()), 1..=size.requests).prop_map(|requests| {
        let requests = requests.into_iter().enumerate();
        let request =
            |(index, (amount, at, company)): (usize, (u64, Option<u32>, Company))| Request {
                id: RequestId(index as u64 + 1),
                resources: [(ResourceClass::Vcpu, amount)]
                    .into_iter()
                    .chain(company.joins())
                    .collect(),
                near: company.near(),
                apart: company.apart(),
                at: at.map(SchedulerId),
                bundle: Set::default(),
            };
        requests.map(request).collect::<Vec<Request>>()
    })
}

/// Makes bundles of some of the requests that follow each other: of each number one, unless it is
/// 1.
fn bundle(requests: &mut [Request], sizes: &[usize]) {
    let mut rest = requests;
    for size in sizes {
        let (members, others) = rest.split_at_mut((*size).min(rest.len()));
        let bundle: Set<RequestId> = members.iter().map(|request| request.id).collect();
        if bundle.len() > 1 {
            members.iter_mut().for_each(|request| request.bundle = bundle.clone());
        }
        rest = others;
    }
}

/// What else may happen from outside, each once. Two more nodes and schedulers may join.
fn orders(size: Size, nodes: u32, schedulers: u32) -> impl Strategy<Value = Vec<Outside>> {
    let node = || (1..=nodes).prop_map(NodeId);
    let order = prop_oneof![
        node().prop_map(Outside::Drain),
        node().prop_map(Outside::Undrain),
        node().prop_map(Outside::Leave),
        (node(), 0..=size.units)
            .prop_map(|(node, units)| Outside::Inventory(node, inventory(units))),
        (1..=size.requests as u64).prop_map(|request| Outside::Release(RequestId(request))),
        (1..=2u32).prop_map(move |more| Outside::Join(Actor::Node(NodeId(nodes + more)))),
        (1..=2u32)
            .prop_map(move |more| Outside::Join(Actor::Scheduler(SchedulerId(schedulers + more)))),
    ];
    prop::collection::vec(order, 0..=size.orders).prop_map(|orders| {
        let mut kept: Vec<Outside> = Vec::new();
        for order in orders {
            if !kept.contains(&order) {
                kept.push(order);
            }
        }
        kept
    })
}

/// Each limit is tight in most walks, and out of reach in the others.
fn limits() -> impl Strategy<Value = Limits> {
    let small = |least: u32| prop_oneof![least..=3, Just(16)];
    (small(1), small(1), small(1), small(2), small(1)).prop_map(
        |(attempts, claims, log, fences, open)| Limits {
            attempts_max: attempts,
            claims_per_attempt_max: claims,
            delta_log_max: log as usize,
            fences_max: fences as usize,
            claims_open_max: u64::from(open),
            ..Limits::default()
        },
    )
}

/// None to all faults, each once or twice, a few times, or throughout a long walk.
fn faults() -> impl Strategy<Value = BTreeMap<Fault, u8>> {
    let times = prop_oneof![1..=2u8, 3..=9u8, Just(50u8)];
    prop::collection::btree_map(select(FAULTS.to_vec()), times, 0..=FAULTS.len())
}

/// What does not depend on the size.
type Bounds = (bool, Kind, Timers, Start, Lapses, BTreeMap<Fault, u8>, Limits);

fn bounds() -> impl Strategy<Value = Bounds> {
    (
        any::<bool>(),
        select(vec![Kind::Multiset, Kind::Set]),
        select(vec![Timers::Calm, Timers::Late, Timers::Any]),
        select(vec![Start::Warm, Start::Cold]),
        select(vec![Lapses::Free, Lapses::Free, Lapses::Budget]),
        faults(),
        limits(),
    )
}

/// Any scenario, every rule on.
pub fn scenarios() -> impl Strategy<Value = Scenario> {
    let size = prop_oneof![Just(SMALL), Just(MIDDLING), Just(LARGE)];
    let cluster = size.prop_flat_map(|size| {
        (1..=size.schedulers, 1..=size.nodes).prop_flat_map(move |(schedulers, nodes)| {
            let inventories = prop::collection::vec(1..=size.units, nodes as usize + 2);
            let requests = requests(size, schedulers);
            let orders = orders(size, nodes, schedulers);
            let bundles = prop::collection::vec(select(vec![1, 1, 2, 3]), 0..=size.requests);
            (Just(schedulers), Just(nodes), inventories, (requests, bundles), orders)
        })
    });
    (cluster, bounds()).prop_map(
        |((schedulers, nodes, units, (mut requests, bundles), orders), bounds)| {
            let (clients, network, timers, start, lapses, faults, limits) = bounds;
            let requests_made = requests.len() as u64;
            if clients {
                bundle(&mut requests, &bundles);
            }
            let known = |order: &Outside| match order {
                Outside::Release(request) => clients && request.0 <= requests_made,
                Outside::Place(_)
                | Outside::PlaceTogether(_)
                | Outside::Drain(_)
                | Outside::Undrain(_)
                | Outside::Inventory(..)
                | Outside::Leave(_)
                | Outside::Disable(_)
                | Outside::Join(_) => true,
            };
            let faults = bearable(faults, schedulers);
            // No request must be meant for one who is gone.
            if faults.contains_key(&Fault::SchedulerDeath) {
                requests.iter_mut().for_each(|request| request.at = None);
            }
            Scenario {
                name: "walk".to_owned(),
                question: "Does anything go wrong on a random walk?".to_owned(),
                expect: Expect::Holds,
                protocol: Design::Counterfoil,
                flaw: None,
                answer: None,
                numbers: Vec::new(),
                symmetry: false,
                distinct: None,
                without: Vec::new(),
                network,
                timers,
                start,
                lapses,
                schedulers,
                clients,
                nodes: units.into_iter().map(inventory).collect(),
                nodes_at_start: nodes,
                orders: orders.into_iter().filter(known).collect(),
                requests,
                faults,
                only_lose: Vec::new(),
                faults_in_all: None,
                limits,
            }
        },
    )
}

/// No more faults of a kind than leave something to see: somebody must be left to ask, and who
/// starts twice leaves a stopped process behind each time.
fn bearable(mut faults: BTreeMap<Fault, u8>, schedulers: u32) -> BTreeMap<Fault, u8> {
    const TWINS_MAX: u8 = 4;
    let most = [(Fault::SchedulerDeath, (schedulers - 1) as u8), (Fault::Twin, TWINS_MAX)];
    for (fault, most) in most {
        faults.entry(fault).and_modify(|times| *times = most.min(*times));
    }
    faults
}
