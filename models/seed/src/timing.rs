//! When timers are due.

use crate::conductor::State;
use crate::message::{Body, Build, Datagram, Output, Timer};
use crate::node::Node;
use crate::pipe::Pipe;
use crate::protocol::{Process, Seed};
use crate::reader::Entry;
use crate::setting::CONDUCTOR;
use counterfoil_protocol::{Actor, Address, SchedulerId};
use counterfoil_world::cluster::World;
use counterfoil_world::protocol::{Event, Firing, Protocol};
use counterfoil_world::scenario::{Fault, Timers};
use counterfoil_world::view::View;

/// Whether and how a timer may fire now.
pub(crate) fn firing(
    world: &World<Seed>,
    view: &impl View<Seed>,
    at: Address,
    timer: &Timer,
) -> Firing {
    match timer {
        Timer::Tick(actor) if !tick_tells(view, *actor) => Firing::Not,
        Timer::Tick(actor) if world.scenario.timers != Timers::Any && waits(view, *actor) => {
            Firing::Fault(Fault::Early)
        }
        Timer::Audit => audit(world, view, at),
        Timer::Tick(_) | Timer::Send(_) | Timer::Beat(_) => Firing::Fair,
        Timer::SendFails(_) => Firing::Fault(Fault::SendFailure),
        Timer::Late(_) => Firing::Fault(Fault::LateHeartbeat),
        Timer::CallTimeout(_) => Firing::Fault(Fault::Impatience),
    }
}

/// Whether what the periodic task of an actor reads changes it or makes it say something. One that does
/// not happens all the time, and is left out.
fn tick_tells(view: &impl View<Seed>, actor: Actor) -> bool {
    let (conductor, reader) = (address(Actor::Client(CONDUCTOR)), address(actor));
    let Some(process) = view.process(reader) else { return false };
    let Some(Process::Conductor(tables)) = view.process(conductor) else { return false };
    let letter = tables.read_by(actor);
    let tells = || {
        let mut after = process.clone();
        let mut outputs = Vec::new();
        Seed::handle(&mut after, Event::Letter(conductor.actor, letter), &mut outputs);
        let is_said = |output: &Output| !matches!(output, Output::Notice(_) | Output::SetTimer(_));
        after != *process || outputs.iter().any(is_said)
    };
    view.ask(Question::TickTells as u32, [conductor, reader], tells)
}

/// What is asked of two processes.
enum Question {
    TickTells,
}

/// Whether something is under way that the periodic task of a scheduler waits for, where it is in time:
/// replies to its claims, and states that it asked for. That of a node waits for nothing.
fn waits(view: &impl View<Seed>, actor: Actor) -> bool {
    let Actor::Scheduler(scheduler) = actor else { return false };
    let called = view.processes().any(|(_, process)| match process {
        Process::Conductor(tables) => {
            tables.instances.values().any(|of| of.state == State::Called(scheduler))
        }
        Process::Node(_) | Process::Shared(_) | Process::Reader(_) | Process::Writer(_) => false,
    });
    if called {
        return true;
    }
    let expects = match view.process(address(actor)) {
        Some(Process::Shared(scheduler)) => {
            let mut nodes = scheduler.nodes.values();
            nodes.any(|remote| remote.peer.fallen || remote.claims().next().is_some())
        }
        Some(
            Process::Node(_) | Process::Reader(_) | Process::Writer(_) | Process::Conductor(_),
        )
        | None => false,
    };
    let concerns = |datagram: &Datagram| {
        let claims = matches!(
            &datagram.body,
            Body::Build(Build { claim: Some(claim), .. }) if claim.origin == scheduler
        );
        claims || datagram.src == actor || datagram.dst == actor
    };
    let is_sent = |process: &Process| match process {
        Process::Node(node) => waits_to_be_sent(node, scheduler),
        Process::Shared(_) | Process::Reader(_) | Process::Writer(_) | Process::Conductor(_) => {
            false
        }
    };
    expects
        && (view.in_flight().any(concerns) || view.processes().any(|(_, process)| is_sent(process)))
}

fn waits_to_be_sent(node: &Node, scheduler: SchedulerId) -> bool {
    let remote = node.schedulers.get(&scheduler);
    remote.and_then(|remote| remote.pipe.as_ref()).is_some_and(Pipe::waits)
}

/// Whether an audit of a node may tell anyone something. Where nodes share their state: that it is not
/// what was published. Where a database is read: that it is not what was saved; or nothing new, but to a
/// scheduler that takes what it placed for newer than what it reads.
fn audit(world: &World<Seed>, view: &impl View<Seed>, at: Address) -> Firing {
    let Some(Process::Node(node)) = view.process(at) else { return Firing::Not };
    if node.setting.shares() {
        return if node.owes_a_change() { Firing::Fair } else { Firing::Not };
    }
    let Some(Process::Conductor(tables)) = view.process(address(Actor::Client(CONDUCTOR))) else {
        return Firing::Not;
    };
    let row = tables.hosts.get(&node.id);
    if row.is_none_or(|row| row.host != tables.saved(node.id, node.host_use())) {
        return Firing::Fair;
    }
    let newer = |entry: &Entry| {
        !entry.placed.is_empty() && row.is_some_and(|row| entry.row.saved >= row.saved)
    };
    let keeps = |process: &Process| match process {
        Process::Reader(reader) => reader.hosts.get(&node.id).is_some_and(newer),
        Process::Node(_) | Process::Shared(_) | Process::Writer(_) | Process::Conductor(_) => false,
    };
    if !view.processes().any(|(_, process)| keeps(process)) {
        return Firing::Not;
    }
    let sought = |state: State| matches!(state, State::Seeking | State::Called(_));
    let comes = tables.instances.values().any(|instance| sought(instance.state))
        || view.in_flight().any(|datagram| datagram.dst == at.actor);
    let early = comes && world.scenario.timers != Timers::Any;
    if early { Firing::Fault(Fault::Early) } else { Firing::Fair }
}

fn address(actor: Actor) -> Address {
    Address { actor, incarnation: None }
}
