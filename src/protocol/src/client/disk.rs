//! What a client keeps on disk.

use crate::collections::{Map, Set};
use crate::id::{AttemptNumber, ClaimId, RequestId};
use crate::resources::Demand;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    /// Choices for members of bundles are made, or are to be released: all of them or, if the write
    /// fails, none.
    Choices(Map<RequestId, Chosen>),
    /// The choice is gone.
    Cleared(RequestId),
}

impl Disk {
    /// The choices of bundles that are not there whole, as they are to be released.
    pub(crate) fn broken_bundles(&self) -> Map<RequestId, Chosen> {
        let stands = |member: &RequestId, chosen: &Chosen| {
            let other = self.choices.get(member);
            other.is_some_and(|other| other.bundle == chosen.bundle && !other.releasing)
        };
        let of_bundles = self.choices.iter().filter(|(_, chosen)| !chosen.releasing);
        let broken = of_bundles.filter(|(_, c)| !c.bundle.iter().all(|member| stands(member, c)));
        broken.map(|(id, c)| (*id, Chosen { releasing: true, ..c.clone() })).collect()
    }

    /// Writes one change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Choice(request, chosen) => {
                self.choices.insert(*request, chosen.clone());
            }
            Change::Choices(choices) => {
                for (request, chosen) in choices.iter() {
                    self.choices.insert(*request, chosen.clone());
                }
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
    pub demand: Arc<Demand>,
    /// Attempts made so far.
    pub attempts_made: AttemptNumber,
    /// The bundle that the request is of; empty if it is of none.
    pub bundle: Set<RequestId>,
}
