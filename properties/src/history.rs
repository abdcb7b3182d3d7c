//! What truly happened, gathered by observing every step. No machine reads it.

mod asked;
mod grants;

use crate::outputs::{allocations, ends, sent_anew, verdicts};
use crate::scheduler::touched_nodes;
use crate::{Process, Step, arithmetic};
use counterfoil_protocol::node::{self, AllocationState};
use counterfoil_protocol::{
    Actor, AttemptId, AttemptNumber, Body, ClaimId, ClaimNumber, ClientId, Datagram, Decision,
    Demand, HostState, Incarnation, Map, NodeId, Output, Refusal, RequestId, Scheduler,
    SchedulerId, Set, Stamp, Timer, Verdict, scheduler,
};
use serde::{Deserialize, Serialize};
use std::ops::{Bound, RangeInclusive};

pub use grants::Grants;

/// What truly happened.
///
/// A correct protocol determines most of it by the states of its machines, so that keeping it tells
/// few states apart that would otherwise be one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct History {
    /// The host state that each node had at each stamp.
    pub host_states: Map<NodeId, Map<Stamp, HostState>>,
    /// Every grant.
    pub grants: Grants,
    /// Every refusal, and to which request. A claim that was meant for another life of the node is
    /// refused anew whenever it arrives, by the host state of that moment.
    pub refusals: Map<ClaimId, Set<(RequestId, Refusal)>>,
    /// Claims that a scheduler has sent and that are, as far as it can know, not refused, gone or
    /// covered.
    pub sent: Map<ClaimId, Sent>,
    /// What a scheduler has tried for an attempt, while the attempt is open.
    pub tried: Map<(SchedulerId, Incarnation, AttemptId), Tried>,
    /// The life in which a node left, as far as a scheduler was told and has not heard of a later.
    pub departed: Map<(SchedulerId, Incarnation, NodeId), Incarnation>,
    /// What became of a request at its client, while it is on record.
    pub asked: Map<(ClientId, RequestId), Asked>,
}

/// What was tried for an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tried {
    /// How many claims were sent.
    pub claims: u32,
    /// The stamp of the last refusal that was told, by node.
    pub refused: Map<NodeId, Stamp>,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asked {
    /// How many attempts were made.
    pub attempts: u32,
    /// Whether its user gave it up, or a member of its bundle.
    pub given_up: bool,
    /// The bundle that its user ordered it in; empty if none.
    #[serde(default)]
    pub bundle: Set<RequestId>,
    /// Of a member of a bundle: whether a choice was ever written for it.
    #[serde(default)]
    pub chosen: bool,
}

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// To which request.
    pub request: RequestId,
    /// From this stamp on the host state contains it.
    pub at: Stamp,
    /// On which nodes, as often as it was granted.
    pub on: Set<NodeId>,
    /// How often it was written as a new allocation.
    pub times: u32,
    /// Whether its client confirmed it.
    pub confirmed: bool,
    /// The most that anyone was told of it.
    pub told: Option<AllocationState>,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
}

/// How an allocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// On the node's timer.
    Lapsed,
    /// By a release.
    Released,
    /// By neither, or by one that named another claim.
    Otherwise,
}

/// A claim that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sent {
    /// What it asks for.
    pub demand: Demand,
    /// The stamp of the grant, once the scheduler was told.
    pub granted: Option<Stamp>,
}

impl History {
    /// Takes note of a step.
    pub fn observe(&mut self, step: &Step) {
        match step.process {
            Process::Node { before, input, after } => {
                self.observe_node(before, input, after, step.outputs);
            }
            Process::Scheduler { before, input, after } => {
                self.observe_scheduler(before, input, after, step);
            }
            Process::Client { before, input, after } => {
                self.observe_client(before, input, after, step.outputs);
            }
        }
    }

    /// Forgets what only mattered to this life of a scheduler, which is over.
    pub fn scheduler_ended(&mut self, id: SchedulerId, incarnation: Incarnation) {
        let claims: Vec<ClaimId> = self.sent_in(id, incarnation).map(|(claim, _)| *claim).collect();
        for claim in claims {
            self.sent.remove(&claim);
        }
        let tried: Vec<_> =
            self.tried.range(attempts_of(id, incarnation)).map(|(key, _)| *key).collect();
        for key in tried {
            self.tried.remove(&key);
        }
        let nodes = (id, incarnation, NodeId(0))..=(id, incarnation, NodeId(u32::MAX));
        let departed: Vec<_> = self.departed.range(nodes).map(|(key, _)| *key).collect();
        for key in departed {
            self.departed.remove(&key);
        }
    }

