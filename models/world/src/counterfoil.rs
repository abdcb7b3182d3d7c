//! The update/claim protocol in this world.

use crate::cluster::{Cluster, World};
use crate::protocol::{Coverage, Effect, Event, Firing, Observed, Property, Protocol, Tiding};
use crate::scenario::{Fault, Lapses, Outside, Scenario, Timers};
use counterfoil_properties::{
    Check, History, Liveness, Process as Stepped, Safety, Step, Violation, Witness,
};
use counterfoil_protocol::scheduler::Eligibility;
use counterfoil_protocol::{
    Actor, Address, Answer, AttemptId, Body, Call, Choice, Client, ClientId, Config, Datagram,
    Demand, Given, Limits, Machine, Node, NodeId, Notice, Output, Record, RequestId, Scheduler,
    SchedulerId, Status, Timer, client, node, scheduler,
};
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

    fn is_old_news(cluster: &Cluster<Self>, process: &Process, datagram: &Datagram) -> bool {
        let may = |fault| cluster.budget.get(&fault).is_some_and(|times| *times > 0);
        match process {
            // A sign of life matters to who suspects, so where suspicion is possible nothing is old.
            Process::Scheduler(scheduler) if !may(Fault::Suspicion) => {
                is_old_for_scheduler(scheduler, datagram)
            }
            // A client that starts again waits again for what it was told.
            Process::Client(client) if !may(Fault::ClientRestart) => match &datagram.body {
                Body::Verdict(verdict) => !client.timers().contains(&Timer::Resend(verdict.claim)),
                Body::Claim(_)
                | Body::Confirm(_)
                | Body::Release(_)
                | Body::Delta(_)
                | Body::Snapshot(_)
                | Body::Resync(_)
                | Body::Leave(_)
                | Body::Superseded { .. } => false,
            },
            Process::Scheduler(_) | Process::Client(_) | Process::Node(_) => false,
        }
    }

    fn timers(process: &Process) -> Vec<Timer> {
        match process {
            Process::Node(node) => node.timers(),
            Process::Scheduler(scheduler) => scheduler.timers(),
            Process::Client(client) => client.timers(),
        }
    }

    fn firing(world: &World<Self>, cluster: &Cluster<Self>, at: Address, timer: &Timer) -> Firing {
        let late = world.scenario.timers != Timers::Any;
        let fair_unless = |waits: bool| if late && waits { Firing::Not } else { Firing::Fair };
        match timer {
            Timer::Announce => {
                let calm = world.scenario.timers == Timers::Calm;
                let before = |d: &Datagram| matches!(d.body, Body::Delta(_) | Body::Snapshot(_));
                let under_way = || in_flight(cluster, |d| d.src.actor == at.actor && before(d));
                fair_unless(announces_nothing(cluster, at) || (calm && under_way()))
            }
            Timer::Lapse(_) => match world.scenario.lapses {
                Lapses::Free => Firing::Fair,
                Lapses::Budget => Firing::Fault(Fault::Lapse),
            },
            Timer::Forget(_) => Firing::Fault(Fault::Forget),
            Timer::Resync(node) => fair_unless(resyncs_nothing(cluster, at, *node)),
            Timer::Resend(claim) => fair_unless(in_flight(cluster, |d| match &d.body {
                Body::Claim(about) => about.claim == *claim && d.src.actor == at.actor,
                Body::Verdict(about) => about.claim == *claim && d.dst.actor == at.actor,
                Body::Confirm(about) | Body::Release(about) => about == claim,
                Body::Delta(_)
                | Body::Snapshot(_)
                | Body::Resync(_)
                | Body::Leave(_)
                | Body::Superseded { .. } => false,
            })),
            Timer::Suspect(node) if live(cluster, Actor::Node(*node)).is_none() => Firing::Fair,
            Timer::Suspect(_) => Firing::Fault(Fault::Suspicion),
            Timer::Retry(_) => Firing::Fair,
            Timer::Impatience(_) => Firing::Fault(Fault::Impatience),
        }
    }

    fn picks(
        world: &World<Self>,
        cluster: &Cluster<Self>,
        at: Address,
        choice: &Choice,
    ) -> Vec<Pick> {
        match (choice, cluster.processes.get(&at).map(|process| &**process)) {
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
                schedulers(cluster)
                    .filter(|scheduler| first.is_none_or(|at| at == *scheduler))
                    .map(|scheduler| Pick::Scheduler(*id, scheduler))
                    .collect()
            }
            (Choice::Node(_) | Choice::Scheduler(_), _) => Vec::new(),
        }
    }

    fn outside(
        world: &World<Self>,
        cluster: &Cluster<Self>,
        outside: &Outside,
        at: Option<Address>,
    ) -> Option<(Address, Event<Self>)> {
        let (actor, order) = match outside {
            Outside::Place(request) => {
                let demand = Demand { resources: request.resources.clone(), ..Demand::default() };
                if world.scenario.clients {
                    let order = client::Order::Place(request.id, demand);
                    (Actor::Client(ClientId(1)), Order::Client(order))
                } else {
                    let at = at?;
                    let Actor::Scheduler(scheduler) = at.actor else { return None };
                    if request.at.is_some_and(|only| only != scheduler) {
                        return None;
                    }
                    return Some((at, Event::Order(Order::Call(NOBODY, call(request.id, demand)))));
                }
            }
            Outside::Release(request) => {
                (Actor::Client(ClientId(1)), Order::Client(client::Order::Release(*request)))
            }
            Outside::Drain(node) => {
                (Actor::Node(*node), Order::Node(node::Order::Status(Status::Draining)))
            }
            Outside::Undrain(node) => {
                (Actor::Node(*node), Order::Node(node::Order::Status(Status::Up)))
            }
            Outside::Inventory(node, inventory) => {
                (Actor::Node(*node), Order::Node(node::Order::Inventory(inventory.clone())))
            }
            Outside::Leave(node) => (Actor::Node(*node), Order::Node(node::Order::Leave)),
            Outside::Join(_) => return None,
        };
        if at.is_some() {
            return None;
        }
        let address = cluster.receiver(Address { actor, incarnation: None })?;
        // An order that changes nothing now is given later.
        let before = cluster.processes.get(&address)?;
        let mut after = (**before).clone();
        let event = Event::Order(order);
        Self::handle(&mut after, event.clone(), &mut Vec::new());
        (after != **before).then_some((address, event))
    }

    fn tidings(cluster: &Cluster<Self>) -> Vec<(Address, Tiding)> {
        let mut tidings = Vec::new();
        for (address, process) in cluster.processes.iter() {
            match &**process {
                Process::Scheduler(scheduler) if !scheduler.stopped => {
                    let unmet =
                        nodes(cluster).filter(|node| !scheduler.nodes.contains_key(&node.id));
                    tidings.extend(unmet.map(|n| (*address, Tiding::Joined(Actor::Node(n.id)))));
                }
                Process::Client(client) => {
                    let gone = cluster.processes.values().filter_map(|process| match &**process {
                        Process::Node(node) if node.left => Some(node.id),
                        Process::Node(_) | Process::Scheduler(_) | Process::Client(_) => None,
                    });
                    let waits = |node: &NodeId| {
                        client.timers().iter().any(
                            |timer| matches!(timer, Timer::Resend(claim) if claim.node == *node),
                        )
                    };
                    let over = gone.filter(waits);
                    tidings.extend(over.map(|node| (*address, Tiding::Over(Actor::Node(node)))));
                }
                Process::Scheduler(_) | Process::Node(_) => {}
            }
        }
        tidings
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
        let mut input = None;
        let step = Step { process: stepped(&step, &mut input), outputs: step.outputs };
        history.observe(&step);
        let mut violations = Vec::new();
        let mut premises = [false; Safety::ALL.len()];
        for (index, property) in Safety::ALL.into_iter().enumerate() {
            match property.check(&step, history) {
                Check::Vacuous => {}
                Check::Holds => premises[index] = true,
                Check::Violated(violation) => {
                    premises[index] = true;
                    violations.push((index, violation));
                }
            }
        }
        history.forget_settled(&step);
        if let Some(coverage) = coverage {
            coverage.steps += 1;
            for (index, premise) in premises.into_iter().enumerate() {
                coverage.premises[index] += u64::from(premise);
            }
            for output in step.outputs {
                if let Output::Notice(notice) = output {
                    *coverage.arms.entry(*notice).or_default() += 1;
                }
            }
            let in_flight = || cluster.network.iter().map(|(datagram, _)| &**datagram).collect();
            let lives = |datagram: &Datagram| match &datagram.body {
                Body::Confirm(claim) => cluster.processes.contains_key(&Address {
                    actor: Actor::Scheduler(claim.scheduler),
                    incarnation: Some(claim.incarnation),
                }),
                Body::Claim(_)
                | Body::Verdict(_)
                | Body::Release(_)
                | Body::Delta(_)
                | Body::Snapshot(_)
                | Body::Resync(_)
                | Body::Leave(_)
                | Body::Superseded { .. } => true,
            };
            for witness in Witness::seen(&step, in_flight, lives) {
                coverage.witnesses[witness as usize] += 1;
            }
        }
        violations
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
        cluster: &'a Cluster<Self>,
        liveness: usize,
    ) -> Option<counterfoil_properties::Unmet<'a>> {
        let liveness = Liveness::ALL[liveness];
        // Where holds lapse only by a budget, one may be left over when it is used up.
        if liveness == Liveness::NoLeak && world.scenario.lapses == Lapses::Budget {
            return None;
        }
        let mut now = counterfoil_properties::Snapshot {
            nodes: Vec::new(),
            schedulers: Vec::new(),
            clients: Vec::new(),
        };
        for process in cluster.processes.values() {
            match &**process {
                Process::Node(node) if !node.left => now.nodes.push(node),
                Process::Scheduler(scheduler) if !scheduler.stopped => {
                    now.schedulers.push(scheduler)
                }
                Process::Client(client) => now.clients.push(client),
                Process::Node(_) | Process::Scheduler(_) => {}
            }
        }
        liveness.check(&now)
    }

    fn witnesses() -> &'static [&'static str] {
        &WITNESSES
    }
}

