//! What waits at a node to be sent to one scheduler.

use crate::message::{Delta, EqualVersions};
use serde::{Deserialize, Serialize};

/// What waits, in order. Whatever waits is sent in one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pipe {
    /// Whether all of the state is to be sent; then what follows is in it already.
    pub refresh: bool,
    /// The changes.
    pub deltas: Vec<Delta>,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batch {
    /// All of the state, as it is now.
    Refresh,
    /// These changes in one.
    Delta(Delta),
}

impl Pipe {
    /// One in which all of the state waits.
    pub fn fresh() -> Self {
        Pipe { refresh: true, deltas: Vec::new() }
    }

    /// Adds a change.
    pub fn put(&mut self, delta: Delta) {
        self.deltas.push(delta);
    }

    /// Whether something waits.
    pub fn waits(&self) -> bool {
        self.refresh || !self.deltas.is_empty()
    }

    /// Takes out all that waits, in one.
    ///
    /// # Errors
    /// If two changes cannot be merged: what waited is gone.
    pub fn take(&mut self) -> Result<Option<Batch>, EqualVersions> {
        let Pipe { refresh, deltas } = std::mem::take(self);
        if refresh {
            return Ok(Some(Batch::Refresh));
        }
        let mut deltas = deltas.into_iter();
        let Some(mut all) = deltas.next() else { return Ok(None) };
        deltas.try_for_each(|delta| all.merge(delta))?;
        Ok(Some(Batch::Delta(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amounts::Amounts;
    use crate::message::{HostState, Reply, Update};
    use counterfoil_protocol::{RequestId, ResourceClass, SchedulerId};

    fn amounts(amount: i64) -> Amounts {
        [(ResourceClass::Vcpu, amount)].into_iter().filter(|(_, of)| *of != 0).collect()
    }

    fn update(expects: Option<i64>, used: i64, capacity: Option<i64>) -> Update {
        let versions = i64::from(expects.is_some());
        Update { expects, versions, used: amounts(used), capacity: capacity.map(amounts) }
    }

    fn delta(update: Update) -> Delta {
        Delta { replies: Vec::new(), update: Some(update) }
    }

    fn reply(number: u64) -> Reply {
        Reply { number, origin: SchedulerId(1), instance: RequestId(number), accepted: true }
    }

    fn merged(parts: impl IntoIterator<Item = Delta>) -> Result<Option<Batch>, EqualVersions> {
        let mut pipe = Pipe::default();
        parts.into_iter().for_each(|part| pipe.put(part));
        pipe.take()
    }

    #[test]
    fn replies_follow_one_another_and_changes_are_added_up() {
        let replies = |number| Delta { replies: vec![reply(number)], update: None };
        let claim = Delta { replies: vec![reply(3)], update: Some(update(None, 2, None)) };
        let parts = [replies(1), claim, delta(update(Some(8), -1, None))];
        let expected =
            Delta { replies: vec![reply(1), reply(3)], update: Some(update(Some(8), 1, None)) };
        assert_eq!(merged(parts), Ok(Some(Batch::Delta(expected))));
    }

    #[test]
    fn of_two_that_set_the_same_the_newer_version_wins_in_either_order() {
        let (old, new) = (update(Some(4), 0, Some(10)), update(Some(5), 0, Some(20)));
        for parts in [[old.clone(), new.clone()], [new, old]] {
            let Ok(Some(Batch::Delta(all))) = merged(parts.map(delta)) else { panic!("merged") };
            let all = all.update.unwrap();
            assert_eq!((all.expects, all.versions), (Some(5), 2));
            assert_eq!(all.capacity, Some(amounts(20)));
        }
    }

    #[test]
    fn equal_versions_are_an_exception_and_what_waited_is_gone() {
        let mut pipe = Pipe::default();
        pipe.put(delta(update(Some(4), 1, None)));
        pipe.put(delta(update(Some(4), 2, None)));
        assert_eq!(pipe.take(), Err(EqualVersions));
        assert!(!pipe.waits());
    }

    #[test]
    fn what_follows_a_refresh_is_not_sent_beside_it() {
        let mut pipe = Pipe::fresh();
        pipe.put(delta(update(None, 1, None)));
        assert_eq!(pipe.take(), Ok(Some(Batch::Refresh)));
        assert_eq!(pipe.take(), Ok(None));
    }

    proptest::proptest! {
        /// A scheduler that gets one merged message comes to the same as one that gets them singly.
        #[test]
        fn merging_changes_nothing_that_is_shared(
            changes in proptest::collection::vec((-3i64..4, proptest::option::of(1i64..5)), 1..6)
        ) {
            let mut singly = HostState::default_for_tests();
            let mut version = singly.version;
            let updates: Vec<Update> = changes
                .into_iter()
                .map(|(used, capacity)| {
                    // Claims have no version and set nothing.
                    let expects = capacity.map(|_| { version += 1; version });
                    update(expects, used, capacity)
                })
                .collect();
            let mut at_once = singly.clone();
            for update in &updates {
                assert!(singly.apply(update));
            }
            let Ok(Some(Batch::Delta(all))) = merged(updates.into_iter().map(delta)) else {
                panic!("they have different versions")
            };
            assert!(at_once.apply(&all.update.unwrap()));
            assert_eq!(at_once, singly);
        }
    }

    impl HostState {
        fn default_for_tests() -> Self {
            HostState { used: Amounts::default(), capacity: amounts(9), version: 100 }
        }
    }
}
