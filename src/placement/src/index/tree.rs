//! The order of the nodes: a B+ tree that knows of each subtree what a node in it has room for.
//!
//! Full pages are split; a page goes when it is empty, not when it is half empty. Nodes move all the
//! time and their number hardly changes, so pages fill up again by themselves.

use super::room::{Need, Room};
use crate::weigh::Score;
use counterfoil_protocol::NodeId;
use std::cmp::Reverse;
use std::ops::{ControlFlow, Range};

/// The most entries of one page.
const PAGE_MAX: usize = 32;

/// Where a node stands in the order: those that come first for what they are, then the best score, and of
/// equal scores by lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) whose: Whose,
    pub(crate) score: Reverse<Score>,
    pub(crate) lot: u32,
    pub(crate) node: NodeId,
}

/// Whose a node is, if that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    Own,
    Other,
}

/// A node with its place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) key: Key,
    pub(crate) room: Room,
}

/// The order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    root: Page,
}

/// # Invariants
/// Entries are in ascending order. Only the root may be empty.
#[derive(Clone, Debug)]
enum Page {
    Leaves(Vec<Leaf>),
    Branches(Vec<Branch>),
}

/// # Invariants
/// Every key below is at or above `least`, and below that of the next branch. `room` is the join of
/// all rooms below.
#[derive(Clone, Debug)]
struct Branch {
    least: Key,
    room: Room,
    page: Page,
}

impl Key {
    /// At or before every node.
    pub(crate) const FIRST: Key = Key::first(Whose::Own);

    /// At or before every node that is whose it says.
    pub(crate) const fn first(whose: Whose) -> Key {
        Key { whose, score: Reverse(Score(i64::MAX)), lot: 0, node: NodeId(0) }
    }

    /// After every such node, for no score is so low, and before any of others.
    pub(crate) const fn end(whose: Whose) -> Key {
        let score = Reverse(Score(i64::MIN));
        Key { whose, score, lot: u32::MAX, node: NodeId(u32::MAX) }
    }
}

impl Tree {
    /// Adds a node. Its key must not be there.
    pub(crate) fn insert(&mut self, leaf: Leaf) {
        let Some(right) = self.root.insert(leaf) else { return };
        let left = std::mem::take(&mut self.root);
        let left = Branch { least: Key::FIRST, room: left.room(), page: left };
        self.root = Page::Branches(vec![left, right]);
    }

    /// Removes a node. Its key must be there.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.root.remove(key);
        while let Page::Branches(branches) = &mut self.root {
            match branches.len() {
                0 => self.root = Page::default(),
                1 => self.root = branches.pop().expect("there is one").page,
                _ => return,
            }
        }
    }

    /// Visits the nodes in `range` whose room meets `need`, in order, until `visit`
    /// breaks off.
    pub(crate) fn visit(
        &self,
        range: &Range<Key>,
        need: &Need,
        visit: &mut impl FnMut(NodeId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.root.visit(range, need, visit)
    }
}

impl Default for Page {
    fn default() -> Self {
        Page::Leaves(Vec::new())
    }
}

