//! Simulations in virtual time: the machines that run, on a network that does what a seed says.
//!
//! Everything that happens is put in order by time and number, all chance comes from one seed and is
//! drawn in whole numbers, and nothing is iterated in an order that could differ: the same seed gives
//! the same run, step by step, on every machine.
//!
//! [`large`] fills a cluster, measures it under load and lets it settle; [`seeds`] runs many small
//! clusters through faults. Both judge the steps by the properties of the checker while they happen
//! ([`Reach`] says which); a run that violates one becomes a trace.

mod cast;
mod draw;
mod engine;
mod judge;
pub mod large;
mod links;
mod meters;
mod queue;
mod report;
pub mod scale;
mod schedule;
pub mod seeds;
mod small;
mod spent;
mod trace;

pub use judge::Reach;
pub use links::Links;
pub use report::{Report, Timing};
pub use trace::NotShown;
