//! The scheduler: decides from its cache alone, and learns from what nodes say.

mod attempts;
mod eligibility;
mod placing;
mod state;

pub use attempts::Attempts;
pub use eligibility::Eligibility;
pub use state::{Attempt, Change, Disk, Host, Peer, Phase, Presence, Reservation};

use crate::collections::{Given, Map};
use crate::config::{Config, Rule};
use crate::host_state::{Reason, Relation};
use crate::id::{
    Actor, Address, AttemptId, ClaimId, ClaimNumber, ClientId, Incarnation, NodeId, SchedulerId,
    Stamp,
};
use crate::machine::{Choice, Machine, Output, Record, Timer};
use crate::message::{
    Answer, Body, Call, Claim, Datagram, Decision, Delta, Leave, Placement, Resync, Snapshot,
    Verdict,
};
use crate::notice::{Notice, notice};
use serde::{Deserialize, Serialize};

/// A scheduler.
///
/// # Invariants
/// - A cached stamp never decreases (`views_never_go_back`), and what is cached at a stamp is what
///   the node was (`views_are_real_states`).
/// - Each own claim is set aside exactly once, from sending until it is refused, gone, or covered
///   by the cached stamp (`own_claims_count_once`).
/// - Each map respects its limit (`bounded`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scheduler {
    /// Its name.
    pub id: SchedulerId,
    #[serde(skip)]
    config: Given<Config>,
    /// Which life this is: the only thing that it keeps on disk.
    pub incarnation: Incarnation,
    /// A later life of it exists: it ignores everything.
    pub stopped: bool,
    /// What it knows of each node.
    pub nodes: Map<NodeId, Peer>,
    /// What it works on.
    pub attempts: Attempts,
}

/// What can happen to a scheduler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A datagram arrives.
    Datagram(Datagram),
    /// A timer fires.
    Timer(Timer),
    /// A call arrives from this client.
    Call(ClientId, Call),
    /// The connection to this client broke.
    Disconnected(ClientId),
    /// The driver chose a node for this attempt; `None` if none is eligible.
    Chosen(AttemptId, Option<NodeId>),
    /// A node is there, says the configuration or discovery.
    Meet(NodeId),
}

impl Input {
    /// The one node whose entry in [`Scheduler::nodes`] this input may change; `None` if it changes
    /// none.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Input::Datagram(Datagram { src: Address { actor: Actor::Node(node), .. }, .. })
            | Input::Timer(Timer::Suspect(node))
            | Input::Chosen(_, Some(node))
            | Input::Meet(node) => Some(*node),
            Input::Datagram(_)
            | Input::Timer(_)
            | Input::Call(..)
            | Input::Disconnected(_)
            | Input::Chosen(_, None) => None,
        }
    }
}

impl Scheduler {
    /// Starts the next life of scheduler `id` from its disk.
    pub fn start(
        id: SchedulerId,
        disk: Disk,
        config: Given<Config>,
        outbox: &mut Vec<Output>,
    ) -> Scheduler {
        let mut incarnation = disk.incarnation;
        let counted = config.rules.has(Rule::IncarnationsOnBothEnds);
        if counted || incarnation == Incarnation::default() {
            incarnation = incarnation.next();
            outbox.push(Output::Persist(Record::Scheduler(Change::Life(incarnation))));
        }
        let (nodes, attempts) = (Map::default(), Attempts::default());
        Scheduler { id, config, incarnation, stopped: false, nodes, attempts }
    }

    /// The same, given this: what is given is no part of the serialised form.
    #[must_use]
    pub fn given(self, config: Given<Config>) -> Self {
        Scheduler { config, ..self }
    }