fn call(request: RequestId, demand: Demand) -> Call {
    let number = counterfoil_protocol::AttemptNumber(1);
    Call { attempt: AttemptId { request, number }, demand }
}

fn node_input(event: Event<Counterfoil>) -> Option<node::Input> {
    match event {
        Event::Datagram(datagram) => Some(node::Input::Datagram(datagram)),
        Event::Timer(timer) => Some(node::Input::Timer(timer)),
        Event::Order(Order::Node(order)) => Some(node::Input::Order(order)),
        Event::Order(Order::Client(_) | Order::Call(..))
        | Event::Letter(..)
        | Event::Broken(_)
        | Event::Picked(_)
        | Event::Tiding(_) => None,
    }
}

fn scheduler_input(event: Event<Counterfoil>) -> Option<scheduler::Input> {
    match event {
        Event::Datagram(datagram) => Some(scheduler::Input::Datagram(datagram)),
        Event::Timer(timer) => Some(scheduler::Input::Timer(timer)),
        Event::Letter(Actor::Client(from), Letter::Call(call))
        | Event::Order(Order::Call(from, call)) => Some(scheduler::Input::Call(from, call)),
        Event::Broken(Actor::Client(from)) => Some(scheduler::Input::Disconnected(from)),
        Event::Picked(Pick::Node(attempt, node)) => Some(scheduler::Input::Chosen(attempt, node)),
        Event::Tiding(Tiding::Joined(Actor::Node(node))) => Some(scheduler::Input::Meet(node)),
        Event::Letter(..)
        | Event::Order(Order::Node(_) | Order::Client(_))
        | Event::Broken(_)
        | Event::Picked(Pick::Scheduler(..))
        | Event::Tiding(_) => None,
    }
}

