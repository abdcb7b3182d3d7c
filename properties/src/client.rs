//! Safety of clients.

use crate::{Check, History, Process, Step, Violation, all, path, within};
use counterfoil_protocol::client::{Client, Input, Phase};
use counterfoil_protocol::{
    Actor, Body, Choice, ClaimId, Datagram, Decision, Outcome, Output, RequestId, Set, Verdict,
};

/// See [`crate::Safety::VerdictsAreTrue`].
pub(crate) fn verdicts_are_true(step: &Step, history: &History) -> Check {
    let Process::Client { before: Some(before), input: Some(input), after } = step.process else {
        return Check::Vacuous;
    };
    let Input::Datagram(Datagram { body: Body::Verdict(verdict), .. }) = input else {
        return Check::Vacuous;
    };
    let Verdict { claim, decision } = verdict;
    let Some(request) = acted_for(before, after, *claim) else { return Check::Vacuous };
    let grant = history.grants.get(claim).filter(|grant| grant.request == request);
    let is_true = match decision {
        Decision::Confirmed { at } => grant.is_some_and(|grant| grant.confirmed && grant.at == *at),
        Decision::Gone => grant.is_some_and(|grant| grant.ended.is_some()),
        Decision::Granted { .. } | Decision::Refused(_) => false,
    };
    let me = Actor::Client(after.id);
    let violation = || {
        Violation::new(format!(
            "{me} acts on {decision:?} for {claim}, which {} gave to that claim for {request}",
            claim.node
        ))
        .fact("granted", history.grants.get(claim), Vec::new())
        .fact(
            "phase",
            after.requests.get(&request),
            path(me, &[&"requests", &request, &"phase"]),
        )
    };
    all([(!is_true).then(violation)])
}

/// The request for which the step took something said of `claim` to be so.
fn acted_for(before: &Client, after: &Client, claim: ClaimId) -> Option<RequestId> {
    before.requests.iter().find_map(|(id, old)| {
        let concerns = old.unwanted.contains(&claim)
            || matches!(old.phase, Phase::Confirming(c) | Phase::Releasing(c) if c == claim);
        let changed = after.requests.get(id) != Some(old);
        (concerns && changed).then_some(*id)
    })
}

/// See [`crate::Safety::OneConfirmedPerRequest`].
pub(crate) fn one_confirmed_per_request(step: &Step, history: &History) -> Check {
    let Process::Client { after, .. } = step.process else { return Check::Vacuous };
    let wanted = step.outputs.iter().filter_map(|output| wanted(after, output));
    all(wanted.map(|(request, how)| {
        let asked = history.asked.get(&(after.id, request));
        asked.is_some_and(|asked| asked.given_up).then(|| {
            let me = Actor::Client(after.id);
            let way = path(me, &[&"requests", &request]);
            Violation::new(format!("{me} {how} {request} only if its user has not given it up"))
                .fact("request", after.requests.get(&request), way)
        })
    }))
}

/// The request that a client seeks or confirms by saying this, and which of the two.
fn wanted(client: &Client, output: &Output) -> Option<(RequestId, &'static str)> {
    let (seeks, confirms) = ("seeks a place for", "confirms");
    match output {
        Output::Choose(Choice::Scheduler(attempt)) => Some((attempt.request, seeks)),
        Output::Call(_, call) => Some((call.attempt.request, seeks)),
        Output::Ended(request, Outcome::Confirmed(_)) => Some((*request, confirms)),
        Output::Send(Datagram { body: Body::Confirm(claim), .. }) => {
            let of_claim = |phase: &Phase| match phase {
                Phase::Held(c)
                | Phase::Confirming(c)
                | Phase::Confirmed(c)
                | Phase::Releasing(c) => c == claim,
                Phase::Seeking | Phase::Ended(_) => false,
            };
            let found = client.requests.iter().find(|(_, request)| of_claim(&request.phase));
            found.map(|(id, _)| (*id, confirms))
        }
        Output::Persist(_)
        | Output::Send(_)
        | Output::Answer(..)
        | Output::SetTimer { .. }
        | Output::Choose(Choice::Node(_))
        | Output::Ended(..)
        | Output::Notice(_) => None,
    }
}

/// See [`crate::Safety::BundlesEndWhole`].
pub(crate) fn bundles_end_whole(step: &Step, history: &History) -> Check {
    let Process::Client { after, .. } = step.process else { return Check::Vacuous };
    let said = step.outputs.iter().filter_map(|output| {
        let (id, _) = wanted(after, output)?;
        match output {
            Output::Send(_) => Some(all_chosen(after, id, history)),
            Output::Ended(..) => Some(all_confirmed(after, id, history)),
            Output::Persist(_)
            | Output::Call(..)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Notice(_) => None,
        }
    });
    let over = after.requests.keys().map(|id| none_goes_on(after, *id, history));
    all(said.chain(over).flatten())
}

