//! The designs in the world.

use crate::conductor::Conductor;
use crate::message::{Choice, Datagram, Letter, Notice, Order, Output, Pick, Timer};
use crate::node::{Disk, Node};
use crate::reader::Reader;
use crate::setting::{CONDUCTOR, Setting};
use crate::shared::Scheduler;
use crate::writer::Writer;
use crate::{Amounts, History, timing, watch};
use counterfoil_properties::{Unmet, Violation};
use counterfoil_protocol::{Actor, Address, Given, NodeId, Rule, SchedulerId};
use counterfoil_world::cluster::{Cluster, World};
use counterfoil_world::protocol::{
    Coverage, Effect, Event, Firing, Observed, Property, Protocol, Tiding,
};
use counterfoil_world::scenario::{Design, Fault, Outside, Scenario};
use counterfoil_world::view::View;
use serde::{Deserialize, Serialize};

/// The designs of 2016; which, the scenario says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed;

/// Any of the machines.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Process {
    /// A node.
    Node(Node),
    /// A scheduler that shares the state of nodes.
    Shared(Scheduler),
    /// A scheduler that reads a database.
    Reader(Reader),
    /// A scheduler that writes its claims to a database.
    Writer(Writer),
    /// The conductor.
    Conductor(Conductor),
}

/// What a process is made of, in a form that says which machine it is.
#[derive(Serialize, Deserialize)]
pub enum Parts {
    /// A node.
    Node(Node),
    /// A scheduler that shares the state of nodes.
    Shared(Scheduler),
    /// A scheduler that reads a database.
    Reader(Reader),
    /// A scheduler that writes its claims to a database.
    Writer(Writer),
    /// The conductor.
    Conductor(Conductor),
}

impl Process {
    fn timers(&self) -> Vec<Timer> {
        match self {
            Process::Node(node) => node.timers(),
            Process::Conductor(conductor) => conductor.timers(),
            Process::Shared(_) | Process::Reader(_) | Process::Writer(_) => Vec::new(),
        }
    }

    fn handle(&mut self, event: Event<Seed>, out: &mut Vec<Output>) {
        match self {
            Process::Node(node) => node.handle(event, out),
            Process::Shared(scheduler) => scheduler.handle(event, out),
            Process::Reader(scheduler) => scheduler.handle(event, out),
            Process::Writer(scheduler) => scheduler.handle(event, out),
            Process::Conductor(conductor) => conductor.handle(event, out),
        }
    }
}

impl Protocol for Seed {
    type Process = Process;
    type Disk = Disk;
    type Parts = Parts;
    type DiskParts = Disk;
    type Datagram = Datagram;
    type Letter = Letter;
    type Timer = Timer;
    type Choice = Choice;
    type Pick = Pick;
    type Order = Order;
    type Output = Output;
    type History = History;
    type Setting = Given<Setting>;
    type Arm = Notice;

    const PATH: &'static str = "counterfoil_seed::Seed";

    fn speaks(design: Design) -> bool {
        design != Design::Counterfoil
    }

    fn setting(scenario: &Scenario) -> Given<Setting> {
        Given::new(Setting::of(scenario))
    }

    fn disk(scenario: &Scenario, actor: Actor) -> Disk {
        match actor {
            Actor::Node(NodeId(number)) => {
                let inventory = &scenario.nodes[number as usize - 1];
                Disk { capacity: Amounts::capacity(inventory), ..Disk::default() }
            }
            Actor::Scheduler(_) | Actor::Client(_) => Disk::default(),
        }
    }

    fn start(
        setting: &Given<Setting>,
        actor: Actor,
        disk: &Disk,
        outputs: &mut Vec<Output>,
    ) -> Process {
        let given = setting.clone();
        let process = match (actor, setting.design) {
            (Actor::Node(id), _) => Process::Node(Node::start(id, disk, given, outputs)),
            (Actor::Client(_), _) => Process::Conductor(Conductor::start(given)),
            (Actor::Scheduler(id), Design::Filter | Design::Caching) => {
                Process::Reader(Reader::start(id, given))
            }
            (Actor::Scheduler(id), Design::Placement) => Process::Writer(Writer::start(id, given)),
            (Actor::Scheduler(id), Design::Shared2016) => {
                Process::Shared(Scheduler::start(id, outputs))
            }
            (Actor::Scheduler(_), Design::Counterfoil) => {
                unreachable!("a scenario of another protocol")
            }
        };
        outputs.extend(process.timers().into_iter().map(Output::SetTimer));
        process
    }

