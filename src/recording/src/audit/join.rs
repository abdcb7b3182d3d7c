//! Joins recordings by the messages that went from one to another: whatever arrived was sent.

use counterfoil_properties::{Process, Step};
use counterfoil_protocol::{
    Actor, Answer, AttemptId, Body, Call, ClaimId, ClientId, Datagram, Output, Placement,
    SchedulerId,
};
use counterfoil_protocol::{client, node, scheduler};
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::{Discriminant, discriminant};

/// A message, whoever says or hears it.
#[derive(Hash)]
enum Message<'a> {
    Datagram(&'a Datagram),
    /// From a node to a client, which has it from the scheduler in between: that one asks the node
    /// under a name of its own, and passes on what was said, not to whom.
    ToClient(Actor, &'a Body),
    Call(ClientId, SchedulerId, &'a Call),
    /// What came of the attempt, and what was placed: why there is no valid host is told to clients in
    /// other words than it is recorded in.
    Answer(ClientId, SchedulerId, AttemptId, Discriminant<Placement>, Option<ClaimId>),
}

/// Stands for a message: two that differ have different ones, but for a chance of one in 2^64.
type Print = u64;

fn print(message: &Message<'_>) -> Print {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

/// What was said and heard so far.
#[derive(Debug, Default)]
pub(super) struct Join {
    said: HashSet<Print>,
    heard: Vec<Heard>,
}

/// A message that arrived.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    print: Print,
    /// Who is to have said it.
    pub(super) from: Actor,
    /// Counts the recordings, in the order in which they were read.
    pub(super) recording: usize,
    /// After which step; its input is the message.
    pub(super) step: u64,
    /// What kind of message it is.
    pub(super) kind: &'static str,
    /// Whether the API in front of a scheduler may have said it: it turns a client away without a
    /// word to the scheduler when there is too much to do, or when that is about to stop.
    perhaps_in_front: bool,
}

impl Join {
    /// Takes note of what a step heard and said.
    pub(super) fn note(&mut self, recording: usize, number: u64, step: &Step<'_>) {
        let me = actor(step.process);
        for output in step.outputs {
            let said = match output {
                Output::Send(datagram) => Some(of_datagram(datagram)),
                Output::Call(to, call) => of_client(me).map(|c| Message::Call(c, *to, call)),
                Output::Answer(to, answer) => of_scheduler(me).map(|s| of_answer(*to, s, answer)),
                Output::Persist(_)
                | Output::SetTimer { .. }
                | Output::Choose(_)
                | Output::Ended(..)
                | Output::Notice(_) => None,
            };
            self.said.extend(said.as_ref().map(print));
        }
        if let Some((from, message)) = heard(step.process) {
            let (kind, print) = (kind(&message), print(&message));
            let perhaps_in_front = turns_away(&message);
            let recorded = Heard { print, from, recording, step: number, kind, perhaps_in_front };
            self.heard.push(recorded);
        }
    }

    /// Everyone from whom a message arrived.
    pub(super) fn heard_of(&self) -> impl Iterator<Item = Actor> {
        self.heard.iter().map(|heard| heard.from)
    }

    /// How many messages came from one of `known`, all of whose runs were recorded, and can be
    /// looked for there.
    pub(super) fn judged(&self, known: &BTreeSet<Actor>) -> u64 {
        self.of(known).filter(|heard| !self.is_left_out(heard)).count() as u64
    }

    /// How many messages came from one of `known` and none of them said, but perhaps whoever is in
    /// front of them.
    pub(super) fn left_out(&self, known: &BTreeSet<Actor>) -> u64 {
        self.of(known).filter(|heard| self.is_left_out(heard)).count() as u64
    }

    /// The messages that arrived from one of `known` and that none of them said.
    pub(super) fn never_said(&self, known: &BTreeSet<Actor>) -> impl Iterator<Item = &Heard> {
        let looked_for = self.of(known).filter(|heard| !heard.perhaps_in_front);
        looked_for.filter(|heard| !self.said.contains(&heard.print))
    }

    fn of(&self, known: &BTreeSet<Actor>) -> impl Iterator<Item = &Heard> {
        self.heard.iter().filter(|heard| known.contains(&heard.from))
    }

    fn is_left_out(&self, heard: &Heard) -> bool {
        heard.perhaps_in_front && !self.said.contains(&heard.print)
    }
}

/// Whether it is an answer that the API in front of a scheduler gives, too.
fn turns_away(message: &Message<'_>) -> bool {
    let turned_away = [discriminant(&Placement::Overloaded), discriminant(&Placement::Unavailable)];
    match message {
        Message::Answer(_, _, _, what, _) => turned_away.contains(what),
        Message::Datagram(_) | Message::ToClient(..) | Message::Call(..) => false,
    }
}

fn of_answer(client: ClientId, scheduler: SchedulerId, answer: &Answer) -> Message<'_> {
    let Answer { attempt, placement } = answer;
    let placed = if let Placement::Placed(claim) = placement { Some(*claim) } else { None };
    Message::Answer(client, scheduler, *attempt, discriminant(placement), placed)
}

fn of_datagram(datagram: &Datagram) -> Message<'_> {
    match datagram.dst.actor {
        Actor::Client(_) => Message::ToClient(datagram.src.actor, &datagram.body),
        Actor::Node(_) | Actor::Scheduler(_) => Message::Datagram(datagram),
    }
}

fn kind(message: &Message<'_>) -> &'static str {
    match message {
        Message::Datagram(_) | Message::ToClient(..) => "datagram",
        Message::Call(..) => "call",
        Message::Answer(..) => "answer",
    }
}

fn actor(process: Process<'_>) -> Actor {
    match process {
        Process::Node { after, .. } => Actor::Node(after.id),
        Process::Scheduler { after, .. } => Actor::Scheduler(after.id),
        Process::Client { after, .. } => Actor::Client(after.id),
    }
}

fn of_client(actor: Actor) -> Option<ClientId> {
    if let Actor::Client(id) = actor { Some(id) } else { None }
}

fn of_scheduler(actor: Actor) -> Option<SchedulerId> {
    if let Actor::Scheduler(id) = actor { Some(id) } else { None }
}

/// The message that a step heard, and who said it. Which scheduler an answer came from is not in the
/// answer; it is in the claim that was placed.
fn heard(process: Process<'_>) -> Option<(Actor, Message<'_>)> {
    let datagram = match process {
        Process::Node { input: Some(node::Input::Datagram(datagram)), .. }
        | Process::Scheduler { input: Some(scheduler::Input::Datagram(datagram)), .. }
        | Process::Client { input: Some(client::Input::Datagram(datagram)), .. } => datagram,
        Process::Scheduler { input: Some(scheduler::Input::Call(client, call)), after, .. } => {
            return Some((Actor::Client(*client), Message::Call(*client, after.id, call)));
        }
        Process::Client { input: Some(client::Input::Answer(answer)), before, after } => {
            let requests = &before.unwrap_or(after).requests;
            let scheduler =
                *requests.get(&answer.attempt.request)?.open.get(&answer.attempt.number)?;
            let message = of_answer(after.id, scheduler, answer);
            return Some((Actor::Scheduler(scheduler), message));
        }
        Process::Node { .. } | Process::Scheduler { .. } | Process::Client { .. } => return None,
    };
    Some((datagram.src.actor, of_datagram(datagram)))
}
