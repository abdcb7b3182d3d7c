//! What nodes have and what requests ask for, as vectors over resource classes.
//!
//! Names and meaning follow OpenStack Placement: inventories with total, reserved, allocation ratio
//! and units; traits; aggregates.

mod class;

pub use class::{GroupId, GroupIdError, ResourceClass};

use crate::collections::{Map, Set, SmallMap};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A name that an operator made up: 1 to [`Name::LENGTH_MAX`] of `A`-`Z`, `0`-`9` and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError(String);

impl Name {
    /// The longest name, in bytes.
    pub const LENGTH_MAX: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        let letters =
            text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if letters && !text.is_empty() && text.len() <= Self::LENGTH_MAX {
            Ok(Name(text))
        } else {
            Err(NameError(text))
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = Name::LENGTH_MAX;
        write!(f, "{:?} is no name: use 1 to {max} of A-Z, 0-9 and _", self.0)
    }
}

impl std::error::Error for NameError {}

/// An amount per resource class, in the unit of the class. A class that is absent counts as 0.
///
/// # Invariants
/// [`Resources::set`] and [`Resources::sum`] keep no 0, so that sums of the same allocations are
/// equal however they came about (`views_are_real_states`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resources(SmallMap<ResourceClass, u64>);

impl Resources {
    /// The amount of `class`.
    pub fn get(&self, class: &ResourceClass) -> u64 {
        self.0.get(class).copied().unwrap_or(0)
    }

    /// Sets the amount of `class`.
    pub fn set(&mut self, class: ResourceClass, amount: u64) {
        if amount == 0 {
            self.0.remove(&class);
        } else {
            self.0.insert(class, amount);
        }
    }

    /// Adds every amount of `other`; stops at the largest number.
    pub fn add(&mut self, other: &Resources) {
        *self = Resources::sum([&*self, other]);
    }

    /// The sum of all `parts`; stops at the largest number.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Resources>) -> Resources {
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else { return Resources::default() };
        let second = parts.next();
        if second.is_none() && first.iter().all(|(_, amount)| amount > 0) {
            return first.clone();
        }
        // In order; few classes, so this is cheaper than a map that is changed for each amount.
        let mut sums: Vec<(&ResourceClass, u64)> = Vec::new();
        let parts = [first].into_iter().chain(second).chain(parts);
        for (class, amount) in parts.flat_map(Resources::iter) {
            match sums.binary_search_by(|(known, _)| known.cmp(&class)) {
                Ok(at) => sums[at].1 = sums[at].1.saturating_add(amount),
                Err(at) => sums.insert(at, (class, amount)),
            }
        }
        let sums = sums.into_iter().filter(|(_, amount)| *amount > 0);
        sums.map(|(class, amount)| (class.clone(), amount)).collect()
    }

    /// The groups that are named, in order, and how many members each has.
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, u64)> {
        self.iter().filter_map(|(class, members)| match class {
            ResourceClass::Group(group) => Some((*group, members)),
            ResourceClass::Vcpu
            | ResourceClass::MemoryMb
            | ResourceClass::DiskGb
            | ResourceClass::Custom(_) => None,
        })
    }

    /// The classes and their amounts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceClass, u64)> {
        self.0.iter().map(|(class, amount)| (class, *amount))
    }

    /// How many classes are named.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no class is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ResourceClass, u64)> for Resources {
    fn from_iter<I: IntoIterator<Item = (ResourceClass, u64)>>(amounts: I) -> Self {
        Resources(amounts.into_iter().collect())
    }
}

/// What a request asks for: resources, what the node must be like, and which groups it must be near
/// or apart from. It joins a group by asking for one of it, as of any resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// How much of each class, in the unit of the class.
    pub resources: Resources,
    /// Traits that the node must have.
    #[serde(default)]
    pub required: Set<Name>,
    /// Traits that the node must not have.
    #[serde(default)]
    pub forbidden: Set<Name>,
    /// The availability zone that the node must be in, if it matters.
    #[serde(default)]
    pub zone: Option<Name>,
    /// Aggregates of which the node must be a member of at least one; none named, all will do.
    #[serde(default)]
    pub aggregates: Set<Name>,
    /// Groups of which at least one member must be on the node already.
    #[serde(default)]
    pub near: Set<GroupId>,
    /// Groups of which there may be at most so many members on the node already: 0 to share it
    /// with none.
    #[serde(default)]
    pub apart: Map<GroupId, u32>,
}

/// What a node has of one resource class. Amounts are in the unit of the class.
///
/// # Invariants
/// A demand fits if it is between `min_unit` and `max_unit`, a multiple of `step_unit`, and with
/// all that is allocated no more than [`ClassInventory::capacity`] (property `no_overcommit`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassInventory {
    /// All that there is.
    pub total: u64,
    /// What is kept back for the node itself; up to `total`.
    #[serde(default)]
    pub reserved: u64,
    /// How often each unit may be given out, in thousandths: 1000 is once, 16000 sixteen times.
    #[serde(default = "once")]
    pub allocation_ratio_milli: u32,
    /// The smallest amount of one allocation.
    #[serde(default = "one")]
    pub min_unit: u64,
    /// The largest amount of one allocation.
    #[serde(default = "largest")]
    pub max_unit: u64,
    /// An allocation is a multiple of this. 0 is taken for 1.
    #[serde(default = "one")]
    pub step_unit: u64,
}