fn client_input(event: Event<Counterfoil>) -> Option<client::Input> {
    match event {
        Event::Datagram(datagram) => Some(client::Input::Datagram(datagram)),
        Event::Timer(timer) => Some(client::Input::Timer(timer)),
        Event::Letter(_, Letter::Answer(answer)) => Some(client::Input::Answer(answer)),
        Event::Broken(Actor::Scheduler(from)) => Some(client::Input::Disconnected(from)),
        Event::Picked(Pick::Scheduler(attempt, to)) => Some(client::Input::Chosen(attempt, to)),
        Event::Order(Order::Client(order)) => Some(client::Input::Order(order)),
        Event::Tiding(Tiding::Over(Actor::Node(node))) => {
            Some(client::Input::Order(client::Order::NodeOver(node)))
        }
        Event::Letter(_, Letter::Call(_))
        | Event::Order(Order::Node(_) | Order::Call(..))
        | Event::Broken(_)
        | Event::Picked(Pick::Node(..))
        | Event::Tiding(_) => None,
    }
}

/// The input of any role, kept alive while a step is judged.
enum AnyInput {
    Node(node::Input),
    Scheduler(scheduler::Input),
    Client(client::Input),
}

/// The step as the properties see it.
fn stepped<'a>(step: &Observed<'a, Counterfoil>, input: &'a mut Option<AnyInput>) -> Stepped<'a> {
    let event = step.event.cloned();
    *input = event.and_then(|event| match step.after {
        Process::Node(_) => node_input(event).map(AnyInput::Node),
        Process::Scheduler(_) => scheduler_input(event).map(AnyInput::Scheduler),
        Process::Client(_) => client_input(event).map(AnyInput::Client),
    });
    let input = input.as_ref();
    match step.after {
        Process::Node(after) => Stepped::Node {
            before: step.before.and_then(|p| if let Process::Node(n) = p { Some(n) } else { None }),
            input: input.and_then(|i| if let AnyInput::Node(i) = i { Some(i) } else { None }),
            after,
        },
        Process::Scheduler(after) => Stepped::Scheduler {
            before: step
                .before
                .and_then(|p| if let Process::Scheduler(s) = p { Some(s) } else { None }),
            input: input.and_then(|i| if let AnyInput::Scheduler(i) = i { Some(i) } else { None }),
            after,
        },
        Process::Client(after) => Stepped::Client {
            before: step
                .before
                .and_then(|p| if let Process::Client(c) = p { Some(c) } else { None }),
            input: input.and_then(|i| if let AnyInput::Client(i) = i { Some(i) } else { None }),
            after,
        },
    }
}