impl Page {
    /// What a node on this page or below has room for.
    fn room(&self) -> Room {
        let join = |sum: Room, room: &Room| sum.join(room);
        match self {
            Page::Leaves(leaves) => {
                leaves.iter().map(|leaf| &leaf.room).fold(Room::default(), join)
            }
            Page::Branches(branches) => {
                branches.iter().map(|branch| &branch.room).fold(Room::default(), join)
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Page::Leaves(leaves) => leaves.is_empty(),
            Page::Branches(branches) => branches.is_empty(),
        }
    }

    /// Adds a node. If the page became too large, its right half is split off and returned.
    fn insert(&mut self, leaf: Leaf) -> Option<Branch> {
        match self {
            Page::Leaves(leaves) => {
                let at = leaves.partition_point(|other| other.key < leaf.key);
                leaves.insert(at, leaf);
                let right = split(leaves)?;
                let least = right[0].key;
                Some(Branch::of(least, Page::Leaves(right)))
            }
            Page::Branches(branches) => {
                let at = branch_of(branches, &leaf.key);
                let branch = &mut branches[at];
                branch.least = branch.least.min(leaf.key);
                match branch.page.insert(leaf) {
                    None => branch.room = branch.room.join(&leaf.room),
                    Some(right) => {
                        branch.room = branch.page.room();
                        branches.insert(at + 1, right);
                    }
                }
                let right = split(branches)?;
                let least = right[0].least;
                Some(Branch::of(least, Page::Branches(right)))
            }
        }
    }

    /// Removes a node; whether the room of this page may have changed.
    fn remove(&mut self, key: &Key) -> bool {
        match self {
            Page::Leaves(leaves) => {
                let at = leaves.binary_search_by(|leaf| leaf.key.cmp(key));
                leaves.remove(at.expect("a key that is removed is there"));
                true
            }
            Page::Branches(branches) => {
                let at = branch_of(branches, key);
                let branch = &mut branches[at];
                if !branch.page.remove(key) {
                    return false;
                }
                if branch.page.is_empty() {
                    branches.remove(at);
                    return true;
                }
                let before = std::mem::replace(&mut branch.room, branch.page.room());
                branch.room != before
            }
        }
    }

    fn visit(
        &self,
        range: &Range<Key>,
        need: &Need,
        visit: &mut impl FnMut(NodeId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Page::Leaves(leaves) => {
                let first = leaves.partition_point(|leaf| leaf.key < range.start);
                for leaf in &leaves[first..] {
                    if leaf.key >= range.end {
                        break;
                    }
                    if leaf.room.meets(need) {
                        visit(leaf.key.node)?;
                    }
                }
            }
            Page::Branches(branches) => {
                for branch in &branches[branch_of(branches, &range.start)..] {
                    if branch.least >= range.end {
                        break;
                    }
                    if branch.room.meets(need) {
                        branch.page.visit(range, need, visit)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Branch {
    fn of(least: Key, page: Page) -> Branch {
        Branch { least, room: page.room(), page }
    }
}

/// Under which branch `key` is, or belongs.
fn branch_of(branches: &[Branch], key: &Key) -> usize {
    branches.partition_point(|branch| branch.least <= *key).saturating_sub(1)
}

/// Splits off the right half if there are too many.
fn split<T>(entries: &mut Vec<T>) -> Option<Vec<T>> {
    (entries.len() > PAGE_MAX).then(|| entries.split_off(entries.len() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Page {
        /// Checks the invariants of this page and all below.
        fn check(&self, is_root: bool) {
            assert!(is_root || !self.is_empty());
            match self {
                Page::Leaves(leaves) => {
                    assert!(leaves.len() <= PAGE_MAX);
                    assert!(leaves.is_sorted_by(|a, b| a.key < b.key));
                }
                Page::Branches(branches) => {
                    assert!(branches.len() <= PAGE_MAX);
                    for (i, branch) in branches.iter().enumerate() {
                        branch.page.check(false);
                        assert_eq!(branch.room, branch.page.room());
                        assert!(branch.least <= branch.page.first());
                        assert!(i == 0 || branches[i - 1].page.last() < branch.least);
                    }
                }
            }
        }

        fn first(&self) -> Key {
            match self {
                Page::Leaves(leaves) => leaves[0].key,
                Page::Branches(branches) => branches[0].page.first(),
            }
        }

        fn last(&self) -> Key {
            match self {
                Page::Leaves(leaves) => leaves[leaves.len() - 1].key,
                Page::Branches(branches) => branches[branches.len() - 1].page.last(),
            }
        }
    }

    fn leaf(score: i64, node: u32, free: u64) -> Leaf {
        let key =
            Key { whose: Whose::Own, score: Reverse(Score(score)), lot: 0, node: NodeId(node) };
        let mut room = Room::of(1 << (node % 128));
        room.raise(0, free);
        Leaf { key, room }
    }

    fn visited(tree: &Tree, range: Range<Key>, need: &Need) -> Vec<NodeId> {
        let mut visited = Vec::new();
        let _ = tree.visit(&range, need, &mut |node| {
            visited.push(node);
            ControlFlow::Continue(())
        });
        visited
    }

    #[test]
    fn a_node_before_the_first_is_found_after_the_first_pages_went() {
        let mut tree = Tree::default();
        let leaves: Vec<Leaf> = (0..2000).map(|node| leaf(0, node, 1)).collect();
        leaves.iter().for_each(|leaf| tree.insert(*leaf));
        leaves[..700].iter().for_each(|leaf| tree.remove(&leaf.key));
        tree.root.check(true);
        tree.insert(leaves[500]);
        tree.root.check(true);
        let range = Key::FIRST..leaves[501].key;
        assert_eq!(visited(&tree, range, &Need::default()), [NodeId(500)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        /// Thousands of nodes, so that the tree is three pages high.
        #[test]
        fn the_tree_is_an_ordered_map(
            steps in prop::collection::vec((-500..500i64, 0..2500u32, 0..9u64, 0..8u8), 3000..6000),
            bounds: (i16, i16),
            least in 0..10u64,
        ) {
            let mut tree = Tree::default();
            let mut model: BTreeMap<u32, Leaf> = BTreeMap::new();
            for (i, (score, node, free, what)) in steps.into_iter().enumerate() {
                if let Some(old) = model.remove(&node) {
                    tree.remove(&old.key);
                }
                if what > 0 {
                    tree.insert(leaf(score, node, free));
                    model.insert(node, leaf(score, node, free));
                }
                if i % 100 == 0 {
                    tree.root.check(true);
                }
            }
            tree.root.check(true);
            let mut need = Need::default();
            need.raise(0, least);
            let bound = |score: i16| leaf(i64::from(score) % 600, 0, 0).key;
            let range = bound(bounds.0)..bound(bounds.1);
            let mut expected: Vec<&Leaf> = model
                .values()
                .filter(|leaf| range.contains(&leaf.key) && leaf.room.meets(&need))
                .collect();
            expected.sort_by_key(|leaf| leaf.key);
            let expected: Vec<NodeId> = expected.iter().map(|leaf| leaf.key.node).collect();
            prop_assert_eq!(visited(&tree, range, &need), expected);
            for old in model.values() {
                tree.remove(&old.key);
            }
            prop_assert!(tree.root.is_empty());
            prop_assert_eq!(tree.root.room(), Room::default());
        }
    }
}
