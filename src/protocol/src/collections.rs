//! Persistent collections whose `Hash` tells different contents apart.
//!
//! The maps of `im` leave their length out when they are hashed, so `({1}, {})` and `({}, {1})` feed
//! the same bytes to a hasher. A model checker tells states apart by hash alone and would take the
//! two for one. These wrappers write the length first. No other type of the project writes its own
//! [`Hash`].

#![expect(clippy::disallowed_types, reason = "these are the wrappers")]

use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A persistent map in key order: a clone shares everything that neither side changes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Clone + Deserialize<'de>, V: Clone + Deserialize<'de>"))]
#[serde(transparent)]
pub struct Map<K: Ord + Clone, V: Clone>(im::OrdMap<K, V>);

/// A persistent set in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Clone + Deserialize<'de>"))]
#[serde(transparent)]
pub struct Set<K: Ord + Clone>(im::OrdSet<K>);

impl<K: Ord + Clone, V: Clone> Default for Map<K, V> {
    fn default() -> Self {
        Map(Default::default())
    }
}

impl<K: Ord + Clone> Default for Set<K> {
    fn default() -> Self {
        Set(Default::default())
    }
}

impl<K: Ord + Clone + Hash, V: Clone + Hash> Hash for Map<K, V> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_usize(self.0.len());
        for entry in &self.0 {
            entry.hash(hasher);
        }
    }
}

impl<K: Ord + Clone + Hash> Hash for Set<K> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_usize(self.0.len());
        for key in &self.0 {
            key.hash(hasher);
        }
    }
}

impl<K: Ord + Clone, V: Clone> Deref for Map<K, V> {
    type Target = im::OrdMap<K, V>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Ord + Clone, V: Clone> DerefMut for Map<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord + Clone> Deref for Set<K> {
    type Target = im::OrdSet<K>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Ord + Clone> DerefMut for Set<K> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Map(entries.into_iter().collect())
    }
}

impl<K: Ord + Clone> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        Set(keys.into_iter().collect())
    }
}

impl<K: Ord + Clone + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.0).finish()
    }
}

impl<K: Ord + Clone + fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

/// What a machine is given at construction and never changes.
///
/// It is shared by all clones of the machine and is no part of its identity: two machines with the
/// same state but other givens are never compared, so it is equal to every other and hashes to
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct Given<T>(Arc<T>);

impl<T> Given<T> {
    /// Shares `value` among all clones.
    pub fn new(value: T) -> Self {
        Given(Arc::new(value))
    }
}

impl<T> Deref for Given<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> PartialEq for Given<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Given<T> {}

impl<T> Hash for Given<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::DefaultHasher;

    fn fingerprint(value: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn an_element_that_moves_to_the_neighbour_changes_the_hash() {
        let one: Set<u8> = [1].into_iter().collect();
        let none = Set::<u8>::default();
        assert_ne!(fingerprint(&(&one, &none)), fingerprint(&(&none, &one)));

        let one: Map<u8, u8> = [(1, 1)].into_iter().collect();
        let none = Map::<u8, u8>::default();
        assert_ne!(fingerprint(&(&one, &none)), fingerprint(&(&none, &one)));
    }

    #[test]
    fn equal_contents_hash_alike_whatever_the_order_of_insertion() {
        let forwards: Map<u8, u8> = (0..100).map(|k| (k, k)).collect();
        let backwards: Map<u8, u8> = (0..100).rev().map(|k| (k, k)).collect();
        assert_eq!(forwards, backwards);
        assert_eq!(fingerprint(&forwards), fingerprint(&backwards));
    }
}
