//! What a node keeps on disk.

use super::Allocations;
use crate::host_state::Status;
use crate::id::{ClaimId, Incarnation, RequestId, Stamp};
use crate::message::Decision;
use crate::resources::{Demand, Inventory, Resources};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a node keeps on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disk {
    /// The life that was started last; 0 before the first.
    pub incarnation: Incarnation,
    /// What the node has.
    pub inventory: Inventory,
    /// Whether it takes new claims.
    pub status: Status,
    /// What was granted and is not over.
    pub allocations: Allocations,
}

/// One write to the disk of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// A life starts.
    Life(Incarnation),
    /// The inventory is another.
    Inventory(Inventory),
    /// The status is another.
    Status(Status),
    /// An allocation is made, or changes its state.
    Allocation(ClaimId, Allocation),
    /// An allocation is over.
    End(ClaimId),
}

impl Disk {
    /// A disk on which only the inventory was written, before the first life.
    pub fn new(inventory: Inventory) -> Self {
        Disk { inventory, ..Disk::default() }
    }

    /// Writes one change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Life(incarnation) => self.incarnation = *incarnation,
            Change::Inventory(inventory) => self.inventory = inventory.clone(),
            Change::Status(status) => self.status = *status,
            Change::Allocation(claim, allocation) => {
                self.allocations.insert(*claim, allocation.clone());
            }
            Change::End(claim) => {
                self.allocations.remove(claim);
            }
        }
    }

    /// The sum of all allocations.
    pub fn used(&self) -> Resources {
        self.allocations.used().clone()
    }
}

/// A demand granted on this node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Allocation {
    /// On whose behalf.
    pub request: RequestId,
    /// What was granted.
    pub demand: Arc<Demand>,
    /// From this stamp on the host state contains it.
    pub at: Stamp,
    /// Whether its client has confirmed it.
    pub state: AllocationState,
}

/// Whether an allocation is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationState {
    /// Granted; it lapses if nobody confirms it.
    Held,
    /// Only its client ends it.
    Confirmed,
}

impl Allocation {
    /// What the node says of it.
    pub(crate) fn decision(&self) -> Decision {
        match self.state {
            AllocationState::Held => Decision::Granted { at: self.at },
            AllocationState::Confirmed => Decision::Confirmed { at: self.at },
        }
    }
}