/// Whether a scheduler knows for good what a node says: stamps and verdicts are never unlearnt.
fn is_old_for_scheduler(scheduler: &Scheduler, datagram: &Datagram) -> bool {
    let (Actor::Node(node), Some(incarnation)) = (datagram.src.actor, datagram.src.incarnation)
    else {
        return false;
    };
    let Some(peer) = scheduler.nodes.get(&node) else { return false };
    let known = |version| {
        let stamp = counterfoil_protocol::Stamp { incarnation, version };
        peer.host.as_ref().is_some_and(|host| stamp <= host.stamp)
    };
    match &datagram.body {
        Body::Delta(delta) => known(delta.to),
        Body::Snapshot(snapshot) => known(snapshot.at),
        Body::Verdict(verdict) => {
            let claim = peer.claims.get(&verdict.claim.number);
            let grants = matches!(
                verdict.decision,
                counterfoil_protocol::Decision::Granted { .. }
                    | counterfoil_protocol::Decision::Confirmed { .. }
            );
            verdict.claim.number < peer.next
                && claim.is_none_or(|claim| claim.granted.is_some() && grants)
        }
        Body::Claim(_)
        | Body::Confirm(_)
        | Body::Release(_)
        | Body::Resync(_)
        | Body::Leave(_)
        | Body::Superseded { .. } => false,
    }
}

/// The nodes that have not left.
fn nodes(cluster: &Cluster<Counterfoil>) -> impl Iterator<Item = &Node> {
    cluster.processes.values().filter_map(|process| match &**process {
        Process::Node(node) if !node.left => Some(node),
        Process::Node(_) | Process::Scheduler(_) | Process::Client(_) => None,
    })
}

