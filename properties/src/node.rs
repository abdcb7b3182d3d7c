//! Safety of nodes.

use crate::history::Ended;
use crate::outputs::{allocations, ends, verdicts};
use crate::{Check, Grant, History, Process, Step, Violation, all, arithmetic, path, within};
use counterfoil_protocol::node::{self, AllocationState, Node};
use counterfoil_protocol::{
    Actor, Body, ClaimId, Datagram, Decision, Demand, HostState, Map, Output, Reason, Refusal,
    Resources, Set, Status, Verdict,
};
use std::collections::BTreeSet;

/// See [`crate::Safety::NoOvercommit`].
pub(crate) fn no_overcommit(step: &Step) -> Check {
    let Process::Node { before, after, .. } = step.process else { return Check::Vacuous };
    let granted = allocations(step.outputs).filter(|(claim, _)| is_new(before, claim));
    all(granted.map(|(claim, allocation)| {
        let (allocated, me) = (arithmetic::allocated(after), Actor::Node(after.id));
        let classes = allocation.demand.resources.iter();
        let bounded = classes.filter(|(class, _)| arithmetic::group(class).is_none());
        let too_much = bounded.into_iter().find_map(|(class, _)| {
            let of_class = after.durable.inventory.classes.get(class);
            let capacity = of_class.map_or(0, arithmetic::capacity);
            let used = allocated.get(class).copied().unwrap_or_default();
            (used > capacity).then(|| {
                Violation::new(format!(
                    "{me} grants {claim}: allocated {class} = {used} <= capacity = {capacity}"
                ))
                .fact("allocated", used, path(me, &[&"durable", &"allocations"]))
                .fact("capacity", capacity, path(me, &[&"durable", &"inventory"]))
            })
        });
        too_much.or_else(|| {
            let has_left = before.is_some_and(|before| before.left);
            let status = if has_left { Status::Draining } else { after.durable.status };
            let inventory = after.durable.inventory.clone();
            let empty = HostState { inventory, status, used: Resources::default() };
            let none = arithmetic::Amounts::new();
            // Who must be near, and who apart, is another property.
            let (near, apart) = (Set::default(), Map::default());
            let demand = Demand { near, apart, ..(*allocation.demand).clone() };
            let reason = arithmetic::reason_against(&empty, &demand, &none)?;
            let clause = format!("{me} grants {claim} only if it would were it empty");
            let way = path(me, &[&"durable"]);
            Some(Violation::new(clause).fact("reason against it", reason, way))
        })
    }))
}

/// Whether a claim had no allocation before.
fn is_new(before: Option<&Node>, claim: &ClaimId) -> bool {
    !before.is_some_and(|before| before.durable.allocations.contains_key(claim))
}

/// See [`crate::Safety::OneGrantPerClaim`].
pub(crate) fn one_grant_per_claim(step: &Step, history: &History) -> Check {
    let Process::Node { before, after, .. } = step.process else { return Check::Vacuous };
    all(allocations(step.outputs).map(|(claim, _)| {
        let grant = history.grants.get(&claim)?;
        let me = Actor::Node(after.id);
        let way = || path(me, &[&"durable", &"allocations", &claim]);
        if grant.on.len() > 1 {
            let clause = format!("{claim} is granted on one node at most");
            return Some(Violation::new(clause).fact("granted on", &grant.on, Vec::new()));
        }
        if grant.times > 1 {
            let clause = format!("{claim} is granted once at most");
            return Some(Violation::new(clause).fact("times granted", grant.times, way()));
        }
        if !is_new(before, &claim) {
            return None;
        }
        let life = grant.at.incarnation;
        let refused = history.refusals.get(&claim).into_iter().flat_map(|given| given.iter());
        if let Some((_, refusal)) = refused.into_iter().find(|(_, r)| r.at.incarnation == life) {
            let clause = format!("{me} grants {claim}, which no life of it refused that grants it");
            let violation = Violation::new(clause).fact("granted", grant.at, way());
            return Some(violation.fact("refused", refusal, Vec::new()));
        }
        let of_life = |(_, other): &(&ClaimId, &Grant)| other.at.incarnation == life;
        history.grants_to_later_lives(claim, after.id).find(of_life).map(|(other, of_other)| {
            let clause =
                format!("{me} grants {claim} before it grants to a later life of its scheduler");
            Violation::new(clause)
                .fact("granted", grant.at, way())
                .fact("later life", *other, Vec::new())
                .fact("granted to that", of_other.at, Vec::new())
        })
    }))
}

