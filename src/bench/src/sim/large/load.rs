//! What is asked for in a large cluster, and what comes of it.

use super::{Arrivals, Item, Options};
use crate::histogram::Histogram;
use crate::sim::draw::exponential;
use crate::sim::engine::Engine;
use crate::workload::{Asked, Workload};
use counterfoil_protocol::{
    Client, ClientId, Demand, Inventory, NodeId, Outcome, RequestId, ResourceClass, client,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Requests that one client has on record, about.
const REQUESTS_PER_CLIENT: u64 = 16;
/// How many times faster than later requests come while the cluster is filled.
const FILLING: u64 = 4;

/// A request, from when it was made.
#[derive(Clone, Debug)]
struct Request {
    demand: Arc<Demand>,
    arrived_us: u64,
    stays_us: Option<u64>,
    /// Where it is, once it is confirmed.
    node: Option<NodeId>,
    /// Whether nothing has come of it yet.
    open: bool,
    measured: bool,
}

/// What came of the requests that are measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Came {
    pub(crate) arrived: u64,
    pub(crate) confirmed: u64,
    pub(crate) no_valid_host: u64,
    pub(crate) exhausted: u64,
    /// Sought by a client that crashed.
    pub(crate) forgotten: u64,
    /// Confirmed at the second node that was asked, or a later one.
    pub(crate) retried: u64,
    /// From being asked for to being confirmed.
    pub(crate) latency: Histogram,
}

/// What is asked for, and what comes of it.
#[derive(Debug)]
pub(crate) struct Load {
    workload: Workload,
    /// Of a trace: the next.
    next: usize,
    compress: u64,
    arrivals: Arrivals,
    schedulers: u64,
    clients: u32,
    requests: Vec<Request>,
    to_measure: u64,
    measuring: bool,
    open: u64,
    open_measured: u64,
    /// How much the cluster has of each class, and how much of that was asked for.
    capacity: BTreeMap<ResourceClass, u128>,
    asked: BTreeMap<ResourceClass, u128>,
    goal_percent: u64,
    filling_us: u64,
    /// How long a request of the flavors stays on average, in microseconds.
    stays_us: u64,
    began_us: u64,
    pub(crate) came: Came,
}

fn capacity(kinds: &[Inventory], nodes: u32) -> BTreeMap<ResourceClass, u128> {
    let mut capacity = BTreeMap::new();
    for number in 0..nodes as usize {
        for (class, of_class) in kinds[number % kinds.len()].classes.iter() {
            *capacity.entry(class.clone()).or_default() += u128::from(of_class.capacity());
        }
    }
    capacity
}

impl Load {
    pub(crate) fn new(options: &Options) -> Load {
        let capacity = capacity(&options.inventories, options.nodes);
        let mut load = Load {
            workload: options.workload.clone(),
            next: 0,
            compress: options.compress.max(1),
            arrivals: options.arrivals,
            schedulers: u64::from(options.schedulers),
            clients: 1,
            requests: Vec::new(),
            to_measure: options.requests,
            measuring: false,
            open: 0,
            open_measured: 0,
            capacity,
            asked: BTreeMap::new(),
            goal_percent: options.load_percent,
            filling_us: 1,
            stays_us: 0,
            began_us: 0,
            came: Came::default(),
        };
        let standing = load.standing();
        let per_s = load.per_s().max(1);
        load.filling_us = (standing * 1_000_000 / (per_s * FILLING)).max(1_000_000);
        load.stays_us = standing.max(1) * 1_000_000 / per_s;
        let at_once = standing + per_s;
        load.clients = u32::try_from(at_once / REQUESTS_PER_CLIENT + 1).unwrap_or(u32::MAX);
        load
    }

    /// How many requests the cluster has when it is filled.
    fn standing(&self) -> u64 {
        let demands: Vec<&Demand> = match &self.workload {
            Workload::Flavors(demands) => demands.iter().map(|demand| &**demand).collect(),
            Workload::Trace(asked) => {
                return asked.iter().filter(|asked| asked.comes_us.is_none()).count() as u64;
            }
        };
        let of_class = |(class, capacity): (&ResourceClass, &u128)| {
            let sum: u128 = demands.iter().map(|d| u128::from(d.resources.get(class))).sum();
            let fit = capacity * demands.len() as u128 * u128::from(self.goal_percent) / 100;
            fit.checked_div(sum)
        };
        let least = self.capacity.iter().filter_map(of_class).min().unwrap_or(0);
        u64::try_from(least).unwrap_or(u64::MAX)
    }

    /// How many requests come in a second; of a closed loop, about.
    fn per_s(&self) -> u64 {
        match self.arrivals {
            Arrivals::PerSecond(per_s) => per_s,
            // One takes a few milliseconds.
            Arrivals::Window(window) => window * self.schedulers * 200,
        }
    }

    pub(crate) fn start_clients(&self, engine: &mut Engine<Item>) {
        for number in 1..=self.clients {
            engine.join::<Client>(ClientId(number), client::Disk::default());
        }
    }

