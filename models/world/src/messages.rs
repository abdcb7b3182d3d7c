//! What became of every message of a run.
//!
//! A state counts equal datagrams and names none. Messages get their identity afterwards, by
//! following the run: what a step added to the network was sent by it, and of equal datagrams the
//! one that was sent first is the first to arrive or to be lost. More equal datagrams in flight
//! than the network tells apart are one message.

use crate::changes::{brief, label};
use crate::cluster::{Action, Cluster, Mail};
use crate::itf;
use crate::network::Flight;
use crate::protocol::Protocol;
use crate::shared::Shared;
use counterfoil_protocol::Actor;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// A datagram or letter of a run, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Counts the messages of a run in the order of sending, from 1.
    pub number: usize,
    /// Who sent it.
    pub src: Actor,
    /// To whom.
    pub dst: Actor,
    /// What it is, in one or two words.
    pub label: String,
    /// What it says.
    pub text: String,
    /// The step that sent it; 0 if it was in flight at the start.
    pub sent: usize,
    /// The steps at which a copy of it arrived.
    pub copies: Vec<usize>,
    /// What became of it.
    pub fate: Fate,
    /// Messages between the same two, sent earlier, that had not arrived when it did.
    pub overtook: Vec<usize>,
    /// The first message that overtook it.
    pub overtaken_by: Option<usize>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is in flight at the end.
    InFlight,
    /// It arrived at this step.
    Delivered(usize),
    /// It was lost at this step.
    Lost(usize),
    /// At this step the life that it was for was over, or its connection broke.
    Dropped(usize),
    /// From this step on it could change nothing any more, and the world forgot it.
    Spent(usize),
}

impl Message {
    /// Its name in diagrams.
    pub fn name(&self) -> String {
        name(self.number)
    }

    /// The step at which it was over.
    fn end(&self) -> Option<usize> {
        match self.fate {
            // One without effect is still under way.
            Fate::InFlight | Fate::Spent(_) => None,
            Fate::Delivered(step) | Fate::Lost(step) | Fate::Dropped(step) => Some(step),
        }
    }

    /// The steps at which it or a copy of it arrived.
    pub fn arrivals(&self) -> impl Iterator<Item = usize> {
        let delivered = match self.fate {
            Fate::Delivered(step) => Some(step),
            Fate::InFlight | Fate::Lost(_) | Fate::Dropped(_) | Fate::Spent(_) => None,
        };
        self.copies.iter().copied().chain(delivered)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} → {}: ", self.name(), self.label, self.src, self.dst)?;
        match self.sent {
            0 => write!(f, "in flight at the start")?,
            step => write!(f, "sent at step {step}")?,
        }
        let copies = |at: usize| format!(", a copy arrived at step {at}");
        let mut events: Vec<(usize, String)> =
            self.copies.iter().map(|step| (*step, copies(*step))).collect();
        events.push(match self.fate {
            Fate::InFlight => (usize::MAX, ", still in flight".to_owned()),
            Fate::Delivered(step) => (step, format!(", arrived at step {step}")),
            Fate::Lost(step) => (step, format!(", lost at step {step}")),
            Fate::Dropped(step) => (step, format!(", nobody left to have it at step {step}")),
            Fate::Spent(step) => (step, format!(", without effect from step {step} on")),
        });
        events.sort_by_key(|(step, _)| *step);
        events.iter().try_for_each(|(_, event)| f.write_str(event))?;
        if let Some(by) = self.overtaken_by {
            write!(f, ", overtaken by {}", name(by))?;
        }
        Ok(())
    }
}

/// The name of a message in diagrams.
pub fn name(number: usize) -> String {
    format!("m{number}")
}

/// What happened at a step, with the name of the message that it happened to.
pub fn named(messages: &[Message], step: usize, action: &str) -> String {
    let met = |message: &&Message| {
        message.copies.contains(&step)
            || matches!(message.fate, Fate::Delivered(at) | Fate::Lost(at) if at == step)
    };
    let mut all = messages.iter().filter(met);
    match (all.next(), all.next()) {
        (Some(one), None) => {
            let is_copy = one.copies.contains(&step) && !action.starts_with("a copy");
            let copy = if is_copy { "a copy of " } else { "" };
            action.replacen(&one.label, &format!("{copy}{} {}", one.label, one.name()), 1)
        }
        (_, _) => action.to_owned(),
    }
}

/// Every message of the run through `states` by `steps`, in the order of sending.
pub fn follow<P: Protocol>(states: &[Cluster<P>], steps: &[Action<P>]) -> Vec<Message> {
    let mut log = Log { messages: Vec::new(), contents: Vec::new(), flying: Vec::new() };
    if let Some(initial) = states.first() {
        log.settle(None, initial, 0);
    }
    for (index, (pair, action)) in states.windows(2).zip(steps).enumerate() {
        log.take(&pair[0], action, index + 1);
        log.settle(Some(&pair[0]), &pair[1], index + 1);
    }
    note_overtaking(&mut log.messages);
    log.messages
}

/// What is under way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Content<P: Protocol> {
    Datagram(Shared<P::Datagram>),
    Mail(Mail<P>),
}

impl<P: Protocol> Content<P> {
    fn ends(&self) -> (Actor, Actor) {
        match self {
            Content::Datagram(datagram) => {
                (P::source(datagram).actor, P::destination(datagram).actor)
            }
            Content::Mail(mail) => (mail.from.actor, mail.to.actor),
        }
    }