/// See [`crate::Safety::GroupsAreKept`].
pub(crate) fn groups_are_kept(step: &Step) -> Check {
    let Process::Node { before, after, .. } = step.process else { return Check::Vacuous };
    let asks = |demand: &Demand| !demand.near.is_empty() || !demand.apart.is_empty();
    let granted = allocations(step.outputs).filter(|(claim, _)| is_new(before, claim));
    all(granted.filter(|(_, allocation)| asks(&allocation.demand)).map(|(claim, allocation)| {
        let others = after.durable.allocations.iter().filter(|(other, _)| **other != claim);
        let here = arithmetic::sum(others.map(|(_, other)| &*other.demand));
        let none = arithmetic::Amounts::new();
        let reason = arithmetic::company_against(&allocation.demand, &here, &none)?;
        let me = Actor::Node(after.id);
        let way = path(me, &[&"durable", &"allocations"]);
        let clause = format!("{me} grants {claim} beside those that it must be near or apart from");
        Some(Violation::new(clause).fact("reason against it", reason, way.clone()).fact(
            "beside it",
            here,
            way,
        ))
    }))
}

/// See [`crate::Safety::VerdictsAreTrue`].
pub(crate) fn verdicts_are_true(step: &Step, history: &History) -> Check {
    let Process::Node { input, after, .. } = step.process else { return Check::Vacuous };
    all(verdicts(step.outputs).map(|verdict| {
        let Verdict { claim, decision } = verdict;
        let there = after.durable.allocations.get(claim).map(|allocation| allocation.state);
        let at_is_true = |at| history.grants.get(claim).is_some_and(|grant| grant.at == at);
        let is_true = match decision {
            Decision::Granted { at } => there == Some(AllocationState::Held) && at_is_true(*at),
            Decision::Confirmed { at } => {
                there == Some(AllocationState::Confirmed) && at_is_true(*at)
            }
            Decision::Gone => there.is_none(),
            Decision::Refused(refusal) => is_refused_for(refusal, input, after, history),
        };
        (!is_true).then(|| {
            let me = Actor::Node(after.id);
            let way = path(me, &[&"durable", &"allocations", claim]);
            Violation::new(format!("{me} says {decision:?} of {claim}, and so it is"))
                .fact("allocation", there, way)
                .fact("granted", history.grants.get(claim), Vec::new())
                .fact("stamp", after.stamp(), path(me, &[&"version"]))
        })
    }))
}

/// Whether a claim that arrives is refused for what is true: of the host state at the stamp, if that
/// is known.
fn is_refused_for(
    refusal: &Refusal,
    input: Option<&node::Input>,
    node: &Node,
    history: &History,
) -> bool {
    let Some(node::Input::Datagram(Datagram { dst, body: Body::Claim(claim), .. })) = input else {
        return false;
    };
    let Refusal { at, reason } = refusal;
    match reason {
        Reason::OtherLife => *at == node.stamp() && dst.incarnation != Some(node.incarnation()),
        Reason::Full => {
            let limits = &node.config().limits;
            let full = node.durable.allocations.len() >= limits.allocations_max
                || groups(node, Some(&claim.demand)) > limits.groups_max;
            *at <= node.stamp() && (full || *at != node.stamp())
        }
        Reason::Draining
        | Reason::NoSuchClass(_)
        | Reason::Units(_)
        | Reason::Capacity(_)
        | Reason::Traits
        | Reason::Zone
        | Reason::Aggregates
        | Reason::AntiAffinity(_)
        | Reason::Affinity(_) => {
            let none = arithmetic::Amounts::new();
            let true_of = |state: &HostState| {
                arithmetic::reason_against(state, &claim.demand, &none).as_ref() == Some(reason)
            };
            *at <= node.stamp() && history.host_state(node.id, *at).is_none_or(true_of)
        }
    }
}

