//! A request, and how far it is.

use super::Chosen;
use crate::collections::{Map, Set};
use crate::id::{AttemptNumber, ClaimId, RequestId, SchedulerId};
use crate::machine::Output;
use crate::message::Outcome;
use crate::resources::Demand;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A request on record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// What is wanted.
    pub demand: Arc<Demand>,
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
    /// The bundle that it is of, itself included; empty if it is of none.
    pub bundle: Set<RequestId>,
}

/// How far a request is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A place is sought.
    Seeking,
    /// Of a bundle: this was placed, and for another member nothing is. Not on disk: after a restart
    /// it lapses.
    Held(ClaimId),
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
    pub(crate) fn new(demand: Arc<Demand>) -> Self {
        Request {
            demand,
            attempts_made: AttemptNumber::default(),
            choosing: false,
            open: Map::default(),
            phase: Phase::Seeking,
            unwanted: Set::default(),
            bundle: Set::default(),
        }
    }

    pub(crate) fn of_bundle(self, bundle: Set<RequestId>) -> Self {
        Request { bundle, ..self }
    }

    /// Whether nothing is sought or to be confirmed any more, nor stays confirmed.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Releasing(_) | Phase::Ended(_))
    }

    /// What is to be on disk while `claim` is chosen.
    pub(crate) fn chosen(&self, claim: ClaimId) -> Chosen {
        Chosen {
            claim,
            releasing: matches!(self.phase, Phase::Releasing(_)),
            demand: self.demand.clone(),
            attempts_made: self.attempts_made,
            bundle: self.bundle.clone(),
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
            Phase::Seeking | Phase::Held(_) | Phase::Confirmed(_) | Phase::Ended(_) => None,
        };
        choice.into_iter().chain(self.unwanted.iter().copied()).collect()
    }

    /// The claim that is held.
    pub(crate) fn held(&self) -> Option<ClaimId> {
        if let Phase::Held(claim) = self.phase { Some(claim) } else { None }
    }

    /// What the client waits for the node to say of `claim`.
    pub(crate) fn awaits(&self, claim: ClaimId) -> Option<Awaited> {
        if self.unwanted.contains(&claim) {
            return Some(Awaited::UnwantedRelease);
        }
        match self.phase {
            Phase::Confirming(choice) if choice == claim => Some(Awaited::Confirmation),
            Phase::Releasing(choice) if choice == claim => Some(Awaited::Release),
            Phase::Held(held) if held == claim => Some(Awaited::Nothing),
            Phase::Seeking
            | Phase::Held(_)
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
    /// It is held, and not asked about.
    Nothing,
}
