//! Amounts of resources that may be more or less than there is.

use counterfoil_protocol::{Inventory, ResourceClass, Resources, SmallMap};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount per resource class, in the unit of the class. A class that is absent counts as 0.
///
/// # Invariants
/// No amount is 0, so that equal sums are equal however they came about.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amounts(SmallMap<ResourceClass, i64>);

impl Amounts {
    /// What a request asks for.
    pub fn asked(resources: &Resources) -> Self {
        let amounts = resources.iter().map(|(class, amount)| (class.clone(), signed(amount)));
        amounts.filter(|(_, amount)| *amount != 0).collect()
    }

    /// What a node may give out: of each class the total times the ratio.
    pub fn capacity(inventory: &Inventory) -> Self {
        let classes = inventory.classes.iter();
        let amounts = classes.map(|(class, of)| (class.clone(), signed(of.capacity())));
        amounts.filter(|(_, amount)| *amount != 0).collect()
    }

    /// The amount of `class`.
    pub fn get(&self, class: &ResourceClass) -> i64 {
        self.0.get(class).copied().unwrap_or(0)
    }

    /// This and `other`.
    pub fn plus(&self, other: &Amounts) -> Self {
        self.combined(other, i64::saturating_add)
    }

    /// This without `other`.
    pub fn minus(&self, other: &Amounts) -> Self {
        self.combined(other, i64::saturating_sub)
    }

    /// The sum of all `parts`.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Amounts>) -> Self {
        parts.into_iter().fold(Amounts::default(), |sum, part| sum.plus(part))
    }

    /// Whether of no class there is more than in `limits`.
    pub fn is_within(&self, limits: &Amounts) -> bool {
        self.0.iter().all(|(class, amount)| *amount <= limits.get(class))
    }

    /// Whether there is nothing of any class.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// How much there is, whatever the class: what a host is weighed by.
    pub fn weight(&self) -> i64 {
        self.0.iter().fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    fn combined(&self, other: &Amounts, with: fn(i64, i64) -> i64) -> Self {
        let mut classes: Vec<&ResourceClass> =
            self.0.iter().chain(other.0.iter()).map(|(class, _)| class).collect();
        classes.sort();
        classes.dedup();
        let amounts = classes
            .into_iter()
            .map(|class| (class.clone(), with(self.get(class), other.get(class))));
        amounts.filter(|(_, amount)| *amount != 0).collect()
    }
}

impl FromIterator<(ResourceClass, i64)> for Amounts {
    fn from_iter<I: IntoIterator<Item = (ResourceClass, i64)>>(amounts: I) -> Self {
        Amounts(amounts.into_iter().collect())
    }
}

impl fmt::Debug for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
