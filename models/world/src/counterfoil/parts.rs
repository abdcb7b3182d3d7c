//! What the machines are made of, but for their configuration, so that states can be written and
//! read again.

use counterfoil_protocol::host_state::DeltaLog;
use counterfoil_protocol::node::Fence;
use counterfoil_protocol::scheduler::{Attempts, Peer};
use counterfoil_protocol::{
    ClientId, Incarnation, Map, NodeId, RequestId, SchedulerId, Version, client, node, scheduler,
};
use serde::{Deserialize, Serialize};

/// What a process is made of.
#[derive(Serialize, Deserialize)]
pub enum Parts {
    /// A node.
    Node(NodeParts),
    /// A scheduler.
    Scheduler(SchedulerParts),
    /// A client.
    Client(ClientId, Map<RequestId, client::Request>),
}

/// What a [`counterfoil_protocol::Node`] is made of.
#[derive(Serialize, Deserialize)]
pub struct NodeParts {
    pub(super) id: NodeId,
    pub(super) durable: node::Disk,
    pub(super) version: Version,
    pub(super) announced: Version,
    pub(super) recent: DeltaLog,
    pub(super) subscribers: Map<SchedulerId, Incarnation>,
    pub(super) fences: Map<SchedulerId, Fence>,
    pub(super) left: bool,
}

/// What a [`counterfoil_protocol::Scheduler`] is made of.
#[derive(Serialize, Deserialize)]
pub struct SchedulerParts {
    pub(super) id: SchedulerId,
    pub(super) incarnation: Incarnation,
    pub(super) stopped: bool,
    pub(super) nodes: Map<NodeId, Peer>,
    pub(super) attempts: Attempts,
}

/// What a disk is made of.
#[derive(Serialize, Deserialize)]
pub enum DiskParts {
    /// A node's.
    Node(node::Disk),
    /// A scheduler's.
    Scheduler(scheduler::Disk),
    /// A client's.
    Client(client::Disk),
}
