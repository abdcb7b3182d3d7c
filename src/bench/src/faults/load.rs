//! The load of a cluster that is put to the test: requests that arrive at random moments, whether
//! or not earlier ones were answered, and what was promised of each.

use counterfoil_protocol::client::Order;
use counterfoil_protocol::{AttemptId, ClaimId, Client, Demand, Outcome, RequestId, ResourceClass};
use counterfoil_service::remote::{Reply, Work};
use fastrand::Rng;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The client looks so often whether it is to do something.
const LOOK: Duration = Duration::from_millis(20);

/// What is placed for a short time stays for so long, on average.
const SHORT: Duration = Duration::from_secs(2);

/// One in so many stays for longer.
const LONG_ONE_IN: u64 = 10;

/// That one stays for so long, on average.
const LONG: Duration = Duration::from_secs(30);

/// Every request asks for 1 of this class: by it allocations are counted.
pub(crate) const COUNTED: &str = "DISK_GB";

/// What came of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// That arrived.
    pub arrived: u64,
    /// That were placed and confirmed.
    pub confirmed: u64,
    /// Of those, that were released since.
    pub released: u64,
    /// For which there was no valid host.
    pub no_valid_host: u64,
    /// That were given up after too many attempts.
    pub exhausted: u64,
    /// That were turned away.
    pub overloaded: u64,
    /// That the client forgot when it was restarted.
    pub forgotten: u64,
}

/// The requests of a run, over all lives of its client.
#[derive(Debug)]
pub(crate) struct Ledger {
    rng: Rng,
    /// Arrivals per second; 0 is none.
    rate: f64,
    next_arrival: Instant,
    next_request: u64,
    seeking: BTreeSet<RequestId>,
    /// What was promised, and when it is to be released.
    promised: BTreeMap<RequestId, (ClaimId, Instant)>,
    releasing: BTreeMap<RequestId, ClaimId>,
    forget: Vec<RequestId>,
    pub(crate) counts: Requests,
    /// Promises that were broken.
    pub(crate) broken: Vec<String>,
}

/// The ledger, as the client and the harness share it.
#[derive(Clone, Debug)]
pub(crate) struct Load(Arc<Mutex<Ledger>>);

impl Load {
    /// Nothing arrives yet.
    pub(crate) fn new(seed: u64) -> Load {
        Load(Arc::new(Mutex::new(Ledger {
            rng: Rng::with_seed(seed),
            rate: 0.0,
            next_arrival: Instant::now(),
            next_request: 1,
            seeking: BTreeSet::new(),
            promised: BTreeMap::new(),
            releasing: BTreeMap::new(),
            forget: Vec::new(),
            counts: Requests::default(),
            broken: Vec::new(),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many requests arrive in a second from now on.
    pub(crate) fn set_rate(&self, rate: f64) {
        let mut ledger = self.lock();
        ledger.rate = rate;
        ledger.next_arrival = Instant::now();
    }
}

impl Ledger {
    /// The client was started again, and knows of these requests: the others that it sought a place
    /// for are forgotten.
    pub(crate) fn client_restarted(&mut self, client: &Client) {
        let known = |id: &RequestId| client.requests.contains_key(id);
        let before = self.seeking.len();
        self.seeking.retain(known);
        self.counts.forgotten += (before - self.seeking.len()) as u64;
        self.forget.clear();
        for (id, (claim, _)) in &self.promised {
            if !known(id) {
                self.broken.push(format!("the client forgot {claim}, which it had confirmed"));
            }
        }
        let over: Vec<RequestId> = self.releasing.keys().filter(|id| !known(id)).copied().collect();
        for id in over {
            self.releasing.remove(&id);
            self.counts.released += 1;
        }
    }

    /// What is promised and was not ordered to be released.
    pub(crate) fn promised(&self) -> BTreeMap<ClaimId, RequestId> {
        self.promised.iter().map(|(request, (claim, _))| (*claim, *request)).collect()
    }

    /// Whether nothing is being sought or released.
    pub(crate) fn is_settled(&self) -> bool {
        self.seeking.is_empty() && self.releasing.is_empty() && self.forget.is_empty()
    }

    fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.rng.f64()).ln())
    }

    fn demand(&mut self) -> Demand {
        let vcpu = self.rng.u64(1..=2);
        let resources = [
            (ResourceClass::Vcpu, vcpu),
            (ResourceClass::MemoryMb, 512 * vcpu),
            (ResourceClass::DiskGb, 1),
        ];
        Demand { resources: resources.into_iter().collect(), ..Demand::default() }
    }

    fn arrivals(&mut self, now: Instant, max: usize, orders: &mut Vec<Order>) {
        while self.rate > 0.0 && self.next_arrival <= now && orders.len() < max {
            let request = RequestId(self.next_request);
            self.next_request += 1;
            self.counts.arrived += 1;
            self.seeking.insert(request);
            let demand = self.demand();
            orders.push(Order::Place(request, demand));
            let gap = self.exponential(Duration::from_secs_f64(1.0 / self.rate));
            self.next_arrival += gap;
        }
    }

    fn releases(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if self.rate == 0.0 {
            // In the quiet what is promised stays.
            return;
        }
        let due = self.promised.iter().filter(|(_, (_, until))| *until <= now);
        let due: Vec<RequestId> = due.map(|(request, _)| *request).collect();
        for request in due {
            if let Some((claim, _)) = self.promised.remove(&request) {
                self.releasing.insert(request, claim);
                orders.push(Order::Release(request));
            }
        }
    }

    fn on_confirmed(&mut self, request: RequestId, claim: ClaimId) {
        self.seeking.remove(&request);
        if let Some((promised, _)) = self.promised.get(&request) {
            if *promised != claim {
                self.broken.push(format!("{request} was confirmed as {promised} and as {claim}"));
            }
            return;
        }
        self.counts.confirmed += 1;
        let long = self.rng.u64(0..LONG_ONE_IN) == 0;
        let stays = self.exponential(if long { LONG } else { SHORT });
        self.promised.insert(request, (claim, Instant::now() + stays));
    }

    fn on_ended(&mut self, request: RequestId, outcome: &Outcome) {
        let count = match outcome {
            Outcome::Confirmed(claim) => return self.on_confirmed(request, *claim),
            Outcome::Released => {
                self.releasing.remove(&request);
                &mut self.counts.released
            }
            Outcome::NoValidHost(_) => &mut self.counts.no_valid_host,
            Outcome::Exhausted => &mut self.counts.exhausted,
            Outcome::Overloaded => &mut self.counts.overloaded,
        };
        *count += 1;
        self.seeking.remove(&request);
        self.forget.push(request);
        if let Some((claim, _)) = self.promised.remove(&request) {
            self.broken.push(format!("{claim} was confirmed, and is gone"));
        }
    }
}

impl Work for Load {
    type Event = ();

    fn orders(&mut self, max: usize) -> Vec<Order> {
        let mut ledger = self.lock();
        let now = Instant::now();
        let mut orders: Vec<Order> = ledger.forget.drain(..).map(Order::Forget).collect();
        ledger.releases(now, &mut orders);
        ledger.arrivals(now, max, &mut orders);
        orders
    }

    fn next_due(&self) -> Option<Instant> {
        let (ledger, look) = (self.lock(), Instant::now() + LOOK);
        Some(if ledger.rate > 0.0 { ledger.next_arrival.min(look) } else { look })
    }

    fn ended(&mut self, request: RequestId, outcome: &Outcome) {
        self.lock().on_ended(request, outcome);
    }

    fn heard(&mut self, _: AttemptId, _: &Reply) {}

    fn on_event(&mut self, (): ()) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
