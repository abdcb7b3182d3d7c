//! What must become true, and stay true, once faults and outside inputs stop.

use crate::{Violation, path};
use counterfoil_protocol::node::AllocationState;
use counterfoil_protocol::scheduler::Presence;
use counterfoil_protocol::{Actor, Client, Node, Scheduler, client};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The live processes of a cluster, at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// Nodes that have not left.
    pub nodes: Vec<&'a Node>,
    /// Schedulers that have not stopped.
    pub schedulers: Vec<&'a Scheduler>,
    /// Clients. Empty if requests come from elsewhere, and nobody confirms.
    pub clients: Vec<&'a Client>,
}

/// Why a liveness property is not true yet: to be called for the words.
pub type Unmet<'a> = Box<dyn Fn() -> Violation + 'a>;

/// A property that must become and stay true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// Every live scheduler is subscribed to every live node, so that of two lives of one scheduler
    /// only the later goes on; its view equals the node's host state, and no reservation is left.
    Convergence,
    /// Every attempt is answered, and every request is confirmed or over.
    EveryRequestEnds,
    /// Every allocation is confirmed by its client, or gone.
    NoLeak,
}

impl Liveness {
    /// All of them, in the order of the documentation.
    pub const ALL: [Liveness; 3] =
        [Liveness::Convergence, Liveness::EveryRequestEnds, Liveness::NoLeak];

    /// The name in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Liveness::Convergence => "convergence",
            Liveness::EveryRequestEnds => "every_request_ends",
            Liveness::NoLeak => "no_leak",
        }
    }

    /// What it says, in one sentence.
    pub const fn statement(self) -> &'static str {
        match self {
            Liveness::Convergence => {
                "Once faults and outside inputs stop, every live scheduler becomes and stays \
                 subscribed to every live node, its view of it equal to the node's host state, with \
                 no reservations left."
            }
            Liveness::EveryRequestEnds => "Every attempt is answered, and every request ends.",
            Liveness::NoLeak => "Every allocation is in the end confirmed by its client, or gone.",
        }
    }

    /// What keeps it from being true now, if anything does; in words only when asked.
    pub fn check<'a>(self, now: &Snapshot<'a>) -> Option<Unmet<'a>> {
        match self {
            Liveness::Convergence => convergence(now),
            Liveness::EveryRequestEnds => every_request_ends(now),
            Liveness::NoLeak => no_leak(now),
        }
    }
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn convergence<'a>(now: &Snapshot<'a>) -> Option<Unmet<'a>> {
    let pairs = now.schedulers.iter().flat_map(|s| now.nodes.iter().map(|n| (*s, *n)));
    pairs.filter(|(scheduler, node)| !agree(scheduler, node)).map(why_not_agreed).next()
}

/// Whether a scheduler sees a node as it is, takes it to be there, sets nothing aside on it, and is
/// told what changes.
fn agree(scheduler: &Scheduler, node: &Node) -> bool {
    let subscribed = node.subscribers.get(&scheduler.id) == Some(&scheduler.incarnation);
    let peer = scheduler.nodes.get(&node.id).filter(|_| subscribed);
    peer.is_some_and(|peer| {
        peer.presence == Presence::Present
            && peer.claims.is_empty()
            && peer
                .host
                .as_ref()
                .is_some_and(|host| host.stamp == node.stamp() && host.state == node.host_state())
    })
}

fn why_not_agreed<'a>((scheduler, node): (&'a Scheduler, &'a Node)) -> Unmet<'a> {
    Box::new(move || {
        let (me, id) = (Actor::Scheduler(scheduler.id), node.id);
        let peer = scheduler.nodes.get(&id);
        let host = peer.and_then(|peer| peer.host.as_ref());
        let cached = host.map(|host| (host.stamp, &host.state.used));
        let is = (node.stamp(), node.host_state().used);
        Violation::new(format!(
            "{me} is subscribed to {id}, caches for it what it is, and sets nothing aside there"
        ))
        .fact("cached", cached, path(me, &[&"nodes", &id, &"host"]))
        .fact("is", is, path(Actor::Node(id), &[&"version"]))
        .fact("presence", peer.map(|p| p.presence), path(me, &[&"nodes", &id, &"presence"]))
        .fact(
            "subscribed",
            node.subscribers.get(&scheduler.id),
            path(Actor::Node(id), &[&"subscribers"]),
        )
        .fact("set aside", peer.map(|p| &p.claims), path(me, &[&"nodes", &id, &"claims"]))
    })
}

fn every_request_ends<'a>(now: &Snapshot<'a>) -> Option<Unmet<'a>> {
    for scheduler in now.schedulers.iter().copied() {
        if let Some((id, attempt)) = scheduler.attempts.iter().next() {
            return Some(Box::new(move || {
                let me = Actor::Scheduler(scheduler.id);
                Violation::new(format!("{me} has answered {id}")).fact(
                    "phase",
                    attempt.phase,
                    path(me, &[&"attempts", id, &"phase"]),
                )
            }));
        }
    }
    for client in now.clients.iter().copied() {
        let open = client.requests.iter().find(|(_, request)| !is_over(request));
        if let Some((id, request)) = open {
            return Some(Box::new(move || {
                let me = Actor::Client(client.id);
                Violation::new(format!("{id} of {me} is confirmed or over, and nothing is open"))
                    .fact("request", request, path(me, &[&"requests", id]))
            }));
        }
    }
    None
}

fn is_over(request: &client::Request) -> bool {
    let over = matches!(request.phase, client::Phase::Confirmed(_) | client::Phase::Ended(_));
    over && request.open.is_empty() && request.unwanted.is_empty()
}

fn no_leak<'a>(now: &Snapshot<'a>) -> Option<Unmet<'a>> {
    if now.clients.is_empty() {
        return None;
    }
    for node in now.nodes.iter().copied() {
        for (claim, allocation) in node.durable.allocations.iter() {
            let wanted = now.clients.iter().any(|client| {
                let request = client.requests.get(&allocation.request);
                request.is_some_and(|r| r.phase == client::Phase::Confirmed(*claim))
            });
            if allocation.state != AllocationState::Confirmed || !wanted {
                return Some(Box::new(move || {
                    let way = path(Actor::Node(node.id), &[&"durable", &"allocations", claim]);
                    let id = node.id;
                    Violation::new(format!("{claim} on {id} is confirmed by its client, or gone"))
                        .fact("allocation", allocation, way)
                        .fact("wanted", wanted, Vec::new())
                }));
            }
        }
    }
    None
}
