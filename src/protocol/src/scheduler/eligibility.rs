//! Which nodes can be chosen, by the cache alone.

use super::{Attempt, Peer, Presence, Scheduler};
use crate::config::Rule;
use crate::host_state::{HostState, Reason, Status};
use crate::id::{AttemptId, NodeId};
use crate::message::Refusal;
use crate::resources::Resources;

/// Whether a node can be chosen for an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// It can.
    Eligible,
    /// It is known that it cannot: a stamp, and a reason that is true of its host state then.
    Excluded(Refusal),
    /// Own reservations, or a refusal that the cache has not caught up with, are in the way; or the
    /// members of a group that it lacks may be under way. A reservation ends with news of its node,
    /// and a node without news is suspected; either way the attempt asks again.
    NotNow,
    /// Whether it could is unknown: no snapshot yet, suspected, or full.
    Unknown,
}

impl Scheduler {
    /// Whether `node` can be chosen for `attempt`, by the cache alone.
    pub fn eligibility(&self, attempt: &Attempt, node: NodeId) -> Eligibility {
        let Some(peer) = self.nodes.get(&node) else { return Eligibility::Unknown };
        let room = peer.room(self.config.limits.claims_open_max);
        let beside = || (room > 0).then(|| peer.set_aside());
        self.eligibility_beside(attempt, node, peer, beside)
    }

    /// The same with what is set aside there given by `beside`; `None` if no further claim may be made.
    pub(super) fn eligibility_beside(
        &self,
        attempt: &Attempt,
        node: NodeId,
        peer: &Peer,
        beside: impl FnOnce() -> Option<Resources>,
    ) -> Eligibility {
        let rules = self.config.rules;
        let Some(host) = &peer.host else { return Eligibility::Unknown };
        let mut state = &host.state;
        let relaxed;
        if rules.has(Rule::UnavailableNodesAreNotChosen) {
            match peer.presence {
                Presence::Present => {}
                Presence::Suspected => return Eligibility::Unknown,
                Presence::Departed(at) => {
                    return Eligibility::Excluded(Refusal { at, reason: Reason::Draining });
                }
            }
        } else {
            relaxed = HostState { status: Status::Up, ..state.clone() };
            state = &relaxed;
        }
        if let Some(refusal) = attempt.refusals.get(&node)
            && host.stamp < refusal.at
        {
            return match refusal.reason {
                Reason::OtherLife => Eligibility::NotNow,
                Reason::Full => Eligibility::Unknown,
                Reason::Draining
                | Reason::NoSuchClass(_)
                | Reason::Units(_)
                | Reason::Capacity(_)
                | Reason::Traits
                | Reason::Zone
                | Reason::Aggregates
                | Reason::AntiAffinity(_)
                | Reason::Affinity(_) => Eligibility::Excluded(refusal.clone()),
            };
        }
        if let Some(reason) = state.refuses(&attempt.demand, &Resources::default()) {
            let alone = matches!(reason, Reason::Affinity(_));
            if alone && peer.may_bring(state, &attempt.demand.near) {
                return Eligibility::NotNow;
            }
            return Eligibility::Excluded(Refusal { at: host.stamp, reason });
        }
        match beside() {
            Some(aside) if state.refuses(&attempt.demand, &aside).is_none() => {
                Eligibility::Eligible
            }
            Some(_) | None => Eligibility::NotNow,
        }
    }

    /// Whether the driver may choose `node` for `attempt`.
    pub fn eligible(&self, attempt: AttemptId, node: NodeId) -> bool {
        self.attempts
            .get(&attempt)
            .is_some_and(|attempt| self.eligibility(attempt, node) == Eligibility::Eligible)
    }
}
