//! What is around the client of a trial run: connections to the schedulers, and the workload.

use super::children::{Child, ChildError};
use super::placing::Placing;
use crate::driver::Outside;
use crate::link::{Incoming, Link, split};
use crate::wire::{FROM_CLIENT_MAX, FromClient, TO_CLIENT_MAX, ToClient};
use counterfoil_protocol::client::Input;
use counterfoil_protocol::{AttemptId, Choice, Client, ClientId, Output, SchedulerId};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// Events and orders that one turn takes, at most.
const BATCH_MAX: usize = 256;

/// From the end of a connection to the next attempt to make one.
const RECONNECT: Duration = Duration::from_millis(50);

/// What happens around the client.
pub(crate) enum Event {
    /// A connection was made.
    Connected(SchedulerId, Link),
    /// A frame arrived.
    Frame(ToClient),
    /// A connection ended, or could not be made.
    Disconnected(SchedulerId),
    /// The killed processes have been started again.
    StartedAgain(Result<Vec<Child>, ChildError>),
    /// A process ended by itself.
    Gone(String),
    /// This process was asked to stop.
    Stop,
}

/// What is around the client.
pub(crate) struct AroundClient {
    id: ClientId,
    schedulers: BTreeMap<SchedulerId, Connection>,
    /// Counts the choices of a scheduler: they are chosen in turn.
    turn: usize,
    /// Attempts that wait until a scheduler can be chosen.
    waiting: VecDeque<AttemptId>,
    say: SyncSender<Event>,
    events: Receiver<Event>,
    pub(crate) placing: Placing,
    /// What came of starting the killed processes again, once it is known.
    pub(crate) started_again: Option<Result<Vec<Child>, ChildError>>,
    /// A process that ended by itself.
    pub(crate) gone: Option<String>,
    /// Whether this process was asked to stop.
    pub(crate) stopped: bool,
}

struct Connection {
    address: SocketAddr,
    state: State,
}

enum State {
    Up(Link),
    Coming,
    Down { until: Instant },
}

impl AroundClient {
    /// A client that is connected to nothing yet.
    pub(crate) fn new(
        id: ClientId,
        schedulers: impl IntoIterator<Item = (SchedulerId, SocketAddr)>,
        (say, events): (SyncSender<Event>, Receiver<Event>),
        placing: Placing,
    ) -> Self {
        let now = Instant::now();
        let down = |address| Connection { address, state: State::Down { until: now } };
        AroundClient {
            id,
            schedulers: schedulers.into_iter().map(|(id, at)| (id, down(at))).collect(),
            turn: 0,
            waiting: VecDeque::new(),
            say,
            events,
            placing,
            started_again: None,
            gone: None,
            stopped: false,
        }
    }

    /// A scheduler that is connected, each in turn.
    fn next_up(&mut self) -> Option<(SchedulerId, &Link)> {
        let up = |(id, connection): (&SchedulerId, &'_ Connection)| match connection.state {
            State::Up(_) => Some(*id),
            State::Coming | State::Down { .. } => None,
        };
        let ids: Vec<SchedulerId> = self.schedulers.iter().filter_map(up).collect();
        self.turn = self.turn.wrapping_add(1);
        let id = *ids.get(self.turn.checked_rem(ids.len())?)?;
        self.link(id).map(|link| (id, link))
    }

    fn link(&self, id: SchedulerId) -> Option<&Link> {
        match &self.schedulers.get(&id)?.state {
            State::Up(link) => Some(link),
            State::Coming | State::Down { .. } => None,
        }
    }

    fn set(&mut self, id: SchedulerId, state: State) {
        self.schedulers.get_mut(&id).expect("only known schedulers are connected").state = state;
    }

