//! What is around the machine of a scheduler, on its own thread.

use super::Observe;
use super::front::{Connection, ConnectionNumber, Event, ToTheLooker, View};
use super::looks::Looks;
use super::orders::Orders;
use super::picker::Picker;
use super::recent::Recent;
use crate::book::{Book, ROUND};
use crate::driver::Outside;
use crate::meters::{Drop, Gauge, Meters};
use crate::post::Post;
use crate::serve::ServeError;
use crate::wire::{FromClient, Message, Peer, ToClient};
use counterfoil_placement::Share;
use counterfoil_protocol::scheduler::{Input, Presence};
use counterfoil_protocol::{
    Actor, Answer, Body, Call, Choice, ClientId, Datagram, Incarnation, Output, Placement,
    Scheduler, SchedulerId,
};
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

/// What is around a scheduler.
pub(super) struct AroundScheduler {
    pub(super) id: SchedulerId,
    life: Incarnation,
    post: Post,
    book: Book,
    clients: BTreeMap<ClientId, Connection>,
    picker: Picker,
    orders: Orders,
    looks: Looks,
    recent: Recent,
    events: Receiver<Event>,
    /// What has arrived, while it is taken in; then room for it.
    arrived: Vec<(SocketAddr, Message)>,
    /// Events that were taken and are left for the next turn.
    held: VecDeque<Event>,
    /// Who is to be shown what is known, once the turn is over.
    lookers: Vec<ToTheLooker>,
    pub(super) meters: Arc<Meters>,
    next_round: Instant,
    /// By when it stops, if it is to.
    stops: Option<Instant>,
    pub(super) observe: Option<Observe>,
}

impl AroundScheduler {
    pub(super) fn new(
        id: SchedulerId,
        post: Post,
        picker: Picker,
        events: Receiver<Event>,
        meters: Arc<Meters>,
    ) -> Self {
        AroundScheduler {
            id,
            life: Incarnation::default(),
            post,
            book: Book::new(Vec::new()),
            clients: BTreeMap::new(),
            picker,
            orders: Orders::default(),
            looks: Looks::default(),
            recent: Recent::default(),
            events,
            arrived: Vec::new(),
            held: VecDeque::new(),
            lookers: Vec::new(),
            meters,
            next_round: Instant::now(),
            stops: None,
            observe: None,
        }
    }

    /// Whether it is to stop.
    pub(super) fn stops(&self) -> bool {
        self.stops.is_some()
    }

    /// Makes the scheduler known to others from now on.
    pub(super) fn introduce(&mut self, life: Incarnation) {
        self.life = life;
        let actor = Actor::Scheduler(self.id);
        let address = self.post.address();
        self.book.set_own(vec![Peer { actor, incarnation: life, address }]);
    }

    /// That no other process is this scheduler.
    pub(super) fn check_alone(&self) -> Result<(), ServeError> {
        let Some(Peer { actor, incarnation, address }) = self.book.twin() else { return Ok(()) };
        Err(ServeError::Twin { actor, incarnation, address })
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
                    if self.book.twin() == Some(peer) {
                        // It must know, too.
                        let post = &mut self.post;
                        self.book.introduce(peer.address, |to, m| post.send(to, &m));
                    }
                    match peer.actor {
                        Actor::Node(node) if new => inputs.push((self.id, Input::Meet(node))),
                        Actor::Scheduler(_) if new => {
                            let post = &mut self.post;
                            self.book.introduce(peer.address, |to, m| post.send(to, &m));
                            self.share_nodes();
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
            Message::Seen(claim, allocation) => self.looks.on_seen(claim, allocation),
            Message::Order(..) | Message::Look(_) => self.meters.dropped(Drop::Stranger),
        }
    }

    /// Takes its share of the nodes, beside all schedulers that are known.
    fn share_nodes(&mut self) {
        let others = self.book.schedulers().filter_map(|(actor, _)| match actor {
            Actor::Scheduler(id) => Some(id),
            Actor::Node(_) | Actor::Client(_) => None,
        });
        self.picker.set_share(Share::beside(self.id, others));
    }

    fn on_datagram(
        &mut self,
        from: SocketAddr,
        datagram: Datagram,
        now: Instant,
        inputs: &mut Vec<(SchedulerId, Input)>,
    ) {
        match (datagram.src.actor, datagram.dst.actor) {
            (Actor::Node(node), Actor::Scheduler(_)) => {
                // It may speak to an earlier life of this scheduler, which met it; this one has not.
                if self.book.heard(datagram.src, from, now) {
                    inputs.push((self.id, Input::Meet(node)));
                }
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
        self.meters.waits_no_more();
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
                    // Without a call open there is nothing for the machine to close.
                    if self.recent.on_over(client) {
                        inputs.push((self.id, Input::Disconnected(client)));
                    }
                }
            }
            Event::Look(tell) => self.lookers.push(tell),
            Event::Ask(claim, asker) => self.looks.add(claim, asker, Instant::now()),
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
            self.recent.on_over(client);
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
            FromClient::Call(Call { attempt, .. }) if self.stops.is_some() => {
                let placement = Placement::Unavailable;
                self.answer(client, Answer { attempt, placement });
            }
            FromClient::Call(call) => {
                self.recent.on_call(client, call.attempt);
                inputs.push((self.id, Input::Call(client, call)));
            }
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

    fn answer(&mut self, client: ClientId, answer: Answer) {
        self.recent.on_answer(client, &answer, self.picker.index());
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
                | Event::Ask(..)
                | Event::Order(..)
                | Event::Seeds(_)
                | Event::Keys(_)
                | Event::Stop => {}
            }
            self.on_event(event, inputs);
        }
    }

