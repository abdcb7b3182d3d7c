//! The conductor, with the database: it asks a scheduler for a host, tells the node to build, seeks
//! another host if the node does not, and keeps the tables that everyone reads and writes through it.

use crate::amounts::Amounts;
use crate::message::{
    Allocate, Body, Build, Call, Choice, Datagram, HostUse, Letter, Order, Output, Pick, Row,
    Selected, Timer,
};
use crate::setting::{CONDUCTOR, Setting};
use counterfoil_protocol::{Actor, Given, Map, NodeId, RequestId, SchedulerId, Set};
use counterfoil_world::protocol::{Event, Tiding};
use counterfoil_world::scenario::Design;
use serde::{Deserialize, Serialize};

/// The conductor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conductor {
    /// Every instance that was asked for.
    pub instances: Map<RequestId, Instance>,
    /// The table of services.
    pub services: Map<Actor, Service>,
    /// The table of nodes.
    pub hosts: Map<NodeId, Row>,
    /// The table of allocations.
    pub allocations: Map<RequestId, Map<NodeId, Amounts>>,
    #[serde(skip)]
    pub(crate) setting: Given<Setting>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// How much it takes.
    pub amounts: Amounts,
    /// How far it is.
    pub state: State,
    /// How many hosts were sought.
    pub attempts: u32,
    /// How often a scheduler was called.
    pub calls: u32,
    /// The hosts that did not build it.
    pub tried: Set<NodeId>,
}

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A scheduler is to be called.
    Seeking,
    /// A scheduler was called.
    Called(SchedulerId),
    /// A node was told to build it, which this scheduler selected.
    Building(NodeId, SchedulerId),
    /// A node runs it.
    Active(NodeId),
    /// There is no valid host.
    NoValidHost,
    /// So many hosts did not build it that no other is sought.
    MaxRetriesExceeded,
    /// Its user deleted it.
    Deleted,
}

impl State {
    /// Whether nothing is to come of it any more.
    pub fn is_over(self) -> bool {
        match self {
            State::Active(_) | State::NoValidHost | State::MaxRetriesExceeded | State::Deleted => {
                true
            }
            State::Seeking | State::Called(_) | State::Building(..) => false,
        }
    }
}

/// A row of the table of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Service {
    /// Whether an operator took it out of service.
    pub disabled: bool,
    /// Whether its signs of life are late.
    pub late: bool,
    /// Whether it gives none any more.
    pub over: bool,
}

impl Service {
    fn is_up(self) -> bool {
        !self.late && !self.over
    }
}

impl Conductor {
    /// Starts with empty tables.
    pub(crate) fn start(setting: Given<Setting>) -> Self {
        Conductor {
            instances: Map::default(),
            services: Map::default(),
            hosts: Map::default(),
            allocations: Map::default(),
            setting,
        }
    }

    /// The timers that matter.
    pub(crate) fn timers(&self) -> Vec<Timer> {
        let mut timers = Vec::new();
        for (actor, service) in self.services.iter() {
            if self.reads(*actor) {
                timers.push(Timer::Tick(*actor));
            }
            let late = if service.late { Timer::Beat } else { Timer::Late };
            timers.push(late(*actor));
        }
        let called = self.instances.iter().filter(|(_, of)| matches!(of.state, State::Called(_)));
        timers.extend(called.map(|(instance, _)| Timer::CallTimeout(*instance)));
        timers
    }

    /// Whether an actor has a periodic task that reads the database.
    fn reads(&self, actor: Actor) -> bool {
        match (self.setting.design, actor) {
            (Design::Shared2016, Actor::Node(_) | Actor::Scheduler(_))
            | (Design::Caching, Actor::Scheduler(_)) => true,
            (
                Design::Counterfoil
                | Design::Shared2016
                | Design::Filter
                | Design::Caching
                | Design::Placement,
                _,
            ) => false,
        }
    }

    /// What the periodic task of an actor reads.
    pub(crate) fn read_by(&self, actor: Actor) -> Letter {
        if self.setting.design == Design::Caching {
            return Letter::Rows { of: None, rows: self.rows() };
        }
        let services = self.services.iter().filter(|(_, row)| !row.disabled);
        let listed = services.map(|(of, row)| (*of, row.is_up()));
        match actor {
            Actor::Node(_) => {
                let schedulers = listed.filter_map(|(of, is_up)| match of {
                    Actor::Scheduler(scheduler) => Some((scheduler, is_up)),
                    Actor::Node(_) | Actor::Client(_) => None,
                });
                Letter::Schedulers(schedulers.collect())
            }
            Actor::Scheduler(_) | Actor::Client(_) => {
                let nodes = listed.filter_map(|(of, is_up)| match of {
                    Actor::Node(node) => Some((node, is_up)),
                    Actor::Scheduler(_) | Actor::Client(_) => None,
                });
                Letter::Nodes(nodes.collect())
            }
        }
    }

