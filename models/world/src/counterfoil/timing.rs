//! When timers are due, and which datagrams are old news.

use super::{Counterfoil, Process, Question, live};
use crate::cluster::World;
use crate::protocol::Firing;
use crate::scenario::{Fault, Lapses, Timers};
use crate::view::View;
use counterfoil_protocol::{
    Actor, Address, Body, Datagram, Decision, Machine, Node, NodeId, Scheduler, Stamp, Timer,
    scheduler,
};

/// Whether and how a timer may fire now. A late timer does not fire while what it waits for is in
/// flight.
pub(super) fn firing(
    world: &World<Counterfoil>,
    view: &impl View<Counterfoil>,
    at: Address,
    timer: &Timer,
) -> Firing {
    let late = world.scenario.timers != Timers::Any;
    let fair_unless = |waits: bool| if late && waits { Firing::Not } else { Firing::Fair };
    match timer {
        Timer::Announce => {
            let calm = world.scenario.timers == Timers::Calm;
            let before = |d: &Datagram| matches!(d.body, Body::Delta(_) | Body::Snapshot(_));
            let under_way = || in_flight(view, |d| d.src.actor == at.actor && before(d));
            fair_unless(announces_nothing(view, at) || (calm && under_way()))
        }
        Timer::Lapse(_) => match world.scenario.lapses {
            Lapses::Free => Firing::Fair,
            Lapses::Budget => Firing::Fault(Fault::Lapse),
        },
        Timer::Forget(_) => Firing::Fault(Fault::Forget),
        Timer::Resync(node) => fair_unless(resyncs_nothing(view, at, *node)),
        Timer::Resend(claim) => fair_unless(in_flight(view, |d| match &d.body {
            Body::Claim(about) => about.claim == *claim && d.src.actor == at.actor,
            Body::Verdict(about) => about.claim == *claim && d.dst.actor == at.actor,
            Body::Confirm(about) | Body::Release(about) => about == claim,
            Body::Delta(_)
            | Body::Snapshot(_)
            | Body::Resync(_)
            | Body::Leave(_)
            | Body::Superseded { .. } => false,
        })),
        Timer::Suspect(node) if live(view, Actor::Node(*node)).is_none() => Firing::Fair,
        Timer::Suspect(_) => Firing::Fault(Fault::Suspicion),
        Timer::Retry(_) => Firing::Fair,
        Timer::Impatience(_) => Firing::Fault(Fault::Impatience),
    }
}

/// Whether a datagram only repeats what its receiver can never unlearn.
pub(super) fn is_old_news(
    may: &dyn Fn(Fault) -> bool,
    process: &Process,
    datagram: &Datagram,
) -> bool {
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

/// Whether a scheduler knows for good what a node says: stamps and verdicts are never unlearnt.
fn is_old_for_scheduler(scheduler: &Scheduler, datagram: &Datagram) -> bool {
    let (Actor::Node(node), Some(incarnation)) = (datagram.src.actor, datagram.src.incarnation)
    else {
        return false;
    };
    let Some(peer) = scheduler.nodes.get(&node) else { return false };
    let known = |version| {
        let stamp = Stamp { incarnation, version };
        peer.host.as_ref().is_some_and(|host| stamp <= host.stamp)
    };
    match &datagram.body {
        Body::Delta(delta) => known(delta.to),
        Body::Snapshot(snapshot) => known(snapshot.at),
        Body::Verdict(verdict) => {
            let claim = peer.claims.get(&verdict.claim.number);
            let grants =
                matches!(verdict.decision, Decision::Granted { .. } | Decision::Confirmed { .. });
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

/// Whether a datagram that `concerns` is in flight.
fn in_flight(view: &impl View<Counterfoil>, concerns: impl Fn(&Datagram) -> bool) -> bool {
    view.in_flight().any(concerns)
}

/// Whether an update or a resync between a node and a scheduler is in flight.
fn update_in_flight(view: &impl View<Counterfoil>, node: Actor, scheduler: Actor) -> bool {
    in_flight(view, |d| match d.body {
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
fn up_to_date(view: &impl View<Counterfoil>, scheduler: &Scheduler, node: &Node) -> bool {
    let me =
        Address { actor: Actor::Scheduler(scheduler.id), incarnation: Some(scheduler.incarnation) };
    let of = Address { actor: Actor::Node(node.id), incarnation: Some(node.incarnation()) };
    let knows = || {
        let peer = scheduler.nodes.get(&node.id);
        let host = peer.and_then(|peer| peer.host.as_ref());
        let knows =
            host.is_some_and(|host| host.stamp == node.stamp() && host.state == node.host_state());
        let present = peer.is_some_and(|peer| peer.presence == scheduler::Presence::Present);
        let subscribed = node.subscribers.get(&scheduler.id) == Some(&scheduler.incarnation);
        knows && present && subscribed
    };
    let later = Address { incarnation: Some(scheduler.incarnation.next()), ..me };
    view.ask(Question::UpToDate as u32, [me, of], knows) && view.process(later).is_none()
}

/// Whether a beat of this node would tell nobody anything now, or could wait for what is in flight.
fn announces_nothing(view: &impl View<Counterfoil>, at: Address) -> bool {
    let Some(Process::Node(node)) = view.process(at) else {
        return true;
    };
    if node.announced != node.version {
        return false;
    }
    let waits = |scheduler: &Scheduler| {
        let me = Actor::Scheduler(scheduler.id);
        let subscribed = node.subscribers.get(&scheduler.id) == Some(&scheduler.incarnation);
        subscribed && !up_to_date(view, scheduler, node) && !update_in_flight(view, at.actor, me)
    };
    !view.processes().any(|(_, process)| match process {
        Process::Scheduler(scheduler) => !scheduler.stopped && waits(scheduler),
        Process::Node(_) | Process::Client(_) => false,
    })
}

/// Whether a resync of this node would tell the scheduler nothing now, or could wait for what is in
/// flight.
fn resyncs_nothing(view: &impl View<Counterfoil>, at: Address, node: NodeId) -> bool {
    let Some(Process::Scheduler(scheduler)) = view.process(at) else {
        return true;
    };
    match live(view, Actor::Node(node)) {
        Some(Process::Node(to)) => {
            let subscribed = to.subscribers.get(&scheduler.id) == Some(&scheduler.incarnation);
            let will_be_told = subscribed && to.announced != to.version;
            will_be_told
                || up_to_date(view, scheduler, to)
                || update_in_flight(view, Actor::Node(node), at.actor)
        }
        Some(Process::Scheduler(_) | Process::Client(_)) | None => true,
    }
}
