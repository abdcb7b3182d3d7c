//! Shares: which nodes a scheduler takes first.

use counterfoil_protocol::{NodeId, SchedulerId};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// A scheduler's part of the nodes: as large as that of any other scheduler, and no node is in two.
///
/// Whoever takes nodes of its own share first meets others only where a share is full. Nothing
/// depends on it: schedulers that disagree on who there is have shares that overlap, and collide as
/// without any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    rank: u32,
    of: NonZeroU32,
}

impl Share {
    /// Every node.
    pub const ALL: Share = Share { rank: 0, of: NonZeroU32::MIN };

    /// The share of `own` beside those of `others`; it may be among them.
    pub fn beside(own: SchedulerId, others: impl IntoIterator<Item = SchedulerId>) -> Share {
        let others: BTreeSet<SchedulerId> = others.into_iter().filter(|id| *id != own).collect();
        let count = |len: usize| u32::try_from(len).expect("there are fewer schedulers");
        let rank = count(others.range(..own).count());
        Share { rank, of: NonZeroU32::MIN.saturating_add(count(others.len())) }
    }

    /// Whether this node is in it. Neighbours in number may be alike, so numbers are mixed.
    pub fn has(self, node: NodeId) -> bool {
        // A multiplication by 2^64 over the golden ratio spreads numbers evenly over the high bits.
        let mixed = u64::from(node.0).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        // Its part of the way from 0 to 2^32, in parts of which there are as many as shares.
        (mixed * u64::from(self.of.get())) >> 32 == u64::from(self.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_in_one_share_and_shares_are_equal() {
        let ids: Vec<SchedulerId> = [9, 2, 70, 5].map(SchedulerId).to_vec();
        let shares: Vec<Share> =
            ids.iter().map(|own| Share::beside(*own, ids.iter().copied())).collect();
        let mut sizes = vec![0; shares.len()];
        for node in (1..=4000).map(NodeId) {
            let has: Vec<usize> = (0..4).filter(|at| shares[*at].has(node)).collect();
            assert_eq!(has.len(), 1, "{node}");
            sizes[has[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (950..=1050).contains(size)), "{sizes:?}");
        // Every second node, or every fourth, is as evenly spread: they may be of one kind.
        for step in [2, 4] {
            let every = (1..=1000).map(|node| NodeId(node * step));
            let own = every.filter(|node| shares[0].has(*node)).count();
            assert!((225..=275).contains(&own), "{own} of 1,000, {step} apart");
        }
    }

    #[test]
    fn whoever_is_alone_has_every_node() {
        let own = SchedulerId(3);
        assert_eq!(Share::beside(own, []), Share::ALL);
        assert_eq!(Share::beside(own, [own]), Share::ALL);
        assert!((0..100).chain([u32::MAX]).all(|node| Share::ALL.has(NodeId(node))));
    }
}
