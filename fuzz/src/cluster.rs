//! A node and a scheduler, driven by the fuzzer as their drivers drive them, and judged at every step.

use crate::{keys, nowhere, packed, words};
use arbitrary::{Result, Unstructured};
use counterfoil_properties::{Check, History, Safety, Step};
use counterfoil_protocol::{
    self as protocol, AttemptId, Body, Call, Choice, ClaimId, ClientId, Config, Datagram, Demand,
    Given, Incarnation, Intervals, Inventory, Limits, Machine, Node, NodeId, Output, Record,
    Scheduler, SchedulerId, Timer, node, scheduler,
};
use counterfoil_recording::Role;
use counterfoil_recording::audit::Judged;
use counterfoil_service::key::Keys;
use counterfoil_service::packet::{Seal, open};
use counterfoil_service::wire::Message;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock};

/// Steps of one run, at most.
const STEPS_MAX: usize = 200;

/// Datagrams under way, at most; then the oldest is lost.
const UNDER_WAY_MAX: usize = 16;

/// What a node's steps are judged by: all of it, for whatever arrives it answers for itself; the first
/// two only if no number was given to two claims.
const OF_NODES: [Safety; 6] = [
    Safety::VerdictsAreTrue,
    Safety::OneGrantPerClaim,
    Safety::NoOvercommit,
    Safety::GroupsAreKept,
    Safety::Bounded,
    Safety::AllocationsSurviveRestart,
];

/// What a scheduler's steps are judged by: all that does not need others to tell the truth. A node
/// that goes before it was met, and speaks afterwards, lies.
const OF_SCHEDULERS: [Safety; 4] = [
    Safety::ViewsNeverGoBack,
    Safety::OwnClaimsCountOnce,
    Safety::NoClaimAgainstKnownRefusal,
    Safety::Bounded,
];

/// Whether a property holds of a daemon whoever lies to it, and whatever about. Clients lie too: one
/// that gives the number of an attempt that is over to another is told of refusals of the first.
pub fn holds_among_liars(property: Safety) -> bool {
    let of_schedulers = OF_SCHEDULERS.contains(&property);
    OF_NODES[2..].contains(&property)
        || of_schedulers && property != Safety::NoClaimAgainstKnownRefusal
}

static KEYS: LazyLock<Keys> = LazyLock::new(keys);
static SEAL: LazyLock<Seal> = LazyLock::new(|| Seal::new(nowhere(), Some(&KEYS)));

/// Limits that are reached soon.
pub fn config() -> Config {
    let limits = Limits {
        allocations_max: 6,
        groups_max: 2,
        subscribers_max: 2,
        fences_max: 2,
        delta_log_max: 3,
        claims_open_max: 3,
        nodes_max: 3,
        attempts_pending_max: 4,
        claims_per_attempt_max: 3,
        ..Limits::default()
    };
    Config { limits, intervals: Intervals::default(), ..Config::default() }
}

/// One machine, its disk, and what it is judged by.
struct Actor<R: Role> {
    id: R::Id,
    machine: R,
    disk: R::Disk,
    history: History,
    judged_by: &'static [Safety],
}

impl<R: Judged> Actor<R> {
    fn start(id: R::Id, disk: R::Disk, judged_by: &'static [Safety]) -> (Self, Vec<Output>) {
        let mut outputs = Vec::new();
        let machine = R::start(id, disk.clone(), Given::new(config()), &mut outputs);
        let mut actor = Actor { id, machine, disk, history: History::default(), judged_by };
        actor.judge(None, None, &outputs);
        (actor, outputs)
    }

    /// The process ends and starts again from what is on its disk.
    fn restart(&mut self, keeps_history: bool) -> Vec<Output> {
        let mut outputs = Vec::new();
        let config = Given::new(config());
        self.machine = R::start(self.id, self.disk.clone(), config, &mut outputs);
        if !keeps_history {
            self.history = History::default();
        }
        self.judge(None, None, &outputs);
        outputs
    }

    fn handle(&mut self, input: R::Input) -> Vec<Output> {
        let (before, mut outputs) = (self.machine.clone(), Vec::new());
        self.machine.handle(input.clone(), &mut outputs);
        self.judge(Some(&before), Some(&input), &outputs);
        outputs
    }

