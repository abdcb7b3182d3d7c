//! What could happen in every state of a run, and what it would lead to.

use super::{Sort, sort};
use counterfoil_world::changes::{brief, label};
use counterfoil_world::choices::{Judge, Leads};
use counterfoil_world::messages::{Fate, Message};
use counterfoil_world::replay::describe;
use counterfoil_world::{Action, Cluster, Protocol, Replay, Trace, itf};
use serde::Serialize;
use std::collections::HashMap;

/// Where more than these could happen in a run, only the next step of each is looked at.
const JUDGED_MAX: usize = 1_500;

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
pub(super) fn choices<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> Vec<Choice> {
    let mut found: Vec<Choice> = Vec::new();
    let mut places: HashMap<(String, Sort), usize> = HashMap::new();
    let mut words = Words::of(replay);
    let enabled: Vec<Vec<Action<P>>> =
        replay.states.iter().map(|state| replay.world.enabled(state)).collect();
    let few = enabled.iter().map(Vec::len).sum::<usize>() <= JUDGED_MAX;
    let mut judge = Judge::new(&replay.world, &trace.property).filter(|_| few);
    for (index, (state, enabled)) in replay.states.iter().zip(&enabled).enumerate() {
        let mut again: HashMap<String, usize> = HashMap::new();
        for action in enabled {
            let leads = match &mut judge {
                Some(judge) => judge.leads(state, action),
                None => next(trace, replay, state, action),
            };
            let mut what = words.say(index, action);
            // What cannot be told apart in words is counted.
            let times = again.entry(what.clone()).or_default();
            *times += 1;
            if *times > 1 {
                what += &format!(" ({times})");
            }
            let sort = sort(action, replay.world.is_fair(state, action));
            let place = *places.entry((what.clone(), sort)).or_insert_with(|| {
                found.push(Choice { what, sort, spans: Vec::new(), taken: Vec::new() });
                found.len() - 1
            });
            let choice = &mut found[place];
            match choice.spans.last_mut() {
                Some((_, last, same)) if *last + 1 == index && *same == leads => *last = index,
                Some(_) | None => choice.spans.push((index, index, leads)),
            }
            if trace.steps.get(index) == Some(action) && index < replay.steps.len() {
                choice.taken.push(index);
            }
        }
    }
    found
}

/// What an action leads to, as far as the next step tells.
fn next<P: Protocol>(
    trace: &Trace<P>,
    replay: &Replay<P>,
    state: &Cluster<P>,
    action: &Action<P>,
) -> Leads {
    let index = P::safety().iter().position(|property| property.name == trace.property);
    let violated =
        |state: &Cluster<P>| index.is_some_and(|index| state.violated.contains_key(&index));
    let leads = violated(state) || violated(&replay.world.apply(state, action));
    if leads { Leads::Violates } else { Leads::Unknown }
}

/// What is said of an action, whenever that is.
#[derive(Clone)]
struct Said {
    /// In one clause.
    clause: String,
    /// If it happens to a message: what that is.
    label: String,
    /// The messages that it could happen to.
    messages: Vec<usize>,
}

/// The words for actions, with the names of the messages that they happen to.
struct Words<'a, P: Protocol> {
    replay: &'a Replay<P>,
    /// By what they are and say: the messages of the run.
    messages: HashMap<(&'a str, &'a str), Vec<usize>>,
    known: HashMap<Action<P>, Said>,
}

impl<'a, P: Protocol> Words<'a, P> {
    fn of(replay: &'a Replay<P>) -> Self {
        let mut messages: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (index, message) in replay.messages.iter().enumerate() {
            messages.entry((&message.label, &message.text)).or_default().push(index);
        }
        Words { replay, messages, known: HashMap::new() }
    }

    /// What would happen after so many steps.
    fn say(&mut self, state: usize, action: &Action<P>) -> String {
        if !self.known.contains_key(action) {
            let said = self.look(action);
            self.known.insert(action.clone(), said);
        }
        let Said { clause, label, messages } = &self.known[action];
        let under_way = |index: &&usize| is_under_way(&self.replay.messages[**index], state);
        match messages.iter().find(under_way) {
            Some(index) => {
                let name = self.replay.messages[*index].name();
                clause.replacen(label, &format!("{label} {name}"), 1)
            }
            None => clause.clone(),
        }
    }

    fn look(&self, action: &Action<P>) -> Said {
        let clause = describe(&self.replay.world, action);
        let parts = match action {
            Action::Deliver(datagram) | Action::Copy(datagram) | Action::Lose(datagram) => {
                let value = itf::value(&**datagram).ok();
                value.map(|value| {
                    (label(&value), value.get("body").map_or_else(|| brief(&value), brief))
                })
            }
            Action::Mail(mail) => {
                let value = mail.letter.as_ref().and_then(|letter| itf::value(letter).ok());
                value.map(|value| (label(&value), brief(&value)))
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
            | Action::Disconnect(..) => None,
        };
        let Some((label, text)) = parts else {
            return Said { clause, label: String::new(), messages: Vec::new() };
        };
        let alike = self.messages.get(&(label.as_str(), text.as_str())).cloned();
        let goes_so = |index: &usize| {
            let message = &self.replay.messages[*index];
            let ends = [message.src, message.dst].map(|actor| actor.to_string());
            ends.iter().all(|end| clause.split([' ', ',']).any(|word| word == end))
        };
        let messages = alike.unwrap_or_default().into_iter().filter(goes_so).collect();
        Said { clause, label, messages }
    }
}

/// Whether a message is in flight after so many steps.
fn is_under_way(message: &Message, state: usize) -> bool {
    let is_over = match message.fate {
        Fate::Delivered(at) | Fate::Lost(at) | Fate::Dropped(at) | Fate::Spent(at) => at <= state,
        Fate::InFlight => false,
    };
    message.sent <= state && !is_over
}
