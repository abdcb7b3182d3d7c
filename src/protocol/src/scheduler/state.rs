//! What a scheduler knows, and works on.

use crate::collections::{Map, Set};
use crate::host_state::HostState;
use crate::id::{AttemptId, ClaimNumber, ClientId, Incarnation, NodeId, Stamp, Turn};
use crate::message::Refusal;
use crate::resources::{Demand, GroupId, ResourceClass, Resources};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a scheduler keeps on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disk {
    /// The life that was started last; 0 before the first.
    pub incarnation: Incarnation,
}

/// One write to the disk of a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// A life starts.
    Life(Incarnation),
}

impl Disk {
    /// Writes one change.
    pub fn apply(&mut self, change: &Change) {
        let Change::Life(incarnation) = change;
        self.incarnation = *incarnation;
    }
}

/// What a scheduler knows of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// The last state that the node is known to have had; `None` until the first snapshot.
    pub host: Option<Host>,
    /// Whether it is thought to be there.
    pub presence: Presence,
    /// The number of the next claim on it.
    pub next: ClaimNumber,
    /// Own claims that are open, or granted and not covered by the cached stamp: each is set aside
    /// from what is free.
    pub claims: Map<ClaimNumber, Reservation>,
}

/// The last state that a node is known to have had.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Host {
    /// When.
    pub stamp: Stamp,
    /// The state.
    pub state: HostState,
}

/// Whether a node is thought to be there. It stands beside the host state, not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is.
    #[default]
    Present,
    /// It has been silent for long. Anything it says clears this.
    Suspected,
    /// It said that it leaves, at this stamp. A later life clears this.
    Departed(Stamp),
}

/// A scheduler's deduction for one of its own claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reservation {
    /// For which attempt. It may be closed already.
    pub attempt: AttemptId,
    /// The life of the node that the claim is meant for.
    pub node_life: Incarnation,
    /// What was claimed.
    pub demand: Arc<Demand>,
    /// The stamp from which on the host state contains it; `None` while there is no verdict.
    pub granted: Option<Stamp>,
}

/// An attempt that is being worked on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// Who waits for the answer.
    pub client: ClientId,
    /// What is wanted.
    pub demand: Arc<Demand>,
    /// What it waits for.
    pub phase: Phase,
    /// Claims made so far.
    pub claims_made: u32,
    /// The last refusal of each node.
    pub refusals: Map<NodeId, Refusal>,
}

/// What an attempt waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The driver is choosing a node.
    Choosing,
    /// No node could be chosen, but one may be once the scheduler knows more.
    Waiting(Turn),
    /// It waited, and the driver is choosing a node, because this one may do now.
    ChoosingAgain(Turn, NodeId),
    /// The verdict on this claim.
    Claiming(NodeId, ClaimNumber),
}

impl Phase {
    /// Whether the driver is choosing a node.
    pub fn chooses(self) -> bool {
        matches!(self, Phase::Choosing | Phase::ChoosingAgain(..))
    }

    /// The same with another place among those that wait, if it has one.
    pub(crate) fn with_turn(self, turn: Turn) -> Phase {
        match self {
            Phase::Waiting(_) => Phase::Waiting(turn),
            Phase::ChoosingAgain(_, node) => Phase::ChoosingAgain(turn, node),
            Phase::Choosing | Phase::Claiming(..) => self,
        }
    }

    /// Its place among those that wait: it keeps that until it claims or is answered.
    pub fn turn(self) -> Option<Turn> {
        match self {
            Phase::Waiting(turn) | Phase::ChoosingAgain(turn, _) => Some(turn),
            Phase::Choosing | Phase::Claiming(..) => None,
        }
    }
}

/// See [`Peer::standing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    stamp: Option<Stamp>,
    presence: Presence,
    claims: usize,
    room: u64,
}

impl Attempt {
    /// Whether it waits for the verdict on this claim. The claim of an earlier attempt of the same name
    /// may still be open after its connection broke.
    pub(crate) fn waits_for(&self, node: NodeId, number: ClaimNumber) -> bool {
        self.phase == Phase::Claiming(node, number)
    }
}

impl Peer {
    /// The lowest claim number that is still open; the next one if none is.
    pub fn floor(&self) -> ClaimNumber {
        let open = self.claims.iter().find(|(_, reservation)| reservation.granted.is_none());
        open.map_or(self.next, |(number, _)| *number)
    }

    /// How many more claims may be made before one of its own is decided and covered.
    pub(crate) fn room(&self, claims_open_max: u64) -> u64 {
        let open = self.next.0 - self.floor().0;
        claims_open_max.saturating_sub(open.max(self.claims.len() as u64))
    }

    /// What decides whether an attempt may claim here, but for the attempt itself: if it is the same
    /// as before, so is the eligibility of the node for every attempt.
    pub(crate) fn standing(&self, claims_open_max: u64) -> Standing {
        let stamp = self.host.as_ref().map(|host| host.stamp);
        let room = self.room(claims_open_max);
        Standing { stamp, presence: self.presence, claims: self.claims.len(), room }
    }

    /// The sum of all reservations.
    pub fn set_aside(&self) -> Resources {
        Resources::sum(self.claims.values().map(|reservation| &reservation.demand.resources))
    }

    /// Whether every group of `near` that has no member in `state` is joined by an own claim: once
    /// these are granted, the node may do.
    pub(crate) fn may_bring(&self, state: &HostState, near: &Set<GroupId>) -> bool {
        let set_aside = self.set_aside();
        near.iter()
            .map(|group| ResourceClass::Group(*group))
            .all(|class| state.used.get(&class) > 0 || set_aside.get(&class) > 0)
    }

    /// Ends the reservations whose grant the cached stamp covers; whether none is left that is
    /// granted.
    pub(crate) fn drop_covered(&mut self) -> bool {
        let cached = self.host.as_ref().map(|host| host.stamp);
        let granted = self.claims.iter().filter_map(|(number, r)| Some((*number, r.granted?)));
        let covered: Vec<_> = granted.filter(|(_, at)| Some(*at) <= cached).collect();
        for (number, _) in covered {
            self.claims.remove(&number);
        }
        self.claims.values().all(|reservation| reservation.granted.is_none())
    }
}
