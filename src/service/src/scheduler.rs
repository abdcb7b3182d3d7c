//! What is around a scheduler: a socket to the nodes, connections to the clients, and a policy.

mod front;
mod orders;

pub use front::{
    Connection, ConnectionNumber, EVENTS_MAX, Event, Front, NotTaken, Ordered, ToTheClient,
    ToTheLooker, ToTheOperator, View,
};

use crate::book::{Book, ROUND};
use crate::clients;
use crate::driver::{Driver, Outside};
use crate::meters::{Drop, Meters};
use crate::post::Post;
use crate::serve::{Common, ServeError, say_ready};
use crate::stop::{self, Asked};
use crate::store::Store;
use crate::wire::{FromClient, Message, Peer, ToClient};
use counterfoil_placement::{Index, Policy};
use counterfoil_protocol::scheduler::{Input, Presence};
use counterfoil_protocol::{
    Actor, Answer, Body, Call, Choice, ClientId, Datagram, Incarnation, NodeId, Output, Placement,
    Scheduler, SchedulerId, Status,
};
use orders::Orders;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How long a scheduler that is to stop waits for verdicts on what it has claimed.
const GRACE: Duration = Duration::from_secs(2);

/// Events that one turn takes, at most.
const BATCH_MAX: usize = 1024;

/// What a scheduler is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name.
    pub id: SchedulerId,
    /// Where it listens for clients.
    pub api: SocketAddr,
    /// How it picks a node.
    pub policy: Policy,
    /// Where the order of nodes that are equally good begins.
    pub seed: u64,
    /// What every daemon is told.
    pub common: Common,
}

struct AroundScheduler {
    id: SchedulerId,
    life: Incarnation,
    post: Post,
    book: Book,
    clients: BTreeMap<ClientId, Connection>,
    index: Index,
    /// The node of which the input that is being handled may change what is known.
    touched: Option<NodeId>,
    orders: Orders,
    events: Receiver<Event>,
    /// Events that were taken and are left for the next turn.
    held: VecDeque<Event>,
    /// Who is to be shown what is known, once the turn is over.
    lookers: Vec<ToTheLooker>,
    meters: Arc<Meters>,
    next_round: Instant,
    /// By when it stops, if it is to.
    stops: Option<Instant>,
    observe: Option<Observe>,
}

/// Sees the scheduler when it has chosen a node, for measurements.
pub type Observe = Box<dyn FnMut(&Scheduler, NodeId) + Send>;

/// A scheduler that has started.
pub struct Daemon {
    driver: Driver<Scheduler>,
    around: AroundScheduler,
    front: Front,
    bound_to: SocketAddr,
}

/// Runs a scheduler until it is asked to stop.
///
/// # Errors
/// If it cannot start, or can no longer keep its life.
pub fn serve(options: &Options) -> Result<(), ServeError> {
    let Options { id, api, common, .. } = options;
    let daemon = Daemon::start(options)?;
    let listener = std::net::TcpListener::bind(api)
        .map_err(|source| ServeError::Listen { address: *api, source })?;
    let addresses = [daemon.bound_to(), listener.local_addr()?];
    clients::accept(listener, daemon.front())?;
    ask(common, &daemon.front())?;
    tracing::info!(scheduler = %id, udp = %addresses[0], api = %addresses[1], "started");
    say_ready(&addresses)?;
    daemon.run()?;
    tracing::info!(scheduler = %id, "stopped");
    Ok(())
}

impl Daemon {
    /// Starts the next life of the scheduler.
    ///
    /// # Errors
    /// If it cannot keep its life, or not listen.
    pub fn start(options: &Options) -> Result<Daemon, ServeError> {
        let Options { id, policy, seed, common, .. } = options;
        let meters = Arc::new(Meters::default());
        let post = common.post(&meters)?;
        let kept = match common.store()? {
            Some(path) => Store::<Scheduler>::open(&path, &[*id], |_| Vec::new())?,
            None => Store::forgetful(&[*id], |_| Vec::new()),
        };
        let bound_to = post.bound_to()?;
        let (front, events) = Front::new(post.waker());
        let mut around =
            AroundScheduler::new(*id, post, Index::new(*policy, *seed), events, meters);
        let recording = |_| common.recording.clone();
        let driver = Driver::start(kept, &common.config, recording, &mut around)?;
        around.introduce(driver.machine(*id).incarnation);
        Ok(Daemon { driver, around, front, bound_to })
    }