    /// What it is, and what it says.
    fn words(&self) -> (String, String) {
        let value = match self {
            Content::Datagram(datagram) => itf::value(&**datagram),
            Content::Mail(Mail { letter: Some(letter), .. }) => itf::value(letter),
            Content::Mail(Mail { letter: None, .. }) => {
                return ("broken connection".to_owned(), "the connection broke".to_owned());
            }
        };
        let value = value.expect("what can be hashed has no floats");
        let text = value.get("body").map_or_else(|| brief(&value), brief);
        (label(&value), text)
    }
}

/// The messages so far.
struct Log<P: Protocol> {
    messages: Vec<Message>,
    /// By message: what it carries.
    contents: Vec<Content<P>>,
    /// The messages in flight, the first sent first.
    flying: Vec<usize>,
}

impl<P: Protocol> Log<P> {
    /// Notes what the action itself does to what is under way.
    fn take(&mut self, before: &Cluster<P>, action: &Action<P>, step: usize) {
        match action {
            Action::Deliver(datagram) => {
                let content = Content::Datagram(datagram.clone());
                match before.network.flight(datagram) {
                    Some(Flight::Delivered) => self.copy(&content, step),
                    Some(Flight::InFlight(_)) | None => {
                        self.close(&content, Fate::Delivered(step));
                    }
                }
            }
            Action::Copy(datagram) => self.copy(&Content::Datagram(datagram.clone()), step),
            Action::Lose(datagram) => {
                self.close(&Content::Datagram(datagram.clone()), Fate::Lost(step));
            }
            Action::LoseAll => {
                let is_datagram = |m: &usize| matches!(self.contents[*m], Content::Datagram(_));
                let lost: Vec<usize> = self.flying.iter().copied().filter(is_datagram).collect();
                lost.iter().for_each(|message| self.messages[*message].fate = Fate::Lost(step));
                self.flying.retain(|message| !lost.contains(message));
            }
            Action::Mail(mail) => {
                self.close(&Content::Mail(mail.clone()), Fate::Delivered(step));
            }
            Action::Torn(inner, _) => self.take(before, inner, step),
            Action::Fire(..)
            | Action::Pick(..)
            | Action::Tell(..)
            | Action::Outside(..)
            | Action::Restart(_)
            | Action::Die(_)
            | Action::Twin(_)
            | Action::Disconnect(..) => {}
        }
    }

    /// Notes what came and went beside.
    fn settle(&mut self, before: Option<&Cluster<P>>, after: &Cluster<P>, step: usize) {
        let mut contents = BTreeSet::new();
        for cluster in before.into_iter().chain([after]) {
            let datagrams = cluster.network.iter().map(|(d, _)| Content::Datagram(d.clone()));
            contents.extend(datagrams);
            contents.extend(cluster.mail.iter().cloned().map(Content::Mail));
        }
        for content in contents {
            let is = count(after, &content);
            let mut was = self.flying.iter().filter(|m| self.contents[**m] == content).count();
            while was > is {
                self.close(
                    &content,
                    if is_for_someone(after, &content) {
                        Fate::Spent(step)
                    } else {
                        Fate::Dropped(step)
                    },
                );
                was -= 1;
            }
            while was < is {
                self.open(content.clone(), step);
                was += 1;
            }
        }
    }

    fn open(&mut self, content: Content<P>, step: usize) {
        let (src, dst) = content.ends();
        let (label, text) = content.words();
        self.flying.push(self.messages.len());
        self.messages.push(Message {
            number: self.messages.len() + 1,
            src,
            dst,
            label,
            text,
            sent: step,
            copies: Vec::new(),
            fate: Fate::InFlight,
            overtook: Vec::new(),
            overtaken_by: None,
        });
        self.contents.push(content);
    }

    fn close(&mut self, content: &Content<P>, fate: Fate) {
        let first = self.flying.iter().position(|message| self.contents[*message] == *content);
        if let Some(position) = first {
            self.messages[self.flying.remove(position)].fate = fate;
        }
    }

    /// A copy of the last message that carries this arrives.
    fn copy(&mut self, content: &Content<P>, step: usize) {
        if let Some(message) = self.contents.iter().rposition(|known| known == content) {
            self.messages[message].copies.push(step);
        }
    }
}

/// Whether a datagram still has a receiver. A letter that is gone never has: its connection broke.
fn is_for_someone<P: Protocol>(cluster: &Cluster<P>, content: &Content<P>) -> bool {
    match content {
        Content::Datagram(datagram) => cluster.receiver(P::destination(datagram)).is_some(),
        Content::Mail(_) => false,
    }
}

/// How many messages with this content are in flight.
fn count<P: Protocol>(cluster: &Cluster<P>, content: &Content<P>) -> usize {
    match content {
        Content::Datagram(datagram) => match cluster.network.flight(datagram) {
            Some(Flight::InFlight(count)) => usize::from(count),
            Some(Flight::Delivered) | None => 0,
        },
        Content::Mail(mail) => usize::from(cluster.mail.contains(mail)),
    }
}

fn note_overtaking(messages: &mut [Message]) {
    for late in 0..messages.len() {
        for early in late + 1..messages.len() {
            let (first, second) = (&messages[late], &messages[early]);
            let same_way = first.src == second.src && first.dst == second.dst;
            let Some(arrival) = second.arrivals().min() else { continue };
            let had_arrived = first.copies.iter().any(|copy| *copy < arrival);
            let waited = first.end().is_none_or(|end| end > arrival) && !had_arrived;
            if same_way && first.sent < second.sent && waited {
                let (first, second) = (first.number, second.number);
                messages[early].overtook.push(first);
                messages[late].overtaken_by.get_or_insert(second);
            }
        }
    }
}
