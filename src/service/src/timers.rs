//! The timers that are set, by when they are due.

use ahash::AHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hash;
use std::time::Instant;

/// The timers that are set.
///
/// A timer that is set again and again, each time to be due later, as when someone is heard of, costs
/// one look at a map each time: it stays queued where it was, and is queued anew when that comes.
///
/// # Invariants
/// - Every timer in `set` is queued at its `queued`, which is not after its `due`. Other entries of
///   the queue are of no meaning, and go when their time comes.
#[derive(Debug)]
pub struct Timers<T> {
    queue: BinaryHeap<Reverse<(Instant, T)>>,
    set: AHashMap<T, Set>,
}

#[derive(Clone, Copy, Debug)]
struct Set {
    due: Instant,
    queued: Instant,
}

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Timers { queue: BinaryHeap::new(), set: AHashMap::new() }
    }
}

impl<T: Ord + Hash + Clone> Timers<T> {
    /// Sets `timer` to be due at `at`, and no longer when it was before.
    pub fn set(&mut self, timer: T, at: Instant) {
        match self.set.get_mut(&timer) {
            Some(set) if set.queued <= at => set.due = at,
            Some(set) => {
                *set = Set { due: at, queued: at };
                self.queue.push(Reverse((at, timer)));
            }
            None => {
                self.set.insert(timer.clone(), Set { due: at, queued: at });
                self.queue.push(Reverse((at, timer)));
            }
        }
    }

    /// No timer is due before this.
    pub fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes off a timer that is due at `now`, if one is.
    pub fn take_due(&mut self, now: Instant) -> Option<T> {
        while self.next()? <= now {
            let Reverse((at, timer)) = self.queue.pop()?;
            let Some(set) = self.set.get_mut(&timer).filter(|set| set.queued == at) else {
                continue;
            };
            if set.due <= now {
                self.set.remove(&timer);
                return Some(timer);
            }
            set.queued = set.due;
            self.queue.push(Reverse((set.due, timer)));
        }
        None
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    proptest! {
        /// Timers are given when they are due, by when they were set last, each once.
        #[test]
        fn a_timer_is_given_once_when_it_was_set_to_be_due_last(
            steps in proptest::collection::vec((0..8u8, 0..20u64, any::<bool>()), 1..200)
        ) {
            let start = Instant::now();
            let at = |tick| start + Duration::from_secs(tick);
            let (mut timers, mut expected) = (Timers::default(), BTreeMap::new());
            let mut now = 0;
            for (timer, ahead, passes) in steps {
                if passes {
                    now += ahead;
                    let mut due: Vec<u8> =
                        std::iter::from_fn(|| timers.take_due(at(now))).collect();
                    due.sort_unstable();
                    let was_due: Vec<u8> =
                        expected.iter().filter(|(_, due)| **due <= now).map(|(t, _)| *t).collect();
                    expected.retain(|_, due| *due > now);
                    prop_assert_eq!(due, was_due);
                } else {
                    timers.set(timer, at(now + ahead));
                    expected.insert(timer, now + ahead);
                }
                prop_assert_eq!(timers.len(), expected.len());
                let first = expected.values().min().map(|tick| at(*tick));
                prop_assert!(first.is_none() || timers.next() <= first);
            }
        }
    }
}