    fn judge(&mut self, before: Option<&R>, input: Option<&R::Input>, outputs: &[Output]) {
        for output in outputs {
            if let Output::Persist(record) = output {
                R::write(&mut self.disk, record);
            }
        }
        let step = Step { process: R::process(before, input, &self.machine), outputs };
        self.history.observe(&step);
        for property in self.judged_by {
            if let Check::Violated(violation) = property.check(&step, &self.history) {
                panic!("{property} is violated by {input:?}: {violation:#?}");
            }
        }
    }
}

/// A node, a scheduler, and what is under way.
struct Cluster {
    node: Actor<Node>,
    /// What each claim asked for, and of which life of the node; nothing once it was said otherwise.
    claims: BTreeMap<ClaimId, Option<(Arc<Demand>, Option<Incarnation>)>>,
    scheduler: Actor<Scheduler>,
    /// The attempts that clients have called for in this life of the scheduler.
    attempts: BTreeSet<AttemptId>,
    under_way: VecDeque<Datagram>,
}

/// Runs a cluster as the bytes say.
///
/// # Errors
/// If there are no more bytes.
pub fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let mut cluster = Cluster::start(words::inventory(u)?);
    for _ in 0..STEPS_MAX {
        if u.is_empty() {
            return Ok(());
        }
        cluster.step(u)?;
    }
    Ok(())
}

