//! Persistent collections whose `Hash` tells different contents apart.
//!
//! The maps of `im` leave their length out when they are hashed, so `({1}, {})` and `({}, {1})`
//! feed the same bytes to a hasher. A model checker tells states apart by hash alone and would take
//! the two for one. These wrappers write the length first. No other type of the project writes its
//! own [`Hash`].
//!
//! Nor do they believe how long a serialised map says that it is: the maps of `im` reserve room for
//! as many entries at once, so that a few bytes from a stranger could ask for more memory than
//! there is. Here room is made only for what arrives.

#![expect(clippy::disallowed_types, reason = "these are the wrappers")]

use im::ordmap::DiffItem;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A persistent map in key order: a clone shares everything that neither side changes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Map<K: Ord + Clone, V: Clone>(im::OrdMap<K, V>);

/// A persistent set in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Set<K: Ord + Clone>(im::OrdSet<K>);

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// The keys whose value is not what it was in `before`, in order, each with its value then and
    /// its value now. What the two share is passed over.
    pub fn changed_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)>
    where
        V: PartialEq,
    {
        before.0.diff(&self.0).map(|change| match change {
            DiffItem::Add(key, new) => (key, None, Some(new)),
            DiffItem::Update { old: (_, old), new: (key, new) } => (key, Some(old), Some(new)),
            DiffItem::Remove(key, old) => (key, Some(old), None),
        })
    }
}

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

impl<'de, K, V> Deserialize<'de> for Map<K, V>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>> Deserialize<'de> for Set<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Keys(PhantomData))
    }
}

/// Builds a map entry by entry.
struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for Entries<K, V>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    type Value = Map<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::default();
        while let Some((key, value)) = entries.next_entry()? {
            map.insert(key, value);
        }
        Ok(map)
    }
}

/// Builds a set key by key.
struct Keys<K>(PhantomData<K>);

impl<'de, K: Ord + Clone + Deserialize<'de>> Visitor<'de> for Keys<K> {
    type Value = Set<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut keys: A) -> Result<Self::Value, A::Error> {
        let mut set = Set::default();
        while let Some(key) = keys.next_element()? {
            set.insert(key);
        }
        Ok(set)
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
    use serde::de::DeserializeSeed;
    use serde::de::value::{Error, MapAccessDeserializer, MapDeserializer, SeqAccessDeserializer};
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

    /// Claims to be as long as can be, and ends at once.
    struct Boast;

    impl<'de> MapAccess<'de> for Boast {
        type Error = Error;

        fn next_key_seed<S: DeserializeSeed<'de>>(
            &mut self,
            _: S,
        ) -> Result<Option<S::Value>, Error> {
            Err(serde::de::Error::custom("ends too early"))
        }

        fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<S::Value, Error> {
            unreachable!("there is no key")
        }

        fn size_hint(&self) -> Option<usize> {
            Some(usize::MAX)
        }
    }

    impl<'de> SeqAccess<'de> for Boast {
        type Error = Error;

        fn next_element_seed<S: DeserializeSeed<'de>>(
            &mut self,
            _: S,
        ) -> Result<Option<S::Value>, Error> {
            Err(serde::de::Error::custom("ends too early"))
        }

        fn size_hint(&self) -> Option<usize> {
            Some(usize::MAX)
        }
    }

    #[test]
    fn a_claimed_length_is_not_believed() {
        // Room for as many cannot be made: whoever tried would panic.
        assert!(Map::<u64, u64>::deserialize(MapAccessDeserializer::new(Boast)).is_err());
        assert!(Set::<u64>::deserialize(SeqAccessDeserializer::new(Boast)).is_err());
    }

    #[test]
    fn a_map_has_the_form_of_a_map() {
        let entries = MapDeserializer::<_, Error>::new([(2u8, 3u8), (1, 2)].into_iter());
        let map: Map<u8, u8> = [(1, 2), (2, 3)].into_iter().collect();
        assert_eq!(Map::deserialize(entries), Ok(map));
    }

    #[test]
    fn changes_are_what_was_added_replaced_and_removed() {
        let before: Map<u8, u8> = (0..200).map(|k| (k, k)).collect();
        let mut after = before.clone();
        assert_eq!(after.changed_since(&before).next(), None);
        after.remove(&3);
        after.insert(100, 0);
        after.insert(200, 1);
        let changes: Vec<_> = after.changed_since(&before).collect();
        let expected = [(&3, Some(&3), None), (&100, Some(&100), Some(&0)), (&200, None, Some(&1))];
        assert_eq!(changes, expected);
    }

    #[test]
    fn equal_contents_hash_alike_whatever_the_order_of_insertion() {
        let forwards: Map<u8, u8> = (0..100).map(|k| (k, k)).collect();
        let backwards: Map<u8, u8> = (0..100).rev().map(|k| (k, k)).collect();
        assert_eq!(forwards, backwards);
        assert_eq!(fingerprint(&forwards), fingerprint(&backwards));
    }
}
