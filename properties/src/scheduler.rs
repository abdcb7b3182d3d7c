//! Safety of schedulers.

use crate::outputs::{sent, sent_anew};
use crate::{Check, History, Process, Step, Violation, all, arithmetic, path, within};
use counterfoil_protocol::scheduler::{Host, Input, Presence, Reservation, Scheduler};
use counterfoil_protocol::{
    Actor, Answer, Body, Claim, ClaimId, Datagram, Decision, HostState, Map, NodeId, Output,
    Placement, Reason, Refusal, Stamp, Status, Verdict,
};
use std::collections::BTreeSet;

/// The cached states that this step changed: node, before, after.
fn changed_views<'a>(
    step: &Step<'a>,
) -> impl Iterator<Item = (&'a Scheduler, NodeId, Option<&'a Host>, &'a Host)> {
    let of_scheduler = match step.process {
        Process::Scheduler { before, after, .. } => Some((before, after)),
        Process::Node { .. } | Process::Client { .. } => None,
    };
    of_scheduler.into_iter().flat_map(|(before, after)| {
        let changed = before.map(|before| after.nodes.changed_since(&before.nodes));
        let all =
            before.is_none().then(|| after.nodes.iter().map(|(id, new)| (id, None, Some(new))));
        let peers = changed.into_iter().flatten().chain(all.into_iter().flatten());
        peers.filter_map(move |(node, old, new)| {
            let old = old.and_then(|peer| peer.host.as_ref());
            let new = new?.host.as_ref()?;
            (old != Some(new)).then_some((after, *node, old, new))
        })
    })
}

/// See [`crate::Safety::ViewsNeverGoBack`].
pub(crate) fn views_never_go_back(step: &Step) -> Check {
    all(changed_views(step).map(|(me, node, old, new)| {
        let old = old?;
        (new.stamp < old.stamp).then(|| {
            let me = Actor::Scheduler(me.id);
            let way = path(me, &[&"nodes", &node, &"host", &"stamp"]);
            Violation::new(format!(
                "{me} caches {node} at {} >= {} as before",
                new.stamp, old.stamp
            ))
            .fact("cached", new.stamp, way)
            .fact("before", old.stamp, Vec::new())
        })
    }))
}

/// See [`crate::Safety::ViewsAreRealStates`].
pub(crate) fn views_are_real_states(step: &Step, history: &History) -> Check {
    all(changed_views(step).map(|(me, node, _, new)| {
        let truth = history.host_state(node, new.stamp);
        (truth != Some(&new.state)).then(|| {
            let me = Actor::Scheduler(me.id);
            let stamp = new.stamp;
            let way = path(me, &[&"nodes", &node, &"host", &"state"]);
            Violation::new(format!("{me} caches for {node} at {stamp} what {node} was at {stamp}"))
                .fact("cached", &new.state, way)
                .fact("was", truth, Vec::new())
                .fact("stamp", stamp, path(me, &[&"nodes", &node, &"host", &"stamp"]))
        })
    }))
}

/// The nodes of which the scheduler knows something else after the step than before, that its input
/// is about, or of whose claims it was told or said something; all that it knows of, if it has just
/// started.
pub(crate) fn touched_nodes(step: &Step) -> BTreeSet<NodeId> {
    let Process::Scheduler { before, input, after } = step.process else { return BTreeSet::new() };
    let Some(before) = before else { return after.nodes.keys().copied().collect() };
    let changed = after.nodes.changed_since(&before.nodes).map(|(node, ..)| *node);
    let of_claim = |datagram: &Datagram| match &datagram.body {
        Body::Verdict(verdict) => Some(verdict.claim.node),
        Body::Claim(claim) => Some(claim.claim.node),
        Body::Confirm(_)
        | Body::Release(_)
        | Body::Delta(_)
        | Body::Snapshot(_)
        | Body::Resync(_)
        | Body::Leave(_)
        | Body::Superseded { .. } => None,
    };
    let told = match input {
        Some(Input::Datagram(datagram)) => of_claim(datagram),
        Some(
            Input::Timer(_)
            | Input::Call(..)
            | Input::Disconnected(_)
            | Input::Chosen(..)
            | Input::Meet(_),
        )
        | None => None,
    };
    let meant = input.and_then(Input::node);
    let said = sent(step.outputs).filter_map(of_claim);
    changed.chain(told).chain(meant).chain(said).collect()
}

