//! Every grant, found by its claim and by its request.

use super::Grant;
use counterfoil_protocol::{ClaimId, Map, RequestId, Set};
use serde::{Deserialize, Serialize};
use std::ops::Deref;

/// Every grant, by claim.
///
/// A grant is judged beside the others to its request. To look for those among all each time would
/// cost, in a recording, as much as there ever were. Which claims are of a request follows from the
/// grants, and has no place in their serialised form.
///
/// # Invariants
/// The claims of a request are those of the grants to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Map<ClaimId, Grant>", into = "Map<ClaimId, Grant>")]
pub struct Grants {
    by_claim: Map<ClaimId, Grant>,
    by_request: Map<RequestId, Set<ClaimId>>,
}

impl Grants {
    /// Puts in the grant of a claim that has none.
    pub(super) fn insert(&mut self, claim: ClaimId, grant: Grant) {
        self.by_request.entry(grant.request).or_default().insert(claim);
        self.by_claim.insert(claim, grant);
    }

    /// Changes the grant of a claim, if it has one, but for its request.
    pub(super) fn change(&mut self, claim: &ClaimId, how: impl FnOnce(&mut Grant)) {
        if let Some(grant) = self.by_claim.get_mut(claim) {
            how(grant);
        }
    }

    /// The grants to `request`, in the order of their claims.
    pub fn to(&self, request: RequestId) -> impl Iterator<Item = (&ClaimId, &Grant)> {
        let claims = self.by_request.get(&request).into_iter().flat_map(|claims| claims.iter());
        claims.filter_map(|claim| self.by_claim.get_key_value(claim))
    }
}

impl Deref for Grants {
    type Target = Map<ClaimId, Grant>;
    fn deref(&self) -> &Self::Target {
        &self.by_claim
    }
}

impl From<Map<ClaimId, Grant>> for Grants {
    fn from(by_claim: Map<ClaimId, Grant>) -> Self {
        let mut grants = Grants::default();
        for (claim, grant) in by_claim.iter() {
            grants.insert(*claim, grant.clone());
        }
        grants
    }
}

impl From<Grants> for Map<ClaimId, Grant> {
    fn from(grants: Grants) -> Self {
        grants.by_claim
    }
}
