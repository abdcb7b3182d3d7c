//! The designs of 2016 as protocols in the world of the checker.
//!
//! The prototype that this project comes from was a variant of the scheduler of OpenStack Nova, and was
//! compared with two that were there and with one that was to come. Here are all four, over the same
//! world, network and faults as the update/claim protocol, so that the same checker takes them apart:
//!
//! | design | a scheduler knows nodes | who has the last word |
//! |---|---|---|
//! | [`Design::Shared2016`] | by what each node sends it ([`shared`]) | the node, by limits of the scheduler |
//! | [`Design::Filter`] | by reading a database for every request ([`reader`]) | the same |
//! | [`Design::Caching`] | by reading it from time to time ([`reader`]) | the same |
//! | [`Design::Placement`] | by reading it for every request ([`writer`]) | the database |
//!
//! One protocol is in all of them: a [`conductor`] calls a scheduler for a host and tells the [`node`] to
//! build; it also keeps the database, which is read and written through it. So it stands where
//! the world has a client. What differs is how a scheduler comes to know, which is named by the scenario.
//!
//! The models are made from a description of how these programs behave, not from their text. They do what
//! those do, mistakes included, and nothing in them knows of a flaw: where one shows, the checker found it.
//!
//! # Bounds
//!
//! - *Random numbers are drawn once a life.* Message and claim numbers begin at a number drawn when a
//!   process starts, from the few that the scenario names; those of 2016 were drawn anew for each peer.
//! - *Names say no life.* What is in flight to a process that crashed reaches the next of its name.
//! - *One kind of amount.* Every amount that was added up behaves as `used` does here, every value that
//!   took the place of another as `capacity`: totals and ratios are one number here. Metrics, topologies
//!   and devices are left out.
//! - *Fewer messages.* A node of 2016 sent two more changes for each instance, when its network was
//!   ready and when it had been built.
//! - *Clocks are in step.* Whether a row of the database is newer than what a scheduler placed is told by
//!   counting writes.
//! - *Periodic tasks* fire when nothing is under way that they wait for; earlier only as often as the
//!   fault `early` may happen, or at any moment if the scenario says so.

mod amounts;
pub mod conductor;
mod dispatch;
pub mod message;
pub mod node;
pub mod peer;
pub mod pipe;
mod protocol;
pub mod reader;
mod setting;
pub mod shared;
mod timing;
mod watch;
pub mod window;
pub mod writer;

pub use amounts::Amounts;
pub use counterfoil_world::scenario::Design;
pub use dispatch::{Task, with};
pub use protocol::{Parts, Process, Seed};
pub use setting::{CONDUCTOR, Setting};
pub use watch::{History, LIVENESS, SAFETY};