/// See [`crate::Safety::OwnClaimsCountOnce`].
pub(crate) fn own_claims_count_once(step: &Step, history: &History) -> Check {
    let Process::Scheduler { before, after, .. } = step.process else { return Check::Vacuous };
    if after.stopped {
        return Check::Vacuous;
    }
    let fits = sent_anew(before, step.outputs).map(|claim| does_not_fit(after, claim, history));
    // What it owed at the other nodes, and what it sets aside there, is what it was before the step.
    let touched = touched_nodes(step);
    let counted = touched.iter().filter_map(|node| {
        let peer = after.nodes.get(node)?;
        let mut of_node = history.sent_by(after, *node).peekable();
        if of_node.peek().is_none() && peer.claims.is_empty() {
            return None;
        }
        let owed = arithmetic::written(arithmetic::sum(of_node.map(|(_, sent)| &sent.demand)));
        let reserved = peer.set_aside();
        Some((reserved != owed).then(|| {
            let me = Actor::Scheduler(after.id);
            let open = history.sent_by(after, *node);
            let open: Map<ClaimId, Option<Stamp>> =
                open.map(|(claim, sent)| (*claim, sent.granted)).collect();
            Violation::new(format!(
                "{me} has reserved at {node} exactly what its claims ask for that are not refused, \
                 gone or covered"
            ))
            .fact("reserved", reserved, path(me, &[&"nodes", node, &"claims"]))
            .fact("to be reserved", owed, Vec::new())
            .fact("claims, and from which stamp on they are covered", open, Vec::new())
            .fact(
                "cached stamp",
                peer.host.as_ref().map(|h| h.stamp),
                path(me, &[&"nodes", node, &"host", &"stamp"]),
            )
        }))
    });
    all(counted.chain(fits))
}

/// What is wrong with a new claim that does not fit beside the other own claims: too little is free,
/// or too many of a group are there.
fn does_not_fit(me: &Scheduler, claim: &Claim, history: &History) -> Option<Violation> {
    let node = claim.claim.node;
    let host = me.nodes.get(&node)?.host.as_ref()?;
    let others = history.sent_by(me, node).filter(|(other, _)| **other != claim.claim);
    let aside = arithmetic::sum(others.map(|(_, sent)| &sent.demand));
    let reason = arithmetic::reason_against(&host.state, &claim.demand, &aside);
    matches!(reason, Some(Reason::Capacity(_) | Reason::AntiAffinity(_))).then(|| {
        let me = Actor::Scheduler(me.id);
        Violation::new(format!("{me} sends {} only if it fits beside its others", claim.claim))
            .fact("reason against it", reason, path(me, &[&"nodes", &node, &"host"]))
            .fact("others", aside, path(me, &[&"nodes", &node, &"claims"]))
    })
}

/// See [`crate::Safety::NoClaimAgainstKnownRefusal`].
pub(crate) fn no_claim_against_known_refusal(step: &Step, history: &History) -> Check {
    let Process::Scheduler { before, after, .. } = step.process else { return Check::Vacuous };
    all(sent_anew(before, step.outputs).map(|claim| {
        let node = claim.claim.node;
        let peer = after.nodes.get(&node)?;
        let (cached, me) = (peer.host.as_ref().map(|host| host.stamp), Actor::Scheduler(after.id));
        let attempt = peer.claims.get(&claim.claim.number)?.attempt;
        let tried = history.tried.get(&(after.id, after.incarnation, attempt))?;
        let way = || path(me, &[&"nodes", &node, &"host", &"stamp"]);
        match tried.refused.get(&node) {
            Some(refused) if cached < Some(*refused) => Some(
                Violation::new(format!(
                    "{me} sends {} for {attempt}, which {node} refused at {refused}, only once it \
                     caches that stamp",
                    claim.claim
                ))
                .fact("cached", cached, way())
                .fact("refused", *refused, Vec::new()),
            ),
            Some(_) | None => {
                refused_by_the_cache(&peer.host.as_ref()?.state, claim).map(|reason| {
                    Violation::new(format!(
                        "{me} caches nothing that speaks against {}",
                        claim.claim
                    ))
                    .fact(
                        "reason against it",
                        reason,
                        path(me, &[&"nodes", &node, &"host"]),
                    )
                })
            }
        }
    }))
}

