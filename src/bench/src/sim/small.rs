//! A small cluster that goes through a fault schedule, and is judged whole.

use super::cast::Lives;
use super::engine::{Deed, Engine, Pause, Setting};
use super::judge::Reach;
use super::schedule::{Fault, STEPS_MIN, Schedule, What};
use counterfoil_properties::{Liveness, Safety, Snapshot};
use counterfoil_protocol::{
    Actor, Client, ClientId, Node, NodeId, Notice, Scheduler, SchedulerId, Status, client, node,
    scheduler,
};
use counterfoil_world::scenario::Outside;
use std::collections::BTreeMap;

/// The only client.
const CLIENT: ClientId = ClientId(1);

/// A step that was cut short, in reports.
const TORN: &str = "torn_write";

/// How long everything may take to settle, as often as the longest interval.
const SETTLES: u64 = 60;

/// What came of a schedule.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) virtual_us: u64,
    /// Faults that happened, by name.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) premises: [u64; Safety::ALL.len()],
    pub(crate) notices: Vec<(Notice, u64)>,
    /// What was lost, copied, put behind and parted.
    pub(crate) datagrams: [u64; 4],
    /// How long it took until all had settled.
    pub(crate) settled_us: u64,
    /// What went wrong first.
    pub(crate) wrong: Option<Wrong>,
    /// What was done, if it was to be kept.
    pub(crate) deeds: Vec<Deed>,
    /// How much of that was done by the last fault and order, and a while after it.
    pub(crate) calm_from: [usize; 2],
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) property: &'static str,
    pub(crate) clause: String,
}

struct Run<'a> {
    schedule: &'a Schedule,
    outside: Vec<Outside>,
    engine: Engine<What>,
    faults: BTreeMap<&'static str, u64>,
    /// How much was done a while after the last fault and order.
    calm_for_a_while: Option<usize>,
}

/// Goes through a schedule; keeps what was done if it is to be `kept`.
pub(crate) fn run(schedule: &Schedule, seed: u64, kept: bool) -> Outcome {
    let mut engine = Engine::new(Setting {
        config: schedule.config.clone(),
        policy: schedule.policy.policy(),
        shares: 1,
        links: schedule.links,
        reach: Reach::ALL,
        seed,
    });
    engine.deeds = kept.then(Vec::new);
    let outside = schedule.scenario.outside();
    let mut run =
        Run { schedule, outside, engine, faults: BTreeMap::new(), calm_for_a_while: None };
    run.start();
    let last = schedule.events.last().map_or(0, |(at, _)| *at);
    run.go_on_until(last + 1);
    let calm = run.done();
    let (settled_us, unmet) = run.settle();
    let calm_from = [calm, run.calm_for_a_while.unwrap_or(run.done())];
    let deeds = run.engine.deeds.take().unwrap_or_default();
    let violated = run.engine.judge.violated.take();
    let wrong = violated.map(|violated| Wrong {
        property: violated.property.name(),
        clause: violated.violation.clause.clone(),
    });
    let passed = run.engine.network.passed;
    if run.engine.torn > 0 {
        run.faults.insert(TORN, run.engine.torn);
    }
    Outcome {
        steps: run.engine.judge.steps,
        virtual_us: run.engine.now,
        faults: run.faults,
        premises: run.engine.judge.premises,
        notices: run.engine.meters.counts().collect(),
        datagrams: [passed.lost, passed.copied, passed.reordered, passed.parted],
        settled_us,
        wrong: wrong.or(unmet),
        deeds,
        calm_from,
    }
}

