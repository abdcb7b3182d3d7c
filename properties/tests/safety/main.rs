//! Every safety property at one step that holds and at one that violates it. The steps are those of
//! real machines, where one of the rules is off or somebody lies.

mod bounded;
mod client;
mod node;
mod scheduler;
mod truth;
