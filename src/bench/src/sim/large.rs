//! A large cluster under load: filled, then measured, then left alone until everything has settled.

mod load;
mod settle;

use super::engine::{Engine, Pause, Setting};
use super::judge::Reach;
use super::links::{Links, Sides};
use super::meters::Catching;
use super::report::{Figures, Report};
use crate::workload::Workload;
use counterfoil_placement::{Policy, PolicyName};
use counterfoil_protocol::{
    Actor, Config, Intervals, Inventory, Limits, Node, NodeId, Scheduler, SchedulerId, node,
    scheduler,
};
use load::Load;
use serde::Serialize;
use std::time::Duration;

/// Nothing passes between the two sides for a while: the first nodes and schedulers, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// When it begins, in microseconds after the measurement does.
    pub at_us: u64,
    /// How long it lasts, in microseconds.
    pub for_us: u64,
    /// How many nodes, and schedulers, are on the first side, per mille; at least one of each is on
    /// either, if there are two.
    pub permille: u32,
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Independently of each other, so many in a second of virtual time.
    PerSecond(u64),
    /// So many are open for each scheduler, always.
    Window(u64),
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// What each node has; the kinds alternate.
    pub inventories: Vec<Inventory>,
    /// How many nodes.
    pub nodes: u32,
    /// How many schedulers.
    pub schedulers: u32,
    /// Where all chance begins.
    pub seed: u64,
    /// How many requests are measured.
    pub requests: u64,
    /// How schedulers pick a node.
    pub policy: PolicyName,
    /// Whether they take nodes of their own share first.
    pub own_first: bool,
    /// Up to which part of the scarcest class the cluster is filled, and kept, in percent.
    pub load_percent: u64,
    /// How requests come.
    pub arrivals: Arrivals,
    /// What the network is like.
    pub links: Links,
    /// If the network falls into two parts.
    pub partition: Option<Partition>,
    /// How many nodes, schedulers and clients crash and start again while it is measured.
    pub restarts: u64,
    /// How many nodes drain, are emptied and leave while it is measured, and as many join.
    pub churn: u64,
    /// From one beat to the next, in microseconds.
    pub beat_us: u64,
    /// How closely steps are judged; as closely as is affordable if not given.
    pub reach: Option<Reach>,
    /// What is asked for.
    pub workload: Workload,
    /// How many times faster the time of a trace passes.
    pub compress: u64,
    /// Measure real time and memory, too.
    pub timing: bool,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does.
    pub phase: &'static str,
    /// How much of the phase is done, per mille.
    pub permille: u64,
    /// Steps of all machines.
    pub steps: u64,
    /// Virtual time, in microseconds.
    pub now_us: u64,
}

/// What is put into the simulation for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Arrive { measured: bool },
    Depart(u64),
    Part,
    Heal,
    Restart,
    Drain,
    Leave(NodeId),
    Look,
}

/// From one look at what schedulers know to the next, in microseconds.
const LOOK_US: u64 = 1_000;
/// How much each look sees.
const LOOKS: u32 = 16;
/// A node that is to leave is asked again after so long whether it is empty, in microseconds.
const LEAVES_US: u64 = 100_000;
/// Steps from one word about progress to the next.
const TELL_STEPS: u64 = 50_000;
/// Longer than so many times its expected length no phase lasts, in virtual time.
const PATIENCE: u64 = 20;

/// A simulation that runs.
pub(crate) struct Run<'a> {
    options: &'a Options,
    pub(super) engine: Engine<Item>,
    pub(super) load: Load,
    told: &'a mut dyn FnMut(Progress),
    told_at: u64,
    /// What was counted before the measurement began: messages, bytes, steps.
    began: Option<Began>,
    restarts_left: u64,
    drains_left: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    pub(super) at_us: u64,
    pub(super) sent: u64,
    pub(super) steps: u64,
}