impl Cluster {
    fn start(inventory: Inventory) -> Cluster {
        let disk = node::Disk::new(inventory);
        let (node, told) = Actor::start(NodeId(1), disk, &OF_NODES);
        let (scheduler, also_told) =
            Actor::start(SchedulerId(1), scheduler::Disk::default(), &OF_SCHEDULERS);
        let mut cluster = Cluster {
            node,
            claims: BTreeMap::new(),
            scheduler,
            attempts: BTreeSet::new(),
            under_way: VecDeque::new(),
        };
        cluster.carry_out(told);
        cluster.carry_out(also_told);
        cluster.to_scheduler(scheduler::Input::Meet(NodeId(1)));
        cluster
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15)? {
            0..=3 => self.deliver(u)?,
            4..=7 => {
                let message = words::message(u, nowhere())?;
                self.arrives(message);
            }
            8 => self.change_what_is_under_way(u)?,
            9 | 10 => {
                let (client, attempt) = (ClientId(u.int_in_range(0..=2)?), words::attempt(u)?);
                let demand = words::demand(u)?.into();
                // No client gives the number of an attempt that is over to another.
                let is_open = self.scheduler.machine.attempts.contains_key(&attempt);
                if self.attempts.insert(attempt) || is_open {
                    let call = Call { attempt, demand };
                    self.to_scheduler(scheduler::Input::Call(client, call));
                }
            }
            11 => {
                let timers = self.node.machine.timers();
                if let Some(timer) = any_of(u, timers)? {
                    self.to_node(node::Input::Timer(timer));
                }
            }
            12 => {
                let timers = self.scheduler.machine.timers();
                if let Some(timer) = any_of(u, timers)? {
                    self.to_scheduler(scheduler::Input::Timer(timer));
                }
            }
            13 => self.order(u)?,
            14 => {
                let client = ClientId(u.int_in_range(0..=2)?);
                self.to_scheduler(scheduler::Input::Disconnected(client));
            }
            _ => {
                let node = u.arbitrary()?;
                let told =
                    if node { self.node.restart(true) } else { self.scheduler.restart(false) };
                self.carry_out(told);
                if !node {
                    self.attempts.clear();
                    self.to_scheduler(scheduler::Input::Meet(NodeId(1)));
                }
            }
        }
        assert_eq!(self.node.disk, self.node.machine.durable, "what counts is on disk");
        Ok(())
    }

    /// Something that is under way arrives, or is lost, or arrives and stays under way.
    fn deliver(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.under_way.is_empty() {
            return Ok(());
        }
        let which = u.int_in_range(0..=self.under_way.len() - 1)?;
        let fate = u.int_in_range(0..=7)?;
        let datagram = match fate {
            0 => self.under_way.get(which).cloned(),
            _ => self.under_way.remove(which),
        };
        if let Some(datagram) = datagram.filter(|_| fate != 1) {
            self.arrives(Message::Datagram(datagram));
        }
        Ok(())
    }

    /// A datagram that is under way arrives with another part in the place of one of its own.
    fn change_what_is_under_way(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.under_way.is_empty() {
            return Ok(());
        }
        let which = u.int_in_range(0..=self.under_way.len() - 1)?;
        let (mut datagram, other) = (self.under_way[which].clone(), words::datagram(u)?);
        match u.int_in_range(0..=4)? {
            0 => datagram.src = other.src,
            1 => datagram.dst = other.dst,
            2 => datagram.body = other.body,
            3 => datagram.src.incarnation = other.src.incarnation,
            _ => datagram.dst.incarnation = other.dst.incarnation,
        }
        self.arrives(Message::Datagram(datagram));
        Ok(())
    }

    /// A message arrives as it does over UDP: sealed, opened, read.
    fn arrives(&mut self, message: Message) {
        let Some(packet) = packed(&SEAL, &[message]) else { return };
        let (_, messages) = open(&packet, Some(&KEYS)).expect("it is sealed with the right key");
        for message in messages.flatten() {
            let Message::Datagram(datagram) = message else { continue };
            // A driver hands over what is for an actor of its own.
            if datagram.dst.actor == protocol::Actor::Node(self.node.id) {
                self.to_node(node::Input::Datagram(datagram));
            } else if datagram.dst.actor == protocol::Actor::Scheduler(self.scheduler.id) {
                self.to_scheduler(scheduler::Input::Datagram(datagram));
            }
        }
    }

    fn order(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let order = match u.int_in_range(0..=4)? {
            0 | 1 => node::Order::Inventory(words::inventory(u)?),
            2 | 3 => node::Order::Status(words::status(u)?),
            _ => node::Order::Leave,
        };
        self.to_node(node::Input::Order(order));
        Ok(())
    }

    fn to_node(&mut self, input: node::Input) {
        // Whoever gives one number to two claims is told the verdict on one, which is not true of the
        // other.
        let is_two = match &input {
            node::Input::Datagram(Datagram { dst, body: Body::Claim(claim), .. }) => {
                let said = Some((claim.demand.clone(), dst.incarnation));
                let known = self.claims.entry(claim.claim).or_insert_with(|| said.clone());
                if *known != said {
                    *known = None;
                }
                known.is_none()
            }
            node::Input::Datagram(_) | node::Input::Timer(_) | node::Input::Order(_) => false,
        };
        self.node.judged_by = if is_two { &OF_NODES[2..] } else { &OF_NODES };
        let outputs = self.node.handle(input);
        self.carry_out(outputs);
    }

    fn to_scheduler(&mut self, input: scheduler::Input) {
        let outputs = self.scheduler.handle(input);
        self.carry_out(outputs);
    }

    /// Sends what is to be sent, and makes the choices that are to be made.
    fn carry_out(&mut self, outputs: Vec<Output>) {
        let mut todo = VecDeque::from(outputs);
        while let Some(output) = todo.pop_front() {
            match output {
                Output::Send(datagram) => {
                    if self.under_way.len() >= UNDER_WAY_MAX {
                        self.under_way.pop_front();
                    }
                    self.under_way.push_back(datagram);
                }
                Output::Choose(Choice::Node(attempt)) => {
                    let chosen = scheduler::Input::Chosen(attempt, self.eligible(attempt));
                    let outputs = self.scheduler.handle(chosen);
                    outputs.into_iter().rev().for_each(|output| todo.push_front(output));
                }
                Output::Persist(Record::Node(_) | Record::Scheduler(_) | Record::Client(_))
                | Output::Choose(Choice::Scheduler(_))
                | Output::Call(..)
                | Output::Answer(..)
                | Output::SetTimer { .. }
                | Output::Ended(..)
                | Output::Notice(_) => {}
            }
        }
    }

    fn eligible(&self, attempt: AttemptId) -> Option<NodeId> {
        let machine = &self.scheduler.machine;
        machine.nodes.keys().copied().find(|node| machine.eligible(attempt, *node))
    }
}

fn any_of(u: &mut Unstructured<'_>, timers: Vec<Timer>) -> Result<Option<Timer>> {
    if timers.is_empty() {
        return Ok(None);
    }
    u.choose(&timers).cloned().map(Some)
}
