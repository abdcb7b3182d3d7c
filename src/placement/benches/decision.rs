//! How long one decision takes, and one update of the index: by nodes, policy and how full they are.
//!
//! Nodes are of three sizes in three zones. Each is filled with random flavors up to the level; at
//! level `split`, half of the nodes have no VCPU left and the others no memory; at `worst`, no VCPU
//! and no disk. So there is enough of each everywhere in the order, and of both on no node: the index
//! has a bound for VCPU together with memory, and none for other pairs. Each decision is for a random flavor, and what
//! accepts is what the protocol judges by. Between decisions, nodes change. Printed are medians of
//! several runs, each the mean of many decisions; reading the clock, about 20 ns, is part of each.
//!
//!     cargo bench -p counterfoil-placement [-- NODES…]

use counterfoil_placement::{Index, PolicyName};
use counterfoil_protocol::{
    ClassInventory, Demand, HostState, Inventory, Name, NodeId, ResourceClass, Resources,
};
use fastrand::Rng;
use std::hint::black_box;
use std::time::Instant;

const NODES: [u32; 4] = [100, 1_000, 10_000, 100_000];
const LEVELS: [Level; 7] = [
    Level::Full(0),
    Level::Full(50),
    Level::Full(95),
    Level::Full(99),
    Level::Full(100),
    Level::Split,
    Level::Worst,
];
const RUNS: usize = 5;
const SEED: u64 = 1;

/// VCPU, MEMORY_MB, DISK_GB.
type Amounts = [u64; 3];

const FLAVORS: [Amounts; 5] =
    [[1, 64, 1], [1, 1024, 10], [2, 4096, 20], [4, 8192, 40], [8, 16_384, 80]];
/// VCPU are given out 16 times, memory and disk once.
const SIZES: [Amounts; 3] = [[24, 262_144, 2_000], [48, 524_288, 4_000], [96, 393_216, 4_000]];

/// How full the nodes are.
#[derive(Clone, Copy)]
enum Level {
    /// So many hundredths.
    Full(u64),
    /// Half of them without VCPU, half without memory.
    Split,
    /// Half of them without VCPU, half without disk.
    Worst,
}

/// The nodes, from 0, and what is known of them.
struct Cluster {
    states: Vec<HostState>,
    index: Index,
    rng: Rng,
}

/// Nanoseconds, and how many nodes were asked about, of one decision on average.
struct Means {
    decision_ns: f64,
    set_ns: f64,
    asked: f64,
}

fn main() {
    // Cargo adds flags of its own.
    let mut nodes: Vec<u32> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if nodes.is_empty() {
        nodes = NODES.to_vec();
    }
    println!("{RUNS} runs, seed {SEED}; times in ns");
    println!(
        "{:>8} {:>7} {:>6} {:>10} {:>8} {:>8}",
        "nodes", "policy", "full", "decision", "set", "asked"
    );
    for nodes in nodes {
        for name in PolicyName::ALL {
            for level in LEVELS {
                let mut cluster = Cluster::of(nodes, level, name);
                let mut runs: Vec<Means> = (0..RUNS).map(|_| cluster.run()).collect();
                let mut median = |of: fn(&Means) -> f64| {
                    runs.sort_by(|a, b| of(a).total_cmp(&of(b)));
                    of(&runs[RUNS / 2])
                };
                let decision = median(|means| means.decision_ns);
                let set = median(|means| means.set_ns);
                let asked = median(|means| means.asked);
                let full = match level {
                    Level::Full(hundredths) => format!("{hundredths} %"),
                    Level::Split => "split".to_owned(),
                    Level::Worst => "worst".to_owned(),
                };
                println!("{nodes:>8} {name:>7} {full:>6} {decision:>10.0} {set:>8.0} {asked:>8.1}");
            }
        }
    }
}

impl Cluster {
    fn of(nodes: u32, level: Level, name: PolicyName) -> Cluster {
        let mut rng = Rng::with_seed(SEED);
        let states: Vec<HostState> = (0..nodes).map(|node| host(node, level, &mut rng)).collect();
        let mut index = Index::new(name.policy(), SEED);
        for (node, state) in (0..).zip(&states) {
            index.set(NodeId(node), state, &Resources::default(), true);
        }
        Cluster { states, index, rng }
    }

    /// Decisions, and between them changes: what is given is given back, so that the nodes stay as
    /// full as they are.
    fn run(&mut self) -> Means {
        const DECISIONS: u32 = 2_000;
        let none = Resources::default();
        let (mut deciding, mut setting) = (0, 0);
        let (mut asked, mut sets) = (0u32, 0u32);
        for _ in 0..DECISIONS {
            let resources = resources(FLAVORS[self.rng.usize(..FLAVORS.len())]);
            let demand = Demand { resources, ..Demand::default() };
            let states = &self.states;
            let begun = Instant::now();
            let picked = self.index.pick(black_box(&demand), |node| {
                asked += 1;
                states[node.0 as usize].refuses(&demand, &none).is_none()
            });
            deciding += begun.elapsed().as_nanos();
            let any = NodeId(self.rng.u32(..self.states.len() as u32));
            let node = black_box(picked).unwrap_or(any);
            for set_aside in [&demand.resources, &none] {
                let state = &self.states[node.0 as usize];
                let begun = Instant::now();
                self.index.set(node, state, set_aside, true);
                setting += begun.elapsed().as_nanos();
                sets += 1;
            }
        }
        Means {
            decision_ns: deciding as f64 / f64::from(DECISIONS),
            set_ns: setting as f64 / f64::from(sets),
            asked: f64::from(asked) / f64::from(DECISIONS),
        }
    }
}

fn host(node: u32, level: Level, rng: &mut Rng) -> HostState {
    let size = SIZES[rng.usize(..SIZES.len())];
    let zone = Name::try_from(format!("ZONE_{}", node % 3)).expect("a name");
    let of = |total, allocation_ratio_milli| ClassInventory {
        allocation_ratio_milli,
        ..ClassInventory::of(total)
    };
    let classes = [
        (ResourceClass::Vcpu, of(size[0], 16_000)),
        (ResourceClass::MemoryMb, of(size[1], 1_000)),
        (ResourceClass::DiskGb, of(size[2], 1_000)),
    ];
    let inventory = Inventory {
        classes: classes.into_iter().collect(),
        zone: Some(zone),
        ..Inventory::default()
    };
    let capacity = [size[0] * 16, size[1], size[2]];
    let used = used(node, capacity, level, rng);
    HostState { inventory, used: resources(used), ..HostState::default() }
}

fn used(node: u32, capacity: Amounts, level: Level, rng: &mut Rng) -> Amounts {
    let hundredths = match level {
        Level::Full(100) => return capacity,
        Level::Split | Level::Worst if node.is_multiple_of(2) => return [capacity[0], 0, 0],
        Level::Split => return [0, capacity[1], 0],
        Level::Worst => return [0, 0, capacity[2]],
        Level::Full(hundredths) => hundredths,
    };
    let mut used = [0; 3];
    loop {
        let flavor = FLAVORS[rng.usize(..FLAVORS.len())];
        let more = [0, 1, 2].map(|class: usize| used[class] + flavor[class]);
        if (0..3).any(|class| more[class] * 100 > capacity[class] * hundredths) {
            return used;
        }
        used = more;
    }
}

fn resources([vcpu, memory, disk]: Amounts) -> Resources {
    let classes = [ResourceClass::Vcpu, ResourceClass::MemoryMb, ResourceClass::DiskGb];
    classes.into_iter().zip([vcpu, memory, disk]).filter(|(_, amount)| *amount > 0).collect()
}
