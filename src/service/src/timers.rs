//! The timers that are set, by when they are due: in real time, or in whatever time a driver has.

use ahash::AHashMap;
use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Instant;

/// The timers that are set.
///
/// Timers are set for few intervals from now on, and now never goes back, so those of one interval
/// become due in the order in which they were set. They are kept so: in as many queues as there are
/// intervals, each in order, and to set a timer or take one off costs the same however many there are.
///
/// A timer that is set again and again, each time to be due later, as when someone is heard of, costs
/// one look at a map each time: it stays queued where it was, and is queued anew when that comes.
///
/// # Invariants
/// - Every timer in `set` is queued at its `queued`, which is not after its `due`. Other entries of
///   the queues are of no meaning, and go when their time comes.
/// - Every queue is in order of time.
#[derive(Debug)]
pub struct Timers<T, I = Instant> {
    queues: Vec<VecDeque<(I, T)>>,
    set: AHashMap<T, Set<I>>,
}

#[derive(Clone, Copy, Debug)]
struct Set<I> {
    due: I,
    queued: I,
}

impl<T, I> Default for Timers<T, I> {
    fn default() -> Self {
        Timers { queues: Vec::new(), set: AHashMap::new() }
    }
}

impl<T: Hash + Eq + Clone, I: Copy + Ord> Timers<T, I> {
    /// Sets `timer` to be due at `at`, and no longer when it was before.
    pub fn set(&mut self, timer: T, at: I) {
        match self.set.get_mut(&timer) {
            Some(set) if set.queued <= at => set.due = at,
            Some(set) => {
                *set = Set { due: at, queued: at };
                self.queue(timer, at);
            }
            None => {
                self.set.insert(timer.clone(), Set { due: at, queued: at });
                self.queue(timer, at);
            }
        }
    }

    /// Queues a timer behind those that are due before it: of several queues in the one that comes
    /// closest, so that each comes to have the timers of one interval.
    fn queue(&mut self, timer: T, at: I) {
        let last = |queue: &VecDeque<(I, T)>| queue.back().map(|(last, _)| *last);
        let fits = self.queues.iter_mut().filter(|queue| last(queue) <= Some(at));
        match fits.max_by_key(|queue| last(queue)) {
            Some(queue) => queue.push_back((at, timer)),
            None => self.queues.push(VecDeque::from([(at, timer)])),
        }
    }

    /// The queue whose first entry is the earliest of all, and when that is.
    fn first(&self) -> Option<(usize, I)> {
        let fronts = self.queues.iter().enumerate();
        let fronts = fronts.filter_map(|(queue, entries)| Some((queue, entries.front()?.0)));
        fronts.min_by_key(|(_, at)| *at)
    }

    /// No timer is due before this.
    pub fn next(&self) -> Option<I> {
        self.first().map(|(_, at)| at)
    }

    /// Takes off a timer that is due at `now`, if one is.
    pub fn take_due(&mut self, now: I) -> Option<T> {
        loop {
            let (queue, _) = self.first().filter(|(_, at)| *at <= now)?;
            let (at, timer) = self.queues[queue].pop_front()?;
            let Some(set) = self.set.get_mut(&timer).filter(|set| set.queued == at) else {
                continue;
            };
            if set.due <= now {
                self.set.remove(&timer);
                return Some(timer);
            }
            let due = set.due;
            set.queued = due;
            self.queue(timer, due);
        }
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
