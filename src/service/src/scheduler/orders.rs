//! The orders of operators to nodes, said again until they are taken.

use super::front::{Ordered, ToTheOperator};
use crate::wire::{Message, Order, OrderId};
use counterfoil_protocol::{Actor, Address, Incarnation, NodeId, Scheduler, SchedulerId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// From one time that an order is said to the next.
const AGAIN: Duration = Duration::from_millis(100);

/// After this long an order that was not answered is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The orders that were not yet taken.
#[derive(Default)]
pub(super) struct Orders {
    open: BTreeMap<u64, Open>,
    last: u64,
}

struct Open {
    node: NodeId,
    order: Order,
    tell: ToTheOperator,
    next: Instant,
    until: Instant,
}

impl Orders {
    /// One more. It is numbered in the order in which they come, so that a later one prevails.
    pub(super) fn add(&mut self, node: NodeId, order: Order, tell: ToTheOperator, now: Instant) {
        self.last += 1;
        self.open.insert(self.last, Open { node, order, tell, next: now, until: now + PATIENCE });
    }

    /// The node has taken it.
    pub(super) fn on_ordered(&mut self, id: OrderId) {
        let this = self.open.get(&id.number).is_some_and(|open| open.node == id.node);
        if let Some(open) = this.then(|| self.open.remove(&id.number)).flatten() {
            (open.tell)(Ordered::Taken);
        }
    }

    /// When something is to be done next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open.values().map(|open| open.next).min()
    }

    /// Says what is due to be said, and gives up what has been open for too long.
    pub(super) fn send_due(
        &mut self,
        (scheduler, life): (SchedulerId, Incarnation),
        machine: &Scheduler,
        now: Instant,
        mut say: impl FnMut(Address, Message),
    ) {
        let due = self.open.iter().filter(|(_, open)| open.next <= now);
        let due: Vec<u64> = due.map(|(number, _)| *number).collect();
        for number in due {
            let open = self.open.get_mut(&number).expect("listed above");
            let node = open.node;
            let Some(peer) = machine.nodes.get(&node) else {
                self.end(number, Ordered::Unknown);
                continue;
            };
            if open.until <= now {
                self.end(number, Ordered::Unanswered);
                continue;
            }
            open.next = now + AGAIN;
            // Before its first word the life of a node is not known.
            if let Some(host) = &peer.host {
                let incarnation = host.stamp.incarnation;
                let id = OrderId { node, incarnation, scheduler, life, number };
                let dst = Address { actor: Actor::Node(node), incarnation: Some(incarnation) };
                say(dst, Message::Order(id, open.order));
            }
        }
    }

    fn end(&mut self, number: u64, ordered: Ordered) {
        if let Some(open) = self.open.remove(&number) {
            (open.tell)(ordered);
        }
    }
}
