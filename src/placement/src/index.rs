//! The index: all nodes in the order of the weighers, kept up to date one node at a time.

mod room;
#[cfg(test)]
mod tests;
mod tree;
mod vocabulary;

use crate::filters::Exclusions;
use crate::share::Share;
use crate::weigh::{Policy, Score, Weighed, Weighers};
use counterfoil_protocol::{
    ClassInventory, Demand, HostState, Inventory, Map, NodeId, Refusal, ResourceClass, Resources,
};
use fastrand::Rng;
use room::Room;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use tree::{Key, Leaf, Tree, Whose};
use vocabulary::{Vocabulary, balanced};

/// What is known of the nodes, arranged for picking one of them.
///
/// Its driver tells it with [`Index::set`] whenever what is known of a node changed: a delta or
/// snapshot came, a claim was made or decided, the node is suspected or is heard of again. It costs
/// the same however many other nodes there are, but for a logarithm, as does a pick unless the
/// demand asks for a rare combination: then nodes are passed over one by one that have enough of
/// each class, together, in a part of the order, but not one of them of all.
///
/// The same seed and the same calls give the same picks.
///
/// # Invariants
/// The order holds exactly the nodes that are open. No node is passed over that may fit: what is
/// compared with a demand are bounds of what is free, and names that an inventory must have.
#[derive(Clone, Debug)]
pub struct Index {
    policy: Policy,
    share: Share,
    generator: Rng,
    vocabulary: Vocabulary,
    nodes: BTreeMap<NodeId, Known>,
    capacities: Capacities,
    /// The largest capacities when the order was made.
    largest: Weighed,
    order: Tree,
}

/// What is known of one node.
#[derive(Clone, Debug, Default)]
struct Known {
    inventory: Inventory,
    classes: Vec<OfClass>,
    tags: u128,
    room: Room,
    /// Its place in the order; `None` if it is not open.
    key: Option<Key>,
}

/// What a node has of one class, in the unit of the class.
#[derive(Clone, Debug)]
struct OfClass {
    class: ResourceClass,
    column: Option<usize>,
    capacity: u64,
    free: u64,
}

/// How many nodes have which capacity, of the classes that weighers look at.
#[derive(Clone, Debug, Default)]
struct Capacities {
    ram: BTreeMap<u64, u32>,
    cpu: BTreeMap<u64, u32>,
    disk: BTreeMap<u64, u32>,
}

impl Index {
    /// An index without nodes. `seed` starts the generator.
    pub fn new(policy: Policy, seed: u64) -> Index {
        Index {
            policy,
            share: Share::ALL,
            generator: Rng::with_seed(seed),
            vocabulary: Vocabulary::new(),
            nodes: BTreeMap::new(),
            capacities: Capacities::default(),
            largest: Weighed::default(),
            order: Tree::default(),
        }
    }

    /// Sets what is known of `node`: its state, what is set aside on it for claims that the state
    /// does not contain, and whether it is `open`, that is, can be picked at all.
    ///
    /// An inventory that shares its memory with the last one is taken for unchanged at once; any
    /// other is read anew.
    pub fn set(&mut self, node: NodeId, state: &HostState, set_aside: &Resources, open: bool) {
        let known = self.nodes.entry(node).or_default();
        let learnt = !is_shared(&known.inventory, &state.inventory);
        if learnt {
            self.capacities.forget(known.weighed(|of_class| of_class.capacity));
            known.learn(&state.inventory, &mut self.vocabulary);
            self.capacities.note(known.weighed(|of_class| of_class.capacity));
        }
        let changed = known.count(state, set_aside);
        if !changed && !learnt && known.key.is_some() == open {
            return;
        }
        if let Some(key) = known.key.take() {
            self.order.remove(&key);
        }
        if open {
            let score = self.policy.weighers.score(known.free(), self.largest);
            let (whose, lot) = (whose(self.policy, self.share, node), self.generator.u32(..));
            let key = Key { whose, score: Reverse(score), lot, node };
            known.key = Some(key);
            self.order.insert(Leaf { key, room: known.room });
        }
    }

