//! What all scenarios came to: a table for people, JSON for programs.

use crate::progress::Stop;
use crate::run::{Answer, Report};
use crate::suite;
use counterfoil_protocol::Rule;
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Action, Coverage, Expect};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// What all scenarios came to.
pub struct Summary<P: Protocol> {
    /// What was run.
    pub reports: Vec<Report<P>>,
    /// Saved traces: how many still violate, how many still hold.
    pub traces: Option<TraceCounts>,
    /// Whether the whole suite was run: only then can coverage be judged.
    pub whole_suite: bool,
    /// How long all took.
    pub time: Duration,
    /// Whether times are left out, so that equal runs print equal bytes.
    pub no_timing: bool,
}

/// What came of the saved traces.
#[derive(Clone, Debug, Default)]
pub struct TraceCounts {
    /// Witnesses that still violate.
    pub witnesses: usize,
    /// Regressions that still hold.
    pub regressions: usize,
    /// What is not as it should be.
    pub findings: Vec<String>,
    /// Whether a finding is a divergence.
    pub diverged: bool,
    /// How long it took.
    pub time: Duration,
}

/// What is said of all together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as expected.
    Pass,
    /// Something is not.
    Fail,
    /// Something was stopped before it could conclude.
    Inconclusive,
}

impl<P: Protocol> Summary<P> {
    /// What is said of all together.
    pub fn verdict(&self) -> Verdict {
        let traces = self.traces.as_ref().is_some_and(|traces| !traces.findings.is_empty());
        let reports = self.reports.iter().any(|report| !report.is_expected());
        if traces || reports || (self.whole_suite && !self.gaps().is_empty()) {
            Verdict::Fail
        } else if self.reports.iter().any(Report::is_inconclusive) {
            Verdict::Inconclusive
        } else {
            Verdict::Pass
        }
    }

    /// Of everything, broken scenarios included.
    fn coverage(&self) -> Coverage<P::Arm> {
        self.merged(|_| true)
    }

    fn merged(&self, of: impl Fn(&Report<P>) -> bool) -> Coverage<P::Arm> {
        let mut all = Coverage::new::<P>();
        self.reports.iter().filter(|r| of(r)).for_each(|r| all.merge(&r.answer.coverage));
        all
    }

    /// What the whole suite should have covered and has not.
    fn gaps(&self) -> Vec<String> {
        let coverage = self.coverage();
        let mut gaps = Vec::new();
        for kind in Action::<P>::KINDS {
            if !coverage.actions.contains_key(kind) {
                gaps.push(format!("action {kind} never happened"));
            }
        }
        for (name, seen) in P::witnesses().iter().zip(&coverage.witnesses) {
            if *seen == 0 {
                gaps.push(format!("{name} was never seen"));
            }
        }
        for rule in P::rules() {
            if self.breaks(*rule).is_none() {
                gaps.push(format!("no scenario needs the rule {rule}"));
            }
        }
        for (name, _, _) in properties::<P>() {
            if self.broken_by(name).is_empty() {
                gaps.push(format!("no scenario breaks {name}"));
            }
        }
        gaps
    }

    /// The scenarios that break a property, as they should.
    fn broken_by(&self, property: &str) -> Vec<&str> {
        let breaks = |report: &&Report<P>| match &report.scenario.expect {
            Expect::Violates(expected) => expected == property && report.is_expected(),
            Expect::Holds => false,
        };
        self.reports.iter().filter(breaks).map(|r| r.scenario.name.as_str()).collect()
    }

    /// The scenario that shows what goes wrong without a rule.
    fn breaks(&self, rule: Rule) -> Option<&Report<P>> {
        let without = |report: &&Report<P>| {
            report.scenario.without == [rule]
                && matches!(report.scenario.expect, Expect::Violates(_))
                && report.is_expected()
        };
        let named = format!("without_{rule}");
        let all = || self.reports.iter().filter(without);
        all().find(|report| report.scenario.name == named).or_else(|| all().next())
    }

