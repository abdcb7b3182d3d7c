//! A run as a graph for Graphviz: time goes down, every actor has a column, a message is an arrow.
//! The line says what became of it, as in the diagram of `trace view`: dashed is in flight at the
//! end, a dot at the end of a thin line is lost, bold is a copy.

use super::events::{Event, Host, events};
use counterfoil_world::messages::{Fate, Message};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Replay, Trace};
use std::collections::BTreeMap;
use std::fmt::Write;

pub(super) fn dot<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let events = events(trace, replay);
    let title = format!("{}: {}", trace.property, trace.statement());
    let mut graph = String::new();
    let _ = writeln!(graph, "digraph {} {{", quoted(&trace.scenario.name));
    let _ = writeln!(graph, "  label={}; labelloc=t; newrank=true;", quoted(&title));
    let _ = writeln!(graph, "  node [shape=box, fontsize=10]; edge [fontsize=9];");
    for actor in replay.actors() {
        column(&mut graph, &events, Host::Actor(actor));
    }
    for (index, event) in events.iter().enumerate() {
        if event.host == Host::Network {
            let what = quoted(&event.what);
            let _ = writeln!(graph, "  e{index} [shape=point, xlabel={what}];");
        }
    }
    ranks(&mut graph, &events);
    arrows(&mut graph, &events);
    graph.push_str("}\n");
    graph
}

/// The events of one actor, one below the other.
fn column(graph: &mut String, events: &[Event], host: Host) {
    let _ = writeln!(graph, "  subgraph {} {{", quoted(&format!("cluster_{host}")));
    let _ = writeln!(graph, "    label={}; color=grey;", quoted(&host.to_string()));
    let own = events.iter().enumerate().filter(|(_, event)| event.host == host);
    let mut names = Vec::new();
    for (index, event) in own {
        let what = quoted(&format!("{} {}", event.step, event.what));
        let violated =
            if event.violated { ", color=\"#d55e00\", penwidth=3, peripheries=2" } else { "" };
        let _ = writeln!(graph, "    e{index} [label={what}{violated}];");
        names.push(format!("e{index}"));
    }
    if names.len() > 1 {
        let lane = names.join(" -> ");
        let _ = writeln!(graph, "    {lane} [arrowhead=none, color=grey, weight=9];");
    }
    graph.push_str("  }\n");
}

/// Events of one step stand side by side, and steps below each other.
fn ranks(graph: &mut String, events: &[Event]) {
    let mut steps: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        steps.entry(event.step).or_default().push(format!("e{index}"));
    }
    for same in steps.values() {
        let _ = writeln!(graph, "  {{ rank=same; {}; }}", same.join("; "));
    }
    let first: Vec<&str> = steps.values().filter_map(|same| Some(same.first()?.as_str())).collect();
    if first.len() > 1 {
        let _ = writeln!(graph, "  {} [style=invis];", first.join(" -> "));
    }
}

fn arrows(graph: &mut String, events: &[Event]) {
    let senders = events
        .iter()
        .enumerate()
        .flat_map(|(index, event)| event.sent.iter().map(move |message| (message.number, index)));
    let senders: BTreeMap<usize, usize> = senders.collect();
    for (index, event) in events.iter().enumerate() {
        for message in &event.received {
            let Some(sender) = senders.get(&message.number) else { continue };
            let label = quoted(&format!("{} {}", message.name(), message.label));
            let line = line(message, event);
            let _ = writeln!(graph, "  e{sender} -> e{index} [label={label}, {line}];");
        }
    }
}

fn line(message: &Message, event: &Event) -> &'static str {
    let copy = message.copies.contains(&event.step) && event.host != Host::Network;
    match message.fate {
        _ if copy => "style=bold, color=\"#cc79a7\", constraint=false",
        Fate::Delivered(_) if !message.overtook.is_empty() => "color=\"#e69f00\", constraint=false",
        Fate::Delivered(_) => "color=\"#0072b2\", constraint=false",
        Fate::Lost(_) | Fate::Dropped(_) => "color=\"#d55e00\", arrowhead=dot, constraint=false",
        Fate::InFlight | Fate::Spent(_) => "style=dashed, arrowhead=empty, constraint=false",
    }
}

/// A text as a name or label.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
