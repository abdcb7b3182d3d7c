//! What stands in a recording.

use counterfoil_protocol::{
    Actor, Client, ClientId, Config, Node, NodeId, Output, Scheduler, SchedulerId, client, node,
    scheduler,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The first bytes of every recording.
pub const MAGIC: [u8; 8] = *b"CFRECORD";

/// The version of the format that is written; only this one is read.
pub const VERSION: u16 = 4;

/// The largest body of a frame, in bytes. A batch is far smaller.
pub(crate) const BODY_MAX: usize = 64 << 20;

/// What a run starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Whose run it is, and the disk that it started from.
    pub origin: Origin,
    /// What the machine was given at construction.
    pub config: Config,
    /// How the run goes on, if it began in an earlier recording: the machine as that one leaves it
    /// behind. The disk is the one of that moment.
    pub running: Option<Running>,
    /// The [`digest`] of what the machine put out when it started; of nothing if it was running.
    pub started: u32,
}

/// A machine in the middle of its run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Running {
    /// A node.
    Node(Box<Node>),
    /// A scheduler.
    Scheduler(Box<Scheduler>),
    /// A client.
    Client(Box<Client>),
}

/// Whose run it is, and the disk that it started from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Origin {
    /// A node.
    Node(NodeId, node::Disk),
    /// A scheduler.
    Scheduler(SchedulerId, scheduler::Disk),
    /// A client.
    Client(ClientId, client::Disk),
}

impl Origin {
    /// Whose run it is.
    pub fn actor(&self) -> Actor {
        match self {
            Origin::Node(id, _) => Actor::Node(*id),
            Origin::Scheduler(id, _) => Actor::Scheduler(*id),
            Origin::Client(id, _) => Actor::Client(*id),
        }
    }
}

/// Inputs that were handled together: what they persist was committed at once, and nothing that
/// they send left before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch<I> {
    /// Since the start of the process. For people only; nothing depends on it.
    pub elapsed: Duration,
    /// The inputs, in order.
    pub entries: Vec<Entry<I>>,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry<I> {
    /// What the machine was given.
    pub input: I,
    /// The [`digest`] of what it put out.
    pub outputs: u32,
}

/// The CRC-32 of the postcard form of `outputs`: enough to notice that a rebuilt run went another
/// way.
pub fn digest(outputs: &[Output]) -> u32 {
    crc32fast::hash(&body(outputs))
}

/// The body of a frame.
pub(crate) fn body(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    postcard::to_stdvec(value).expect("values of the protocol have a postcard form")
}
