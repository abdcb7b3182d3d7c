//! A run of the world made from recordings of the running service.
//!
//! Every recording is the run of one actor. [`Tales`] rebuilds them; [`join`] takes their events one
//! by one as actions of the world, whatever arrives being what was sent, until a property is
//! violated or an event is reached. So what the service did can be shown, explained and minimised
//! like any counterexample. Of the events only those are taken that can have led to the aim: its
//! causal past.
//!
//! Not every recording can be joined: the world has one client, knows no traits and no zones, and
//! names at most [`OUTSIDE_MAX`] requests and orders. [`NotJoined`] says what is in the way.

mod act;
mod closest;
mod join;
mod scenario;
mod story;
mod tale;
mod violation;

pub use closest::{Unexplained, closest};
pub use join::{Aim, Joined, OUTSIDE_MAX, join};
pub use story::{Story, story};
pub use tale::{AnyInput, Event, Tale, Tales, files};
pub use violation::{BYTES_MAX, is_recorded, tales, violation};

use counterfoil_protocol::Actor;
use counterfoil_recording::RunError;
use std::path::PathBuf;

/// Why no run of the world can be made from recordings.
#[derive(Debug, thiserror::Error)]
pub enum NotJoined {
    /// A file or folder cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing to join.
    #[error("no recording is there: NAME.NUMBER.recording")]
    Nothing,
    /// There is nothing wrong to show.
    #[error("no property is violated in the recordings; there is nothing to minimise")]
    NotViolated,
    /// A recording cannot be rebuilt before the aim.
    #[error("{path} {source}", path = path.display())]
    NotRebuilt {
        /// Which.
        path: PathBuf,
        /// Why.
        source: RunError,
    },
    /// The recordings of an actor do not reach back to its first life.
    #[error(
        "what {0} did before its first recording here is not known: give the recordings of all its \
         lives"
    )]
    NoStart(Actor),
    /// Of an actor that others heard of there is no recording.
    #[error("there is no recording of {missing}, and {by} heard of it: give it too")]
    Missing {
        /// Who is missing.
        missing: Actor,
        /// Who heard of it.
        by: Actor,
    },
    /// The world cannot express what was recorded.
    #[error("{0}")]
    Unlike(String),
    /// An event cannot happen in the world when all before it has.
    #[error("step {step} of {path} cannot be taken in the world: {what}", path = path.display())]
    Stuck {
        /// The recording.
        path: PathBuf,
        /// The step.
        step: u64,
        /// What it is, and why not.
        what: String,
    },
    /// All was taken, and the property is not violated.
    #[error(
        "{property} is violated in the recordings, and not in the run of the world made of them"
    )]
    Holds {
        /// The property.
        property: String,
    },
}
