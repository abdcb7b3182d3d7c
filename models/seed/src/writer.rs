//! A scheduler that claims in a database: it reads what nodes have, and writes an allocation, which is
//! written only if the row of the node is still as it was read. Nodes are not asked.

use crate::message::{Allocate, Call, Choice, Host, Letter, Notice, Output, Pick, Row, Selected};
use crate::setting::{CONDUCTOR, Setting};
use crate::shared::{answer, best};
use counterfoil_protocol::{Actor, Given, Map, NodeId, RequestId, SchedulerId};
use counterfoil_world::protocol::Event;
use serde::{Deserialize, Serialize};

/// A scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Writer {
    /// Its name.
    pub id: SchedulerId,
    /// The calls that it works on.
    pub searches: Map<RequestId, Search>,
    #[serde(skip)]
    pub(crate) setting: Given<Setting>,
}

/// A call, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Search {
    /// The call.
    pub call: Call,
    /// What was read for it.
    pub rows: Map<NodeId, Row>,
    /// The host that was chosen.
    pub host: Option<NodeId>,
    /// How often what it chose could not be written.
    pub conflicts: u32,
}

impl Writer {
    /// Starts with nothing.
    pub(crate) fn start(id: SchedulerId, setting: Given<Setting>) -> Self {
        Writer { id, searches: Map::default(), setting }
    }

    /// The hosts that fit best.
    pub(crate) fn options(&self, call: &Call) -> Vec<NodeId> {
        let Some(search) = self.searches.get(&call.instance) else { return Vec::new() };
        let up = search.rows.iter().filter(|(_, row)| row.up);
        best(call, up.map(|(node, row)| (*node, &row.host.used, &row.host.capacity)))
    }

    pub(crate) fn handle(&mut self, event: Event<crate::Seed>, out: &mut Vec<Output>) {
        match event {
            Event::Letter(_, Letter::Call(call)) => {
                let (rows, instance) = (Map::default(), call.instance);
                // Nobody waits for the answer to an earlier call any more.
                let newer = |known: &Search| known.call.number > call.number;
                if self.searches.get(&instance).is_some_and(newer) {
                    return;
                }
                self.searches.insert(instance, Search { call, rows, host: None, conflicts: 0 });
                post(Letter::Read(instance), out);
            }
            Event::Letter(_, Letter::Rows { of: Some(instance), rows }) => {
                if let Some(search) = self.searches.get_mut(&instance) {
                    search.rows = rows;
                    out.push(Output::Choose(Choice::Host(search.call.clone())));
                }
            }
            Event::Letter(_, Letter::Allocated(instance, written)) => {
                self.on_allocated(instance, written, out);
            }
            Event::Picked(Pick::Host(call, node)) => self.on_host(&call, node, out),
            Event::Letter(..)
            | Event::Datagram(_)
            | Event::Broken(_)
            | Event::Timer(_)
            | Event::Picked(_)
            | Event::Order(_)
            | Event::Tiding(_) => {}
        }
    }

    fn on_host(&mut self, call: &Call, node: Option<NodeId>, out: &mut Vec<Output>) {
        let Some(search) = self.searches.get_mut(&call.instance) else { return };
        let Some(node) = node else { return self.end(call.instance, out) };
        search.host = Some(node);
        let saved = search.rows.get(&node).map_or(0, |row| row.saved);
        search.rows = Map::default();
        let Call { instance, amounts, .. } = call.clone();
        post(Letter::Allocate(Allocate { instance, node, amounts, saved }), out);
    }

    fn on_allocated(&mut self, instance: RequestId, written: bool, out: &mut Vec<Output>) {
        let Some(search) = self.searches.get_mut(&instance) else { return };
        if written {
            out.push(Output::Notice(Notice::Written));
            return self.end(instance, out);
        }
        out.push(Output::Notice(Notice::WriteConflict));
        search.host = None;
        search.conflicts += 1;
        if search.conflicts < self.setting.attempts_max {
            post(Letter::Read(instance), out);
        } else {
            self.end(instance, out);
        }
    }

    /// Answers with the host on which an allocation is written, or with none.
    fn end(&mut self, instance: RequestId, out: &mut Vec<Output>) {
        let Some(search) = self.searches.remove(&instance) else { return };
        let host = search.host.map(|node| Host { node, limits: None, claim: None });
        answer(Selected { instance, number: search.call.number, host }, out);
    }
}

fn post(letter: Letter, out: &mut Vec<Output>) {
    out.push(Output::Post(Actor::Client(CONDUCTOR), letter));
}
