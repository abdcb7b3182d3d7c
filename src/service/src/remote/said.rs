//! What the client's machine says, in the form of the API, and what comes back.

use super::claim::parse_stamp;
use super::{NoAnswer, Reply};
use counterfoil_protocol::{
    Actor, Address, Answer, Body, Call, ClaimId, ClientId, Datagram, Decision, Demand, Map,
    Placement, Verdict,
};
use serde_json::{Value, json};

/// What an answer to a call means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// This.
    Answer(Answer),
    /// The scheduler stops: it answers nothing more.
    Stops(Answer),
    /// The connection is over.
    Over,
    /// Nobody should ask that again.
    Refused(NoAnswer),
}

/// What is asked for.
pub(crate) fn demand(demand: &Demand) -> Value {
    let bears = demand.apart.iter().map(|(group, max)| (group.to_string(), json!(max)));
    let amounts = demand.resources.iter().map(|(class, n)| (class.to_string(), json!(n)));
    json!({
        "resources": amounts.collect::<serde_json::Map<_, _>>(),
        "required_traits": demand.required.iter().collect::<Vec<_>>(),
        "forbidden_traits": demand.forbidden.iter().collect::<Vec<_>>(),
        "zone": demand.zone,
        "aggregates": demand.aggregates.iter().collect::<Vec<_>>(),
        "groups": {
            "near": demand.near.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "apart": bears.collect::<serde_json::Map<_, _>>(),
        },
    })
}

/// A call over a connection.
pub(super) fn call(client: ClientId, connection: u64, call: &Call) -> Value {
    let mut body = demand(&call.demand);
    body["instances"] = json!(1);
    body["client"] = json!(client.0);
    body["connection"] = json!(connection);
    body["request"] = json!(call.attempt.request.0);
    body["attempt"] = json!(call.attempt.number.0);
    body
}

/// What the answer to `call` means.
pub(super) fn meaning(call: &Call, url: &str, reply: &Reply) -> Meaning {
    let answer = |placement| Answer { attempt: call.attempt, placement };
    match (reply.status, reply.error()) {
        (200, _) => {
            let claim = reply.body["placed"][0]["claim"].as_str().map(str::parse);
            match claim {
                Some(Ok(claim)) => Meaning::Answer(answer(Placement::Placed(claim))),
                Some(Err(_)) | None => Meaning::Refused(reply.refused_by(url)),
            }
        }
        // Why, per node, is not said over HTTP.
        (409, _) => Meaning::Answer(answer(Placement::NoValidHost(Map::default()))),
        (503, "unavailable") => Meaning::Answer(answer(Placement::Unavailable)),
        (503, "exhausted") => Meaning::Answer(answer(Placement::Exhausted)),
        (503, "overloaded") => Meaning::Answer(answer(Placement::Overloaded)),
        (503, "stopping") => Meaning::Stops(answer(Placement::Unavailable)),
        (400..=499, _) => Meaning::Refused(reply.refused_by(url)),
        (_, _) => Meaning::Over,
    }
}

/// What the node said of `claim` when it was to be released, or else confirmed; `None` if nothing.
pub(super) fn verdict(
    client: ClientId,
    claim: ClaimId,
    release: bool,
    reply: &Reply,
) -> Option<Datagram> {
    let decision = match (reply.status, release) {
        (200, false) => {
            Decision::Confirmed { at: reply.body["at"].as_str().and_then(parse_stamp)? }
        }
        (200, true) | (410, _) => Decision::Gone,
        (_, _) => return None,
    };
    let address = |actor| Address { actor, incarnation: None };
    Some(Datagram {
        src: address(Actor::Node(claim.node)),
        dst: address(Actor::Client(client)),
        body: Body::Verdict(Verdict { claim, decision }),
    })
}
