//! A run as plain JSON: what `trace view` shows, for programs.

use counterfoil_world::changes::{brief, way};
use counterfoil_world::explain::why;
use counterfoil_world::messages::{Fate, Message};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Outcome, Replay, Trace};
use serde_json::{Value, json};

pub(super) fn json<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let scenario = &trace.scenario;
    let without: Vec<&str> = scenario.without.iter().map(|rule| rule.name()).collect();
    let actors: Vec<String> = replay.actors().iter().map(ToString::to_string).collect();
    let why: Vec<String> = why(trace, replay).lines().map(str::to_owned).collect();
    let (outcome, violated_at, clause) = match &replay.outcome {
        Outcome::Violated { step, violation } => {
            ("violated", Some(*step), Some(violation.clause.to_string()))
        }
        Outcome::Holds { .. } => ("holds", None, None),
        Outcome::Diverged(_) => ("diverged", None, None),
    };
    let run = json!({
        "scenario": scenario.name,
        "question": scenario.question,
        "bounds": scenario.bounds(),
        "without": without,
        "property": trace.property,
        "statement": trace.statement(),
        "kind": trace.kind,
        "expect": trace.expect,
        "outcome": outcome,
        "violated_at": violated_at,
        "clause": clause,
        "back_to": trace.back_to,
        "actors": actors,
        "steps": (1..=replay.steps.len()).map(|at| step(replay, at)).collect::<Vec<_>>(),
        "messages": replay.messages.iter().map(message).collect::<Vec<_>>(),
        "why": why,
        "command": trace.command,
    });
    format!("{run:#}\n")
}

fn step<P: Protocol>(replay: &Replay<P>, at: usize) -> Value {
    let taken = &replay.steps[at - 1];
    let changes: Vec<Value> = taken
        .changes
        .iter()
        .map(|change| {
            json!({
                "at": way(&change.path),
                "before": change.before.as_ref().map(brief),
                "after": change.after.as_ref().map(brief),
            })
        })
        .collect();
    let names = |of: &dyn Fn(&Message) -> bool| -> Vec<String> {
        replay.messages.iter().filter(|message| of(message)).map(Message::name).collect()
    };
    json!({
        "step": at,
        "action": taken.action,
        "actor": taken.actor.map(|actor| actor.to_string()),
        "decisions": taken.decisions,
        "changes": changes,
        "sent": names(&|message| message.sent == at),
        "received": names(&|message| message.arrivals().any(|arrival| arrival == at)),
    })
}

fn message(message: &Message) -> Value {
    let (fate, over) = match message.fate {
        Fate::InFlight => ("in_flight", None),
        Fate::Delivered(step) => ("delivered", Some(step)),
        Fate::Lost(step) => ("lost", Some(step)),
        Fate::Dropped(step) => ("dropped", Some(step)),
        Fate::Spent(step) => ("without_effect", Some(step)),
    };
    json!({
        "name": message.name(),
        "src": message.src.to_string(),
        "dst": message.dst.to_string(),
        "what": message.label,
        "says": message.text,
        "sent": message.sent,
        "copies": message.copies,
        "fate": fate,
        "at": over,
        "overtaken_by": message.overtaken_by,
    })
}
