//! What can come of a trace on the cluster.

use counterfoil_service::driver::DriverError;
use std::fmt;

/// What came of a trace on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driven {
    /// After every step everything was as in the trace.
    Same {
        /// How many steps there were.
        steps: usize,
        /// How many processes were started in all.
        started: usize,
    },
    /// After this step something was not; 0 is the start.
    Unlike {
        /// The step.
        step: usize,
        /// What differs, and how.
        what: String,
    },
    /// This step cannot happen to the service.
    CannotHappen {
        /// The step.
        step: usize,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Driven::Same { steps, started } => write!(
                f,
                "{steps} steps on the cluster: {started} processes with their stores, and after each \
                 step every machine is what it is in the trace"
            ),
            Driven::Unlike { step, what } => {
                write!(f, "the cluster diverged after step {step}: {what}")
            }
            Driven::CannotHappen { step, why } => {
                write!(f, "step {step} cannot happen on the cluster: {why}")
            }
        }
    }
}

/// Why a trace could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A driver gave up.
    #[error("a driver cannot go on")]
    Driver(#[from] DriverError),
    /// There is no room for the stores.
    #[error("no folder for the stores: {0}")]
    Folder(#[from] std::io::Error),
}

/// Why a step was not taken as in the trace.
pub(super) enum Stop {
    Unlike(String),
    CannotHappen(String),
    Failed(ClusterError),
}

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Stop::Failed(error.into())
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Stop::Failed(error.into())
    }
}
