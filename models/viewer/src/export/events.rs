//! A run as events of its actors, each with the messages that it received and sent: what other tools
//! draw. A message that reaches nobody is received by the network.

use counterfoil_protocol::Actor;
use counterfoil_world::messages::{Fate, Message};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Kind, Outcome, Replay, Trace};
use std::collections::BTreeSet;
use std::fmt;

/// Who has events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Host {
    /// An actor.
    Actor(Actor),
    /// What is between the actors.
    Network,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Actor(actor) => actor.fmt(f),
            Host::Network => f.write_str("network"),
        }
    }
}

/// Something that happens at one place.
#[derive(Clone, Debug)]
pub(super) struct Event<'a> {
    /// Where.
    pub(super) host: Host,
    /// At which step; 0 is the start, and one more than there are steps is the end.
    pub(super) step: usize,
    /// What.
    pub(super) what: String,
    /// What arrives with it.
    pub(super) received: Vec<&'a Message>,
    /// What it sends.
    pub(super) sent: Vec<&'a Message>,
    /// Whether the property is violated here.
    pub(super) violated: bool,
}

impl Event<'_> {
    /// What happens, and the messages that it sends.
    pub(super) fn words(&self) -> String {
        let sent: Vec<String> = self.sent.iter().map(|message| message.name()).collect();
        let sent =
            if sent.is_empty() { sent.join("") } else { format!("  → {}", sent.join(" ")) };
        format!("{}{sent}", self.what)
    }
}

/// Every event of a run, in the order in which they happen.
pub(super) fn events<'a, P: Protocol>(trace: &Trace<P>, replay: &'a Replay<P>) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    let there = replay.states[0].processes.keys();
    for actor in there.map(|address| address.actor).collect::<BTreeSet<Actor>>() {
        events.push(event(Host::Actor(actor), 0, "is there at the start".to_owned()));
    }
    send(&mut events, replay, 0, "is there at the start");
    for (index, taken) in replay.steps.iter().enumerate() {
        let step = index + 1;
        let mut what = taken.action.clone();
        if !taken.decisions.is_empty() {
            what += &format!(": {}", taken.decisions.join(", "));
        }
        let host = taken.actor.map_or(Host::Network, Host::Actor);
        events.push(event(host, step, what));
        let at = events.len() - 1;
        for message in &replay.messages {
            if message.arrivals().any(|arrival| arrival == step) {
                events[at].received.push(message);
            }
            match message.fate {
                Fate::Lost(lost) if lost == step => reach_nobody(&mut events, message, step),
                Fate::Dropped(gone) if gone == step => reach_nobody(&mut events, message, step),
                Fate::Lost(_)
                | Fate::Dropped(_)
                | Fate::InFlight
                | Fate::Delivered(_)
                | Fate::Spent(_) => {}
            }
        }
        send(&mut events, replay, step, &taken.action);
    }
    let end = replay.steps.len() + 1;
    for message in &replay.messages {
        if matches!(message.fate, Fate::InFlight | Fate::Spent(_)) {
            reach_nobody(&mut events, message, end);
        }
    }
    // A step that only loses messages is nothing beside their losses.
    events.retain(|event| event.host != Host::Network || !event.received.is_empty());
    mark(&mut events, trace, replay);
    events
}

fn event<'a>(host: Host, step: usize, what: String) -> Event<'a> {
    Event { host, step, what, received: Vec::new(), sent: Vec::new(), violated: false }
}

/// A message reaches nobody, for the reason that is its fate.
fn reach_nobody<'a>(events: &mut Vec<Event<'a>>, message: &'a Message, step: usize) {
    let name = message.name();
    let what = match message.fate {
        Fate::Lost(_) => format!("{name} is lost"),
        Fate::Dropped(_) => format!("nobody is left to have {name}"),
        Fate::InFlight => format!("{name} is still in flight"),
        Fate::Spent(from) => format!("{name} is still in flight, without effect from {from} on"),
        Fate::Delivered(_) => return,
    };
    let received = vec![message];
    events.push(Event { received, ..event(Host::Network, step, what) });
}

/// Gives what a step sent to the event of its sender at that step; a sender that has none, because
/// something happened to it, gets one.
fn send<'a, P: Protocol>(
    events: &mut Vec<Event<'a>>,
    replay: &'a Replay<P>,
    step: usize,
    what: &str,
) {
    for message in replay.messages.iter().filter(|message| message.sent == step) {
        let host = Host::Actor(message.src);
        let own = events.iter().rposition(|event| event.step == step && event.host == host);
        let own = own.unwrap_or_else(|| {
            events.push(event(host, step, what.to_owned()));
            events.len() - 1
        });
        events[own].sent.push(message);
    }
}

/// Marks where the property is violated: for a liveness property, where the run repeats itself from.
fn mark<P: Protocol>(events: &mut [Event], trace: &Trace<P>, replay: &Replay<P>) {
    let Outcome::Violated { step, .. } = replay.outcome else { return };
    let at = |event: &&mut Event| event.step == step && event.host != Host::Network;
    if let Some(event) = events.iter_mut().find(at)
        && trace.kind == Kind::Safety
    {
        event.violated = true;
    }
}
