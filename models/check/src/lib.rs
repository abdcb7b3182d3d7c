//! The checker: explores every state of a scenario with two engines over one world, and says what
//! it found.
//!
//! [`explore`] is our own explorer, [`checker`] is stateright; both must count the same states and
//! come to the same verdicts. [`convergence`] judges liveness on the graph of fair steps. [`run`]
//! puts them together for one scenario, [`report`] tells of all. [`walks`] goes where exploring ends, and
//! [`cluster`] takes a trace on the drivers of the running service.

pub mod checker;
pub mod checkpoint;
pub mod cluster;
pub mod convergence;
pub mod explore;
pub mod hand;
pub mod progress;
pub mod recorded;
pub mod report;
pub mod run;
pub mod suite;
pub mod validate;
pub mod walks;

pub use counterfoil_world::calmest;
