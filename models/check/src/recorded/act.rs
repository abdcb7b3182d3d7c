//! Which action of the world an event of a recording is.

use super::tale::{AnyInput, Event};
use counterfoil_protocol::{
    Actor, Address, Answer, Call, ClientId, Datagram, Timer, client, node, scheduler,
};
use counterfoil_world::counterfoil::{Letter, Pick};
use counterfoil_world::protocol::Tiding;
use counterfoil_world::scenario::Outside;
use counterfoil_world::{Action, Counterfoil, Mail};
use std::mem::discriminant;

/// The client of the world.
pub(super) const CLIENT: Actor = Actor::Client(ClientId(1));

/// What an event is to the world.
pub(super) enum Deed {
    /// A datagram arrives.
    Datagram(Datagram),
    /// A timer fires.
    Timer(Timer),
    /// A letter arrives.
    Call(Call),
    /// A letter arrives.
    Answer(Answer),
    /// The connection to this actor broke.
    Broken(Actor),
    /// The driver answers.
    Pick(Pick),
    /// Configuration says something.
    Tell(Tiding),
    /// Something comes from outside.
    Outside(Outside),
    /// What the world does not know, and why that does no harm.
    Forget,
    /// A life begins.
    Start,
}

impl Deed {
    /// What an event is.
    pub(super) fn of(event: &Event, me: Actor) -> Deed {
        match &event.input {
            None => Deed::Start,
            Some(AnyInput::Node(input)) => of_node(input, me),
            Some(AnyInput::Scheduler(input)) => of_scheduler(input),
            Some(AnyInput::Client(input)) => of_client(input),
        }
    }

    /// Whether `action`, which can happen, is this at `me`.
    pub(super) fn is(&self, me: Actor, action: &Action<Counterfoil>, index: Option<u8>) -> bool {
        match (self, action) {
            (Deed::Datagram(recorded), Action::Deliver(sent)) => is_same(recorded, sent),
            (Deed::Timer(timer), Action::Fire(at, fires)) => at.actor == me && fires == timer,
            (Deed::Call(call), Action::Mail(Mail { to, letter: Some(Letter::Call(sent)), .. })) => {
                to.actor == me && sent == call
            }
            (Deed::Answer(answer), Action::Mail(Mail { to, letter: Some(letter), .. })) => {
                let Letter::Answer(sent) = letter else { return false };
                // Why nothing was placed is told to people in other words than to a client.
                let same = discriminant(&sent.placement) == discriminant(&answer.placement);
                to.actor == me && sent.attempt == answer.attempt && same
            }
            (Deed::Broken(other), Action::Mail(Mail { to, from, letter: None })) => {
                to.actor == me && from.actor == *other
            }
            (Deed::Pick(pick), Action::Pick(at, picks)) => at.actor == me && picks == pick,
            (Deed::Tell(tiding), Action::Tell(at, tells)) => at.actor == me && tells == tiding,
            (Deed::Outside(_), Action::Outside(taken, _)) => index == Some(*taken),
            (Deed::Start, Action::Restart(actor)) => *actor == me,
            _ => false,
        }
    }

    /// In words, for whoever is told that it cannot happen.
    pub(super) fn words(&self) -> String {
        match self {
            Deed::Datagram(Datagram { src, body, .. }) => {
                let text = format!("{body:?}");
                let kind = text.split(['(', ' ']).next().unwrap_or_default().to_lowercase();
                format!("no such {kind} of {} is in flight", src.actor)
            }
            Deed::Timer(timer) => format!("the timer {timer:?} does not matter then"),
            Deed::Call(call) => format!("no such call for {} is under way", call.attempt),
            Deed::Answer(answer) => format!("no such answer for {} is under way", answer.attempt),
            Deed::Broken(other) => format!("there is no connection to {other} that can break"),
            Deed::Pick(pick) => format!("{pick:?} is no answer that the machine would take"),
            Deed::Tell(tiding) => format!("there is nothing to tell of: {tiding:?}"),
            Deed::Outside(outside) => format!("the order changes nothing then: {outside:?}"),
            Deed::Forget => "the world forgets no request".to_owned(),
            Deed::Start => "it cannot start again".to_owned(),
        }
    }
}

