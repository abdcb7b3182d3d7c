//! The node: sole authority over its own resources.

mod allocations;
mod disk;
mod fence;
mod updates;

pub use allocations::Allocations;
pub use disk::{Allocation, AllocationState, Change, Disk};
pub use fence::Fence;

use crate::collections::{Given, Map};
use crate::config::{Config, Rule};
use crate::host_state::{DeltaLog, HostState, Reason, Status, Touched};
use crate::id::{Actor, Address, ClaimId, Incarnation, NodeId, SchedulerId, Stamp, Version};
use crate::machine::{Machine, Output, Record, Timer};
use crate::message::{Body, Claim, Datagram, Decision, Leave, Refusal, Verdict};
use crate::notice::{Notice, notice};
use crate::resources::{Demand, Inventory, ResourceClass, Resources};
use serde::{Deserialize, Serialize};

/// A node.
///
/// # Invariants
/// - A grant never leaves the allocations above the inventory in force (`no_overcommit`).
/// - No claim is granted twice (`one_grant_per_claim`).
/// - Each map respects its limit (`bounded`).
/// - What was told survives a restart (`allocations_survive_restart`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    #[serde(skip)]
    config: Given<Config>,
    /// What is on disk.
    pub durable: Disk,
    /// Counts the changes of the host state in this life.
    pub version: Version,
    /// The version up to which changes were announced.
    pub announced: Version,
    /// Which fields the last changes touched, to answer a resync with a delta.
    pub recent: DeltaLog,
    /// Who is sent changes, in which of its lives.
    pub subscribers: Map<SchedulerId, Incarnation>,
    /// What was decided about claims that may still arrive.
    pub fences: Map<SchedulerId, Fence>,
    /// Whether it has drained and gone: it ignores everything.
    pub left: bool,
}

/// What can happen to a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A datagram arrives.
    Datagram(Datagram),
    /// A timer fires.
    Timer(Timer),
    /// The operator orders something.
    Order(Order),
}

/// What an operator can order a node to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Order {
    /// To have another inventory; it may be smaller than what is allocated.
    Inventory(Inventory),
    /// To take new claims, or none.
    Status(Status),
    /// To go, once it is draining and has no allocations.
    Leave,
}

impl Node {
    /// Starts the next life of node `id` from its disk.
    pub fn start(id: NodeId, disk: Disk, config: Given<Config>, outbox: &mut Vec<Output>) -> Node {
        let mut node = Node {
            id,
            config,
            durable: disk,
            version: Version::default(),
            announced: Version::default(),
            recent: DeltaLog::default(),
            subscribers: Map::default(),
            fences: Map::default(),
            left: false,
        };
        node.begin_life(outbox);
        node.set_timer(Timer::Announce, node.config.intervals.beat, outbox);
        for timer in node.timers() {
            if let Timer::Lapse(_) = timer {
                node.set_timer(timer, node.config.intervals.lapse, outbox);
            }
        }
        node
    }

    /// The life that this is.
    pub fn incarnation(&self) -> Incarnation {
        self.durable.incarnation
    }

    /// The life and version that this is.
    pub fn stamp(&self) -> Stamp {
        Stamp { incarnation: self.durable.incarnation, version: self.version }
    }

    /// The same, given this: what is given is no part of the serialised form.
    #[must_use]
    pub fn given(self, config: Given<Config>) -> Self {
        Node { config, ..self }
    }

    /// What it is given at construction.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The state that its schedulers should see.
    pub fn host_state(&self) -> HostState {
        HostState {
            inventory: self.durable.inventory.clone(),
            status: self.durable.status,
            used: self.durable.used(),
        }
    }

    fn on_datagram(&mut self, datagram: Datagram, outbox: &mut Vec<Output>) {
        if datagram.dst.actor != Actor::Node(self.id) {
            return notice(Notice::DatagramMisdirected, outbox);
        }
        let Datagram { src, dst, body } = datagram;
        match (body, src.actor, src.incarnation) {
            (Body::Claim(claim), Actor::Scheduler(scheduler), Some(life))
                if (claim.claim.scheduler, claim.claim.incarnation) == (scheduler, life)
                    && claim.claim.node == self.id =>
            {
                self.on_claim(src, dst.incarnation, claim, outbox);
            }
            (Body::Confirm(claim), _, _) if claim.node == self.id => {
                self.on_confirm(src, claim, outbox);
            }
            (Body::Release(claim), _, _) if claim.node == self.id => {
                self.on_release(src, claim, outbox);
            }
            (Body::Resync(resync), Actor::Scheduler(scheduler), Some(life)) => {
                self.on_resync(src, scheduler, life, resync, outbox);
            }
            (
                Body::Claim(_)
                | Body::Confirm(_)
                | Body::Release(_)
                | Body::Resync(_)
                | Body::Verdict(_)
                | Body::Delta(_)
                | Body::Snapshot(_)
                | Body::Leave(_)
                | Body::Superseded { .. },
                _,
                _,
            ) => notice(Notice::DatagramMisdirected, outbox),
        }
    }