    /// Speaks to it, from any thread.
    pub fn front(&self) -> Front {
        self.front.clone()
    }

    /// Where it listens for packets.
    pub fn bound_to(&self) -> SocketAddr {
        self.bound_to
    }

    /// Shows the scheduler to `observe` when it has chosen a node.
    pub fn observe(&mut self, observe: Observe) {
        self.around.observe = Some(observe);
    }

    /// What it counts.
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.around.meters)
    }

    /// Takes turns until it is to stop and nothing is open, or its grace is over.
    ///
    /// # Errors
    /// If it can no longer keep its life.
    pub fn run(self) -> Result<(), ServeError> {
        let Daemon { mut driver, mut around, .. } = self;
        let id = around.id;
        loop {
            let flow = driver.turn(&mut around)?;
            around.show(driver.machine(id));
            let nothing_open = driver.machine(id).attempts.is_empty();
            if flow.is_break() || (around.stops.is_some() && nothing_open) {
                around.meters.report();
                return Ok(());
            }
        }
    }
}

fn ask(common: &Common, front: &Front) -> Result<(), ServeError> {
    let seeds = front.clone();
    common.resolve(move |addresses| seeds.say(Event::Seeds(addresses)).is_ok())?;
    let (front, again) = (front.clone(), common.clone());
    stop::when_asked(common.until_stdin_closes, move |asked| {
        let event = match asked {
            Asked::Stop => Event::Stop,
            Asked::Reload => match again.keys() {
                Ok(keys) => Event::Keys(keys),
                Err(error) => {
                    return tracing::error!(%error, "the keys stay what they were");
                }
            },
        };
        // It fails only if the scheduler has stopped.
        let _ = front.say(event);
    })?;
    Ok(())
}

impl AroundScheduler {
    fn new(
        id: SchedulerId,
        post: Post,
        index: Index,
        events: Receiver<Event>,
        meters: Arc<Meters>,
    ) -> Self {
        AroundScheduler {
            id,
            life: Incarnation::default(),
            post,
            book: Book::new(Vec::new()),
            clients: BTreeMap::new(),
            index,
            touched: None,
            orders: Orders::default(),
            events,
            held: VecDeque::new(),
            lookers: Vec::new(),
            meters,
            next_round: Instant::now(),
            stops: None,
            observe: None,
        }
    }

    /// Makes the scheduler known to others from now on.
    fn introduce(&mut self, life: Incarnation) {
        self.life = life;
        let actor = Actor::Scheduler(self.id);
        let address = self.post.address();
        self.book.set_own(vec![Peer { actor, incarnation: life, address }]);
    }