/// Whether a datagram that arrived is one that was sent. What goes to or comes from a client goes
/// through a scheduler, which puts a name of its own on it and passes on the rest.
pub(super) fn is_same(arrived: &Datagram, sent: &Datagram) -> bool {
    let role = |address: &Address| matches!(address.actor, Actor::Client(_));
    let same_end =
        |one: &Address, other: &Address| one.actor == other.actor || (role(one) && role(other));
    let through = role(&arrived.src) || role(&arrived.dst);
    let same_ends = same_end(&arrived.src, &sent.src) && same_end(&arrived.dst, &sent.dst);
    arrived == sent || (through && same_ends && arrived.body == sent.body)
}

fn of_node(input: &node::Input, me: Actor) -> Deed {
    let Actor::Node(id) = me else { unreachable!("{me} is given what a node is given") };
    match input {
        node::Input::Datagram(datagram) => Deed::Datagram(datagram.clone()),
        node::Input::Timer(timer) => Deed::Timer(timer.clone()),
        node::Input::Order(node::Order::Inventory(inventory)) => {
            Deed::Outside(Outside::Inventory(id, inventory.clone()))
        }
        node::Input::Order(node::Order::Status(counterfoil_protocol::Status::Up)) => {
            Deed::Outside(Outside::Undrain(id))
        }
        node::Input::Order(node::Order::Status(_)) => Deed::Outside(Outside::Drain(id)),
        node::Input::Order(node::Order::Leave) => Deed::Outside(Outside::Leave(id)),
    }
}

fn of_scheduler(input: &scheduler::Input) -> Deed {
    match input {
        scheduler::Input::Datagram(datagram) => Deed::Datagram(datagram.clone()),
        scheduler::Input::Timer(timer) => Deed::Timer(timer.clone()),
        scheduler::Input::Call(_, call) => Deed::Call(call.clone()),
        scheduler::Input::Disconnected(client) => Deed::Broken(Actor::Client(*client)),
        scheduler::Input::Chosen(attempt, node) => Deed::Pick(Pick::Node(*attempt, *node)),
        scheduler::Input::Meet(node) => Deed::Tell(Tiding::Joined(Actor::Node(*node))),
    }
}

fn of_client(input: &client::Input) -> Deed {
    let order = match input {
        client::Input::Datagram(datagram) => return Deed::Datagram(datagram.clone()),
        client::Input::Timer(timer) => return Deed::Timer(timer.clone()),
        client::Input::Answer(answer) => return Deed::Answer(answer.clone()),
        client::Input::Disconnected(from) => return Deed::Broken(Actor::Scheduler(*from)),
        client::Input::Chosen(attempt, to) => return Deed::Pick(Pick::Scheduler(*attempt, *to)),
        client::Input::Order(order) => order,
    };
    match order {
        client::Order::Place(id, demand) => {
            let one = super::scenario::request(*id, demand, Default::default());
            Deed::Outside(Outside::Place(one))
        }
        client::Order::PlaceTogether(demands) => {
            let bundle: counterfoil_protocol::Set<_> = demands.keys().copied().collect();
            let one = |(id, demand): (&_, &_)| {
                (*id, super::scenario::request(*id, demand, bundle.clone()))
            };
            Deed::Outside(Outside::PlaceTogether(demands.iter().map(one).collect()))
        }
        client::Order::Release(request) => Deed::Outside(Outside::Release(*request)),
        client::Order::NodeOver(node) => Deed::Tell(Tiding::Over(Actor::Node(*node))),
        client::Order::Forget(_) => Deed::Forget,
    }
}
