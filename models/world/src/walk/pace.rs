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
//! every third action is a fault, in some timers overtake most datagrams. Outside inputs come soon
//! or are spread over the whole walk, so that there is something to do until its end. Since faults
//! have a small share of every step, and not all of the first ones, they happen throughout.

use super::{fault_of, is_again};
use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use crate::random::Random;
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
    /// Outside inputs; spread evenly over the walk if not given.
    pub outside: Option<u32>,
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
        select(vec![3u32, 12, 50]),
        select(vec![None, None, Some(10), Some(60)]),
        select(vec![1u32, 4, 30]),
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
    /// The weights of the classes, for a walk that has `left` actions left.
    fn weights(self, to_come: usize, left: usize) -> [u32; 5] {
        let others = Pace::ARRIVALS + self.timers + self.faults;
        // So that each comes at an even chance at any of the actions that are left.
        let spread = || others * to_come as u32 / (left.saturating_sub(to_come) as u32).max(1);
        let outside = self.outside.unwrap_or_else(|| spread().max(1));
        [Pace::ARRIVALS, self.repeats, self.timers, outside, self.faults]
    }

    /// One of the actions that may happen now, if one may, of a walk that has `left` actions left.
    pub(super) fn choose<P: Protocol>(
        self,
        world: &World<P>,
        now: &Cluster<P>,
        left: usize,
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
        let mut weights = self.weights(now.to_come.len(), left);
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
