//! The allocations of a node, with their sum.

use crate::collections::Map;
use crate::id::ClaimId;
use crate::node::Allocation;
use crate::resources::Resources;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;

/// What was granted and is not over, by claim.
///
/// The sum of the demands is what a node judges by and tells of, at every claim and every
/// announcement; to add it up anew each time would cost as much as there are allocations. It stands
/// for nothing of its own: it is a function of the allocations and has no place in their serialised
/// form.
///
/// # Invariants
/// The sum is that of the allocations, whatever was put in and taken out on the way.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Map<ClaimId, Allocation>", into = "Map<ClaimId, Allocation>")]
pub struct Allocations {
    by_claim: Map<ClaimId, Allocation>,
    used: Resources,
}

impl Allocations {
    /// The sum of the demands of all; each class stops at the largest number.
    pub fn used(&self) -> &Resources {
        &self.used
    }

    /// Puts an allocation in, in the place of the one of the same claim, if there is one.
    pub fn insert(&mut self, claim: ClaimId, allocation: Allocation) {
        self.remove(&claim);
        self.used.add(&allocation.demand.resources);
        self.by_claim.insert(claim, allocation);
    }

    /// Takes an allocation out.
    pub fn remove(&mut self, claim: &ClaimId) -> Option<Allocation> {
        let allocation = self.by_claim.remove(claim)?;
        for (class, amount) in allocation.demand.resources.iter() {
            let sum = self.used.get(class);
            if sum == u64::MAX {
                // It may have stopped there, and then does not say how much is left.
                self.used = sum_of(&self.by_claim);
                break;
            }
            self.used.set(class.clone(), sum - amount);
        }
        Some(allocation)
    }
}

fn sum_of(by_claim: &Map<ClaimId, Allocation>) -> Resources {
    Resources::sum(by_claim.values().map(|allocation| &allocation.demand.resources))
}

impl Deref for Allocations {
    type Target = Map<ClaimId, Allocation>;
    fn deref(&self) -> &Self::Target {
        &self.by_claim
    }
}

impl From<Map<ClaimId, Allocation>> for Allocations {
    fn from(by_claim: Map<ClaimId, Allocation>) -> Self {
        Allocations { used: sum_of(&by_claim), by_claim }
    }
}

impl From<Allocations> for Map<ClaimId, Allocation> {
    fn from(allocations: Allocations) -> Self {
        allocations.by_claim
    }
}

impl FromIterator<(ClaimId, Allocation)> for Allocations {
    fn from_iter<I: IntoIterator<Item = (ClaimId, Allocation)>>(allocations: I) -> Self {
        Map::from_iter(allocations).into()
    }
}

impl fmt::Debug for Allocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by_claim.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ClaimNumber, Incarnation, NodeId, RequestId, SchedulerId, Stamp, Version};
    use crate::node::AllocationState;
    use crate::resources::{Demand, ResourceClass};
    use proptest::prelude::*;

    fn claim(number: u64) -> ClaimId {
        let (scheduler, incarnation) = (SchedulerId(1), Incarnation(1));
        ClaimId { scheduler, incarnation, node: NodeId(1), number: ClaimNumber(number) }
    }

    fn allocation(resources: Resources) -> Allocation {
        Allocation {
            request: RequestId(1),
            demand: Demand { resources, ..Demand::default() }.into(),
            at: Stamp { incarnation: Incarnation(1), version: Version(1) },
            state: AllocationState::Held,
        }
    }

    fn amount() -> impl Strategy<Value = u64> {
        prop_oneof![0..9u64, Just(u64::MAX), Just(u64::MAX - 3)]
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_allocations_whatever_was_there_before(
            steps in proptest::collection::vec(
                (0..6u64, proptest::option::of((amount(), amount()))),
                0..60,
            ),
        ) {
            let mut allocations = Allocations::default();
            for (number, demand) in steps {
                match demand {
                    Some((vcpu, memory)) => {
                        let classes =
                            [(ResourceClass::Vcpu, vcpu), (ResourceClass::MemoryMb, memory)];
                        let resources = classes.into_iter().collect();
                        allocations.insert(claim(number), allocation(resources));
                    }
                    None => drop(allocations.remove(&claim(number))),
                }
                let anew = Allocations::from(Map::clone(&allocations));
                prop_assert_eq!(&allocations, &anew);
            }
        }
    }
}
