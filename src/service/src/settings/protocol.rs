//! Limits and intervals of the protocol, as settings.

use super::interval::Interval;
use super::layers::{Layers, SettingsError};
use clap::Args;
use counterfoil_protocol::{Config, Intervals, Limits};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What is never exceeded.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Node: allocations at once, 1 to 1000000; more claims are refused [default: 4096]
    #[arg(long, value_name = "N")]
    pub allocations_max: Option<u64>,
    /// Node: groups that its allocations are in at once, 1 to 64; a claim that would make them more
    /// is refused [default: 40]
    #[arg(long, value_name = "N")]
    pub groups_max: Option<u64>,
    /// Node: schedulers that are sent changes, 1 to 1024 [default: 64]
    #[arg(long, value_name = "N")]
    pub subscribers_max: Option<u64>,
    /// Node: schedulers whose claims are fenced, 1 to 65536; one more starts a new life
    /// [default: 256]
    #[arg(long, value_name = "N")]
    pub fences_max: Option<u64>,
    /// Node: changes that a delta can go back over, 1 to 65536 [default: 64]
    #[arg(long, value_name = "N")]
    pub delta_log_max: Option<u64>,
    /// Claims of one scheduler open at one node at once, 1 to 4096; the same at all processes
    /// [default: 64]
    #[arg(long, value_name = "N")]
    pub claims_open_max: Option<u64>,
    /// Scheduler: nodes known, 1 to 1000000 [default: 100000]
    #[arg(long, value_name = "N")]
    pub nodes_max: Option<u64>,
    /// Scheduler: attempts being worked on, 1 to 1000000; one more is turned away [default: 4096]
    #[arg(long, value_name = "N")]
    pub attempts_pending_max: Option<u64>,
    /// Scheduler: claims made for one attempt, 1 to 1024 [default: 16]
    #[arg(long, value_name = "N")]
    pub claims_per_attempt_max: Option<u64>,
}

/// How long things take: a number with its unit, as 500ms, 30s or 2m.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Intervals")]
pub struct IntervalSettings {
    /// Node: from a change to the delta that carries it, up to 1s, up to --beat; without, those of one
    /// turn share a delta [default: 0s]
    #[arg(long, value_name = "TIME")]
    pub announce: Option<Interval>,
    /// From one sign of life to the next when nothing changes, 10ms to 1m [default: 500ms]
    #[arg(long, value_name = "TIME")]
    pub beat: Option<Interval>,
    /// From a grant that nobody confirms to its lapse, 1s to 24h, at least 10 times --resend; the
    /// same at all processes [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub lapse: Option<Interval>,
    /// Silence after which the other end is suspected or forgotten, up to 1h, at least twice --beat
    /// [default: 3s]
    #[arg(long, value_name = "TIME")]
    pub silence: Option<Interval>,
    /// From a datagram without an answer to the next, 1ms to 10s [default: 100ms]
    #[arg(long, value_name = "TIME")]
    pub resend: Option<Interval>,
}

impl LimitSettings {
    /// What holds where nothing is said.
    pub fn defaults() -> Self {
        let limits = Limits::default();
        LimitSettings {
            allocations_max: Some(limits.allocations_max as u64),
            groups_max: Some(limits.groups_max as u64),
            subscribers_max: Some(limits.subscribers_max as u64),
            fences_max: Some(limits.fences_max as u64),
            delta_log_max: Some(limits.delta_log_max as u64),
            claims_open_max: Some(limits.claims_open_max),
            nodes_max: Some(limits.nodes_max as u64),
            attempts_pending_max: Some(limits.attempts_pending_max as u64),
            claims_per_attempt_max: Some(limits.claims_per_attempt_max.into()),
        }
    }

