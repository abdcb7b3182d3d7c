//! From a call to a claim, or to an answer.

use super::{Attempt, Eligibility, Phase, Reservation, Scheduler};
use crate::collections::Map;
use crate::config::Rule;
use crate::id::{AttemptId, ClientId, NodeId};
use crate::machine::{Choice, Output};
use crate::message::{Answer, Call, Placement};
use crate::notice::{Notice, notice};

impl Scheduler {
    pub(super) fn on_call(&mut self, client: ClientId, call: Call, outbox: &mut Vec<Output>) {
        let Call { attempt: id, demand } = call;
        let refuse = |placement, outbox: &mut Vec<Output>| {
            outbox.push(Output::Answer(client, Answer { attempt: id, placement }));
        };
        if self.attempts.contains_key(&id) {
            return notice(Notice::AttemptRepeated, outbox);
        }
        if self.attempts.len() >= self.config.limits.attempts_pending_max {
            notice(Notice::AttemptsFull, outbox);
            return refuse(Placement::Overloaded, outbox);
        }
        notice(Notice::AttemptOpened, outbox);
        let phase = Phase::Choosing;
        let attempt = Attempt { client, demand, phase, claims_made: 0, refusals: Map::default() };
        self.attempts.insert(id, attempt);
        outbox.push(Output::Choose(Choice::Node(id)));
    }

    /// The attempts of a client that is gone are closed. Their claims stay open until a verdict,
    /// for they may have been granted.
    pub(super) fn on_disconnected(&mut self, client: ClientId, outbox: &mut Vec<Output>) {
        notice(Notice::AttemptsClosed, outbox);
        let of_client: Vec<AttemptId> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.client == client)
            .map(|(id, _)| *id)
            .collect();
        for id in of_client {
            self.attempts.remove(&id);
        }
    }

    pub(super) fn on_chosen(
        &mut self,
        id: AttemptId,
        node: Option<NodeId>,
        outbox: &mut Vec<Output>,
    ) {
        let Some(attempt) =
            self.attempts.get(&id).filter(|attempt| attempt.phase == Phase::Choosing)
        else {
            return notice(Notice::ChoiceUnasked, outbox);
        };
        let limits = &self.config.limits;
        let exhausted = attempt.claims_made >= limits.claims_per_attempt_max
            && self.config.rules.has(Rule::GoneEndsTheAttempt);
        match node {
            Some(_) if exhausted => {
                notice(Notice::AttemptExhausted, outbox);
                self.answer(id, Placement::Exhausted, outbox);
            }
            Some(node) if self.eligibility(attempt, node) == Eligibility::Eligible => {
                self.claim(id, node, outbox);
            }
            Some(_) => {
                notice(Notice::ChoiceIneligible, outbox);
                outbox.push(Output::Choose(Choice::Node(id)));
            }
            None => self.without_node(id, outbox),
        }
    }

    /// Sends a new claim.
    pub(super) fn claim(&mut self, id: AttemptId, node: NodeId, outbox: &mut Vec<Output>) {
        notice(Notice::ClaimSent, outbox);
        let peer = self.nodes.get_mut(&node).expect("eligible, so known");
        let host = peer.host.as_ref().expect("eligible, so its state is known");
        let number = peer.next;
        peer.next = number.next();
        let node_life = host.stamp.incarnation;
        let claimed = self.attempts.change(&id, |attempt| {
            attempt.phase = Phase::Claiming(node, number);
            attempt.claims_made += 1;
            attempt.demand.clone()
        });
        let demand = claimed.expect("it chooses, so it is there");
        peer.claims.insert(number, Reservation { attempt: id, node_life, demand, granted: None });
        self.send_claim(node, number, outbox);
    }

    /// No node is eligible: waits, or says why not.
    pub(super) fn without_node(&mut self, id: AttemptId, outbox: &mut Vec<Output>) {
        let attempt = &self.attempts[&id];
        let mut excluded = Map::default();
        let mut unknown = self.nodes.is_empty();
        let mut not_now = false;
        for node in self.nodes.keys() {
            match self.eligibility(attempt, *node) {
                Eligibility::Excluded(refusal) => {
                    excluded.insert(*node, refusal);
                }
                Eligibility::NotNow => not_now = true,
                // A policy that passes over an eligible node has reasons that the protocol does not
                // know, so the protocol cannot claim that there is no valid host.
                Eligibility::Unknown | Eligibility::Eligible => unknown = true,
            }
        }
        if not_now {
            notice(Notice::AttemptWaits, outbox);
            self.attempts.change(&id, |attempt| attempt.phase = Phase::Waiting);
        } else if unknown {
            notice(Notice::AttemptUnavailable, outbox);
            self.answer(id, Placement::Unavailable, outbox);
        } else {
            notice(Notice::AttemptHasNoValidHost, outbox);
            self.answer(id, Placement::NoValidHost(excluded), outbox);
        }
    }

    /// Something was learnt of a node: attempts that wait ask for a node again.
    ///
    /// An attempt waits while no node is eligible and one is not now. Of that one something must have
    /// been learnt before it can be otherwise, so those ask again for which this node is no longer
    /// *not now*. They ask one after the other, and each may claim here: so of those for which there
    /// is room now, as many ask as there is room for, one beside the other.
    pub(super) fn reconsider(&mut self, node: NodeId, outbox: &mut Vec<Output>) {
        if !self.attempts.any_waits() {
            return;
        }
        let Some(peer) = self.nodes.get(&node) else { return };
        let (mut room, mut aside) =
            (peer.room(self.config.limits.claims_open_max), peer.set_aside());
        let mut asking = Vec::new();
        for id in self.attempts.waiting() {
            let attempt = &self.attempts[&id];
            let beside = || (room > 0).then(|| aside.clone());
            match self.eligibility_beside(attempt, node, peer, beside) {
                Eligibility::NotNow => continue,
                Eligibility::Eligible => {
                    room -= 1;
                    aside.add(&attempt.demand.resources);
                }
                Eligibility::Excluded(_) | Eligibility::Unknown => {}
            }
            asking.push(id);
        }
        for id in asking {
            self.attempts.change(&id, |attempt| attempt.phase = Phase::Choosing);
            outbox.push(Output::Choose(Choice::Node(id)));
        }
    }

    /// Answers and closes an attempt, if it is open.
    pub(super) fn answer(
        &mut self,
        id: AttemptId,
        placement: Placement,
        outbox: &mut Vec<Output>,
    ) -> bool {
        let Some(attempt) = self.attempts.remove(&id) else { return false };
        outbox.push(Output::Answer(attempt.client, Answer { attempt: id, placement }));
        true
    }
}
