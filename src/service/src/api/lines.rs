//! Connections of clients to the scheduler, as the protocol means them, over requests of HTTP.
//!
//! A caller that is no client of the protocol gets a client for one request, with a connection of
//! its own that ends with the request: a [`Line`]. A client of the protocol names itself and its
//! connection; all requests of that name share it, and it ends for all of them when one of them is
//! broken off, when its client names a later one, or when it has not been used for long and there
//! are too many.

use crate::scheduler::{Connection, ConnectionNumber, Event, Front, NotTaken};
use crate::wire::{FromClient, ToClient};
use counterfoil_protocol::{AttemptId, Call, ClientId, Placement};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use tokio::sync::{mpsc as queue, oneshot};

/// Clients from here on are made up for one request.
///
/// Other schedulers make up theirs, and a number may be made up by two. A node tells what it has to
/// say to a client to whoever asked it last, within one turn; so if both speak to the same node in
/// the same turn, one is not answered, and asks again after 100 ms. It never takes the other's
/// answer for its own: that names another claim. A scheduler makes up each number once in 2^31, in an
/// order of its own, so of the at most 512 that another has open, one is the next of this with a
/// probability of at most 512 / 2^31, or 1 in 4 million.
pub(super) const MADE_UP: u32 = 1 << 31;

/// Clients whose connections are known by name. For one more, that which was silent for longest is
/// over.
const NAMED_MAX: usize = 4096;

/// A connection as the scheduler counts them.
type Known = (ClientId, ConnectionNumber);

/// All connections.
pub(super) struct Lines {
    front: Front,
    /// The next number that is made up.
    made_up: AtomicU32,
    /// From one that is made up to the next: odd, so that all come once before one comes again.
    stride: u32,
    numbers: AtomicU64,
    /// Takes those that are over: the scheduler must be told, and it may take a while until there
    /// is room to.
    over: mpsc::Sender<Known>,
    named: Mutex<Named>,
}

#[derive(Default)]
struct Named {
    clients: BTreeMap<ClientId, NamedConnection>,
    uses: u64,
}

struct NamedConnection {
    /// What its client calls it.
    connection: u64,
    number: ConnectionNumber,
    calls: Arc<Calls>,
    last_use: u64,
}

/// The calls over one connection that wait for an answer; `None` when it is over.
struct Calls(Mutex<Option<BTreeMap<AttemptId, oneshot::Sender<Placement>>>>);

/// Why a call over a named connection is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotCalled {
    /// It is over.
    Over,
    /// The same attempt is open.
    Repeated,
    /// The scheduler does not take it.
    NotTaken(NotTaken),
}

