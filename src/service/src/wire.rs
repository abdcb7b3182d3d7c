//! The form of what is said over UDP.
//!
//! A message is a [`Message`] in postcard form; [`crate::packet`] says how packets hold them. What a
//! client says and is told, [`FromClient`] and [`ToClient`], comes and goes over HTTP.
//!
//! Whatever arrives, decoding ends with a value or a [`DecodeError`]: it never panics, and never
//! takes more memory than a small multiple of what arrived.

use crate::packet::{MESSAGE_MAX, VERSION};
use counterfoil_protocol::node::Allocation;
use counterfoil_protocol::{
    Actor, Answer, Body, Call, Changes, ClaimId, Datagram, Demand, HostState, Incarnation,
    Inventory, NodeId, SchedulerId, Status,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Resource classes, groups among them, that one demand, inventory or change may name.
pub const CLASSES_MAX: usize = 64;

/// Names that one set of traits or aggregates may hold.
pub const NAMES_MAX: usize = 64;

/// Actors that one message may introduce.
pub const PEERS_MAX: usize = 48;

/// What one process says to another over UDP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// A datagram of the protocol.
    Datagram(Datagram),
    /// These actors are there. A process says so of its own, until they are known, and of others in
    /// answer to [`Message::WhoIsThere`]. If it is lost, it is said again.
    Peers(Vec<Peer>),
    /// Answered with the schedulers that are known and, if asked for, the nodes. If it or the answer
    /// is lost, it is asked again.
    WhoIsThere {
        /// Whether nodes are asked for.
        nodes: bool,
    },
    /// Scheduler to node, when an operator says so to the scheduler. Answered by
    /// [`Message::Ordered`]; if either is lost, it is sent again. A copy, or one that comes after a
    /// later order of the same scheduler, is answered and has no effect.
    Order(OrderId, Order),
    /// Node to scheduler: the order has arrived.
    Ordered(OrderId),
    /// Scheduler to node, when someone asks: what do you have for this claim? Answered by
    /// [`Message::Seen`]; if either is lost, it is asked again. It changes nothing.
    Look(ClaimId),
    /// Node to scheduler: the allocation of this claim, if there is one, as it is on disk.
    Seen(ClaimId, Option<Allocation>),
}

/// Names an order to a node, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderId {
    /// The node that it is for.
    pub node: NodeId,
    /// In which of its lives: another ignores it.
    pub incarnation: Incarnation,
    /// Who passes it on.
    pub scheduler: SchedulerId,
    /// In which of its lives.
    pub life: Incarnation,
    /// Which of the orders of that life.
    pub number: u64,
}

/// What an operator can order a node to do from afar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// To take new claims, or none.
    Status(Status),
}

/// An actor, and where it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Who: a node or a scheduler.
    pub actor: Actor,
    /// In which of its lives. A later life's address replaces that of an earlier one.
    pub incarnation: Incarnation,
    /// Where.
    pub address: SocketAddr,
}

/// Client to scheduler.
#[derive(Clone, Debug, PartialEq)]
pub enum FromClient {
    /// Find a place.
    Call(Call),
    /// A confirm or release, for the scheduler to pass on to the node that it is for.
    Datagram(Datagram),
}

/// Scheduler to client.
#[derive(Clone, Debug, PartialEq)]
pub enum ToClient {
    /// What came of an attempt.
    Answer(Answer),
    /// What a node said to the client, passed on.
    Datagram(Datagram),
}

/// Why what arrived has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// It does not begin like ours.
    #[error("is not of this protocol")]
    NotOurs,
    /// It is of a version that this program does not speak.
    #[error("is of version {0}; this program speaks {VERSION}")]
    Version(u8),
    /// It ends too early.
    #[error("ends too early")]
    Truncated,
    /// It has no meaning, or goes on after its end.
    #[error("has no meaning")]
    Malformed,
    /// It is longer than is allowed.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// It is not sealed with a key of this cluster.
    #[error("is not sealed with a key of this cluster")]
    Unauthenticated,
    /// It names more of these than is allowed.
    #[error("names too many {0}")]
    Limit(&'static str),
}

