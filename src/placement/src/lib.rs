//! Which node: policies that pick one of the nodes that a scheduler may choose.
//!
//! A policy knows nothing of messages, attempts or claims. It is given candidates that are all
//! eligible, and only says which of them is the best. What the protocol promises holds for every
//! policy, so a policy can be bad but never wrong.

use counterfoil_protocol::{Demand, HostState, NodeId, ResourceClass, Resources};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A node that can be chosen.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The node.
    pub node: NodeId,
    /// What is known of it.
    pub state: &'a HostState,
    /// What is set aside on it for claims that its state does not contain yet.
    pub set_aside: Resources,
}

/// How to pick one of the candidates.
#[derive(Clone, Debug)]
pub enum Policy {
    /// The node that keeps the largest share free.
    Spread,
    /// The node that keeps the smallest share free.
    Pack,
    /// Any, each as likely as the others.
    Random(fastrand::Rng),
}

/// The name of a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyName {
    /// See [`Policy::Spread`].
    #[default]
    Spread,
    /// See [`Policy::Pack`].
    Pack,
    /// See [`Policy::Random`].
    Random,
}

/// A text that names no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPolicy(String);

impl PolicyName {
    /// All of them.
    pub const ALL: [PolicyName; 3] = [PolicyName::Spread, PolicyName::Pack, PolicyName::Random];

    /// The name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyName::Spread => "spread",
            PolicyName::Pack => "pack",
            PolicyName::Random => "random",
        }
    }

    /// The policy of this name. `seed` starts the generator of the random one: the same seed and
    /// candidates give the same picks.
    pub fn policy(self, seed: u64) -> Policy {
        match self {
            PolicyName::Spread => Policy::Spread,
            PolicyName::Pack => Policy::Pack,
            PolicyName::Random => Policy::Random(fastrand::Rng::with_seed(seed)),
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PolicyName {
    type Err = UnknownPolicy;
    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let found = PolicyName::ALL.into_iter().find(|name| name.as_str() == text);
        found.ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no policy: use spread, pack or random", self.0)
    }
}

impl std::error::Error for UnknownPolicy {}

impl Policy {
    /// Picks one of `candidates` for `demand`; `None` only if there are none. Of equally good ones
    /// the one with the smallest id is picked, except by the random policy.
    pub fn pick<'a>(
        &mut self,
        demand: &Demand,
        candidates: impl IntoIterator<Item = Candidate<'a>>,
    ) -> Option<NodeId> {
        let shares = candidates.into_iter().map(|c| (Share::left(demand, &c), c.node));
        let by_id = |a: NodeId, b: NodeId| a.cmp(&b);
        let best = match self {
            Policy::Spread => shares.min_by(|a, b| b.0.cmp(&a.0).then(by_id(a.1, b.1))),
            Policy::Pack => shares.min_by(|a, b| a.0.cmp(&b.0).then(by_id(a.1, b.1))),
            Policy::Random(generator) => generator.choice(shares.collect::<Vec<_>>()),
        };
        best.map(|(_, node)| node)
    }
}

/// The share of a node that stays free once the demand is placed there: of the classes that the
/// demand names, that of the scarcest. An exact fraction.
#[derive(Clone, Copy, Debug)]
struct Share {
    free: u64,
    capacity: u64,
}

impl Share {
    /// What stays free on `candidate`; everything, if the demand names no class.
    fn left(demand: &Demand, candidate: &Candidate<'_>) -> Share {
        let of_class = |(class, amount)| {
            let inventory = candidate.state.inventory.classes.get(class);
            let capacity = inventory.map_or(0, |inventory| inventory.capacity());
            let taken = candidate.set_aside.get(class).saturating_add(amount);
            Share { free: candidate.state.free(class).saturating_sub(taken), capacity }
        };
        let bounded =
            |(class, _): &(&ResourceClass, u64)| !matches!(class, ResourceClass::Group(_));
        demand
            .resources
            .iter()
            .filter(bounded)
            .map(of_class)
            .min()
            .unwrap_or(Share { free: 1, capacity: 1 })
    }
}

