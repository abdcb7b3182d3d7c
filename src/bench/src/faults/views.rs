//! What schedulers know of nodes, and what is true.
//!
//! What is true is told by an observer: a scheduler of the harness that nobody asks for a place, and
//! to which nothing is lost. So it knows every state of every node a few milliseconds after it was
//! reached.

use super::FaultError;
use counterfoil_placement::PolicyName;
use counterfoil_protocol::scheduler::{Peer, Presence};
use counterfoil_protocol::{Incarnation, NodeId, SchedulerId, Stamp, Status, Version};
use counterfoil_service::api;
use counterfoil_service::remote::{Method, Remote};
use counterfoil_service::scheduler::{Daemon, Event, Front, Options, View};
use counterfoil_service::serve::{Common, ServeError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// The observer has the name of a scheduler that is not one of the cluster's.
const OBSERVER: SchedulerId = SchedulerId(1_000_000);

/// How long the observer may take to say what it knows.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) stamp: Stamp,
    pub(crate) present: bool,
    pub(crate) draining: bool,
    /// The sum of its allocations, by resource class.
    pub(crate) used: BTreeMap<String, u64>,
}

/// What is known of every node that has said something.
pub(crate) type Views = BTreeMap<NodeId, Known>;

/// What the scheduler at `url` knows; `None` if it does not say.
pub(crate) fn of_scheduler(remote: &Remote, url: &str) -> Option<Views> {
    let reply = remote.ask(url, Method::Get, "/v1/nodes", None).ok()?;
    let nodes = reply.body.as_array().filter(|_| reply.status == 200)?;
    Some(nodes.iter().filter_map(node).collect())
}

fn node(value: &Value) -> Option<(NodeId, Known)> {
    let id = NodeId(u32::try_from(value["node"].as_u64()?).ok()?);
    let (incarnation, version) = value["stamp"].as_str()?.split_once('.')?;
    let incarnation = Incarnation(incarnation.parse().ok()?);
    let used = value["used"].as_object()?.iter();
    let known = Known {
        stamp: Stamp { incarnation, version: Version(version.parse().ok()?) },
        present: value["presence"] == "present",
        draining: value["status"] == "draining",
        used: used.filter_map(|(class, n)| Some((class.clone(), n.as_u64()?))).collect(),
    };
    Some((id, known))
}

/// The observer. It ends when it is dropped.
pub(crate) struct Observer {
    front: Front,
    running: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Observer {
    /// An observer of the cluster of which some processes listen at `seeds`.
    pub(crate) fn start(common: Common, seeds: Vec<SocketAddr>) -> Result<Observer, FaultError> {
        let daemon = Daemon::start(&Options {
            id: OBSERVER,
            api: api::Settings::at(common.listen),
            policy: PolicyName::default().policy(),
            seed: 1,
            common,
        })?;
        let front = daemon.front();
        // It fails only if it has stopped.
        let _ = front.say(Event::Seeds(seeds));
        let running = std::thread::Builder::new().name("observer".to_owned());
        let running = Some(running.spawn(move || daemon.run())?);
        Ok(Observer { front, running })
    }

    /// What is true, as of a few milliseconds ago.
    pub(crate) fn views(&self) -> Option<Views> {
        let (tell, told) = channel();
        let look = Box::new(move |view: View| drop(tell.send(views(&view))));
        self.front.say(Event::Look(look)).ok()?;
        told.recv_timeout(PATIENCE).ok()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let _ = self.front.say(Event::Stop);
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

fn views(view: &View) -> Views {
    let known = |(id, peer): (&NodeId, &Peer)| {
        let host = peer.host.as_ref()?;
        let used = host.state.used.iter();
        let known = Known {
            stamp: host.stamp,
            present: peer.presence == Presence::Present,
            draining: host.state.status == Status::Draining,
            used: used.map(|(class, n)| (class.to_string(), n)).collect(),
        };
        Some((*id, known))
    };
    view.machine.nodes.iter().filter_map(known).collect()
}
