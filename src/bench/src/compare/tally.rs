//! What is counted while a cell is measured.

use crate::baselines::Spent;
use crate::histogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long one step of a time line is.
pub const STEP: Duration = Duration::from_millis(100);

/// What became of the requests of one scheduler, and how long it took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that were taken up.
    pub requests: u64,
    /// Requests that have a place.
    pub success: u64,
    /// Requests for which the scheduler found no node.
    pub no_valid_host: u64,
    /// Requests whose attempts were used up.
    pub exhausted: u64,
    /// Requests that nothing was heard of.
    pub unanswered: u64,
    /// Attempts, by whether they were the first of their request and how they ended.
    pub queries: Queries,
    /// From taking a request up to when its first decision began.
    pub queue: Histogram,
    /// From when a decision began to when it was made.
    pub decision: Histogram,
    /// From a decision to its verdict.
    pub claim: Histogram,
    /// From taking a request up to its place.
    pub latency: Histogram,
    /// From the view that a decision was made by to the verdict.
    pub gap: Histogram,
    /// Requests that got a place in each step of the run.
    pub timeline: Vec<u32>,
    /// When the run began and when the last request ended, in nanoseconds of the monotonic clock.
    pub began_ns: u64,
    /// The same.
    pub ended_ns: u64,
    /// Of the time of the scheduler's thread.
    pub time: Time,
    /// What was sent and taken in.
    pub traffic: Traffic,
    /// Where the prototype would have thrown an error.
    pub errors: u64,
    /// Whether it was stopped before all requests had ended.
    pub cut: bool,
}

/// Attempts by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queries {
    /// First attempts that succeeded.
    pub direct_success: u64,
    /// First attempts that found no node.
    pub direct_no_valid_host: u64,
    /// First attempts whose claim failed.
    pub direct_retried: u64,
    /// Later attempts that succeeded.
    pub retry_success: u64,
    /// Later attempts that found no node.
    pub retry_no_valid_host: u64,
    /// Later attempts whose claim failed.
    pub retry_retried: u64,
}

impl Queries {
    /// All attempts.
    pub fn all(&self) -> u64 {
        self.direct_success
            + self.direct_no_valid_host
            + self.retry_success
            + self.retry_no_valid_host
            + self.retried()
    }

    /// Attempts whose claim failed.
    pub fn retried(&self) -> u64 {
        self.direct_retried + self.retry_retried
    }

    fn add(&mut self, other: &Queries) {
        self.direct_success += other.direct_success;
        self.direct_no_valid_host += other.direct_no_valid_host;
        self.direct_retried += other.direct_retried;
        self.retry_success += other.retry_success;
        self.retry_no_valid_host += other.retry_no_valid_host;
        self.retry_retried += other.retry_retried;
    }
}

/// What the time of a thread went to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Time {
    /// Reading the view, deciding, claiming.
    pub spent: Spent,
    /// Waiting for something to do.
    pub idle: Duration,
    /// Everything, from the beginning of the run.
    pub all: Duration,
}

impl Time {
    fn add(&mut self, other: &Time) {
        self.spent.view += other.spent.view;
        self.spent.decision += other.spent.decision;
        self.spent.claim += other.spent.claim;
        self.idle += other.idle;
        self.all += other.all;
    }

    /// What is left: taking messages in, working on them and sending them.
    pub fn messages(&self) -> Duration {
        let Spent { view, decision, claim } = self.spent;
        self.all.saturating_sub(view + decision + claim + self.idle)
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Packets, or bundles of messages in a queue.
    pub packets: u64,
    /// Bytes of packets; 0 in queues.
    pub bytes: u64,
}

impl Traffic {
    /// All of `other` more.
    pub fn add(&mut self, other: &Traffic) {
        self.messages += other.messages;
        self.packets += other.packets;
        self.bytes += other.bytes;
    }

    /// What was sent since `before`.
    #[must_use]
    pub fn since(&self, before: &Traffic) -> Traffic {
        Traffic {
            messages: self.messages - before.messages,
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
        }
    }
}

impl Tally {
    /// Both together: of two schedulers that ran at the same time.
    pub fn add(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.success += other.success;
        self.no_valid_host += other.no_valid_host;
        self.exhausted += other.exhausted;
        self.unanswered += other.unanswered;
        self.queries.add(&other.queries);
        self.queue.add(&other.queue);
        self.decision.add(&other.decision);
        self.claim.add(&other.claim);
        self.latency.add(&other.latency);
        self.gap.add(&other.gap);
        let steps = self.timeline.len().max(other.timeline.len());
        self.timeline.resize(steps, 0);
        for (mine, others) in self.timeline.iter_mut().zip(&other.timeline) {
            *mine += others;
        }
        let both = self.began_ns > 0 && other.began_ns > 0;
        self.began_ns = if both {
            self.began_ns.min(other.began_ns)
        } else {
            self.began_ns.max(other.began_ns)
        };
        self.ended_ns = self.ended_ns.max(other.ended_ns);
        self.time.add(&other.time);
        self.traffic.add(&other.traffic);
        self.errors += other.errors;
        self.cut |= other.cut;
    }
}

/// What the nodes saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Witness {
    /// For how long what was known of a chosen node had been out of date at the decision, but for
    /// what the decider itself had placed there; 0 if it was not.
    pub staleness: Histogram,
    /// Claims that came, by a view that was out of date.
    pub stale: u64,
    /// How long messages to the nodes took, queues included.
    pub on_the_way: Histogram,
    /// Of the time of the nodes' thread.
    pub time: Time,
    /// What was sent.
    pub traffic: Traffic,
    /// Nodes on which more is allocated than there is.
    pub overcommitted: u64,
    /// The memory that is allocated on all nodes, in MiB.
    pub memory_mib: u64,
}