    /// The table of nodes, with their services.
    fn rows(&self) -> Map<NodeId, Row> {
        let up = |node: &NodeId| {
            let service = self.services.get(&Actor::Node(*node));
            service.is_some_and(|service| service.is_up() && !service.disabled)
        };
        self.hosts.iter().map(|(node, row)| (*node, Row { up: up(node), ..row.clone() })).collect()
    }

    pub(crate) fn handle(&mut self, event: Event<crate::Seed>, out: &mut Vec<Output>) {
        match event {
            Event::Order(order) => self.on_order(order, out),
            Event::Letter(from, letter) => self.on_letter(from, letter, out),
            Event::Datagram(Datagram {
                src: Actor::Node(node),
                body: Body::Reschedule(instance),
                ..
            }) => self.on_reschedule(node, instance, out),
            Event::Timer(timer) => self.on_timer(timer, out),
            Event::Picked(Pick::Scheduler(instance, number, scheduler)) => {
                self.call(instance, number, scheduler, out);
            }
            Event::Broken(Actor::Scheduler(scheduler)) => {
                let called = |of: &Instance| of.state == State::Called(scheduler);
                let again = self.instances.iter().filter(|(_, of)| called(of));
                let again: Vec<RequestId> = again.map(|(instance, _)| *instance).collect();
                again.into_iter().for_each(|instance| self.call_again(instance, out));
            }
            Event::Tiding(Tiding::Joined(actor)) => {
                let disabled = self.services.get(&actor).is_some_and(|row| row.disabled);
                self.services.insert(actor, Service { disabled, late: false, over: false });
            }
            Event::Tiding(Tiding::Over(actor)) => {
                if let Some(service) = self.services.get_mut(&actor) {
                    service.over = true;
                }
            }
            Event::Datagram(_) | Event::Broken(_) | Event::Picked(_) => {}
        }
    }

    fn on_order(&mut self, order: Order, out: &mut Vec<Output>) {
        match order {
            Order::Build(id, amounts) => {
                let (state, tried) = (State::Seeking, Set::default());
                let instance = Instance { amounts, state, attempts: 0, calls: 0, tried };
                self.instances.insert(id, instance);
                self.seek(id, out);
            }
            Order::Delete(id) => self.delete(id, out),
            Order::Service(actor, enabled) => {
                if let Some(service) = self.services.get_mut(&actor) {
                    service.disabled = !enabled;
                }
            }
            Order::Capacity(_) => {}
        }
    }

    fn delete(&mut self, id: RequestId, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        match instance.state {
            State::Deleted | State::NoValidHost | State::MaxRetriesExceeded => return,
            State::Active(node) => cast(Actor::Node(node), Body::Terminate(id), out),
            State::Seeking | State::Called(_) | State::Building(..) => {}
        }
        instance.state = State::Deleted;
        self.free(id);
    }

    /// Takes the allocations of an instance out of the tables.
    fn free(&mut self, id: RequestId) {
        let allocated = self.allocations.remove(&id).unwrap_or_default();
        for (node, amounts) in allocated.iter() {
            if let Some(row) = self.hosts.get_mut(node) {
                row.host.used = row.host.used.minus(amounts);
                row.saved += 1;
            }
        }
    }

    fn on_letter(&mut self, from: Actor, letter: Letter, out: &mut Vec<Output>) {
        match (from, letter) {
            (Actor::Scheduler(scheduler), Letter::Selected(selected)) => {
                self.on_selected(scheduler, selected, out);
            }
            (Actor::Scheduler(_), Letter::Read(of)) => {
                let rows = Letter::Rows { of: Some(of), rows: self.rows() };
                out.push(Output::Post(from, rows));
            }
            (Actor::Scheduler(_), Letter::Allocate(allocate)) => {
                let instance = allocate.instance;
                let written = self.allocate(allocate);
                out.push(Output::Post(from, Letter::Allocated(instance, written)));
            }
            (Actor::Node(node), Letter::Building(instance)) => {
                self.on_building(node, instance, out);
            }
            (Actor::Node(node), Letter::Save(host)) => self.save(node, host),
            (_, _) => {}
        }
    }

