//! What came of a large cluster.

use super::judge::Reach;
use super::large::{Arrivals, Options, Partition, Run};
use super::links::Links;
use super::meters::LENGTHS_ONE_OF;
use crate::service::cpu_time;
use crate::workload::Workload;
use counterfoil_properties::{Liveness, Safety};
use counterfoil_protocol::{Notice, ResourceClass};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What was simulated, and what came of it. Times are virtual unless they stand under `timing`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// As asked for.
    pub nodes: u32,
    /// As asked for.
    pub schedulers: u32,
    /// As asked for.
    pub seed: u64,
    /// As asked for.
    pub strategy: &'static str,
    /// Whether schedulers took nodes of their own share first.
    pub own_first: bool,
    /// The flavors, or a trace.
    pub workload: &'static str,
    /// As asked for.
    pub load_percent: u64,
    /// As asked for.
    pub arrivals: Arrivals,
    /// As asked for.
    pub links: Links,
    /// As asked for.
    pub partition: Option<Partition>,
    /// As asked for: crashes, and nodes that left.
    pub restarts: u64,
    /// As asked for.
    pub churn: u64,
    /// As asked for, in microseconds.
    pub beat_us: u64,
    /// How long was measured, in microseconds.
    pub measured_us: u64,
    /// Requests that were measured.
    pub requests: u64,
    /// Of these, confirmed.
    pub accepted: u64,
    /// Of these, ended because no node could take them.
    pub no_valid_host: u64,
    /// Of these, given up after too many attempts.
    pub exhausted: u64,
    /// Of these, forgotten by a client that crashed.
    pub forgotten: u64,
    /// How many of the accepted needed a second node, or more.
    pub retried_percent: f64,
    /// Claims that nodes granted.
    pub claims_granted: u64,
    /// Claims that nodes refused by their own state.
    pub claims_refused: u64,
    /// How many of both were refused.
    pub conflict_percent: f64,
    /// How many picks were made by a view that was out of date.
    pub stale_decisions_percent: f64,
    /// For how long the view of a picked node had been out of date; 0 if it was not.
    pub staleness_p50_us: u64,
    /// The same.
    pub staleness_p99_us: u64,
    /// The same of any view at any time.
    pub view_staleness_p50_us: u64,
    /// The same.
    pub view_staleness_p99_us: u64,
    /// From being asked for to being confirmed.
    pub latency_p50_us: u64,
    /// The same.
    pub latency_p99_us: u64,
    /// From the end of the partition until every scheduler knew of every node on the other side what
    /// that was at its end, or something newer.
    pub converged_after_partition_us: Option<u64>,
    /// From the last fault and order until all views were true, every request had ended and nothing
    /// leaked, looked at once in a beat.
    pub settled_us: u64,
    /// What had not come true by then.
    pub unmet: Option<String>,
    /// Messages that were sent for each accepted claim, by all, beats included.
    pub messages_per_claim: f64,
    /// Bytes of these, by the length of one of so many.
    pub bytes_per_claim: f64,
    /// Of so many messages the length of one was measured.
    pub lengths_one_of: u64,
    /// How often decisions went which way while it was measured: what the messages were, among
    /// others.
    pub notices: BTreeMap<Notice, u64>,
    /// What is allocated of each class, of all that there is.
    pub used_percent: BTreeMap<String, f64>,
    /// Nodes that have an allocation.
    pub nodes_in_use: u64,
    /// On fewer nodes of the same kinds there is no room for what is allocated.
    pub nodes_needed_at_least: u64,
    /// Steps of all machines.
    pub steps: u64,
    /// Of these, while it was measured.
    pub steps_measured: u64,
    /// How many steps were judged.
    pub steps_judged: u64,
    /// How many steps of schedulers changed nothing and said nothing, so that there was nothing to
    /// judge that had not been judged before.
    pub steps_unchanged: u64,
    /// How closely.
    pub judged: Reach,
    /// By property: how often its premise was true.
    pub premises: BTreeMap<&'static str, u64>,
    /// The first violation.
    pub violated: Option<String>,
    /// In real time, and real memory.
    pub timing: Option<Timing>,
}