fn once() -> u32 {
    1000
}

fn one() -> u64 {
    1
}

fn largest() -> u64 {
    u64::MAX
}

impl ClassInventory {
    /// An inventory of `total` with nothing reserved, given out once, in any amount.
    pub fn of(total: u64) -> Self {
        ClassInventory {
            total,
            reserved: 0,
            allocation_ratio_milli: once(),
            min_unit: one(),
            max_unit: largest(),
            step_unit: one(),
        }
    }

    /// How much may be allocated: (total - reserved) x allocation ratio, rounded down.
    pub fn capacity(&self) -> u64 {
        let own = u128::from(self.total.saturating_sub(self.reserved));
        let capacity = own * u128::from(self.allocation_ratio_milli) / 1000;
        u64::try_from(capacity).unwrap_or(u64::MAX)
    }

    /// Whether one allocation may be of this amount.
    pub fn allows(&self, amount: u64) -> bool {
        let range = self.min_unit..=self.max_unit;
        range.contains(&amount) && amount.is_multiple_of(self.step_unit.max(1))
    }
}

/// What a node has and what it is like. Only its operator changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// What it has of each resource class.
    pub classes: Map<ResourceClass, ClassInventory>,
    /// What it is like.
    #[serde(default)]
    pub traits: Set<Name>,
    /// The availability zone that it is in.
    #[serde(default)]
    pub zone: Option<Name>,
    /// The aggregates that it is a member of.
    #[serde(default)]
    pub aggregates: Set<Name>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_what_is_not_reserved_times_the_ratio_rounded_down() {
        let mut inventory = ClassInventory::of(7);
        assert_eq!(inventory.capacity(), 7);
        inventory.reserved = 2;
        inventory.allocation_ratio_milli = 1500;
        assert_eq!(inventory.capacity(), 7, "5 x 1.5 = 7.5");
        inventory.reserved = 8;
        assert_eq!(inventory.capacity(), 0, "more reserved than there is");
        inventory = ClassInventory::of(u64::MAX);
        inventory.allocation_ratio_milli = 16_000;
        assert_eq!(inventory.capacity(), u64::MAX);
    }

    #[test]
    fn an_amount_outside_the_units_is_not_allowed() {
        let units =
            ClassInventory { min_unit: 4, max_unit: 12, step_unit: 4, ..ClassInventory::of(99) };
        let allowed: Vec<u64> = (0..20).filter(|amount| units.allows(*amount)).collect();
        assert_eq!(allowed, [4, 8, 12]);
        let step_zero = ClassInventory { step_unit: 0, ..ClassInventory::of(9) };
        assert!(step_zero.allows(5));
    }

    #[test]
    fn names_are_upper_case_and_short() {
        assert!(Name::try_from("CUSTOM_FPGA_2".to_owned()).is_ok());
        for bad in ["", "custom", "A B", "Ä", &"X".repeat(65)] {
            assert!(Name::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_left_is_the_same_as_nothing_ever() {
        let mut used: Resources = [(ResourceClass::Vcpu, 1)].into_iter().collect();
        used.set(ResourceClass::Vcpu, 0);
        let nothing = [(ResourceClass::DiskGb, 0)].into_iter().collect();
        assert_eq!(Resources::sum([&used, &nothing]), Resources::default());
    }

    #[test]
    fn resources_add_up_and_stop_at_the_largest_number() {
        let most = [(ResourceClass::Vcpu, u64::MAX)].into_iter().collect();
        let more = [(ResourceClass::DiskGb, 5), (ResourceClass::Vcpu, 1)].into_iter().collect();
        let sum = Resources::sum([&more, &most]);
        assert_eq!(sum.get(&ResourceClass::Vcpu), u64::MAX);
        assert_eq!(sum.get(&ResourceClass::DiskGb), 5);
        assert_eq!(sum.get(&ResourceClass::MemoryMb), 0);
    }
    #[test]
    fn a_group_has_one_text() {
        let class = |text: &str| ResourceClass::from(Name::try_from(text.to_owned()).unwrap());
        for number in [0, 7, u64::MAX] {
            let group = ResourceClass::Group(GroupId(number));
            assert_eq!(class(&format!("GROUP_{number}")), group);
            assert_eq!(class(&group.to_string()), group);
        }
        for other in ["GROUP_", "GROUP_01", "GROUP_A", "GROUP_18446744073709551616"] {
            assert!(matches!(class(other), ResourceClass::Custom(_)), "{other}");
            assert!(other.parse::<GroupId>().is_err(), "{other}");
        }
    }
}
