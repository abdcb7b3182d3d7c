//! The checker.
pub mod checker;
pub mod convergence;
pub mod explore;
pub mod progress;
