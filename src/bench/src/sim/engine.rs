//! Takes what happens in the order of virtual time, and hands it to the machines.
//!
//! The rules are those of every driver: what a step persists is written before what it sends leaves;
//! a timer that is set again replaces itself; what is chosen is handed over before anything else.

mod lives;

use super::cast::{AnyInput, Cast, Lives};
use super::judge::{Judge, Reach, Seen};
use super::links::{Links, Network};
use super::meters::Meters;
use super::queue::Queue;
use super::spent::{Kind, Spent};
use counterfoil_placement::Policy;
use counterfoil_protocol::{
    Actor, Address, Answer, Call, Choice, Client, ClientId, Config, Datagram, Given, Node, NodeId,
    Outcome, Output, RequestId, Scheduler, SchedulerId, Timer, client, node, scheduler,
};
use counterfoil_service::timers::Timers;
use fastrand::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// What happens next, to whoever runs the simulation.
#[derive(Debug)]
pub(crate) enum Pause<I> {
    /// It put this in, for now.
    Item(I),
    /// A client tells what became of a request.
    Ended(ClientId, RequestId, Outcome),
    /// The time has come, or a property is violated.
    Over,
}

/// Something that was done to a machine or with it, in a form that can be done again elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It was given this.
    Given(Address, AnyInput),
    /// What was given last was cut short after so many outputs, and the actor started again.
    Torn(Actor, usize),
    /// It crashed and started again.
    Restart(Actor),
    /// It crashed for good.
    Die(SchedulerId),
    /// It is there from now on.
    Join(Actor),
    /// The connection broke.
    Disconnect(ClientId, SchedulerId),
    /// Everything in flight was lost.
    LoseAll,
    /// What follows comes from outside, by this index.
    Outside(usize),
}

/// Something under way, or to come.
#[derive(Debug)]
enum Event<I> {
    Datagram(Datagram),
    /// Over a connection, between these lives, if it is still the same.
    Call(Ends, Call),
    Answer(Ends, Answer),
    /// The scheduler notices that the connection is gone.
    ClientLost(Ends),
    /// The client notices.
    SchedulerLost(Ends),
    Meet(SchedulerId, u32, NodeId),
    Item(I),
}

/// The two ends of a connection, each with its life, and how often it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    client: (ClientId, u32),
    scheduler: (SchedulerId, u32),
    broke: u32,
}

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Owner {
    actor: Actor,
    life: u32,
}

/// What a simulation is given.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    /// Among how many schedulers the nodes are shared out, for a policy that takes its own first.
    pub(crate) shares: u32,
    pub(crate) links: Links,
    pub(crate) reach: Reach,
    pub(crate) seed: u64,
}

/// A simulation, into which `I` can be put for later.
#[derive(Debug)]
pub(crate) struct Engine<I> {
    pub(crate) now: u64,
    pub(crate) cast: Cast,
    pub(crate) network: Network,
    pub(crate) judge: Judge,
    pub(crate) meters: Meters,
    pub(crate) rng: Rng,
    /// Everything that was done, if it is to be written down.
    pub(crate) deeds: Option<Vec<Deed>>,
    /// Whose next step that writes is to be cut short.
    pub(crate) tear: Option<Actor>,
    /// How many steps were cut short.
    pub(crate) torn: u64,
    /// What decisions and updates cost in real time, if that is measured.
    pub(crate) clock: Option<Spent>,
    items_are_over: bool,
    setting: Setting,
    config: Given<Config>,
    queue: Queue<Event<I>>,
    timers: Timers<(Owner, Timer), u64>,
    /// No timer is due before this. Asking the timers each time would cost as much as a step.
    timer_due: Option<u64>,
    ended: VecDeque<(ClientId, RequestId, Outcome)>,
    broke: BTreeMap<(ClientId, SchedulerId), u32>,
}

