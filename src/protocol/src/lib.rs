//! The update/claim protocol.
pub mod client;
pub mod collections;
pub mod config;
pub mod host_state;
pub mod id;
pub mod machine;
pub mod message;
pub mod node;
pub mod notice;
pub mod resources;
pub mod scheduler;

pub use client::Client;
pub use collections::{Given, Map, Set};
pub use config::{Config, Intervals, Limits, Rule, Rules};
pub use host_state::{Changes, HostState, Reason, Relation, Status};
pub use id::{
    Actor, Address, AttemptId, AttemptNumber, ClaimId, ClaimNumber, ClientId, Incarnation, NodeId,
    RequestId, SchedulerId, Stamp, Version,
};
pub use machine::{Choice, Machine, Output, Record, Timer};
pub use message::{
    Answer, Body, Call, Claim, Datagram, Decision, Delta, Leave, Outcome, Placement, Refusal,
    Resync, Snapshot, Verdict,
};
pub use node::Node;
pub use notice::{Guard, Notice};
pub use resources::{ClassInventory, Demand, Inventory, Name, NameError, ResourceClass, Resources};
pub use scheduler::Scheduler;