    /// Forgets refusals that the scheduler has taken note of: it acts on no other verdict on these
    /// claims. For explorations, where what is kept tells states apart.
    pub fn forget_settled(&mut self, step: &Step) {
        let Process::Scheduler { after, .. } = step.process else { return };
        let settled: Vec<ClaimId> = self
            .refusals
            .range(claims_of(after.id, after.incarnation))
            .map(|(claim, _)| *claim)
            .filter(|claim| {
                let peer = after.nodes.get(&claim.node);
                !peer.is_some_and(|peer| peer.claims.contains_key(&claim.number))
            })
            .collect();
        for claim in settled {
            self.refusals.remove(&claim);
        }
    }

    /// The host state that `node` had at `stamp`.
    pub fn host_state(&self, node: NodeId, stamp: Stamp) -> Option<&HostState> {
        self.host_states.get(&node)?.get(&stamp)
    }

    fn observe_node(
        &mut self,
        before: Option<&node::Node>,
        input: Option<&node::Input>,
        after: &node::Node,
        outputs: &[Output],
    ) {
        if before.is_none_or(|before| before.stamp() != after.stamp()) {
            let states = self.host_states.entry(after.id).or_default();
            states.insert(after.stamp(), arithmetic::host_state(after));
        }
        let is_new = |claim: &ClaimId| {
            !before.is_some_and(|before| before.durable.allocations.contains_key(claim))
        };
        for (claim, allocation) in allocations(outputs) {
            self.note_grant(claim, allocation, is_new(&claim).then_some(after));
        }
        for claim in ends(outputs) {
            self.grants.change(&claim, |grant| grant.ended = Some(cause_of_end(input, claim)));
        }
        for verdict in verdicts(outputs) {
            self.note_verdict(verdict, is_new(&verdict.claim), after);
            if let Some(node::Input::Datagram(Datagram { body: Body::Claim(claim), .. })) = input
                && let Decision::Refused(refusal) = &verdict.decision
            {
                let mut given = self.refusals.get(&verdict.claim).cloned().unwrap_or_default();
                given.insert((claim.request, refusal.clone()));
                self.refusals.insert(verdict.claim, given);
            }
        }
    }

    fn note_grant(
        &mut self,
        claim: ClaimId,
        allocation: &node::Allocation,
        newly_on: Option<&node::Node>,
    ) {
        if !self.grants.contains_key(&claim) {
            self.grants.insert(claim, Grant::of(allocation));
        }
        self.grants.change(&claim, |grant| {
            if let Some(node) = newly_on {
                grant.on.insert(node.id);
                grant.times += 1;
                grant.at = node.stamp();
                grant.ended = None;
            }
            grant.confirmed |= allocation.state == AllocationState::Confirmed;
        });
    }

    fn note_verdict(&mut self, verdict: &Verdict, is_new: bool, after: &node::Node) {
        let told = match verdict.decision {
            Decision::Granted { .. } => AllocationState::Held,
            Decision::Confirmed { .. } => AllocationState::Confirmed,
            Decision::Gone | Decision::Refused(_) => return,
        };
        // A verdict may leave before its grant is on disk only if durable_before_told is off.
        if !self.grants.contains_key(&verdict.claim)
            && let Some(allocation) = after.durable.allocations.get(&verdict.claim)
        {
            let at = if is_new { after.stamp() } else { allocation.at };
            self.grants.insert(verdict.claim, Grant { at, ..Grant::of(allocation) });
        }
        self.grants.change(&verdict.claim, |grant| grant.told = grant.told.max(Some(told)));
    }

    fn observe_scheduler(
        &mut self,
        before: Option<&Scheduler>,
        input: Option<&scheduler::Input>,
        after: &Scheduler,
        step: &Step,
    ) {
        if before.is_none() {
            self.scheduler_ended(after.id, after.incarnation);
        }
        for claim in sent_anew(before, step.outputs) {
            let sent = Sent { demand: Demand::clone(&claim.demand), granted: None };
            self.sent.insert(claim.claim, sent);
            if let Some(attempt) = attempt_of(after, claim.claim) {
                self.tried.entry((after.id, after.incarnation, attempt)).or_default().claims += 1;
            }
        }
        if let (Some(before), Some(scheduler::Input::Datagram(datagram))) = (before, input) {
            self.note_told(before, datagram, after);
        }
        let is_covered = |claim: &ClaimId, sent: &Sent| {
            let host = after.nodes.get(&claim.node).and_then(|peer| peer.host.as_ref());
            sent.granted.zip(host).is_some_and(|(at, host)| at <= host.stamp)
        };
        for node in touched_nodes(step) {
            let sent = self.sent_by(after, node);
            let covered = sent.filter(|(claim, sent)| is_covered(claim, sent));
            for claim in covered.map(|(claim, _)| *claim).collect::<Vec<_>>() {
                self.sent.remove(&claim);
            }
        }
        if before.is_some_and(|before| before.attempts.len() != after.attempts.len()) {
            let tried = self.tried.range(attempts_of(after.id, after.incarnation));
            let closed: Vec<_> = tried
                .map(|(key, _)| *key)
                .filter(|key| !after.attempts.contains_key(&key.2))
                .collect();
            for key in closed {
                self.tried.remove(&key);
            }
        }
    }

