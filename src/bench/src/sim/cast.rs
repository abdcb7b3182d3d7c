//! Who takes part: the machines, each with its disk.

use super::spent::Kind;
use counterfoil_protocol::scheduler::{Attempts, Peer};
use counterfoil_protocol::{
    Actor, Address, Body, Choice, Client, ClientId, Map, Node, NodeId, Scheduler, SchedulerId,
    Timer, client, node, scheduler,
};
use counterfoil_recording::audit::Judged;
use counterfoil_service::scheduler::Picker;
use fastrand::Rng;
use std::borrow::Cow;

/// A machine, and what is around it.
#[derive(Debug)]
pub(crate) struct Slot<R: Judged> {
    pub(crate) machine: R,
    /// What was written last.
    pub(crate) disk: R::Disk,
    /// Counts its starts; timers and letters of earlier lives mean nothing.
    pub(crate) life: u32,
    /// Whether it crashed for good.
    pub(crate) gone: bool,
}

/// Everyone, by number; numbers begin at 1.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    pub(crate) nodes: Vec<Slot<Node>>,
    pub(crate) schedulers: Vec<Slot<Scheduler>>,
    /// Of each scheduler.
    pub(crate) pickers: Vec<Picker>,
    pub(crate) clients: Vec<Slot<Client>>,
}

/// What any machine is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnyInput {
    Node(node::Input),
    Scheduler(scheduler::Input),
    Client(client::Input),
}

/// A machine that lives in a simulation.
pub(crate) trait Lives: Judged {
    /// See [`Lives::keep`].
    type Kept;

    /// All machines of this role.
    fn slots(cast: &mut Cast) -> &mut Vec<Slot<Self>>;

    /// The place of an actor among those of its role.
    fn place(id: Self::Id) -> usize;

    /// The name and life that others know it by.
    fn address(&self) -> Address;

    /// The one node that a step with this input is about: of no other does the machine then know
    /// anything new, or say anything. `None` if it is about none.
    fn about(&self, input: &Self::Input) -> Option<NodeId>;

    /// Whether a step with this input may say something about every node.
    fn sums_up(_: &Self::Input) -> bool {
        false
    }

    /// The machine with what it knows of one node, or of none: what a step that is about this node
    /// can be judged by.
    fn seen(&self, about: Option<NodeId>) -> Cow<'_, Self>;

    /// What must be kept of the machine to tell, after a step that is about this node, what it was.
    fn keep(&self, about: Option<NodeId>) -> Self::Kept;

    /// The machine as it was [seen](Lives::seen) before a step after which it is `self`.
    fn was<'a>(&self, about: Option<NodeId>, kept: &'a Self::Kept) -> Cow<'a, Self>;

    /// Whether a step with this input was only to tell it what a node is, and changed nothing.
    fn is_unchanged(&self, seen: (Option<NodeId>, &Self::Kept), input: &Self::Input) -> bool;

    /// What a step with this input is, if its cost is measured.
    fn kind(_: &Self::Input) -> Option<Kind> {
        None
    }

    /// The machine is about to take an input.
    fn before(_: &mut Cast, _: usize, _: &Self::Input) {}

    /// The machine has taken the input.
    fn after(_: &mut Cast, _: usize) {}

    /// Answers a question of the machine.
    fn choose(cast: &mut Cast, index: usize, choice: &Choice, rng: &mut Rng)
    -> Option<Self::Input>;

    /// An input as it is written down.
    fn any(input: Self::Input) -> AnyInput;
}

/// What is kept of a scheduler to tell what it was.
pub(crate) struct KeptScheduler {
    peer: Option<Peer>,
    attempts: Attempts,
    stopped: bool,
}

impl Cast {
    /// What a scheduler knows of a node.
    pub(crate) fn peer(&self, scheduler: SchedulerId, node: NodeId) -> Option<&Peer> {
        self.schedulers[Scheduler::place(scheduler)].machine.nodes.get(&node)
    }

    /// The nodes that have not left, by number.
    pub(crate) fn nodes_there(&self) -> impl Iterator<Item = NodeId> {
        let there = |slot: &&Slot<Node>| !slot.machine.left;
        self.nodes.iter().filter(there).map(|slot| slot.machine.id)
    }

    /// The schedulers that go on, by place.
    pub(crate) fn schedulers_there(&self) -> impl Iterator<Item = usize> {
        let there = |slot: &Slot<Scheduler>| !slot.gone && !slot.machine.stopped;
        self.schedulers.iter().enumerate().filter(move |(_, slot)| there(slot)).map(|(at, _)| at)
    }
}

impl Lives for Node {
    type Kept = Node;

    fn slots(cast: &mut Cast) -> &mut Vec<Slot<Node>> {
        &mut cast.nodes
    }

    fn place(id: NodeId) -> usize {
        id.0 as usize - 1
    }

    fn address(&self) -> Address {
        Address { actor: Actor::Node(self.id), incarnation: Some(self.incarnation()) }
    }

    fn about(&self, _: &node::Input) -> Option<NodeId> {
        Some(self.id)
    }

    fn seen(&self, _: Option<NodeId>) -> Cow<'_, Node> {
        Cow::Borrowed(self)
    }

    fn keep(&self, _: Option<NodeId>) -> Node {
        self.clone()
    }

    fn was<'a>(&self, _: Option<NodeId>, kept: &'a Node) -> Cow<'a, Node> {
        Cow::Borrowed(kept)
    }

    fn is_unchanged(&self, _: (Option<NodeId>, &Node), _: &node::Input) -> bool {
        false
    }

    fn choose(_: &mut Cast, _: usize, _: &Choice, _: &mut Rng) -> Option<node::Input> {
        None
    }

    fn any(input: node::Input) -> AnyInput {
        AnyInput::Node(input)
    }
}