    fn on_selected(&mut self, from: SchedulerId, selected: Selected, out: &mut Vec<Output>) {
        let Selected { instance: id, number, host } = selected;
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if instance.state != State::Called(from) || instance.calls != number {
            // Nobody waits for this answer any more.
            return if instance.state == State::Deleted {
                self.free(id)
            };
        }
        let Some(host) = host else {
            instance.state = State::NoValidHost;
            return;
        };
        instance.state = State::Building(host.node, from);
        let (limits, claim) = (host.limits, host.claim);
        let build = Build { instance: id, amounts: instance.amounts.clone(), limits, claim };
        cast(Actor::Node(host.node), Body::Build(build), out);
    }

    /// Whether an allocation is written: nothing was, to the row of its node, since that was read.
    fn allocate(&mut self, allocate: Allocate) -> bool {
        let Allocate { instance, node, amounts, saved } = allocate;
        let Some(row) = self.hosts.get_mut(&node).filter(|row| row.saved == saved) else {
            return false;
        };
        row.saved += 1;
        row.host.used = row.host.used.plus(&amounts);
        let allocated = self.allocations.entry(instance).or_default();
        let known = allocated.get(&node).cloned().unwrap_or_default();
        allocated.insert(node, known.plus(&amounts));
        true
    }

    fn on_building(&mut self, node: NodeId, id: RequestId, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        match instance.state {
            State::Building(at, _) if at == node => instance.state = State::Active(node),
            State::Active(at) if at == node => {}
            State::Building(..)
            | State::Active(_)
            | State::Seeking
            | State::Called(_)
            | State::NoValidHost
            | State::MaxRetriesExceeded
            | State::Deleted => out.push(Output::Post(Actor::Node(node), Letter::NotFound(id))),
        }
    }

    /// What stands in the row of a node once it has saved what it has: where allocations are claims, of
    /// that only what it may give out.
    pub(crate) fn saved(&self, node: NodeId, host: HostUse) -> HostUse {
        match self.setting.design {
            Design::Placement => {
                let used = self.hosts.get(&node).map(|row| row.host.used.clone());
                HostUse { used: used.unwrap_or_default(), ..host }
            }
            Design::Counterfoil | Design::Shared2016 | Design::Filter | Design::Caching => host,
        }
    }

    fn save(&mut self, node: NodeId, host: HostUse) {
        let host = self.saved(node, host);
        let known = self.hosts.get(&node);
        // Where allocations are claims, a row is written only if it changes.
        if self.setting.design == Design::Placement && known.is_some_and(|row| row.host == host) {
            return;
        }
        let saved = known.map_or(0, |row| row.saved) + 1;
        self.hosts.insert(node, Row { host, saved, up: false });
    }

    fn on_reschedule(&mut self, node: NodeId, id: RequestId, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if matches!(instance.state, State::Building(at, _) if at == node) {
            instance.tried.insert(node);
            self.seek(id, out);
        }
    }

    fn on_timer(&mut self, timer: Timer, out: &mut Vec<Output>) {
        match timer {
            Timer::Tick(actor) => out.push(Output::Post(actor, self.read_by(actor))),
            Timer::Late(actor) | Timer::Beat(actor) => {
                if let Some(service) = self.services.get_mut(&actor) {
                    service.late = matches!(timer, Timer::Late(_));
                }
            }
            Timer::CallTimeout(instance) => self.call_again(instance, out),
            Timer::Audit | Timer::Send(_) | Timer::SendFails(_) => {}
        }
    }

    /// Seeks a host, or another one.
    fn seek(&mut self, id: RequestId, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if instance.attempts == self.setting.attempts_max {
            instance.state = State::MaxRetriesExceeded;
            return;
        }
        instance.attempts += 1;
        self.call_again(id, out);
    }

    fn call_again(&mut self, id: RequestId, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        instance.calls += 1;
        instance.state = State::Seeking;
        out.push(Output::Choose(Choice::Scheduler(id, instance.calls)));
    }

    fn call(&mut self, id: RequestId, number: u32, to: SchedulerId, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if instance.state != State::Seeking || instance.calls != number {
            return;
        }
        instance.state = State::Called(to);
        let (amounts, tried) = (instance.amounts.clone(), instance.tried.clone());
        let call = Call { instance: id, number, amounts, tried };
        out.push(Output::Post(Actor::Scheduler(to), Letter::Call(call)));
    }
}

fn cast(dst: Actor, body: Body, out: &mut Vec<Output>) {
    out.push(Output::Send(Datagram { src: Actor::Client(CONDUCTOR), dst, body }));
}
