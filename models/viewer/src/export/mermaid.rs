//! A run as a sequence diagram of Mermaid. Its arrows take no time, so a message stands where it
//! arrives, and says when it was sent: `->>` it arrived, `-->>` a copy of it arrived, `-x` it was lost
//! or nobody was left to have it, `--)` it is in flight at the end.

use counterfoil_protocol::Actor;
use counterfoil_world::messages::{Fate, Message, name};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Kind, Outcome, Replay, Trace};
use std::fmt::Write;

pub(super) fn mermaid<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let mut text = String::new();
    let actors = replay.actors();
    let title = plain(&format!("{}: {}", trace.property, trace.statement()));
    let _ = writeln!(text, "sequenceDiagram\n  title {title}");
    for actor in &actors {
        let role = match actor {
            Actor::Client(_) => "client",
            Actor::Scheduler(_) => "scheduler",
            Actor::Node(_) => "node",
        };
        let _ = writeln!(text, "  participant {actor} as {role} {actor}");
    }
    let (Some(first), Some(last)) = (actors.first(), actors.last()) else { return text };
    let loops = trace.back_to.filter(|start| {
        trace.kind == Kind::Liveness && *start < replay.steps.len() && is_violated(replay)
    });
    for step in 1..=replay.steps.len() {
        if loops == Some(step - 1) {
            text.push_str("  loop from here on again and again\n");
        }
        write_step(&mut text, replay, step, (*first, *last));
        if let Outcome::Violated { step: at, violation } = &replay.outcome
            && (*at, trace.kind) == (step, Kind::Safety)
        {
            let clause = plain(&format!("{} is violated: {}", trace.property, violation.clause));
            let _ = writeln!(text, "  Note over {first},{last}: ✗ {clause}");
        }
    }
    if loops.is_some() {
        text.push_str("  end\n");
    }
    for message in &replay.messages {
        if let Fate::InFlight | Fate::Spent(_) = message.fate {
            write_arrow(&mut text, message, "--)", "still in flight");
        }
    }
    if let (Outcome::Violated { violation, .. }, Kind::Liveness) = (&replay.outcome, trace.kind) {
        let clause = plain(&format!("{} is violated: {}", trace.property, violation.clause));
        let _ = writeln!(text, "  Note over {first},{last}: ✗ {clause}");
    }
    text
}

fn is_violated<P: Protocol>(replay: &Replay<P>) -> bool {
    matches!(replay.outcome, Outcome::Violated { .. })
}

/// What arrives or ends with a step, and then what happens, over whom it happens.
fn write_step<P: Protocol>(
    text: &mut String,
    replay: &Replay<P>,
    step: usize,
    (first, last): (Actor, Actor),
) {
    for message in &replay.messages {
        if message.copies.contains(&step) {
            write_arrow(text, message, "-->>", "a copy");
        }
        match message.fate {
            Fate::Delivered(at) if at == step => {
                let overtook: Vec<String> = message.overtook.iter().map(|m| name(*m)).collect();
                let overtakes = format!("overtakes {}", overtook.join(" "));
                let what = if overtook.is_empty() { "" } else { overtakes.as_str() };
                write_arrow(text, message, "->>", what);
            }
            Fate::Lost(at) if at == step => write_arrow(text, message, "-x", "lost"),
            Fate::Dropped(at) if at == step => {
                write_arrow(text, message, "-x", "nobody is left to have it");
            }
            Fate::Delivered(_)
            | Fate::Lost(_)
            | Fate::Dropped(_)
            | Fate::InFlight
            | Fate::Spent(_) => {}
        }
    }
    let taken = &replay.steps[step - 1];
    let mut what = format!("{step}: {}", taken.action);
    if !taken.decisions.is_empty() {
        what += &format!(": {}", taken.decisions.join(", "));
    }
    let over = match taken.actor {
        Some(actor) => actor.to_string(),
        None => format!("{first},{last}"),
    };
    let _ = writeln!(text, "  Note over {over}: {}", plain(&what));
}

fn write_arrow(text: &mut String, message: &Message, line: &str, what: &str) {
    let sent = match message.sent {
        0 => "in flight at the start".to_owned(),
        step => format!("sent at {step}"),
    };
    let what = if what.is_empty() { sent } else { format!("{what}, {sent}") };
    let (src, dst, name, label) = (message.src, message.dst, message.name(), &message.label);
    let words = plain(&format!("{name} {label} ({what})"));
    let _ = writeln!(text, "  {src}{line}{dst}: {words}");
}

/// The text without what has a meaning to Mermaid.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        match letter {
            '#' => plain.push_str("#35;"),
            ';' => plain.push_str("#59;"),
            '<' => plain.push_str("#lt;"),
            '>' => plain.push_str("#gt;"),
            '\n' => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain
}
