//! What is around a scheduler: a socket to the nodes, connections to the clients, and a policy.

use crate::driver::{BATCH_MAX, Driver, Outside};
use crate::link::{Incoming, Link, split};
use crate::peers::Peer;
use crate::serve::{Common, EVENTS_MAX, ServeError, config, gather, say_ready};
use crate::stop;
use crate::store::Store;
use crate::udp::{Arrival, Drop, Dropped, Udp};
use crate::wire::{FROM_CLIENT_MAX, FromClient, TO_CLIENT_MAX, ToClient};
use counterfoil_placement::{Index, Policy};
use counterfoil_protocol::scheduler::{self, Input, Presence};
use counterfoil_protocol::{
    Actor, Body, Choice, ClientId, Datagram, Map, NodeId, Output, Scheduler, SchedulerId, Status,
};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

/// Connections at once. One more is turned away.
const CONNECTIONS_MAX: usize = 256;

/// What a scheduler is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name.
    pub id: SchedulerId,
    /// Where it listens for clients.
    pub api: SocketAddr,
    /// The nodes.
    pub nodes: Vec<Peer<NodeId>>,
    /// How it picks one of them.
    pub policy: Policy,
    /// Where its random choices start.
    pub seed: u64,
    /// What every daemon is told.
    pub common: Common,
}

struct AroundScheduler {
    udp: Udp,
    nodes: BTreeMap<NodeId, SocketAddr>,
    clients: BTreeMap<ClientId, Connected>,
    index: Index,
    /// The nodes as the index has them.
    indexed: Map<NodeId, scheduler::Peer>,
    events: Receiver<Event>,
    /// Events that were taken and are left for the next turn.
    held: VecDeque<Event>,
}

/// A client that is connected.
struct Connected {
    connection: ConnectionNumber,
    link: Link,
}

/// Counts the connections of this process, in the order in which they were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ConnectionNumber(u64);

enum Event {
    Arrival(Arrival),
    Opened(ClientId, Connected),
    Frame(ClientId, ConnectionNumber, FromClient),
    Closed(ClientId, ConnectionNumber),
    Stop,
}

/// Runs a scheduler until it is asked to stop.
///
/// # Errors
/// If it cannot start, or can no longer keep its life.
pub fn serve(options: &Options) -> Result<(), ServeError> {
    let Options { id, api, nodes, policy, seed, common } = options;
    let kept = Store::<Scheduler>::open(&common.store()?, *id, &[])?;
    let (say, events) = sync_channel(EVENTS_MAX);
    let deliver = {
        let say = say.clone();
        move |arrival| tell(&say, Event::Arrival(arrival))
    };
    let listen = |address| move |source| ServeError::Listen { address, source };
    let udp =
        Udp::listen(common.listen, Dropped::default(), deliver).map_err(listen(common.listen))?;
    let listener = TcpListener::bind(api).map_err(listen(*api))?;
    let addresses = [udp.address()?, listener.local_addr()?];
    accept(listener, say.clone())?;
    stop::when_asked(common.until_stdin_closes, move || {
        let _ = tell(&say, Event::Stop);
    })?;
    let mut around = AroundScheduler {
        udp,
        nodes: nodes.iter().map(|peer| (peer.id, peer.address)).collect(),
        clients: BTreeMap::new(),
        index: Index::new(*policy, *seed),
        indexed: Map::default(),
        events,
        held: VecDeque::new(),
    };
    let mut driver = Driver::start(*id, kept, config(), common.recording.as_deref(), &mut around)?;
    let meet: Vec<Input> = around.nodes.keys().map(|node| Input::Meet(*node)).collect();
    driver.give(meet, &mut around)?;
    let [udp_address, api_address] = addresses;
    let life = driver.machine().incarnation;
    tracing::info!(scheduler = %id, %udp_address, %api_address, %life, "started");
    say_ready(&addresses)?;
    driver.run(&mut around)?;
    around.udp.dropped().report();
    tracing::info!(scheduler = %id, "stopped");
    Ok(())
}

