//! The HTTP API of a scheduler.

pub mod page;
