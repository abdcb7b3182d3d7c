//! Traces read from files, run again, and written as something to look at.

use crate::story::Story;
use counterfoil_seed::{Task, with};
use counterfoil_world::trace::protocol_of;
use counterfoil_world::{Outcome, Protocol, Trace, TraceError, replay};
use std::path::{Path, PathBuf};

/// A trace that was read and run again.
#[derive(Clone, Debug)]
pub struct Told {
    /// What there is to show of it.
    pub story: Story,
    /// If the run does not go as it is written: at which step and how.
    pub diverged: Option<String>,
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A trace cannot be read.
    #[error(transparent)]
    Unreadable(#[from] TraceError),
    /// A folder cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no trace in a folder.
    #[error("{path}: has no trace in it: no file NAME{SUFFIX}")]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("{path}: cannot be written: {source}")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What the names of trace files end with.
pub(crate) const SUFFIX: &str = ".itf.json";

impl Trouble {
    /// Whether what was asked for is no trace, rather than that nothing could be written.
    pub fn is_about_input(&self) -> bool {
        match self {
            Trouble::Unreadable(_) | Trouble::Folder { .. } | Trouble::Empty { .. } => true,
            Trouble::Unwritable { .. } => false,
        }
    }
}

/// Reads a trace and runs it again.
pub fn tell(file: &Path) -> Result<Told, Trouble> {
    struct Telling<'a>(&'a Path);
    impl Task for Telling<'_> {
        type Outcome = Result<Told, TraceError>;

        fn with<P: Protocol>(self) -> Self::Outcome {
            let trace: Trace<P> = Trace::load(self.0)?;
            let replay = replay(&trace);
            let name = self.0.file_name().unwrap_or_default().to_string_lossy();
            let name = name.strip_suffix(SUFFIX).unwrap_or(&name);
            let diverged = match &replay.outcome {
                Outcome::Diverged(divergence) => Some(divergence.to_string()),
                Outcome::Holds { .. } | Outcome::Violated { .. } => None,
            };
            Ok(Told { story: Story::of(name, &trace, &replay), diverged })
        }
    }
    Ok(with(protocol_of(file)?, Telling(file))?)
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    std::fs::write(path, text)
        .map_err(|source| Trouble::Unwritable { path: path.to_owned(), source })
}
