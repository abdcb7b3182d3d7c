//! What must be true of the designs, by the names that it has for the update/claim protocol where it
//! means the same. What speaks of stamps says nothing where there are none.

mod live;
mod step;

use crate::Amounts;
use crate::message::Notice;
use crate::protocol::Seed;
use counterfoil_properties::Violation;
use counterfoil_protocol::{Actor, Map, NodeId, RequestId, SchedulerId, Set};
use counterfoil_world::protocol::{Coverage, Observed, Property};
use serde::{Deserialize, Serialize};

pub(crate) use live::goal;

/// The safety properties.
pub const SAFETY: [Property; 9] = [
    Property {
        name: "no_overcommit",
        statement: "Whoever has the last word gives out no more of a node than its operator allows \
                    at that moment.",
    },
    Property {
        name: "one_placement_per_request",
        statement: "An instance runs on at most one node.",
    },
    Property {
        name: "counts_once",
        statement: "With an instance that a node accepts, what it publishes as used grows as what it \
                    really uses does.",
    },
    Property { name: "no_exception", statement: "No exception escapes a machine." },
    Property {
        name: "no_claim_to_unavailable",
        statement: "A scheduler places nothing on a node that was not in service when the scheduler \
                    last read the services.",
    },
    Property {
        name: "no_claim_against_known_refusal",
        statement: "A scheduler does not send a node what the node has rejected from that scheduler, \
                    as long as its view of the node is the same.",
    },
    Property {
        name: "verdicts_are_true",
        statement: "A reply that ends a claim of a scheduler is to that claim.",
    },
    Property {
        name: "answers_are_true",
        statement: "No valid host is not answered only because of what is set aside for instances that \
                    nobody builds.",
    },
    Property {
        name: "known_losses_are_mended",
        statement: "A scheduler that can tell that its view of a node is wrong asks for all of the \
                    state, and places nothing there before that comes.",
    },
];

/// The liveness properties.
pub const LIVENESS: [Property; 4] = [
    Property {
        name: "convergence",
        statement: "Once faults and outside inputs stop, what every scheduler keeps of every node in \
                    service becomes and stays what that node really uses and may.",
    },
    Property {
        name: "every_request_ends",
        statement: "Once faults and outside inputs stop, every instance becomes active, failed or \
                    deleted.",
    },
    Property {
        name: "no_leak",
        statement: "Once faults and outside inputs stop, nothing is set aside, allocated or run for an \
                    instance that is not active there.",
    },
    Property {
        name: "gaps_close",
        statement: "Once faults and outside inputs stop, no scheduler goes on waiting for a message that \
                    it knows to be missing.",
    },
];

/// What truly happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct History {
    /// By instance: the nodes that run it.
    pub runs: Map<RequestId, Set<NodeId>>,
    /// By scheduler: the nodes that were not in service when it last read.
    pub unavailable: Map<SchedulerId, Set<NodeId>>,
    /// By scheduler and node: what the node rejected last, and the view then.
    pub rejected: Map<(SchedulerId, NodeId), Rejected>,
    /// By scheduler and node: the instances that it selected the node for and that nobody builds.
    pub dead: Map<(SchedulerId, NodeId), Set<RequestId>>,
    /// The schedulers that could tell that their view of a node is wrong, since when they have not had
    /// all of its state.
    pub lost: Set<(SchedulerId, NodeId)>,
}

/// What was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rejected {
    /// How much.
    pub amounts: Amounts,
    /// What is used in the view of the scheduler once it has given that back.
    pub used: Amounts,
}

impl History {
    /// Forgets what only mattered to a life that is over.
    pub(crate) fn ended(&mut self, actor: Actor) {
        let Actor::Scheduler(scheduler) = actor else { return };
        self.unavailable.remove(&scheduler);
        let other = |key: &(SchedulerId, NodeId)| key.0 != scheduler;
        self.rejected = self
            .rejected
            .iter()
            .filter(|(key, _)| other(key))
            .map(|(k, v)| (*k, v.clone()))
            .collect();
        self.dead =
            self.dead.iter().filter(|(key, _)| other(key)).map(|(k, v)| (*k, v.clone())).collect();
        self.lost = self.lost.iter().filter(|key| other(key)).copied().collect();
    }
}

/// Takes note of a step and judges every safety property at it.
pub(crate) fn observe(
    step: &Observed<'_, Seed>,
    history: &mut History,
    coverage: Option<&mut Coverage<Notice>>,
) -> Vec<(usize, Violation)> {
    let judged = step::judge(step, history);
    step::note(step, history);
    if let Some(coverage) = coverage {
        coverage.steps += 1;
        for (premise, judged) in coverage.premises.iter_mut().zip(&judged) {
            *premise += u64::from(judged.is_some());
        }
        for notice in step::notices(step.outputs) {
            *coverage.arms.entry(notice).or_default() += 1;
        }
    }
    let violated = judged.into_iter().enumerate();
    violated.filter_map(|(index, judged)| Some((index, judged?.err()?))).collect()
}
