//! Counts of durations, in classes that are a sixteenth of an octave wide: a quantile is at most
//! 6.25 % too large.

use serde::{Deserialize, Serialize};
use std::time::Duration;

const STEPS: usize = 16;
const CLASSES: usize = 64 * STEPS;

/// Counts of durations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram(Vec<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Histogram(vec![0; CLASSES])
    }
}

/// The class of a number: numbers below 16 have one each.
fn class(number: u64) -> usize {
    let octave = number.max(1).ilog2() as usize;
    if octave < 4 {
        return number as usize;
    }
    let step = (number >> (octave - 4)) as usize & (STEPS - 1);
    (octave - 3) * STEPS + step
}

/// The largest number of a class.
fn largest(class: usize) -> u64 {
    let (octave, step) = (class / STEPS, (class % STEPS) as u64);
    if octave == 0 {
        return step;
    }
    let shift = octave - 1;
    (((STEPS as u64) + step + 1) << shift) - 1
}

impl Histogram {
    /// One more.
    pub fn note(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX >> 4);
        self.0[class(nanos.min(u64::MAX >> 4))] += 1;
    }

    /// All of `other` more.
    pub fn add(&mut self, other: &Histogram) {
        for (mine, others) in self.0.iter_mut().zip(&other.0) {
            *mine += others;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// So large a part of all is no longer than this. Zero if there are none.
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = (self.count() as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (class, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return Duration::from_nanos(largest(class));
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_a_class_that_is_not_much_larger() {
        for number in (0..1000).chain((0..50).map(|n| (1u64 << n) + n * 37)) {
            let largest = largest(class(number));
            assert!(largest >= number, "{number} is over {largest}");
            assert!(largest as f64 <= number as f64 * 1.0625 + 1.0, "{number}, {largest}");
        }
    }

    #[test]
    fn a_quantile_is_as_large_as_its_part_of_all() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        (1..=100).for_each(|millis| histogram.note(Duration::from_millis(millis)));
        let near = |part, millis: f64| {
            let found = histogram.quantile(part).as_secs_f64() * 1000.0;
            assert!(found >= millis && found <= millis * 1.07, "{part}: {found}");
        };
        near(0.5, 50.0);
        near(0.99, 99.0);
        near(1.0, 100.0);
    }
}
