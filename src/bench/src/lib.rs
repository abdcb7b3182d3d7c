//! The yardstick: what placements cost, and beside what.

pub mod baselines;
mod clock;
pub mod compare;
pub mod faults;
pub mod histogram;
mod load;
pub mod netns;
pub mod raw;
pub mod relay;
pub mod service;
pub mod sim;
pub mod spawn;
pub mod workload;

use std::time::Duration;

/// How often something happened in how much time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// How often.
    pub count: u64,
    /// In how much time.
    pub time: Duration,
}

impl Figures {
    /// How often in a second.
    pub fn per_s(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