    /// Begins to make every connection that is down for long enough; when the next one is due.
    fn connect(&mut self) -> io::Result<Option<Instant>> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for (id, connection) in &mut self.schedulers {
            let State::Down { until } = connection.state else { continue };
            if until > now {
                next = next.into_iter().chain([until]).min();
                continue;
            }
            connection.state = State::Coming;
            let (id, address) = (*id, connection.address);
            let (client, say) = (self.id, self.say.clone());
            let connecting = thread::Builder::new().name(format!("to {id}"));
            connecting.spawn(move || stay_connected(client, id, address, &say))?;
        }
        Ok(next)
    }

    fn on_event(&mut self, event: Event, inputs: &mut Vec<Input>) {
        match event {
            Event::Connected(id, link) => {
                self.set(id, State::Up(link));
                let waiting = std::mem::take(&mut self.waiting);
                inputs.extend(waiting.into_iter().map(|attempt| Input::Chosen(attempt, id)));
            }
            Event::Frame(ToClient::Answer(answer)) => inputs.push(Input::Answer(answer)),
            Event::Frame(ToClient::Datagram(datagram)) => inputs.push(Input::Datagram(datagram)),
            Event::Disconnected(id) => {
                self.set(id, State::Down { until: Instant::now() + RECONNECT });
                inputs.push(Input::Disconnected(id));
            }
            Event::StartedAgain(children) => self.started_again = Some(children),
            Event::Gone(actor) => self.gone = Some(actor),
            Event::Stop => self.stopped = true,
        }
    }
}

/// Waits until there is an event or `deadline` has come; then takes what there is, up to `max`.
fn gather<E>(events: &Receiver<E>, deadline: Option<Instant>, max: usize) -> Vec<E> {
    let first = match deadline {
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            events.recv_timeout(left).ok()
        }
        None => events.recv().ok(),
    };
    first.into_iter().chain(events.try_iter()).take(max).collect()
}

/// Makes a connection, and reads it to its end.
///
/// One thread says everything of one connection, in order, and the next is made only once the end of
/// this was taken in: so the machine is told of the end after everything that came over this
/// connection, and before anything that comes over the next.
fn stay_connected(client: ClientId, id: SchedulerId, address: SocketAddr, say: &SyncSender<Event>) {
    match TcpStream::connect(address)
        .and_then(|stream| split(stream, FROM_CLIENT_MAX, TO_CLIENT_MAX))
    {
        Ok((link, incoming)) => {
            link.send(&FromClient::Hello(client));
            if say.send(Event::Connected(id, link)).is_ok() {
                read(incoming, id, say);
            }
        }
        Err(error) => tracing::debug!(scheduler = %id, %error, "cannot connect"),
    }
    // It fails only if the client has stopped.
    let _ = say.send(Event::Disconnected(id));
}

fn read(mut incoming: Incoming, id: SchedulerId, say: &SyncSender<Event>) {
    loop {
        match incoming.read() {
            Ok(frame) => {
                if say.send(Event::Frame(frame)).is_err() {
                    return;
                }
            }
            Err(error) => return tracing::info!(scheduler = %id, %error, "a connection ended"),
        }
    }
}

impl Outside<Client> for AroundClient {
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<(ClientId, Input)>,
    ) -> io::Result<ControlFlow<()>> {
        let orders = self.placing.orders(BATCH_MAX);
        let reconnect = self.connect()?;
        let at_once = (!orders.is_empty()).then(Instant::now);
        let id = self.id;
        inputs.extend(orders.into_iter().map(|order| (id, Input::Order(order))));
        let deadline = [deadline, reconnect, at_once].into_iter().flatten().min();
        let mut happened = Vec::new();
        for event in gather(&self.events, deadline, BATCH_MAX) {
            self.on_event(event, &mut happened);
        }
        inputs.extend(happened.into_iter().map(|input| (id, input)));
        let over = self.stopped || self.gone.is_some();
        Ok(if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn choose(&mut self, _: &Client, choice: &Choice) -> Option<Input> {
        let Choice::Scheduler(attempt) = choice else { return None };
        if let Some((id, _)) = self.next_up() {
            return Some(Input::Chosen(*attempt, id));
        }
        self.waiting.push_back(*attempt);
        None
    }

    fn carry_out(&mut self, _: ClientId, output: Output) {
        match output {
            Output::Send(datagram) => {
                if let Some((_, link)) = self.next_up() {
                    link.send(&FromClient::Datagram(datagram));
                }
            }
            Output::Call(id, call) => {
                if let Some(link) = self.link(id) {
                    link.send(&FromClient::Call(call));
                }
            }
            Output::Ended(request, outcome) => self.placing.ended(request, &outcome),
            Output::Persist(_)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Notice(_) => {}
        }
    }
}
