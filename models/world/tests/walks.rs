//! Random walks through worlds that no scenario describes: larger ones, with any faults.

use counterfoil_protocol::resources::ClassInventory;
use counterfoil_protocol::{
    Actor, Inventory, Limits, NodeId, RequestId, ResourceClass, Rule, SchedulerId,
};
use counterfoil_world::network::Kind;
use counterfoil_world::replay::describe;
use counterfoil_world::scenario::{Fault, Lapses, Outside, Request, Start, Timers};
use counterfoil_world::{Action, Cluster, Counterfoil, Expect, Protocol, Scenario, Trace, World};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// How many actions a walk takes at most, before it is drained.
const STEPS_MAX: usize = 300;
/// How many fair steps it takes at most until nothing is left to do.
const DRAIN_MAX: usize = 5_000;

const FAULTS: [Fault; 14] = [
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

fn inventory(total: u64) -> Inventory {
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(total))].into_iter().collect();
    Inventory { classes, ..Inventory::default() }
}

/// Requests for one or two, at any scheduler or at one.
fn requests(schedulers: u32) -> impl Strategy<Value = Vec<Request>> {
    let at = proptest::option::weighted(0.3, 1..=schedulers);
    prop::collection::vec((1..=2u64, at), 1..=4).prop_map(|requests| {
        let requests = requests.into_iter().enumerate();
        let request = |(index, (amount, at)): (usize, (u64, Option<u32>))| Request {
            id: RequestId(index as u64 + 1),
            resources: [(ResourceClass::Vcpu, amount)].into_iter().collect(),
            at: at.map(SchedulerId),
        };
        requests.map(request).collect::<Vec<Request>>()
    })
}

/// What else may happen from outside. Node `nodes` + 1 and scheduler `schedulers` + 1 may join.
fn orders(nodes: u32, schedulers: u32) -> impl Strategy<Value = Vec<Outside>> {
    let node = || (1..=nodes).prop_map(NodeId);
    let order = prop_oneof![
        node().prop_map(Outside::Drain),
        node().prop_map(Outside::Undrain),
        node().prop_map(Outside::Leave),
        (node(), 0..=3u64).prop_map(|(node, total)| Outside::Inventory(node, inventory(total))),
        (1..=2u64).prop_map(|request| Outside::Release(RequestId(request))),
        Just(Outside::Join(Actor::Node(NodeId(nodes + 1)))),
        Just(Outside::Join(Actor::Scheduler(SchedulerId(schedulers + 1)))),
    ];
    prop::collection::vec(order, 0..=3).prop_map(|mut orders| {
        let mut kept: Vec<Outside> = Vec::new();
        orders.retain(|order| {
            let is_new = !kept.contains(order);
            kept.push(order.clone());
            is_new
        });
        orders
    })
}

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

/// Any scenario, every rule on.
fn scenario() -> impl Strategy<Value = Scenario> {
    let faults = prop::collection::btree_map(select(FAULTS.to_vec()), 1..=2u8, 0..=5);
    let bounds = (
        any::<bool>(),
        select(vec![Kind::Set, Kind::Multiset]),
        select(vec![Timers::Any, Timers::Late, Timers::Calm]),
        select(vec![Start::Warm, Start::Cold]),
        select(vec![Lapses::Free, Lapses::Free, Lapses::Budget]),
        faults,
        limits(),
    );
    let size = (1..=3u32, 1..=3u32).prop_flat_map(|(schedulers, nodes)| {
        let inventories = prop::collection::vec(1..=3u64, nodes as usize + 1);
        (
            Just(schedulers),
            Just(nodes),
            inventories,
            requests(schedulers),
            orders(nodes, schedulers),
        )
    });
    (size, bounds).prop_map(|((schedulers, nodes, totals, requests, orders), bounds)| {
        let (clients, network, timers, start, lapses, faults, limits) = bounds;
        let requests_made = requests.len() as u64;
        let known = |order: &Outside| match order {
            Outside::Release(request) => clients && request.0 <= requests_made,
            Outside::Place(_)
            | Outside::Drain(_)
            | Outside::Undrain(_)
            | Outside::Inventory(..)
            | Outside::Leave(_)
            | Outside::Join(_) => true,
        };
        // Somebody must be left to ask, and no request must be meant for one who is gone.
        let deaths_max = (schedulers - 1) as u8;
        let mut faults: BTreeMap<Fault, u8> = faults;
        faults.entry(Fault::SchedulerDeath).and_modify(|deaths| *deaths = deaths_max.min(*deaths));
        let mut requests = requests;
        if faults.contains_key(&Fault::SchedulerDeath) {
            requests.iter_mut().for_each(|request| request.at = None);
        }
        Scenario {
            name: "walk".to_owned(),
            question: "Does anything go wrong on a random walk?".to_owned(),
            expect: Expect::Holds,
            distinct: None,
            without: Vec::new(),
            network,
            timers,
            start,
            lapses,
            schedulers,
            clients,
            nodes: totals.into_iter().map(inventory).collect(),
            nodes_at_start: nodes,
            orders: orders.into_iter().filter(known).collect(),
            requests,
            faults,
            faults_in_all: None,
            limits,
        }
    })
}

/// A walk, with the way that it went.
struct Walk {
    world: World<Counterfoil>,
    now: Cluster<Counterfoil>,
    steps: Vec<Action<Counterfoil>>,
}

impl Walk {
    fn new(scenario: Scenario) -> Walk {
        let world = World::new(scenario);
        let now = world.initial();
        Walk { world, now, steps: Vec::new() }
    }

