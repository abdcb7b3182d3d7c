//! Safety of nodes.

use crate::{Check, History, Process, Step, Violation, all, history::Ended, path, within};
use counterfoil_protocol::node::{self, AllocationState, Node};
use counterfoil_protocol::{Actor, ClaimId, Output, Record};

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
pub(crate) fn allocations_survive_restart(step: &Step, history: &History) -> Check {
    let Process::Node { after, .. } = step.process else { return Check::Vacuous };
    let told = history
        .grants
        .iter()
        .filter(|(claim, grant)| claim.node == after.id && grant.told.is_some());
    all(told.map(|(claim, grant)| {
        let there = after.durable.allocations.get(claim).map(|allocation| allocation.state);
        let way = path(Actor::Node(after.id), &[&"durable", &"allocations"]);
        let id = after.id;
        match (grant.ended, grant.told) {
            (Some(Ended::Released), _) => None,
            (Some(Ended::Lapsed), Some(AllocationState::Held) | None) => None,
            (Some(ended), _) => Some(
                Violation::new(format!("{claim} was told {:?} and ended {ended:?}", grant.told))
                    .fact("told", grant.told, Vec::new())
                    .fact("allocation", there, way),
            ),
            (None, told) => (there < told).then(|| {
                Violation::new(format!("{claim} was told {told:?}, and {id} has it: {there:?}"))
                    .fact("told", told, Vec::new())
                    .fact("allocation", there, way)
            }),
        }
    }))
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
        within(limit, size as u64, max as u64, path(me, &[&field]))
    });
    let windows = node.fences.iter().map(|(scheduler, fence)| {
        let size = fence.decided.len() as u64;
        let way = path(me, &[&"fences", scheduler, &"decided"]);
        within("claims_open_max", size, limits.claims_open_max, way)
    });
    all(maps.chain(windows))
}
