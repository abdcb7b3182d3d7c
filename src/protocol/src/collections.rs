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
//!
//! A leaf of a map of `im` has room for sixteen entries. What never has more than a few, and is made
//! and thrown away with every message, is a [`SmallMap`] or [`SmallSet`] instead: a sorted slice that clones share.

#![expect(clippy::disallowed_types, reason = "these are the wrappers")]

use im::ordmap::DiffItem;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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

/// A persistent map of few entries, in key order: a clone shares all of it, and a change makes it
/// anew.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmallMap<K, V>(Option<Arc<[(K, V)]>>);

impl<K, V> SmallMap<K, V> {
    /// The entries, in order.
    pub fn as_slice(&self) -> &[(K, V)] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> + Clone {
        self.as_slice().iter().map(|(key, value)| (key, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Of entries that are in order, with no key twice.
    fn of(sorted: impl Iterator<Item = (K, V)>) -> Self {
        let entries: Arc<[(K, V)]> = sorted.collect();
        SmallMap((!entries.is_empty()).then_some(entries))
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    /// The value of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        let entries = self.as_slice();
        // There are few: looking at each in turn is faster than halving.
        entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }
}

impl<K: Ord + Clone, V: Clone> SmallMap<K, V> {
    /// Puts an entry in, in the place of the one of the same key, if there is one.
    pub fn insert(&mut self, key: K, value: V) {
        if let Some(entries) = self.0.as_mut().and_then(Arc::get_mut)
            && let Some((_, known)) = entries.iter_mut().find(|(known, _)| *known == key)
        {
            *known = value;
            return;
        }
        let entries = self.as_slice();
        let at = entries.partition_point(|(known, _)| *known < key);
        let after = &entries[at..];
        let after =
            if after.first().is_some_and(|(next, _)| *next == key) { &after[1..] } else { after };
        let before = entries[..at].iter().cloned();
        *self = SmallMap::of(before.chain([(key, value)]).chain(after.iter().cloned()));
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) {
        if self.get(key).is_some() {
            self.retain(|known| known != key);
        }
    }

    /// Takes out the entries whose key is not as it should be.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        *self = SmallMap::of(self.as_slice().iter().filter(|(key, _)| keep(key)).cloned());
    }

    /// Gives the last entry, if there is one, another key, which is no less.
    pub fn rename_last(&mut self, key: K) {
        match self.0.as_mut().map(Arc::get_mut) {
            None => {}
            Some(Some(entries)) => entries.last_mut().expect("it is not empty").0 = key,
            Some(None) => {
                let (last, before) = self.as_slice().split_last().expect("it is not empty");
                let last = (key, last.1.clone());
                *self = SmallMap::of(before.iter().cloned().chain([last]));
            }
        }
    }
}

impl<K, V> Clone for SmallMap<K, V> {
    fn clone(&self) -> Self {
        SmallMap(self.0.clone())
    }
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        SmallMap(None)
    }
}

/// Of several entries with one key the last counts.
impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut entries = entries.into_iter();
        // One or two, most of the time: then nothing need be kept to be sorted.
        let Some(first) = entries.next() else { return SmallMap(None) };
        let Some(second) = entries.next() else { return SmallMap(Some(Arc::new([first]))) };
        let rest = entries.next();
        if rest.is_none() && first.0 < second.0 {
            return SmallMap(Some(Arc::new([first, second])));
        }
        let mut all: Vec<(K, V)> = [first, second].into_iter().chain(rest).chain(entries).collect();
        all.reverse();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.dedup_by(|(one, _), (other, _)| one == other);
        SmallMap::of(all.into_iter())
    }
}

/// A persistent set of few keys, in order: as [`SmallMap`].
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmallSet<K>(SmallMap<K, ()>);

impl<K> SmallSet<K> {
    /// The keys, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &K> + Clone {
        self.0.iter().map(|(key, ())| key)
    }
}

