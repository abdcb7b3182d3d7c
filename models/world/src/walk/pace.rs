//! Which of the actions that may happen is taken.
//!
//! An even choice among all actions would be drowned by whatever is most numerous: in a large
//! cluster the timers of every pair of scheduler and node, or the requests that are yet to come.
//! So the choice has three steps:
//!
//! 1. the class of the action, by weight, among the classes of which something may happen:
//!    arrivals (datagrams in flight, letters, answers of drivers, discovery), repeats (datagrams
//!    that were delivered before, in the set network), timers, outside inputs, faults;
//! 2. the kind, evenly: which timer, which outside input, which of the fourteen faults;
//! 3. the action, evenly among those of the kind.
//!
//! The weights belong to the walk, and differ from walk to walk: some walks are calm, in some
//! most actions are faults, in some timers overtake most datagrams, in some requests come one by
//! one and in others all at once. Since a fault has a small share of every step, and not all of
//! the first ones, faults happen throughout the walk.

use super::{Random, fault_of, is_again};
use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use crate::scenario::Fault;
use proptest::prelude::*;
use proptest::sample::select;
use std::mem::{Discriminant, discriminant};

/// The weights of the classes of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Datagrams that were delivered before.
    pub repeats: u32,
    /// Timers that are no faults.
    pub timers: u32,
    /// Outside inputs.
    pub outside: u32,
    /// Faults.
    pub faults: u32,
}

impl Pace {
    /// The weight of arrivals, beside which the others are chosen.
    pub const ARRIVALS: u32 = 60;
}

/// Any pace.
pub fn paces() -> impl Strategy<Value = Pace> {
    let weights = (
        select(vec![3u32, 10, 30]),
        select(vec![5u32, 20, 60]),
        select(vec![2u32, 10, 60]),
        select(vec![1u32, 4, 15]),
    );
    weights.prop_map(|(repeats, timers, outside, faults)| Pace { repeats, timers, outside, faults })
}

/// The kind of an action.
enum Kind<P: Protocol> {
    Arrival,
    Repeat,
    Timer(Discriminant<P::Timer>),
    Outside(u8),
    Fault(Fault),
}

impl<P: Protocol> PartialEq for Kind<P> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Kind::Arrival, Kind::Arrival) | (Kind::Repeat, Kind::Repeat) => true,
            (Kind::Timer(one), Kind::Timer(two)) => one == two,
            (Kind::Outside(one), Kind::Outside(two)) => one == two,
            (Kind::Fault(one), Kind::Fault(two)) => one == two,
            (Kind::Arrival | Kind::Repeat | Kind::Timer(_) | Kind::Outside(_), _)
            | (Kind::Fault(_), _) => false,
        }
    }
}

impl<P: Protocol> Kind<P> {
    fn of(world: &World<P>, now: &Cluster<P>, action: &Action<P>) -> Self {
        match (fault_of(world, now, action), action) {
            (Some(fault), _) => Kind::Fault(fault),
            (None, Action::Outside(index, _)) => Kind::Outside(*index),
            (None, Action::Fire(_, timer)) => Kind::Timer(discriminant(timer)),
            (None, _) if is_again(now, action) => Kind::Repeat,
            (None, _) => Kind::Arrival,
        }
    }

    /// The class, by number.
    fn class(&self) -> usize {
        match self {
            Kind::Arrival => 0,
            Kind::Repeat => 1,
            Kind::Timer(_) => 2,
            Kind::Outside(_) => 3,
            Kind::Fault(_) => 4,
        }
    }
}

impl Pace {
    fn weights(self) -> [u32; 5] {
        [Pace::ARRIVALS, self.repeats, self.timers, self.outside, self.faults]
    }

    /// One of the actions that may happen now, if one may.
    pub(super) fn choose<P: Protocol>(
        self,
        world: &World<P>,
        now: &Cluster<P>,
        random: &mut Random,
    ) -> Option<Action<P>> {
        let mut kinds: Vec<(Kind<P>, Vec<Action<P>>)> = Vec::new();
        for action in world.enabled(now) {
            let kind = Kind::of(world, now, &action);
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, actions)) => actions.push(action),
                None => kinds.push((kind, vec![action])),
            }
        }
        let mut weights = self.weights();
        for (class, weight) in weights.iter_mut().enumerate() {
            if !kinds.iter().any(|(kind, _)| kind.class() == class) {
                *weight = 0;
            }
        }
        let total: u32 = weights.iter().sum();
        if total == 0 {
            return None;
        }
        let mut drawn = random.below(total as usize) as u32;
        let class = weights.iter().position(|weight| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        })?;
        kinds.retain(|(kind, _)| kind.class() == class);
        let (_, mut actions) = kinds.swap_remove(random.below(kinds.len()));
        Some(actions.swap_remove(random.below(actions.len())))
    }
}