    /// Decisions of which some outcome was never seen.
    fn one_sided(&self) -> Vec<String> {
        let coverage = self.coverage();
        let unseen = |(decision, arms): (&str, Vec<P::Arm>)| {
            let unseen = arms.iter().filter(|arm| !coverage.arms.contains_key(arm));
            let unseen: Vec<String> = unseen.map(|arm| format!("{arm:?}")).collect();
            (!unseen.is_empty()).then(|| format!("{decision}: never {}", unseen.join(", ")))
        };
        P::decisions().into_iter().filter_map(unseen).collect()
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let holding = self.merged(|report| report.scenario.without.is_empty());
        let coverage = self.coverage();
        let properties: Vec<Value> = properties::<P>()
            .map(|(name, kind, index)| {
                json!({
                    "name": name,
                    "kind": kind,
                    "premise_true": share(premise(&holding, kind, index), holding.steps),
                    "broken_by": self.broken_by(name),
                })
            })
            .collect();
        let rules: Vec<Value> = P::rules()
            .iter()
            .map(|rule| {
                let report = self.breaks(*rule);
                json!({
                    "name": rule.name(),
                    "broken_property": report.map(Report::result),
                    "scenario": report.map(|report| report.scenario.name.clone()),
                    "trace": report.and_then(kept_trace),
                })
            })
            .collect();
        let actions: Vec<Value> = Action::<P>::KINDS
            .iter()
            .map(|kind| json!({ "name": kind, "fired": coverage.actions.get(*kind).unwrap_or(&0) }))
            .collect();
        let witnesses: Vec<Value> = P::witnesses()
            .iter()
            .zip(&coverage.witnesses)
            .map(|(name, seen)| json!({ "name": name, "seen": seen }))
            .collect();
        json!({
            "scenarios": self.reports.iter().map(|r| self.scenario(r)).collect::<Vec<_>>(),
            "properties": properties,
            "rules": rules,
            "actions": actions,
            "witnesses": witnesses,
            "guards_one_sided": self.one_sided(),
            "traces": self.traces.as_ref().map(|traces| json!({
                "witnesses": traces.witnesses,
                "regressions": traces.regressions,
                "findings": traces.findings,
            })),
            "gaps": if self.whole_suite { self.gaps() } else { Vec::new() },
            "verdict": match self.verdict() {
                Verdict::Pass => "pass",
                Verdict::Fail => "fail",
                Verdict::Inconclusive => "inconclusive",
            },
        })
    }

    fn scenario(&self, report: &Report<P>) -> Value {
        let judgement = report.answer.judgement.as_ref();
        json!({
            "name": report.scenario.name,
            "bounds": report.scenario.bounds(),
            "expect": match report.scenario.expect {
                Expect::Holds => "holds",
                Expect::Violates(_) => "violates",
            },
            "property": match &report.scenario.expect {
                Expect::Holds => None,
                Expect::Violates(property) => Some(property),
            },
            "result": report.result(),
            "expected": report.is_expected(),
            "complete": report.answer.stopped.is_none(),
            "stopped": report.answer.stopped.map(|stop| stop.name()),
            "states": report.answer.states,
            "distinct": report.answer.distinct,
            "pinned": report.scenario.distinct,
            "depth": report.answer.depth,
            "seconds": if self.no_timing { None } else { Some(report.time.as_secs_f64()) },
            "heal_rounds_max": judgement.map(|judgement| judgement.heal_steps_max),
            "unhealed": judgement.map(|judgement| judgement.unhealed),
            "transient": judgement.map(|judgement| judgement.transient),
            "weak_fairness_livelocks": judgement.and_then(|judgement| judgement.livelocks),
            "engines": std::iter::once(&report.answer)
                .chain(&report.others)
                .flat_map(|answer| self.engines(answer))
                .collect::<Vec<_>>(),
            "violated": report.answer.violated,
            "findings": report.findings,
            "missed_state_risk": risk(report.answer.distinct),
            "trace": kept_trace(report),
        })
    }

