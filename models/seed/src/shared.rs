//! A scheduler that shares the state of nodes: the prototype of 2016, in its final variant.

use crate::amounts::Amounts;
use crate::message::{
    Body, Call, Choice, Claim, Datagram, Delta, Exception, Host, HostState, Letter, Notice, Output,
    Pick, Reply, Selected,
};
use crate::peer::{Mode, Peer, Record, Synced};
use crate::setting::CONDUCTOR;
use crate::window::{Arrival, Escape, Window};
use counterfoil_protocol::{Actor, Map, NodeId, SchedulerId};
use counterfoil_world::protocol::Event;
use serde::{Deserialize, Serialize};

/// A scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scheduler {
    /// Its name.
    pub id: SchedulerId,
    /// The random number that its claims are counted from.
    pub number: u64,
    /// What it keeps of each node.
    pub nodes: Map<NodeId, Remote>,
}

/// What a scheduler keeps of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Remote {
    /// Whether it is there.
    pub peer: Peer,
    /// Its state, with open claims taken off.
    pub view: Option<HostState>,
    /// The number of the next claim.
    pub next: u64,
    /// Which of its messages came.
    pub window: Window,
    /// The open claims of this period, by number.
    pub young: Map<u64, Claim>,
    /// Those of the period before.
    pub old: Map<u64, Claim>,
}

impl Remote {
    fn new(number: u64) -> Self {
        Remote {
            peer: Peer::default(),
            view: None,
            next: number,
            window: Window::default(),
            young: Map::default(),
            old: Map::default(),
        }
    }

    /// The open claims.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.old.values().chain(self.young.values())
    }

    /// The open claim of this number.
    pub fn claim(&self, number: u64) -> Option<&Claim> {
        self.young.get(&number).or_else(|| self.old.get(&number))
    }

    /// The view of a node that takes part.
    fn active(&self) -> Option<&HostState> {
        self.view.as_ref().filter(|_| self.peer.is_active())
    }

    fn forget(&mut self) {
        self.window.close();
        self.view = None;
        self.forget_claims();
    }

    fn forget_claims(&mut self) {
        (self.young, self.old) = (Map::default(), Map::default());
    }

    fn give_back(&mut self, amounts: &Amounts) {
        if let Some(view) = &mut self.view {
            view.used = view.used.minus(amounts);
        }
    }

    /// Claims without a reply in two periods are given back, and nobody is told.
    fn time_out(&mut self, out: &mut Vec<Output>) {
        for claim in std::mem::take(&mut self.old).values() {
            out.push(Output::Notice(Notice::ClaimTimedOut));
            self.give_back(&claim.amounts);
        }
        self.old = std::mem::take(&mut self.young);
    }

    fn on_reply(&mut self, reply: &Reply, out: &mut Vec<Output>) {
        let claim = self.claim(reply.number).cloned();
        self.young.remove(&reply.number);
        self.old.remove(&reply.number);
        match claim {
            None => out.push(Output::Notice(Notice::ReplyToNoClaim)),
            Some(claim) => {
                out.push(Output::Notice(Notice::ReplyToAClaim));
                if !reply.accepted {
                    self.give_back(&claim.amounts);
                }
            }
        }
    }
}

impl Scheduler {
    /// Starts with nothing.
    pub(crate) fn start(id: SchedulerId, out: &mut Vec<Output>) -> Self {
        out.push(Output::Choose(Choice::Number));
        Scheduler { id, number: 0, nodes: Map::default() }
    }

    /// The hosts that fit best.
    pub(crate) fn options(&self, call: &Call) -> Vec<NodeId> {
        let hosts = self.nodes.iter().filter_map(|(node, remote)| {
            let HostState { used, capacity, .. } = remote.active()?;
            Some((*node, used, capacity))
        });
        best(call, hosts)
    }

    pub(crate) fn handle(&mut self, event: Event<crate::Seed>, out: &mut Vec<Output>) {
        match event {
            Event::Datagram(Datagram { src: Actor::Node(node), body, .. }) => {
                self.on_datagram(node, body, out);
            }
            Event::Letter(_, Letter::Call(call)) => out.push(Output::Choose(Choice::Host(call))),
            Event::Letter(_, Letter::Nodes(listed)) => self.on_listed(&listed, out),
            Event::Picked(Pick::Number(number)) => self.number = number,
            Event::Picked(Pick::Host(call, node)) => self.on_host(call, node, out),
            Event::Datagram(_)
            | Event::Letter(..)
            | Event::Broken(_)
            | Event::Timer(_)
            | Event::Picked(_)
            | Event::Order(_)
            | Event::Tiding(_) => {}
        }
    }

    fn on_datagram(&mut self, node: NodeId, body: Body, out: &mut Vec<Output>) {
        match body {
            Body::Notify(_) => {
                if self.remote(node).peer.refresh(true) {
                    self.ask(node, out);
                }
            }
            Body::Refresh { number, state } => self.on_refresh(node, number, state, out),
            Body::Delta { number, delta } => self.on_delta(node, number, &delta, out),
            Body::Build(_) | Body::Reschedule(_) | Body::Terminate(_) | Body::Report(_) => {}
        }
    }

