//! What is around the nodes of a process: a socket, and whoever speaks to them.
//!
//! One process has one node, or many, each with its own name and life, and one store whose flushes
//! serve all. A node answers whoever speaks to it. It makes itself known to the schedulers, and they
//! speak first.

use crate::book::{Book, ROUND};
use crate::driver::{Driver, Outside};
use crate::key::Keys;
use crate::meters::{Drop, Gauge, Meters};
use crate::metrics;
use crate::packet::MESSAGE_MAX;
use crate::post::{Post, Waker};
use crate::serve::{Common, ServeError, say_ready};
use crate::stop::{self, Asked};
use crate::store::Store;
use crate::wire::{self, Message, OrderId, Peer, encode_message};
use counterfoil_protocol::node::{Change, Input, Order};
use counterfoil_protocol::{
    Actor, Address, Body, Choice, ClaimId, Datagram, HostState, Incarnation, Inventory, Node,
    NodeId, Output, Record, Resources, SchedulerId, Snapshot, Stamp, Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

/// What a process of nodes is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The nodes.
    pub ids: Vec<NodeId>,
    /// What each of them has.
    pub inventory: Inventory,
    /// Where it answers `GET /metrics` and `GET /health/live`, if it does: plain HTTP for everyone
    /// who reaches it, see [`metrics::serve`].
    pub metrics: Option<SocketAddr>,
    /// What every daemon is told.
    pub common: Common,
}

struct AroundNodes {
    post: Post,
    book: Book,
    own: BTreeSet<NodeId>,
    /// The life of each node, as far as it was told to others.
    lives: BTreeMap<NodeId, Incarnation>,
    /// The last order of each scheduler to each node.
    ordered: BTreeMap<(NodeId, SchedulerId), (Incarnation, u64)>,
    /// Who asks for the allocation of which claim, to be answered once the turn is committed.
    looks: Vec<(SocketAddr, ClaimId)>,
    events: Receiver<Event>,
    /// What has arrived, while it is taken in; then room for it.
    arrived: Vec<(SocketAddr, Message)>,
    meters: Arc<Meters>,
    next_round: Instant,
    stops: bool,
    observe: Option<Observe>,
}

/// Sees each node after each of its steps, for measurements.
pub type Observe = Box<dyn FnMut(&Node) + Send>;

/// What happens around nodes, besides what arrives at the socket.
#[derive(Debug)]
pub enum Event {
    /// Peers listen here.
    Seeds(Vec<SocketAddr>),
    /// The keys are others from now on.
    Keys(Option<Keys>),
    /// Every node has this from now on.
    Inventory(Inventory),
    /// To stop.
    Stop,
}

/// Speaks to the nodes of this process, from any thread.
#[derive(Clone, Debug)]
pub struct Front {
    events: Sender<Event>,
    waker: Waker,
}

impl Front {
    /// Says what happens; whether there is still someone to be told.
    pub fn say(&self, event: Event) -> bool {
        let said = self.events.send(event).is_ok();
        self.waker.wake();
        said
    }
}

/// Whether what such a node can come to say of itself fits a packet.
///
/// # Errors
/// If it may not: then the node would not be heard.
pub fn check_inventory(inventory: &Inventory, groups_max: usize) -> Result<(), ServeError> {
    let too_much = |what: &str| Err(ServeError::TooMuch(what.to_owned()));
    if inventory.classes.len() > wire::CLASSES_MAX {
        return too_much(&format!("the inventory has over {} resource classes", wire::CLASSES_MAX));
    }
    if inventory.traits.len() > wire::NAMES_MAX || inventory.aggregates.len() > wire::NAMES_MAX {
        return too_much(&format!(
            "the inventory has over {} traits or aggregates",
            wire::NAMES_MAX
        ));
    }
    let full = inventory.classes.keys().map(|class| (class.clone(), u64::MAX));
    let used: Resources = full.collect();
    let life = Some(Incarnation(u64::MAX));
    let snapshot = Message::Datagram(Datagram {
        src: Address { actor: Actor::Node(NodeId(u32::MAX)), incarnation: life },
        dst: Address { actor: Actor::Scheduler(SchedulerId(u32::MAX)), incarnation: life },
        body: Body::Snapshot(Snapshot {
            at: Version(u64::MAX),
            state: HostState { inventory: inventory.clone(), used, ..HostState::default() },
        }),
    });
    let room = MESSAGE_MAX.saturating_sub(groups_max * GROUP_BYTES);
    let mut bytes = Vec::new();
    let length = encode_message(&snapshot, &mut bytes).unwrap_or_else(|long| long.0);
    if length <= room {
        return Ok(());
    }
    too_much(&format!(
        "the inventory takes {length} bytes of a packet in which {room} are left beside \
         {groups_max} groups: use fewer or shorter resource classes, traits and aggregates"
    ))
}