/// A message that is too long to be sent, with its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("would be {0} bytes long")]
pub struct TooLong(pub usize);

/// Appends the length and the form of a message to `bytes`; where it ends.
///
/// # Errors
/// If it is longer than [`MESSAGE_MAX`]; then `bytes` is what it was.
pub fn encode_message(message: &Message, bytes: &mut Vec<u8>) -> Result<usize, TooLong> {
    let before = bytes.len();
    // Most messages are shorter than 128 bytes: then the length takes one.
    bytes.push(0);
    let taken = std::mem::take(bytes);
    *bytes = postcard::to_extend(message, taken).expect("messages have a postcard form");
    let length = bytes.len() - before - 1;
    if length > MESSAGE_MAX {
        bytes.truncate(before);
        return Err(TooLong(length));
    }
    let low = (length & 0x7f) as u8;
    if length < 0x80 {
        bytes[before] = low;
    } else {
        bytes[before] = low | 0x80;
        bytes.insert(before + 1, (length >> 7) as u8);
    }
    Ok(bytes.len())
}

/// The message that `form` is.
///
/// # Errors
/// If it has no meaning.
pub fn decode_message(form: &[u8]) -> Result<Message, DecodeError> {
    let message = postcard_exactly::<Message>(form)?;
    message.limited()?;
    Ok(message)
}

fn postcard_exactly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, [_, ..])) => Err(DecodeError::Malformed),
        Err(postcard::Error::DeserializeUnexpectedEnd) => Err(DecodeError::Truncated),
        Err(_) => Err(DecodeError::Malformed),
    }
}

/// What names no more than is allowed.
pub trait Limited {
    /// Whether it does.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] if it names more.
    fn limited(&self) -> Result<(), DecodeError>;
}

fn within(what: &'static str, length: usize, max: usize) -> Result<(), DecodeError> {
    if length > max { Err(DecodeError::Limit(what)) } else { Ok(()) }
}

impl Limited for Demand {
    fn limited(&self) -> Result<(), DecodeError> {
        within("resource classes", self.resources.len(), CLASSES_MAX)?;
        within("traits", self.required.len(), NAMES_MAX)?;
        within("traits", self.forbidden.len(), NAMES_MAX)?;
        within("groups", self.near.len().max(self.apart.len()), CLASSES_MAX)?;
        within("aggregates", self.aggregates.len(), NAMES_MAX)
    }
}

impl Limited for Inventory {
    fn limited(&self) -> Result<(), DecodeError> {
        within("resource classes", self.classes.len(), CLASSES_MAX)?;
        within("traits", self.traits.len(), NAMES_MAX)?;
        within("aggregates", self.aggregates.len(), NAMES_MAX)
    }
}

impl Limited for HostState {
    fn limited(&self) -> Result<(), DecodeError> {
        self.inventory.limited()?;
        within("resource classes", self.used.len(), CLASSES_MAX)
    }
}

impl Limited for Changes {
    fn limited(&self) -> Result<(), DecodeError> {
        self.inventory.iter().try_for_each(Limited::limited)?;
        within("resource classes", self.used.len(), CLASSES_MAX)
    }
}

impl Limited for Message {
    fn limited(&self) -> Result<(), DecodeError> {
        match self {
            Message::Datagram(datagram) => datagram.limited(),
            Message::Peers(peers) => within("peers", peers.len(), PEERS_MAX),
            Message::Seen(_, allocation) => {
                allocation.iter().try_for_each(|allocation| allocation.demand.limited())
            }
            Message::WhoIsThere { .. }
            | Message::Order(..)
            | Message::Ordered(_)
            | Message::Look(_) => Ok(()),
        }
    }
}

impl Limited for Datagram {
    fn limited(&self) -> Result<(), DecodeError> {
        match &self.body {
            Body::Claim(claim) => claim.demand.limited(),
            Body::Delta(delta) => delta.changes.limited(),
            Body::Snapshot(snapshot) => snapshot.state.limited(),
            Body::Verdict(_)
            | Body::Confirm(_)
            | Body::Release(_)
            | Body::Resync(_)
            | Body::Leave(_)
            | Body::Superseded { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
