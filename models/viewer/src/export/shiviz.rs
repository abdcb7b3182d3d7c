//! A run as a log with vector clocks, as ShiViz reads it: two lines for each event, after one line
//! with the expression that takes them apart and an empty one, for there is one run.
//!
//! ShiViz draws arrows from the clocks alone. So what is lost, or in flight at the end, is an event
//! of the host `network`.

use super::events::{Host, events};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Replay, Trace};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How ShiViz takes an event apart.
const EXPRESSION: &str = r"(?<step>\d+) (?<event>.*)\n(?<host>\S*) (?<clock>{.*})";

/// How many events of each host something comes after.
type Clock = BTreeMap<Host, u64>;

pub(super) fn shiviz<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let mut log = format!("{EXPRESSION}\n\n");
    let mut now: BTreeMap<Host, Clock> = BTreeMap::new();
    // What each message says of the past, by its number.
    let mut carried: BTreeMap<usize, Clock> = BTreeMap::new();
    for event in events(trace, replay) {
        let clock = now.entry(event.host).or_default();
        for message in &event.received {
            for (host, count) in carried.get(&message.number).into_iter().flatten() {
                let known = clock.entry(*host).or_default();
                *known = (*known).max(*count);
            }
        }
        *clock.entry(event.host).or_default() += 1;
        for message in &event.sent {
            carried.insert(message.number, clock.clone());
        }
        let clock: Map<String, Value> =
            clock.iter().map(|(host, count)| (host.to_string(), json!(count))).collect();
        let violated =
            if event.violated { format!("  ✗ {}", trace.property) } else { String::new() };
        let (step, words, host) = (event.step, event.words(), event.host);
        log += &format!("{step} {words}{violated}\n{host} {}\n", Value::Object(clock));
    }
    log
}
