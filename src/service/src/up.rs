//! A cluster on this machine: schedulers and nodes as processes of their own.
//!
//! [`trial`] places a workload, stops everything, and judges what was recorded. [`live`] goes on
//! until it is asked to stop, and starts again what dies.

mod children;
mod cluster;
mod live;
mod placing;
mod report;
mod trial;

pub use children::ChildError;
pub use cluster::Size;
pub use live::live;
pub use report::Report;
pub use trial::{Trial, trial};

use crate::driver::DriverError;
use crate::remote::{NoAnswer, RemoteError};
use crate::store::StoreError;
use std::io;
use std::path::PathBuf;

/// Why a cluster came to no result.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// A folder cannot be made or read.
    #[error("the folder {path:?} cannot be used")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder to keep everything in has something in it.
    #[error("the folder {0:?} is not empty")]
    NotEmpty(PathBuf),
    /// The folder to keep everything in is of another cluster.
    #[error("the folder {path:?} holds {found}, not {wanted}: say so, or name another folder")]
    Other {
        /// Which.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// A process is not there.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The store of the client cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client cannot go on.
    #[error("the client cannot go on")]
    Client(#[from] DriverError),
    /// The schedulers cannot be spoken to.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A scheduler refuses what it is asked.
    #[error(transparent)]
    Refused(#[from] NoAnswer),
    /// The system does not play along.
    #[error("the system refused a thread or a signal")]
    System(#[from] io::Error),
    /// It was asked to stop.
    #[error("stopped before the end")]
    Stopped,
}
