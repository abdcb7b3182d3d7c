//! Counts that are kept without a lock and without taking memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Adds to a count.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Reads a count.
pub(super) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// One count for each of some places.
#[derive(Debug)]
pub(super) struct Counts<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Counts([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> Counts<N> {
    /// One more at this place.
    pub(super) fn add(&self, place: usize) {
        add(&self.0[place], 1);
    }

    /// One less at this place, where one was added before.
    pub(super) fn take_off(&self, place: usize) {
        self.0[place].fetch_sub(1, Ordering::Relaxed);
    }

    /// The count at this place is this.
    pub(super) fn set(&self, place: usize, count: u64) {
        self.0[place].store(count, Ordering::Relaxed);
    }

    /// The count at this place.
    pub(super) fn at(&self, place: usize) -> u64 {
        read(&self.0[place])
    }

    /// All counts, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(read)
    }
}

/// How often values of which size were seen.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    /// The upper bounds of the buckets, inclusive, rising.
    bounds: &'static [u64; N],
    buckets: Counts<N>,
    /// Values above all bounds.
    above: AtomicU64,
    sum: AtomicU64,
}

/// What a histogram has seen, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// How many values were at most this, by this, rising.
    pub at_most: Vec<(u64, u64)>,
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

impl<const N: usize> Histogram<N> {
    /// One that has seen nothing.
    pub(super) fn new(bounds: &'static [u64; N]) -> Self {
        let (above, sum) = (AtomicU64::new(0), AtomicU64::new(0));
        Histogram { bounds, buckets: Counts::default(), above, sum }
    }

    /// A value was seen.
    pub(super) fn saw(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if place < N {
            self.buckets.add(place)
        } else {
            add(&self.above, 1)
        }
        add(&self.sum, value);
    }

    /// A duration was seen: its nanoseconds.
    pub(super) fn took(&self, duration: Duration) {
        self.saw(duration.as_nanos().try_into().unwrap_or(u64::MAX));
    }

    /// What it has seen.
    pub(super) fn read(&self) -> Distribution {
        let mut count = 0;
        let below = |(bound, seen): (&u64, u64)| {
            count += seen;
            (*bound, count)
        };
        let at_most = self.bounds.iter().zip(self.buckets.all()).map(below).collect();
        count += read(&self.above);
        Distribution { at_most, count, sum: read(&self.sum) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11] {
            histogram.saw(value);
        }
        histogram.took(Duration::from_nanos(12));
        let expected = Distribution { at_most: vec![(1, 2), (10, 4)], count: 6, sum: 36 };
        assert_eq!(histogram.read(), expected);
    }
}