/// See [`crate::Safety::OneConfirmedPerRequest`].
pub(crate) fn one_confirmed_per_request(step: &Step, history: &History) -> Check {
    let Process::Node { after: node, .. } = step.process else { return Check::Vacuous };
    let confirmed = allocations(step.outputs)
        .filter(|(_, allocation)| allocation.state == AllocationState::Confirmed);
    all(confirmed.map(|(claim, allocation)| {
        let other = history
            .grants
            .to(allocation.request)
            .find(|(other, grant)| **other != claim && grant.confirmed && grant.ended.is_none());
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

/// See [`crate::Safety::AllocationsSurviveRestart`].
///
/// At a start every grant of the node that was told is judged, and what its operator ordered. At
/// another step those are that the step could concern, for whatever is true of the others was judged
/// when it became so.
pub(crate) fn allocations_survive_restart(step: &Step, history: &History) -> Check {
    let Process::Node { before, after, .. } = step.process else { return Check::Vacuous };
    let mut told = history.grants_on(after.id).filter(|(_, grant)| grant.told.is_some());
    let Some(before) = before else {
        let told = told.map(|(claim, grant)| survives(after, *claim, grant));
        return all(told.chain(last_state(after, history).map(|last| orders_survive(after, last))));
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
    let written = allocations(outputs).map(|(claim, _)| claim).chain(ends(outputs));
    let said = verdicts(outputs).map(|verdict| verdict.claim);
    let changed = after.durable.allocations.changed_since(&before.durable.allocations);
    let claims = written.chain(said).chain(changed.map(|(claim, _, _)| *claim));
    claims.filter(|claim| claim.node == after.id).collect()
}

/// What is wrong with an allocation that was told.
fn survives(node: &Node, claim: ClaimId, grant: &Grant) -> Option<Violation> {
    let there = node.durable.allocations.get(&claim).map(|allocation| allocation.state);
    let (id, told) = (node.id, grant.told);
    let clause = match grant.ended {
        Some(Ended::Released) => return None,
        Some(Ended::Lapsed) if told != Some(AllocationState::Confirmed) => return None,
        Some(Ended::Lapsed) => {
            format!("{id} does not let {claim} lapse, which it told to be {}", named(told))
        }
        Some(Ended::Otherwise) => {
            format!(
                "{id} keeps {claim}, which it told to be {}, until it is given back",
                named(told)
            )
        }
        None if there >= told => return None,
        None => format!("{id} has {claim}, which it told to be {}", named(told)),
    };
    let way = path(Actor::Node(id), &[&"durable", &"allocations"]);
    Some(Violation::new(clause).fact("told", told, Vec::new()).fact("allocation", there, way))
}

fn named(state: Option<AllocationState>) -> &'static str {
    match state {
        Some(AllocationState::Held) => "held",
        Some(AllocationState::Confirmed) => "confirmed",
        None => "nothing",
    }
}

/// The last state of the life before, if it is known.
fn last_state<'a>(node: &Node, history: &'a History) -> Option<&'a HostState> {
    let (last, state) = history.host_states.get(&node.id)?.range(..node.stamp()).next_back()?;
    (last.incarnation.next() >= node.incarnation()).then_some(state)
}

/// What is wrong with what the operator ordered, after a restart.
fn orders_survive(node: &Node, last: &HostState) -> Option<Violation> {
    let disk = &node.durable;
    (disk.inventory != last.inventory || disk.status != last.status).then(|| {
        let me = Actor::Node(node.id);
        let (inventory, status) = (&disk.inventory, disk.status);
        Violation::new(format!("{me} starts with the inventory and status that it had"))
            .fact("inventory", inventory, path(me, &[&"durable", &"inventory"]))
            .fact("status", status, path(me, &[&"durable", &"status"]))
            .fact("had", last, Vec::new())
    })
}

/// How many groups the allocations of a node are in, `and` those of one more demand.
fn groups(node: &Node, and: Option<&Demand>) -> usize {
    let demands = node.durable.allocations.values().map(|allocation| &*allocation.demand);
    let sums = arithmetic::sum(demands.chain(and));
    sums.iter().filter(|(class, count)| arithmetic::group(class).is_some() && **count > 0).count()
}

/// See [`crate::Safety::Bounded`].
///
/// A life that begins has decided nothing: it has no fences of the last.
pub(crate) fn bounded(before: Option<&Node>, node: &Node) -> Check {
    let limits = &node.config().limits;
    let me = Actor::Node(node.id);
    let sizes = [
        ("allocations_max", node.durable.allocations.len(), limits.allocations_max, "durable"),
        ("groups_max", groups(node, None), limits.groups_max, "durable"),
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
    let last = before.filter(|before| before.incarnation() != node.incarnation());
    let kept = last.map(|last| {
        let kept = node.fences.iter().filter(|(id, fence)| last.fences.get(*id) == Some(*fence));
        within("fences kept of the last life", kept.count() as u64, 0, || path(me, &[&"fences"]))
    });
    all(maps.chain(windows).chain(kept))
}
