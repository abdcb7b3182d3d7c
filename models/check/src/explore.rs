//! Our own explorer: breadth first, with the fault-free steps kept as a graph.
//!
//! It visits the same states as stateright does, through the same [`Representation`], and must
//! count as many. What it adds is the graph of fair steps, which liveness is judged on
//! ([`crate::convergence`]), and what was covered.

use crate::progress::{Progress, Stop};
use ahash::RandomState;
use counterfoil_world::{Action, Coverage, Protocol, Representation};
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

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

/// What an exploration saw. States have numbers, in the order in which they were reached.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Exploration<P: Protocol> {
    /// Actions taken, plus the initial state.
    pub states: u64,
    /// Why it ended before every state was explored, if it did.
    #[serde(skip)]
    pub stopped: Option<Stop>,
    /// By safety property: the first state, in breadth-first order, at which it is violated.
    pub violated: BTreeMap<usize, u32>,
    /// By state: bit i is set if liveness property i is true in it.
    pub goals: Vec<u8>,
    /// The graph of fair steps.
    pub fair: Graph,
    /// What was covered.
    pub coverage: Coverage<P::Arm>,
    /// From which state each was first reached.
    parents: Vec<u32>,
    /// By depth: the first state that is reached by no fewer actions.
    layers: Vec<u32>,
    /// What tells states apart, by state.
    prints: Vec<u64>,
    /// The states, to be found by their prints.
    #[serde(skip)]
    numbers: HashTable<u32>,
    /// The fair actions that were met.
    actions: Actions,
}

/// The fair steps: for each state, where they lead, and which action each is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Graph {
    starts: Vec<u32>,
    targets: Vec<u32>,
    actions: Vec<u16>,
}

impl Graph {
    /// Where the fair steps of `state` lead. A step that changes nothing leads to the state itself.
    pub fn targets(&self, state: u32) -> &[u32] {
        &self.targets[self.range(state)]
    }

    /// Which action each of the fair steps of `state` is.
    pub fn actions(&self, state: u32) -> &[u16] {
        &self.actions[self.range(state)]
    }

    fn range(&self, state: u32) -> std::ops::Range<usize> {
        let start = self.starts[state as usize] as usize;
        let end = self.starts.get(state as usize + 1);
        start..end.map_or(self.targets.len(), |end| *end as usize)
    }

    /// How many states it has.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The next state: its steps follow.
    fn open(&mut self) {
        let start = u32::try_from(self.targets.len()).expect("fewer than 2^32 fair steps");
        self.starts.push(start);
    }

    fn push(&mut self, target: u32, action: u16) {
        self.targets.push(target);
        self.actions.push(action);
    }

    /// A graph of these steps, by state: to where, by which action.
    #[cfg(test)]
    pub(crate) fn of(steps: &[&[(u32, u16)]]) -> Self {
        let mut graph = Graph::default();
        for of_state in steps {
            graph.open();
            of_state.iter().for_each(|(target, action)| graph.push(*target, *action));
        }
        graph
    }
}

/// The hash that tells clusters apart.
pub fn fingerprint(hasher: &RandomState, value: &impl std::hash::Hash) -> u64 {
    hasher.hash_one(value)
}

/// The hasher of [`fingerprint`], from a seed.
pub fn hasher(seed: u64) -> RandomState {
    RandomState::with_seeds(seed, 0x5eed, 0x0f, 0x57a7e5)
}

/// Where a search is: what it saw, and the states whose actions are still to be taken.
pub struct Search<R: Representation> {
    /// What it saw.
    pub seen: Exploration<R::Protocol>,
    /// The states that were reached and whose actions were not taken yet, in order.
    pub queue: VecDeque<R::State>,
}

/// Explores every state, or up to `bound`.
pub fn explore<R: Representation>(
    world: &mut R,
    bound: Bound,
    progress: &Progress,
) -> Exploration<R::Protocol> {
    let search = begin(world, &bound);
    go_on(world, search, bound, progress, |_, _| ())
}

