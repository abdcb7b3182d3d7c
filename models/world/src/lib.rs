//! The world around the machines.
//!
//! One [`Cluster`] is one state of the world: processes, disks, datagrams in flight, connections,
//! fault budgets, and what truly happened. [`World::enabled`] says what may happen in it,
//! [`World::apply`] what then becomes of it. The world knows nothing of its drivers: the checker
//! takes every action, a trace dictates them. It is generic over the [`Protocol`] in it, so that
//! other designs can live in the same world; [`counterfoil`] puts the update/claim protocol in it.
//!
//! # Reductions
//!
//! Some states are not visited because what they would show is shown by others. Each reduction is
//! about the world, not about one property, and changes no verdict; the first two can be switched
//! off ([`cluster::Reductions`]), and the checker's tests hold the verdicts against each other:
//!
//! - *Equal requests are made in order.* Of two requests that are yet to come, that ask for the
//!   same at the same scheduler, and that no order names, the one with the lower name is made
//!   first. Such requests differ in their names alone, and the properties only compare names; so
//!   exchanging the two in every state of a run gives a run that breaks the same properties, and
//!   one of the two is visited. Names decide one thing more: a machine that asks its driver about
//!   several attempts in one step asks in the order of their names, and is answered in that order.
//!   Where states that differ in names alone count as one ([`interned`]), names decide neither.
//! - *Spent datagrams are forgotten.* A datagram to a life that is over reaches nobody, and always
//!   is. One that only repeats what its receiver can never unlearn ([`Protocol::is_old_news`]; stamps,
//!   verdicts and decided claims are never unlearnt) changes nothing there and makes it say
//!   nothing, now or at any later moment; the world gives it to a copy of the receiver to be sure
//!   of the first half. To deliver, copy or lose such a datagram therefore changes the network
//!   alone, which no safety property reads; and since it need not be delivered for anything to
//!   heal, no liveness verdict waits for it. What it does change is when a late timer fires,
//!   which waits for what is in flight: it fires as if the datagram had been delivered, which is
//!   a run that is visited anyway.
//! - *A driver answers at once.* A question of a machine is answered before anything else
//!   happens, and without an action of its own if there is one answer: nothing between could
//!   reach the machine that its driver does not hold back until it has answered.
//! - *Equal datagrams are counted up to [`network::Network::EQUAL_MAX`].*
//!
//! # Bounds
//!
//! What a scenario leaves out is no reduction: its verdict says nothing of it.
//! [`Scenario::bounds`] names every bound in one line, and `check list` and every report print
//! it: how many actors and requests, which faults how often, which network, whether holds lapse
//! freely, and when timers fire. Timers that fire [late](scenario::Timers::Late) never fire while
//! what they wait for is in flight, so no retransmission or beat crosses its answer; with
//! [calm](scenario::Timers::Calm) ones, a node also announces a change only once what it
//! announced before has arrived or is lost. Only [any](scenario::Timers::Any) leaves nothing out.

pub mod calmest;
pub mod changes;
pub mod choices;
pub mod cluster;
pub mod counterfoil;
pub mod diagram;
pub mod emit;
pub mod explain;
pub mod interned;
pub mod itf;
pub mod lanes;
pub mod messages;
pub mod minimise;
pub mod network;
pub mod protocol;
pub mod random;
pub mod rename;
pub mod replay;
pub mod representation;
pub mod scenario;
pub mod shared;
pub mod trace;
pub mod view;
pub mod walk;
pub mod why;

pub use choices::{Choice, Judge, Leads};
pub use cluster::{Action, Cluster, Mail, World};
pub use counterfoil::Counterfoil;
pub use diagram::{Style, draw, render};
pub use interned::Interned;
pub use minimise::{Minimised, minimise};
pub use protocol::{Coverage, Protocol};
pub use replay::{Divergence, Outcome, Replay, replay};
pub use representation::{Plain, Representation};
pub use scenario::{Expect, Fault, Scenario, ScenarioError};
pub use shared::Shared;
pub use trace::{Expected, Kind, Trace, TraceError};
pub use view::View;
pub use why::Why;