    fn on_claim(
        &mut self,
        src: Address,
        meant_for: Option<Incarnation>,
        claim: Claim,
        outbox: &mut Vec<Output>,
    ) {
        let id = claim.claim;
        let (arm, body) = match self.classify(&claim, meant_for) {
            Arrival::Allocated(decision) => (Notice::ClaimRepeated, Some(decision)),
            Arrival::BelowFloor => (Notice::ClaimBelowFloor, None),
            Arrival::Superseded(by) => {
                notice(Notice::ClaimSuperseded, outbox);
                return self.send(src, Body::Superseded { by }, outbox);
            }
            Arrival::Over => (Notice::ClaimOver, Some(Decision::Gone)),
            Arrival::Refused(refusal) => {
                (Notice::ClaimRefusedAsThen, Some(Decision::Refused(refusal)))
            }
            Arrival::OtherLife => (Notice::ClaimForOtherLife, Some(self.other_life())),
            Arrival::Malformed => (Notice::ClaimMalformed, None),
            Arrival::FillsFences => {
                self.begin_life(outbox);
                (Notice::ClaimFillsFences, Some(self.other_life()))
            }
            Arrival::ToJudge => (Notice::ClaimJudged, Some(self.judge(claim, outbox))),
        };
        notice(arm, outbox);
        if let Some(decision) = body {
            self.send(src, Body::Verdict(Verdict { claim: id, decision }), outbox);
        }
    }

    /// What kind of arrival this is. The order matters: what is on disk comes before everything,
    /// and what was decided before what would be decided now.
    fn classify(&self, claim: &Claim, meant_for: Option<Incarnation>) -> Arrival {
        let id = claim.claim;
        let rules = self.config.rules;
        if let Some(allocation) = self.durable.allocations.get(&id) {
            return Arrival::Allocated(allocation.decision());
        }
        let fence = self.fences.get(&id.scheduler);
        let of_this_life = fence.filter(|fence| fence.incarnation == id.incarnation);
        if of_this_life.is_some_and(|fence| id.number < fence.floor) {
            return Arrival::BelowFloor;
        }
        if let Some(by) = self.later_life(id.scheduler, id.incarnation) {
            return Arrival::Superseded(by);
        }
        if let Some(decided) = of_this_life.and_then(|fence| fence.decided.get(&id.number)) {
            return match decided {
                None => Arrival::Over,
                Some(refusal) => Arrival::Refused(refusal.clone()),
            };
        }
        if rules.has(Rule::ClaimsNameAnIncarnation) && meant_for != Some(self.incarnation()) {
            return Arrival::OtherLife;
        }
        let window_end = claim.floor.0.saturating_add(self.config.limits.claims_open_max);
        if !(claim.floor.0..window_end).contains(&id.number.0) {
            return Arrival::Malformed;
        }
        if fence.is_none() && self.fences.len() >= self.config.limits.fences_max {
            return Arrival::FillsFences;
        }
        Arrival::ToJudge
    }

    /// Judges a claim by this node's own state, and remembers what was decided.
    fn judge(&mut self, claim: Claim, outbox: &mut Vec<Output>) -> Decision {
        let id = claim.claim;
        let refused =
            self.refuses(&claim.demand).filter(|_| self.config.rules.has(Rule::NodeJudgesClaims));
        let decision = match refused {
            Some((arm, reason)) => {
                notice(arm, outbox);
                Decision::Refused(Refusal { at: self.stamp(), reason })
            }
            None => self.grant(&claim, outbox),
        };
        if self.config.rules.has(Rule::GrantedClaimsStayDecided) {
            let refusal = match &decision {
                Decision::Refused(refusal) => Some(refusal.clone()),
                Decision::Granted { .. } | Decision::Confirmed { .. } | Decision::Gone => None,
            };
            let fence = self.fences.entry(id.scheduler).or_default();
            if fence.incarnation != id.incarnation {
                *fence = Fence { incarnation: id.incarnation, ..Fence::default() };
            }
            fence.decide(claim.floor, id.number, refusal);
        }
        decision
    }