impl Ord for Share {
    /// By the fraction free / capacity; with no capacity nothing is free.
    fn cmp(&self, other: &Self) -> Ordering {
        let cross = |free: u64, capacity: u64| u128::from(free) * u128::from(capacity.max(1));
        cross(self.free, other.capacity).cmp(&cross(other.free, self.capacity))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{ClassInventory, Inventory, ResourceClass};

    const VCPU: ResourceClass = ResourceClass::Vcpu;
    const MEMORY: ResourceClass = ResourceClass::MemoryMb;

    fn host(vcpu: u64, memory: u64, vcpu_used: u64, memory_used: u64) -> HostState {
        let classes = [(VCPU, ClassInventory::of(vcpu)), (MEMORY, ClassInventory::of(memory))];
        HostState {
            inventory: Inventory { classes: classes.into_iter().collect(), ..Inventory::default() },
            used: [(VCPU, vcpu_used), (MEMORY, memory_used)].into_iter().collect(),
            ..HostState::default()
        }
    }

    fn demand(vcpu: u64, memory: u64) -> Demand {
        let resources = [(VCPU, vcpu), (MEMORY, memory)].into_iter().collect();
        Demand { resources, ..Demand::default() }
    }

    fn pick(policy: &mut Policy, demand: &Demand, hosts: &[HostState]) -> Option<NodeId> {
        let candidates = (1..).zip(hosts).map(|(id, state)| Candidate {
            node: NodeId(id),
            state,
            set_aside: Resources::default(),
        });
        policy.pick(demand, candidates)
    }

    #[test]
    fn without_candidates_nothing_is_picked() {
        for name in PolicyName::ALL {
            assert_eq!(pick(&mut name.policy(1), &demand(1, 1), &[]), None, "{name}");
        }
    }

    #[test]
    fn spread_picks_the_largest_share_left_and_pack_the_smallest() {
        // Shares left for (2, 2): 6/10, 2/10 and 18/20 of the scarcest class.
        let hosts = [host(10, 100, 2, 0), host(10, 10, 0, 6), host(20, 100, 0, 0)];
        assert_eq!(pick(&mut Policy::Spread, &demand(2, 2), &hosts), Some(NodeId(3)));
        assert_eq!(pick(&mut Policy::Pack, &demand(2, 2), &hosts), Some(NodeId(2)));
    }

    #[test]
    fn of_equal_shares_the_smallest_id_is_picked() {
        let hosts = [host(10, 10, 5, 5), host(20, 20, 11, 11), host(20, 20, 11, 11)];
        let wanted = demand(1, 1);
        assert_eq!(pick(&mut Policy::Spread, &wanted, &hosts), Some(NodeId(1)), "4/10 and 8/20");
        assert_eq!(pick(&mut Policy::Pack, &wanted, &hosts), Some(NodeId(1)));
    }

    #[test]
    fn what_is_set_aside_is_not_free() {
        let state = host(10, 10, 0, 0);
        let set_aside = demand(5, 5).resources;
        let candidates = [
            Candidate { node: NodeId(1), state: &state, set_aside },
            Candidate { node: NodeId(2), state: &state, set_aside: Resources::default() },
        ];
        assert_eq!(Policy::Spread.pick(&demand(1, 1), candidates.clone()), Some(NodeId(2)));
        assert_eq!(Policy::Pack.pick(&demand(1, 1), candidates), Some(NodeId(1)));
    }

    #[test]
    fn classes_that_the_demand_does_not_name_do_not_count() {
        let hosts = [host(10, 10, 0, 9), host(10, 10, 1, 0)];
        let vcpu_only =
            Demand { resources: [(VCPU, 1)].into_iter().collect(), ..Demand::default() };
        assert_eq!(pick(&mut Policy::Spread, &vcpu_only, &hosts), Some(NodeId(1)));
    }

    #[test]
    fn shares_of_the_largest_numbers_are_compared_exactly() {
        let max = u64::MAX;
        let hosts = [host(max, max, 1, 1), host(max, max, 0, 0)];
        assert_eq!(pick(&mut Policy::Spread, &demand(1, 1), &hosts), Some(NodeId(2)));
    }

    #[test]
    fn random_reaches_every_candidate_and_repeats_with_its_seed() {
        let hosts = [host(9, 9, 0, 0), host(9, 9, 0, 0), host(9, 9, 0, 0)];
        let draw = |seed| {
            let mut policy = PolicyName::Random.policy(seed);
            (0..64).filter_map(|_| pick(&mut policy, &demand(1, 1), &hosts)).collect::<Vec<_>>()
        };
        let picks = draw(7);
        assert_eq!(picks, draw(7));
        for id in 1..=3 {
            assert!(picks.contains(&NodeId(id)));
        }
    }

    #[test]
    fn a_policy_is_found_by_its_name() {
        for name in PolicyName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        assert!("worst".parse::<PolicyName>().is_err());
    }
}