    /// Says which nodes are this scheduler's own: until then all. Another share than before takes time
    /// for every node; it is rare, for a scheduler came or went.
    pub fn set_share(&mut self, share: Share) {
        if self.share != share {
            self.share = share;
            if self.policy.own_first {
                self.reorder();
            }
        }
    }

    /// Which nodes are this scheduler's own.
    pub fn share(&self) -> Share {
        self.share
    }

    /// Forgets `node`, if it is known.
    pub fn remove(&mut self, node: NodeId) {
        let Some(known) = self.nodes.remove(&node) else { return };
        self.capacities.forget(known.weighed(|of_class| of_class.capacity));
        if let Some(key) = known.key {
            self.order.remove(&key);
        }
    }

    /// Picks a node for `demand`: of the open nodes that fit it and that `accepts`, one of the best.
    ///
    /// `accepts` has the last word and is asked about the best nodes first. It must be false of a
    /// node whose state refuses the demand for its zone, aggregates, required traits, or the free
    /// amount of a class that is VCPU, MEMORY_MB, DISK_GB or in any inventory: about such nodes it
    /// need not be asked. Whatever else is in the demand is for `accepts` alone. So the answer is
    /// `None` only if no node can be picked.
    pub fn pick(
        &mut self,
        demand: &Demand,
        mut accepts: impl FnMut(NodeId) -> bool,
    ) -> Option<NodeId> {
        self.rescale();
        let need = self.vocabulary.need(demand)?;
        let (mut best, subset) = (Vec::new(), self.policy.subset.get());
        let mut ask = |node| {
            if accepts(node) {
                best.push(node);
            }
            let enough = best.len() >= subset;
            if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        // Lots of nodes are drawn anew whenever they change, so that none stays behind a gap that would make
        // it likelier than others.
        let all_alike = self.policy.weighers == Weighers::OFF;
        let lot = all_alike.then(|| self.generator.u32(..));
        for whose in [Whose::Own, Whose::Other] {
            let begin = begin(whose, lot);
            let ranges = [begin..Key::end(whose), Key::first(whose)..begin];
            if ranges.iter().any(|range| self.order.visit(range, &need, &mut ask).is_break()) {
                break;
            }
        }
        self.generator.choice(best)
    }

    /// Why none of the nodes in `refusals` was picked, in numbers, with how much is free now where
    /// too little is.
    pub fn why_not(&self, refusals: &Map<NodeId, Refusal>) -> Exclusions {
        Exclusions::of(refusals, |node, class| self.free(node, class))
    }

    /// How much of `class` is free on `node` and not set aside, in the unit of the class; `None` if
    /// it has none or is not known.
    pub fn free(&self, node: NodeId, class: &ResourceClass) -> Option<u64> {
        let of_node = self.nodes.get(&node)?.classes.iter();
        of_node.filter(|of_class| of_class.class == *class).map(|of_class| of_class.free).next()
    }

    /// The score of `node`; `None` if it is not open. It is as of the last pick: by the largest
    /// capacities that were known then.
    pub fn score(&self, node: NodeId) -> Option<Score> {
        self.nodes.get(&node)?.key.map(|key| key.score.0)
    }

    /// How many nodes are known, open or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node is known.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Makes the order anew if the largest capacities are not what they were: rare, for it takes an
    /// operator, but it takes time for every node.
    fn rescale(&mut self) {
        let largest = self.capacities.largest();
        if largest == self.largest {
            return;
        }
        self.largest = largest;
        self.reorder();
    }

    fn reorder(&mut self) {
        self.order = Tree::default();
        for (node, known) in &mut self.nodes {
            let score = self.policy.weighers.score(known.free(), self.largest);
            if let Some(key) = &mut known.key {
                key.whose = whose(self.policy, self.share, *node);
                key.score = Reverse(score);
                self.order.insert(Leaf { key: *key, room: known.room });
            }
        }
    }
}

/// Where to begin among the own or the others: with the best; or anywhere, if all are as good and a lot
/// was drawn.
fn begin(whose: Whose, lot: Option<u32>) -> Key {
    let anywhere = |lot| Key { whose, score: Reverse(Score::default()), lot, node: NodeId(0) };
    lot.map_or(Key::first(whose), anywhere)
}

/// Whose this node is, for a scheduler with this share.
fn whose(policy: Policy, share: Share, node: NodeId) -> Whose {
    if policy.own_first && !share.has(node) { Whose::Other } else { Whose::Own }
}

impl Known {
    /// Takes over an inventory.
    fn learn(&mut self, inventory: &Inventory, vocabulary: &mut Vocabulary) {
        self.inventory = inventory.clone();
        self.tags = vocabulary.tags(inventory);
        let of_class = |(class, of_class): (&ResourceClass, &ClassInventory)| OfClass {
            class: class.clone(),
            column: vocabulary.column(class),
            capacity: of_class.capacity(),
            free: 0,
        };
        self.classes = inventory.classes.iter().map(of_class).collect();
    }

