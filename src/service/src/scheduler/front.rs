//! How other threads of a scheduler's process speak to it: those of its API.

use super::recent::Decision;
use crate::key::Keys;
use crate::post::Waker;
use crate::wire::{FromClient, Order, ToClient};
use counterfoil_protocol::node::Allocation;
use counterfoil_protocol::{ClaimId, ClientId, NodeId, Scheduler};
use std::fmt;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Things that were said and were not yet taken in. One more call is turned away, and whoever has
/// anything else to say waits.
pub const EVENTS_MAX: usize = 4096;

/// Counts the connections of this process, in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionNumber(pub u64);

/// What takes what a scheduler has to say to a client. It must not wait.
pub type ToTheClient = Box<dyn Fn(ToClient) + Send>;

/// A connection of a client. When it is dropped, the scheduler has no more to say over it.
pub struct Connection {
    /// Which.
    pub number: ConnectionNumber,
    /// Takes what is said to the client.
    pub say: ToTheClient,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.number).finish()
    }
}

/// What a scheduler knows, as of one moment. A copy costs nothing: it shares what has not changed.
#[derive(Clone, Debug)]
pub struct View {
    /// The machine.
    pub machine: Scheduler,
    /// Where each node listens, and how long ago it was heard, in the order of the machine's nodes.
    pub heard: Vec<(NodeId, SocketAddr, std::time::Duration)>,
    /// What was decided of late, the latest first.
    pub recent: Vec<Decision>,
}

/// Takes a view.
pub type ToTheLooker = Box<dyn FnOnce(View) + Send>;

/// What came of a question about an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The node has said what it has: `None` if the claim has no allocation.
    Answered(Option<Allocation>),
    /// The node is not known.
    Unknown,
    /// The node did not answer in time.
    Unanswered,
}

/// Takes what came of a question.
pub type ToTheAsker = Box<dyn FnOnce(Seen) + Send>;

/// What came of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// The node has taken it.
    Taken,
    /// The node is not known.
    Unknown,
    /// The node did not answer in time.
    Unanswered,
}

/// Takes what came of an order.
pub type ToTheOperator = Box<dyn FnOnce(Ordered) + Send>;

/// What happens around a scheduler, besides what arrives at the socket.
pub enum Event {
    /// A client connects. If it was connected, that connection is over.
    Opened(ClientId, Connection),
    /// A client says something over its connection.
    Said(ClientId, ConnectionNumber, FromClient),
    /// A connection is over.
    Closed(ClientId, ConnectionNumber),
    /// Someone wants to know what is known.
    Look(ToTheLooker),
    /// Someone wants to know what the node of this claim has for it.
    Ask(ClaimId, ToTheAsker),
    /// An operator orders something of a node.
    Order(NodeId, Order, ToTheOperator),
    /// Peers listen here.
    Seeds(Vec<SocketAddr>),
    /// The keys are others from now on.
    Keys(Option<Keys>),
    /// To answer what is open, and stop.
    Stop,
}

/// There is too much to take in, or the scheduler has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// There is too much.
    #[error("the scheduler has too much to take in")]
    Overloaded,
    /// It has stopped.
    #[error("the scheduler has stopped")]
    Stopped,
}

/// Speaks to the scheduler of this process, from any thread.
#[derive(Clone, Debug)]
pub struct Front {
    events: SyncSender<Event>,
    waker: Waker,
}

impl Front {
    /// Speaks to whoever takes events from the other end and is woken by `waker`.
    pub fn new(waker: Waker) -> (Front, Receiver<Event>) {
        let (events, happened) = sync_channel(EVENTS_MAX);
        (Front { events, waker }, happened)
    }

    /// Says what happens, now or not at all.
    ///
    /// # Errors
    /// If there is too much to take in, or nobody to take it.
    pub fn offer(&self, event: Event) -> Result<(), NotTaken> {
        let offered = self.events.try_send(event).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Overloaded,
            TrySendError::Disconnected(_) => NotTaken::Stopped,
        });
        self.waker.wake();
        offered
    }

    /// Says what happens, and waits until there is room to take it in.
    ///
    /// # Errors
    /// If there is nobody to take it.
    pub fn say(&self, event: Event) -> Result<(), NotTaken> {
        // Woken first, so that whoever must make room is not asleep.
        self.waker.wake();
        let said = self.events.send(event).map_err(|_| NotTaken::Stopped);
        self.waker.wake();
        said
    }
}
