//! What came of a cell: a row of the report.

use super::spec::{Case, Scene, Setting, Spec};
use super::tally::{Tally, Traffic, Witness};
use crate::histogram::Histogram;
use serde::{Deserialize, Serialize};

/// A row of the report. Shares and percentages are of 100; times are in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The design.
    pub design: String,
    /// The designs of all schedulers, if there were others beside.
    pub mix: Option<String>,
    /// Where it ran.
    pub setting: Setting,
    /// What it ran.
    pub case: Case,
    /// On which kind of database, if on any.
    pub database: Option<String>,
    /// How many nodes.
    pub nodes: u32,
    /// How many schedulers.
    pub schedulers: u32,
    /// How they chose.
    pub strategy: String,
    /// Where everything random began.
    pub seed: u64,
    /// Whether it was cut off at its time limit.
    pub cut: bool,
    /// Requests that were taken up.
    pub requests: u64,
    /// Requests that got a place.
    pub success: u64,
    /// Requests for which a scheduler found no node.
    pub no_valid_host: u64,
    /// Requests whose attempts were used up.
    pub exhausted: u64,
    /// Requests that nothing was heard of.
    pub unanswered: u64,
    /// Attempts, and how they ended.
    pub queries: super::tally::Queries,
    /// From the beginning to the end of the last request, in seconds.
    pub wall_s: f64,
    /// Requests that got a place, in a second.
    pub accepted_per_s: f64,
    /// Requests that ended, in a second.
    pub requests_per_s: f64,
    /// Attempts in a second.
    pub queries_per_s: f64,
    /// Failed claims for each request: the query retries of 2016.
    pub retried_percent: f64,
    /// Failed claims of all claims: the conflict fraction.
    pub conflict_percent: f64,
    /// Time before the first decision.
    pub queue: Quantiles,
    /// Time of a decision.
    pub decision: Quantiles,
    /// Time from the decision to the verdict.
    pub claim: Quantiles,
    /// Time of messages to the nodes, queues included; nothing if there are none.
    pub on_the_way: Option<Quantiles>,
    /// Time from taking a request up to its place.
    pub latency: Quantiles,
    /// Time from the view to the verdict.
    pub gap: Quantiles,
    /// Age of what was known wrongly at the decision; nothing if it could not be seen.
    pub staleness: Option<Quantiles>,
    /// Decisions by a view that was out of date, of those that were seen.
    pub stale_percent: Option<f64>,
    /// What schedulers spend their time on.
    pub share: Option<Share>,
    /// What the nodes spend their time on.
    pub nodes_share: Option<Share>,
    /// Messages for each attempt.
    pub messages_per_query: f64,
    /// Messages for each request.
    pub messages_per_request: f64,
    /// Bytes for each request that got a place; nothing where there are no packets.
    pub bytes_per_success: Option<f64>,
    /// Memory that is allocated in the end, of all that may be.
    pub memory_percent: f64,
    /// Nodes on which more is allocated than may be.
    pub overcommitted: u64,
    /// Errors that the prototype would have thrown.
    pub errors: u64,
    /// What the conflict fraction would be by the formula of ParSync, in percent.
    pub parsync_percent: f64,
    /// Requests that got a place in each 100 ms.
    pub timeline: Vec<u32>,
}

/// The middle and the end of a distribution, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half are at most this.
    pub p50_us: f64,
    /// All but one of a hundred are at most this.
    pub p99_us: f64,
}

impl Quantiles {
    /// Of these.
    pub fn of(histogram: &Histogram) -> Quantiles {
        let micros = |part| histogram.quantile(part).as_secs_f64() * 1e6;
        Quantiles { p50_us: micros(0.5), p99_us: micros(0.99) }
    }
}

/// What time goes to, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Reading the view from the database.
    pub view: f64,
    /// Choosing.
    pub decision: f64,
    /// Claiming or saving in the database.
    pub claim: f64,
    /// Messages: taking them in, working on them, sending them.
    pub messages: f64,
    /// Waiting.
    pub idle: f64,
}

impl Share {
    fn of(time: &super::tally::Time) -> Option<Share> {
        let all = time.all.as_secs_f64();
        let part = |of: std::time::Duration| 100.0 * of.as_secs_f64() / all;
        (all > 0.0).then(|| Share {
            view: part(time.spent.view),
            decision: part(time.spent.decision),
            claim: part(time.spent.claim),
            messages: part(time.messages()),
            idle: part(time.idle),
        })
    }
}

/// A hundred times `part` of `all`; nothing of nothing.
fn percent(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 }
}

