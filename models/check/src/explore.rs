//! Our own explorer: breadth first, with the fault-free steps kept as a graph.
//!
//! It visits the same states as stateright does, by the same [`World::enabled`] and
//! [`World::apply`], and must count as many. What it adds is the graph of fair steps, which
//! liveness is judged on ([`crate::convergence`]), and what was covered.

use crate::progress::{Progress, Stop};
use ahash::RandomState;
use counterfoil_world::{Action, Cluster, Coverage, Protocol, World};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// Where an exploration may end early.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound {
    /// Judge no state deeper than the first violation of safety that is looked for.
    pub first_violation: Sought,
    /// Judge no state deeper than this many actions. Those one action deeper are counted.
    pub depth_max: Option<usize>,
}

/// Which violation of a safety property ends an exploration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sought {
    /// None: every state is wanted.
    #[default]
    None,
    /// Any: with a broken protocol the states may have no end.
    Any,
    /// That of this property.
    Of(usize),
}

/// What an exploration saw.
pub struct Exploration<P: Protocol> {
    /// Actions taken, plus the initial state.
    pub states: u64,
    /// Different states.
    pub distinct: u64,
    /// The most actions that the shortest way to any state takes.
    pub depth: usize,
    /// Why it ended before every state was explored, if it did.
    pub stopped: Option<Stop>,
    /// By safety property: the first state, in breadth-first order, at which it is violated.
    pub violated: BTreeMap<usize, u32>,
    /// How each state was first reached: from which, by which of the enabled actions.
    parents: Vec<(u32, u16)>,
    /// The depth of each state.
    depths: Vec<u32>,
    /// By state: bit i is set if liveness property i is true in it.
    pub goals: Vec<u8>,
    /// The graph of fair steps.
    pub fair: Graph,
    /// What was covered.
    pub coverage: Coverage<P::Arm>,
    /// The number of each state, by fingerprint.
    visited: Visited,
    hasher: RandomState,
}

/// The fair steps: for each state, where they lead, and which action each is.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    starts: Vec<u32>,
    edges: Vec<(u32, u32)>,
}

impl Graph {
    /// The fair steps of `state`: to which state, by which action (a hash of it). A step that
    /// changes nothing leads to the state itself.
    pub fn steps(&self, state: u32) -> &[(u32, u32)] {
        let end = self.starts.get(state as usize + 1).map_or(self.edges.len(), |end| *end as usize);
        &self.edges[self.starts[state as usize] as usize..end]
    }

    /// How many states it has.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// A graph of these steps, by state.
    #[cfg(test)]
    pub(crate) fn of(steps: &[&[(u32, u32)]]) -> Self {
        let mut graph = Graph::default();
        for of_state in steps {
            graph.starts.push(graph.edges.len() as u32);
            graph.edges.extend_from_slice(of_state);
        }
        graph
    }
}

/// The hash that tells states apart.
pub fn fingerprint(hasher: &RandomState, value: &impl std::hash::Hash) -> u64 {
    hasher.hash_one(value)
}

/// The hasher of [`fingerprint`], from a seed. Two seeds miss different states.
pub fn hasher(seed: u64) -> RandomState {
    RandomState::with_seeds(seed, 0x5eed, 0x0f, 0x57a7e5)
}

#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed")
    }
    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

type Visited = HashMap<u64, u32, BuildHasherDefault<Identity>>;