    /// What each engine saw in one representation.
    fn engines(&self, answer: &Answer<P>) -> [Value; 2] {
        let seconds = |time: Duration| (!self.no_timing).then_some(time.as_secs_f64());
        let theirs = &answer.stateright;
        [
            json!({
                "engine": "ours",
                "world": answer.make.name(),
                "states": answer.states,
                "distinct": answer.distinct,
                "violated": answer.violated,
                "heals": answer.judgement.as_ref().map(|judgement| judgement.unhealed == 0),
                "seconds": seconds(answer.time),
            }),
            json!({
                "engine": "stateright",
                "world": answer.make.name(),
                "states": theirs.states,
                "distinct": theirs.distinct,
                "violated": theirs.violated,
                "heals": theirs.heals,
                "seconds": seconds(theirs.time),
            }),
        ]
    }

    /// As a table.
    pub fn human(&self) -> String {
        let mut text = String::new();
        if let Some(traces) = &self.traces {
            let total = traces.witnesses + traces.regressions + traces.findings.len();
            let _ = writeln!(
                text,
                "saved traces   {total} replayed: {} witnesses still violate, {} regressions still \
                 hold{:>14}",
                traces.witnesses,
                traces.regressions,
                self.seconds(traces.time)
            );
            traces.findings.iter().for_each(|finding| {
                let _ = writeln!(text, "✗ {finding}");
            });
        }
        let _ = writeln!(
            text,
            "  {:<40} {:<9} {:<33} {:>7} {:>8} {:>5} {:>6}",
            "SCENARIO", "EXPECT", "RESULT", "STATES", "DISTINCT", "DEPTH", "TIME"
        );
        for report in &self.reports {
            let sign = match (report.is_expected(), report.is_inconclusive()) {
                (false, _) => '✗',
                (true, true) => '?',
                (true, false) => '✓',
            };
            let expect = match report.scenario.expect {
                Expect::Holds => "holds",
                Expect::Violates(_) => "violates",
            };
            let _ = writeln!(
                text,
                "{sign} {:<40} {expect:<9} {:<33} {:>7} {:>8} {:>5} {:>6}",
                report.scenario.name,
                report.result(),
                short(report.answer.states),
                short(report.answer.distinct),
                report.answer.depth,
                self.seconds(report.time)
            );
            if !self.whole_suite {
                let _ = writeln!(text, "    {}", report.scenario.bounds());
            }
            for other in report.others.iter().filter(|other| !other.make.is_exact()) {
                let _ = writeln!(text, "    {}", compared(&report.answer, other));
            }
            for finding in &report.findings {
                let _ = writeln!(text, "    ✗ {finding}");
            }
        }
        if self.whole_suite {
            self.write_coverage(&mut text);
        }
        self.write_verdict(&mut text);
        text
    }

    fn write_coverage(&self, text: &mut String) {
        let holding = self.merged(|report| report.scenario.without.is_empty());
        let coverage = self.coverage();
        let _ = writeln!(text, "  {:<32} {:<18} BROKEN BY", "PROPERTY", "PREMISE TRUE IN");
        for (name, kind, index) in properties::<P>() {
            let share = share(premise(&holding, kind, index), holding.steps);
            let broken_by = self.broken_by(name).join(", ");
            let premise = if kind == "safety" {
                format!("{:.1}% of steps", share * 100.0)
            } else {
                format!("{:.1}% unmet", share * 100.0)
            };
            let _ = writeln!(
                text,
                "  {name:<32} {premise:<18} {}",
                if broken_by.is_empty() { "nothing" } else { &broken_by }
            );
        }
        let heal = self.reports.iter().filter(|r| r.scenario.without.is_empty());
        let heal = heal.filter_map(|r| Some(r.answer.judgement.as_ref()?.heal_steps_max)).max();
        let livelocks: u64 = self
            .reports
            .iter()
            .filter(|r| r.scenario.without.is_empty())
            .filter_map(|r| r.answer.judgement.as_ref()?.livelocks)
            .sum();
        let _ = writeln!(
            text,
            "  healed in at most {} fault-free steps · {livelocks} livelocks under weak fairness",
            heal.unwrap_or(0)
        );
        let kinds = Action::<P>::KINDS;
        let fired = kinds.iter().filter(|kind| coverage.actions.contains_key(**kind)).count();
        let needed = P::rules().iter().filter(|rule| self.breaks(**rule).is_some()).count();
        let seen = coverage.witnesses.iter().filter(|seen| **seen > 0).count();
        let one_sided = self.one_sided();
        let _ = writeln!(
            text,
            "  ACTIONS {fired} of {} happened · RULES {needed} of {} needed · WITNESSES {seen} of {} \
             seen · GUARDS {} of {} seen every way",
            kinds.len(),
            P::rules().len(),
            coverage.witnesses.len(),
            P::decisions().len() - one_sided.len(),
            P::decisions().len()
        );
        for guard in one_sided {
            let _ = writeln!(text, "    {guard}");
        }
        for gap in self.gaps() {
            let _ = writeln!(text, "✗ {gap}");
        }
    }