/// What it took.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// Real time, in seconds.
    pub seconds: f64,
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// Steps of all machines in a second of processor time, all that is judged and counted included.
    pub steps_per_cpu_s: u64,
    /// A scheduler's part in a decision, in nanoseconds: from the call to the claim; medians.
    pub ns_per_decision: u64,
    /// A scheduler's part in an update, in nanoseconds: a delta or snapshot is taken in; the
    /// median.
    pub ns_per_update: u64,
    /// What memory grew by for each node, before anyone knew it; in bytes.
    pub bytes_per_node: u64,
    /// What memory grew by for each scheduler that came to know all nodes; in bytes.
    pub bytes_per_scheduler: u64,
    /// All memory at the end, in bytes.
    pub resident_bytes: u64,
}

impl Report {
    /// Whether nothing was wrong.
    pub fn fine(&self) -> bool {
        self.violated.is_none() && self.unmet.is_none()
    }
}

/// Gathers figures along the way.
pub(crate) struct Figures {
    began: Option<(Instant, Duration)>,
    memory: BTreeMap<&'static str, u64>,
    measured: Option<Measured>,
    settled_us: u64,
    unmet: Option<(Liveness, String)>,
}

struct Measured {
    us: u64,
    sent: u64,
    steps: u64,
    granted: u64,
    refused: u64,
    stale: u64,
    picked: u64,
    staleness: [Duration; 4],
    length_milli: u64,
    notices: BTreeMap<Notice, u64>,
}

/// So large a part of `whole`, in percent with two places.
fn percent(part: u64, whole: u64) -> f64 {
    (u128::from(part) * 10_000 / u128::from(whole.max(1))) as f64 / 100.0
}

