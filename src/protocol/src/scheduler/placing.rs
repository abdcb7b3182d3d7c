//! From a call to a claim, or to an answer.

use super::{Attempt, Eligibility, Phase, Reservation, Scheduler};
use crate::collections::Map;
use crate::config::Rule;
use crate::id::{AttemptId, ClientId, NodeId, Turn};
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
        let mut of_client: Vec<(AttemptId, Phase)> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.client == client)
            .map(|(id, attempt)| (*id, attempt.phase))
            .collect();
        for (id, _) in &of_client {
            self.attempts.remove(id);
        }
        of_client.sort_by_key(|(_, phase)| phase.turn());
        for (id, phase) in of_client {
            self.pass_on(id, phase, outbox);
        }
    }

    pub(super) fn on_chosen(
        &mut self,
        id: AttemptId,
        node: Option<NodeId>,
        outbox: &mut Vec<Output>,
    ) {
        let Some(attempt) = self.attempts.get(&id).filter(|attempt| attempt.phase.chooses()) else {
            return notice(Notice::ChoiceUnasked, outbox);
        };
        let phase = attempt.phase;
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
                return outbox.push(Output::Choose(Choice::Node(id)));
            }
            None => self.without_node(id, outbox),
        }
        self.pass_on(id, phase, outbox);
    }

    /// Attempt `id` was in this phase and chooses no more. If it was asked again because of a node and
    /// did not claim there, those are asked in its place that wait because it was asked before them.
    fn pass_on(&mut self, id: AttemptId, phase: Phase, outbox: &mut Vec<Output>) {
        let Phase::ChoosingAgain(turn, node) = phase else { return };
        let now = self.attempts.get(&id).map(|attempt| attempt.phase);
        if matches!(now, Some(Phase::Claiming(at, _)) if at == node) {
            return notice(Notice::RoomTaken, outbox);
        }
        notice(Notice::RoomPassedOn, outbox);
        if self.config.rules.has(Rule::RoomIsPassedOn) {
            self.reconsider(node, Some(turn), outbox);
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
            let turn = attempt.phase.turn().unwrap_or_else(|| self.attempts.next_turn());
            self.attempts.change(&id, |attempt| attempt.phase = Phase::Waiting(turn));
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
    /// *not now*. They ask in the order in which they came to wait, and each may claim here: so of
    /// those for which there is room now, as many ask as there is room for, one beside the other.
    /// Whoever of them does not claim here passes the room on to those `after` it; those before it do
    /// not wait because of it, and two that pass over a node would ask each other for ever.
    pub(super) fn reconsider(
        &mut self,
        node: NodeId,
        after: Option<Turn>,
        outbox: &mut Vec<Output>,
    ) {
        // Mostly nobody waits: then what is set aside need not be summed.
        if self.attempts.waiting(after).next().is_none() {
            return;
        }
        let Some(peer) = self.nodes.get(&node) else { return };
        let (mut room, mut aside) =
            (peer.room(self.config.limits.claims_open_max), peer.set_aside());
        let mut asking = Vec::new();
        for (id, turn) in self.attempts.waiting(after) {
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
            asking.push((id, turn));
        }
        for (id, turn) in asking {
            self.attempts.change(&id, |attempt| attempt.phase = Phase::ChoosingAgain(turn, node));
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