/// Explores every state, or up to `bound`.
pub fn explore<P: Protocol>(
    world: &World<P>,
    seed: u64,
    bound: Bound,
    progress: &Progress,
) -> Exploration<P> {
    let initial = world.initial();
    let mut seen = Exploration {
        states: 1,
        distinct: 1,
        depth: 0,
        stopped: None,
        violated: BTreeMap::new(),
        parents: vec![(0, 0)],
        depths: vec![0],
        goals: Vec::new(),
        fair: Graph::default(),
        coverage: Coverage::new::<P>(),
        visited: Visited::default(),
        hasher: hasher(seed),
    };
    seen.visited.insert(fingerprint(&seen.hasher, &initial), 0);
    let mut depth_max = bound.depth_max.unwrap_or(usize::MAX);
    seen.note(world, 0, &initial, &bound);
    let mut queue = VecDeque::from([(0u32, initial)]);
    while let Some((index, cluster)) = queue.pop_front() {
        if let Some(stop) = progress.tick(&seen.counts(), queue.len()) {
            seen.stopped = Some(stop);
            break;
        }
        seen.fair.starts.push(seen.fair.edges.len() as u32);
        let depth = seen.depths[index as usize] as usize;
        if depth > depth_max {
            seen.stopped = Some(Stop::Depth);
            continue;
        }
        for (ordinal, action) in world.enabled(&cluster).into_iter().enumerate() {
            let next = world.step(&cluster, &action, Some(&mut seen.coverage));
            seen.states += 1;
            let fair = world.is_fair(&cluster, &action);
            let count = seen.parents.len() as u32;
            let print = fingerprint(&seen.hasher, &next);
            let to = *seen.visited.entry(print).or_insert(count);
            if fair {
                let label = fingerprint(&seen.hasher, &action) as u32;
                seen.fair.edges.push((to, label));
            }
            if to == count {
                seen.distinct += 1;
                seen.depth = seen.depth.max(depth + 1);
                seen.parents.push((index, ordinal as u16));
                seen.depths.push(depth as u32 + 1);
                if depth < depth_max {
                    seen.note(world, to, &next, &bound);
                } else {
                    seen.goals.push(0);
                }
                if let Some(first) = seen.first(bound.first_violation) {
                    depth_max = depth_max.min(seen.depths[first as usize] as usize);
                }
                queue.push_back((to, next));
            }
        }
    }
    seen
}

impl<P: Protocol> Exploration<P> {
    /// Whether every reachable state was explored.
    pub fn is_complete(&self) -> bool {
        self.stopped.is_none()
    }

    /// How deep states were judged, if not all were: those one action deeper were only counted.
    pub fn judged_to(&self) -> Option<usize> {
        (self.stopped == Some(Stop::Depth)).then(|| self.depth.saturating_sub(1))
    }

    /// The first state with a violation that is looked for.
    fn first(&self, sought: Sought) -> Option<u32> {
        match sought {
            Sought::None => None,
            Sought::Any => self.violated.values().min().copied(),
            Sought::Of(property) => self.violated.get(&property).copied(),
        }
    }

    fn counts(&self) -> (u64, u64, usize) {
        (self.states, self.distinct, self.depth)
    }

    fn note(&mut self, world: &World<P>, state: u32, cluster: &Cluster<P>, bound: &Bound) {
        for property in cluster.violated.keys() {
            self.violated.entry(*property).or_insert(state);
        }
        let mut goals = 0;
        // Where only safety is asked, liveness is not judged: the graph will be cut off.
        if !matches!(bound.first_violation, Sought::Of(_)) {
            for index in 0..P::liveness().len() {
                match P::is_reached(world, cluster, index) {
                    true => goals |= 1 << index,
                    false => self.coverage.unmet[index] += 1,
                }
            }
        }
        self.goals.push(goals);
    }

    /// The shortest way to a state: its actions.
    pub fn path(&self, world: &World<P>, state: u32) -> Vec<Action<P>> {
        let mut ordinals = Vec::new();
        let mut at = state;
        while at != 0 {
            let (parent, ordinal) = self.parents[at as usize];
            ordinals.push(ordinal);
            at = parent;
        }
        let mut cluster = world.initial();
        let mut actions = Vec::new();
        for ordinal in ordinals.into_iter().rev() {
            let action = world.enabled(&cluster).swap_remove(usize::from(ordinal));
            cluster = world.apply(&cluster, &action);
            actions.push(action);
        }
        actions
    }

    /// The number of a state, if it was reached.
    pub fn number(&self, cluster: &Cluster<P>) -> Option<u32> {
        self.visited.get(&fingerprint(&self.hasher, cluster)).copied()
    }

    /// How many actions the shortest way to a state takes.
    pub fn depth_of(&self, state: u32) -> usize {
        self.depths[state as usize] as usize
    }
}