/// A search that has seen the initial state.
pub fn begin<R: Representation>(world: &mut R, bound: &Bound) -> Search<R> {
    let initial = world.initial();
    let mut seen = Exploration::of(world.fingerprint(&initial));
    seen.note(world, 0, &initial, bound);
    Search { seen, queue: VecDeque::from([initial]) }
}

/// Goes on with a search until its end. Calls `keep` from time to time, and when the search ends
/// early.
pub fn go_on<R: Representation>(
    world: &mut R,
    search: Search<R>,
    bound: Bound,
    progress: &Progress,
    mut keep: impl FnMut(&R, &Search<R>),
) -> Exploration<R::Protocol> {
    let mut search = search;
    let mut kept = Instant::now();
    let mut next = search.queue.front().cloned().expect("a search that is over does not go on");
    let mut actions = Vec::new();
    let mut depth_max = search.seen.depth_max(&bound);
    while !search.queue.is_empty() {
        let stop = progress.tick(&search.seen.counts(), search.queue.len());
        if stop.is_some() || kept.elapsed() > KEEP_EVERY {
            keep(world, &search);
            kept = Instant::now();
        }
        let Search { seen, queue } = &mut search;
        if let Some(stop) = stop {
            seen.stopped = Some(stop);
            break;
        }
        let state = queue.pop_front().expect("it is not empty");
        let index = seen.fair.len() as u32;
        seen.fair.open();
        let depth = seen.depth_of(index);
        if depth > depth_max {
            seen.stopped = Some(Stop::Depth);
            continue;
        }
        actions.clear();
        world.enabled(&state, &mut actions);
        for action in &actions {
            world.step(&state, action, &mut next);
            seen.states += 1;
            let (to, is_new) = seen.reach(world.fingerprint(&next), index, depth + 1);
            if let Some(action) = world.fair(&state, action) {
                let action = seen.actions.number(action);
                seen.fair.push(to, action);
            }
            if is_new {
                if depth < depth_max {
                    seen.note(world, to, &next, &bound);
                } else {
                    seen.goals.push(0);
                }
                depth_max = depth_max.min(seen.depth_max(&bound));
                queue.push_back(next.clone());
            }
        }
    }
    search.seen.coverage.merge(&world.coverage());
    search.seen
}

/// How often a search is kept that may have to go on later.
const KEEP_EVERY: Duration = Duration::from_secs(600);

/// Fair actions, as few numbers as there are.
#[derive(Default, Serialize, Deserialize)]
struct Actions(HashMap<u32, u16, ahash::RandomState>);

impl Actions {
    fn number(&mut self, action: u32) -> u16 {
        let next = u16::try_from(self.0.len()).expect("at most 2^16 different fair actions");
        *self.0.entry(action).or_insert(next)
    }
}

impl<P: Protocol> Exploration<P> {
    /// Of the initial state alone.
    fn of(print: u64) -> Self {
        let mut seen = Exploration {
            states: 0,
            stopped: None,
            violated: BTreeMap::new(),
            goals: Vec::new(),
            fair: Graph::default(),
            coverage: Coverage::new::<P>(),
            parents: Vec::new(),
            layers: Vec::new(),
            prints: Vec::new(),
            numbers: HashTable::new(),
            actions: Actions::default(),
        };
        seen.reach(print, 0, 0);
        seen.states = 1;
        seen
    }

    /// The number of a state that was reached, and whether it is new.
    fn reach(&mut self, print: u64, parent: u32, depth: usize) -> (u32, bool) {
        let Exploration { prints, numbers, .. } = self;
        let entry = numbers.entry(
            print,
            |known| prints[*known as usize] == print,
            |known| prints[*known as usize],
        );
        let next = u32::try_from(prints.len()).expect("fewer than 2^32 states");
        match entry {
            hashbrown::hash_table::Entry::Occupied(known) => (*known.get(), false),
            hashbrown::hash_table::Entry::Vacant(free) => {
                free.insert(next);
                prints.push(print);
                self.parents.push(parent);
                if depth == self.layers.len() {
                    self.layers.push(next);
                }
                (next, true)
            }
        }
    }

