//! Liveness: what must become and stay true.

use super::LIVENESS;
use crate::Amounts;
use crate::conductor::{Conductor, State};
use crate::node::Node;
use crate::protocol::{Process, Seed};
use crate::setting::CONDUCTOR;
use counterfoil_properties::{Violation, path};
use counterfoil_protocol::{Actor, Address, NodeId, RequestId};
use counterfoil_world::scenario::Design;
use counterfoil_world::view::View;

/// What keeps a liveness property from being true now.
pub(crate) fn goal(view: &impl View<Seed>, liveness: usize) -> Option<Violation> {
    let conductor = Address { actor: Actor::Client(CONDUCTOR), incarnation: None };
    let Some(Process::Conductor(tables)) = view.process(conductor) else { return None };
    match LIVENESS[liveness].name {
        "convergence" => convergence(view, tables),
        "every_request_ends" => every_request_ends(tables),
        "no_leak" => no_leak(view, tables),
        "gaps_close" => gaps_close(view),
        other => unreachable!("{other} has no goal"),
    }
}

/// The nodes in service.
fn nodes<'a>(view: &'a impl View<Seed>, tables: &Conductor) -> impl Iterator<Item = &'a Node> {
    view.processes().filter_map(move |(address, process)| {
        let service = tables.services.get(&address.actor);
        match process {
            Process::Node(node) if service.is_some_and(|row| !row.disabled) => Some(node),
            Process::Node(_)
            | Process::Shared(_)
            | Process::Reader(_)
            | Process::Writer(_)
            | Process::Conductor(_) => None,
        }
    })
}

fn convergence(view: &impl View<Seed>, tables: &Conductor) -> Option<Violation> {
    for node in nodes(view, tables) {
        let host = node.host_use();
        for (address, process) in view.processes() {
            let (known, way): (_, [&str; 2]) = match process {
                Process::Shared(scheduler) => {
                    let remote = scheduler.nodes.get(&node.id);
                    let active = remote.filter(|remote| remote.peer.is_active());
                    let state = active.and_then(|remote| remote.view.as_ref());
                    (state.map(|of| (of.used.clone(), of.capacity.clone())), ["nodes", "view"])
                }
                // The filter scheduler keeps nothing that it does not read again before it is used.
                Process::Reader(reader) if reader.setting.design == Design::Caching => {
                    let entry = reader.hosts.get(&node.id);
                    let known = entry.map(|of| (of.used(), of.row.host.capacity.clone()));
                    (known, ["hosts", "row"])
                }
                Process::Reader(_)
                | Process::Node(_)
                | Process::Writer(_)
                | Process::Conductor(_) => continue,
            };
            let Some((used, capacity)) = known else {
                let clause = format!("{} knows the state of {}", address.actor, node.id);
                return Some(Violation::new(clause));
            };
            if used == host.used && capacity == host.capacity {
                continue;
            }
            let clause = format!(
                "{} keeps used {used:?} of {capacity:?} for {}, which uses {:?} of {:?}",
                address.actor, node.id, host.used, host.capacity
            );
            let place = path(address.actor, &[&way[0], &node.id, &way[1]]);
            let violation = Violation::new(clause).fact("used", used, place);
            let place = path(Actor::Node(node.id), &[&"instances"]);
            return Some(violation.fact("instances", &node.instances, place));
        }
    }
    None
}

fn every_request_ends(tables: &Conductor) -> Option<Violation> {
    let (id, open) = tables.instances.iter().find(|(_, instance)| !instance.state.is_over())?;
    let clause = format!("{id} is active, failed or deleted, and is {:?}", open.state);
    let place = path(Actor::Client(CONDUCTOR), &[&"instances", id, &"state"]);
    Some(Violation::new(clause).fact("state", open.state, place))
}

fn no_leak(view: &impl View<Seed>, tables: &Conductor) -> Option<Violation> {
    let is_active = |id: &RequestId, node: NodeId| {
        tables.instances.get(id).is_some_and(|instance| instance.state == State::Active(node))
    };
    for (id, nodes) in tables.allocations.iter() {
        if let Some(node) = nodes.keys().find(|node| !is_active(id, **node)) {
            let clause = format!("what is allocated on {node} for {id} is for an active instance");
            let place = path(Actor::Client(CONDUCTOR), &[&"allocations", id]);
            return Some(Violation::new(clause).fact("allocation", id, place));
        }
    }
    for (address, process) in view.processes() {
        let leak = |id: RequestId, amounts: &Amounts, way: Vec<String>| {
            let clause =
                format!("{} keeps {amounts:?} for {id}, which is not active there", address.actor);
            Some(Violation::new(clause).fact("instance", id, way))
        };
        match process {
            Process::Node(node) => {
                if let Some((id, amounts)) =
                    node.instances.iter().find(|(id, _)| !is_active(id, node.id))
                {
                    return leak(*id, amounts, path(address.actor, &[&"instances", id]));
                }
            }
            Process::Shared(scheduler) => {
                for (node, remote) in scheduler.nodes.iter() {
                    if let Some(claim) = remote.claims().next() {
                        let way = path(address.actor, &[&"nodes", node]);
                        return leak(claim.instance, &claim.amounts, way);
                    }
                }
            }
            Process::Reader(_) | Process::Writer(_) | Process::Conductor(_) => {}
        }
    }
    None
}

fn gaps_close(view: &impl View<Seed>) -> Option<Violation> {
    for (address, process) in view.processes() {
        let Process::Shared(scheduler) = process else { continue };
        for (node, remote) in scheduler.nodes.iter() {
            if let Some(missing) = remote.window.missing.first() {
                let me = address.actor;
                let clause = format!("{me} misses no message of {node}, and misses {missing}");
                let way = path(me, &[&"nodes", node, &"window", &"missing"]);
                return Some(Violation::new(clause).fact("missing", missing, way));
            }
        }
    }
    None
}