    /// Takes an action. Fails if a safety property is violated, or if a machine panics.
    fn take(&mut self, action: Action<Counterfoil>) -> Result<(), TestCaseError> {
        let next = catch_unwind(AssertUnwindSafe(|| self.world.apply(&self.now, &action)));
        self.steps.push(action);
        self.now = next.map_err(|_| self.fail("a panic"))?;
        match self.now.violated.iter().next() {
            None => Ok(()),
            Some((index, violation)) => {
                let property = Counterfoil::safety()[*index].name;
                Err(self.fail(&format!("{property} is violated: {}", violation.clause)))
            }
        }
    }

    /// One of the actions that a walk may take now, by a number.
    fn choose(&self, number: u16) -> Option<Action<Counterfoil>> {
        let mut enabled = self.world.enabled(&self.now);
        (!enabled.is_empty()).then(|| enabled.swap_remove(usize::from(number) % enabled.len()))
    }

    /// A fair step that changes something, by a number: a timer only if nothing else does.
    fn choose_fair(&self, number: u64) -> Option<Action<Counterfoil>> {
        let mut fair = self.world.enabled(&self.now);
        fair.retain(|action| self.world.is_fair(&self.now, action));
        let (mut timers, mut others): (Vec<_>, Vec<_>) =
            fair.into_iter().partition(|action| matches!(action, Action::Fire(..)));
        let changes =
            |action: &Action<Counterfoil>| self.world.apply(&self.now, action) != self.now;
        [&mut others, &mut timers].into_iter().find_map(|actions| {
            let count = actions.len().max(1);
            actions.rotate_left((number % count as u64) as usize);
            actions.drain(..).find(changes)
        })
    }

    /// The first liveness property whose goal is not true.
    fn unmet(&self) -> Option<String> {
        Counterfoil::liveness().iter().enumerate().find_map(|(index, property)| {
            let unmet = Counterfoil::goal(&self.world, &self.now, index)?;
            Some(format!("{} not yet: {}", property.name, unmet().clause))
        })
    }

    fn is_quiet(&self) -> bool {
        let now = &self.now;
        now.network.in_flight().next().is_none() && now.mail.is_empty() && now.choices.is_empty()
    }

    /// Takes fair steps until every goal is true and nothing is under way.
    fn drain(&mut self, seed: u64) -> Result<(), TestCaseError> {
        let mut random = Random(seed);
        for _ in 0..DRAIN_MAX {
            if self.is_quiet() && self.unmet().is_none() {
                return Ok(());
            }
            match self.choose_fair(random.next()) {
                Some(action) => self.take(action)?,
                None => break,
            }
        }
        let unmet = self.unmet().unwrap_or_else(|| "something is still under way".to_owned());
        Err(self.fail(&format!("after every fair step: {unmet}")))
    }

    /// The failure, with the walk, which is also saved as a trace.
    fn fail(&self, reason: &str) -> TestCaseError {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("walk.itf.json");
        let violated = self.now.violated.iter().next();
        let property = violated.map_or("no_overcommit", |(i, _)| Counterfoil::safety()[*i].name);
        let trace = Trace::new(self.world.scenario.clone(), property, self.steps.clone());
        let saved = catch_unwind(AssertUnwindSafe(|| trace.save(&file).is_ok()));
        let mut text = format!("{reason}\n{}\n", self.world.scenario.bounds());
        for (index, action) in self.steps.iter().enumerate() {
            text += &format!("{:>4} {}\n", index + 1, describe(&self.world, action));
        }
        if saved.is_ok_and(|saved| saved) {
            text += &format!("saved in {}\n", file.display());
        }
        TestCaseError::fail(text)
    }
}

/// The generator SplitMix64: small, and good enough to walk by.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8_000,
        // Every try of a walk that does not heal is long.
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_walk_violates_anything_and_every_walk_heals(
        scenario in scenario(),
        numbers in prop::collection::vec(any::<u16>(), 0..=STEPS_MAX),
        seed in any::<u64>(),
    ) {
        let mut walk = Walk::new(scenario);
        for number in numbers {
            match walk.choose(number) {
                Some(action) => walk.take(action)?,
                None => break,
            }
        }
        if walk.world.scenario.lapses == Lapses::Free {
            walk.drain(seed)?;
        }
    }
}

/// Whether one of `walks` random walks of a scenario violates a safety property.
fn is_violated(scenario: &Scenario, walks: u64) -> bool {
    let mut random = Random(1);
    let world: World<Counterfoil> = World::new(scenario.clone());
    let initial = world.initial();
    (0..walks).any(|_| {
        let mut now = initial.clone();
        for _ in 0..100 {
            let mut enabled = world.enabled(&now);
            if enabled.is_empty() {
                break;
            }
            let index = random.next() % enabled.len() as u64;
            now = world.apply(&now, &enabled.swap_remove(index as usize));
            if !now.violated.is_empty() {
                return true;
            }
        }
        false
    })
}

#[test]
fn walks_find_out_most_rules_that_are_off() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let found = Rule::ALL.into_iter().filter(|rule| {
        let file = folder.join(format!("without_{rule}.toml"));
        let broken = Scenario::load(&file).unwrap_or_else(|error| panic!("{error}"));
        is_violated(&broken, 5_000)
    });
    let found: Vec<Rule> = found.collect();
    assert!(2 * found.len() > Rule::ALL.len(), "only without {found:?}");
    println!("{} of {}: {found:?}", found.len(), Rule::ALL.len());
}