    /// How long filling takes, about.
    pub(crate) fn filling_us(&self) -> u64 {
        self.filling_us
    }

    pub(crate) fn begin_filling(&mut self, engine: &mut Engine<Item>) {
        self.begin_arrivals(engine);
    }

    /// What arrives first; it brings about what arrives later.
    fn begin_arrivals(&mut self, engine: &mut Engine<Item>) {
        let at_once = match self.arrivals {
            Arrivals::PerSecond(_) => 1,
            Arrivals::Window(window) => (window * self.schedulers).saturating_sub(self.open),
        };
        (0..at_once).for_each(|_| self.put_arrival(engine, 0));
    }

    /// Whether as much was asked for as there should be.
    pub(crate) fn is_filled(&self) -> bool {
        match &self.workload {
            Workload::Flavors(_) => self.filled_permille() >= 1000,
            Workload::Trace(asked) => {
                asked.get(self.next).is_none_or(|asked| asked.comes_us.is_some())
            }
        }
    }

    /// How much of what there should be was asked for.
    pub(crate) fn filled_permille(&self) -> u64 {
        if let Workload::Trace(_) = self.workload {
            return self.next as u64 * 1000 / self.standing().max(1);
        }
        let of_class = |(class, capacity): (&ResourceClass, &u128)| {
            let asked = self.asked.get(class).copied().unwrap_or_default();
            let goal = capacity * u128::from(self.goal_percent) / 100;
            (asked * 1000).checked_div(goal).unwrap_or(1000)
        };
        let most = self.capacity.iter().map(of_class).max().unwrap_or(1000);
        u64::try_from(most).unwrap_or(1000)
    }

    /// From now on requests are measured; how long that lasts, about, in microseconds.
    pub(crate) fn begin_measuring(&mut self, engine: &mut Engine<Item>) -> u64 {
        self.measuring = true;
        self.began_us = engine.now;
        for number in 0..self.requests.len() {
            if self.requests[number].node.is_some() {
                self.leaves_in_time(engine, number);
            }
        }
        if let Workload::Trace(asked) = &self.workload {
            let left = &asked[self.next.min(asked.len())..];
            self.to_measure = self.to_measure.min(left.len() as u64);
            let last = left.get(usize::try_from(self.to_measure).unwrap_or(0).saturating_sub(1));
            let lasts = last.and_then(|asked| asked.comes_us).unwrap_or(0) / self.compress;
            self.put_next_of_trace(engine);
            return lasts.max(1_000_000);
        }
        self.begin_arrivals(engine);
        (self.to_measure * 1_000_000 / self.per_s().max(1)).max(1_000_000)
    }

    pub(crate) fn is_measured(&self) -> bool {
        self.came.arrived >= self.to_measure && self.open_measured == 0
    }

    pub(crate) fn measured_permille(&self) -> u64 {
        let ended = self.came.arrived - self.open_measured;
        ended * 1000 / self.to_measure.max(1)
    }

    fn put_next_of_trace(&self, engine: &mut Engine<Item>) {
        if let Workload::Trace(asked) = &self.workload
            && let Some(comes_us) = asked.get(self.next).and_then(|asked| asked.comes_us)
        {
            let at = self.began_us + comes_us / self.compress;
            self.put_arrival(engine, at.saturating_sub(engine.now));
        }
    }

    /// A request comes, and brings about the next.
    pub(crate) fn on_arrive(&mut self, engine: &mut Engine<Item>, measured: bool) {
        let enough = match self.measuring {
            true => self.came.arrived >= self.to_measure,
            false => self.is_filled(),
        };
        // What was to fill the cluster comes too late if it is measured already.
        if measured != self.measuring || enough {
            return;
        }
        let Some((demand, stays_us)) = self.draw(engine) else { return };
        let number = self.requests.len() as u64;
        self.ask(&demand, true);
        self.open += 1;
        self.open_measured += u64::from(self.measuring);
        self.came.arrived += u64::from(self.measuring);
        self.requests.push(Request {
            demand: demand.clone(),
            arrived_us: engine.now,
            stays_us,
            node: None,
            open: true,
            measured: self.measuring,
        });
        let order = client::Order::Place(RequestId(number), Demand::clone(&demand));
        engine.give::<Client>(self.client(number), client::Input::Order(order));
        match (&self.workload, self.arrivals) {
            (Workload::Trace(_), _) if self.measuring => self.put_next_of_trace(engine),
            (_, Arrivals::PerSecond(per_s)) => {
                let per_s = if self.measuring { per_s } else { per_s * FILLING };
                let after = exponential(&mut engine.rng, 1_000_000 / per_s.max(1));
                self.put_arrival(engine, after);
            }
            (_, Arrivals::Window(_)) => {}
        }
    }

    fn put_arrival(&self, engine: &mut Engine<Item>, after: u64) {
        engine.put(engine.now + after, Item::Arrive { measured: self.measuring });
    }