/// Pairs of a node and a scheduler of which the last order is remembered. An order of one more is not
/// taken, so that who knows the key cannot make up schedulers without end.
const ORDERERS_MAX: usize = 1 << 16;

/// What one group takes in a snapshot, at most: its tag, its number and its count.
const GROUP_BYTES: usize = 1 + 10 + 5;

/// Nodes that have started.
pub struct Daemon {
    driver: Driver<Node>,
    around: AroundNodes,
    front: Front,
    bound_to: SocketAddr,
}

/// Runs nodes until they are asked to stop.
///
/// `inventory` reads again what the nodes have, for a reload; `None` if there is nothing to read.
///
/// # Errors
/// If they cannot start, or can no longer keep what they promised.
pub fn serve(
    options: &Options,
    inventory: impl Fn() -> Option<Inventory> + Clone + Send + 'static,
) -> Result<(), ServeError> {
    let Options { ids, common, .. } = options;
    let daemon = Daemon::start(options)?;
    ask(common, &daemon.front(), inventory)?;
    let mut addresses = vec![daemon.bound_to()];
    if let Some(address) = options.metrics {
        let meters = daemon.meters();
        let bound_to = metrics::serve(address, move || metrics::render(&meters))
            .map_err(|source| ServeError::Listen { address, source })?;
        addresses.push(bound_to);
    }
    tracing::info!(nodes = ids.len(), first = %ids[0], address = %addresses[0], "started");
    say_ready(&addresses)?;
    daemon.run()?;
    tracing::info!(nodes = ids.len(), "stopped");
    Ok(())
}

impl Daemon {
    /// Starts the next life of every node.
    ///
    /// # Errors
    /// If they cannot keep it, have too much to say, or cannot listen.
    pub fn start(options: &Options) -> Result<Daemon, ServeError> {
        let Options { ids, common, inventory, .. } = options;
        check_inventory(inventory, common.config.limits.groups_max)?;
        let meters = Arc::new(Meters::default());
        let post = common.post(&meters)?;
        let initial = |_| vec![Record::Node(Change::Inventory(inventory.clone()))];
        let kept = match common.store()? {
            Some(path) => Store::<Node>::open(&path, ids, initial)?,
            None => Store::forgetful(ids, initial),
        };
        let bound_to = post.bound_to()?;
        let (events, happened) = channel();
        let front = Front { events, waker: post.waker() };
        let mut around = AroundNodes {
            post,
            book: Book::new(Vec::new()),
            own: ids.iter().copied().collect(),
            lives: BTreeMap::new(),
            ordered: BTreeMap::new(),
            looks: Vec::new(),
            events: happened,
            arrived: Vec::new(),
            meters,
            next_round: Instant::now(),
            stops: false,
            observe: None,
        };
        let mut driver = Driver::start(
            kept,
            (&common.config, common.watch),
            |id| common.recording(id),
            &mut around,
        )?;
        around.introduce(&driver);
        let inventories = around.orders(&driver, inventory);
        driver.give(inventories, &mut around)?;
        Ok(Daemon { driver, around, front, bound_to })
    }

    /// Speaks to them, from any thread.
    pub fn front(&self) -> Front {
        self.front.clone()
    }

    /// Where they listen for packets.
    pub fn bound_to(&self) -> SocketAddr {
        self.bound_to
    }