    /// Takes note of what a datagram tells a scheduler about its own claims, and of nodes that left.
    fn note_told(&mut self, before: &Scheduler, datagram: &Datagram, after: &Scheduler) {
        let for_it = datagram.dst.incarnation == Some(before.incarnation) && !before.stopped;
        if for_it {
            self.note_presence(datagram, after);
        }
        match &datagram.body {
            Body::Verdict(Verdict { claim, decision })
                if for_it
                    && datagram.src.incarnation.is_some()
                    && datagram.src.actor == Actor::Node(claim.node) =>
            {
                let Some(mut sent) = self.sent.get(claim).cloned() else { return };
                match decision {
                    Decision::Granted { at } | Decision::Confirmed { at } => {
                        sent.granted = sent.granted.or(Some(*at));
                        self.sent.insert(*claim, sent);
                    }
                    Decision::Refused(refusal) => {
                        self.sent.remove(claim);
                        self.note_refusal(before, *claim, refusal, after);
                    }
                    Decision::Gone => {
                        self.sent.remove(claim);
                    }
                }
            }
            Body::Leave(_) => {
                // What was meant for a life that has left can be nowhere.
                let Actor::Node(node) = datagram.src.actor else { return };
                let gone: Vec<ClaimId> = self
                    .sent_by(after, node)
                    .map(|(claim, _)| *claim)
                    .filter(|claim| is_dropped(before, after, *claim))
                    .collect();
                for claim in gone {
                    self.sent.remove(&claim);
                }
            }
            Body::Verdict(_)
            | Body::Claim(_)
            | Body::Confirm(_)
            | Body::Release(_)
            | Body::Delta(_)
            | Body::Snapshot(_)
            | Body::Resync(_)
            | Body::Superseded { .. } => {}
        }
    }

    fn note_refusal(
        &mut self,
        before: &Scheduler,
        claim: ClaimId,
        refusal: &Refusal,
        after: &Scheduler,
    ) {
        let Some(attempt) = attempt_of(before, claim) else { return };
        if after.attempts.contains_key(&attempt) {
            let key = (after.id, after.incarnation, attempt);
            self.tried.entry(key).or_default().refused.insert(claim.node, refusal.at);
        }
    }

    /// Takes note of a word of a node that says that it leaves, or that a later life of it began.
    fn note_presence(&mut self, datagram: &Datagram, after: &Scheduler) {
        let (Actor::Node(node), Some(life)) = (datagram.src.actor, datagram.src.incarnation) else {
            return;
        };
        let Some(peer) = after.nodes.get(&node) else { return };
        let key = (after.id, after.incarnation, node);
        if self.departed.get(&key).is_some_and(|departed| *departed < life) {
            self.departed.remove(&key);
        }
        if let Body::Leave(leave) = &datagram.body {
            let at = Stamp { incarnation: life, version: leave.at };
            let is_late = peer.host.as_ref().is_some_and(|host| host.stamp > at);
            if !is_late && !self.departed.contains_key(&key) {
                self.departed.insert(key, life);
            }
        }
    }