    /// What it is given at construction.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn on_datagram(&mut self, datagram: Datagram, outbox: &mut Vec<Output>) {
        let Datagram { src, dst, body } = datagram;
        let me = Actor::Scheduler(self.id);
        let (true, Actor::Node(node), Some(life)) = (
            dst.actor == me && dst.incarnation == Some(self.incarnation),
            src.actor,
            src.incarnation,
        ) else {
            return notice(Notice::DatagramMisdirected, outbox);
        };
        match body {
            Body::Claim(_) | Body::Confirm(_) | Body::Release(_) | Body::Resync(_) => {
                return notice(Notice::DatagramMisdirected, outbox);
            }
            Body::Superseded { by } => return self.on_superseded(by, outbox),
            Body::Verdict(_) | Body::Delta(_) | Body::Snapshot(_) | Body::Leave(_) => {}
        }
        if !self.meet(node, outbox) {
            return;
        }
        let claims_open_max = self.config.limits.claims_open_max;
        let standing = self.nodes[&node].standing(claims_open_max);
        self.on_sign_of_life(node, life, outbox);
        match body {
            Body::Verdict(verdict) => self.on_verdict(node, verdict, outbox),
            Body::Delta(delta) => self.on_delta(node, life, delta, outbox),
            Body::Snapshot(snapshot) => self.on_snapshot(node, life, snapshot, outbox),
            Body::Leave(leave) => self.on_leave(node, life, leave, outbox),
            Body::Claim(_)
            | Body::Confirm(_)
            | Body::Release(_)
            | Body::Resync(_)
            | Body::Superseded { .. } => unreachable!("answered above"),
        }
        if self.nodes[&node].standing(claims_open_max) != standing {
            self.reconsider(node, None, outbox);
        }
    }

    /// Anything that a node says clears the suspicion; only a later life clears a departure.
    fn on_sign_of_life(&mut self, node: NodeId, life: Incarnation, outbox: &mut Vec<Output>) {
        let peer = self.nodes.get_mut(&node).expect("met above");
        match peer.presence {
            Presence::Departed(at) if life <= at.incarnation => return,
            Presence::Departed(_) | Presence::Suspected => peer.presence = Presence::Present,
            Presence::Present => {}
        }
        self.set_timer(Timer::Suspect(node), self.config.intervals.silence, outbox);
    }

    fn on_verdict(&mut self, node: NodeId, verdict: Verdict, outbox: &mut Vec<Output>) {
        let Verdict { claim, decision } = verdict;
        let peer = self.nodes.get_mut(&node).expect("met above");
        let own = claim.node == node
            && claim.scheduler == self.id
            && claim.incarnation == self.incarnation;
        let Some(reservation) = peer.claims.get_mut(&claim.number).filter(|_| own) else {
            return notice(Notice::VerdictStale, outbox);
        };
        let id = reservation.attempt;
        let waits = self.attempts.get(&id).is_some_and(|a| a.waits_for(node, claim.number));
        match decision {
            Decision::Granted { .. } | Decision::Confirmed { .. }
                if reservation.granted.is_some() =>
            {
                notice(Notice::VerdictStale, outbox);
            }
            Decision::Granted { at } | Decision::Confirmed { at } => {
                reservation.granted = Some(at);
                if !self.config.rules.has(Rule::ReservationOutlivesTheVerdict) {
                    peer.claims.remove(&claim.number);
                }
                let covered = peer.drop_covered();
                notice(
                    if covered { Notice::GrantCovered } else { Notice::GrantNotCovered },
                    outbox,
                );
                notice(if waits { Notice::GrantAnswered } else { Notice::GrantUnwanted }, outbox);
                if waits {
                    self.answer(id, Placement::Placed(claim), outbox);
                }
            }
            Decision::Refused(refusal) => {
                peer.claims.remove(&claim.number);
                if refusal.reason == Reason::OtherLife {
                    self.resync(node, outbox);
                }
                if !waits {
                    return notice(Notice::RefusalUnwanted, outbox);
                }
                notice(Notice::RefusalLearnt, outbox);
                if self.config.rules.has(Rule::RefusalsTeach) {
                    self.attempts.change(&id, |attempt| attempt.refusals.insert(node, refusal));
                }
                self.choose_again(id, outbox);
            }
            Decision::Gone => {
                peer.claims.remove(&claim.number);
                notice(Notice::ClaimGone, outbox);
                if waits && self.config.rules.has(Rule::GoneEndsTheAttempt) {
                    self.answer(id, Placement::Exhausted, outbox);
                } else if waits {
                    self.choose_again(id, outbox);
                }
            }
        }
    }

    fn on_delta(
        &mut self,
        node: NodeId,
        life: Incarnation,
        delta: Delta,
        outbox: &mut Vec<Output>,
    ) {
        let rules = self.config.rules;
        let beat = delta.from == delta.to;
        if beat && !rules.has(Rule::QuietStreamsCarryTheirStamp) {
            return notice(Notice::BeatIgnored, outbox);
        }
        let peer = self.nodes.get_mut(&node).expect("met above");
        let cached = peer.host.as_ref().map(|host| host.stamp);
        let relation = Relation::of(life, delta.from, delta.to, cached);
        let applied = match relation {
            Relation::Next => true,
            Relation::Stale => false,
            Relation::Gap => !rules.has(Rule::GapsAreNotApplied) && !beat,
        };
        notice(
            match (relation, beat) {
                (Relation::Next, _) => Notice::DeltaApplied,
                (Relation::Stale, false) => Notice::DeltaStale,
                (Relation::Gap, false) => Notice::DeltaGap,
                (Relation::Stale, true) => Notice::BeatUpToDate,
                (Relation::Gap, true) => Notice::BeatAhead,
            },
            outbox,
        );
        if applied && let Some(host) = &mut peer.host {
            host.stamp = Stamp { incarnation: life, version: delta.to };
            host.state.apply(&delta.changes);
            peer.drop_covered();
        } else if relation == Relation::Gap {
            self.resync(node, outbox);
        }
    }

    fn on_snapshot(
        &mut self,
        node: NodeId,
        life: Incarnation,
        snapshot: Snapshot,
        outbox: &mut Vec<Output>,
    ) {
        let stamp = Stamp { incarnation: life, version: snapshot.at };
        let peer = self.nodes.get_mut(&node).expect("met above");
        let newer = peer.host.as_ref().is_none_or(|host| host.stamp < stamp);
        notice(if newer { Notice::SnapshotApplied } else { Notice::SnapshotStale }, outbox);
        if newer || !self.config.rules.has(Rule::SnapshotsNeverGoBack) {
            peer.host = Some(Host { stamp, state: snapshot.state });
            peer.drop_covered();
        }
    }

    fn on_leave(
        &mut self,
        node: NodeId,
        life: Incarnation,
        leave: Leave,
        outbox: &mut Vec<Output>,
    ) {
        let at = Stamp { incarnation: life, version: leave.at };
        let peer = self.nodes.get_mut(&node).expect("met above");
        let left_later = matches!(peer.presence, Presence::Departed(known) if known >= at);
        if left_later || peer.host.as_ref().is_some_and(|host| host.stamp > at) {
            return notice(Notice::LeaveStale, outbox);
        }
        notice(Notice::NodeDeparted, outbox);
        peer.presence = Presence::Departed(at);
        // It left without allocations, and its next life will grant nothing that was meant for
        // this.
        let of_this_life = |reservation: &Reservation| reservation.node_life <= life;
        let claims = std::mem::take(&mut peer.claims);
        for (number, reservation) in claims.iter() {
            if !of_this_life(reservation) {
                peer.claims.insert(*number, reservation.clone());
            }
        }
        let over = claims.iter().filter(|(_, r)| of_this_life(r) && r.granted.is_none());
        let mut again: Vec<AttemptId> = over
            .filter(|(number, reservation)| {
                let attempt = self.attempts.get(&reservation.attempt);
                attempt.is_some_and(|attempt| attempt.waits_for(node, **number))
            })
            .map(|(_, reservation)| reservation.attempt)
            .collect();
        // The checker, too, answers the questions of one step in the order of names.
        again.sort_unstable();
        for id in again {
            self.choose_again(id, outbox);
        }
    }

    /// The claim that this attempt waits for is over: it asks for another node.
    fn choose_again(&mut self, id: AttemptId, outbox: &mut Vec<Output>) {
        self.attempts.change(&id, |attempt| attempt.phase = Phase::Choosing);
        outbox.push(Output::Choose(Choice::Node(id)));
    }

    fn on_superseded(&mut self, by: Incarnation, outbox: &mut Vec<Output>) {
        if by <= self.incarnation {
            return notice(Notice::SupersededIgnored, outbox);
        }
        notice(Notice::SchedulerStopped, outbox);
        let attempts: Vec<AttemptId> = self.attempts.keys().copied().collect();
        for attempt in attempts {
            self.answer(attempt, Placement::Unavailable, outbox);
        }
        self.stopped = true;
    }

    /// Makes sure that `node` is known; false if there is no room for it.
    fn meet(&mut self, node: NodeId, outbox: &mut Vec<Output>) -> bool {
        if self.nodes.contains_key(&node) {
            return true;
        }
        if self.nodes.len() >= self.config.limits.nodes_max {
            notice(Notice::NodesFull, outbox);
            return false;
        }
        notice(Notice::NodeMet, outbox);
        self.nodes.insert(node, Peer::default());
        self.set_timer(Timer::Suspect(node), self.config.intervals.silence, outbox);
        self.set_timer(Timer::Resync(node), self.config.intervals.beat, outbox);
        self.resync(node, outbox);
        true
    }

    fn on_resync_timer(&mut self, node: NodeId, outbox: &mut Vec<Output>) {
        if !self.nodes.contains_key(&node) {
            return notice(Notice::ResyncIgnored, outbox);
        }
        if self.config.rules.has(Rule::QuietStreamsCarryTheirStamp) {
            self.resync(node, outbox);
        } else {
            notice(Notice::ResyncSent, outbox);
            self.send(node, None, Body::Resync(Resync { have: None }), outbox);
        }
        self.set_timer(Timer::Resync(node), self.config.intervals.beat, outbox);
    }

    fn on_resend_timer(&mut self, claim: ClaimId, outbox: &mut Vec<Output>) {
        let own = claim.scheduler == self.id && claim.incarnation == self.incarnation;
        let open = self
            .nodes
            .get(&claim.node)
            .and_then(|peer| peer.claims.get(&claim.number))
            .is_some_and(|reservation| own && reservation.granted.is_none());
        if open {
            notice(Notice::ClaimResent, outbox);
            self.send_claim(claim.node, claim.number, outbox);
        } else {
            notice(Notice::ClaimResendIgnored, outbox);
        }
    }

    fn on_suspect(&mut self, node: NodeId, outbox: &mut Vec<Output>) {
        match self.nodes.get_mut(&node) {
            Some(peer) if peer.presence == Presence::Present => {
                notice(Notice::NodeSuspected, outbox);
                peer.presence = Presence::Suspected;
                self.give_up_on(node, outbox);
                self.reconsider(node, None, outbox);
            }
            Some(_) | None => notice(Notice::SuspectIgnored, outbox),
        }
    }

    /// Answers the attempts that wait for a verdict of a node that may never give one. The claims
    /// stay open: they may have been granted.
    fn give_up_on(&mut self, node: NodeId, outbox: &mut Vec<Output>) {
        let claiming = |phase: Phase| matches!(phase, Phase::Claiming(at, _) if at == node);
        let ids: Vec<AttemptId> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| claiming(attempt.phase))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.answer(id, Placement::Unavailable, outbox);
        }
    }

    fn resync(&self, node: NodeId, outbox: &mut Vec<Output>) {
        notice(Notice::ResyncSent, outbox);
        let host = self.nodes.get(&node).and_then(|peer| peer.host.as_ref());
        let have = host.map(|host| host.stamp);
        self.send(node, None, Body::Resync(Resync { have }), outbox);
    }

    fn send_claim(&self, node: NodeId, number: ClaimNumber, outbox: &mut Vec<Output>) {
        let peer = self.nodes.get(&node).expect("the caller knows it");
        let reservation = peer.claims.get(&number).expect("the caller knows it");
        let claim = self.claim_id(node, number);
        let body = Body::Claim(Claim {
            claim,
            request: reservation.attempt.request,
            demand: reservation.demand.clone(),
            floor: peer.floor(),
        });
        self.send(node, Some(reservation.node_life), body, outbox);
        self.set_timer(Timer::Resend(claim), self.config.intervals.resend, outbox);
    }

    fn claim_id(&self, node: NodeId, number: ClaimNumber) -> ClaimId {
        ClaimId { scheduler: self.id, incarnation: self.incarnation, node, number }
    }

    fn send(&self, node: NodeId, life: Option<Incarnation>, body: Body, outbox: &mut Vec<Output>) {
        let src = Address { actor: Actor::Scheduler(self.id), incarnation: Some(self.incarnation) };
        let dst = Address { actor: Actor::Node(node), incarnation: life };
        outbox.push(Output::Send(Datagram { src, dst, body }));
    }

    fn set_timer(&self, timer: Timer, after: std::time::Duration, outbox: &mut Vec<Output>) {
        outbox.push(Output::SetTimer { timer, after });
    }
}