    /// Shows each node to `observe` after each of its steps.
    pub fn observe(&mut self, observe: Observe) {
        self.around.observe = Some(observe);
    }

    /// What they count.
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.around.meters)
    }

    /// Takes turns until the nodes are to stop. Those that have drained then say that they go; the
    /// others are only silent.
    ///
    /// # Errors
    /// If they can no longer keep what they promised.
    pub fn run(self) -> Result<(), ServeError> {
        let Daemon { mut driver, mut around, .. } = self;
        while driver.turn(&mut around)?.is_continue() {
            around.answer_looks(&driver);
        }
        let leave: Vec<_> = around.own.iter().map(|id| (*id, Input::Order(Order::Leave))).collect();
        driver.give(leave, &mut around)?;
        around.meters.report();
        Ok(())
    }
}

fn ask(
    common: &Common,
    front: &Front,
    inventory: impl Fn() -> Option<Inventory> + Clone + Send + 'static,
) -> Result<(), ServeError> {
    let seeds = front.clone();
    common.resolve(move |addresses| seeds.say(Event::Seeds(addresses)))?;
    let (asked, again) = (front.clone(), common.clone());
    stop::when_asked(common.until_stdin_closes, move |what| match what {
        Asked::Stop => {
            asked.say(Event::Stop);
        }
        Asked::Reload => {
            match again.keys() {
                Ok(keys) => {
                    asked.say(Event::Keys(keys));
                }
                Err(error) => tracing::error!(%error, "the keys stay what they were"),
            }
            if let Some(inventory) = inventory() {
                asked.say(Event::Inventory(inventory));
            }
        }
    })?;
    Ok(())
}

impl AroundNodes {
    /// Makes the nodes known to others from now on.
    fn introduce(&mut self, driver: &Driver<Node>) {
        let address = self.post.address();
        let peer = |(id, node): (NodeId, &Node)| Peer {
            actor: Actor::Node(id),
            incarnation: node.incarnation(),
            address,
        };
        self.book.set_own(driver.machines().map(peer).collect());
        self.lives = driver.machines().map(|(id, node)| (id, node.incarnation())).collect();
    }

    /// Orders for the nodes that have something else.
    fn orders(&self, driver: &Driver<Node>, inventory: &Inventory) -> Vec<(NodeId, Input)> {
        let other = |(_, node): &(NodeId, &Node)| node.durable.inventory != *inventory;
        let order = |id| (id, Input::Order(Order::Inventory(inventory.clone())));
        driver.machines().filter(other).map(|(id, _)| order(id)).collect()
    }

    fn on_event(&mut self, event: Event, inputs: &mut Vec<(NodeId, Input)>) {
        match event {
            Event::Seeds(addresses) => self.book.add_seeds(addresses),
            Event::Keys(keys) => self.post.set_keys(keys),
            Event::Inventory(inventory) => {
                let order = |id: &NodeId| (*id, Input::Order(Order::Inventory(inventory.clone())));
                inputs.extend(self.own.iter().map(order));
            }
            Event::Stop => self.stops = true,
        }
    }

    fn on_order(
        &mut self,
        from: SocketAddr,
        id: OrderId,
        order: wire::Order,
        inputs: &mut Vec<(NodeId, Input)>,
    ) {
        let of_this_life = self.lives.get(&id.node) == Some(&id.incarnation);
        if !of_this_life {
            return self.meters.dropped(Drop::Stranger);
        }
        let (this, last) = ((id.life, id.number), self.ordered.get(&(id.node, id.scheduler)));
        if last.is_none() && self.ordered.len() >= ORDERERS_MAX {
            return self.meters.dropped(Drop::Stranger);
        }
        if last.is_none_or(|last| *last < this) {
            self.ordered.insert((id.node, id.scheduler), this);
            let wire::Order::Status(status) = order;
            tracing::info!(node = %id.node, scheduler = %id.scheduler, ?status, "ordered");
            inputs.push((id.node, Input::Order(Order::Status(status))));
        }
        self.post.send(from, &Message::Ordered(id));
    }

