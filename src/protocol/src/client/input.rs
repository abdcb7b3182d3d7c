//! What can happen to a client.

use crate::collections::Map;
use crate::id::{AttemptId, NodeId, RequestId, SchedulerId};
use crate::machine::Timer;
use crate::message::{Answer, Datagram};
use crate::resources::Demand;
use serde::{Deserialize, Serialize};

/// What can happen to a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A datagram arrives.
    Datagram(Datagram),
    /// A timer fires.
    Timer(Timer),
    /// An answer arrives.
    Answer(Answer),
    /// The connection to this scheduler broke, or could not be made.
    Disconnected(SchedulerId),
    /// The driver chose a scheduler for this attempt.
    Chosen(AttemptId, SchedulerId),
    /// The user orders something.
    Order(Order),
}

/// What a user can order a client to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Order {
    /// To find a place for a new request. A request that a restart of the client made it forget is not
    /// placed again under its old name: its attempts would be taken for the earlier ones.
    Place(RequestId, Demand),
    /// To find a place for each of several new requests, or for none: a bundle. One request alone
    /// is no bundle.
    PlaceTogether(Map<RequestId, Demand>),
    /// To give a request up, and with it its bundle: release what was placed, or stop seeking.
    Release(RequestId),
    /// To forget a request that has ended, with every attempt answered.
    Forget(RequestId),
    /// To take every claim on this node that it holds, or waits to confirm or release, for gone: the
    /// operator declares that the node never comes back, or that it left. Nothing else frees a client
    /// whose chosen node is dead. What is confirmed stays so until its user releases it.
    NodeOver(NodeId),
}