    /// All of the state of a node; whether it is in service, or there at all, is not looked at.
    fn on_refresh(&mut self, node: NodeId, number: u64, state: HostState, out: &mut Vec<Output>) {
        let remote = self.remote(node);
        let taken = if remote.peer.is_active() {
            remote.window.try_begin(number)
        } else {
            remote.window.begin(number);
            true
        };
        if taken {
            remote.view = Some(state);
            remote.forget_claims();
        }
        let notice = if taken { Notice::StateTaken } else { Notice::StateIgnored };
        out.push(Output::Notice(notice));
        remote.peer.activate();
    }

    fn on_delta(&mut self, node: NodeId, number: u64, delta: &Delta, out: &mut Vec<Output>) {
        let me = self.id;
        let remote = self.remote(node);
        if !remote.peer.is_active() {
            out.push(Output::Notice(Notice::ChangeDropped));
            if remote.peer.refresh(false) {
                self.ask(node, out);
            }
            return;
        }
        let notice = match remote.window.proceed(number) {
            Ok(Arrival::Next) => Notice::MessageTaken,
            Ok(Arrival::AfterAGap) => Notice::MessageAfterAGap,
            Ok(Arrival::Late) => Notice::MessageLate,
            Ok(Arrival::Ignored) => return out.push(Output::Notice(Notice::MessageIgnored)),
            Err(Escape::IndexError) => return out.push(Output::Raise(Exception::IndexError)),
            Err(Escape::Lost) => {
                out.push(Output::Notice(Notice::MessagesLost));
                if remote.peer.refresh(false) {
                    self.ask(node, out);
                }
                return;
            }
        };
        out.push(Output::Notice(notice));
        for reply in &delta.replies {
            if reply.origin == me {
                remote.on_reply(reply, out);
            } else {
                out.push(Output::Notice(Notice::ReplyToAnother));
            }
        }
        if let (Some(update), Some(view)) = (&delta.update, &mut remote.view) {
            let fits = view.apply(update);
            let notice = if fits { Notice::VersionFits } else { Notice::VersionDiffers };
            out.push(Output::Notice(notice));
        }
    }

    /// The periodic task.
    fn on_listed(&mut self, listed: &Map<NodeId, bool>, out: &mut Vec<Output>) {
        listed.keys().for_each(|id| {
            self.remote(*id);
        });
        let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in ids {
            let record = Record::of(listed.get(&id));
            let remote = self.remote(id);
            if record == Record::Absent && remote.peer.mode == Mode::Disabled {
                self.nodes.remove(&id);
                continue;
            }
            match remote.peer.sync(record) {
                Synced::Nothing => {}
                Synced::Disabled => remote.forget(),
                Synced::Refresh => self.ask(id, out),
                Synced::Periodic { again } => {
                    remote.time_out(out);
                    if again {
                        self.ask(id, out);
                    }
                }
            }
        }
    }

    /// A host for a call: sets aside what it takes.
    fn on_host(&mut self, call: Call, node: Option<NodeId>, out: &mut Vec<Output>) {
        let Call { instance, number, amounts, .. } = call;
        let origin = self.id;
        let host = node.and_then(|node| {
            let remote = self.remote(node);
            let claim = Claim { number: remote.next, origin, instance, amounts };
            let view = remote.view.as_mut()?;
            view.used = view.used.plus(&claim.amounts);
            let limits = Some(view.capacity.clone());
            remote.next += 1;
            remote.young.insert(claim.number, claim.clone());
            Some(Host { node, limits, claim: Some(claim) })
        });
        answer(Selected { instance, number, host }, out);
    }

    fn ask(&self, node: NodeId, out: &mut Vec<Output>) {
        let (src, dst) = (Actor::Scheduler(self.id), Actor::Node(node));
        out.push(Output::Send(Datagram { src, dst, body: Body::Report(self.id) }));
    }

    /// What is kept of a node, from now on if it is new.
    fn remote(&mut self, node: NodeId) -> &mut Remote {
        let number = self.number;
        self.nodes.entry(node).or_insert_with(|| Remote::new(number))
    }
}

/// Of the hosts that a call fits on, those with the most left.
pub(crate) fn best<'a>(
    call: &Call,
    hosts: impl Iterator<Item = (NodeId, &'a Amounts, &'a Amounts)>,
) -> Vec<NodeId> {
    let fits = |(node, used, capacity): (NodeId, &Amounts, &Amounts)| {
        let fits = used.plus(&call.amounts).is_within(capacity) && !call.tried.contains(&node);
        fits.then(|| (node, capacity.minus(used).weight()))
    };
    let fitting: Vec<(NodeId, i64)> = hosts.filter_map(fits).collect();
    let most = fitting.iter().map(|(_, left)| *left).max();
    fitting.into_iter().filter(|(_, left)| Some(*left) == most).map(|(node, _)| node).collect()
}

/// Answers the conductor.
pub(crate) fn answer(selected: Selected, out: &mut Vec<Output>) {
    let notice = if selected.host.is_some() { Notice::HostChosen } else { Notice::NoValidHost };
    out.push(Output::Notice(notice));
    out.push(Output::Post(Actor::Client(CONDUCTOR), Letter::Selected(selected)));
}