    fn write_verdict(&self, text: &mut String) {
        let all = self.reports.len();
        let expected = self.reports.iter().filter(|r| r.is_expected() && !r.is_inconclusive());
        let expected = expected.count();
        let distinct: u64 = self.reports.iter().map(|report| report.answer.distinct).sum();
        let cut = self.reports.iter().filter(|r| r.answer.stopped.is_some()).count();
        let explored = match cut {
            0 => "complete".to_owned(),
            _ => format!("{} complete, {cut} cut off", all - cut),
        };
        let word = match self.verdict() {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
        };
        let risk: f64 = self.reports.iter().map(|report| risk(report.answer.distinct)).sum();
        let _ = writeln!(
            text,
            "{word}  {expected} of {all} as expected · {} distinct states, {explored} · missed-state \
             risk below {risk:.1e} · {}",
            short(distinct),
            self.seconds(self.time)
        );
    }

    fn seconds(&self, time: Duration) -> String {
        if self.no_timing { "-".to_owned() } else { format!("{:.1}s", time.as_secs_f64()) }
    }
}

/// Every property: name, kind, index among its kind.
fn properties<P: Protocol>() -> impl Iterator<Item = (&'static str, &'static str, usize)> {
    let safety = P::safety().iter().enumerate().map(|(i, p)| (p.name, "safety", i));
    let live = P::liveness().iter().enumerate().map(|(i, p)| (p.name, "liveness", i));
    safety.chain(live)
}

/// How often the premise of a safety property was true, or a liveness goal was still unmet.
fn premise<A: Ord>(coverage: &Coverage<A>, kind: &str, index: usize) -> u64 {
    if kind == "safety" { coverage.premises[index] } else { coverage.unmet[index] }
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// The chance that two of `n` states have the same fingerprint: at most n^2 / 2^65.
fn risk(distinct: u64) -> f64 {
    (distinct as f64).powi(2) / 2f64.powi(65)
}

/// The saved trace of the violation that a scenario shows, if there is one.
fn kept_trace<P: Protocol>(report: &Report<P>) -> Option<String> {
    let found = report.answer.trace.as_ref()?;
    let name = trace_name(&found.trace.property, &report.scenario.name);
    let folder = suite::traces_of(report.scenario.protocol);
    suite::root().join(folder).join(&name).exists().then(|| format!("{folder}/{name}"))
}

/// The name of the file for a violation that a scenario shows.
pub fn trace_name(property: &str, scenario: &str) -> String {
    format!("{property}__{scenario}.itf.json")
}

/// How many states another make counts.
fn compared<P: Protocol>(reference: &Answer<P>, other: &Answer<P>) -> String {
    let (all, counted) = (reference.distinct, other.distinct);
    let factor = |more: u64, fewer: u64| more as f64 / fewer.max(1) as f64;
    let than = if counted <= all {
        format!("{:.2} times fewer", factor(all, counted))
    } else {
        format!("{:.2} times more", factor(counted, all))
    };
    let (make, stopped) = (other.make.name(), other.stopped.map_or("complete", Stop::name));
    format!("{make}: {counted} distinct states for {all}, {than} ({stopped}), {:?}", other.violated)
}

/// A count in at most six places.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{:.1}k", count as f64 / 1e3),
        1_000_000.. => format!("{:.2}M", count as f64 / 1e6),
    }
}