/// The schedulers that have not stopped, each once.
fn schedulers(cluster: &Cluster<Counterfoil>) -> impl Iterator<Item = SchedulerId> {
    let mut ids: Vec<SchedulerId> = cluster
        .processes
        .values()
        .filter_map(|process| match &**process {
            Process::Scheduler(scheduler) if !scheduler.stopped => Some(scheduler.id),
            Process::Scheduler(_) | Process::Node(_) | Process::Client(_) => None,
        })
        .collect();
    ids.dedup();
    ids.into_iter()
}

/// The latest life of an actor, if it has not gone.
fn live(cluster: &Cluster<Counterfoil>, actor: Actor) -> Option<&Process> {
    let address = cluster.receiver(Address { actor, incarnation: None })?;
    let process = cluster.processes.get(&address)?;
    (!Counterfoil::has_left(process)).then_some(&**process)
}

fn in_flight(cluster: &Cluster<Counterfoil>, concerns: impl Fn(&Datagram) -> bool) -> bool {
    cluster.network.in_flight().any(concerns)
}

/// Whether an update or a resync between a node and a scheduler is in flight.
fn update_in_flight(cluster: &Cluster<Counterfoil>, node: Actor, scheduler: Actor) -> bool {
    in_flight(cluster, |d| match d.body {
        Body::Delta(_) | Body::Snapshot(_) | Body::Leave(_) => {
            d.src.actor == node && d.dst.actor == scheduler
        }
        Body::Resync(_) => d.src.actor == scheduler && d.dst.actor == node,
        Body::Claim(_)
        | Body::Verdict(_)
        | Body::Confirm(_)
        | Body::Release(_)
        | Body::Superseded { .. } => false,
    })
}

/// Whether a scheduler has nothing to learn from a node, and is subscribed to it.
fn up_to_date(cluster: &Cluster<Counterfoil>, scheduler: &Scheduler, node: &Node) -> bool {
    let peer = scheduler.nodes.get(&node.id);
    let knows = peer
        .and_then(|peer| peer.host.as_ref())
        .is_some_and(|host| host.stamp == node.stamp() && host.state == node.host_state());
    let present = peer.is_some_and(|peer| peer.presence == scheduler::Presence::Present);
    let subscribed = node.subscribers.get(&scheduler.id) == Some(&scheduler.incarnation);
    let superseded = cluster.processes.contains_key(&Address {
        actor: Actor::Scheduler(scheduler.id),
        incarnation: Some(scheduler.incarnation.next()),
    });
    knows && present && subscribed && !superseded
}

/// Whether a beat of this node would tell nobody anything now, or could wait for what is in flight.
fn announces_nothing(cluster: &Cluster<Counterfoil>, at: Address) -> bool {
    let Some(Process::Node(node)) = cluster.processes.get(&at).map(|process| &**process) else {
        return true;
    };
    if node.announced != node.version {
        return false;
    }
    let waits = |scheduler: &Scheduler| {
        let me = Actor::Scheduler(scheduler.id);
        let subscribed = node.subscribers.get(&scheduler.id) == Some(&scheduler.incarnation);
        subscribed
            && !up_to_date(cluster, scheduler, node)
            && !update_in_flight(cluster, at.actor, me)
    };
    !cluster.processes.values().any(|process| match &**process {
        Process::Scheduler(scheduler) => !scheduler.stopped && waits(scheduler),
        Process::Node(_) | Process::Client(_) => false,
    })
}

/// Whether a resync of this node would tell the scheduler nothing now, or could wait for what is in
/// flight.
fn resyncs_nothing(cluster: &Cluster<Counterfoil>, at: Address, node: NodeId) -> bool {
    let Some(Process::Scheduler(scheduler)) = cluster.processes.get(&at).map(|p| &**p) else {
        return true;
    };
    match live(cluster, Actor::Node(node)) {
        Some(Process::Node(to)) => {
            let subscribed = to.subscribers.get(&scheduler.id) == Some(&scheduler.incarnation);
            let will_be_told = subscribed && to.announced != to.version;
            will_be_told
                || up_to_date(cluster, scheduler, to)
                || update_in_flight(cluster, Actor::Node(node), at.actor)
        }
        Some(Process::Scheduler(_) | Process::Client(_)) | None => true,
    }
}
