//! A request, and how far it is.

use crate::collections::{Map, Set};
use crate::id::{AttemptNumber, ClaimId, RequestId, SchedulerId};
use crate::machine::Output;
use crate::message::Outcome;
use crate::resources::Demand;
use serde::{Deserialize, Serialize};

/// A request on record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// What is wanted.
    pub demand: Demand,
    /// Attempts made so far.
    pub attempts_made: AttemptNumber,
    /// Whether the driver is choosing a scheduler for the last attempt.
    pub choosing: bool,
    /// Attempts without an answer, and where they were made.
    pub open: Map<AttemptNumber, SchedulerId>,
    /// How far it is.
    pub phase: Phase,
    /// What was placed beside the choice, and is being released.
    pub unwanted: Set<ClaimId>,
}

/// How far a request is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A place is sought.
    Seeking,
    /// This was chosen, and the node has not said yet that it is confirmed.
    Confirming(ClaimId),
    /// This was chosen, and is confirmed.
    Confirmed(ClaimId),
    /// This was chosen, and is being released.
    Releasing(ClaimId),
    /// It is over.
    Ended(Outcome),
}

impl Request {
    pub(crate) fn new(demand: Demand) -> Self {
        Request {
            demand,
            attempts_made: AttemptNumber::default(),
            choosing: false,
            open: Map::default(),
            phase: Phase::Seeking,
            unwanted: Set::default(),
        }
    }

    pub(crate) fn end(&mut self, id: RequestId, outcome: Outcome, outbox: &mut Vec<Output>) {
        self.choosing = false;
        self.phase = Phase::Ended(outcome.clone());
        outbox.push(Output::Ended(id, outcome));
    }

    /// The claims that the client waits for a node to say something of.
    pub(crate) fn awaited(&self) -> Vec<ClaimId> {
        let choice = match self.phase {
            Phase::Confirming(claim) | Phase::Releasing(claim) => Some(claim),
            Phase::Seeking | Phase::Confirmed(_) | Phase::Ended(_) => None,
        };
        choice.into_iter().chain(self.unwanted.iter().copied()).collect()
    }

    /// What the client waits for the node to say of `claim`.
    pub(crate) fn awaits(&self, claim: ClaimId) -> Option<Awaited> {
        if self.unwanted.contains(&claim) {
            return Some(Awaited::UnwantedRelease);
        }
        match self.phase {
            Phase::Confirming(choice) if choice == claim => Some(Awaited::Confirmation),
            Phase::Releasing(choice) if choice == claim => Some(Awaited::Release),
            Phase::Seeking
            | Phase::Confirming(_)
            | Phase::Confirmed(_)
            | Phase::Releasing(_)
            | Phase::Ended(_) => None,
        }
    }
}

/// What a client waits for a node to say of a claim.
#[derive(Clone, Copy)]
pub(crate) enum Awaited {
    Confirmation,
    Release,
    UnwantedRelease,
}