impl<I> Engine<I> {
    pub(crate) fn new(setting: Setting) -> Engine<I> {
        Engine {
            now: 0,
            cast: Cast::default(),
            network: Network::new(setting.links, setting.seed ^ 0x6c69_6e6b),
            judge: Judge::new(setting.reach),
            meters: Meters::new(),
            rng: Rng::with_seed(setting.seed ^ 0x6472_6177),
            deeds: None,
            tear: None,
            torn: 0,
            clock: None,
            items_are_over: false,
            config: Given::new(setting.config.clone()),
            setting,
            queue: Queue::default(),
            timers: Timers::default(),
            timer_due: None,
            ended: VecDeque::new(),
            broke: BTreeMap::new(),
        }
    }

    /// Puts something in for later.
    pub(crate) fn put(&mut self, at: u64, item: I) {
        self.queue.push(at, Event::Item(item));
    }

    /// Nothing that was put in happens any more.
    pub(crate) fn forget_items(&mut self) {
        self.items_are_over = true;
    }

    /// Goes on until something happens that the caller wants to know of, or until `until`.
    pub(crate) fn advance(&mut self, until: u64) -> Pause<I> {
        loop {
            if let Some((client, request, outcome)) = self.ended.pop_front() {
                return Pause::Ended(client, request, outcome);
            }
            if self.judge.violated.is_some() {
                return Pause::Over;
            }
            let (event, timer) = (self.queue.next(), self.timer_due);
            let Some(at) = event.into_iter().chain(timer).min().filter(|at| *at <= until) else {
                self.now = self.now.max(until);
                return Pause::Over;
            };
            self.now = self.now.max(at);
            if event == Some(at) {
                match self.queue.pop() {
                    Some(Event::Item(_)) if self.items_are_over => {}
                    Some(Event::Item(item)) => return Pause::Item(item),
                    Some(event) => self.happen(event),
                    None => {}
                }
            } else {
                let due = self.timers.take_due(self.now);
                self.timer_due = self.timers.next();
                if let Some((owner, timer)) = due {
                    self.fire(owner, timer);
                }
            }
        }
    }

    fn happen(&mut self, event: Event<I>) {
        match event {
            Event::Datagram(datagram) => self.deliver(datagram),
            Event::Call(ends, call) if self.is_current(ends) => {
                self.give::<Scheduler>(
                    ends.scheduler.0,
                    scheduler::Input::Call(ends.client.0, call),
                );
            }
            Event::Answer(ends, answer) if self.is_current(ends) => {
                self.give::<Client>(ends.client.0, client::Input::Answer(answer));
            }
            Event::ClientLost(ends) if self.lives::<Scheduler>(ends.scheduler) => {
                self.give::<Scheduler>(
                    ends.scheduler.0,
                    scheduler::Input::Disconnected(ends.client.0),
                );
            }
            Event::SchedulerLost(ends) if self.lives::<Client>(ends.client) => {
                self.give::<Client>(ends.client.0, client::Input::Disconnected(ends.scheduler.0));
            }
            Event::Meet(id, life, node) if self.lives::<Scheduler>((id, life)) => {
                self.give::<Scheduler>(id, scheduler::Input::Meet(node));
            }
            Event::Call(..)
            | Event::Answer(..)
            | Event::ClientLost(_)
            | Event::SchedulerLost(_)
            | Event::Meet(..)
            | Event::Item(_) => {}
        }
    }

    fn deliver(&mut self, datagram: Datagram) {
        match datagram.dst.actor {
            Actor::Node(id) => self.give::<Node>(id, node::Input::Datagram(datagram)),
            Actor::Scheduler(id) => {
                self.give::<Scheduler>(id, scheduler::Input::Datagram(datagram))
            }
            Actor::Client(id) => self.give::<Client>(id, client::Input::Datagram(datagram)),
        }
    }

    fn fire(&mut self, owner: Owner, timer: Timer) {
        let Owner { actor, life } = owner;
        match actor {
            Actor::Node(id) if self.lives::<Node>((id, life)) => {
                self.give::<Node>(id, node::Input::Timer(timer));
            }
            Actor::Scheduler(id) if self.lives::<Scheduler>((id, life)) => {
                self.give::<Scheduler>(id, scheduler::Input::Timer(timer));
            }
            Actor::Client(id) if self.lives::<Client>((id, life)) => {
                let has_left = |node| self.cast.nodes[Node::place(node)].machine.left;
                let input = if let Timer::Resend(claim) = timer
                    && has_left(claim.node)
                {
                    // Its operator knows that nobody will ever answer.
                    client::Input::Order(client::Order::NodeOver(claim.node))
                } else {
                    client::Input::Timer(timer)
                };
                self.give::<Client>(id, input);
            }
            Actor::Node(_) | Actor::Scheduler(_) | Actor::Client(_) => {}
        }
    }

