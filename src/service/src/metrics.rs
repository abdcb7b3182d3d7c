//! What a process counts, as Prometheus reads it: the text exposition format, version 0.0.4.
//!
//! Names end in their unit, or in `_total` for what only grows. Counts are since the start of the
//! process; gauges are as of at most about half a second ago. `docs/metrics.md` lists all of them.

mod listener;

pub use listener::serve;

use crate::meters::{Direction, Distribution, Gauge, Meters};
use std::fmt::{Display, Write};

/// The media type of what [`render`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Nanoseconds of a second.
const NANOS: f64 = 1e9;

/// What `meters` has counted.
pub fn render(meters: &Meters) -> String {
    let mut text = Exposition::default();
    traffic(meters, &mut text);
    decisions(meters, &mut text);
    work(meters, &mut text);
    there_is(meters, &mut text);
    text.text
}

fn traffic(meters: &Meters, text: &mut Exposition) {
    let both = || Direction::ALL.into_iter().map(|way| (way, way.name()));
    text.family("counterfoil_packets_total", "counter", "UDP packets.");
    for (way, direction) in both() {
        text.sample(&[("direction", direction)], meters.packets(way));
    }
    text.family("counterfoil_packet_bytes_total", "counter", "Bytes of UDP packets.");
    for (way, direction) in both() {
        text.sample(&[("direction", direction)], meters.bytes(way));
    }
    text.family("counterfoil_messages_total", "counter", "Messages, several to a packet.");
    for (way, direction) in both() {
        for (kind, count) in meters.messages(way) {
            text.sample(&[("direction", direction), ("kind", kind)], count);
        }
    }
    let help = "Packets and messages that were dropped.";
    text.family("counterfoil_dropped_total", "counter", help);
    for (reason, count) in meters.drops() {
        text.sample(&[("reason", reason)], count);
    }
}

fn decisions(meters: &Meters, text: &mut Exposition) {
    let help = "Calls that a scheduler answered.";
    text.family("counterfoil_placements_total", "counter", help);
    for (outcome, count) in meters.placements() {
        text.sample(&[("outcome", outcome)], count);
    }
    let help = "Verdicts that refused a claim, copies too: out of nodes, in to schedulers.";
    text.family("counterfoil_refusals_total", "counter", help);
    for way in Direction::ALL {
        for (reason, count) in meters.refusals(way) {
            text.sample(&[("direction", way.name()), ("reason", reason)], count);
        }
    }
    let help = "How long ago the node that a scheduler chose was last heard.";
    text.histogram("counterfoil_view_age_seconds", help, &meters.staleness(), NANOS);
    let help = "Decisions of the machines, by which way each went.";
    text.family("counterfoil_notices_total", "counter", help);
    for (notice, count) in meters.notices() {
        let (decision, notice) = (notice.guard().name(), format!("{notice:?}"));
        text.sample(&[("decision", decision), ("notice", &notice)], count);
    }
    let help = "Steps that violated a property. Any but 0 is a defect.";
    text.family("counterfoil_violations_total", "counter", help);
    for (property, count) in meters.violations() {
        text.sample(&[("property", property.name())], count);
    }
}

fn work(meters: &Meters, text: &mut Exposition) {
    let help = "Inputs that one turn of the driver took; turns without any are left out.";
    text.histogram("counterfoil_turn_inputs", help, &meters.turn_inputs(), 1.0);
    let help = "How long a turn with inputs took, commit and sends included.";
    text.histogram("counterfoil_turn_seconds", help, &meters.turns(), NANOS);
    let help = "How long a commit to disk took; one serves all records of a turn.";
    text.histogram("counterfoil_commit_seconds", help, &meters.commits(), NANOS);
    text.family("counterfoil_committed_records_total", "counter", "Records committed to disk.");
    text.sample(&[], meters.records());
    text.family("counterfoil_recorded_bytes_total", "counter", "Bytes added to recordings.");
    text.sample(&[], meters.recorded_bytes());
}

fn there_is(meters: &Meters, text: &mut Exposition) {
    let alone = [
        (
            "counterfoil_events_waiting",
            Gauge::EventsWaiting,
            "What a scheduler was told by its API and has not yet taken in.",
        ),
        (
            "counterfoil_attempts_pending",
            Gauge::AttemptsPending,
            "Calls that a scheduler works on.",
        ),
        ("counterfoil_timers_set", Gauge::TimersSet, "Timers that are set."),
        (
            "counterfoil_allocations",
            Gauge::Allocations,
            "Allocations on the nodes of a process, held and confirmed.",
        ),
    ];
    for (name, gauge, help) in alone {
        text.family(name, "gauge", help);
        text.sample(&[], meters.gauge(gauge));
    }
    text.family("counterfoil_nodes", "gauge", "Nodes that a scheduler knows.");
    let by_presence = [
        ("present", Gauge::NodesPresent),
        ("suspected", Gauge::NodesSuspected),
        ("departed", Gauge::NodesDeparted),
    ];
    for (presence, gauge) in by_presence {
        text.sample(&[("presence", presence)], meters.gauge(gauge));
    }
    text.family("counterfoil_build_info", "gauge", "Always 1; its label says what is running.");
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
}

/// The text so far. A sample belongs to the family that was begun last.
#[derive(Default)]
struct Exposition {
    text: String,
    family: &'static str,
}

impl Exposition {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        self.family = name;
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.sample_of(self.family, labels, value);
    }

    fn sample_of(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let escape =
            |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{}}} {value}", labels.join(",")));
        }
    }

    /// A family whose values were counted as `per_unit` to its unit.
    fn histogram(&mut self, name: &'static str, help: &str, seen: &Distribution, per_unit: f64) {
        self.family(name, "histogram", help);
        let (bucket, unit) = (format!("{name}_bucket"), |value: u64| value as f64 / per_unit);
        for (bound, count) in &seen.at_most {
            self.sample_of(&bucket, &[("le", &unit(*bound).to_string())], count);
        }
        self.sample_of(&bucket, &[("le", "+Inf")], seen.count);
        self.sample_of(&format!("{name}_sum"), &[], unit(seen.sum));
        self.sample_of(&format!("{name}_count"), &[], seen.count);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests;