impl Lives for Scheduler {
    type Kept = KeptScheduler;

    fn slots(cast: &mut Cast) -> &mut Vec<Slot<Scheduler>> {
        &mut cast.schedulers
    }

    fn place(id: SchedulerId) -> usize {
        id.0 as usize - 1
    }

    fn address(&self) -> Address {
        Address { actor: Actor::Scheduler(self.id), incarnation: Some(self.incarnation) }
    }

    fn about(&self, input: &scheduler::Input) -> Option<NodeId> {
        match input {
            scheduler::Input::Timer(Timer::Resend(claim)) => Some(claim.node),
            scheduler::Input::Timer(Timer::Resync(node)) => Some(*node),
            scheduler::Input::Datagram(_)
            | scheduler::Input::Timer(_)
            | scheduler::Input::Call(..)
            | scheduler::Input::Disconnected(_)
            | scheduler::Input::Chosen(..)
            | scheduler::Input::Meet(_) => input.node(),
        }
    }

    fn sums_up(input: &scheduler::Input) -> bool {
        matches!(input, scheduler::Input::Chosen(_, None))
    }

    fn kind(input: &scheduler::Input) -> Option<Kind> {
        Kind::of(input)
    }

    fn seen(&self, about: Option<NodeId>) -> Cow<'_, Scheduler> {
        let peer = about.and_then(|node| Some((node, self.nodes.get(&node)?.clone())));
        let mut seen = self.clone();
        seen.nodes = peer.into_iter().collect::<Map<NodeId, Peer>>();
        Cow::Owned(seen)
    }

    fn keep(&self, about: Option<NodeId>) -> KeptScheduler {
        let peer = about.and_then(|node| self.nodes.get(&node)).cloned();
        KeptScheduler { peer, attempts: self.attempts.clone(), stopped: self.stopped }
    }

    fn was<'a>(&self, about: Option<NodeId>, kept: &'a KeptScheduler) -> Cow<'a, Scheduler> {
        let mut was = self.clone();
        was.nodes = about.zip(kept.peer.clone()).into_iter().collect::<Map<NodeId, Peer>>();
        was.attempts = kept.attempts.clone();
        was.stopped = kept.stopped;
        Cow::Owned(was)
    }

    fn is_unchanged(
        &self,
        (about, kept): (Option<NodeId>, &KeptScheduler),
        input: &scheduler::Input,
    ) -> bool {
        let peer = about.and_then(|node| self.nodes.get(&node));
        Kind::of(input) == Some(Kind::Update)
            && peer == kept.peer.as_ref()
            && self.attempts.ptr_eq(&kept.attempts)
            && self.stopped == kept.stopped
    }

    fn before(cast: &mut Cast, index: usize, input: &scheduler::Input) {
        cast.pickers[index].before(input);
    }

    fn after(cast: &mut Cast, index: usize) {
        cast.pickers[index].after(&cast.schedulers[index].machine);
    }

    fn choose(
        cast: &mut Cast,
        index: usize,
        choice: &Choice,
        _: &mut Rng,
    ) -> Option<scheduler::Input> {
        let Choice::Node(attempt) = choice else { return None };
        let node = cast.pickers[index].pick(&cast.schedulers[index].machine, *attempt);
        Some(scheduler::Input::Chosen(*attempt, node))
    }

    fn any(input: scheduler::Input) -> AnyInput {
        AnyInput::Scheduler(input)
    }
}

impl Lives for Client {
    type Kept = Client;

    fn slots(cast: &mut Cast) -> &mut Vec<Slot<Client>> {
        &mut cast.clients
    }

    fn place(id: ClientId) -> usize {
        id.0 as usize - 1
    }

    fn address(&self) -> Address {
        Address { actor: Actor::Client(self.id), incarnation: None }
    }

    fn about(&self, input: &client::Input) -> Option<NodeId> {
        match input {
            client::Input::Datagram(datagram) => match &datagram.body {
                Body::Verdict(verdict) => Some(verdict.claim.node),
                Body::Claim(_)
                | Body::Confirm(_)
                | Body::Release(_)
                | Body::Delta(_)
                | Body::Snapshot(_)
                | Body::Resync(_)
                | Body::Leave(_)
                | Body::Superseded { .. } => None,
            },
            client::Input::Timer(_)
            | client::Input::Answer(_)
            | client::Input::Disconnected(_)
            | client::Input::Chosen(..)
            | client::Input::Order(_) => None,
        }
    }

    fn seen(&self, _: Option<NodeId>) -> Cow<'_, Client> {
        Cow::Borrowed(self)
    }

    fn keep(&self, _: Option<NodeId>) -> Client {
        self.clone()
    }

    fn was<'a>(&self, _: Option<NodeId>, kept: &'a Client) -> Cow<'a, Client> {
        Cow::Borrowed(kept)
    }

    fn is_unchanged(&self, _: (Option<NodeId>, &Client), _: &client::Input) -> bool {
        false
    }

    fn choose(cast: &mut Cast, _: usize, choice: &Choice, rng: &mut Rng) -> Option<client::Input> {
        let Choice::Scheduler(attempt) = choice else { return None };
        let there: Vec<usize> = cast.schedulers_there().collect();
        let chosen = rng.choice(there)?;
        let id = cast.schedulers[chosen].machine.id;
        Some(client::Input::Chosen(*attempt, id))
    }

    fn any(input: client::Input) -> AnyInput {
        AnyInput::Client(input)
    }
}