    /// Whether this life of an actor goes on.
    fn lives<R: Lives>(&mut self, (id, life): (R::Id, u32)) -> bool {
        let slot = &R::slots(&mut self.cast)[R::place(id)];
        !slot.gone && slot.life == life
    }

    fn is_current(&mut self, ends: Ends) -> bool {
        let pair = (ends.client.0, ends.scheduler.0);
        ends.broke == self.broke.get(&pair).copied().unwrap_or(0)
            && self.lives::<Client>(ends.client)
            && self.lives::<Scheduler>(ends.scheduler)
    }

    fn ends(&self, client: ClientId, scheduler: SchedulerId) -> Ends {
        Ends {
            client: (client, self.cast.clients[Client::place(client)].life),
            scheduler: (scheduler, self.cast.schedulers[Scheduler::place(scheduler)].life),
            broke: self.broke.get(&(client, scheduler)).copied().unwrap_or(0),
        }
    }

    /// Gives an input to a machine, and answers what it asks before anything else.
    pub(crate) fn give<R: Lives>(&mut self, id: R::Id, input: R::Input) {
        if R::slots(&mut self.cast)[R::place(id)].gone {
            return;
        }
        for choice in self.step::<R>(id, input) {
            let picks = matches!(choice, Choice::Node(_)).then_some(Kind::Pick);
            let began = self.begin(picks);
            let chosen = R::choose(&mut self.cast, R::place(id), &choice, &mut self.rng);
            self.end(picks, began);
            if let Some(chosen) = chosen {
                self.note_pick(&R::any(chosen.clone()), R::actor(id));
                self.give::<R>(id, chosen);
            }
        }
    }

    fn begin(&mut self, kind: Option<Kind>) -> Option<Instant> {
        self.clock.as_mut()?.begin(kind?)
    }

    fn end(&mut self, kind: Option<Kind>, began: Option<Instant>) {
        if let (Some(clock), Some(kind), Some(began)) = (&mut self.clock, kind, began) {
            clock.end(kind, began);
        }
    }

    fn note_pick(&mut self, chosen: &AnyInput, by: Actor) {
        if let (
            AnyInput::Scheduler(scheduler::Input::Chosen(attempt, Some(node))),
            Actor::Scheduler(by),
        ) = (chosen, by)
            && let Some(peer) = self.cast.peer(by, *node)
        {
            self.meters.picked(attempt.request, *node, peer, self.now);
        }
    }

    /// Takes one step of a machine; what it asks.
    fn step<R: Lives>(&mut self, id: R::Id, input: R::Input) -> Vec<Choice> {
        let index = R::place(id);
        let mut outputs = Vec::new();
        R::before(&mut self.cast, index, &input);
        let slot = &mut R::slots(&mut self.cast)[index];
        let about = slot.machine.about(&input);
        if let Some(deeds) = &mut self.deeds {
            deeds.push(Deed::Given(slot.machine.address(), R::any(input.clone())));
        }
        let seen: Option<Seen<R>> = self.judge.begin(&slot.machine, &input);
        let kind = R::kind(&input);
        let began = self.begin(kind);
        R::slots(&mut self.cast)[index].machine.handle(input, &mut outputs);
        R::after(&mut self.cast, index);
        self.end(kind, began);
        let torn = self.tear == Some(R::actor(id)) && cut(&mut outputs, &mut self.rng);
        if let Some(seen) = seen {
            self.judge.end(id, &seen, &R::slots(&mut self.cast)[index].machine, &outputs);
        }
        self.look(R::actor(id), about);
        if torn {
            self.tear = None;
            self.torn += 1;
            if let Some(deeds) = &mut self.deeds {
                deeds.push(Deed::Torn(R::actor(id), outputs.len()));
            }
            self.carry_out::<R>(id, outputs);
            self.restart_actor(R::actor(id));
            return Vec::new();
        }
        self.carry_out::<R>(id, outputs)
    }

