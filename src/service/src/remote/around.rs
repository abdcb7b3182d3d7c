//! What is around a client that speaks to schedulers over HTTP.
//!
//! To the machine a scheduler is at the other end of a connection. Over HTTP a connection is a
//! number: when a call fails, the connection that it was made over is over, the machine is told so,
//! and what is still answered over it counts no more; the next call is made over the next number.
//! A confirm or a release is a datagram: if it fails, it is lost, and the machine says it again.

use super::said::{self, Meaning};
use super::{Method, NoAnswer, Remote, Reply, path_of};
use crate::driver::Outside;
use counterfoil_protocol::client::{Input, Order};
use counterfoil_protocol::{
    AttemptId, Body, Call, Choice, ClaimId, Client, ClientId, Datagram, Outcome, Output, RequestId,
    SchedulerId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Events and orders that one turn takes, at most.
const BATCH_MAX: usize = 256;

/// From a failure of a scheduler to the next attempt to speak to it.
const RECONNECT: Duration = Duration::from_millis(50);

/// Threads that speak for a client: for its calls, and as many for what it says to nodes.
const THREADS_MAX: usize = 128;

/// What a client is to do.
pub trait Work {
    /// What else can happen.
    type Event: Send + 'static;

    /// The orders that are due, up to about `max`.
    fn orders(&mut self, max: usize) -> Vec<Order>;

    /// When [`Work::orders`] is to be asked next, if nothing happens until then.
    fn next_due(&self) -> Option<Instant> {
        None
    }

    /// What became of a request.
    fn ended(&mut self, request: RequestId, outcome: &Outcome);

    /// What a scheduler said to that attempt.
    fn heard(&mut self, _: AttemptId, _: &Reply) {}

    /// Something else happens. Breaks if the client is to stop.
    fn on_event(&mut self, event: Self::Event) -> ControlFlow<()>;
}

/// What was asked of a scheduler, and what came of it; or something else.
pub enum Asked<E> {
    /// A call was made.
    Called {
        /// To whom.
        to: SchedulerId,
        /// Over which connection.
        connection: u64,
        /// Which.
        call: Call,
        /// What came of it.
        said: Result<Reply, NoAnswer>,
    },
    /// A node was to be told something.
    Told {
        /// By whom.
        to: SchedulerId,
        /// Of which claim.
        claim: ClaimId,
        /// To release it, or else to confirm it.
        release: bool,
        /// What came of it.
        said: Result<Reply, NoAnswer>,
    },
    /// Something else happened.
    Else(E),
}

/// Both ends of a channel: what is said at the one happens at the other.
pub type Channel<E> = (Sender<Asked<E>>, Receiver<Asked<E>>);

/// What is to be asked.
enum Job {
    Call { to: SchedulerId, connection: u64, url: String, call: Call },
    Tell { to: SchedulerId, url: String, claim: ClaimId, release: bool },
}

/// What is around the client.
pub struct AroundClient<W: Work> {
    id: ClientId,
    schedulers: BTreeMap<SchedulerId, Connection>,
    /// Counts the choices of a scheduler: they are chosen in turn.
    turn: usize,
    /// Attempts that wait until a scheduler can be chosen.
    waiting: VecDeque<AttemptId>,
    /// What is being said to nodes.
    telling: BTreeSet<(ClaimId, bool)>,
    calls: Sender<Job>,
    words: Sender<Job>,
    events: Receiver<Asked<W::Event>>,
    /// What it is to do.
    pub work: W,
    /// Why the client cannot go on: a scheduler refuses what it asks.
    pub refused: Option<NoAnswer>,
    stops: bool,
}

struct Connection {
    url: String,
    number: u64,
    /// Until when it is left alone.
    down: Option<Instant>,
}

impl<W: Work> AroundClient<W> {
    /// A client that speaks to all schedulers of `remote`, for `window` requests at once. It names
    /// them from 1 in the order of `remote`, and counts its connections from `first`, which must be
    /// above those of its earlier lives. It takes events from the end of the channel.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(
        (id, remote): (ClientId, &Remote),
        window: usize,
        first: u64,
        (say, events): Channel<W::Event>,
        work: W,
    ) -> io::Result<Self> {
        let connection = |url: &String| Connection { url: url.clone(), number: first, down: None };
        let threads = window.clamp(1, THREADS_MAX);
        Ok(AroundClient {
            id,
            schedulers: (1..).map(SchedulerId).zip(remote.urls().iter().map(connection)).collect(),
            turn: 0,
            waiting: VecDeque::new(),
            telling: BTreeSet::new(),
            calls: speakers(id, remote, threads, &say)?,
            words: speakers(id, remote, threads, &say)?,
            events,
            work,
            refused: None,
            stops: false,
        })
    }

    /// A scheduler that is up, each in turn.
    fn next_up(&mut self) -> Option<SchedulerId> {
        let now = Instant::now();
        let up = |(_, connection): &(&SchedulerId, &Connection)| {
            connection.down.is_none_or(|until| until <= now)
        };
        let ids: Vec<SchedulerId> = self.schedulers.iter().filter(up).map(|(id, _)| *id).collect();
        self.turn = self.turn.wrapping_add(1);
        Some(ids[self.turn.checked_rem(ids.len())?])
    }

    /// Makes the choices that waited, if there is someone to be chosen; else when there may be.
    fn choose_waiting(&mut self, inputs: &mut Vec<(ClientId, Input)>) -> Option<Instant> {
        while let Some(attempt) = self.waiting.pop_front() {
            let Some(id) = self.next_up() else {
                self.waiting.push_front(attempt);
                return self.schedulers.values().filter_map(|connection| connection.down).min();
            };
            inputs.push((self.id, Input::Chosen(attempt, id)));
        }
        None
    }

    fn on_asked(&mut self, asked: Asked<W::Event>, inputs: &mut Vec<Input>) {
        match asked {
            Asked::Called { to, connection, call, said } => {
                self.on_called(to, connection, &call, said, inputs);
            }
            Asked::Told { to, claim, release, said } => {
                self.telling.remove(&(claim, release));
                match said {
                    Ok(reply) if matches!(reply.status, 400..=409 | 411..=499) => {
                        let url = &self.schedulers[&to].url;
                        self.refused = Some(reply.refused_by(url));
                    }
                    Ok(reply) => {
                        let verdict = said::verdict(self.id, claim, release, &reply);
                        inputs.extend(verdict.map(Input::Datagram));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "lost");
                        self.leave_alone(to);
                    }
                }
            }
            Asked::Else(event) => self.stops |= self.work.on_event(event).is_break(),
        }
    }

    fn on_called(
        &mut self,
        to: SchedulerId,
        number: u64,
        call: &Call,
        said: Result<Reply, NoAnswer>,
        inputs: &mut Vec<Input>,
    ) {
        let connection = &self.schedulers[&to];
        if connection.number != number {
            // The machine was told that this connection is over.
            return;
        }
        let meaning = match &said {
            Ok(reply) => {
                self.work.heard(call.attempt, reply);
                said::meaning(call, &connection.url, reply)
            }
            Err(error) => {
                tracing::info!(%error, "a connection is over");
                Meaning::Over
            }
        };
        match meaning {
            Meaning::Answer(answer) => inputs.push(Input::Answer(answer)),
            Meaning::Stops(answer) => {
                inputs.push(Input::Answer(answer));
                self.leave_alone(to);
            }
            Meaning::Over => {
                self.schedulers.get_mut(&to).expect("it was called").number += 1;
                self.leave_alone(to);
                inputs.push(Input::Disconnected(to));
            }
            Meaning::Refused(error) => self.refused = Some(error),
        }
    }

    fn leave_alone(&mut self, id: SchedulerId) {
        let connection = self.schedulers.get_mut(&id).expect("it was spoken to");
        connection.down = Some(Instant::now() + RECONNECT);
    }

    fn tell(&mut self, datagram: &Datagram) {
        let (claim, release) = match datagram.body {
            Body::Confirm(claim) => (claim, false),
            Body::Release(claim) => (claim, true),
            Body::Claim(_)
            | Body::Verdict(_)
            | Body::Delta(_)
            | Body::Snapshot(_)
            | Body::Resync(_)
            | Body::Leave(_)
            | Body::Superseded { .. } => return,
        };
        // The scheduler says it to the node again and again by itself.
        if self.telling.contains(&(claim, release)) {
            return;
        }
        if let Some(to) = self.next_up() {
            self.telling.insert((claim, release));
            let url = self.schedulers[&to].url.clone();
            // It fails only if all threads have ended, and they do not.
            let _ = self.words.send(Job::Tell { to, url, claim, release });
        }
    }
}