impl From<NotTaken> for NotCalled {
    fn from(why: NotTaken) -> NotCalled {
        NotCalled::NotTaken(why)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    /// To whoever takes events from `front`.
    pub(super) fn new(front: Front) -> io::Result<Lines> {
        let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let (first, stride) = (random as u32, (random >> 32) as u32 | 1);
        let (over, ends) = mpsc::channel::<Known>();
        let telling = front.clone();
        thread::Builder::new().name("hang-up".to_owned()).spawn(move || {
            for (client, number) in ends {
                if telling.say(Event::Closed(client, number)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Lines {
            front,
            made_up: AtomicU32::new(first),
            stride,
            numbers: AtomicU64::new(0),
            over,
            named: Mutex::default(),
        })
    }

    /// A connection for one request.
    pub(super) fn open(&self) -> Result<Line<'_>, NotTaken> {
        let client = ClientId(MADE_UP | self.made_up.fetch_add(self.stride, Ordering::Relaxed));
        let number = self.next_number();
        let (say, said) = queue::unbounded_channel();
        let say = Box::new(move |to_client| drop(say.send(to_client)));
        self.front.offer(Event::Opened(client, Connection { number, say }))?;
        Ok(Line { lines: self, client, number, said })
    }

    /// Calls over the connection that `client` calls `connection`.
    pub(super) fn call(
        &self,
        client: ClientId,
        connection: u64,
        call: Call,
    ) -> Result<Waiting<'_>, NotCalled> {
        let mut named = lock(&self.named);
        named.uses += 1;
        let uses = named.uses;
        if named.clients.get(&client).is_none_or(|known| known.connection < connection) {
            self.make_room(&mut named, client)?;
            let new = self.connect(client, connection)?;
            named.clients.insert(client, new);
        }
        let known = named.clients.get_mut(&client).expect("it is there, or was just put there");
        if known.connection > connection {
            return Err(NotCalled::Over);
        }
        known.last_use = uses;
        let answer = known.calls.add(call.attempt)?;
        let (number, attempt) = (known.number, call.attempt);
        if let Err(why) = self.front.offer(Event::Said(client, number, FromClient::Call(call))) {
            known.calls.take(attempt);
            return Err(why.into());
        }
        Ok(Waiting { lines: self, client, connection, answer, answered: false })
    }

    fn connect(&self, client: ClientId, connection: u64) -> Result<NamedConnection, NotTaken> {
        let number = self.next_number();
        let calls = Arc::new(Calls(Mutex::new(Some(BTreeMap::new()))));
        let answering = Answering(Arc::clone(&calls));
        let say = Box::new(move |to_client| answering.say(to_client));
        self.front.offer(Event::Opened(client, Connection { number, say }))?;
        Ok(NamedConnection { connection, number, calls, last_use: 0 })
    }

    /// Ends a connection that nobody waits at, if there are too many for one more client.
    fn make_room(&self, named: &mut Named, client: ClientId) -> Result<(), NotTaken> {
        if named.clients.len() < NAMED_MAX || named.clients.contains_key(&client) {
            return Ok(());
        }
        let idle = named.clients.iter().filter(|(_, known)| known.calls.is_idle());
        let oldest = idle.min_by_key(|(_, known)| known.last_use).map(|(client, _)| *client);
        let oldest = oldest.ok_or(NotTaken::Overloaded)?;
        if let Some(known) = named.clients.remove(&oldest) {
            self.hang_up((oldest, known.number));
        }
        Ok(())
    }

    /// The connection is over, for all that wait at it.
    fn end(&self, client: ClientId, connection: u64) {
        let named = lock(&self.named);
        let known = named.clients.get(&client).filter(|known| known.connection == connection);
        if let Some(known) = known {
            known.calls.end();
            self.hang_up((client, known.number));
        }
    }

    fn hang_up(&self, known: Known) {
        // It fails only if the scheduler has stopped.
        let _ = self.over.send(known);
    }

    fn next_number(&self) -> ConnectionNumber {
        ConnectionNumber(self.numbers.fetch_add(1, Ordering::Relaxed))
    }
}

/// The connection of one request. It is over when this is dropped.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    /// Who speaks over it.
    pub(super) client: ClientId,
    number: ConnectionNumber,
    said: queue::UnboundedReceiver<ToClient>,
}

impl Line<'_> {
    /// Says something, now or not at all.
    pub(super) fn say(&self, said: FromClient) -> Result<(), NotTaken> {
        self.lines.front.offer(Event::Said(self.client, self.number, said))
    }

    /// What is said next; `None` if the scheduler has stopped.
    pub(super) async fn hear(&mut self) -> Option<ToClient> {
        self.said.recv().await
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.lines.hang_up((self.client, self.number));
    }
}

/// Waits for the answer to a call over a named connection. If it is dropped before, the connection
/// is over.
pub(super) struct Waiting<'a> {
    lines: &'a Lines,
    client: ClientId,
    connection: u64,
    answer: oneshot::Receiver<Placement>,
    answered: bool,
}

impl Waiting<'_> {
    /// The answer; `None` if the connection is over.
    pub(super) async fn answer(mut self) -> Option<Placement> {
        let answer = (&mut self.answer).await.ok();
        self.answered = true;
        answer
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.lines.end(self.client, self.connection);
        }
    }
}

/// Gives answers to those that wait for them. When the scheduler drops it, the connection is over.
struct Answering(Arc<Calls>);

impl Answering {
    fn say(&self, said: ToClient) {
        match said {
            ToClient::Answer(answer) => {
                if let Some(waiting) = self.0.take(answer.attempt) {
                    // Nobody may wait any more.
                    let _ = waiting.send(answer.placement);
                }
            }
            // What it says to nodes, it says over other connections.
            ToClient::Datagram(_) => {}
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Calls {
    fn add(&self, attempt: AttemptId) -> Result<oneshot::Receiver<Placement>, NotCalled> {
        let mut calls = lock(&self.0);
        let calls = calls.as_mut().ok_or(NotCalled::Over)?;
        if calls.contains_key(&attempt) {
            return Err(NotCalled::Repeated);
        }
        let (waiting, answer) = oneshot::channel();
        calls.insert(attempt, waiting);
        Ok(answer)
    }

    fn take(&self, attempt: AttemptId) -> Option<oneshot::Sender<Placement>> {
        lock(&self.0).as_mut()?.remove(&attempt)
    }

    fn end(&self) {
        *lock(&self.0) = None;
    }

    fn is_idle(&self) -> bool {
        lock(&self.0).as_ref().is_none_or(BTreeMap::is_empty)
    }
}
