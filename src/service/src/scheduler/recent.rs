//! What a scheduler has decided of late, for operators. Nothing depends on it.

use counterfoil_placement::{Exclusions, Index};
use counterfoil_protocol::{Answer, AttemptId, ClaimId, ClientId, Placement};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Decisions that are kept.
pub const RECENT_MAX: usize = 100;

/// One decision.
#[derive(Clone, Debug)]
pub struct Decision {
    /// On which attempt of which request.
    pub attempt: AttemptId,
    /// What was decided.
    pub decided: Decided,
    /// Nodes that were asked: each but the last said no, or nothing.
    pub claims: u32,
    /// From the call to the answer.
    pub took: Duration,
}

/// What was decided. As [`Placement`], but of a size that does not depend on how many nodes there
/// are.
#[derive(Clone, Debug)]
pub enum Decided {
    /// The node of this claim holds it.
    Placed(ClaimId),
    /// No node can take it, and why.
    NoValidHost(Exclusions),
    /// No node could be chosen then.
    Unavailable,
    /// As many nodes were asked as may be.
    Exhausted,
    /// There was too much to do.
    Overloaded,
}

/// The calls that are open, and the last decisions.
#[derive(Default)]
pub(super) struct Recent {
    open: BTreeMap<(ClientId, AttemptId), Open>,
    last: VecDeque<Decision>,
}

struct Open {
    since: Instant,
    claims: u32,
}

impl Recent {
    /// A client calls.
    pub(super) fn on_call(&mut self, client: ClientId, attempt: AttemptId) {
        self.open.insert((client, attempt), Open { since: Instant::now(), claims: 0 });
    }

    /// A node was chosen for an attempt of this client.
    pub(super) fn on_chosen(&mut self, client: ClientId, attempt: AttemptId) {
        if let Some(open) = self.open.get_mut(&(client, attempt)) {
            open.claims += 1;
        }
    }

    /// A call was answered.
    pub(super) fn on_answer(&mut self, client: ClientId, answer: &Answer, index: &Index) {
        let Answer { attempt, placement } = answer;
        let Some(open) = self.open.remove(&(client, *attempt)) else { return };
        let decided = match placement {
            Placement::Placed(claim) => Decided::Placed(*claim),
            Placement::NoValidHost(refusals) => Decided::NoValidHost(index.why_not(refusals)),
            Placement::Unavailable => Decided::Unavailable,
            Placement::Exhausted => Decided::Exhausted,
            Placement::Overloaded => Decided::Overloaded,
        };
        let (claims, took) = (open.claims, open.since.elapsed());
        if self.last.len() >= RECENT_MAX {
            self.last.pop_front();
        }
        self.last.push_back(Decision { attempt: *attempt, decided, claims, took });
    }

    /// The connection of a client is over; whether a call of it was open.
    pub(super) fn on_over(&mut self, client: ClientId) -> bool {
        let first = AttemptId { request: Default::default(), number: Default::default() };
        let of_client = self.open.range((client, first)..).map(|(key, _)| *key);
        let of_client: Vec<_> = of_client.take_while(|(of, _)| *of == client).collect();
        for key in &of_client {
            self.open.remove(key);
        }
        !of_client.is_empty()
    }

    /// The last decisions, the latest first.
    pub(super) fn decisions(&self) -> Vec<Decision> {
        self.last.iter().rev().cloned().collect()
    }
}
