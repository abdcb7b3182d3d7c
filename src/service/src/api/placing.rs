//! `POST /v1/requests`: finding places.

use super::allocations::{Act, settle};
use super::demand::{Caller, PlaceBody, Wish};
use super::lines::NotCalled;
use super::problem::Problem;
use super::{Api, nodes};
use crate::wire::{FromClient, ToClient};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use counterfoil_placement::why_not;
use counterfoil_protocol::{
    Answer, AttemptId, AttemptNumber, Call, ClaimId, Demand, Map, NodeId, Placement, Refusal,
    RequestId,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// After this long a request that has no answer is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers that are made up stay below this, so that every reader of JSON reads them as they are.
const REQUEST_BITS: u32 = 53;

/// Every instance has a place.
#[derive(Debug, Serialize)]
pub(super) struct Placed {
    request: RequestId,
    placed: Vec<Place>,
    lapses_in_ms: u64,
}

#[derive(Debug, Serialize)]
struct Place {
    claim: String,
    node: NodeId,
    request: RequestId,
}

pub(super) async fn place(
    State(api): State<Api>,
    super::routes::Body(body): super::routes::Body<PlaceBody>,
) -> Result<Json<Placed>, Problem> {
    let Wish { demand, instances, caller } = body.wish()?;
    if api.is_stopping() {
        return Err(Problem::stopping());
    }
    let (request, claims) = match caller {
        Some(caller) => (caller.attempt.request, vec![call(&api, caller, demand).await?]),
        None => place_all(&api, demand, instances).await?,
    };
    let place = |(number, claim): (u64, ClaimId)| Place {
        claim: claim.to_string(),
        node: claim.node,
        request: RequestId(request.0 + number),
    };
    let lapses_in_ms = u64::try_from(api.lapse.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(Placed { request, placed: (0..).zip(claims).map(place).collect(), lapses_in_ms }))
}

/// Makes one attempt of a client of the protocol, over its connection.
async fn call(api: &Api, caller: Caller, demand: Demand) -> Result<ClaimId, Problem> {
    let Caller { client, connection, attempt } = caller;
    let over = || {
        let message = format!("connection {connection} is over: go on with a higher number");
        Problem::unavailable("connection_over", message)
    };
    let waiting = api.lines.call(client, connection, Call { attempt, demand: demand.into() });
    let waiting = waiting.map_err(|why| match why {
        NotCalled::Over => over(),
        NotCalled::Repeated => Problem::bad_request(format!("attempt {attempt} is open")),
        NotCalled::NotTaken(why) => why.into(),
    })?;
    match timeout(PATIENCE, waiting.answer()).await {
        Ok(Some(Placement::Placed(claim))) => Ok(claim),
        Ok(Some(placement)) => Err(problem(api, placement).await),
        Ok(None) | Err(_) => Err(over()),
    }
}

/// A new request, with room for `instances` after it.
fn new_request(instances: u32) -> Result<RequestId, Problem> {
    let random = getrandom::u64().map_err(|error| {
        tracing::error!(%error, "the system gives no randomness");
        Problem::unavailable("unavailable", "the system gives no randomness")
    })?;
    Ok(RequestId((random >> (64 - REQUEST_BITS)).saturating_sub(u64::from(instances))))
}

/// Finds a place for every instance, or for none: each is a request of its own.
async fn place_all(
    api: &Api,
    demand: Demand,
    instances: u32,
) -> Result<(RequestId, Vec<ClaimId>), Problem> {
    let first = new_request(instances)?;
    let mut line = api.lines.open()?;
    let mut held = Held { api: Arc::clone(api), claims: BTreeMap::new() };
    let mut failures = BTreeMap::new();
    for instance in 0..u64::from(instances) {
        let request = RequestId(first.0 + instance);
        let attempt = AttemptId { request, number: AttemptNumber(1) };
        let call = Call { attempt, demand: demand.clone().into() };
        if let Err(why) = line.say(FromClient::Call(call)) {
            failures.insert(request, why.into());
        }
    }
    let until = Instant::now() + PATIENCE;
    while held.claims.len() + failures.len() < instances as usize {
        let said = timeout_at(until, line.hear()).await.map_err(|_| {
            Problem::unavailable("unavailable", "there was no answer in time: ask again later")
        })?;
        let said = said.ok_or_else(Problem::stopping)?;
        let ToClient::Answer(Answer { attempt, placement }) = said else { continue };
        match placement {
            Placement::Placed(claim) => {
                held.claims.insert(attempt.request, claim);
            }
            Placement::NoValidHost(_)
            | Placement::Unavailable
            | Placement::Exhausted
            | Placement::Overloaded => {
                failures.insert(attempt.request, problem(api, placement).await);
            }
        }
    }
    match failures.into_values().next() {
        Some(problem) => {
            held.release().await;
            Err(problem)
        }
        None => Ok((first, held.keep())),
    }
}

/// What is held for instances. If it is dropped before all are, it is released.
struct Held {
    api: Api,
    claims: BTreeMap<RequestId, ClaimId>,
}

impl Held {
    fn keep(mut self) -> Vec<ClaimId> {
        std::mem::take(&mut self.claims).into_values().collect()
    }

    async fn release(&mut self) {
        let claims: Vec<ClaimId> = self.claims.values().copied().collect();
        if !claims.is_empty() {
            release(&self.api, &claims).await;
        }
        self.claims.clear();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let (api, claims) = (Arc::clone(&self.api), std::mem::take(&mut self.claims));
        let claims: Vec<ClaimId> = claims.into_values().collect();
        // Without a runtime, or if there is too much to do, they lapse.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Ok(_room) = api.room.try_acquire() {
                release(&api, &claims).await;
            }
        });
    }
}

async fn release(api: &Api, claims: &[ClaimId]) {
    let settled = settle(api, Act::Release, claims).await.map(|settled| settled.len());
    if settled != Ok(claims.len()) {
        tracing::info!("what is held for a request that failed in part lapses");
    }
}

/// Why there is no place.
async fn problem(api: &Api, placement: Placement) -> Problem {
    match placement {
        Placement::NoValidHost(refusals) => no_valid_host(api, &refusals).await,
        Placement::Unavailable if api.is_stopping() => Problem::stopping(),
        Placement::Unavailable => Problem::unavailable(
            "unavailable",
            "no node can be chosen now, but one may be that this scheduler cannot judge: ask again \
             later, or another scheduler",
        ),
        Placement::Exhausted => {
            Problem::unavailable("exhausted", "many nodes were asked, and each refused: ask again")
        }
        Placement::Overloaded => Problem::overloaded(),
        Placement::Placed(_) => unreachable!("it is no problem"),
    }
}

async fn no_valid_host(api: &Api, refusals: &Map<NodeId, Refusal>) -> Problem {
    let exclusions = why_not(refusals);
    let oldest = match api.view().await {
        Ok(view) => {
            let of_these = view.heard.iter().filter(|(node, ..)| refusals.contains_key(node));
            of_these.map(|(.., ago)| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)).max()
        }
        // There is too much to do to say that, too.
        Err(_) => None,
    };
    let message = format!("no valid host was found: {exclusions:#}");
    Problem::new(StatusCode::CONFLICT, "no_valid_host", message)
        .with("excluded", nodes::excluded(&exclusions))
        .with("nodes", exclusions.nodes())
        .with("oldest_view_ms", oldest.map_or(Value::Null, |ms| json!(ms)))
}
