//! The contract between a state machine and whoever drives it.

use crate::id::{ClaimId, NodeId, SchedulerId};
use crate::message::{Answer, Call, Datagram, Outcome};
use crate::notice::Notice;
use crate::{AttemptId, ClientId, RequestId, client, node, scheduler};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

/// A deterministic state machine: the same state and the same input give the same state and
/// outputs.
///
/// 1. Total: every input is legal in every state. One that does not apply changes nothing and
///    leaves a [`Notice`] saying why. There is no error and no panic.
/// 2. Deterministic: no clock, no randomness, no I/O, no globals, no iteration over unordered maps.
/// 3. Nothing pending: the outputs are complete when [`Machine::handle`] returns. An
///    [`Output::Persist`] comes before the [`Output::Send`]s that depend on it. A driver may handle
///    a batch of inputs before one flush to disk, if no send of the batch leaves before the flush.
/// 4. Time is named: the machine sets a [`Timer`] and may later be given it: early, late, or when
///    it no longer matters.
/// 5. State is protocol state: no counters, no logs, no instants. What follows from the rest is kept
///    only where a type keeps it true by itself: [`node::Allocations`], [`scheduler::Attempts`].
/// 6. Choice is outside: [`Output::Choose`] asks the driver, which answers with an input.
pub trait Machine: Clone + Debug + Eq + Hash {
    /// What can happen to it.
    type Input;

    /// Takes one input and appends everything that the world must now do.
    fn handle(&mut self, input: Self::Input, outbox: &mut Vec<Output>);

    /// The timers that matter in this state, in order.
    ///
    /// # Invariants
    /// Each was set by an output: when it began to matter, and again when it was given and still
    /// matters. The world of the checker asserts this at every step, so a driver may forget a timer
    /// that is not listed, and needs no other way to cancel one.
    fn timers(&self) -> Vec<Timer>;
}

/// What the world must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Put the record on disk before any later send leaves.
    Persist(Record),
    /// Send a datagram; it may be lost, copied, reordered, delayed.
    Send(Datagram),
    /// Send a call over the client's connection to the scheduler. From clients.
    Call(SchedulerId, Call),
    /// Send an answer over the scheduler's connection to the client; if it is gone, so is the
    /// answer.
    Answer(ClientId, Answer),
    /// Give the machine this timer after about this long. Setting a timer again replaces it.
    SetTimer {
        /// Which.
        timer: Timer,
        /// After how long. Only pace depends on it.
        after: Duration,
    },
    /// Choose, and answer with an input, before anything else is given to this machine.
    Choose(Choice),
    /// Tell the user what became of the request. From clients.
    Ended(RequestId, Outcome),
    /// Which way a decision went: for logs, metrics and the coverage of the checker.
    Notice(Notice),
}

/// A choice that the protocol leaves to its driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Choice {
    /// A scheduler asks for a node that [`crate::Scheduler::eligible`] accepts for this attempt.
    /// Answered by [`scheduler::Input::Chosen`]; with no node if there is none.
    Node(AttemptId),
    /// A client asks for a scheduler. Answered by [`client::Input::Chosen`], once there is one.
    Scheduler(AttemptId),
}

/// A change of what an actor keeps on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Record {
    /// Of a node.
    Node(node::Change),
    /// Of a scheduler: its life, the only thing that it keeps.
    Scheduler(scheduler::Change),
    /// Of a client.
    Client(client::Change),
}

/// A timer, by what it is for. What it carries makes it ignorable once it no longer matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Node: send what changed, or just the stamp, to every subscriber.
    Announce,
    /// Node: the hold of this claim has not been confirmed for long.
    Lapse(ClaimId),
    /// Node: this subscriber has been silent for long.
    Forget(SchedulerId),
    /// Scheduler: it is time to ask this node what was missed.
    Resync(NodeId),
    /// Scheduler: this claim has had no verdict. Client: nor has its confirm or release.
    Resend(ClaimId),
    /// Scheduler: this node has been silent for long.
    Suspect(NodeId),
    /// Client: time for another attempt.
    Retry(RequestId),
    /// Client: this attempt has had no answer for long.
    Impatience(AttemptId),
}
