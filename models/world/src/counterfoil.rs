//! The update/claim protocol in this world.

mod input;
mod parts;
mod timing;
mod told;
mod watch;

use crate::cluster::{Cluster, World};
use crate::protocol::{Coverage, Effect, Event, Firing, Observed, Property, Protocol, Tiding};
use crate::scenario::{Design, Fault, Scenario};
use crate::view::View;
use counterfoil_properties::{History, Liveness, Safety, Unmet, Violation, Witness};
use counterfoil_protocol::scheduler::Eligibility;
use counterfoil_protocol::{
    Actor, Address, Answer, AttemptId, Call, Choice, Client, ClientId, Config, Datagram, Given,
    Guard, Limits, Machine, Node, NodeId, Notice, Output, Record, Rule, Scheduler, SchedulerId,
    Timer, client, node, scheduler,
};
pub use input::{client_input, node_input, scheduler_input};
use parts::{DiskParts, NodeParts, Parts, SchedulerParts};
use serde::{Deserialize, Serialize};

/// The update/claim protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counterfoil;

/// Any of its machines.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Process {
    /// A node.
    Node(Node),
    /// A scheduler.
    Scheduler(Scheduler),
    /// A client.
    Client(Client),
}

/// What any of its actors keeps on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Disk {
    /// A node's.
    Node(node::Disk),
    /// A scheduler's.
    Scheduler(scheduler::Disk),
    /// A client's.
    Client(client::Disk),
}

/// What goes over a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Letter {
    /// To a scheduler.
    Call(Call),
    /// To a client.
    Answer(Answer),
}

/// A driver's choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// A node for an attempt, or none.
    Node(AttemptId, Option<NodeId>),
    /// A scheduler for an attempt.
    Scheduler(AttemptId, SchedulerId),
}

/// What an operator or user orders.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Of a node.
    Node(node::Order),
    /// Of a client.
    Client(client::Order),
    /// Of a scheduler, where the scenario has no clients: a call that nobody answers for.
    Call(ClientId, Call),
}

/// What is asked of two processes, or of one.
enum Question {
    /// Whether a scheduler has nothing to learn from a node, and is subscribed to it.
    UpToDate,
    /// Whether a scheduler and a node have converged.
    Converged,
    /// Whether everything has ended that was asked of a scheduler or client.
    Ended,
    /// Whether nothing leaks from a node to a client.
    NoLeak,
    /// Whether an order from outside changes a process; to be added to its index.
    OrderChanges = 256,
}

/// Stands for whoever calls in a scenario without clients.
const NOBODY: ClientId = ClientId(0);

const SAFETY: [Property; Safety::ALL.len()] = {
    let mut all = [Property { name: "", statement: "" }; Safety::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        let property = Safety::ALL[index];
        all[index] = Property { name: property.name(), statement: property.statement() };
        index += 1;
    }
    all
};

const LIVENESS: [Property; Liveness::ALL.len()] = {
    let mut all = [Property { name: "", statement: "" }; Liveness::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        let property = Liveness::ALL[index];
        all[index] = Property { name: property.name(), statement: property.statement() };
        index += 1;
    }
    all
};

const WITNESSES: [&str; Witness::ALL.len()] = {
    let mut all = [""; Witness::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = Witness::ALL[index].name();
        index += 1;
    }
    all
};

impl Protocol for Counterfoil {
    type Process = Process;
    type Disk = Disk;
    type Parts = Parts;
    type DiskParts = DiskParts;
    type Datagram = Datagram;
    type Letter = Letter;
    type Timer = Timer;
    type Choice = Choice;
    type Pick = Pick;
    type Order = Order;
    type Output = Output;
    type History = History;
    type Setting = Given<Config>;
    type Arm = Notice;

    const PATH: &'static str = "counterfoil_world::Counterfoil";

    fn speaks(design: Design) -> bool {
        design == Design::Counterfoil
    }

    fn setting(scenario: &Scenario) -> Given<Config> {
        let limits: Limits = scenario.limits.clone();
        Given::new(Config { rules: scenario.rules(), limits, ..Config::default() })
    }

    fn disk(scenario: &Scenario, actor: Actor) -> Disk {
        match actor {
            Actor::Node(NodeId(number)) => {
                Disk::Node(node::Disk::new(scenario.nodes[number as usize - 1].clone()))
            }
            Actor::Scheduler(_) => Disk::Scheduler(scheduler::Disk::default()),
            Actor::Client(_) => Disk::Client(client::Disk::default()),
        }
    }

