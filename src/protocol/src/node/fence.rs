//! What a node decided about claims that may still arrive.

use crate::collections::Map;
use crate::id::{ClaimNumber, Incarnation};
use crate::message::Refusal;
use serde::{Deserialize, Serialize};

/// What a node decided about the claims of one life of one scheduler, from the floor up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The life of the scheduler.
    pub incarnation: Incarnation,
    /// Below this no verdict is waited for.
    pub floor: ClaimNumber,
    /// What was decided: granted (`None`), or refused.
    pub decided: Map<ClaimNumber, Option<Refusal>>,
}

impl Fence {
    /// Raises the floor and notes what was decided about `number`.
    pub(crate) fn decide(
        &mut self,
        floor: ClaimNumber,
        number: ClaimNumber,
        refusal: Option<Refusal>,
    ) {
        self.floor = self.floor.max(floor);
        let below: Vec<ClaimNumber> =
            self.decided.keys().copied().take_while(|decided| *decided < self.floor).collect();
        for decided in below {
            self.decided.remove(&decided);
        }
        self.decided.insert(number, refusal);
    }
}
