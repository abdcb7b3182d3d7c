//! Safety of clients.

use crate::{Check, History, Process, Step, Violation, all, path, within};
use counterfoil_protocol::client::{Client, Input, Phase};
use counterfoil_protocol::{Actor, Body, ClaimId, Datagram, Decision, RequestId, Verdict};

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

/// See [`crate::Safety::Bounded`].
pub(crate) fn bounded(client: &Client) -> Check {
    let limits = &client.config().limits;
    let me = Actor::Client(client.id);
    let requests = client.requests.len() as u64;
    let all_requests =
        within("requests_max", requests, limits.requests_max as u64, || path(me, &[&"requests"]));
    let each = client.requests.iter().flat_map(|(id, request)| {
        let max = u64::from(limits.attempts_max);
        [
            ("attempts_made", u64::from(request.attempts_made.0)),
            ("open", request.open.len() as u64),
            ("unwanted", request.unwanted.len() as u64),
        ]
        .into_iter()
        .map(move |(field, size)| {
            within("attempts_max", size, max, || path(me, &[&"requests", id, &field]))
        })
    });
    all(std::iter::once(all_requests).chain(each))
}
