//! The designs of 2016 and this project's, on the same requests and the same nodes.
//!
//! A comparison is a grid of cells ([`grid`]); each is measured in one of two settings: threads with
//! queues between them ([`model`]), or processes over UDP ([`udp`]). The loops that drive the parts
//! ([`drive`]), the load that stands before each scheduler ([`conductor`]), what is counted ([`tally`])
//! and the row that comes of it ([`cell`]) are the same for all designs.

pub mod cell;
pub mod conductor;
pub mod drive;
pub mod findings;
pub mod grid;
pub mod kept;
pub mod model;
mod page;
mod parts;
pub mod preloaded;
pub mod report;
mod service;
pub mod spec;
pub mod tally;
pub mod transport;
pub mod udp;

pub use page::page;
pub use parts::mixes;

use crate::baselines::PartError;
use crate::baselines::database::DatabaseError;
use crate::workload::ReadError;
use cell::Cell;
use spec::{Setting, Spec};
use std::io;
use std::path::PathBuf;

/// Why a comparison cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A part cannot start or go on.
    #[error(transparent)]
    Part(#[from] PartError),
    /// The system refuses something.
    #[error("the system refused a thread, a process or a folder")]
    System(#[from] io::Error),
    /// Another process of the comparison failed.
    #[error("{part} failed: {said}")]
    Process {
        /// Which.
        part: String,
        /// What it said.
        said: String,
    },
    /// The workload or the nodes cannot be read.
    #[error(transparent)]
    Workload(#[from] ReadError),
    /// What was kept cannot be read or written.
    #[error("cannot keep the cells in {path:?}")]
    Keep {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was kept is no comparison.
    #[error("{path:?} has no comparison to go on with: {reason}")]
    NotKept {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What was kept was measured otherwise.
    #[error(
        "{path:?} was measured otherwise ({differs}): go on with the same options, or name another \
         file"
    )]
    Otherwise {
        /// Where.
        path: PathBuf,
        /// What differs.
        differs: String,
    },
}

impl CompareError {
    /// Whether it was asked for what cannot be.
    pub fn is_usage(&self) -> bool {
        matches!(self, CompareError::Otherwise { .. })
    }

    /// Whether a file has not the form that it should have.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, CompareError::NotKept { .. } | CompareError::Workload(_))
    }
}

impl From<DatabaseError> for CompareError {
    fn from(error: DatabaseError) -> CompareError {
        CompareError::Part(error.into())
    }
}

/// Measures a cell; the rows of its designs.
///
/// # Errors
/// If a part cannot start or go on.
pub fn measure(spec: &Spec, interrupted: &dyn Fn() -> bool) -> Result<Vec<Cell>, CompareError> {
    let folder = tempfile::tempdir()?;
    match spec.setting {
        Setting::Model => model::measure(spec, folder.path(), interrupted),
        Setting::Udp => udp::measure(spec, folder.path(), interrupted),
    }
}