impl Cell {
    /// The row of the schedulers of one design. `witness` is what all nodes saw.
    pub fn new(
        spec: &Spec,
        scene: &Scene,
        design: &str,
        (tally, witness): (&Tally, &Witness),
    ) -> Cell {
        let wall_s = tally.ended_ns.saturating_sub(tally.began_ns) as f64 / 1e9;
        let per_s = |count: u64| if wall_s > 0.0 { count as f64 / wall_s } else { 0.0 };
        let retried = tally.queries.retried();
        let ended = tally.success + tally.no_valid_host + tally.exhausted + tally.unanswered;
        let mut traffic = tally.traffic;
        traffic.add(&witness.traffic);
        let Traffic { messages, bytes, .. } = traffic;
        let each = |count: u64, of: u64| count as f64 / of.max(1) as f64;
        let named = spec.designs.iter().map(|design| design.name());
        let others = spec.designs.iter().any(|of| of.name() != design);
        let mix = others.then(|| named.collect::<Vec<_>>().join("+"));
        let seen = witness.staleness.count();
        let capacity = scene.capacity_mib();
        let schedulers = spec.designs.iter().filter(|of| of.name() == design).count() as u32;
        let gap = Quantiles::of(&tally.gap);
        Cell {
            design: design.to_owned(),
            mix,
            setting: spec.setting,
            case: spec.case,
            database: spec.has_database().then(|| spec.place().kind().to_owned()),
            nodes: scene.given.len() as u32,
            schedulers,
            strategy: spec.strategy.clone(),
            seed: spec.seed,
            cut: tally.cut,
            requests: tally.requests,
            success: tally.success,
            no_valid_host: tally.no_valid_host,
            exhausted: tally.exhausted,
            unanswered: tally.unanswered,
            queries: tally.queries,
            wall_s,
            accepted_per_s: per_s(tally.success),
            requests_per_s: per_s(ended),
            queries_per_s: per_s(tally.queries.all()),
            retried_percent: percent(retried, tally.requests),
            conflict_percent: percent(retried, retried + tally.success),
            queue: Quantiles::of(&tally.queue),
            decision: Quantiles::of(&tally.decision),
            claim: Quantiles::of(&tally.claim),
            on_the_way: (witness.on_the_way.count() > 0)
                .then(|| Quantiles::of(&witness.on_the_way)),
            latency: Quantiles::of(&tally.latency),
            gap,
            staleness: (seen > 0).then(|| Quantiles::of(&witness.staleness)),
            stale_percent: (seen > 0).then(|| percent(witness.stale, seen)),
            share: Share::of(&tally.time),
            nodes_share: Share::of(&witness.time),
            messages_per_query: each(messages, tally.queries.all()),
            messages_per_request: each(messages, tally.requests),
            bytes_per_success: (bytes > 0).then(|| each(bytes, tally.success)),
            memory_percent: percent(witness.memory_mib, capacity),
            overcommitted: witness.overcommitted,
            errors: tally.errors,
            parsync_percent: parsync(
                f64::from(schedulers),
                per_s(tally.queries.all()) * gap.p50_us / 1e6 / f64::from(schedulers),
                scene.places() / 2.0,
            ),
            timeline: tally.timeline.clone(),
        }
    }

    /// The key of its spec.
    pub fn key(&self) -> String {
        let Cell { design, setting, nodes, strategy, seed, case, mix, .. } = self;
        let name = mix.as_deref().unwrap_or(design);
        let schedulers = mix.as_ref().map_or(self.schedulers, |mix| mix.split('+').count() as u32);
        let (setting, case) = (setting.name(), case.name());
        format!("{setting}/{case}/{nodes}/{schedulers}/{strategy}/{seed}/{name}")
    }
}

/// The share of decisions that conflict, in percent, when each of `schedulers` makes `tasks`
/// decisions in the time in which views are out of date, on `slots` free places: (N K - S + S (1 -
/// K/S)^N) / (N K), as ParSync has it.
pub fn parsync(schedulers: f64, tasks: f64, slots: f64) -> f64 {
    let all = schedulers * tasks;
    if all <= 0.0 || slots <= 0.0 {
        return 0.0;
    }
    let missed = (1.0 - (tasks / slots).min(1.0)).powf(schedulers);
    (100.0 * (all - slots + slots * missed) / all).clamp(0.0, 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scheduler_has_no_conflicts_and_many_have_as_parsync_says() {
        assert_eq!(parsync(1.0, 10.0, 100.0), 0.0);
        // Two that place one each on two places: they meet with a chance of a half.
        assert!((parsync(2.0, 1.0, 2.0) - 25.0).abs() < 1e-9);
        assert!(parsync(8.0, 10.0, 100.0) > parsync(4.0, 10.0, 100.0));
        assert_eq!(parsync(2.0, 0.0, 100.0), 0.0);
    }
}