    fn start(
        config: &Given<Config>,
        actor: Actor,
        disk: &Disk,
        outputs: &mut Vec<Output>,
    ) -> Process {
        let config = config.clone();
        match (actor, disk.clone()) {
            (Actor::Node(id), Disk::Node(disk)) => {
                Process::Node(Node::start(id, disk, config, outputs))
            }
            (Actor::Scheduler(id), Disk::Scheduler(disk)) => {
                Process::Scheduler(Scheduler::start(id, disk, config, outputs))
            }
            (Actor::Client(id), Disk::Client(disk)) => {
                Process::Client(Client::start(id, disk, config, outputs))
            }
            (Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_), disk) => {
                unreachable!("{actor} has the disk of another role: {disk:?}")
            }
        }
    }

    fn address(process: &Process) -> Address {
        let (actor, incarnation) = match process {
            Process::Node(node) => (Actor::Node(node.id), Some(node.incarnation())),
            Process::Scheduler(s) => (Actor::Scheduler(s.id), Some(s.incarnation)),
            Process::Client(client) => (Actor::Client(client.id), None),
        };
        Address { actor, incarnation }
    }

    fn handle(process: &mut Process, event: Event<Self>, outputs: &mut Vec<Output>) {
        match process {
            Process::Node(node) => {
                if let Some(input) = node_input(event) {
                    node.handle(input, outputs);
                }
            }
            Process::Scheduler(scheduler) => {
                if let Some(input) = scheduler_input(event) {
                    scheduler.handle(input, outputs);
                    // States that differ in the numbers of turns alone count as one.
                    scheduler.attempts.count_turns_anew();
                }
            }
            Process::Client(client) => {
                if let Some(input) = client_input(event) {
                    client.handle(input, outputs);
                }
            }
        }
    }

    fn effect(output: &Output) -> Effect<'_, Self> {
        match output {
            Output::Persist(_) => Effect::Persist,
            Output::Send(datagram) => Effect::Send(datagram),
            Output::Call(to, call) => {
                Effect::Letter(Actor::Scheduler(*to), Letter::Call(call.clone()))
            }
            Output::Answer(to, answer) => {
                Effect::Letter(Actor::Client(*to), Letter::Answer(answer.clone()))
            }
            Output::Choose(choice) => Effect::Choose(choice),
            Output::SetTimer { timer, .. } => Effect::SetTimer(timer),
            Output::Ended(..) | Output::Notice(_) => Effect::Nothing,
        }
    }

    fn write(disk: &mut Disk, output: &Output) {
        let Output::Persist(record) = output else { return };
        match (disk, record) {
            (Disk::Node(disk), Record::Node(change)) => disk.apply(change),
            (Disk::Scheduler(disk), Record::Scheduler(change)) => disk.apply(change),
            (Disk::Client(disk), Record::Client(change)) => disk.apply(change),
            (Disk::Node(_) | Disk::Scheduler(_) | Disk::Client(_), record) => {
                unreachable!("a record of another role: {record:?}")
            }
        }
    }

    fn destination(datagram: &Datagram) -> Address {
        match datagram.dst.actor {
            // A node answers for its earlier lives too.
            Actor::Node(_) | Actor::Client(_) => Address { incarnation: None, ..datagram.dst },
            Actor::Scheduler(_) => datagram.dst,
        }
    }

    fn source(datagram: &Datagram) -> Address {
        datagram.src
    }

    fn is_old_news(may: &dyn Fn(Fault) -> bool, process: &Process, datagram: &Datagram) -> bool {
        timing::is_old_news(may, process, datagram)
    }

    fn timers(process: &Process) -> Vec<Timer> {
        match process {
            Process::Node(node) => node.timers(),
            Process::Scheduler(scheduler) => scheduler.timers(),
            Process::Client(client) => client.timers(),
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
        match (choice, view.process(at)) {
            (Choice::Node(id), Some(Process::Scheduler(scheduler))) => {
                let Some(attempt) = scheduler.attempts.get(id) else {
                    return vec![Pick::Node(*id, None)];
                };
                let fit =
                    |node: &NodeId| scheduler.eligibility(attempt, *node) == Eligibility::Eligible;
                let nodes: Vec<Pick> = scheduler
                    .nodes
                    .keys()
                    .filter(|node| fit(node))
                    .map(|node| Pick::Node(*id, Some(*node)))
                    .collect();
                if nodes.is_empty() { vec![Pick::Node(*id, None)] } else { nodes }
            }
            (Choice::Scheduler(id), Some(Process::Client(_))) => {
                let request = world.scenario.requests.iter().find(|r| r.id == id.request);
                let first = if id.number.0 == 1 { request.and_then(|r| r.at) } else { None };
                schedulers(view)
                    .filter(|scheduler| first.is_none_or(|at| at == *scheduler))
                    .map(|scheduler| Pick::Scheduler(*id, scheduler))
                    .collect()
            }
            (Choice::Node(_) | Choice::Scheduler(_), _) => Vec::new(),
        }
    }

    fn outside(
        world: &World<Self>,
        view: &impl View<Self>,
        index: u8,
        at: Option<Address>,
    ) -> Option<(Address, Event<Self>)> {
        input::outside(world, view, index, at)
    }

    fn tidings(view: &impl View<Self>) -> Vec<(Address, Tiding)> {
        input::tidings(view)
    }

    fn has_left(process: &Process) -> bool {
        match process {
            Process::Node(node) => node.left,
            Process::Scheduler(scheduler) => scheduler.stopped,
            Process::Client(_) => false,
        }
    }

    fn observe(
        step: Observed<'_, Self>,
        cluster: &Cluster<Self>,
        history: &mut History,
        coverage: Option<&mut Coverage<Notice>>,
    ) -> Vec<(usize, Violation)> {
        watch::observe(step, cluster, history, coverage)
    }

    fn ended(process: &Process, history: &mut History) {
        if let Process::Scheduler(scheduler) = process {
            history.scheduler_ended(scheduler.id, scheduler.incarnation);
        }
    }

    fn safety() -> &'static [Property] {
        &SAFETY
    }

    fn liveness() -> &'static [Property] {
        &LIVENESS
    }

    fn goal<'a>(
        world: &World<Self>,
        view: &'a impl View<Self>,
        liveness: usize,
    ) -> Option<Unmet<'a>> {
        watch::goal(world, view, liveness)
    }

    fn is_reached(world: &World<Self>, view: &impl View<Self>, liveness: usize) -> bool {
        watch::is_reached(world, view, liveness)
    }

    fn parts(process: &Process) -> Parts {
        match process.clone() {
            Process::Node(node) => Parts::Node(NodeParts {
                id: node.id,
                durable: node.durable,
                version: node.version,
                announced: node.announced,
                recent: node.recent,
                subscribers: node.subscribers,
                fences: node.fences,
                left: node.left,
            }),
            Process::Scheduler(scheduler) => Parts::Scheduler(SchedulerParts {
                id: scheduler.id,
                incarnation: scheduler.incarnation,
                stopped: scheduler.stopped,
                nodes: scheduler.nodes,
                attempts: scheduler.attempts,
            }),
            Process::Client(client) => Parts::Client(client.id, client.requests),
        }
    }

    fn assemble(config: &Given<Config>, parts: Parts) -> Process {
        let (config, mut said) = (config.clone(), Vec::new());
        match parts {
            Parts::Node(parts) => {
                let mut node = Node::start(parts.id, parts.durable.clone(), config, &mut said);
                node.durable = parts.durable;
                node.version = parts.version;
                node.announced = parts.announced;
                node.recent = parts.recent;
                node.subscribers = parts.subscribers;
                node.fences = parts.fences;
                node.left = parts.left;
                Process::Node(node)
            }
            Parts::Scheduler(parts) => {
                let disk = scheduler::Disk::default();
                let mut scheduler = Scheduler::start(parts.id, disk, config, &mut said);
                scheduler.incarnation = parts.incarnation;
                scheduler.stopped = parts.stopped;
                scheduler.nodes = parts.nodes;
                scheduler.attempts = parts.attempts;
                Process::Scheduler(scheduler)
            }
            Parts::Client(id, requests) => {
                let disk = client::Disk::default();
                let mut client = Client::start(id, disk, config, &mut said);
                client.requests = requests;
                Process::Client(client)
            }
        }
    }

    fn disk_parts(disk: &Disk) -> DiskParts {
        match disk.clone() {
            Disk::Node(disk) => DiskParts::Node(disk),
            Disk::Scheduler(disk) => DiskParts::Scheduler(disk),
            Disk::Client(disk) => DiskParts::Client(disk),
        }
    }

    fn assemble_disk(parts: DiskParts) -> Disk {
        match parts {
            DiskParts::Node(disk) => Disk::Node(disk),
            DiskParts::Scheduler(disk) => Disk::Scheduler(disk),
            DiskParts::Client(disk) => Disk::Client(disk),
        }
    }

    fn told_arm(world: &World<Self>, arm: Notice) -> String {
        told::arm(world.scenario.rules(), arm)
    }

    fn is_bookkeeping(field: &str) -> bool {
        told::BOOKKEEPING.contains(&field)
    }

    fn witnesses() -> &'static [&'static str] {
        &WITNESSES
    }

    fn rules() -> &'static [Rule] {
        &Rule::ALL
    }

    fn decisions() -> Vec<(&'static str, Vec<Notice>)> {
        let arms = |guard: Guard| Notice::ALL.iter().filter(move |arm| arm.guard() == guard);
        Guard::ALL.iter().map(|guard| (guard.name(), arms(*guard).copied().collect())).collect()
    }
}

/// The nodes that have not left.
fn nodes(view: &impl View<Counterfoil>) -> impl Iterator<Item = &Node> {
    view.processes().filter_map(|(_, process)| match process {
        Process::Node(node) if !node.left => Some(node),
        Process::Node(_) | Process::Scheduler(_) | Process::Client(_) => None,
    })
}

/// The schedulers that have not stopped, each once.
fn schedulers(view: &impl View<Counterfoil>) -> impl Iterator<Item = SchedulerId> {
    let mut ids: Vec<SchedulerId> = view
        .processes()
        .filter_map(|(_, process)| match process {
            Process::Scheduler(scheduler) if !scheduler.stopped => Some(scheduler.id),
            Process::Scheduler(_) | Process::Node(_) | Process::Client(_) => None,
        })
        .collect();
    ids.dedup();
    ids.into_iter()
}

/// The latest life of an actor, if it has not gone.
fn live(view: &impl View<Counterfoil>, actor: Actor) -> Option<&Process> {
    let address = view.receiver(Address { actor, incarnation: None })?;
    view.process(address).filter(|process| !Counterfoil::has_left(process))
}