    fn take_in(&mut self, inputs: &mut Vec<(SchedulerId, Input)>) -> io::Result<()> {
        let mut arrived = std::mem::take(&mut self.arrived);
        self.post.receive(|from, message| arrived.push((from, message)))?;
        let now = Instant::now();
        for (from, message) in arrived.drain(..) {
            self.on_message(from, message, now, inputs);
        }
        self.arrived = arrived;
        self.take_events(inputs);
        if self.next_round <= now {
            self.next_round = now + ROUND;
            let post = &mut self.post;
            self.book.round(now, |to, message| post.send(to, &message));
            self.post.flush();
            self.share_nodes();
        }
        Ok(())
    }

    /// Shows what is known to whoever wants to know, and sends the orders that are due.
    pub(super) fn show(&mut self, machine: &Scheduler) {
        let by = (self.id, self.life);
        let (post, book) = (&mut self.post, &self.book);
        let now = Instant::now();
        let mut say = |to, message| {
            if let Some(to) = book.to(to) {
                post.send(to, &message);
            }
        };
        self.orders.send_due(by, machine, now, &mut say);
        self.looks.send_due(machine, now, &mut say);
        self.post.flush();
        for tell in self.lookers.drain(..) {
            let (heard, recent) = (self.book.heard_of(), self.recent.decisions());
            tell(View { machine: machine.clone(), heard, recent });
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
            let asked = self.orders.next_due().into_iter().chain(self.looks.next_due());
            let own = asked.chain(self.stops).chain(deadline);
            let until = own.fold(self.next_round, Instant::min);
            self.post.wait(Some(until))?;
            self.take_in(inputs)?;
        }
        let over = self.stops.is_some_and(|at| at <= now);
        Ok(if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn before(&mut self, input: &Input) {
        self.picker.before(input);
    }

    fn after(&mut self, machine: &Scheduler) {
        self.picker.after(machine);
    }

    fn choose(&mut self, machine: &Scheduler, choice: &Choice) -> Option<Input> {
        let Choice::Node(id) = choice else { return None };
        let attempt = machine.attempts.get(id);
        let node = self.picker.pick(machine, *id);
        if let Some(heard) = node.and_then(|node| self.book.heard_ago(node)) {
            self.meters.chosen(heard);
        }
        if let (Some(attempt), Some(_)) = (attempt, node) {
            self.recent.on_chosen(attempt.client, *id);
        }
        if let Some(observe) = &mut self.observe {
            observe(machine, *id, node);
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

    fn meters(&self) -> Option<&Meters> {
        Some(&self.meters)
    }

    fn count(&self, machines: &mut dyn Iterator<Item = &Scheduler>) {
        let (mut attempts, mut nodes) = (0, [0; 3]);
        for machine in machines {
            attempts += machine.attempts.len();
            for peer in machine.nodes.values() {
                let place = match peer.presence {
                    Presence::Present => 0,
                    Presence::Suspected => 1,
                    Presence::Departed(_) => 2,
                };
                nodes[place] += 1;
            }
        }
        self.meters.set(Gauge::AttemptsPending, attempts);
        let gauges = [Gauge::NodesPresent, Gauge::NodesSuspected, Gauge::NodesDeparted];
        gauges.into_iter().zip(nodes).for_each(|(gauge, count)| self.meters.set(gauge, count));
    }
}

#[cfg(test)]
mod tests;
