//! This project's machines, driven by the driver of the service.
//!
//! Only the sockets are missing: what a machine sends goes to whoever drives the part. A client
//! confirms what it was given, so that nothing lapses. A scheduler makes as many claims for one
//! attempt as the other designs make attempts.

use super::{
    Amounts, Ask, Change, End, Event, Given, Knew, Message, NodesPart, Outbox, Outcome, PartError,
    SchedulerPart, now_ns,
};
use counterfoil_protocol::node::{self, Allocation, AllocationState};
use counterfoil_protocol::scheduler::Input;
use counterfoil_protocol::{
    Actor, Address, Answer, AttemptId, AttemptNumber, Body, Call, Choice, ClaimId, ClaimNumber,
    ClientId, Config, Datagram, Incarnation, Intervals, Limits, Node, NodeId, Output, Placement,
    Record, RequestId, Scheduler, SchedulerId, Stamp, Version,
};
use counterfoil_service::driver::{Driver, Outside};
use counterfoil_service::monitor::{OnViolation, Watch};
use counterfoil_service::scheduler::Picker;
use counterfoil_service::store::Store;
use std::collections::HashMap;
use std::io;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What was allocated before a run was claimed by this scheduler, which is none of the cluster.
const BEFORE: SchedulerId = SchedulerId(u32::MAX);

/// How machines of a comparison are set: as many claims for an attempt as others make attempts, and
/// no hold that lapses before its confirm has come.
pub fn config(attempts_max: u32) -> Config {
    let limits = Limits { claims_per_attempt_max: attempts_max, ..Limits::default() };
    let intervals = Intervals { lapse: Duration::from_secs(3600), ..Intervals::default() };
    Config { limits, intervals, ..Config::default() }
}

/// Machines do not judge themselves in a measurement.
fn unwatched() -> Watch {
    Watch { on_violation: OnViolation::Off, one_of: NonZeroU32::MIN }
}

/// The confirm of a client.
pub fn confirm(client: ClientId, claim: ClaimId) -> Datagram {
    let address = |actor| Address { actor, incarnation: None };
    let (src, dst) = (address(Actor::Client(client)), address(Actor::Node(claim.node)));
    Datagram { src, dst, body: Body::Confirm(claim) }
}

/// What is written on the disk of a node before a run.
pub fn records(id: NodeId, given: &Given) -> Vec<Record> {
    let inventory = node::Change::Inventory(given.inventory.clone());
    let allocations = (1..).zip(&given.before).map(|(number, demand)| {
        let claim = ClaimId {
            scheduler: BEFORE,
            incarnation: Incarnation(1),
            node: id,
            number: ClaimNumber(number),
        };
        let allocation = Allocation {
            request: RequestId(u64::MAX - number),
            demand: demand.clone(),
            at: Stamp { incarnation: Incarnation(1), version: Version(0) },
            state: AllocationState::Confirmed,
        };
        node::Change::Allocation(claim, allocation)
    });
    std::iter::once(inventory).chain(allocations).map(Record::Node).collect()
}

/// What stands around machines: what they are to be given, and what they say.
#[derive(Debug)]
struct Post<I> {
    inputs: Vec<I>,
    out: Outbox,
    /// When a timer is due, as of the beginning of the turn; now, if the turn may have set others.
    deadline: Option<Instant>,
}

impl<I> Post<I> {
    fn new() -> Post<I> {
        Post { inputs: Vec::new(), out: Outbox::default(), deadline: None }
    }

    fn wait(&mut self, deadline: Option<Instant>, inputs: &mut Vec<I>) -> ControlFlow<()> {
        let now = Instant::now();
        let busy = !self.inputs.is_empty() || deadline.is_some_and(|at| at <= now);
        self.deadline = if busy { Some(now) } else { deadline };
        inputs.append(&mut self.inputs);
        ControlFlow::Continue(())
    }
}

/// Moves what was said from one outbox to another.
fn hand_over(from: &mut Outbox, to: &mut Outbox) {
    to.envelopes.append(&mut from.envelopes);
    to.events.append(&mut from.events);
    to.changes.append(&mut from.changes);
    to.spent.decision += std::mem::take(&mut from.spent.decision);
}

struct AroundScheduler {
    id: SchedulerId,
    post: Post<(SchedulerId, Input)>,
    picker: Picker,
    /// Of requests that a claim was made for: what was known when the node was chosen.
    claiming: HashMap<u64, Knew>,
}

/// A scheduler of this project.
pub struct CounterfoilScheduler {
    driver: Driver<Scheduler>,
    around: AroundScheduler,
    nodes: u32,
    asked: u32,
}