impl Run<'_> {
    /// Starts everyone in the order of the world: nodes, schedulers, the client.
    fn start(&mut self) {
        let scenario = &self.schedule.scenario;
        for number in 1..=scenario.nodes_at_start {
            self.join_node(number);
        }
        for number in 1..=scenario.schedulers {
            self.engine.join::<Scheduler>(SchedulerId(number), scheduler::Disk::default());
        }
        self.engine.join::<Client>(CLIENT, client::Disk::default());
        for (at, what) in &self.schedule.events {
            self.engine.put(*at, what.clone());
        }
    }

    fn join_node(&mut self, number: u32) {
        let inventory = self.schedule.scenario.nodes[number as usize - 1].clone();
        self.engine.join::<Node>(NodeId(number), node::Disk::new(inventory));
    }

    fn go_on_until(&mut self, until: u64) {
        while self.engine.now < until && self.engine.judge.violated.is_none() {
            match self.engine.advance(until) {
                Pause::Item(What::Outside(index)) => self.on_outside(index),
                Pause::Item(What::Fault(fault)) => self.on_fault(&fault),
                Pause::Item(What::Heal) => self.engine.network.parted = None,
                Pause::Ended(..) | Pause::Over => {}
            }
        }
    }

    fn on_outside(&mut self, index: usize) {
        let outside = self.outside[index].clone();
        if let Some(deeds) = &mut self.engine.deeds {
            deeds.push(Deed::Outside(index));
        }
        let engine = &mut self.engine;
        match outside {
            Outside::Place(request) => {
                let order = client::Order::Place(request.id, request.demand());
                engine.give::<Client>(CLIENT, client::Input::Order(order));
            }
            Outside::PlaceTogether(requests) => {
                let demands = requests.iter().map(|(id, request)| (*id, request.demand()));
                let order = client::Order::PlaceTogether(demands.collect());
                engine.give::<Client>(CLIENT, client::Input::Order(order));
            }
            Outside::Release(request) => {
                engine
                    .give::<Client>(CLIENT, client::Input::Order(client::Order::Release(request)));
            }
            Outside::Drain(id) => {
                let order = node::Order::Status(Status::Draining);
                engine.give::<Node>(id, node::Input::Order(order));
            }
            Outside::Undrain(id) => {
                let order = node::Order::Status(Status::Up);
                engine.give::<Node>(id, node::Input::Order(order));
            }
            Outside::Inventory(id, inventory) => {
                engine.give::<Node>(id, node::Input::Order(node::Order::Inventory(inventory)));
            }
            Outside::Leave(id) => {
                engine.give::<Node>(id, node::Input::Order(node::Order::Leave));
            }
            Outside::Join(Actor::Node(id)) => self.join_node(id.0),
            Outside::Join(Actor::Scheduler(id)) => {
                engine.join::<Scheduler>(id, scheduler::Disk::default());
            }
            Outside::Join(Actor::Client(_)) | Outside::Disable(_) => {}
        }
    }

    /// A fault happens; if whom it concerns is gone, everything in flight is lost instead.
    fn on_fault(&mut self, fault: &Fault) {
        let engine = &mut self.engine;
        let is_gone = |id: &SchedulerId| engine.cast.schedulers[Scheduler::place(*id)].gone;
        let has_left = |id: &NodeId| engine.cast.nodes[Node::place(*id)].machine.left;
        let gone = match fault {
            Fault::Restart(Actor::Scheduler(id)) | Fault::Tear(Actor::Scheduler(id)) => is_gone(id),
            Fault::Restart(Actor::Node(id)) | Fault::Tear(Actor::Node(id)) => has_left(id),
            Fault::Die(id) | Fault::Disconnect(id) => is_gone(id),
            Fault::Restart(Actor::Client(_)) | Fault::Tear(Actor::Client(_)) => false,
            Fault::Part(_) | Fault::LoseAll => false,
        };
        let fault = if gone { &Fault::LoseAll } else { fault };
        match fault {
            Fault::Restart(actor) => engine.restart(*actor),
            Fault::Tear(actor) => engine.tear = Some(*actor),
            Fault::Die(id) => engine.die(*id),
            Fault::Disconnect(id) => engine.disconnect(CLIENT, *id),
            Fault::Part(sides) => engine.network.parted = Some(sides.clone()),
            Fault::LoseAll => engine.lose_all(),
        }
        if !matches!(fault, Fault::Tear(_)) {
            *self.faults.entry(fault.name()).or_default() += 1;
        }
    }

    /// Leaves the cluster alone until all has settled and the schedule is long enough; how long that
    /// took, and what had not come true.
    fn settle(&mut self) -> (u64, Option<Wrong>) {
        self.engine.network.links = self.schedule.links.calm();
        self.engine.network.parted = None;
        self.engine.tear = None;
        let intervals = &self.schedule.config.intervals;
        let longest = [intervals.lapse, intervals.silence, intervals.impatience, intervals.retry];
        let longest = longest.into_iter().max().unwrap_or_default().as_micros();
        let longest = u64::try_from(longest).unwrap_or(u64::MAX >> 8);
        let (began, beat) = (self.engine.now, self.engine.beat_us());
        let most = began + SETTLES * longest;
        let mut unmet = self.unmet();
        while unmet.is_some() && self.engine.now < most && self.engine.judge.violated.is_none() {
            self.go_on_until(self.engine.now + beat);
            unmet = self.unmet();
            if self.engine.now > began + 2 * longest {
                let done = self.done();
                self.calm_for_a_while.get_or_insert(done);
            }
        }
        let settled = self.engine.now - began;
        while self.engine.judge.steps < STEPS_MIN && self.engine.judge.violated.is_none() {
            self.go_on_until(self.engine.now + beat);
        }
        (settled, unmet)
    }

    /// How much was done so far.
    fn done(&self) -> usize {
        self.engine.deeds.as_ref().map_or(0, Vec::len)
    }

    fn unmet(&self) -> Option<Wrong> {
        let cast = &self.engine.cast;
        let nodes = cast.nodes.iter().filter(|slot| !slot.machine.left);
        let now = Snapshot {
            nodes: nodes.map(|slot| &slot.machine).collect(),
            schedulers: cast.schedulers_there().map(|at| &cast.schedulers[at].machine).collect(),
            clients: cast.clients.iter().map(|slot| &slot.machine).collect(),
        };
        Liveness::ALL.into_iter().find_map(|property| {
            let unmet = property.check(&now)?;
            Some(Wrong { property: property.name(), clause: unmet().clause })
        })
    }
}
