//! A toy of the update/claim protocol. Its only use is to compare the speed of checkers.
//!
//! The same rules stand in `toy.pml`, for Spin, and every size has the same counts in both. Nothing
//! is proved about Counterfoil here: `counterfoil-check` explores the real machines. The rules are
//! in the README beside this crate; [`State`] is a state of the toy in two words, [`Toy`] its steps,
//! and [`explore`] an explorer of our own beside stateright's.

pub mod explore;
mod message;
mod model;
mod state;
mod step;

pub use message::{Message, Word};
pub use state::State;
pub use step::{Action, Bounds, Toy};
