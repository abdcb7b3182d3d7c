//! Safety of nodes.

use crate::{Check, Grant, History, Process, Step, Violation, all, history::Ended, path, within};
use counterfoil_protocol::node::{self, AllocationState, Node};
use counterfoil_protocol::{Actor, Body, ClaimId, Datagram, Output, Record};
use std::collections::BTreeSet;

/// The allocations that this step wrote, if it is a node's.
fn allocations<'a>(
    step: &Step<'a>,
) -> impl Iterator<Item = (&'a Node, ClaimId, &'a node::Allocation)> {
    let outputs = step.outputs;
    let of_node = match step.process {
        Process::Node { before, after, .. } => Some((before, after)),
        Process::Scheduler { .. } | Process::Client { .. } => None,
    };
    of_node.into_iter().flat_map(move |(_, after)| {
        outputs.iter().filter_map(move |output| match output {
            Output::Persist(Record::Node(node::Change::Allocation(claim, allocation))) => {
                Some((after, *claim, allocation))
            }
            Output::Persist(_)
            | Output::Send(_)
            | Output::Call(..)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Ended(..)
            | Output::Notice(_) => None,
        })
    })
}

/// See [`Safety::NoOvercommit`].
pub(crate) fn no_overcommit(step: &Step) -> Check {
    let Process::Node { before, after, .. } = step.process else { return Check::Vacuous };
    let new = |claim: &ClaimId| {
        !before.is_some_and(|before| before.durable.allocations.contains_key(claim))
    };
    let granted = allocations(step).filter(|(_, claim, _)| new(claim));
    all(granted.map(|(_, claim, allocation)| {
        let used = after.durable.used();
        allocation.demand.resources.iter().find_map(|(class, _)| {
            let of_class = after.durable.inventory.classes.get(class);
            let capacity = of_class.map_or(0, |of_class| of_class.capacity());
            let (used, me) = (used.get(class), Actor::Node(after.id));
            (used > capacity).then(|| {
                Violation::new(format!(
                    "{me} grants {claim}: allocated {class} = {used} <= capacity = {capacity}"
                ))
                .fact("allocated", used, path(me, &[&"durable", &"allocations"]))
                .fact("capacity", capacity, path(me, &[&"durable", &"inventory"]))
            })
        })
    }))
}

/// See [`Safety::OneGrantPerClaim`].
pub(crate) fn one_grant_per_claim(step: &Step, history: &History) -> Check {
    all(allocations(step).map(|(node, claim, _)| {
        let grant = history.grants.get(&claim)?;
        let nodes = grant.on.len();
        (grant.times > 1 || nodes > 1).then(|| {
            let me = Actor::Node(node.id);
            let way = path(me, &[&"durable", &"allocations", &claim]);
            Violation::new(format!(
                "{claim} is granted {} <= 1 times, on {nodes} <= 1 nodes",
                grant.times
            ))
            .fact("times", grant.times, way)
            .fact("nodes", &grant.on, Vec::new())
        })
    }))
}

/// See [`Safety::OneConfirmedPerRequest`].
pub(crate) fn one_confirmed_per_request(step: &Step, history: &History) -> Check {
    let confirmed = allocations(step)
        .filter(|(_, _, allocation)| allocation.state == AllocationState::Confirmed);
    all(confirmed.map(|(node, claim, allocation)| {
        let other = history.grants.iter().find(|(other, grant)| {
            **other != claim
                && grant.request == allocation.request
                && grant.confirmed
                && grant.ended.is_none()
        });
        other.map(|(other, _)| {
            let way = |claim: ClaimId| {
                path(Actor::Node(claim.node), &[&"durable", &"allocations", &claim, &"state"])
            };
            let request = allocation.request;
            let me = node.id;
            Violation::new(format!(
                "{me} confirms {claim} for {request}, and {other} is not confirmed"
            ))
            .fact("this", claim, way(claim))
            .fact("other", *other, way(*other))
        })
    }))
}

/// See [`Safety::AllocationsSurviveRestart`].
///
/// At a start every grant of the node that was told is judged. At another step those are that the
/// step could concern, for whatever is true of the others was judged when it became so.
pub(crate) fn allocations_survive_restart(step: &Step, history: &History) -> Check {
    let Process::Node { before, after, .. } = step.process else { return Check::Vacuous };
    let mut told = history.grants_on(after.id).filter(|(_, grant)| grant.told.is_some());
    let Some(before) = before else {
        return all(told.map(|(claim, grant)| survives(after, *claim, grant)));
    };
    if told.next().is_none() {
        return Check::Vacuous;
    }
    let violation = concerned(before, after, step.outputs).into_iter().find_map(|claim| {
        let grant = history.grants.get(&claim).filter(|grant| grant.told.is_some())?;
        survives(after, claim, grant)
    });
    all([violation])
}

/// The claims on this node whose allocation the step changed, or of which it wrote or said something.
fn concerned(before: &Node, after: &Node, outputs: &[Output]) -> BTreeSet<ClaimId> {
    let in_outputs = outputs.iter().filter_map(|output| match output {
        Output::Persist(Record::Node(
            node::Change::Allocation(claim, _) | node::Change::End(claim),
        )) => Some(*claim),
        Output::Send(Datagram { body: Body::Verdict(verdict), .. }) => Some(verdict.claim),
        Output::Persist(_)
        | Output::Send(_)
        | Output::Call(..)
        | Output::Answer(..)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..)
        | Output::Notice(_) => None,
    });
    let changed = after.durable.allocations.changed_since(&before.durable.allocations);
    let claims = in_outputs.chain(changed.map(|(claim, _, _)| *claim));
    claims.filter(|claim| claim.node == after.id).collect()
}

/// What is wrong with an allocation that was told.
fn survives(node: &Node, claim: ClaimId, grant: &Grant) -> Option<Violation> {
    let there = node.durable.allocations.get(&claim).map(|allocation| allocation.state);
    let (id, told) = (node.id, grant.told);
    let clause = match grant.ended {
        Some(Ended::Released) => return None,
        Some(Ended::Lapsed) if told != Some(AllocationState::Confirmed) => return None,
        Some(ended @ (Ended::Lapsed | Ended::Otherwise)) => {
            format!("{claim} was told {told:?} and ended {ended:?}")
        }
        None if there >= told => return None,
        None => format!("{claim} was told {told:?}, and {id} has it: {there:?}"),
    };
    let way = path(Actor::Node(id), &[&"durable", &"allocations"]);
    Some(Violation::new(clause).fact("told", told, Vec::new()).fact("allocation", there, way))
}

/// See [`Safety::Bounded`].
pub(crate) fn bounded(node: &Node) -> Check {
    let limits = &node.config().limits;
    let me = Actor::Node(node.id);
    let sizes = [
        ("allocations_max", node.durable.allocations.len(), limits.allocations_max, "durable"),
        ("subscribers_max", node.subscribers.len(), limits.subscribers_max, "subscribers"),
        ("fences_max", node.fences.len(), limits.fences_max, "fences"),
        ("delta_log_max", node.recent.len(), limits.delta_log_max, "recent"),
    ];
    let maps = sizes.into_iter().map(|(limit, size, max, field)| {
        within(limit, size as u64, max as u64, || path(me, &[&field]))
    });
    let windows = node.fences.iter().map(|(scheduler, fence)| {
        let size = fence.decided.len() as u64;
        within("claims_open_max", size, limits.claims_open_max, || {
            path(me, &[&"fences", scheduler, &"decided"])
        })
    });
    all(maps.chain(windows))
}