    /// Why this node must refuse a demand, if it must.
    fn refuses(&self, demand: &Demand) -> Option<(Notice, Reason)> {
        let limits = &self.config.limits;
        if self.durable.allocations.len() >= limits.allocations_max {
            return Some((Notice::ClaimRefusedFull, Reason::Full));
        }
        let state = self.host_state();
        let absent = |class: &ResourceClass| state.used.get(class) == 0;
        let joined = demand.resources.groups().filter(|(_, members)| *members > 0);
        let joined = joined.map(|(group, _)| ResourceClass::Group(group));
        let joined_anew = joined.filter(absent).count();
        if joined_anew > 0 && state.used.groups().count() + joined_anew > limits.groups_max {
            return Some((Notice::ClaimRefusedForGroups, Reason::Full));
        }
        let reason = state.refuses(demand, &Resources::default())?;
        Some((Notice::ClaimRefused, reason))
    }

    fn grant(&mut self, claim: &Claim, outbox: &mut Vec<Output>) -> Decision {
        notice(Notice::ClaimGranted, outbox);
        self.touch(Touched::used(&claim.demand.resources), outbox);
        let allocation = Allocation {
            request: claim.request,
            demand: claim.demand.clone(),
            at: self.stamp(),
            state: AllocationState::Held,
        };
        let decision = allocation.decision();
        self.persist(Change::Allocation(claim.claim, allocation), outbox);
        if self.config.rules.has(Rule::UnconfirmedHoldsLapse) {
            self.set_timer(Timer::Lapse(claim.claim), self.config.intervals.lapse, outbox);
        }
        decision
    }

    fn on_confirm(&mut self, src: Address, claim: ClaimId, outbox: &mut Vec<Output>) {
        let decision = match self.durable.allocations.get(&claim).cloned() {
            None => {
                notice(Notice::ConfirmGone, outbox);
                Decision::Gone
            }
            Some(allocation) if allocation.state == AllocationState::Confirmed => {
                notice(Notice::ConfirmRepeated, outbox);
                allocation.decision()
            }
            Some(held) => {
                notice(Notice::HoldConfirmed, outbox);
                let confirmed = Allocation { state: AllocationState::Confirmed, ..held };
                let decision = confirmed.decision();
                self.persist(Change::Allocation(claim, confirmed), outbox);
                decision
            }
        };
        self.send(src, Body::Verdict(Verdict { claim, decision }), outbox);
    }

    fn on_release(&mut self, src: Address, claim: ClaimId, outbox: &mut Vec<Output>) {
        if self.durable.allocations.contains_key(&claim) {
            notice(Notice::AllocationReleased, outbox);
            self.end(claim, outbox);
        } else {
            notice(Notice::ReleaseGone, outbox);
        }
        self.send(src, Body::Verdict(Verdict { claim, decision: Decision::Gone }), outbox);
    }

    fn on_lapse(&mut self, claim: ClaimId, outbox: &mut Vec<Output>) {
        let held = |allocation: &Allocation| allocation.state == AllocationState::Held;
        let lapses = self.config.rules.has(Rule::UnconfirmedHoldsLapse);
        if lapses && self.durable.allocations.get(&claim).is_some_and(held) {
            notice(Notice::HoldLapsed, outbox);
            self.end(claim, outbox);
        } else {
            notice(Notice::LapseIgnored, outbox);
        }
    }

    fn on_forget(&mut self, scheduler: SchedulerId, outbox: &mut Vec<Output>) {
        let forgotten = self.subscribers.remove(&scheduler).is_some();
        let arm = if forgotten { Notice::SubscriberForgotten } else { Notice::ForgetIgnored };
        notice(arm, outbox);
    }

    fn on_order(&mut self, order: Order, outbox: &mut Vec<Output>) {
        match order {
            Order::Inventory(inventory) if inventory != self.durable.inventory => {
                notice(Notice::InventoryChanged, outbox);
                self.persist(Change::Inventory(inventory), outbox);
                self.touch(Touched::inventory(), outbox);
            }
            Order::Status(status) if status != self.durable.status => {
                notice(Notice::StatusChanged, outbox);
                self.persist(Change::Status(status), outbox);
                self.touch(Touched::status(), outbox);
            }
            Order::Inventory(_) | Order::Status(_) => notice(Notice::OrderChangesNothing, outbox),
            Order::Leave if self.may_leave() => {
                notice(Notice::NodeLeft, outbox);
                self.send_to_subscribers(Body::Leave(Leave { at: self.version }), outbox);
                self.left = true;
            }
            Order::Leave => notice(Notice::LeaveRefused, outbox),
        }
    }

    /// Whether the node has drained.
    pub fn may_leave(&self) -> bool {
        self.durable.status == Status::Draining && self.durable.allocations.is_empty()
    }