    /// Counts what is free; whether that changed.
    fn count(&mut self, state: &HostState, set_aside: &Resources) -> bool {
        let mut changed = false;
        self.room = Room::of(self.tags);
        for of_class in &mut self.classes {
            let OfClass { class, column, capacity, free } = of_class;
            let taken = state.used.get(class).saturating_add(set_aside.get(class));
            let now = capacity.saturating_sub(taken);
            changed |= now != *free;
            *free = now;
            if let Some(column) = column {
                self.room.raise(*column, now);
            }
        }
        let Weighed { ram, cpu, disk: _ } = self.free();
        self.room.raise(Vocabulary::BALANCED, balanced(cpu, ram));
        changed
    }

    /// What is free, for the weighers.
    fn free(&self) -> Weighed {
        self.weighed(|of_class| of_class.free)
    }

    /// An amount of the classes that weighers look at.
    fn weighed(&self, amount: impl Fn(&OfClass) -> u64) -> Weighed {
        let mut weighed = Weighed::default();
        for of_class in &self.classes {
            match of_class.column {
                Some(Vocabulary::VCPU) => weighed.cpu = amount(of_class),
                Some(Vocabulary::MEMORY_MB) => weighed.ram = amount(of_class),
                Some(Vocabulary::DISK_GB) => weighed.disk = amount(of_class),
                Some(_) | None => {}
            }
        }
        weighed
    }
}

impl Capacities {
    fn note(&mut self, of_node: Weighed) {
        for (counts, capacity) in self.each(of_node) {
            *counts.entry(capacity).or_default() += 1;
        }
    }

    fn forget(&mut self, of_node: Weighed) {
        for (counts, capacity) in self.each(of_node) {
            let count = counts.get_mut(&capacity).expect("what is forgotten was noted");
            *count -= 1;
            if *count == 0 {
                counts.remove(&capacity);
            }
        }
    }

    /// The counts of each class with the capacity of a node, if it has any.
    fn each(&mut self, of_node: Weighed) -> impl Iterator<Item = (&mut BTreeMap<u64, u32>, u64)> {
        let Weighed { ram, cpu, disk } = of_node;
        let each = [(&mut self.ram, ram), (&mut self.cpu, cpu), (&mut self.disk, disk)];
        each.into_iter().filter(|(_, capacity)| *capacity > 0)
    }

    fn largest(&self) -> Weighed {
        let last = |counts: &BTreeMap<u64, u32>| counts.last_key_value().map_or(0, |(max, _)| *max);
        Weighed { ram: last(&self.ram), cpu: last(&self.cpu), disk: last(&self.disk) }
    }
}

/// Whether two inventories are one and the same in memory. If not they may be equal all the same.
fn is_shared(a: &Inventory, b: &Inventory) -> bool {
    a.classes.ptr_eq(&b.classes)
        && a.traits.ptr_eq(&b.traits)
        && a.aggregates.ptr_eq(&b.aggregates)
        && a.zone == b.zone
}