    fn address(process: &Process) -> Address {
        let actor = match process {
            Process::Node(node) => Actor::Node(node.id),
            Process::Shared(scheduler) => Actor::Scheduler(scheduler.id),
            Process::Reader(scheduler) => Actor::Scheduler(scheduler.id),
            Process::Writer(scheduler) => Actor::Scheduler(scheduler.id),
            Process::Conductor(_) => Actor::Client(CONDUCTOR),
        };
        Address { actor, incarnation: None }
    }

    fn handle(process: &mut Process, event: Event<Self>, outputs: &mut Vec<Output>) {
        let mut armed = process.timers();
        if let Event::Timer(fired) = &event {
            armed.retain(|timer| timer != fired);
        }
        process.handle(event, outputs);
        let set = process.timers().into_iter().filter(|timer| !armed.contains(timer));
        outputs.extend(set.map(Output::SetTimer));
    }

    fn effect(output: &Output) -> Effect<'_, Self> {
        match output {
            Output::Send(datagram) => Effect::Send(datagram),
            Output::Post(to, letter) => Effect::Letter(*to, letter.clone()),
            Output::Choose(choice) => Effect::Choose(choice),
            Output::Instance(..) | Output::Capacity(_) => Effect::Persist,
            Output::SetTimer(timer) => Effect::SetTimer(timer),
            Output::Raise(_) | Output::Notice(_) => Effect::Nothing,
        }
    }

    fn write(disk: &mut Disk, output: &Output) {
        match output {
            Output::Instance(instance, Some(amounts)) => {
                disk.instances.insert(*instance, amounts.clone());
            }
            Output::Instance(instance, None) => {
                disk.instances.remove(instance);
            }
            Output::Capacity(capacity) => disk.capacity = capacity.clone(),
            Output::Send(_)
            | Output::Post(..)
            | Output::Choose(_)
            | Output::SetTimer(_)
            | Output::Raise(_)
            | Output::Notice(_) => {}
        }
    }

    fn destination(datagram: &Datagram) -> Address {
        Address { actor: datagram.dst, incarnation: None }
    }

    fn source(datagram: &Datagram) -> Address {
        Address { actor: datagram.src, incarnation: None }
    }

    fn is_old_news(_: &dyn Fn(Fault) -> bool, _: &Process, _: &Datagram) -> bool {
        false
    }

    fn timers(process: &Process) -> Vec<Timer> {
        process.timers()
    }

    fn opens(timer: &Timer) -> bool {
        match timer {
            Timer::Tick(_) | Timer::Audit | Timer::Send(_) => true,
            Timer::Late(_) | Timer::Beat(_) | Timer::CallTimeout(_) | Timer::SendFails(_) => false,
        }
    }

    fn firing(world: &World<Self>, view: &impl View<Self>, at: Address, timer: &Timer) -> Firing {
        timing::firing(world, view, at, timer)
    }

    fn picks(
        world: &World<Self>,
        view: &impl View<Self>,
        at: Address,
        choice: &Choice,
    ) -> Vec<Pick> {
        match choice {
            Choice::Number => {
                let numbers = &world.scenario.numbers;
                let numbers = if numbers.is_empty() { &[1][..] } else { numbers };
                numbers.iter().map(|number| Pick::Number(*number)).collect()
            }
            Choice::Host(call) => {
                let hosts = match view.process(at) {
                    Some(Process::Shared(scheduler)) => scheduler.options(call),
                    Some(Process::Reader(scheduler)) => scheduler.options(call),
                    Some(Process::Writer(scheduler)) => scheduler.options(call),
                    Some(Process::Node(_) | Process::Conductor(_)) | None => Vec::new(),
                };
                if hosts.is_empty() {
                    return vec![Pick::Host(call.clone(), None)];
                }
                hosts.into_iter().map(|node| Pick::Host(call.clone(), Some(node))).collect()
            }
            Choice::Scheduler(instance, number) => {
                let request = world.scenario.requests.iter().find(|r| r.id == *instance);
                let only = request.and_then(|request| request.at).filter(|_| *number == 1);
                schedulers(view)
                    .filter(|scheduler| only.is_none_or(|only| only == *scheduler))
                    .map(|scheduler| Pick::Scheduler(*instance, *number, scheduler))
                    .collect()
            }
        }
    }

    fn outside(
        world: &World<Self>,
        view: &impl View<Self>,
        index: u8,
        at: Option<Address>,
    ) -> Option<(Address, Event<Self>)> {
        let conductor = Actor::Client(CONDUCTOR);
        let (actor, order) = match &world.outside[usize::from(index)] {
            Outside::Place(request) => {
                (conductor, Order::Build(request.id, Amounts::asked(&request.resources)))
            }
            Outside::Release(request) => (conductor, Order::Delete(*request)),
            Outside::Drain(node) => (conductor, Order::Service(Actor::Node(*node), false)),
            Outside::Undrain(node) => (conductor, Order::Service(Actor::Node(*node), true)),
            Outside::Disable(id) => (conductor, Order::Service(Actor::Scheduler(*id), false)),
            Outside::Inventory(node, inventory) => {
                (Actor::Node(*node), Order::Capacity(Amounts::capacity(inventory)))
            }
            // None of the designs knows bundles, or nodes that leave by themselves.
            Outside::PlaceTogether(_) | Outside::Leave(_) | Outside::Join(_) => return None,
        };
        let address = Address { actor, incarnation: None };
        let before = view.process(address).filter(|_| at.is_none())?;
        let event = Event::Order(order);
        // An order that changes nothing now is given later.
        let mut after = before.clone();
        after.handle(event.clone(), &mut Vec::new());
        (after != *before).then_some((address, event))
    }

    fn tidings(view: &impl View<Self>) -> Vec<(Address, Tiding)> {
        let conductor = Address { actor: Actor::Client(CONDUCTOR), incarnation: None };
        let Some(Process::Conductor(tables)) = view.process(conductor) else { return Vec::new() };
        let known = |actor: &Actor| tables.services.get(actor).is_some_and(|row| !row.over);
        let lives =
            |actor: &Actor| view.process(Address { actor: *actor, incarnation: None }).is_some();
        let actors = view.processes().map(|(address, _)| address.actor);
        let new = actors.filter(|actor| *actor != conductor.actor && !known(actor));
        let gone = tables.services.keys().copied().filter(|actor| known(actor) && !lives(actor));
        let new = new.map(Tiding::Joined);
        new.chain(gone.map(Tiding::Over)).map(|tiding| (conductor, tiding)).collect()
    }

    fn has_left(_: &Process) -> bool {
        false
    }

    fn observe(
        step: Observed<'_, Self>,
        _: &Cluster<Self>,
        history: &mut History,
        coverage: Option<&mut Coverage<Notice>>,
    ) -> Vec<(usize, Violation)> {
        watch::observe(&step, history, coverage)
    }

    fn ended(process: &Process, history: &mut History) {
        history.ended(Self::address(process).actor);
    }

    fn safety() -> &'static [Property] {
        &watch::SAFETY
    }

    fn liveness() -> &'static [Property] {
        &watch::LIVENESS
    }

    fn goal<'a>(_: &World<Self>, view: &'a impl View<Self>, liveness: usize) -> Option<Unmet<'a>> {
        let violation = watch::goal(view, liveness)?;
        Some(Box::new(move || violation.clone()))
    }

    fn parts(process: &Process) -> Parts {
        match process.clone() {
            Process::Node(node) => Parts::Node(node),
            Process::Shared(scheduler) => Parts::Shared(scheduler),
            Process::Reader(scheduler) => Parts::Reader(scheduler),
            Process::Writer(scheduler) => Parts::Writer(scheduler),
            Process::Conductor(conductor) => Parts::Conductor(conductor),
        }
    }

    fn assemble(setting: &Given<Setting>, parts: Parts) -> Process {
        let setting = setting.clone();
        match parts {
            Parts::Node(node) => Process::Node(Node { setting, ..node }),
            Parts::Shared(scheduler) => Process::Shared(scheduler),
            Parts::Reader(scheduler) => Process::Reader(Reader { setting, ..scheduler }),
            Parts::Writer(scheduler) => Process::Writer(Writer { setting, ..scheduler }),
            Parts::Conductor(conductor) => Process::Conductor(Conductor { setting, ..conductor }),
        }
    }

    fn disk_parts(disk: &Disk) -> Disk {
        disk.clone()
    }

    fn assemble_disk(parts: Disk) -> Disk {
        parts
    }

    fn witnesses() -> &'static [&'static str] {
        &[]
    }

    fn rules() -> &'static [Rule] {
        &[]
    }

    fn decisions() -> Vec<(&'static str, Vec<Notice>)> {
        Notice::decisions()
    }
}

/// The schedulers that live.
fn schedulers(view: &impl View<Seed>) -> impl Iterator<Item = SchedulerId> {
    view.processes().filter_map(|(address, _)| match address.actor {
        Actor::Scheduler(scheduler) => Some(scheduler),
        Actor::Node(_) | Actor::Client(_) => None,
    })
}