/// What a cached state says against a claim, own claims and its status left out: other properties
/// speak of those.
fn refused_by_the_cache(state: &HostState, claim: &Claim) -> Option<Reason> {
    let state = HostState { status: Status::Up, ..state.clone() };
    arithmetic::reason_against(&state, &claim.demand, &arithmetic::Amounts::new())
}

/// See [`crate::Safety::NoClaimToUnavailable`].
pub(crate) fn no_claim_to_unavailable(step: &Step, history: &History) -> Check {
    let Process::Scheduler { before, after, .. } = step.process else { return Check::Vacuous };
    all(sent_anew(before, step.outputs).map(|claim| {
        let node = claim.claim.node;
        let peer = after.nodes.get(&node)?;
        let status = peer.host.as_ref().map(|host| host.state.status);
        let departed = history.departed.get(&(after.id, after.incarnation, node));
        let available = peer.presence == Presence::Present && status == Some(Status::Up);
        (!available || departed.is_some()).then(|| {
            let me = Actor::Scheduler(after.id);
            Violation::new(format!("{me} sends {} to {node} only if it is available", claim.claim))
                .fact("presence", peer.presence, path(me, &[&"nodes", &node, &"presence"]))
                .fact("status", status, path(me, &[&"nodes", &node, &"host", &"state", &"status"]))
                .fact("left in life", departed, Vec::new())
        })
    }))
}

/// See [`crate::Safety::VerdictsAreTrue`].
pub(crate) fn verdicts_are_true(step: &Step, history: &History) -> Check {
    let Process::Scheduler { before: Some(before), input: Some(input), after } = step.process
    else {
        return Check::Vacuous;
    };
    let Input::Datagram(Datagram { body: Body::Verdict(verdict), .. }) = input else {
        return Check::Vacuous;
    };
    let Verdict { claim, decision } = verdict;
    let (Some(reservation), now) = (reservation(before, claim), reservation(after, claim)) else {
        return Check::Vacuous;
    };
    if now == Some(reservation) {
        return Check::Vacuous;
    }
    let request = reservation.attempt.request;
    let grant = history.grants.get(claim).filter(|grant| grant.request == request);
    let is_true = match decision {
        Decision::Granted { at } | Decision::Confirmed { at } => {
            grant.is_some_and(|grant| grant.at == *at)
        }
        Decision::Gone => grant.is_some_and(|grant| grant.ended.is_some()),
        Decision::Refused(refusal) => {
            let given = history.refusals.get(claim);
            given.is_some_and(|given| given.contains(&(request, refusal.clone())))
        }
    };
    let me = Actor::Scheduler(after.id);
    let violation = || {
        Violation::new(format!(
            "{me} acts on {decision:?} for {claim}, which {} gave to that claim for {request}",
            claim.node
        ))
        .fact("granted", history.grants.get(claim), Vec::new())
        .fact("refused", history.refusals.get(claim), Vec::new())
        .fact("claim", *claim, path(me, &[&"nodes", &claim.node, &"next"]))
    };
    all([(!is_true).then(violation)])
}

fn reservation<'a>(scheduler: &'a Scheduler, claim: &ClaimId) -> Option<&'a Reservation> {
    scheduler.nodes.get(&claim.node)?.claims.get(&claim.number)
}