fn tell(say: &SyncSender<Event>, event: Event) -> ControlFlow<()> {
    if say.send(event).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// Accepts connections on a thread of its own; each is read on a thread of its own.
fn accept(listener: TcpListener, say: SyncSender<Event>) -> io::Result<()> {
    let accepting = thread::Builder::new().name("accept".to_owned());
    accepting.spawn(move || {
        // Every connection holds one, and so does this thread.
        let open = Arc::new(());
        for (number, stream) in (0..).zip(listener.incoming()) {
            let token = Arc::clone(&open);
            if Arc::strong_count(&open) > CONNECTIONS_MAX + 1 {
                tracing::warn!("a connection was turned away: there are too many");
                continue;
            }
            let opened = stream.and_then(|stream| {
                let (link, incoming) = split(stream, TO_CLIENT_MAX, FROM_CLIENT_MAX)?;
                let say = say.clone();
                let connection = ConnectionNumber(number);
                let reading = thread::Builder::new().name("client".to_owned());
                reading.spawn(move || {
                    let _token = token;
                    read(incoming, Connected { connection, link }, &say);
                })
            });
            if let Err(error) = opened {
                tracing::warn!(%error, "a connection was not accepted");
            }
        }
    })?;
    Ok(())
}

/// Reads a connection to its end.
fn read(mut incoming: Incoming, connected: Connected, say: &SyncSender<Event>) {
    let client = match incoming.read() {
        Ok(FromClient::Hello(client)) => client,
        Ok(FromClient::Call(_) | FromClient::Datagram(_)) => {
            return tracing::warn!("a connection did not begin with a hello");
        }
        Err(error) => return tracing::warn!(%error, "a connection did not begin with a hello"),
    };
    let connection = connected.connection;
    let mut event = Event::Opened(client, connected);
    while tell(say, event).is_continue() {
        event = match incoming.read() {
            Ok(frame) => Event::Frame(client, connection, frame),
            Err(error) => {
                tracing::info!(%client, %error, "a connection ended");
                let _ = tell(say, Event::Closed(client, connection));
                return;
            }
        };
    }
}

impl AroundScheduler {
    fn on_datagram(&self, datagram: Datagram, inputs: &mut Vec<Input>) {
        let dropped = self.udp.dropped();
        match (datagram.src.actor, datagram.dst.actor) {
            (Actor::Node(node), Actor::Scheduler(_)) if self.nodes.contains_key(&node) => {
                inputs.push(Input::Datagram(datagram));
            }
            (Actor::Node(node), Actor::Client(client)) if self.nodes.contains_key(&node) => {
                match self.clients.get(&client) {
                    Some(connected) => connected.link.send(&ToClient::Datagram(datagram)),
                    None => dropped.note(Drop::Stranger),
                }
            }
            (
                Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_),
                Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_),
            ) => dropped.note(Drop::Stranger),
        }
    }

    /// A client that is connected already connects anew: its old connection is over. The machine is
    /// told before it is given anything that arrives over the new one, and not again when the old
    /// one ends.
    fn on_opened(&mut self, client: ClientId, connected: Connected, inputs: &mut Vec<Input>) {
        let newer = |current: &Connected| current.connection > connected.connection;
        if self.clients.get(&client).is_some_and(newer) {
            // Its hello was read late, by another thread than that of the newer one.
            return connected.link.shut();
        }
        if let Some(old) = self.clients.insert(client, connected) {
            old.link.shut();
            inputs.push(Input::Disconnected(client));
        }
    }

    fn on_frame(&self, client: ClientId, frame: FromClient, inputs: &mut Vec<Input>) {
        match frame {
            FromClient::Hello(_) => tracing::warn!(%client, "said hello twice"),
            FromClient::Call(call) => inputs.push(Input::Call(client, call)),
            FromClient::Datagram(datagram) => self.pass_on(client, &datagram),
        }
    }

    /// Passes on what a client says to a node, unchanged.
    fn pass_on(&self, client: ClientId, datagram: &Datagram) {
        let own = datagram.src.actor == Actor::Client(client);
        match (&datagram.body, datagram.dst.actor) {
            (Body::Confirm(_) | Body::Release(_), Actor::Node(node)) if own => {
                self.udp.send(datagram, self.nodes.get(&node).copied());
            }
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
            ) => self.udp.dropped().note(Drop::NotToBePassedOn),
        }
    }

    /// Tells the index which nodes are not what they were.
    fn follow(&mut self, machine: &Scheduler) {
        for (node, _, peer) in machine.nodes.changed_since(&self.indexed) {
            match peer.and_then(|peer| Some((peer, &peer.host.as_ref()?.state))) {
                Some((peer, state)) => {
                    let open = peer.presence == Presence::Present && state.status == Status::Up;
                    self.index.set(*node, state, &peer.set_aside(), open);
                }
                None => self.index.remove(*node),
            }
        }
        self.indexed = machine.nodes.clone();
    }

    fn is_current(&self, client: ClientId, connection: ConnectionNumber) -> bool {
        self.clients.get(&client).is_some_and(|connected| connected.connection == connection)
    }
}

impl Outside<Scheduler> for AroundScheduler {
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<Input>,
    ) -> io::Result<ControlFlow<()>> {
        if self.held.is_empty() {
            self.held = gather(&self.events, deadline, BATCH_MAX).into();
        }
        while let Some(event) = self.held.pop_front() {
            // An answer leaves after its batch, over the connection that the client has by then.
            // So that this is the one that its call came over, a batch is of one connection.
            if matches!(event, Event::Opened(..) | Event::Closed(..)) && !inputs.is_empty() {
                self.held.push_front(event);
                break;
            }
            match event {
                Event::Arrival(Arrival::Datagram(datagram, _)) => {
                    self.on_datagram(*datagram, inputs);
                }
                Event::Arrival(Arrival::Broken(error)) => return Err(error),
                Event::Opened(client, connected) => self.on_opened(client, connected, inputs),
                Event::Frame(client, connection, frame) => {
                    if self.is_current(client, connection) {
                        self.on_frame(client, frame, inputs);
                    }
                }
                Event::Closed(client, connection) => {
                    if self.is_current(client, connection) {
                        self.clients.remove(&client);
                        inputs.push(Input::Disconnected(client));
                    }
                }
                Event::Stop => return Ok(ControlFlow::Break(())),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn choose(&mut self, machine: &Scheduler, choice: &Choice) -> Option<Input> {
        let Choice::Node(id) = choice else { return None };
        self.follow(machine);
        let node = machine.attempts.get(id).and_then(|attempt| {
            self.index.pick(&attempt.demand, |node| machine.eligible(*id, node))
        });
        Some(Input::Chosen(*id, node))
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(datagram) => {
                let address = match datagram.dst.actor {
                    Actor::Node(node) => self.nodes.get(&node).copied(),
                    Actor::Scheduler(_) | Actor::Client(_) => None,
                };
                self.udp.send(&datagram, address);
            }
            Output::Answer(client, answer) => {
                if let Some(connected) = self.clients.get(&client) {
                    connected.link.send(&ToClient::Answer(answer));
                }
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

#[cfg(test)]
mod tests;