/// Threads that ask what they are given, and say what came of it.
fn speakers<E: Send + 'static>(
    client: ClientId,
    remote: &Remote,
    threads: usize,
    say: &Sender<Asked<E>>,
) -> io::Result<Sender<Job>> {
    let (jobs, todo) = channel::<Job>();
    let todo = Arc::new(Mutex::new(todo));
    for _ in 0..threads {
        let (remote, todo, say) = (remote.clone(), Arc::clone(&todo), say.clone());
        thread::Builder::new().name("speaker".to_owned()).spawn(move || {
            loop {
                let job = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = job else { return };
                if say.send(job.carry_out(client, &remote)).is_err() {
                    return;
                }
            }
        })?;
    }
    Ok(jobs)
}

impl Job {
    fn carry_out<E>(self, client: ClientId, remote: &Remote) -> Asked<E> {
        match self {
            Job::Call { to, connection, url, call } => {
                let body = said::call(client, connection, &call);
                let said = remote.ask(&url, Method::Post, "/v1/requests", Some(&body));
                Asked::Called { to, connection, call, said }
            }
            Job::Tell { to, url, claim, release } => {
                let method = if release { Method::Delete } else { Method::Put };
                let said = remote.ask(&url, method, &path_of(claim), None);
                Asked::Told { to, claim, release, said }
            }
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

impl<W: Work> Outside<Client> for AroundClient<W> {
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<(ClientId, Input)>,
    ) -> io::Result<ControlFlow<()>> {
        let orders = self.work.orders(BATCH_MAX);
        let id = self.id;
        inputs.extend(orders.into_iter().map(|order| (id, Input::Order(order))));
        let again = self.choose_waiting(inputs);
        let at_once = (!inputs.is_empty()).then(Instant::now);
        let due = [deadline, again, at_once, self.work.next_due()].into_iter().flatten().min();
        let mut happened = Vec::new();
        for asked in gather(&self.events, due, BATCH_MAX) {
            self.on_asked(asked, &mut happened);
        }
        inputs.extend(happened.into_iter().map(|input| (id, input)));
        let over = self.stops || self.refused.is_some();
        Ok(if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn choose(&mut self, _: &Client, choice: &Choice) -> Option<Input> {
        let Choice::Scheduler(attempt) = choice else { return None };
        if let Some(id) = self.next_up() {
            return Some(Input::Chosen(*attempt, id));
        }
        self.waiting.push_back(*attempt);
        None
    }

    fn carry_out(&mut self, _: ClientId, output: Output) {
        match output {
            Output::Send(datagram) => self.tell(&datagram),
            Output::Call(to, call) => {
                let Connection { url, number, .. } = &self.schedulers[&to];
                let job = Job::Call { to, connection: *number, url: url.clone(), call };
                // It fails only if all threads have ended, and they do not.
                let _ = self.calls.send(job);
            }
            Output::Ended(request, outcome) => self.work.ended(request, &outcome),
            Output::Persist(_)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Notice(_) => {}
        }
    }
}