    fn on_message(
        &mut self,
        from: SocketAddr,
        message: Message,
        now: Instant,
        inputs: &mut Vec<(SchedulerId, Input)>,
    ) {
        match message {
            Message::Datagram(datagram) => self.on_datagram(from, datagram, now, inputs),
            Message::Peers(peers) => {
                for peer in peers {
                    let new = self.book.learn(peer, now);
                    match peer.actor {
                        Actor::Node(node) if new => inputs.push((self.id, Input::Meet(node))),
                        Actor::Scheduler(_) if new => {
                            let post = &mut self.post;
                            self.book.introduce(peer.address, |to, m| post.send(to, &m));
                        }
                        Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_) => {}
                    }
                }
            }
            Message::WhoIsThere { nodes } => {
                let post = &mut self.post;
                self.book.answer(from, nodes, |to, message| post.send(to, &message));
            }
            Message::Ordered(id) => self.orders.on_ordered(id),
            Message::Order(..) => self.meters.dropped(Drop::Stranger),
        }
    }

    fn on_datagram(
        &mut self,
        from: SocketAddr,
        datagram: Datagram,
        now: Instant,
        inputs: &mut Vec<(SchedulerId, Input)>,
    ) {
        match (datagram.src.actor, datagram.dst.actor) {
            (Actor::Node(_), Actor::Scheduler(_)) => {
                self.book.heard(datagram.src, from, now);
                inputs.push((self.id, Input::Datagram(datagram)));
            }
            (Actor::Node(_), Actor::Client(client)) => match self.clients.get(&client) {
                Some(connection) => (connection.say)(ToClient::Datagram(datagram)),
                None => self.meters.dropped(Drop::Stranger),
            },
            (
                Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_),
                Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_),
            ) => self.meters.dropped(Drop::Stranger),
        }
    }

    fn on_event(&mut self, event: Event, inputs: &mut Vec<(SchedulerId, Input)>) {
        match event {
            Event::Opened(client, connection) => self.on_opened(client, connection, inputs),
            Event::Said(client, connection, said) => {
                if self.is_current(client, connection) {
                    self.on_said(client, said, inputs);
                }
            }
            Event::Closed(client, connection) => {
                if self.is_current(client, connection) {
                    self.clients.remove(&client);
                    inputs.push((self.id, Input::Disconnected(client)));
                }
            }
            Event::Look(tell) => self.lookers.push(tell),
            Event::Order(node, order, tell) => self.orders.add(node, order, tell, Instant::now()),
            Event::Seeds(addresses) => self.book.add_seeds(addresses),
            Event::Keys(keys) => self.post.set_keys(keys),
            Event::Stop => self.stops = Some(Instant::now() + GRACE),
        }
    }

    /// A client that is connected already connects anew: its old connection is over. The machine is
    /// told before it is given anything that arrives over the new one, and not again when the old
    /// one ends.
    fn on_opened(
        &mut self,
        client: ClientId,
        connection: Connection,
        inputs: &mut Vec<(SchedulerId, Input)>,
    ) {
        let newer = |current: &Connection| current.number > connection.number;
        if self.clients.get(&client).is_some_and(newer) {
            // Its hello was read late, by another thread than that of the newer one.
            return;
        }
        if self.clients.insert(client, connection).is_some() {
            inputs.push((self.id, Input::Disconnected(client)));
        }
    }

    fn on_said(
        &mut self,
        client: ClientId,
        said: FromClient,
        inputs: &mut Vec<(SchedulerId, Input)>,
    ) {
        match said {
            FromClient::Hello(_) => tracing::warn!(%client, "said hello twice"),
            FromClient::Call(Call { attempt, .. }) if self.stops.is_some() => {
                let placement = Placement::Unavailable;
                self.answer(client, Answer { attempt, placement });
            }
            FromClient::Call(call) => inputs.push((self.id, Input::Call(client, call))),
            FromClient::Datagram(datagram) => self.pass_on(client, datagram),
        }
    }

    /// Passes on what a client says to a node, unchanged.
    fn pass_on(&mut self, client: ClientId, datagram: Datagram) {
        let own = datagram.src.actor == Actor::Client(client);
        match (&datagram.body, datagram.dst.actor) {
            (Body::Confirm(_) | Body::Release(_), Actor::Node(_)) if own => self.send(datagram),
            (
                Body::Confirm(_)
                | Body::Release(_)
                | Body::Claim(_)
                | Body::Verdict(_)
                | Body::Delta(_)
                | Body::Snapshot(_)
                | Body::Resync(_)
                | Body::Leave(_)
                | Body::Superseded { .. },
                Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_),
            ) => self.meters.dropped(Drop::NotToBePassedOn),
        }
    }

    fn send(&mut self, datagram: Datagram) {
        match self.book.to(datagram.dst) {
            Some(to) => self.post.send(to, &Message::Datagram(datagram)),
            None => self.meters.dropped(Drop::Stranger),
        }
    }

    fn answer(&self, client: ClientId, answer: Answer) {
        if let Some(connection) = self.clients.get(&client) {
            (connection.say)(ToClient::Answer(answer));
        }
    }

    fn is_current(&self, client: ClientId, connection: ConnectionNumber) -> bool {
        self.clients.get(&client).is_some_and(|current| current.number == connection)
    }

    /// Takes events, up to one that is to be left for the next turn: an answer leaves after its
    /// turn, over the connection that the client has by then, so a turn in which a client calls is
    /// of one connection of it.
    fn take_events(&mut self, inputs: &mut Vec<(SchedulerId, Input)>) {
        let room = BATCH_MAX.saturating_sub(self.held.len());
        self.held.extend(self.events.try_iter().take(room));
        let mut calling = BTreeSet::new();
        while let Some(event) = self.held.pop_front() {
            match &event {
                Event::Said(client, ..) => {
                    calling.insert(*client);
                }
                Event::Opened(client, _) | Event::Closed(client, _) if calling.contains(client) => {
                    self.held.push_front(event);
                    return;
                }
                Event::Opened(..)
                | Event::Closed(..)
                | Event::Look(_)
                | Event::Order(..)
                | Event::Seeds(_)
                | Event::Keys(_)
                | Event::Stop => {}
            }
            self.on_event(event, inputs);
        }
    }

    fn take_in(&mut self, inputs: &mut Vec<(SchedulerId, Input)>) -> io::Result<()> {
        let mut messages = Vec::new();
        self.post.receive(|from, message| messages.push((from, message)))?;
        let now = Instant::now();
        for (from, message) in messages {
            self.on_message(from, message, now, inputs);
        }
        self.take_events(inputs);
        if self.next_round <= now {
            self.next_round = now + ROUND;
            let post = &mut self.post;
            self.book.round(now, |to, message| post.send(to, &message));
            self.post.flush();
        }
        Ok(())
    }

    /// Shows what is known to whoever wants to know, and sends the orders that are due.
    fn show(&mut self, machine: &Scheduler) {
        let by = (self.id, self.life);
        let (post, book) = (&mut self.post, &self.book);
        self.orders.send_due(by, machine, Instant::now(), |to, message| {
            if let Some(to) = book.to(to) {
                post.send(to, &message);
            }
        });
        self.post.flush();
        for tell in self.lookers.drain(..) {
            tell(View { machine: machine.clone(), heard: self.book.heard_of() });
        }
    }
}

