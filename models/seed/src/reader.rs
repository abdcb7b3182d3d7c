//! A scheduler that reads what nodes have from a database: the filter scheduler before every request,
//! the caching scheduler from time to time. Neither is told what becomes of its choices.

use crate::amounts::Amounts;
use crate::message::{Call, Choice, Host, Letter, Output, Pick, Row, Selected};
use crate::setting::{CONDUCTOR, Setting};
use crate::shared::{answer, best};
use counterfoil_protocol::{Actor, Given, Map, NodeId, RequestId, SchedulerId};
use counterfoil_world::protocol::Event;
use counterfoil_world::scenario::Design;
use serde::{Deserialize, Serialize};

/// A scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reader {
    /// Its name.
    pub id: SchedulerId,
    /// What it knows of each node.
    pub hosts: Map<NodeId, Entry>,
    /// The calls that wait for what is read.
    pub calls: Map<RequestId, Call>,
    #[serde(skip)]
    pub(crate) setting: Given<Setting>,
}

/// What a scheduler knows of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// What it read.
    pub row: Row,
    /// What it has placed there itself since.
    pub placed: Map<RequestId, Amounts>,
}

impl Entry {
    /// What is used, as far as it knows.
    pub fn used(&self) -> Amounts {
        self.row.host.used.plus(&Amounts::sum(self.placed.values()))
    }
}

impl Reader {
    /// Starts with nothing.
    pub(crate) fn start(id: SchedulerId, setting: Given<Setting>) -> Self {
        Reader { id, hosts: Map::default(), calls: Map::default(), setting }
    }

    /// The hosts that fit best.
    pub(crate) fn options(&self, call: &Call) -> Vec<NodeId> {
        let up = self.hosts.iter().filter(|(_, entry)| entry.row.up);
        let hosts: Vec<(NodeId, Amounts, &Amounts)> =
            up.map(|(node, entry)| (*node, entry.used(), &entry.row.host.capacity)).collect();
        best(call, hosts.iter().map(|(node, used, capacity)| (*node, used, *capacity)))
    }

    pub(crate) fn handle(&mut self, event: Event<crate::Seed>, out: &mut Vec<Output>) {
        match event {
            Event::Letter(_, Letter::Call(call)) => self.on_call(call, out),
            Event::Letter(_, Letter::Rows { of, rows }) => {
                self.take_in(&rows);
                let call = of.and_then(|instance| self.calls.remove(&instance));
                out.extend(call.map(|call| Output::Choose(Choice::Host(call))));
            }
            Event::Picked(Pick::Host(call, node)) => self.on_host(call, node, out),
            Event::Letter(..)
            | Event::Datagram(_)
            | Event::Broken(_)
            | Event::Timer(_)
            | Event::Picked(_)
            | Event::Order(_)
            | Event::Tiding(_) => {}
        }
    }

    fn on_call(&mut self, call: Call, out: &mut Vec<Output>) {
        // Nobody waits for the answer to an earlier call any more.
        let newer = |known: &Call| known.number > call.number;
        if self.calls.get(&call.instance).is_some_and(newer) {
            return;
        }
        let reads = self.setting.design == Design::Filter || self.hosts.is_empty();
        if reads {
            let read = Letter::Read(call.instance);
            self.calls.insert(call.instance, call);
            out.push(Output::Post(Actor::Client(CONDUCTOR), read));
        } else {
            out.push(Output::Choose(Choice::Host(call)));
        }
    }

    /// A row takes the place of what is known, unless what is known is newer: something was placed
    /// since the row was written.
    fn take_in(&mut self, rows: &Map<NodeId, Row>) {
        let fresh = |row: &Row| Entry { row: row.clone(), placed: Map::default() };
        let hosts = rows.iter().map(|(node, row)| {
            let known = self
                .hosts
                .get(node)
                .filter(|entry| !entry.placed.is_empty() && entry.row.saved >= row.saved);
            let mut entry = known.cloned().unwrap_or_else(|| fresh(row));
            entry.row.up = row.up;
            (*node, entry)
        });
        self.hosts = hosts.collect();
    }

    fn on_host(&mut self, call: Call, node: Option<NodeId>, out: &mut Vec<Output>) {
        let Call { instance, number, amounts, .. } = call;
        let host = node.and_then(|node| {
            let entry = self.hosts.get_mut(&node)?;
            entry.placed.insert(instance, amounts);
            Some(Host { node, limits: Some(entry.row.host.capacity.clone()), claim: None })
        });
        answer(Selected { instance, number, host }, out);
    }
}