impl CounterfoilScheduler {
    /// Scheduler number `id` of a cluster with so many nodes, of which `picker` knows none yet.
    ///
    /// # Errors
    /// If it cannot start.
    pub fn new(
        id: u32,
        nodes: u32,
        config: &Config,
        picker: Picker,
    ) -> Result<CounterfoilScheduler, PartError> {
        let id = SchedulerId(id);
        let mut around =
            AroundScheduler { id, post: Post::new(), picker, claiming: HashMap::new() };
        let kept = Store::forgetful(&[id], |_| Vec::new());
        let driver = Driver::start(kept, (config, unwatched()), |_| None, &mut around)?;
        Ok(CounterfoilScheduler { driver, around, nodes, asked: 0 })
    }
}

impl Outside<Scheduler> for AroundScheduler {
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<(SchedulerId, Input)>,
    ) -> io::Result<ControlFlow<()>> {
        Ok(self.post.wait(deadline, inputs))
    }

    fn before(&mut self, input: &Input) {
        self.picker.before(input);
    }

    fn after(&mut self, machine: &Scheduler) {
        self.picker.after(machine);
    }

    fn choose(&mut self, machine: &Scheduler, choice: &Choice) -> Option<Input> {
        let Choice::Node(id) = choice else { return None };
        let (request, began) = (id.request.0, Instant::now());
        let node = self.picker.pick(machine, *id);
        self.post.out.spent.decision += began.elapsed();
        if self.claiming.remove(&request).is_some() {
            self.post.out.events.push(Event::Refused { request });
        }
        if let Some(node) = node {
            let host = machine.nodes.get(&node).and_then(|peer| peer.host.as_ref());
            let changes = host.map_or(0, |host| host.stamp.version.0);
            self.claiming.insert(request, Knew { changes, at_ns: now_ns() });
            self.post.out.events.push(Event::Chosen { request, began, view_from: None });
        }
        Some(Input::Chosen(*id, node))
    }

    fn carry_out(&mut self, _: SchedulerId, output: Output) {
        match output {
            Output::Send(datagram) => self.send(datagram),
            Output::Answer(client, Answer { attempt, placement }) => {
                self.answer(client, attempt.request.0, placement);
            }
            Output::Persist(_)
            | Output::Call(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Ended(..)
            | Output::Notice(_) => {}
        }
    }
}

impl AroundScheduler {
    fn send(&mut self, datagram: Datagram) {
        let Actor::Node(node) = datagram.dst.actor else { return };
        let knew = match &datagram.body {
            Body::Claim(claim) => self.claiming.get(&claim.request.0).copied(),
            Body::Verdict(_)
            | Body::Confirm(_)
            | Body::Release(_)
            | Body::Delta(_)
            | Body::Snapshot(_)
            | Body::Resync(_)
            | Body::Leave(_)
            | Body::Superseded { .. } => None,
        };
        let message = Message::Counterfoil(datagram);
        self.post.out.send(End::Scheduler(self.id.0), End::Node(node.0), message);
        if let Some(envelope) = self.post.out.envelopes.last_mut() {
            envelope.knew = knew;
        }
    }

    fn answer(&mut self, client: ClientId, request: u64, placement: Placement) {
        self.claiming.remove(&request);
        let outcome = match placement {
            Placement::Placed(claim) => {
                let confirm = Message::Counterfoil(confirm(client, claim));
                self.post.out.send(End::Scheduler(self.id.0), End::Node(claim.node.0), confirm);
                Outcome::Placed
            }
            Placement::NoValidHost(_) => Outcome::NoValidHost,
            Placement::Exhausted => Outcome::Exhausted,
            Placement::Unavailable | Placement::Overloaded => {
                let after = Intervals::default().retry;
                return self.post.out.events.push(Event::Again { request, without: None, after });
            }
        };
        self.post.out.events.push(Event::Ended { request, outcome });
    }
}

impl SchedulerPart for CounterfoilScheduler {
    fn begin(&mut self, _: &mut Outbox) -> Result<(), PartError> {
        let id = self.around.id;
        self.around.post.inputs.extend((1..=self.nodes).map(|n| (id, Input::Meet(NodeId(n)))));
        Ok(())
    }

    fn knows_all(&self) -> bool {
        let nodes = &self.driver.machine(self.around.id).nodes;
        nodes.values().filter(|peer| peer.host.is_some()).count() == self.nodes as usize
    }

