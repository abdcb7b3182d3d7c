//! Transition tables: every kind of input in every kind of state of the three machines.
//!
//! Each machine has a list of states, a list of inputs, and a table (`node.txt` and its like) that
//! says what every input does in every state. The contract of [`counterfoil_protocol::Machine`] is
//! asserted at each step besides.

mod client;
mod coverage;
mod groups;
mod limits;
mod mended;
mod node;
mod rules;
mod samples;
mod scheduler;
mod table;
mod walks;