impl Outside<Scheduler> for AroundScheduler {
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<(SchedulerId, Input)>,
    ) -> io::Result<ControlFlow<()>> {
        self.take_in(inputs)?;
        let now = Instant::now();
        let idle = inputs.is_empty() && self.lookers.is_empty() && self.held.is_empty();
        if idle && self.stops.is_none_or(|at| at > now) {
            let own = self.orders.next_due().into_iter().chain(self.stops).chain(deadline);
            let until = own.fold(self.next_round, Instant::min);
            self.post.wait(Some(until))?;
            self.take_in(inputs)?;
        }
        let over = self.stops.is_some_and(|at| at <= now);
        Ok(if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn before(&mut self, input: &Input) {
        self.touched = input.node();
    }

    fn after(&mut self, machine: &Scheduler) {
        let Some(node) = self.touched.take() else { return };
        let Some(peer) = machine.nodes.get(&node) else { return self.index.remove(node) };
        if let Some(host) = &peer.host {
            let open = peer.presence == Presence::Present && host.state.status == Status::Up;
            self.index.set(node, &host.state, &peer.set_aside(), open);
        }
    }

    fn choose(&mut self, machine: &Scheduler, choice: &Choice) -> Option<Input> {
        let Choice::Node(id) = choice else { return None };
        let attempt = machine.attempts.get(id);
        let eligible = |node| machine.eligible(*id, node);
        let node = attempt.and_then(|attempt| self.index.pick(&attempt.demand, eligible));
        if let (Some(node), Some(observe)) = (node, &mut self.observe) {
            observe(machine, node);
        }
        Some(Input::Chosen(*id, node))
    }

    fn carry_out(&mut self, _: SchedulerId, output: Output) {
        match output {
            Output::Send(datagram) => self.send(datagram),
            Output::Answer(client, answer) => self.answer(client, answer),
            Output::Persist(_)
            | Output::Call(..)
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
}

#[cfg(test)]
mod tests;