    /// How many different states were reached.
    pub fn distinct(&self) -> u64 {
        self.prints.len() as u64
    }

    /// The most actions that the shortest way to any state takes.
    pub fn depth(&self) -> usize {
        self.layers.len() - 1
    }

    /// Whether every reachable state was explored.
    pub fn is_complete(&self) -> bool {
        self.stopped.is_none()
    }

    /// How deep states were judged, if not all were: those one action deeper were only counted.
    pub fn judged_to(&self) -> Option<usize> {
        (self.stopped == Some(Stop::Depth)).then(|| self.depth().saturating_sub(1))
    }

    /// Makes states findable again after they were read.
    pub(crate) fn index(&mut self) {
        let Exploration { prints, numbers, .. } = self;
        numbers.reserve(prints.len(), |known| prints[*known as usize]);
        for (number, print) in prints.iter().enumerate() {
            numbers.insert_unique(*print, number as u32, |known| prints[*known as usize]);
        }
    }

    /// How deep states are to be judged: `bound`, or as deep as the first violation.
    fn depth_max(&self, bound: &Bound) -> usize {
        let first = self.first(bound.first_violation).map(|first| self.depth_of(first));
        first.into_iter().chain(bound.depth_max).min().unwrap_or(usize::MAX)
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
        (self.states, self.distinct(), self.depth())
    }

    fn note<R>(&mut self, world: &mut R, number: u32, state: &R::State, bound: &Bound)
    where
        R: Representation<Protocol = P>,
    {
        let violated = R::violated(state);
        if violated != 0 {
            for property in (0..P::safety().len()).filter(|index| violated & 1 << index != 0) {
                self.violated.entry(property).or_insert(number);
            }
        }
        let mut goals = 0;
        // Where only safety is asked, liveness is not judged: the graph will be cut off.
        if !matches!(bound.first_violation, Sought::Of(_)) {
            goals = world.reached(state);
            for (index, unmet) in self.coverage.unmet.iter_mut().enumerate() {
                *unmet += u64::from(goals & 1 << index == 0);
            }
        }
        self.goals.push(goals);
    }

    /// A shortest way to a state: its actions, and the state.
    pub fn path<R>(&self, world: &mut R, number: u32) -> (Vec<Action<P>>, R::State)
    where
        R: Representation<Protocol = P>,
    {
        let mut way = vec![number];
        while let Some(at) = way.last().copied().filter(|at| *at != 0) {
            way.push(self.parents[at as usize]);
        }
        way.pop();
        way.reverse();
        let initial = world.initial();
        self.along(world, initial, &way, |_, _, _| true)
    }

    /// The allowed actions that lead from `state` through the states of these numbers, and the last.
    pub fn along<R>(
        &self,
        world: &mut R,
        mut state: R::State,
        way: &[u32],
        may: impl Fn(&mut R, &R::State, &R::Action) -> bool,
    ) -> (Vec<Action<P>>, R::State)
    where
        R: Representation<Protocol = P>,
    {
        let mut taken = Vec::new();
        for number in way {
            let mut actions = Vec::new();
            world.enabled(&state, &mut actions);
            let mut next = state.clone();
            let found = actions.into_iter().find(|action| {
                world.step(&state, action, &mut next);
                self.number(world.fingerprint(&next)) == Some(*number) && may(world, &state, action)
            });
            let action = found.expect("a step that was taken can be taken again");
            taken.push(world.action(&state, &action));
            world.step(&state, &action, &mut next);
            state = next;
        }
        (taken, state)
    }

    /// The number of the state of this print, if it was reached.
    pub fn number(&self, print: u64) -> Option<u32> {
        self.numbers.find(print, |known| self.prints[*known as usize] == print).copied()
    }

    /// How many actions the shortest way to a state takes.
    pub fn depth_of(&self, number: u32) -> usize {
        self.layers.partition_point(|first| *first <= number) - 1
    }
}
