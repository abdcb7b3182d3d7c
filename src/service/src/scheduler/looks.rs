//! Questions to nodes about their allocations, said again until they are answered.

use super::front::{Seen, ToTheAsker};
use crate::wire::Message;
use counterfoil_protocol::node::Allocation;
use counterfoil_protocol::{Actor, Address, ClaimId, Scheduler};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// From one time that a question is asked to the next.
const AGAIN: Duration = Duration::from_millis(100);

/// After this long a question that was not answered is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The questions that were not yet answered. There are as many as the API has requests, at most.
#[derive(Default)]
pub(super) struct Looks {
    open: BTreeMap<ClaimId, Open>,
}

struct Open {
    askers: Vec<ToTheAsker>,
    next: Instant,
    until: Instant,
}

impl Looks {
    /// One more asks for the allocation of a claim.
    pub(super) fn add(&mut self, claim: ClaimId, asker: ToTheAsker, now: Instant) {
        let new = || Open { askers: Vec::new(), next: now, until: now };
        let open = self.open.entry(claim).or_insert_with(new);
        open.until = now + PATIENCE;
        open.askers.push(asker);
    }

    /// The node has answered.
    pub(super) fn on_seen(&mut self, claim: ClaimId, allocation: Option<Allocation>) {
        self.end(claim, Seen::Answered(allocation));
    }

    /// When something is to be done next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open.values().map(|open| open.next).min()
    }

    /// Asks what is due to be asked, and gives up what has been open for too long.
    pub(super) fn send_due(
        &mut self,
        machine: &Scheduler,
        now: Instant,
        mut say: impl FnMut(Address, Message),
    ) {
        let due = self.open.iter().filter(|(_, open)| open.next <= now);
        let due: Vec<ClaimId> = due.map(|(claim, _)| *claim).collect();
        for claim in due {
            let open = self.open.get_mut(&claim).expect("listed above");
            if !machine.nodes.contains_key(&claim.node) {
                self.end(claim, Seen::Unknown);
            } else if open.until <= now {
                self.end(claim, Seen::Unanswered);
            } else {
                open.next = now + AGAIN;
                let dst = Address { actor: Actor::Node(claim.node), incarnation: None };
                say(dst, Message::Look(claim));
            }
        }
    }

    fn end(&mut self, claim: ClaimId, seen: Seen) {
        for asker in self.open.remove(&claim).into_iter().flat_map(|open| open.askers) {
            asker(seen.clone());
        }
    }
}