/// The bundle of a request, as its user ordered it.
fn bundle_of<'a>(
    client: &Client,
    id: RequestId,
    history: &'a History,
) -> Option<&'a Set<RequestId>> {
    let asked = history.asked.get(&(client.id, id))?;
    (!asked.bundle.is_empty()).then_some(&asked.bundle)
}

/// What is wrong with a confirm for a member: for another nothing was chosen.
fn all_chosen(client: &Client, id: RequestId, history: &History) -> Option<Option<Violation>> {
    let bundle = bundle_of(client, id, history)?;
    let is_chosen = |member: &&RequestId| {
        let asked = history.asked.get(&(client.id, **member));
        asked.is_some_and(|asked| asked.chosen && asked.bundle == *bundle)
    };
    Some(bundle.iter().find(|member| !is_chosen(member)).map(|member| {
        let me = Actor::Client(client.id);
        let clause = format!("{me} confirms {id} only once it has chosen for {member} too");
        members(Violation::new(clause), client, [id, *member])
    }))
}

/// What is wrong with telling the user that a member is confirmed: another is not.
fn all_confirmed(client: &Client, id: RequestId, history: &History) -> Option<Option<Violation>> {
    let bundle = bundle_of(client, id, history)?;
    let is_confirmed = |member: &&RequestId| {
        let phase = client.requests.get(*member).map(|request| &request.phase);
        let Some(Phase::Confirmed(claim)) = phase else { return false };
        let grant = history.grants.get(claim);
        grant.is_some_and(|grant| grant.confirmed && grant.ended.is_none())
    };
    Some(bundle.iter().find(|member| !is_confirmed(member)).map(|member| {
        let me = Actor::Client(client.id);
        let clause = format!("{me} tells that {id} is confirmed once {member} is too");
        members(Violation::new(clause), client, [id, *member])
    }))
}

/// What is wrong with the bundle of a member that is over: another is not.
fn none_goes_on(client: &Client, id: RequestId, history: &History) -> Option<Option<Violation>> {
    let bundle = bundle_of(client, id, history)?;
    let is_over = |id: &RequestId| {
        let phase = client.requests.get(id).map(|request| &request.phase);
        phase.is_none_or(|phase| matches!(phase, Phase::Releasing(_) | Phase::Ended(_)))
    };
    let of_it = |member: &&RequestId| bundle_of(client, **member, history) == Some(bundle);
    let goes_on = bundle.iter().filter(of_it).find(|member| is_over(&id) && !is_over(member));
    Some(goes_on.map(|member| {
        let me = Actor::Client(client.id);
        let clause = format!("{me} gives up {member} when {id} is over");
        members(Violation::new(clause), client, [id, *member])
    }))
}

/// With how far the client is with these two members of a bundle.
fn members(violation: Violation, client: &Client, members: [RequestId; 2]) -> Violation {
    members.into_iter().fold(violation, |violation, member| {
        let phase = client.requests.get(&member).map(|request| &request.phase);
        let way = path(Actor::Client(client.id), &[&"requests", &member, &"phase"]);
        violation.fact(&format!("phase of {member}"), phase, way)
    })
}

/// See [`crate::Safety::Bounded`].
pub(crate) fn bounded(client: &Client, history: &History) -> Check {
    let limits = &client.config().limits;
    let me = Actor::Client(client.id);
    let requests = client.requests.len() as u64;
    let all_requests =
        within("requests_max", requests, limits.requests_max as u64, || path(me, &[&"requests"]));
    let each = client.requests.iter().flat_map(|(id, request)| {
        let max = u64::from(limits.attempts_max);
        let asked = history.asked.get(&(client.id, *id)).map_or(0, |asked| asked.attempts);
        [
            ("attempts_made", u64::from(request.attempts_made.0.max(asked))),
            ("open", request.open.len() as u64),
            ("unwanted", request.unwanted.len() as u64),
        ]
        .into_iter()
        .map(move |(field, size)| {
            within("attempts_max", size, max, || path(me, &[&"requests", id, &field]))
        })
    });
    let bundles = client.requests.iter().map(|(id, request)| {
        let asked = history.asked.get(&(client.id, *id)).map_or(0, |asked| asked.bundle.len());
        let size = request.bundle.len().max(asked) as u64;
        within("bundle_max", size, limits.bundle_max as u64, || {
            path(me, &[&"requests", id, &"bundle"])
        })
    });
    all(std::iter::once(all_requests).chain(each).chain(bundles))
}