    /// What is asked for next, and for how long.
    fn draw(&mut self, engine: &mut Engine<Item>) -> Option<(Arc<Demand>, Option<u64>)> {
        match &self.workload {
            Workload::Flavors(demands) => {
                let demand = engine.rng.choice(demands)?.clone();
                let stays_us = exponential(&mut engine.rng, self.stays_us);
                Some((demand, Some(stays_us)))
            }
            Workload::Trace(asked) => {
                let Asked { demand, stays_us, .. } = asked.get(self.next)?;
                self.next += 1;
                Some((demand.clone(), stays_us.map(|stays| stays / self.compress)))
            }
        }
    }

    fn client(&self, request: u64) -> ClientId {
        ClientId(u32::try_from(request % u64::from(self.clients)).unwrap_or(0) + 1)
    }

    /// Counts what is asked for, or no more.
    fn ask(&mut self, demand: &Demand, more: bool) {
        for (class, amount) in demand.resources.iter() {
            let asked = self.asked.entry(class.clone()).or_default();
            let amount = u128::from(amount);
            *asked = if more { *asked + amount } else { asked.saturating_sub(amount) };
        }
    }

    fn leaves_in_time(&self, engine: &mut Engine<Item>, number: usize) {
        if let Some(stays_us) = self.requests[number].stays_us {
            engine.put(engine.now + stays_us, Item::Depart(number as u64));
        }
    }

    /// A request has been there for as long as it stays.
    pub(crate) fn on_depart(&mut self, engine: &mut Engine<Item>, number: u64) {
        let Ok(at) = usize::try_from(number) else { return };
        if self.requests[at].node.take().is_some() {
            let order = client::Order::Release(RequestId(number));
            engine.give::<Client>(self.client(number), client::Input::Order(order));
        }
    }

    /// Gives up whatever is confirmed on a node.
    pub(crate) fn empty(&mut self, engine: &mut Engine<Item>, node: NodeId) {
        let there =
            |(at, request): (usize, &Request)| (request.node == Some(node)).then_some(at as u64);
        let there: Vec<u64> = self.requests.iter().enumerate().filter_map(there).collect();
        there.into_iter().for_each(|number| self.on_depart(engine, number));
    }

    /// A client tells what became of a request.
    pub(crate) fn on_ended(
        &mut self,
        engine: &mut Engine<Item>,
        client: ClientId,
        request: RequestId,
        outcome: &Outcome,
    ) {
        let Ok(number) = usize::try_from(request.0) else { return };
        let Some(of) = self.requests.get_mut(number) else { return };
        let (arrived_us, measured, demand) = (of.arrived_us, of.measured, of.demand.clone());
        if let Outcome::Released = outcome {
            self.ask(&demand, false);
        } else {
            let first = self.close(engine, number);
            let there = &mut self.requests[number].node;
            if let Outcome::Confirmed(claim) = outcome
                && (first || there.is_some())
            {
                *there = Some(claim.node);
            }
            // A client that started again confirms once more.
            if !first {
                return;
            }
        }
        let came = &mut self.came;
        match outcome {
            Outcome::Confirmed(_) => {
                if measured {
                    came.confirmed += 1;
                    came.retried += u64::from(engine.meters.picks(request) > 1);
                    came.latency.note(Duration::from_micros(engine.now - arrived_us));
                }
                if self.measuring {
                    self.leaves_in_time(engine, number);
                }
                return;
            }
            Outcome::NoValidHost(_) => {
                came.no_valid_host += u64::from(measured);
                self.ask(&demand, false);
            }
            Outcome::Exhausted | Outcome::Overloaded => {
                came.exhausted += u64::from(measured);
                self.ask(&demand, false);
            }
            Outcome::Released => {}
        }
        let forget = client::Order::Forget(request);
        engine.give::<Client>(client, client::Input::Order(forget));
    }

    /// Something has come of a request; false if it had before.
    fn close(&mut self, engine: &mut Engine<Item>, number: usize) -> bool {
        let request = &mut self.requests[number];
        if !std::mem::take(&mut request.open) {
            return false;
        }
        self.open -= 1;
        self.open_measured -= u64::from(request.measured);
        if let Arrivals::Window(_) = self.arrivals {
            self.put_arrival(engine, 0);
        }
        true
    }

    /// A client has started again: what it sought it has forgotten.
    pub(crate) fn on_restarted(&mut self, engine: &mut Engine<Item>, client: ClientId) {
        let on_record = engine.cast.clients[client.0 as usize - 1].machine.requests.clone();
        for number in (client.0 as usize - 1..self.requests.len()).step_by(self.clients as usize) {
            let Request { open, measured, ref demand, .. } = self.requests[number];
            if open && !on_record.contains_key(&RequestId(number as u64)) {
                let demand = demand.clone();
                self.ask(&demand, false);
                self.came.forgotten += u64::from(measured);
                self.close(engine, number);
            }
        }
    }

    /// Whose requests are on a node, by the requests of its allocations.
    pub(crate) fn clients_of(&self, requests: impl Iterator<Item = RequestId>) -> Vec<usize> {
        let mut clients: Vec<usize> =
            requests.map(|request| self.client(request.0).0 as usize - 1).collect();
        clients.sort_unstable();
        clients.dedup();
        clients
    }
}