    /// Takes note of what a step changed.
    fn look(&mut self, actor: Actor, about: Option<NodeId>) {
        match (actor, about) {
            (Actor::Node(node), _) => {
                let index = Node::place(node);
                self.meters.born(index, self.cast.nodes[index].machine.stamp(), self.now);
            }
            (Actor::Scheduler(id), Some(node)) => {
                if let Some(catching) = &mut self.meters.catching {
                    catching.look(id.0, node, self.cast.peer(id, node), self.now);
                }
            }
            (Actor::Scheduler(_), None) | (Actor::Client(_), _) => {}
        }
    }

    /// Does what a machine said, in order; what it asks is left.
    fn carry_out<R: Lives>(&mut self, id: R::Id, outputs: Vec<Output>) -> Vec<Choice> {
        let mut choices = Vec::new();
        for output in outputs {
            match output {
                Output::Persist(record) => {
                    R::write(&mut R::slots(&mut self.cast)[R::place(id)].disk, &record);
                }
                Output::Send(datagram) => self.send(datagram),
                Output::Call(to, call) => self.call(R::actor(id), to, call),
                Output::Answer(to, answer) => self.answer(R::actor(id), to, answer),
                Output::SetTimer { timer, after } => {
                    let life = R::slots(&mut self.cast)[R::place(id)].life;
                    let after = u64::try_from(after.as_micros()).unwrap_or(u64::MAX >> 1);
                    let due = self.now + after;
                    self.timers.set((Owner { actor: R::actor(id), life }, timer), due);
                    self.timer_due = Some(self.timer_due.map_or(due, |first| first.min(due)));
                }
                Output::Choose(choice) => choices.push(choice),
                Output::Ended(request, outcome) => {
                    if let Actor::Client(client) = R::actor(id) {
                        self.ended.push_back((client, request, outcome));
                    }
                }
                Output::Notice(notice) => self.meters.noticed(notice),
            }
        }
        choices
    }

    fn send(&mut self, datagram: Datagram) {
        let arrivals = self.network.arrivals(&datagram);
        self.meters.sent(&datagram, self.network.passed.sent);
        match arrivals {
            [Some(after), None] => self.queue.push(self.now + after, Event::Datagram(datagram)),
            arrivals => {
                for after in arrivals.into_iter().flatten() {
                    self.queue.push(self.now + after, Event::Datagram(datagram.clone()));
                }
            }
        }
    }

    fn call(&mut self, from: Actor, to: SchedulerId, call: Call) {
        let Actor::Client(client) = from else { return };
        let ends = self.ends(client, to);
        let gone = self.cast.schedulers[Scheduler::place(to)].gone;
        let event = if gone { Event::SchedulerLost(ends) } else { Event::Call(ends, call) };
        self.queue.push(self.now + self.network.over_connection(), event);
    }

    fn answer(&mut self, from: Actor, to: ClientId, answer: Answer) {
        let Actor::Scheduler(scheduler) = from else { return };
        let ends = self.ends(to, scheduler);
        self.queue.push(self.now + self.network.over_connection(), Event::Answer(ends, answer));
    }

    /// How long an actor has to wait for nobody, at most, until it does something: one beat, in
    /// microseconds.
    pub(crate) fn beat_us(&self) -> u64 {
        u64::try_from(self.setting.config.intervals.beat.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Cuts what a step that writes says short: what is left was done, and something that was to be done
/// was not. Whether there is such a place.
fn cut(outputs: &mut Vec<Output>, rng: &mut Rng) -> bool {
    let done = |output: &Output| {
        matches!(
            output,
            Output::Persist(_) | Output::Send(_) | Output::Call(..) | Output::Answer(..)
        )
    };
    if !outputs.iter().any(|output| matches!(output, Output::Persist(_))) {
        return false;
    }
    let last = outputs.iter().rposition(done);
    let cuts = (0..outputs.len()).filter(|at| done(&outputs[*at]) && Some(*at) != last);
    let Some(at) = rng.choice(cuts.collect::<Vec<usize>>()) else { return false };
    outputs.truncate(at + 1);
    true
}
