//! What came of a trial run.

use super::Trial;
use super::placing::Counts;
use counterfoil_properties::Safety;
use counterfoil_protocol::Notice;
use counterfoil_recording::audit::{Audit, Wrong};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What came of a trial run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests that were placed and confirmed.
    pub placed: u64,
    /// Requests that no valid host was found for.
    pub no_valid_host: u64,
    /// `attempts_repeated` and `claims_refused` together.
    pub retries: u64,
    /// Properties that there was something to judge for, by name.
    pub properties_checked: Vec<&'static str>,
    /// Violations of properties, up to a hundred: which, where, and how.
    pub violations: Vec<String>,
    /// How many violations there were.
    pub violations_count: u64,
    /// Requests in all.
    pub count: usize,
    /// Requests that ended in another way.
    pub other: u64,
    /// Attempts beyond the first of their request.
    pub attempts_repeated: u64,
    /// Refusals that schedulers were told of.
    pub claims_refused: u64,
    /// Runs that were rebuilt from their recordings.
    pub runs_rebuilt: u64,
    /// Runs that could not be.
    pub runs_not_rebuilt: u64,
    /// Messages that arrived and that nobody had sent.
    pub never_sent: u64,
    /// Steps that were judged.
    pub steps: u64,
    /// Steps that had no effect, because their process was killed before it committed them.
    pub steps_without_effect: u64,
    /// Checks that were left out, because the nodes were not recorded.
    pub checks_left_out: u64,
    /// How often the premise of each property was true.
    pub properties: BTreeMap<&'static str, u64>,
    /// What was found.
    pub findings: Vec<String>,
    /// Schedulers that ran.
    pub schedulers: u32,
    /// Nodes that ran.
    pub nodes: u32,
    /// How nodes were picked.
    pub policy: &'static str,
    /// Requests that were sought at once.
    pub window: usize,
    /// Whether a node and a scheduler were killed.
    pub crash: bool,
    /// The seed.
    pub seed: u64,
}

impl Report {
    pub(crate) fn new(trial: &Trial, counts: Counts, audit: &Audit) -> Self {
        let times = |notices: &[Notice]| -> u64 {
            notices.iter().filter_map(|notice| audit.notices.get(notice)).sum()
        };
        let attempts_repeated = times(&[Notice::AttemptRetried, Notice::AttemptImpatient]);
        let claims_refused = times(&[Notice::RefusalLearnt, Notice::RefusalUnwanted]);
        let premise = |property: &Safety| audit.judged.get(property).copied().unwrap_or_default();
        Report {
            placed: counts.placed,
            no_valid_host: counts.no_valid_host,
            retries: attempts_repeated + claims_refused,
            properties_checked: audit.judged.keys().map(|property| property.name()).collect(),
            violations: audit
                .findings
                .iter()
                .filter(|finding| matches!(finding.what, Wrong::Violated { .. }))
                .map(ToString::to_string)
                .collect(),
            violations_count: audit.violations,
            count: trial.rows.len(),
            other: counts.other,
            attempts_repeated,
            claims_refused,
            runs_rebuilt: audit.runs,
            runs_not_rebuilt: audit.not_rebuilt,
            never_sent: audit.never_sent,
            steps: audit.steps,
            steps_without_effect: audit.steps_without_effect,
            checks_left_out: audit.left_out,
            properties: Safety::ALL.iter().map(|p| (p.name(), premise(p))).collect(),
            findings: audit.findings.iter().map(ToString::to_string).collect(),
            schedulers: trial.size.schedulers,
            nodes: trial.size.nodes,
            policy: trial.size.policy.as_str(),
            window: trial.window,
            crash: trial.crash,
            seed: trial.size.seed,
        }
    }

    /// Whether every property held, every run was rebuilt, what arrived was sent, and every request was
    /// placed or has no valid host.
    pub fn is_fine(&self) -> bool {
        self.violations_count + self.runs_not_rebuilt + self.never_sent + self.other == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crash = if self.crash { ", one of each killed halfway" } else { "" };
        writeln!(
            f,
            "{} requests, {} at once; {} schedulers ({}), {} nodes{crash}; seed {}",
            self.count, self.window, self.schedulers, self.policy, self.nodes, self.seed
        )?;
        writeln!(f, "  placed               {:>8}", self.placed)?;
        writeln!(f, "  no valid host        {:>8}", self.no_valid_host)?;
        if self.other > 0 {
            writeln!(f, "  ended otherwise      {:>8}", self.other)?;
        }
        writeln!(f, "  attempts repeated    {:>8}", self.attempts_repeated)?;
        writeln!(f, "  claims refused       {:>8}", self.claims_refused)?;
        let (runs, steps) = (self.runs_rebuilt, self.steps);
        writeln!(f, "{runs} runs of {steps} steps rebuilt from their recordings")?;
        if self.steps_without_effect > 0 {
            writeln!(f, "  steps without effect {:>8}", self.steps_without_effect)?;
        }
        if self.checks_left_out > 0 {
            writeln!(f, "  checks left out      {:>8}", self.checks_left_out)?;
        }
        for (property, premise) in &self.properties {
            writeln!(f, "  {property:<32} premise true {premise:>8} times")?;
        }
        for finding in &self.findings {
            writeln!(f, "  ✗ {finding}")?;
        }
        let verdict = if self.is_fine() { "PASS" } else { "FAIL" };
        write!(
            f,
            "{verdict}  {} properties checked, {} violations, {} runs not rebuilt",
            self.properties_checked.len(),
            self.violations_count,
            self.runs_not_rebuilt
        )
    }
}
