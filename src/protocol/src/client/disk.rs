//! What a client keeps on disk.

use crate::collections::Map;
use crate::id::{AttemptNumber, ClaimId, RequestId};
use crate::resources::Demand;
use serde::{Deserialize, Serialize};

/// What a client keeps on disk: its choices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disk {
    /// What was chosen for each request, and not seen to be gone.
    pub choices: Map<RequestId, Chosen>,
}

/// One write to the disk of a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// A choice is made, or is to be released.
    Choice(RequestId, Chosen),
    /// The choice is gone.
    Cleared(RequestId),
}

impl Disk {
    /// Writes one change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Choice(request, chosen) => {
                self.choices.insert(*request, chosen.clone());
            }
            Change::Cleared(request) => {
                self.choices.remove(request);
            }
        }
    }
}

/// A choice on disk, with what is needed to go on after a restart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Chosen {
    /// What was chosen.
    pub claim: ClaimId,
    /// Whether it is to be released.
    pub releasing: bool,
    /// What was wanted.
    pub demand: Demand,
    /// Attempts made so far.
    pub attempts_made: AttemptNumber,
}
