//! The names that inventories use, as small numbers.

use super::room::Need;
use counterfoil_protocol::{Demand, Inventory, Name, ResourceClass};
use std::collections::BTreeMap;

/// Columns of amounts.
pub(crate) const COLUMNS: usize = 8;

/// Columns that no further class can have.
const COLUMNS_OWN: usize = 4;

/// Classes with a column that no other can have: those that weighers look at.
const CLASSES_OWN: usize = 3;

/// MiB of memory for each virtual processor, as most demands ask for it, about.
const BALANCE_MIB: u64 = 2048;

/// Classes that are told apart. Further ones exclude no node.
const CLASSES_MAX: usize = 256;

/// Which column and which bit stand for what. Small numbers are given out as names come up in
/// inventories, and kept for good.
///
/// There may be more names than numbers. Classes from the eighth on share columns with others, and of
/// each kind of tag the last ones share a bit. What is shared excludes less, and never wrongly.
///
/// # Invariants
/// A name that has no number is in no inventory, but for classes beyond [`CLASSES_MAX`].
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    columns: BTreeMap<ResourceClass, usize>,
    zones: Bits,
    aggregates: Bits,
    traits: Bits,
}

/// Names of one kind, a bit for each.
#[derive(Clone, Debug)]
struct Bits {
    first: u32,
    last: u32,
    names: BTreeMap<Name, u32>,
}

impl Vocabulary {
    /// The column of VCPU.
    pub(crate) const VCPU: usize = 0;
    /// The column of MEMORY_MB.
    pub(crate) const MEMORY_MB: usize = 1;
    /// The column of DISK_GB.
    pub(crate) const DISK_GB: usize = 2;
    /// The column of no class: memory for which there are processors, by [`balanced`].
    pub(crate) const BALANCED: usize = 3;

    pub(crate) fn new() -> Vocabulary {
        let own = [
            (ResourceClass::Vcpu, Self::VCPU),
            (ResourceClass::MemoryMb, Self::MEMORY_MB),
            (ResourceClass::DiskGb, Self::DISK_GB),
        ];
        Vocabulary {
            columns: own.into_iter().collect(),
            zones: Bits::new(0, 31),
            aggregates: Bits::new(32, 63),
            traits: Bits::new(64, 127),
        }
    }

    /// The column of a class that is in an inventory; `None` if it has none.
    pub(crate) fn column(&mut self, class: &ResourceClass) -> Option<usize> {
        if let Some(column) = self.columns.get(class) {
            return Some(*column);
        }
        // Groups are counted and never run out.
        let is_group = matches!(class, ResourceClass::Group(_));
        if is_group || self.columns.len() >= CLASSES_MAX {
            return None;
        }
        let others = self.columns.len() - CLASSES_OWN;
        let column = COLUMNS_OWN + others % (COLUMNS - COLUMNS_OWN);
        self.columns.insert(class.clone(), column);
        Some(column)
    }

    /// The tags of an inventory.
    pub(crate) fn tags(&mut self, inventory: &Inventory) -> u128 {
        let Inventory { classes: _, traits, zone, aggregates } = inventory;
        let mut tags = 0;
        for name in zone.iter() {
            tags |= self.zones.give(name);
        }
        for name in aggregates.iter() {
            tags |= self.aggregates.give(name);
        }
        for name in traits.iter() {
            tags |= self.traits.give(name);
        }
        tags
    }

    /// What a node must have room for to fit `demand`; `None` if no node has the zone, a trait or
    /// any of the aggregates.
    ///
    /// A class that has no column excludes no node: it may be one that nodes give without having an
    /// inventory of it.
    pub(crate) fn need(&self, demand: &Demand) -> Option<Need> {
        let mut need = Need::default();
        for (class, amount) in demand.resources.iter() {
            if let Some(column) = self.columns.get(class) {
                need.raise(*column, amount);
            }
        }
        let of = |class| demand.resources.get(&class);
        need.raise(Self::BALANCED, balanced(of(ResourceClass::Vcpu), of(ResourceClass::MemoryMb)));
        for name in demand.required.iter() {
            need.all |= self.traits.find(name)?;
        }
        for name in demand.zone.iter() {
            need.all |= self.zones.find(name)?;
        }
        for name in demand.aggregates.iter() {
            need.any |= self.aggregates.find(name).unwrap_or(0);
        }
        (demand.aggregates.is_empty() || need.any != 0).then_some(need)
    }
}

/// Memory for which there are processors, at [`BALANCE_MIB`] for each.
///
/// It rises with both amounts: with room for a demand there is as much of it as the demand takes. So
/// nodes without processors and nodes without memory, side by side in the order, are not taken for
/// nodes with both.
pub(crate) fn balanced(vcpu: u64, memory_mib: u64) -> u64 {
    vcpu.saturating_mul(BALANCE_MIB).min(memory_mib)
}

impl Bits {
    fn new(first: u32, last: u32) -> Bits {
        Bits { first, last, names: BTreeMap::new() }
    }

    /// Whether all bits but the last are given out.
    fn is_full(&self) -> bool {
        self.names.len() as u64 >= u64::from(self.last - self.first)
    }

    /// The bit of a name; a new one, if one is left.
    fn give(&mut self, name: &Name) -> u128 {
        if let Some(bit) = self.find(name) {
            return bit;
        }
        let bit = self.first + u32::try_from(self.names.len()).expect("fewer than bits");
        self.names.insert(name.clone(), bit);
        1 << bit
    }

    /// The bit of a name; `None` if it is in no inventory.
    fn find(&self, name: &Name) -> Option<u128> {
        match self.names.get(name) {
            Some(bit) => Some(1 << bit),
            None => self.is_full().then_some(1 << self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: String) -> Name {
        Name::try_from(text).unwrap()
    }

    #[test]
    fn the_first_classes_have_columns_of_their_own_and_the_last_none() {
        let mut vocabulary = Vocabulary::new();
        assert_eq!(vocabulary.column(&ResourceClass::MemoryMb), Some(1));
        let class = |i| ResourceClass::Custom(name(format!("CUSTOM_{i}")));
        let columns: Vec<_> = (0..CLASSES_MAX).map(|i| vocabulary.column(&class(i))).collect();
        let first = columns.iter().take(COLUMNS - COLUMNS_OWN).copied();
        assert!(first.eq((COLUMNS_OWN..COLUMNS).map(Some)));
        assert_eq!(columns[5], columns[1], "shared");
        assert_eq!(columns.last(), Some(&None));
        assert_eq!(vocabulary.column(&class(7)), columns[7], "kept for good");
    }

    #[test]
    fn the_last_names_share_a_bit_and_names_never_heard_of_have_none() {
        let mut bits = Bits::new(2, 5);
        let given: Vec<u128> = (0..5).map(|i| bits.give(&name(format!("Z{i}")))).collect();
        assert_eq!(given, [1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 5]);
        assert_eq!(bits.find(&name("Z9".into())), Some(1 << 5), "it may be one of the last");
        let none = Bits::new(0, 31);
        assert_eq!(none.find(&name("Z0".into())), None);
    }

    #[test]
    fn memory_without_processors_is_not_balanced_nor_are_processors_without_memory() {
        assert_eq!(balanced(0, 1 << 40), 0);
        assert_eq!(balanced(64, 0), 0);
        assert_eq!(balanced(2, 1 << 40), 2 * BALANCE_MIB);
        assert_eq!(balanced(64, 512), 512);
        assert_eq!(balanced(u64::MAX, u64::MAX), u64::MAX);
    }
}
