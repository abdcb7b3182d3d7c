//! What happens in the world, as the inputs of the machines.

use super::{Counterfoil, Letter, NOBODY, Order, Pick, Process, Question, nodes};
use crate::cluster::World;
use crate::protocol::{Event, Observed, Protocol, Tiding};
use crate::scenario::Outside;
use crate::view::View;
use counterfoil_properties::Process as Stepped;
use counterfoil_protocol::{
    Actor, Address, AttemptId, AttemptNumber, Call, Client, ClientId, Demand, Machine, NodeId,
    RequestId, Status, Timer, client, node, scheduler,
};

/// What an outside input is to the process that it reaches; `None` if it cannot happen now.
pub(super) fn outside(
    world: &World<Counterfoil>,
    view: &impl View<Counterfoil>,
    index: u8,
    at: Option<Address>,
) -> Option<(Address, Event<Counterfoil>)> {
    let outside = &world.outside[usize::from(index)];
    let first_client = Actor::Client(ClientId(1));
    let (actor, order) = match outside {
        Outside::Place(request) => {
            let demand = request.demand();
            if !world.scenario.clients {
                let at = at?;
                let Actor::Scheduler(scheduler) = at.actor else { return None };
                let there = request.at.is_none_or(|only| only == scheduler);
                let order = Order::Call(NOBODY, call(request.id, demand));
                return there.then_some((at, Event::Order(order)));
            }
            (first_client, Order::Client(client::Order::Place(request.id, demand)))
        }
        Outside::PlaceTogether(requests) => {
            let demands = requests.iter().map(|(id, request)| (*id, request.demand())).collect();
            (first_client, Order::Client(client::Order::PlaceTogether(demands)))
        }
        Outside::Release(request) => {
            (first_client, Order::Client(client::Order::Release(*request)))
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
        Outside::Join(_) | Outside::Disable(_) => return None,
    };
    if at.is_some() {
        return None;
    }
    let address = view.receiver(Address { actor, incarnation: None })?;
    let event = Event::Order(order);
    // An order that changes nothing now is given later.
    let changes = || {
        let before = view.process(address).expect("it receives");
        let mut after = before.clone();
        Counterfoil::handle(&mut after, event.clone(), &mut Vec::new());
        after != *before
    };
    let question = Question::OrderChanges as u32 + u32::from(index);
    view.ask(question, [address, address], changes).then_some((address, event))
}

/// What configuration or discovery has to tell: schedulers of nodes, and clients of nodes that have
/// left while they wait for them.
pub(super) fn tidings(view: &impl View<Counterfoil>) -> Vec<(Address, Tiding)> {
    let mut tidings = Vec::new();
    for (address, process) in view.processes() {
        let tell = |tiding| (address, tiding);
        match process {
            Process::Scheduler(scheduler) if !scheduler.stopped => {
                let unmet = nodes(view).filter(|node| !scheduler.nodes.contains_key(&node.id));
                tidings.extend(unmet.map(|n| tell(Tiding::Joined(Actor::Node(n.id)))));
            }
            Process::Client(client) => {
                let over = left(view).filter(|node| waits_for(client, *node));
                tidings.extend(over.map(|node| tell(Tiding::Over(Actor::Node(node)))));
            }
            Process::Scheduler(_) | Process::Node(_) => {}
        }
    }
    tidings
}

/// The nodes that have left.
fn left(view: &impl View<Counterfoil>) -> impl Iterator<Item = NodeId> {
    view.processes().filter_map(|(_, process)| match process {
        Process::Node(node) if node.left => Some(node.id),
        Process::Node(_) | Process::Scheduler(_) | Process::Client(_) => None,
    })
}

/// Whether a client waits for an answer of this node.
fn waits_for(client: &Client, node: NodeId) -> bool {
    let of_node = |timer: &Timer| matches!(timer, Timer::Resend(claim) if claim.node == node);
    client.timers().iter().any(of_node)
}

/// The first attempt of a request.
fn call(request: RequestId, demand: Demand) -> Call {
    let number = AttemptNumber(1);
    Call { attempt: AttemptId { request, number }, demand: demand.into() }
}

/// What an event is to a node; `None` if it is nothing to it.
pub fn node_input(event: Event<Counterfoil>) -> Option<node::Input> {
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

/// What an event is to a scheduler; `None` if it is nothing to it.
pub fn scheduler_input(event: Event<Counterfoil>) -> Option<scheduler::Input> {
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

/// What an event is to a client; `None` if it is nothing to it.
pub fn client_input(event: Event<Counterfoil>) -> Option<client::Input> {
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
pub(super) enum AnyInput {
    Node(node::Input),
    Scheduler(scheduler::Input),
    Client(client::Input),
}

/// The step as the properties see it.
pub(super) fn stepped<'a>(
    step: &Observed<'a, Counterfoil>,
    input: &'a mut Option<AnyInput>,
) -> Stepped<'a> {
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