/// So much for each, with two places.
fn each(all: u128, of: u64) -> f64 {
    (all * 100 / u128::from(of.max(1))) as f64 / 100.0
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Figures {
    pub(crate) fn new(timing: bool) -> Figures {
        Figures {
            began: timing.then(|| (Instant::now(), cpu_time())),
            memory: BTreeMap::new(),
            measured: None,
            settled_us: 0,
            unmet: None,
        }
    }

    /// How much memory there is once all this is there.
    pub(crate) fn remember(&mut self, there: &'static str) {
        if self.began.is_some() {
            self.memory.insert(there, resident_bytes());
        }
    }

    /// The measurement is over.
    pub(crate) fn measured(&mut self, run: &Run<'_>) {
        let (engine, began) = (&run.engine, run.began());
        let meters = &engine.meters;
        let refusals =
            [Notice::ClaimRefused, Notice::ClaimRefusedFull, Notice::ClaimRefusedForGroups];
        self.measured = Some(Measured {
            us: engine.now - began.at_us,
            sent: engine.network.passed.sent - began.sent,
            steps: engine.judge.steps - began.steps,
            granted: meters.count(Notice::ClaimGranted),
            refused: refusals.iter().map(|notice| meters.count(*notice)).sum(),
            stale: meters.picked_stale,
            picked: meters.picked,
            staleness: [
                meters.stale_picks.quantile(0.5),
                meters.stale_picks.quantile(0.99),
                meters.stale_views.quantile(0.5),
                meters.stale_views.quantile(0.99),
            ],
            length_milli: meters.length_milli(),
            notices: meters.counts().filter(|(_, times)| *times > 0).collect(),
        });
    }

    /// The cluster was left alone.
    pub(crate) fn settled(&mut self, settled_us: u64, unmet: Option<(Liveness, String)>) {
        (self.settled_us, self.unmet) = (settled_us, unmet);
    }

    fn timing(&self, options: &Options, run: &Run<'_>) -> Option<Timing> {
        let (began, cpu_before) = self.began?;
        let cpu = cpu_time().saturating_sub(cpu_before);
        let grew = |from: &str, to: &str, count: u32| {
            self.memory[to].saturating_sub(self.memory[from]) / u64::from(count)
        };
        let spent = run.engine.clock.clone().unwrap_or_default();
        let steps = run.engine.judge.steps;
        let per_s = u128::from(steps) * 1_000_000 / cpu.as_micros().max(1);
        Some(Timing {
            seconds: (began.elapsed().as_millis() as f64) / 1000.0,
            cpu_seconds: (cpu.as_millis() as f64) / 1000.0,
            steps_per_cpu_s: u64::try_from(per_s).unwrap_or(u64::MAX),
            ns_per_decision: spent.decision_ns(),
            ns_per_update: spent.update_ns(),
            bytes_per_node: grew("nothing", "nodes", options.nodes),
            bytes_per_scheduler: grew("nodes", "schedulers", options.schedulers),
            resident_bytes: resident_bytes(),
        })
    }

    pub(crate) fn report(self, options: &Options, run: &Run<'_>) -> Report {
        let (engine, came) = (&run.engine, &run.load.came);
        let timing = self.timing(options, run);
        let Figures { measured, settled_us, unmet, .. } = self;
        let measured = measured.expect("it was measured before it is reported");
        let bytes = u128::from(measured.sent) * u128::from(measured.length_milli) / 1000;
        let premises = Safety::ALL.iter().zip(engine.judge.premises);
        let packed = packed(run);
        Report {
            nodes: options.nodes,
            schedulers: options.schedulers,
            seed: options.seed,
            strategy: options.policy.as_str(),
            own_first: options.own_first,
            workload: match options.workload {
                Workload::Flavors(_) => "flavors",
                Workload::Trace(_) => "trace",
            },
            load_percent: options.load_percent,
            arrivals: options.arrivals,
            links: options.links,
            partition: options.partition,
            restarts: options.restarts,
            churn: options.churn,
            beat_us: options.beat_us,
            measured_us: measured.us,
            requests: came.arrived,
            accepted: came.confirmed,
            no_valid_host: came.no_valid_host,
            exhausted: came.exhausted,
            forgotten: came.forgotten,
            retried_percent: percent(came.retried, came.confirmed),
            claims_granted: measured.granted,
            claims_refused: measured.refused,
            conflict_percent: percent(measured.refused, measured.granted + measured.refused),
            stale_decisions_percent: percent(measured.stale, measured.picked),
            staleness_p50_us: us(measured.staleness[0]),
            staleness_p99_us: us(measured.staleness[1]),
            view_staleness_p50_us: us(measured.staleness[2]),
            view_staleness_p99_us: us(measured.staleness[3]),
            latency_p50_us: us(came.latency.quantile(0.5)),
            latency_p99_us: us(came.latency.quantile(0.99)),
            converged_after_partition_us: engine.meters.catching.as_ref().and_then(|c| c.took),
            settled_us,
            unmet: unmet.map(|(property, clause)| format!("{property}: {clause}")),
            messages_per_claim: each(u128::from(measured.sent), came.confirmed),
            bytes_per_claim: each(bytes, came.confirmed),
            lengths_one_of: LENGTHS_ONE_OF,
            notices: measured.notices,
            used_percent: packed.used_percent,
            nodes_in_use: packed.in_use,
            nodes_needed_at_least: packed.needed,
            steps: engine.judge.steps,
            steps_measured: measured.steps,
            steps_judged: engine.judge.judged,
            steps_unchanged: engine.judge.unchanged,
            judged: engine.judge.reach,
            premises: premises.map(|(property, times)| (property.name(), times)).collect(),
            violated: engine.judge.violated.as_ref().map(ToString::to_string),
            timing,
        }
    }
}

/// How densely the nodes are packed.
struct Packed {
    used_percent: BTreeMap<String, f64>,
    in_use: u64,
    needed: u64,
}

fn packed(run: &Run<'_>) -> Packed {
    let mut sums: BTreeMap<&ResourceClass, (u128, u128)> = BTreeMap::new();
    let mut in_use = 0;
    let there = run.engine.cast.nodes.iter().filter(|slot| !slot.machine.left);
    let nodes: Vec<_> = there.map(|slot| &slot.machine.durable).collect();
    for disk in &nodes {
        in_use += u64::from(!disk.allocations.is_empty());
        for (class, of_class) in disk.inventory.classes.iter() {
            let (used, all) = sums.entry(class).or_default();
            *used += u128::from(disk.allocations.used().get(class));
            *all += u128::from(of_class.capacity());
        }
    }
    let needed = sums.values().map(|(used, all)| {
        let needed = (used * nodes.len() as u128).div_ceil((*all).max(1));
        u64::try_from(needed).unwrap_or(u64::MAX)
    });
    let needed = needed.max().unwrap_or(0);
    let part = |(used, all): (u128, u128)| (used * 10_000 / all.max(1)) as f64 / 100.0;
    let used_percent =
        sums.into_iter().map(|(class, sum)| (class.to_string(), part(sum))).collect();
    Packed { used_percent, in_use, needed }
}

/// How many bytes of this process are in memory; 0 where the system does not say.
fn resident_bytes() -> u64 {
    memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem as u64)
}
