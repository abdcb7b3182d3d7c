//! `/v1/allocations/{claim}`: what is held or confirmed, confirming it, releasing it.

use super::Api;
use super::problem::Problem;
use super::routes::Claim;
use crate::scheduler::{Event, NotTaken, Seen};
use crate::wire::{FromClient, ToClient};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use counterfoil_protocol::{
    Actor, Address, Body, ClaimId, ClientId, Datagram, Decision, Stamp, Verdict,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// From one time that a node is told to the next.
const AGAIN: Duration = Duration::from_millis(100);

/// After this long a node that has not answered is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// After this long a node that is not known here is given up: a scheduler that has just started
/// comes to know its nodes within less.
const UNKNOWN: Duration = Duration::from_secs(1);

/// What a node is to do with an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// To keep it until it is released.
    Confirm,
    /// To give it back.
    Release,
}

/// What has become of it for good, as far as whoever does this waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is confirmed; from this stamp on the host state contains it.
    Confirmed(Stamp),
    /// It is not there, and never will be.
    Gone,
}

impl Act {
    fn of(self, claim: ClaimId) -> Body {
        match self {
            Act::Confirm => Body::Confirm(claim),
            Act::Release => Body::Release(claim),
        }
    }

    /// Whether this decision is the answer. Others were made before the node was told.
    fn settled(self, decision: &Decision) -> Option<Settled> {
        match (self, decision) {
            (Act::Confirm, Decision::Confirmed { at }) => Some(Settled::Confirmed(*at)),
            (Act::Confirm | Act::Release, Decision::Gone) => Some(Settled::Gone),
            (Act::Release, Decision::Confirmed { .. })
            | (Act::Confirm | Act::Release, Decision::Granted { .. } | Decision::Refused(_)) => {
                None
            }
        }
    }
}

/// Tells the nodes of `claims` what to do until each has answered, or for a while; what each has
/// answered.
pub(super) async fn settle(
    api: &Api,
    act: Act,
    claims: &[ClaimId],
) -> Result<BTreeMap<ClaimId, Settled>, NotTaken> {
    let mut line = api.lines.open()?;
    let mut open: BTreeSet<ClaimId> = claims.iter().copied().collect();
    let mut settled = BTreeMap::new();
    let start = Instant::now();
    let (until, mut asked) = (start + PATIENCE, false);
    while !open.is_empty() && Instant::now() < until {
        if !asked
            && start.elapsed() > UNKNOWN
            && let Ok(view) = api.view().await
        {
            asked = true;
            open.retain(|claim| view.machine.nodes.contains_key(&claim.node));
        }
        for claim in &open {
            match line.say(FromClient::Datagram(datagram(line.client, act, *claim))) {
                // It is said again.
                Ok(()) | Err(NotTaken::Overloaded) => {}
                Err(NotTaken::Stopped) => return Err(NotTaken::Stopped),
            }
        }
        let again = Instant::now() + AGAIN;
        while !open.is_empty()
            && let Ok(said) = timeout_at(again, line.hear()).await
        {
            let (claim, decision) = match said {
                Some(ToClient::Datagram(Datagram {
                    body: Body::Verdict(Verdict { claim, decision }),
                    ..
                })) => (claim, decision),
                Some(ToClient::Datagram(_) | ToClient::Answer(_)) => continue,
                None => return Err(NotTaken::Stopped),
            };
            if let Some(this) = act.settled(&decision)
                && open.remove(&claim)
            {
                settled.insert(claim, this);
            }
        }
    }
    Ok(settled)
}

fn datagram(client: ClientId, act: Act, claim: ClaimId) -> Datagram {
    let address = |actor| Address { actor, incarnation: None };
    let (src, dst) = (address(Actor::Client(client)), address(Actor::Node(claim.node)));
    Datagram { src, dst, body: act.of(claim) }
}

/// One claim.
async fn settle_one(api: &Api, act: Act, claim: ClaimId) -> Result<Settled, Problem> {
    let settled = settle(api, act, &[claim]).await?;
    settled.get(&claim).copied().ok_or_else(|| unanswered(claim))
}

fn unanswered(claim: ClaimId) -> Problem {
    let message = format!("node {} did not answer in time: ask again", claim.node);
    Problem::unanswered(message)
}

fn gone(status: StatusCode, claim: ClaimId) -> Problem {
    let message = format!("{claim} has no allocation: it was released, lapsed, or never granted");
    Problem::new(status, "gone", message)
}

pub(super) async fn confirm(
    State(api): State<Api>,
    Claim(claim): Claim,
) -> Result<Json<Value>, Problem> {
    match settle_one(&api, Act::Confirm, claim).await? {
        Settled::Confirmed(at) => {
            let (claim, at) = (claim.to_string(), at.to_string());
            Ok(Json(json!({ "claim": claim, "state": "confirmed", "at": at })))
        }
        Settled::Gone => Err(gone(StatusCode::GONE, claim)),
    }
}

pub(super) async fn release(
    State(api): State<Api>,
    Claim(claim): Claim,
) -> Result<Json<Value>, Problem> {
    settle_one(&api, Act::Release, claim).await?;
    Ok(Json(json!({ "claim": claim.to_string(), "state": "gone" })))
}

pub(super) async fn show(
    State(api): State<Api>,
    Claim(claim): Claim,
) -> Result<Json<Value>, Problem> {
    let (tell, told) = oneshot::channel();
    api.front.offer(Event::Ask(claim, Box::new(|seen| drop(tell.send(seen)))))?;
    match told.await.map_err(|_| NotTaken::Stopped)? {
        Seen::Answered(Some(allocation)) => Ok(Json(json!({
            "claim": claim.to_string(),
            "node": claim.node,
            "state": allocation.state,
            "at": allocation.at.to_string(),
            "request": allocation.request,
            "resources": allocation.demand.resources,
        }))),
        Seen::Answered(None) => Err(gone(StatusCode::NOT_FOUND, claim)),
        Seen::Unknown => {
            let message = format!("node {} is not known here: ask again later", claim.node);
            Err(Problem::unanswered(message))
        }
        Seen::Unanswered => Err(unanswered(claim)),
    }
}
