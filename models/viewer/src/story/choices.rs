//! What could happen in every state of a run, and what it would lead to.

use super::{Sort, sort};
use counterfoil_world::changes::{brief, label};
use counterfoil_world::choices::{Judge, Leads};
use counterfoil_world::messages::{Fate, Message};
use counterfoil_world::replay::describe;
use counterfoil_world::{Action, Counterfoil, Replay, Trace, itf};
use serde::Serialize;
use std::collections::HashMap;

/// Something that could happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What, in one clause.
    pub what: String,
    /// What it is.
    pub sort: Sort,
    /// From which state to which it could, and what it would lead to.
    pub spans: Vec<(usize, usize, Leads)>,
    /// The states in which it is what happened next.
    pub taken: Vec<usize>,
}

/// Everything that could happen, in the order in which it first could.
pub(super) fn choices(trace: &Trace<Counterfoil>, replay: &Replay<Counterfoil>) -> Vec<Choice> {
    let mut found: Vec<Choice> = Vec::new();
    let mut places: HashMap<(String, Sort), usize> = HashMap::new();
    let Some(mut judge) = Judge::new(&replay.world, &trace.property) else { return found };
    for (index, state) in replay.states.iter().enumerate() {
        let mut again: HashMap<String, usize> = HashMap::new();
        for action in replay.world.enabled(state) {
            let leads = judge.leads(state, &action);
            let mut what = words(replay, index, &action);
            // What cannot be told apart in words is counted.
            let times = again.entry(what.clone()).or_default();
            *times += 1;
            if *times > 1 {
                what += &format!(" ({times})");
            }
            let sort = sort(&action, replay.world.is_fair(state, &action));
            let place = *places.entry((what.clone(), sort)).or_insert_with(|| {
                found.push(Choice { what, sort, spans: Vec::new(), taken: Vec::new() });
                found.len() - 1
            });
            let choice = &mut found[place];
            match choice.spans.last_mut() {
                Some((_, last, same)) if *last + 1 == index && *same == leads => *last = index,
                Some(_) | None => choice.spans.push((index, index, leads)),
            }
            if trace.steps.get(index) == Some(&action) && index < replay.steps.len() {
                choice.taken.push(index);
            }
        }
    }
    found
}

/// What would happen, with the name of the message that it would happen to.
fn words(replay: &Replay<Counterfoil>, state: usize, action: &Action<Counterfoil>) -> String {
    let said = describe(&replay.world, action);
    let (what, text) = match action {
        Action::Deliver(datagram) | Action::Copy(datagram) | Action::Lose(datagram) => {
            let Ok(value) = itf::value(&**datagram) else { return said };
            (label(&value), value.get("body").map_or_else(|| brief(&value), brief))
        }
        Action::Mail(mail) => {
            let Some(Ok(value)) = mail.letter.as_ref().map(itf::value) else { return said };
            (label(&value), brief(&value))
        }
        Action::LoseAll
        | Action::Fire(..)
        | Action::Pick(..)
        | Action::Tell(..)
        | Action::Outside(..)
        | Action::Restart(_)
        | Action::Torn(..)
        | Action::Die(_)
        | Action::Twin(_)
        | Action::Disconnect(..) => return said,
    };
    let is_this = |message: &&Message| {
        let is_over = match message.fate {
            Fate::Delivered(at) | Fate::Lost(at) | Fate::Dropped(at) | Fate::Spent(at) => {
                at <= state
            }
            Fate::InFlight => false,
        };
        let from = format!("{} of {}", message.label, message.src);
        let same = message.label == what && message.text == text && said.contains(&from);
        same && message.sent <= state && !is_over
    };
    match replay.messages.iter().find(is_this) {
        Some(message) => said.replacen(&what, &format!("{what} {}", message.name()), 1),
        None => said,
    }
}