/// Simulates a large cluster. `told` hears from time to time how far it is.
pub fn run(options: &Options, told: &mut dyn FnMut(Progress)) -> Report {
    let mut figures = Figures::new(options.timing);
    let intervals = Intervals {
        beat: Duration::from_micros(options.beat_us),
        silence: Duration::from_micros(options.beat_us * 6),
        ..Intervals::default()
    };
    let limits = Limits { nodes_max: options.nodes as usize * 2, ..Limits::default() };
    let mut engine = Engine::new(Setting {
        config: Config { intervals, limits, ..Config::default() },
        policy: Policy { own_first: options.own_first, ..options.policy.policy() },
        shares: options.schedulers,
        links: options.links,
        reach: options.reach.unwrap_or_else(|| Reach::affordable(options.nodes)),
        seed: options.seed,
    });
    engine.clock = options.timing.then(Default::default);
    let load = Load::new(options);
    let (restarts_left, drains_left) = (options.restarts, options.churn);
    let mut run =
        Run { options, engine, load, told, told_at: 0, began: None, restarts_left, drains_left };
    run.start(&mut figures);
    run.fill();
    run.measure();
    figures.measured(&run);
    run.settle(&mut figures);
    figures.report(options, &run)
}

impl Run<'_> {
    /// Starts everyone, spread over one beat, and waits until all know each other.
    fn start(&mut self, figures: &mut Figures) {
        let beat = self.options.beat_us;
        self.load.start_clients(&mut self.engine);
        figures.remember("nothing");
        for number in 1..=self.options.nodes {
            self.go_on_until(beat * u64::from(number) / u64::from(self.options.nodes));
            let disk = node::Disk::new(self.inventory(number));
            self.engine.join::<Node>(NodeId(number), disk);
        }
        figures.remember("nodes");
        for number in 1..=self.options.schedulers {
            let after = beat * u64::from(number) / u64::from(self.options.schedulers);
            self.go_on_until(beat + after);
            let disk = scheduler::Disk::default();
            self.engine.join::<Scheduler>(SchedulerId(number), disk);
        }
        self.go_on_until(beat * 4);
        figures.remember("schedulers");
    }

    fn inventory(&self, number: u32) -> Inventory {
        let kinds = &self.options.inventories;
        kinds[(number as usize - 1) % kinds.len()].clone()
    }

    /// Fills the cluster up to the load.
    fn fill(&mut self) {
        self.load.begin_filling(&mut self.engine);
        let most = self.engine.now + self.load.filling_us() * PATIENCE;
        while self.engine.now < most && !self.load.is_filled() && self.go_on(most) {
            self.tell("filling", self.load.filled_permille());
        }
    }

    /// Measures until every request that is measured has ended.
    fn measure(&mut self) {
        let now = self.engine.now;
        let (sent, steps) = (self.engine.network.passed.sent, self.engine.judge.steps);
        self.began = Some(Began { at_us: now, sent, steps });
        self.engine.meters.begin();
        let lasts = self.load.begin_measuring(&mut self.engine);
        self.engine.put(now + LOOK_US, Item::Look);
        let mut ends = now + lasts * PATIENCE;
        if let Some(Partition { at_us, for_us, .. }) = self.options.partition {
            self.engine.put(now + at_us, Item::Part);
            self.engine.put(now + at_us + for_us, Item::Heal);
            ends += at_us + for_us;
        }
        for (times, item) in
            [(self.options.restarts, Item::Restart), (self.options.churn, Item::Drain)]
        {
            (0..times).for_each(|n| self.engine.put(now + lasts * (n + 1) / (times + 1), item));
        }
        while self.engine.now < ends && !self.is_measured() && self.go_on(ends) {
            self.tell("measuring", self.load.measured_permille());
        }
    }

    /// Whether there is nothing left to measure.
    fn is_measured(&self) -> bool {
        let caught_up = match self.options.partition {
            None => true,
            Some(_) => self.engine.meters.catching.as_ref().is_some_and(|c| c.took.is_some()),
        };
        self.load.is_measured() && caught_up && self.restarts_left + self.drains_left == 0
    }

    pub(super) fn go_on_until(&mut self, until: u64) {
        while self.engine.now < until && self.go_on(until) {}
    }

    /// Goes on until the next thing that concerns the load; whether it may go on after that.
    fn go_on(&mut self, until: u64) -> bool {
        match self.engine.advance(until) {
            Pause::Item(item) => self.on_item(item),
            Pause::Ended(client, request, outcome) => {
                self.load.on_ended(&mut self.engine, client, request, &outcome);
            }
            Pause::Over => {}
        }
        self.engine.judge.violated.is_none()
    }

    fn on_item(&mut self, item: Item) {
        match item {
            Item::Arrive { measured } => self.load.on_arrive(&mut self.engine, measured),
            Item::Depart(request) => self.load.on_depart(&mut self.engine, request),
            Item::Part => self.engine.network.parted = self.sides(),
            Item::Heal => {
                if let Some(sides) = self.engine.network.parted.take() {
                    let parted = |scheduler: u32, node: u32| {
                        let scheduler = Actor::Scheduler(SchedulerId(scheduler));
                        sides.part(scheduler, Actor::Node(NodeId(node)))
                    };
                    let catching = Catching::begin(&self.engine.cast, parted, self.engine.now);
                    self.engine.meters.catching = Some(catching);
                }
            }
            Item::Restart => self.restart_one(),
            Item::Drain => self.drain_one(),
            Item::Leave(node) => self.leave(node),
            Item::Look => self.look(),
        }
    }

    fn sides(&self) -> Option<Sides> {
        let Partition { permille, .. } = self.options.partition?;
        let first = |count: u32| {
            let first = u64::from(count) * u64::from(permille) / 1000;
            let first = first.clamp(1, u64::from(count).saturating_sub(1).max(1));
            (0..u64::from(count)).map(|at| at < first).collect()
        };
        Some(Sides { nodes: first(self.options.nodes), schedulers: first(self.options.schedulers) })
    }

    fn restart_one(&mut self) {
        self.restarts_left -= 1;
        let roll = self.engine.rng.u32(0..4);
        let number = |rng: &mut fastrand::Rng, count: usize| rng.u32(0..count as u32) + 1;
        let (cast, rng) = (&self.engine.cast, &mut self.engine.rng);
        let actor = match roll {
            0 => Actor::Scheduler(SchedulerId(number(rng, cast.schedulers.len()))),
            1 => Actor::Client(counterfoil_protocol::ClientId(number(rng, cast.clients.len()))),
            _ => Actor::Node(NodeId(number(rng, cast.nodes.len()))),
        };
        self.engine.restart(actor);
        if let Actor::Client(client) = actor {
            self.load.on_restarted(&mut self.engine, client);
        }
    }

    /// A node drains; its clients are asked to go elsewhere, and another node joins.
    fn drain_one(&mut self) {
        let there: Vec<NodeId> = self.engine.cast.nodes_there().collect();
        let Some(node) = self.engine.rng.choice(there) else { return };
        let order = node::Order::Status(counterfoil_protocol::Status::Draining);
        self.engine.give::<Node>(node, node::Input::Order(order));
        self.load.empty(&mut self.engine, node);
        self.engine.put(self.engine.now + LEAVES_US, Item::Leave(node));
        let number = self.engine.cast.nodes.len() as u32 + 1;
        let disk = node::Disk::new(self.inventory(number));
        self.engine.join::<Node>(NodeId(number), disk);
    }

    fn leave(&mut self, node: NodeId) {
        let order = node::Input::Order(node::Order::Leave);
        self.engine.give::<Node>(node, order);
        if self.engine.cast.nodes[node.0 as usize - 1].machine.left {
            self.drains_left -= 1;
        } else {
            self.load.empty(&mut self.engine, node);
            self.engine.put(self.engine.now + LEAVES_US, Item::Leave(node));
        }
    }

    /// Looks at what schedulers know of some nodes.
    fn look(&mut self) {
        let (cast, rng) = (&self.engine.cast, &mut self.engine.rng);
        for _ in 0..LOOKS {
            let scheduler = &cast.schedulers[rng.usize(..cast.schedulers.len())].machine;
            let node = cast.nodes[rng.usize(..cast.nodes.len())].machine.id;
            if let Some(peer) = scheduler.nodes.get(&node) {
                self.engine.meters.looked(node, peer, self.engine.now);
            }
        }
        self.engine.put(self.engine.now + LOOK_US, Item::Look);
    }

    pub(super) fn tell(&mut self, phase: &'static str, permille: u64) {
        let steps = self.engine.judge.steps;
        if steps >= self.told_at {
            self.told_at = steps + TELL_STEPS;
            (self.told)(Progress { phase, permille, steps, now_us: self.engine.now });
        }
    }

    pub(super) fn began(&self) -> Began {
        self.began.unwrap_or(Began { at_us: self.engine.now, sent: 0, steps: 0 })
    }
}
