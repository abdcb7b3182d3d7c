//! A load that stands before a scheduler: asks for places, and asks again when it is answered.

use crate::histogram::Histogram;
use counterfoil_protocol::{
    Actor, Address, Answer, AttemptId, AttemptNumber, Body, Call, ClaimId, ClientId, Datagram,
    Demand, Placement, RequestId, ResourceClass,
};
use counterfoil_service::scheduler::{Connection, ConnectionNumber, Event, Front};
use counterfoil_service::wire::{FromClient, ToClient};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The number of a request is the number of its scheduler, so far to the left, and a count.
const COUNT_BITS: u32 = 40;

const CLIENT: ClientId = ClientId(1);
const CONNECTION: ConnectionNumber = ConnectionNumber(1);

/// A load before one scheduler.
#[derive(Debug)]
pub(crate) struct Load {
    first: u64,
    front: Front,
    /// Whether what is placed is released at once.
    releases: bool,
    over: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    asked: u64,
    /// When each of the last requests was asked, by its number.
    since: Vec<Instant>,
    tally: Tally,
}

/// What came of requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) not_placed: u64,
    pub(crate) latency: Histogram,
}

impl Load {
    /// A load before scheduler number `id` that asks until it is `over`.
    pub(crate) fn new(id: u32, front: Front, releases: bool, over: Arc<AtomicBool>) -> Arc<Load> {
        let state = State { asked: 0, since: Vec::new(), tally: Tally::default() };
        let first = u64::from(id) << COUNT_BITS;
        Arc::new(Load { first, front, releases, over, state: Mutex::new(state) })
    }

    /// Connects, and asks for `window` places at once.
    pub(crate) fn begin(self: &Arc<Load>, window: u64) {
        let load = Arc::clone(self);
        let say = Box::new(move |said| load.hear(said));
        self.say(Event::Opened(CLIENT, Connection { number: CONNECTION, say }));
        self.lock().since = vec![Instant::now(); usize::try_from(window).expect("it is small") * 2];
        (0..window).for_each(|_| self.ask());
    }

    /// What came of requests since the last time.
    pub(crate) fn take(&self) -> Tally {
        std::mem::take(&mut self.lock().tally)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, said: ToClient) {
        // Whether a release has come to an end is not looked at.
        let ToClient::Answer(Answer { attempt, placement }) = said else { return };
        {
            let mut state = self.lock();
            let place = (attempt.request.0 - self.first) as usize % state.since.len();
            let latency = state.since[place].elapsed();
            state.tally.latency.note(latency);
            match placement {
                Placement::Placed(claim) => {
                    state.tally.accepted += 1;
                    drop(state);
                    if self.releases {
                        self.release(claim);
                    }
                }
                Placement::NoValidHost(_)
                | Placement::Unavailable
                | Placement::Exhausted
                | Placement::Overloaded => state.tally.not_placed += 1,
            }
        }
        if !self.over.load(Ordering::Relaxed) {
            self.ask();
        }
    }

    fn ask(&self) {
        let count = {
            let mut state = self.lock();
            state.asked += 1;
            let place = state.asked as usize % state.since.len();
            state.since[place] = Instant::now();
            state.asked
        };
        let attempt =
            AttemptId { request: RequestId(self.first + count), number: AttemptNumber(1) };
        let resources = [(ResourceClass::Vcpu, 1), (ResourceClass::MemoryMb, 512)];
        let demand = Demand { resources: resources.into_iter().collect(), ..Demand::default() };
        self.say(Event::Said(
            CLIENT,
            CONNECTION,
            FromClient::Call(Call { attempt, demand: demand.into() }),
        ));
    }

    fn release(&self, claim: ClaimId) {
        let address = |actor| Address { actor, incarnation: None };
        let (src, dst) = (address(Actor::Client(CLIENT)), address(Actor::Node(claim.node)));
        let release = Datagram { src, dst, body: Body::Release(claim) };
        self.say(Event::Said(CLIENT, CONNECTION, FromClient::Datagram(release)));
    }

    /// It is heard on the thread of the scheduler, which must not wait for itself: the window keeps
    /// what is said within what can be taken in.
    fn say(&self, event: Event) {
        let said = self.front.offer(event);
        assert!(said.is_ok() || self.over.load(Ordering::Relaxed), "the window is too large");
    }
}