    fn limits(&self, layers: &Layers) -> Result<Limits, SettingsError> {
        let usual = Limits::default();
        let within = |name: &str, value: Option<u64>, range: RangeInclusive<u64>| {
            let value = value.expect("it has a default");
            if range.contains(&value) {
                return Ok(value);
            }
            let (from, to) = (range.start(), range.end());
            let problem = format!("{value} is not a number from {from} to {to}");
            Err(layers.fault(&format!("limits.{name}"), problem))
        };
        let size = |name: &str, value, max| {
            within(name, value, 1..=max).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
        };
        let per_attempt = self.claims_per_attempt_max;
        let per_attempt = within("claims_per_attempt_max", per_attempt, 1..=1024)?;
        Ok(Limits {
            allocations_max: size("allocations_max", self.allocations_max, 1_000_000)?,
            groups_max: size("groups_max", self.groups_max, 64)?,
            subscribers_max: size("subscribers_max", self.subscribers_max, 1024)?,
            fences_max: size("fences_max", self.fences_max, 65_536)?,
            delta_log_max: size("delta_log_max", self.delta_log_max, 65_536)?,
            claims_open_max: within("claims_open_max", self.claims_open_max, 1..=4096)?,
            nodes_max: size("nodes_max", self.nodes_max, 1_000_000)?,
            attempts_pending_max: size(
                "attempts_pending_max",
                self.attempts_pending_max,
                1_000_000,
            )?,
            claims_per_attempt_max: u32::try_from(per_attempt).expect("up to 1024"),
            ..usual
        })
    }
}

impl IntervalSettings {
    /// What holds where nothing is said.
    pub fn defaults() -> Self {
        let usual = Intervals::default();
        IntervalSettings {
            announce: Some(Interval(usual.announce)),
            beat: Some(Interval(usual.beat)),
            lapse: Some(Interval(usual.lapse)),
            silence: Some(Interval(usual.silence)),
            resend: Some(Interval(usual.resend)),
        }
    }

    fn intervals(&self, layers: &Layers) -> Result<Intervals, SettingsError> {
        let within = |name: &str, value: Option<Interval>, range: RangeInclusive<Duration>| {
            let value = value.expect("it has a default");
            if range.contains(&value.0) {
                return Ok(value.0);
            }
            let (from, to) = (Interval(*range.start()), Interval(*range.end()));
            let problem = format!("{value} is not from {from} to {to}");
            Err(layers.fault(&format!("intervals.{name}"), problem))
        };
        let (milli, second) = (Duration::from_millis(1), Duration::from_secs(1));
        let resend = within("resend", self.resend, milli..=10 * second)?;
        let beat = within("beat", self.beat, 10 * milli..=60 * second)?;
        let announce = within("announce", self.announce, Duration::ZERO..=second)?;
        let lapse = within("lapse", self.lapse, second..=86_400 * second)?;
        let silence = within("silence", self.silence, 20 * milli..=3600 * second)?;
        // Of two that do not go together it is the one that somebody said.
        let said = |name: &str| layers.says(&format!("intervals.{name}"));
        let fault = |one: &str, other: &str, problem: String| {
            let name = if said(one) || !said(other) { one } else { other };
            Err(layers.fault(&format!("intervals.{name}"), problem))
        };
        let [announced, beats, lapses, silent, resent] =
            [announce, beat, lapse, silence, resend].map(Interval);
        if announce > beat {
            let problem = format!("announce, {announced}, must not be longer than beat, {beats}");
            return fault("announce", "beat", problem);
        }
        if lapse < 10 * resend {
            let problem = format!("lapse, {lapses}, must be at least ten times resend, {resent}");
            return fault("lapse", "resend", problem);
        }
        if silence < 2 * beat {
            let problem = format!("silence, {silent}, must be at least twice beat, {beats}");
            return fault("silence", "beat", problem);
        }
        Ok(Intervals { announce, beat, lapse, silence, resend, ..Intervals::default() })
    }
}

/// Limits and intervals, with all rules in force.
///
/// # Errors
/// If one makes no sense.
pub(super) fn config(
    limits: &LimitSettings,
    intervals: &IntervalSettings,
    layers: &Layers,
) -> Result<Config, SettingsError> {
    let (limits, intervals) = (limits.limits(layers)?, intervals.intervals(layers)?);
    Ok(Config { limits, intervals, ..Config::default() })
}
