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

/// A property that must become and stay true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// Every live scheduler's view of every live node equals the node's host state, and no
    /// reservation on it is left.
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
                "Once faults and outside inputs stop, every live scheduler's view of every live node \
                 becomes and stays equal to the node's host state, with no reservations left."
            }
            Liveness::EveryRequestEnds => "Every attempt is answered, and every request ends.",
            Liveness::NoLeak => "Every allocation is in the end confirmed by its client, or gone.",
        }
    }

    /// What keeps it from being true now, if anything does.
    pub fn check(self, now: &Snapshot) -> Option<Violation> {
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

fn convergence(now: &Snapshot) -> Option<Violation> {
    now.schedulers.iter().find_map(|scheduler| {
        let me = Actor::Scheduler(scheduler.id);
        now.nodes.iter().find_map(|node| {
            let peer = scheduler.nodes.get(&node.id);
            let host = peer.and_then(|peer| peer.host.as_ref());
            let id = node.id;
            if host.is_none_or(|host| host.stamp != node.stamp() || host.state != node.host_state())
            {
                let way = path(me, &[&"nodes", &id, &"host"]);
                return Some(
                    Violation::new(format!("{me} caches for {id} what {id} is"))
                        .fact("cached", host, way)
                        .fact("is", (node.stamp(), node.host_state()), path(Actor::Node(id), &[])),
                );
            }
            let peer = peer.expect("its host is known");
            if peer.presence != Presence::Present {
                let way = path(me, &[&"nodes", &id, &"presence"]);
                let clause = format!("{me} takes {id} to be there");
                return Some(Violation::new(clause).fact("presence", peer.presence, way));
            }
            (!peer.claims.is_empty()).then(|| {
                let way = path(me, &[&"nodes", &id, &"claims"]);
                let clause = format!("{me} has no reservations left on {id}");
                Violation::new(clause).fact("reservations", &peer.claims, way)
            })
        })
    })
}

fn every_request_ends(now: &Snapshot) -> Option<Violation> {
    let pending = now.schedulers.iter().find_map(|scheduler| {
        let me = Actor::Scheduler(scheduler.id);
        scheduler.attempts.iter().next().map(|(id, attempt)| {
            Violation::new(format!("{me} has answered {id}")).fact(
                "phase",
                attempt.phase,
                path(me, &[&"attempts", id, &"phase"]),
            )
        })
    });
    pending.or_else(|| {
        now.clients.iter().find_map(|client| {
            let me = Actor::Client(client.id);
            client.requests.iter().find_map(|(id, request)| {
                let over =
                    matches!(request.phase, client::Phase::Confirmed(_) | client::Phase::Ended(_));
                let still = !over || !request.open.is_empty() || !request.unwanted.is_empty();
                still.then(|| {
                    Violation::new(format!(
                        "{id} of {me} is confirmed or over, and nothing is open"
                    ))
                    .fact("request", request, path(me, &[&"requests", id]))
                })
            })
        })
    })
}

fn no_leak(now: &Snapshot) -> Option<Violation> {
    if now.clients.is_empty() {
        return None;
    }
    now.nodes.iter().find_map(|node| {
        node.durable.allocations.iter().find_map(|(claim, allocation)| {
            let confirmed = allocation.state == AllocationState::Confirmed;
            let wanted = now.clients.iter().any(|client| {
                client
                    .requests
                    .get(&allocation.request)
                    .is_some_and(|request| request.phase == client::Phase::Confirmed(*claim))
            });
            (!confirmed || !wanted).then(|| {
                let way = path(Actor::Node(node.id), &[&"durable", &"allocations", claim]);
                Violation::new(format!(
                    "{claim} on {} is confirmed by its client, or gone",
                    node.id
                ))
                .fact("allocation", allocation, way)
                .fact("wanted", wanted, Vec::new())
            })
        })
    })
}