    fn ask(&mut self, ask: Ask, _: &mut Outbox) -> Result<(), PartError> {
        self.asked += 1;
        let number = AttemptNumber(self.asked);
        let attempt = AttemptId { request: RequestId(ask.request), number };
        let id = self.around.id;
        let call = Input::Call(ClientId(id.0), Call { attempt, demand: ask.demand });
        self.around.post.inputs.push((id, call));
        Ok(())
    }

    fn hear(&mut self, _: u32, message: Message, _: &mut Outbox) -> Result<(), PartError> {
        if let Message::Counterfoil(datagram) = message
            && let Actor::Scheduler(id) = datagram.dst.actor
        {
            self.around.post.inputs.push((id, Input::Datagram(datagram)));
        }
        Ok(())
    }

    fn turn(&mut self, _: Instant, out: &mut Outbox) -> Result<(), PartError> {
        let _ = self.driver.turn(&mut self.around)?;
        hand_over(&mut self.around.post.out, out);
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.around.post.deadline
    }
}

struct AroundNodes {
    post: Post<(NodeId, node::Input)>,
    /// The version that each node had last, and whose claim it has in hand.
    versions: Vec<u64>,
    by: u32,
}

/// The nodes of this project.
pub struct CounterfoilNodes {
    driver: Driver<Node>,
    around: AroundNodes,
}

impl CounterfoilNodes {
    /// Nodes that have this.
    ///
    /// # Errors
    /// If they cannot start.
    pub fn new(given: &[Given], config: &Config) -> Result<CounterfoilNodes, PartError> {
        let ids: Vec<NodeId> = (1..=given.len() as u32).map(NodeId).collect();
        let kept = Store::forgetful(&ids, |id| records(id, &given[id.0 as usize - 1]));
        let versions = vec![0; given.len()];
        let mut around = AroundNodes { post: Post::new(), versions, by: 0 };
        let driver = Driver::start(kept, (config, unwatched()), |_| None, &mut around)?;
        Ok(CounterfoilNodes { driver, around })
    }

    /// The machine of a node.
    pub fn machine(&self, node: u32) -> &Node {
        self.driver.machine(NodeId(node))
    }
}

impl Outside<Node> for AroundNodes {
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<(NodeId, node::Input)>,
    ) -> io::Result<ControlFlow<()>> {
        Ok(self.post.wait(deadline, inputs))
    }

    fn before(&mut self, input: &node::Input) {
        self.by = match input {
            node::Input::Datagram(Datagram { src, .. }) => match src.actor {
                Actor::Scheduler(id) => id.0,
                Actor::Node(_) | Actor::Client(_) => 0,
            },
            node::Input::Timer(_) | node::Input::Order(_) => 0,
        };
    }

    fn after(&mut self, node: &Node) {
        let known = &mut self.versions[node.id.0 as usize - 1];
        if *known != node.version.0 {
            *known = node.version.0;
            let change = Change { node: node.id.0, count: node.version.0, by: self.by };
            self.post.out.changes.push(change);
        }
    }

    fn choose(&mut self, _: &Node, _: &Choice) -> Option<node::Input> {
        None
    }

    fn carry_out(&mut self, id: NodeId, output: Output) {
        let Output::Send(datagram) = output else { return };
        let to = match datagram.dst.actor {
            Actor::Scheduler(id) => id.0,
            Actor::Client(id) => id.0,
            Actor::Node(_) => return,
        };
        self.post.out.send(End::Node(id.0), End::Scheduler(to), Message::Counterfoil(datagram));
    }
}

impl NodesPart for CounterfoilNodes {
    fn begin(&mut self, _: u32, _: &mut Outbox) -> Result<(), PartError> {
        Ok(())
    }

    fn hear(
        &mut self,
        node: u32,
        _: u32,
        message: Message,
        _: &mut Outbox,
    ) -> Result<(), PartError> {
        if let Message::Counterfoil(datagram) = message {
            self.around.post.inputs.push((NodeId(node), node::Input::Datagram(datagram)));
        }
        Ok(())
    }

    fn turn(&mut self, _: Instant, out: &mut Outbox) -> Result<(), PartError> {
        let _ = self.driver.turn(&mut self.around)?;
        hand_over(&mut self.around.post.out, out);
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.around.post.deadline
    }

    fn used(&self) -> Vec<Amounts> {
        let used = |(_, node): (NodeId, &Node)| {
            let used = node.durable.used();
            let demand = counterfoil_protocol::Demand { resources: used, ..Default::default() };
            Amounts::wanted(&demand)
        };
        self.driver.machines().map(used).collect()
    }
}