/// See [`crate::Safety::AnswersAreTrue`].
pub(crate) fn answers_are_true(step: &Step, history: &History) -> Check {
    let Process::Scheduler { before, after, .. } = step.process else { return Check::Vacuous };
    let answers = step.outputs.iter().filter_map(|output| match output {
        Output::Answer(_, answer) => Some(answer),
        Output::Persist(_)
        | Output::Send(_)
        | Output::Call(..)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..)
        | Output::Notice(_) => None,
    });
    all(answers.filter_map(|Answer { attempt, placement }| match placement {
        Placement::Placed(claim) => {
            let grant = history.grants.get(claim);
            let to_it = grant.is_some_and(|grant| grant.request == attempt.request);
            Some((!to_it).then(|| {
                let me = Actor::Scheduler(after.id);
                Violation::new(format!("{me} answers {attempt}: {claim} was granted to it"))
                    .fact("granted to", grant.map(|grant| grant.request), Vec::new())
                    .fact("claim", *claim, path(me, &[&"nodes", &claim.node, &"claims"]))
            }))
        }
        Placement::NoValidHost(refusals) => {
            let demand = before.and_then(|before| Some(&before.attempts.get(attempt)?.demand));
            if refusals.is_empty() {
                let me = Actor::Scheduler(after.id);
                let clause = format!("{me} answers {attempt}: no valid host, of one at least");
                let known = path(me, &[&"nodes"]);
                return Some(Some(Violation::new(clause).fact("nodes", after.nodes.len(), known)));
            }
            let untrue = after.nodes.keys().find_map(|node| {
                let refusal = refusals.get(node);
                let is_true = refusal.is_some_and(|Refusal { at, reason }| {
                    let truth = history.host_state(*node, *at);
                    let against = truth.zip(demand).and_then(|(state, demand)| {
                        arithmetic::reason_against(state, demand, &arithmetic::Amounts::new())
                    });
                    against.as_ref() == Some(reason)
                });
                (!is_true).then_some((*node, refusal))
            });
            Some(untrue.map(|(node, refusal)| {
                let me = Actor::Scheduler(after.id);
                let truth = refusal.and_then(|refusal| history.host_state(node, refusal.at));
                Violation::new(format!(
                    "{me} answers {attempt}: no valid host, with a reason for {node} that is true of \
                     its state then"
                ))
                .fact("reason", refusal, path(me, &[&"nodes", &node, &"host"]))
                .fact("was", truth, Vec::new())
            }))
        }
        Placement::Unavailable | Placement::Exhausted | Placement::Overloaded => None,
    }))
}

/// See [`crate::Safety::Bounded`].
///
/// What the step has not changed is within the limits if it was before.
pub(crate) fn bounded(step: &Step, history: &History) -> Check {
    let Process::Scheduler { before, after: scheduler, .. } = step.process else {
        return Check::Vacuous;
    };
    let limits = &scheduler.config().limits;
    let me = Actor::Scheduler(scheduler.id);
    let maps = [
        ("nodes_max", scheduler.nodes.len(), limits.nodes_max, "nodes"),
        ("attempts_pending_max", scheduler.attempts.len(), limits.attempts_pending_max, "attempts"),
    ];
    let maps = maps.into_iter().map(|(limit, size, max, field)| {
        within(limit, size as u64, max as u64, || path(me, &[&field]))
    });
    let nothing = Map::default();
    let nodes = scheduler.nodes.changed_since(before.map_or(&nothing, |before| &before.nodes));
    let nodes = nodes.filter_map(|(node, _, peer)| Some((node, peer?)));
    let windows = nodes.map(|(node, peer)| {
        within("claims_open_max", peer.claims.len() as u64, limits.claims_open_max, || {
            path(me, &[&"nodes", node, &"claims"])
        })
    });
    let none = Map::default();
    let changed = || {
        let before = before.map_or(&none, |before| &before.attempts);
        let changed = scheduler.attempts.changed_since(before);
        changed.filter_map(|(id, _, attempt)| Some((id, attempt?)))
    };
    let attempts = changed().map(|(id, attempt)| {
        let tried = history.tried.get(&(scheduler.id, scheduler.incarnation, *id));
        let made = attempt.claims_made.max(tried.map_or(0, |tried| tried.claims));
        let max = limits.claims_per_attempt_max;
        within("claims_per_attempt_max", made.into(), max.into(), || {
            path(me, &[&"attempts", id, &"claims_made"])
        })
    });
    let refusals = changed().map(|(id, attempt)| {
        within("nodes_max", attempt.refusals.len() as u64, limits.nodes_max as u64, || {
            path(me, &[&"attempts", id, &"refusals"])
        })
    });
    all(maps.chain(windows).chain(attempts).chain(refusals))
}