    fn on_message(
        &mut self,
        from: SocketAddr,
        message: Message,
        now: Instant,
        inputs: &mut Vec<(NodeId, Input)>,
    ) {
        match message {
            Message::Datagram(datagram) => match datagram.dst.actor {
                Actor::Node(id) if self.own.contains(&id) => {
                    let new = self.book.heard(datagram.src, from, now);
                    if new {
                        self.greet(from);
                    }
                    inputs.push((id, Input::Datagram(datagram)));
                }
                Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_) => {
                    self.meters.dropped(Drop::Stranger);
                }
            },
            Message::Peers(peers) => {
                for peer in peers {
                    // A node has no use for other nodes.
                    let scheduler = matches!(peer.actor, Actor::Scheduler(_));
                    if scheduler && self.book.learn(peer, now) {
                        self.greet(peer.address);
                    }
                }
            }
            Message::WhoIsThere { nodes } => {
                let post = &mut self.post;
                self.book.answer(from, nodes, |to, message| post.send(to, &message));
            }
            Message::Order(id, order) => self.on_order(from, id, order, inputs),
            Message::Look(claim) if self.own.contains(&claim.node) => {
                self.looks.push((from, claim));
            }
            Message::Look(_) | Message::Ordered(_) | Message::Seen(..) => {
                self.meters.dropped(Drop::Stranger);
            }
        }
    }

    fn answer_looks(&mut self, driver: &Driver<Node>) {
        for (from, claim) in self.looks.drain(..) {
            let allocation = driver.machine(claim.node).durable.allocations.get(&claim).cloned();
            self.post.send(from, &Message::Seen(claim, allocation));
        }
        self.post.flush();
    }

    fn greet(&mut self, to: SocketAddr) {
        let post = &mut self.post;
        self.book.introduce(to, |to, message| post.send(to, &message));
    }

    fn take_in(&mut self, inputs: &mut Vec<(NodeId, Input)>) -> io::Result<()> {
        while let Ok(event) = self.events.try_recv() {
            self.on_event(event, inputs);
        }
        let mut arrived = std::mem::take(&mut self.arrived);
        self.post.receive(|from, message| arrived.push((from, message)))?;
        let now = Instant::now();
        for (from, message) in arrived.drain(..) {
            self.on_message(from, message, now, inputs);
        }
        self.arrived = arrived;
        if self.next_round <= now {
            self.next_round = now + ROUND;
            let post = &mut self.post;
            self.book.round(now, |to, message| post.send(to, &message));
            self.post.flush();
        }
        Ok(())
    }
}

impl Outside<Node> for AroundNodes {
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<(NodeId, Input)>,
    ) -> io::Result<ControlFlow<()>> {
        self.take_in(inputs)?;
        if inputs.is_empty() && self.looks.is_empty() && !self.stops {
            let until = deadline.map_or(self.next_round, |at| at.min(self.next_round));
            self.post.wait(Some(until))?;
            self.take_in(inputs)?;
        }
        Ok(if self.stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn after(&mut self, node: &Node) {
        let Stamp { incarnation, .. } = node.stamp();
        if self.lives.get(&node.id) != Some(&incarnation) {
            self.lives.insert(node.id, incarnation);
        }
        if let Some(observe) = &mut self.observe {
            observe(node);
        }
    }

    fn choose(&mut self, _: &Node, _: &Choice) -> Option<Input> {
        None
    }

    fn carry_out(&mut self, _: NodeId, output: Output) {
        match output {
            Output::Send(datagram) => match self.book.to(datagram.dst) {
                Some(to) => self.post.send(to, &Message::Datagram(datagram)),
                None => self.meters.dropped(Drop::Stranger),
            },
            Output::Persist(_)
            | Output::Call(..)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Ended(..)
            | Output::Notice(_) => {}
        }
    }

    fn flush(&mut self) {
        self.post.flush();
        self.book.end_turn();
    }

    fn meters(&self) -> Option<&Meters> {
        Some(&self.meters)
    }

    fn count(&self, machines: &mut dyn Iterator<Item = &Node>) {
        let allocations = machines.map(|node| node.durable.allocations.len()).sum();
        self.meters.set(Gauge::Allocations, allocations);
    }
}