    /// The claims that this life of a scheduler has sent to `node` and that still count.
    pub fn sent_by<'a>(
        &'a self,
        scheduler: &Scheduler,
        node: NodeId,
    ) -> impl Iterator<Item = (&'a ClaimId, &'a Sent)> {
        self.sent.range(claims_at(scheduler.id, scheduler.incarnation, node))
    }

    /// The claims that one life of a scheduler has sent, to whatever node, and that still count.
    pub(crate) fn sent_in(
        &self,
        scheduler: SchedulerId,
        incarnation: Incarnation,
    ) -> impl Iterator<Item = (&ClaimId, &Sent)> {
        self.sent.range(claims_of(scheduler, incarnation))
    }

    /// Every grant on `node` to a claim of a later life of the scheduler of `claim`, in order.
    pub(crate) fn grants_to_later_lives(
        &self,
        claim: ClaimId,
        node: NodeId,
    ) -> impl Iterator<Item = (&ClaimId, &Grant)> {
        let later = self.lives_from(self.next_life(&claim));
        let later = later.take_while(move |other| other.scheduler == claim.scheduler);
        later.flat_map(move |life| self.grants_in(life, node))
    }

    /// Every grant to a claim on `node`, in order.
    pub(crate) fn grants_on(&self, node: NodeId) -> impl Iterator<Item = (&ClaimId, &Grant)> {
        let lives = self.lives_from(self.grants.keys().next());
        lives.flat_map(move |life| self.grants_in(life, node))
    }

    /// The first claim that was granted of each life of a scheduler, from that of `first` on. One
    /// look-up for each life, not one for each grant.
    fn lives_from<'a>(&'a self, first: Option<&'a ClaimId>) -> impl Iterator<Item = &'a ClaimId> {
        std::iter::successors(first, |claim| self.next_life(claim))
    }

    /// The first claim that was granted of the next life, of this scheduler or the next.
    fn next_life(&self, claim: &ClaimId) -> Option<&ClaimId> {
        let last = *claims_of(claim.scheduler, claim.incarnation).end();
        let later = self.grants.range((Bound::Excluded(last), Bound::Unbounded)).next();
        later.map(|(claim, _)| claim)
    }

    /// Every grant on `node` to a claim of the same life of a scheduler as this one, in order.
    fn grants_in(&self, life: &ClaimId, node: NodeId) -> impl Iterator<Item = (&ClaimId, &Grant)> {
        self.grants.range(claims_at(life.scheduler, life.incarnation, node))
    }
}

/// The claims that one life of a scheduler can make, in their order.
fn claims_of(scheduler: SchedulerId, incarnation: Incarnation) -> RangeInclusive<ClaimId> {
    let first = *claims_at(scheduler, incarnation, NodeId(0)).start();
    first..=*claims_at(scheduler, incarnation, NodeId(u32::MAX)).end()
}

/// The claims that one life of a scheduler can make on one node, in their order.
fn claims_at(
    scheduler: SchedulerId,
    incarnation: Incarnation,
    node: NodeId,
) -> RangeInclusive<ClaimId> {
    let claim = |number| ClaimId { scheduler, incarnation, node, number: ClaimNumber(number) };
    claim(0)..=claim(u64::MAX)
}

/// The attempts that one life of a scheduler can work on, in their order.
fn attempts_of(
    scheduler: SchedulerId,
    incarnation: Incarnation,
) -> RangeInclusive<(SchedulerId, Incarnation, AttemptId)> {
    let attempt = |request, number| {
        let id = AttemptId { request: RequestId(request), number: AttemptNumber(number) };
        (scheduler, incarnation, id)
    };
    attempt(0, 0)..=attempt(u64::MAX, u32::MAX)
}

impl Grant {
    fn of(allocation: &node::Allocation) -> Self {
        Grant {
            request: allocation.request,
            at: allocation.at,
            on: Set::default(),
            times: 0,
            confirmed: false,
            told: None,
            ended: None,
        }
    }
}

/// The attempt that a claim is made for, if its reservation stands.
fn attempt_of(scheduler: &Scheduler, claim: ClaimId) -> Option<AttemptId> {
    Some(scheduler.nodes.get(&claim.node)?.claims.get(&claim.number)?.attempt)
}

/// Whether the step took this claim off the scheduler's books because the life that it was meant for
/// has left.
fn is_dropped(before: &Scheduler, after: &Scheduler, claim: ClaimId) -> bool {
    let life = |scheduler: &Scheduler| scheduler.nodes.get(&claim.node).map(|peer| peer.presence);
    let held = |scheduler: &Scheduler| {
        let peer = scheduler.nodes.get(&claim.node);
        peer.is_some_and(|peer| peer.claims.contains_key(&claim.number))
    };
    let departed = matches!(life(after), Some(scheduler::Presence::Departed(_)));
    departed && held(before) && !held(after)
}

/// Why this claim's allocation ended: nothing ends but what the input names.
fn cause_of_end(input: Option<&node::Input>, claim: ClaimId) -> Ended {
    match input {
        Some(node::Input::Timer(Timer::Lapse(named))) if *named == claim => Ended::Lapsed,
        Some(node::Input::Datagram(Datagram { body: Body::Release(named), .. }))
            if *named == claim =>
        {
            Ended::Released
        }
        Some(node::Input::Datagram(_) | node::Input::Timer(_) | node::Input::Order(_)) | None => {
            Ended::Otherwise
        }
    }
}