impl<K: Ord + Clone> SmallSet<K> {
    /// Puts every key of `other` in.
    pub fn extend(&mut self, other: &SmallSet<K>) {
        if self.0.is_empty() {
            self.clone_from(other);
        }
        for key in other.iter() {
            if self.0.get(key).is_none() {
                self.0.insert(key.clone(), ());
            }
        }
    }
}

impl<K> Clone for SmallSet<K> {
    fn clone(&self) -> Self {
        SmallSet(self.0.clone())
    }
}

impl<K> Default for SmallSet<K> {
    fn default() -> Self {
        SmallSet(SmallMap::default())
    }
}

impl<K: Ord> FromIterator<K> for SmallSet<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        SmallSet(keys.into_iter().map(|key| (key, ())).collect())
    }
}

impl<K: fmt::Debug> fmt::Debug for SmallSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Serialize> Serialize for SmallSet<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, K: Ord + Deserialize<'de>> Deserialize<'de> for SmallSet<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Keys(PhantomData))
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SmallMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Serialize, V: Serialize> Serialize for SmallMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K, V> Deserialize<'de> for SmallMap<K, V>
where
    K: Ord + Deserialize<'de>,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

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
struct Entries<K, V, M>(PhantomData<(K, V, M)>);

impl<'de, K, V, M> Visitor<'de> for Entries<K, V, M>
where
    K: Deserialize<'de>,
    V: Deserialize<'de>,
    M: FromIterator<(K, V)>,
{
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<M, A::Error> {
        std::iter::from_fn(|| entries.next_entry().transpose()).collect()
    }
}

/// Builds a set key by key.
struct Keys<K, S>(PhantomData<(K, S)>);

impl<'de, K: Deserialize<'de>, S: FromIterator<K>> Visitor<'de> for Keys<K, S> {
    type Value = S;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut keys: A) -> Result<S, A::Error> {
        std::iter::from_fn(|| keys.next_element().transpose()).collect()
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
    use proptest::prelude::*;
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
        assert!(SmallMap::<u64, u64>::deserialize(MapAccessDeserializer::new(Boast)).is_err());
        assert!(Set::<u64>::deserialize(SeqAccessDeserializer::new(Boast)).is_err());
    }

    #[test]
    fn a_map_has_the_form_of_a_map() {
        let entries = || MapDeserializer::<_, Error>::new([(2u8, 3u8), (1, 2)].into_iter());
        let map: Map<u8, u8> = [(1, 2), (2, 3)].into_iter().collect();
        assert_eq!(Map::deserialize(entries()), Ok(map));
        let few: SmallMap<u8, u8> = [(1, 2), (2, 3)].into_iter().collect();
        assert_eq!(SmallMap::deserialize(entries()), Ok(few));
    }

    proptest! {
        #[test]
        fn few_entries_are_a_map(
            given in proptest::collection::vec((0..6u8, any::<u8>()), 0..6),
            steps in proptest::collection::vec((0..8u8, proptest::option::of(any::<u8>())), 0..20),
        ) {
            let mut few: SmallMap<u8, u8> = given.iter().copied().collect();
            let mut map: Map<u8, u8> = given.into_iter().collect();
            for (key, value) in steps {
                let before = few.clone();
                let kept = map.clone();
                match value {
                    Some(value) => {
                        few.insert(key, value);
                        map.insert(key, value);
                    }
                    None => {
                        few.remove(&key);
                        map.remove(&key);
                    }
                }
                prop_assert!(before.iter().eq(kept.iter()), "a clone is what it was");
                prop_assert!(few.iter().eq(map.iter()));
                prop_assert_eq!(few.len(), map.len());
                prop_assert_eq!(few.is_empty(), map.is_empty());
                prop_assert_eq!(few.get(&key), map.get(&key));
                let anew: SmallMap<u8, u8> = map.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(fingerprint(&few), fingerprint(&anew));
                prop_assert_eq!(&few, &anew);
            }
        }
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
