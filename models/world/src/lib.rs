//! The world around the machines.
//!
//! One [`Cluster`] is one state of the world: processes, disks, datagrams in flight, connections, fault
//! budgets, and what truly happened. [`World::enabled`] says what may happen in it, [`World::apply`]
//! what then becomes of it. The world knows nothing of its drivers: the checker takes every action,
//! a trace dictates them. It is generic over the [`Protocol`] in it, so that other designs can live in
//! the same world; [`counterfoil`] puts the update/claim protocol in it.

pub mod changes;
pub mod cluster;
pub mod counterfoil;
pub mod diagram;
pub mod explain;
pub mod itf;
mod lanes;
pub mod messages;
pub mod network;
pub mod protocol;
pub mod replay;
pub mod scenario;
pub mod shared;
pub mod trace;

pub use cluster::{Action, Cluster, Mail, World};
pub use counterfoil::Counterfoil;
pub use diagram::{Style, draw, render};
pub use protocol::{Coverage, Protocol};
pub use replay::{Divergence, Outcome, Replay, replay};
pub use scenario::{Expect, Fault, Scenario, ScenarioError};
pub use shared::Shared;
pub use trace::{Expected, Trace, TraceError};
