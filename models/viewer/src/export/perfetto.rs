//! A run as trace events, in the JSON that Chromium's tracing writes and Perfetto reads: a track for
//! each actor, a slice for each event, an arrow for each message. A step takes a millisecond.

use super::events::{Host, events};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Replay, Trace};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// From the start of a step to the next, in microseconds.
const STEP_US: usize = 1000;

/// How long an event takes.
const EVENT_US: usize = 400;

pub(super) fn perfetto<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let events = events(trace, replay);
    let hosts = replay.actors().into_iter().map(Host::Actor).chain([Host::Network]);
    let tracks: BTreeMap<Host, usize> =
        hosts.enumerate().map(|(index, host)| (host, index + 1)).collect();
    let run = json!({ "name": trace.scenario.name });
    let mut all = vec![json!({ "ph": "M", "name": "process_name", "pid": 1, "args": run })];
    for (host, track) in &tracks {
        let (name, order) = (json!({ "name": host.to_string() }), json!({ "sort_index": track }));
        all.push(json!({ "ph": "M", "name": "thread_name", "pid": 1, "tid": track, "args": name }));
        all.push(json!({
            "ph": "M", "name": "thread_sort_index", "pid": 1, "tid": track, "args": order,
        }));
    }
    // Events of one host at one step stand one after the other.
    let mut busy_until: BTreeMap<Host, usize> = BTreeMap::new();
    for event in &events {
        let track = tracks[&event.host];
        let free = busy_until.get(&event.host).copied().unwrap_or_default();
        let start = (event.step * STEP_US).max(free);
        busy_until.insert(event.host, start + EVENT_US);
        let (step, property) = (event.step, event.violated.then_some(&trace.property));
        all.push(json!({
            "ph": "X", "name": event.what, "cat": "step", "pid": 1, "tid": track, "ts": start,
            "dur": EVENT_US, "args": { "step": step, "violates": property },
        }));
        if event.violated {
            all.push(json!({
                "ph": "i", "name": format!("{} is violated", trace.property), "cat": "violation",
                "pid": 1, "tid": track, "ts": start + EVENT_US / 2, "s": "g",
            }));
        }
        // An arrow ends in the first half of a slice and begins in the second.
        for message in &event.received {
            all.push(arrow("f", message, track, start + EVENT_US / 4));
        }
        for message in &event.sent {
            all.push(arrow("s", message, track, start + EVENT_US * 3 / 4));
        }
    }
    format!("{:#}\n", json!({ "displayTimeUnit": "ms", "traceEvents": all }))
}

/// One end of the arrow of a message.
fn arrow(
    end: &str,
    message: &counterfoil_world::messages::Message,
    track: usize,
    at: usize,
) -> Value {
    json!({
        "ph": end, "name": format!("{} {}", message.name(), message.label), "cat": "message",
        "id": message.number, "bp": "e", "pid": 1, "tid": track, "ts": at,
        "args": { "says": message.text },
    })
}
