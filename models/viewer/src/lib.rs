//! The trace viewer: shows a counterexample so that a person understands it.

pub mod export;
pub mod terminal;
pub mod view;
