//! Memory and descriptors of the processes of a cluster, over time.

use super::cluster::Cluster;
use super::process::Usage;
use super::{Asked, FaultError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(1);

/// Memory may differ by so much, in KiB, before it is called more.
const SLACK_KIB: u64 = 16 << 10;

/// So many descriptors may be more.
const SLACK_DESCRIPTORS: u64 = 32;

/// Memory and descriptors of one life of a process.
#[derive(Clone, Debug, Serialize)]
pub struct Used {
    /// Which process.
    pub process: String,
    /// Which of its lives, and how many it had.
    pub life: u32,
    /// For how long it was looked at, in seconds.
    pub seconds: u64,
    /// Memory at first, in KiB.
    pub rss_start_kib: u64,
    /// At the end of the first third.
    pub rss_third_kib: u64,
    /// At most.
    pub rss_max_kib: u64,
    /// In the end.
    pub rss_end_kib: u64,
    /// Descriptors at first.
    pub descriptors_start: u64,
    /// At most.
    pub descriptors_max: u64,
    /// In the end.
    pub descriptors_end: u64,
}

impl Used {
    /// How it grows, if it does: after the first third memory is no longer taken.
    pub(crate) fn grows(&self) -> Option<String> {
        let Used { process, rss_third_kib, rss_end_kib, .. } = self;
        let much = *rss_end_kib > rss_third_kib * 5 / 4 + SLACK_KIB;
        if much {
            return Some(format!("{process} grew from {rss_third_kib} to {rss_end_kib} KiB"));
        }
        let (start, end) = (self.descriptors_start, self.descriptors_end);
        let many = end > start + SLACK_DESCRIPTORS;
        many.then(|| format!("{process} had {start} descriptors, and has {end}"))
    }
}

/// Looks at the processes of a cluster.
pub(crate) struct Sampler {
    samples: BTreeMap<(String, u32), Vec<Usage>>,
}

impl Sampler {
    /// Looks for the first time.
    pub(crate) fn new(cluster: &Cluster) -> Sampler {
        let mut sampler = Sampler { samples: BTreeMap::new() };
        sampler.sample(cluster);
        sampler
    }

    /// Looks.
    pub(crate) fn sample(&mut self, cluster: &Cluster) {
        for process in &cluster.processes {
            if let Some(usage) = process.pid().and_then(Usage::of) {
                let life = (process.name().to_owned(), process.lives());
                self.samples.entry(life).or_default().push(usage);
            }
        }
    }

    /// Looks every second until `until`, and has something else done in between.
    pub(crate) fn run(
        &mut self,
        cluster: &mut Cluster,
        until: Instant,
        asked: &Asked,
        mut between: impl FnMut(&mut Cluster, Instant) -> Result<(), FaultError>,
    ) -> Result<(), FaultError> {
        let mut next = Instant::now();
        while Instant::now() < until {
            next += LOOK;
            asked.wait_until(next.min(until))?;
            self.sample(cluster);
            between(cluster, Instant::now())?;
        }
        Ok(())
    }

    /// What was seen of the last life of every process.
    pub(crate) fn report(&self) -> Vec<Used> {
        let mut last: BTreeMap<&String, (u32, &Vec<Usage>)> = BTreeMap::new();
        for ((name, life), samples) in &self.samples {
            last.insert(name, (*life, samples));
        }
        let used = |(name, (life, samples)): (&String, (u32, &Vec<Usage>))| {
            let (first, end) = (*samples.first()?, *samples.last()?);
            let max = |of: fn(&Usage) -> u64| samples.iter().map(of).max().unwrap_or(0);
            Some(Used {
                process: name.clone(),
                life,
                seconds: samples.len() as u64,
                rss_start_kib: first.rss_kib,
                rss_third_kib: samples[samples.len() / 3].rss_kib,
                rss_max_kib: max(|usage| usage.rss_kib),
                rss_end_kib: end.rss_kib,
                descriptors_start: first.descriptors,
                descriptors_max: max(|usage| usage.descriptors),
                descriptors_end: end.descriptors,
            })
        };
        last.into_iter().filter_map(used).collect()
    }
}
