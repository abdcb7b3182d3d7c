//! Everything that is said. What each message means, who sends it, and what its loss or copy does.

use crate::collections::Map;
use crate::host_state::{Changes, HostState, Reason};
use crate::id::{
    Address, AttemptId, ClaimId, ClaimNumber, Incarnation, NodeId, RequestId, Stamp, Version,
};
use crate::resources::Demand;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One message between nodes, schedulers and, for confirm and release, clients. It may be lost,
/// copied, reordered and delayed without bound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Datagram {
    /// Who sends it, in which of its lives.
    pub src: Address,
    /// Who is to have it and, where the sender knows, in which of its lives. A scheduler ignores
    /// what is meant for another of its lives. A node does so with nothing: it tells another life's
    /// claim what is on disk and otherwise refuses it, and reads no life in confirm, release and
    /// resync.
    pub dst: Address,
    /// What it says.
    pub body: Body,
}

/// What a datagram says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Body {
    /// Scheduler to node, when a node was chosen: may I have this? `dst` names the life of the node
    /// that it is meant for; the crate documentation says in which order a node answers. Answered
    /// by a verdict, by [`Body::Superseded`], or not at all if nobody can be waiting. If it or its
    /// answer is lost, it is sent again until there is one. A copy gets the same verdict, or none,
    /// or a later one: that the allocation is confirmed by now, or gone.
    Claim(Claim),
    /// Node to whoever sent a claim, confirm or release, as soon as that arrives and what it
    /// decides is on disk. Not answered. If it is lost, the sender asks again. A copy has no
    /// effect.
    Verdict(Verdict),
    /// Client to node, once the choice is on disk: this one runs. Acts on the allocation if it
    /// exists, in whatever life of the node. Answered by the verdict confirmed or gone; if either
    /// is lost, it is sent again. A copy gets the same verdict, or gone once it is released.
    Confirm(ClaimId),
    /// Client to node, when its user gives the request up, or for what was placed beside a choice:
    /// I do not want it. Acts on the allocation if it exists, in whatever life of the node.
    /// Answered by the verdict gone; if either is lost, it is sent again. A copy gets the same
    /// verdict.
    Release(ClaimId),
    /// Node to each subscriber, soon after a change; and as a beat when there was none for a while.
    /// Also to one scheduler, as the answer to its resync. Not answered, unless it shows a gap:
    /// then by a resync. A lost one shows as a gap, at the latest at the next beat. A copy is
    /// stale.
    Delta(Delta),
    /// Node to one scheduler, as the answer to its resync, and to each subscriber when the log of
    /// changes does not reach back to the last announcement. Not answered. If it is lost, the
    /// scheduler asks again. A copy is stale.
    Snapshot(Snapshot),
    /// Scheduler to node: subscription, heartbeat and "what do I miss" in one. Sent when the node
    /// is met, at every beat, and when something shows that something is missing. Answered by a
    /// delta, a beat, a snapshot or [`Body::Superseded`]; by nothing if the node has no room for
    /// another subscriber. If it or its answer is lost, the next one makes up for it; a copy is
    /// harmless.
    Resync(Resync),
    /// Node to each subscriber, when it is ordered to go and has drained: I go. Not answered. If it
    /// is lost, silence says it later. A copy says it again, or is stale.
    Leave(Leave),
    /// Node to an older life of a scheduler that sent a claim or resync: a later one is known. The
    /// older life stops, and answers nothing. If it is lost, the next claim or resync gets another.
    /// A copy finds it stopped.
    Superseded {
        /// The later life.
        by: Incarnation,
    },
}

/// May I have this?
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Names the claim, for ever.
    pub claim: ClaimId,
    /// On whose behalf.
    pub request: RequestId,
    /// What is wanted.
    pub demand: Arc<Demand>,
    /// The lowest number that is still open at this node; the node need remember nothing below.
    pub floor: ClaimNumber,
}

/// What a node says of a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Verdict {
    /// The claim.
    pub claim: ClaimId,
    /// What became of it.
    pub decision: Decision,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Decision {
    /// It was granted and is held, until it is confirmed or lapses.
    Granted {
        /// From this stamp on the host state contains it.
        at: Stamp,
    },
    /// It was granted, and its client has confirmed it.
    Confirmed {
        /// From this stamp on the host state contains it.
        at: Stamp,
    },
    /// There is no such allocation and, since no claim is granted twice, never will be again.
    /// Final.
    Gone,
    /// It was refused, and this claim will never be granted.
    Refused(Refusal),
}

/// Why and when a node refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// The stamp of the host state that it refused by.
    pub at: Stamp,
    /// Why. True of that host state if [`Reason::is_of_host_state`].
    pub reason: Reason,
}

/// What changed in (`from`, `to`] of the sender's life. With from = to it is a beat: nothing
/// changed, and this is the stamp.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Delta {
    /// The version that it follows.
    pub from: Version,
    /// The version that it leads to.
    pub to: Version,
    /// Every field touched in between, with its value at `to`.
    pub changes: Changes,
}

/// Everything, at one version of the sender's life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version.
    pub at: Version,
    /// The host state at that version.
    pub state: HostState,
}

/// This is what I have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resync {
    /// The stamp in the scheduler's cache, if there is one.
    pub have: Option<Stamp>,
}

/// I have drained, and go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Leave {
    /// The last version of the sender's life. Its status is draining.
    pub at: Version,
}

/// Client to scheduler, over a connection, once a scheduler was chosen for an attempt: find a
/// place. Answered by an [`Answer`]. It arrives once, for there are no copies; or, if the
/// connection breaks, perhaps not at all, and then the client makes a new attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Which attempt of which request.
    pub attempt: AttemptId,
    /// What is wanted.
    pub demand: Arc<Demand>,
}

/// Scheduler to client, over the same connection, as soon as it is known: what came of an attempt.
/// Not answered: the client turns to the node. If the connection breaks it is lost, and what was
/// placed lapses; there are no copies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Answer {
    /// The attempt.
    pub attempt: AttemptId,
    /// What came of it.
    pub placement: Placement,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Placement {
    /// The node of this claim holds it for you, until you confirm it or it lapses.
    Placed(ClaimId),
    /// No node known can take it: for each, a stamp and a reason that is true of its host state at
    /// that stamp, the scheduler's own reservations left out.
    NoValidHost(Map<NodeId, Refusal>),
    /// No node can be chosen now, but one may be that this scheduler cannot judge: try elsewhere or
    /// later.
    Unavailable,
    /// The claims of this attempt are used up: try again.
    Exhausted,
    /// The scheduler has too many attempts to work on: try elsewhere or later.
    Overloaded,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It runs: its client confirmed this allocation.
    Confirmed(ClaimId),
    /// A scheduler said that no node known to it can take it.
    NoValidHost(Map<NodeId, Refusal>),
    /// As many attempts failed as a request may make.
    Exhausted,
    /// Its client released it, or gave it up.
    Released,
    /// The client has too many requests on record.
    Overloaded,
}