impl Machine for Scheduler {
    type Input = Input;

    fn handle(&mut self, input: Input, outbox: &mut Vec<Output>) {
        if self.stopped {
            if let Input::Call(client, Call { attempt, .. }) = input {
                let placement = Placement::Unavailable;
                outbox.push(Output::Answer(client, Answer { attempt, placement }));
            }
            return notice(Notice::MachineStopped, outbox);
        }
        match input {
            Input::Datagram(datagram) => self.on_datagram(datagram, outbox),
            Input::Timer(Timer::Resync(node)) => self.on_resync_timer(node, outbox),
            Input::Timer(Timer::Resend(claim)) => self.on_resend_timer(claim, outbox),
            Input::Timer(Timer::Suspect(node)) => self.on_suspect(node, outbox),
            Input::Timer(
                Timer::Announce
                | Timer::Lapse(_)
                | Timer::Forget(_)
                | Timer::Retry(_)
                | Timer::Impatience(_),
            ) => notice(Notice::TimerMisdirected, outbox),
            Input::Call(client, call) => self.on_call(client, call, outbox),
            Input::Disconnected(client) => self.on_disconnected(client, outbox),
            Input::Chosen(attempt, node) => self.on_chosen(attempt, node, outbox),
            Input::Meet(node) if self.nodes.contains_key(&node) => {
                notice(Notice::NodeKnown, outbox);
            }
            Input::Meet(node) => {
                self.meet(node, outbox);
            }
        }
    }

    fn timers(&self) -> Vec<Timer> {
        if self.stopped {
            return Vec::new();
        }
        let mut timers = Vec::new();
        for (node, peer) in self.nodes.iter() {
            timers.push(Timer::Resync(*node));
            if peer.presence == Presence::Present {
                timers.push(Timer::Suspect(*node));
            }
            let open = peer.claims.iter().filter(|(_, reservation)| reservation.granted.is_none());
            timers.extend(open.map(|(number, _)| Timer::Resend(self.claim_id(*node, *number))));
        }
        timers
    }
}
