//! What the scheduler knows, what it decided of late, and orders to nodes.

use super::Api;
use super::problem::Problem;
use super::routes::NodeName;
use crate::scheduler::{Decided, Decision, Event, NotTaken, Ordered, View};
use crate::wire::Order;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use counterfoil_placement::Exclusions;
use counterfoil_protocol::scheduler::{Peer, Presence};
use counterfoil_protocol::{
    ClassInventory, HostState, Inventory, NodeId, ResourceClass, Resources, Status,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;

/// Nodes of one answer, if the caller does not say; and at most.
pub(super) const PAGE: usize = 1000;

/// After this long a scheduler is ready though it knows no node: there may be none.
const READY_ANYWAY: Duration = Duration::from_secs(5);

/// A node as the scheduler sees it.
#[derive(Debug, Serialize)]
pub(super) struct NodeView {
    node: NodeId,
    /// `None` before its first word.
    status: Option<Status>,
    presence: &'static str,
    stamp: Option<String>,
    heard_ms: Option<u64>,
    address: Option<SocketAddr>,
    inventory: BTreeMap<String, ClassView>,
    used: Resources,
    free: BTreeMap<String, u64>,
    set_aside: Resources,
    traits: Vec<String>,
    zone: Option<String>,
    aggregates: Vec<String>,
}

/// What a node has of one class.
#[derive(Debug, Serialize)]
struct ClassView {
    total: u64,
    reserved: u64,
    allocation_ratio: f64,
    min_unit: u64,
    /// `None` if there is no such limit.
    max_unit: Option<u64>,
    step_unit: u64,
    capacity: u64,
}

/// Which part of the nodes to show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    after: Option<u32>,
    limit: Option<usize>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn class_view(class: &ClassInventory) -> ClassView {
    ClassView {
        total: class.total,
        reserved: class.reserved,
        allocation_ratio: f64::from(class.allocation_ratio_milli) / 1000.0,
        min_unit: class.min_unit,
        max_unit: (class.max_unit < u64::MAX).then_some(class.max_unit),
        step_unit: class.step_unit,
        capacity: class.capacity(),
    }
}

/// What is neither used nor set aside, of each class that there is.
fn free(state: &HostState, set_aside: &Resources) -> BTreeMap<String, u64> {
    let left = |(class, inventory): (&ResourceClass, &ClassInventory)| {
        let taken = state.used.get(class).saturating_add(set_aside.get(class));
        (class.to_string(), inventory.capacity().saturating_sub(taken))
    };
    state.inventory.classes.iter().map(left).collect()
}

fn node_view(view: &View, node: NodeId, peer: &Peer) -> NodeView {
    let heard = view.heard.binary_search_by_key(&node, |(node, ..)| *node).ok();
    let heard = heard.map(|at| &view.heard[at]);
    let state = peer.host.as_ref().map(|host| &host.state);
    let none = Inventory::default();
    let inventory = state.map_or(&none, |state| &state.inventory);
    let set_aside = peer.set_aside();
    let classes = inventory.classes.iter();
    NodeView {
        node,
        status: state.map(|state| state.status),
        presence: match peer.presence {
            Presence::Present => "present",
            Presence::Suspected => "suspected",
            Presence::Departed(_) => "departed",
        },
        stamp: peer.host.as_ref().map(|host| host.stamp.to_string()),
        heard_ms: heard.map(|(.., ago)| millis(*ago)),
        address: heard.map(|(_, address, _)| *address),
        inventory: classes.map(|(name, class)| (name.to_string(), class_view(class))).collect(),
        used: state.map(|state| state.used.clone()).unwrap_or_default(),
        free: state.map(|state| free(state, &set_aside)).unwrap_or_default(),
        set_aside,
        traits: inventory.traits.iter().map(ToString::to_string).collect(),
        zone: inventory.zone.as_ref().map(ToString::to_string),
        aggregates: inventory.aggregates.iter().map(ToString::to_string).collect(),
    }
}

fn unknown(node: NodeId) -> Problem {
    Problem::not_found(format!("node {node} is not known to this scheduler"))
}

pub(super) async fn list(
    State(api): State<Api>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Vec<NodeView>>, Problem> {
    let Query(page) = page.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is {limit}: use 1 to {PAGE}")));
    }
    let view = api.view().await?;
    let first = page.after.map_or(Some(NodeId(0)), |after| after.checked_add(1).map(NodeId));
    let nodes = first.into_iter().flat_map(|first| view.machine.nodes.range(first..)).take(limit);
    Ok(Json(nodes.map(|(node, peer)| node_view(&view, *node, peer)).collect()))
}

pub(super) async fn show(
    State(api): State<Api>,
    NodeName(node): NodeName,
) -> Result<Json<NodeView>, Problem> {
    let view = api.view().await?;
    let peer = view.machine.nodes.get(&node).ok_or_else(|| unknown(node))?;
    Ok(Json(node_view(&view, node, peer)))
}

pub(super) async fn drain(
    State(api): State<Api>,
    NodeName(node): NodeName,
) -> Result<Json<Value>, Problem> {
    order(&api, node, Status::Draining).await
}

pub(super) async fn undrain(
    State(api): State<Api>,
    NodeName(node): NodeName,
) -> Result<Json<Value>, Problem> {
    order(&api, node, Status::Up).await
}

async fn order(api: &Api, node: NodeId, status: Status) -> Result<Json<Value>, Problem> {
    let (tell, told) = oneshot::channel();
    let tell = Box::new(|ordered| {
        // Nobody may wait any more.
        let _ = tell.send(ordered);
    });
    api.front.offer(Event::Order(node, Order::Status(status), tell))?;
    match told.await.map_err(|_| NotTaken::Stopped)? {
        Ordered::Taken => Ok(Json(json!({ "node": node, "status": status }))),
        Ordered::Unknown => Err(unknown(node)),
        Ordered::Unanswered => {
            let message = format!("node {node} did not answer in time: order it again");
            Err(Problem::unanswered(message))
        }
    }
}

/// How many nodes each filter passed over, and why.
pub(super) fn excluded(exclusions: &Exclusions) -> Value {
    let one = |excluded: &counterfoil_placement::Excluded| {
        json!({
            "filter": excluded.filter().as_str(),
            "nodes": excluded.nodes,
            "reason": excluded.reason.to_string(),
            "most_free": excluded.most_free,
        })
    };
    exclusions.iter().map(one).collect()
}

pub(super) async fn recent(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let view = api.view().await?;
    Ok(Json(view.recent.iter().map(decision).collect()))
}

fn decision(decision: &Decision) -> Value {
    let Decision { attempt, decided, claims, took } = decision;
    let (result, node, claim, why) = match decided {
        Decided::Placed(claim) => ("placed", Some(claim.node), Some(claim.to_string()), None),
        Decided::NoValidHost(exclusions) => ("no_valid_host", None, None, Some(exclusions)),
        Decided::Unavailable => ("unavailable", None, None, None),
        Decided::Exhausted => ("exhausted", None, None, None),
        Decided::Overloaded => ("overloaded", None, None, None),
    };
    json!({
        "request": attempt.request,
        "attempt": attempt.number,
        "result": result,
        "node": node,
        "claim": claim,
        "why": why.map(|exclusions| format!("{exclusions:#}")),
        "excluded": why.map(excluded),
        "retries": claims.saturating_sub(1),
        "microseconds": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    })
}

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

pub(super) async fn ready(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    if api.is_stopping() {
        return Err(Problem::stopping());
    }
    let nodes = api.view().await?.machine.nodes.len();
    if nodes == 0 && api.started.elapsed() < READY_ANYWAY {
        return Err(Problem::unavailable("starting", "no node is known yet"));
    }
    Ok(Json(json!({ "ready": true, "nodes": nodes })))
}