    /// The latest life of `scheduler` that is known, if it is later than `life`.
    fn later_life(&self, scheduler: SchedulerId, life: Incarnation) -> Option<Incarnation> {
        let fenced = self.fences.get(&scheduler).map(|fence| fence.incarnation);
        let subscribed = self.subscribers.get(&scheduler).copied();
        fenced.max(subscribed).filter(|known| *known > life)
    }

    fn other_life(&self) -> Decision {
        Decision::Refused(Refusal { at: self.stamp(), reason: Reason::OtherLife })
    }

    /// Starts a life: everything that is not on disk is forgotten, but for who subscribes.
    fn begin_life(&mut self, outbox: &mut Vec<Output>) {
        let counted = self.config.rules.has(Rule::IncarnationsOnBothEnds);
        if counted || self.durable.incarnation == Incarnation::default() {
            self.persist(Change::Life(self.durable.incarnation.next()), outbox);
        }
        self.version = Version::default();
        self.announced = Version::default();
        self.recent = DeltaLog::default();
        self.fences = Map::default();
    }

    fn end(&mut self, claim: ClaimId, outbox: &mut Vec<Output>) {
        let allocation = self.durable.allocations.get(&claim).expect("the caller found it");
        let touched = Touched::used(&allocation.demand.resources);
        self.persist(Change::End(claim), outbox);
        self.touch(touched, outbox);
    }

    /// The host state has changed in the fields that `touched` names.
    fn touch(&mut self, touched: Touched, outbox: &mut Vec<Output>) {
        if self.version == self.announced {
            self.set_timer(Timer::Announce, self.config.intervals.announce, outbox);
        }
        self.version = self.version.next();
        self.recent.note(self.version, touched, self.config.limits.delta_log_max);
    }

    fn persist(&mut self, change: Change, outbox: &mut Vec<Output>) {
        self.durable.apply(&change);
        outbox.push(Output::Persist(Record::Node(change)));
    }

    fn send_to_subscribers(&self, body: Body, outbox: &mut Vec<Output>) {
        for (scheduler, life) in self.subscribers.iter() {
            let dst = Address { actor: Actor::Scheduler(*scheduler), incarnation: Some(*life) };
            self.send(dst, body.clone(), outbox);
        }
    }

    fn send(&self, dst: Address, body: Body, outbox: &mut Vec<Output>) {
        let src = Address { actor: Actor::Node(self.id), incarnation: Some(self.incarnation()) };
        outbox.push(Output::Send(Datagram { src, dst, body }));
    }

    fn set_timer(&self, timer: Timer, after: std::time::Duration, outbox: &mut Vec<Output>) {
        outbox.push(Output::SetTimer { timer, after });
    }
}

impl Machine for Node {
    type Input = Input;

    fn handle(&mut self, input: Input, outbox: &mut Vec<Output>) {
        if self.left {
            return notice(Notice::MachineStopped, outbox);
        }
        let start = outbox.len();
        match input {
            Input::Datagram(datagram) => self.on_datagram(datagram, outbox),
            Input::Timer(Timer::Announce) => self.on_announce(outbox),
            Input::Timer(Timer::Lapse(claim)) => self.on_lapse(claim, outbox),
            Input::Timer(Timer::Forget(scheduler)) => self.on_forget(scheduler, outbox),
            Input::Timer(
                Timer::Resync(_)
                | Timer::Resend(_)
                | Timer::Suspect(_)
                | Timer::Retry(_)
                | Timer::Impatience(_),
            ) => notice(Notice::TimerMisdirected, outbox),
            Input::Order(order) => self.on_order(order, outbox),
        }
        if !self.config.rules.has(Rule::DurableBeforeTold) {
            outbox[start..].sort_by_key(|output| matches!(output, Output::Persist(_)));
        }
    }

    fn timers(&self) -> Vec<Timer> {
        if self.left {
            return Vec::new();
        }
        let mut timers = vec![Timer::Announce];
        if self.config.rules.has(Rule::UnconfirmedHoldsLapse) {
            let allocations = self.durable.allocations.iter();
            let held = allocations.filter(|(_, a)| a.state == AllocationState::Held);
            timers.extend(held.map(|(claim, _)| Timer::Lapse(*claim)));
        }
        timers.extend(self.subscribers.keys().map(|scheduler| Timer::Forget(*scheduler)));
        timers
    }
}

/// How a claim relates to what the node knows. Classify, then act.
enum Arrival {
    Allocated(Decision),
    BelowFloor,
    Superseded(Incarnation),
    Over,
    Refused(Refusal),
    OtherLife,
    Malformed,
    FillsFences,
    ToJudge,
}
