//! What a search needs of a world, whatever its states are made of.

use crate::cluster::{Action, Cluster, World};
use crate::protocol::{Coverage, Protocol};
use std::fmt::Debug;
use std::hash::Hash;

/// A world with states of some make. Every one reaches the same states by the same actions, though
/// perhaps not in the same order; [`Plain`] is the reference.
pub trait Representation {
    /// The protocol in the world.
    type Protocol: Protocol;
    /// A state. Equal states are equal clusters.
    type State: Clone + Debug + PartialEq + Eq + Hash + Send + Sync + 'static;
    /// Something that may happen in a state.
    type Action: Clone + Debug + PartialEq + Send + Sync + 'static;

    /// The world that it represents.
    fn world(&self) -> &World<Self::Protocol>;
    /// The state in which the exploration starts.
    fn initial(&mut self) -> Self::State;
    /// Everything that may happen, in an order that depends on the state alone while the
    /// representation lives.
    fn enabled(&mut self, state: &Self::State, actions: &mut Vec<Self::Action>);
    /// What becomes of a state.
    fn step(&mut self, state: &Self::State, action: &Self::Action, next: &mut Self::State);
    /// If an action is fair, a number for it: the same in every state, and of no other action.
    fn fair(&mut self, state: &Self::State, action: &Self::Action) -> Option<u32>;
    /// What tells states apart: a hash. States that count as one have one.
    fn fingerprint(&self, state: &Self::State) -> u64;
    /// By bit: which safety properties were violated on the way here.
    fn violated(state: &Self::State) -> u32;
    /// By bit: which liveness properties are true now.
    fn reached(&mut self, state: &Self::State) -> u8;
    /// Whether nothing is under way.
    fn is_quiet(&self, state: &Self::State) -> bool;
    /// The cluster that a state is.
    fn cluster(&self, state: &Self::State) -> Cluster<Self::Protocol>;
    /// The action as the plain world knows it.
    fn action(&self, state: &Self::State, action: &Self::Action) -> Action<Self::Protocol>;
    /// What was covered by the steps so far; liveness aside.
    fn coverage(&self) -> Coverage<<Self::Protocol as Protocol>::Arm>;
}

/// States made of persistent maps: the reference.
pub struct Plain<P: Protocol> {
    world: World<P>,
    hasher: ahash::RandomState,
    coverage: Coverage<P::Arm>,
    labels: std::collections::HashMap<Action<P>, u32, ahash::RandomState>,
}

impl<P: Protocol> Plain<P> {
    /// The world of its states; `seed` is that of the fingerprints.
    pub fn new(world: World<P>, seed: u64) -> Self {
        let hasher = ahash::RandomState::with_seeds(seed, 0x5eed, 0x0f, 0x57a7e5);
        let labels = std::collections::HashMap::with_hasher(hasher.clone());
        Plain { world, hasher, coverage: Coverage::new::<P>(), labels }
    }
}

impl<P: Protocol> Representation for Plain<P> {
    type Protocol = P;
    type State = Cluster<P>;
    type Action = Action<P>;

    fn world(&self) -> &World<P> {
        &self.world
    }

    fn initial(&mut self) -> Cluster<P> {
        self.world.initial()
    }

    fn enabled(&mut self, state: &Cluster<P>, actions: &mut Vec<Action<P>>) {
        actions.extend(self.world.enabled(state));
    }

    fn step(&mut self, state: &Cluster<P>, action: &Action<P>, next: &mut Cluster<P>) {
        *next = self.world.step(state, action, Some(&mut self.coverage));
    }

    fn fair(&mut self, state: &Cluster<P>, action: &Action<P>) -> Option<u32> {
        let next = self.labels.len() as u32;
        self.world
            .is_fair(state, action)
            .then(|| *self.labels.entry(action.clone()).or_insert(next))
    }

    fn fingerprint(&self, state: &Cluster<P>) -> u64 {
        self.hasher.hash_one(state)
    }

    fn violated(state: &Cluster<P>) -> u32 {
        state.violated.keys().fold(0, |all, property| all | 1 << property)
    }

    fn reached(&mut self, state: &Cluster<P>) -> u8 {
        (0..P::liveness().len())
            .filter(|property| P::is_reached(&self.world, state, *property))
            .fold(0, |all, property| all | 1 << property)
    }

    fn is_quiet(&self, state: &Cluster<P>) -> bool {
        state.is_quiet()
    }

    fn cluster(&self, state: &Cluster<P>) -> Cluster<P> {
        state.clone()
    }

    fn action(&self, _: &Cluster<P>, action: &Action<P>) -> Action<P> {
        action.clone()
    }

    fn coverage(&self) -> Coverage<P::Arm> {
        self.coverage.clone()
    }
}
