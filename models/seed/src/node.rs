//! A node: what it runs, what it publishes of that, and to whom.
//!
//! It is the only one to decide whether an instance fits, by limits that come with the instance.

use crate::amounts::Amounts;
use crate::message::{
    Body, Build, Choice, Claim, Datagram, Delta, Exception, HostState, HostUse, Letter, Notice,
    Order, Output, Pick, Reply, Timer, Update,
};
use crate::peer::{Mode, Peer, Record, Synced};
use crate::pipe::{Batch, Pipe};
use crate::setting::{CONDUCTOR, Setting};
use counterfoil_protocol::{Actor, Given, Map, NodeId, RequestId, SchedulerId};
use counterfoil_world::protocol::Event;
use serde::{Deserialize, Serialize};

/// What a node keeps across a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disk {
    /// What it runs, and how much each takes.
    pub instances: Map<RequestId, Amounts>,
    /// What it may give out, as its operator says.
    pub capacity: Amounts,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// What it runs, and how much each takes.
    pub instances: Map<RequestId, Amounts>,
    /// What it may give out, as its operator says.
    pub capacity: Amounts,
    /// What it publishes of that; `None` until it has a number to count from.
    pub published: Option<HostState>,
    /// The random number that what it sends is counted from.
    pub number: u64,
    /// What it keeps of each scheduler.
    pub schedulers: Map<SchedulerId, Remote>,
    #[serde(skip)]
    pub(crate) setting: Given<Setting>,
}

/// What a node keeps of a scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Remote {
    /// Whether it is there.
    pub peer: Peer,
    /// The number of the next message to it.
    pub next: u64,
    /// What waits to be sent; `None` while it is disabled.
    pub pipe: Option<Pipe>,
}

impl Node {
    /// Starts from its disk.
    pub(crate) fn start(
        id: NodeId,
        disk: &Disk,
        setting: Given<Setting>,
        out: &mut Vec<Output>,
    ) -> Self {
        let Disk { instances, capacity } = disk.clone();
        if setting.shares() {
            out.push(Output::Choose(Choice::Number));
        }
        let node = Node {
            id,
            instances,
            capacity,
            published: None,
            number: 0,
            schedulers: Map::default(),
            setting,
        };
        let running: Vec<RequestId> = node.instances.keys().copied().collect();
        running.into_iter().for_each(|instance| node.post(Letter::Building(instance), out));
        node
    }

    /// What it really uses, and may.
    pub fn host_use(&self) -> HostUse {
        HostUse { used: Amounts::sum(self.instances.values()), capacity: self.capacity.clone() }
    }

    /// Whether what it publishes is not what it has.
    pub fn owes_a_change(&self) -> bool {
        self.published.as_ref().is_some_and(|published| {
            let now = self.host_use();
            published.used != now.used || published.capacity != now.capacity
        })
    }

    /// The timers that matter.
    pub(crate) fn timers(&self) -> Vec<Timer> {
        let mut timers = Vec::new();
        if !self.setting.shares() || self.owes_a_change() {
            timers.push(Timer::Audit);
        }
        for (scheduler, remote) in self.schedulers.iter() {
            if remote.pipe.as_ref().is_some_and(Pipe::waits) {
                timers.extend([Timer::Send(*scheduler), Timer::SendFails(*scheduler)]);
            }
        }
        timers
    }

    pub(crate) fn handle(&mut self, event: Event<crate::Seed>, out: &mut Vec<Output>) {
        match event {
            Event::Datagram(datagram) => self.on_datagram(datagram.body, out),
            Event::Letter(_, Letter::Schedulers(listed)) => self.on_listed(&listed),
            // What was never saved is not published as gone: the next audit finds it.
            Event::Letter(_, Letter::NotFound(instance)) => self.forget(instance, out),
            Event::Timer(Timer::Audit) => self.tell(out),
            Event::Timer(Timer::Send(scheduler)) => self.send(scheduler, out),
            Event::Timer(Timer::SendFails(scheduler)) => self.fail_to_send(scheduler),
            Event::Picked(Pick::Number(number)) => self.begin(number, out),
            Event::Order(Order::Capacity(capacity)) => {
                out.push(Output::Capacity(capacity.clone()));
                self.capacity = capacity;
            }
            Event::Letter(..)
            | Event::Timer(_)
            | Event::Picked(_)
            | Event::Order(_)
            | Event::Broken(_)
            | Event::Tiding(_) => {}
        }
    }

    fn on_datagram(&mut self, body: Body, out: &mut Vec<Output>) {
        match body {
            Body::Report(scheduler) => {
                if self.remote(scheduler).peer.refresh(true) {
                    self.activate(scheduler);
                }
            }
            Body::Build(build) => self.on_build(build, out),
            Body::Terminate(instance) => {
                if self.instances.contains_key(&instance) {
                    self.forget(instance, out);
                    self.tell(out);
                }
            }
            Body::Reschedule(_) | Body::Notify(_) | Body::Refresh { .. } | Body::Delta { .. } => {}
        }
    }

    /// The number to count from is there: publishes what it has for the first time.
    fn begin(&mut self, number: u64, out: &mut Vec<Output>) {
        let HostUse { used, capacity } = self.host_use();
        self.number = number;
        self.published = Some(HostState { used, capacity, version: number as i64 });
        for scheduler in self.setting.schedulers.clone() {
            self.cast(Actor::Scheduler(scheduler), Body::Notify(self.id), out);
        }
    }

    fn on_build(&mut self, build: Build, out: &mut Vec<Output>) {
        let after = self.host_use().used.plus(&build.amounts);
        if build.limits.as_ref().is_none_or(|limits| after.is_within(limits)) {
            self.accept(build, out);
        } else {
            self.reject(build, out);
        }
    }

    fn accept(&mut self, build: Build, out: &mut Vec<Output>) {
        let Build { instance, amounts, claim, .. } = build;
        out.push(Output::Notice(Notice::Accepted));
        self.instances.insert(instance, amounts.clone());
        out.push(Output::Instance(instance, Some(amounts)));
        match claim {
            Some(claim) => self.publish_accepted(&claim),
            None => self.tell(out),
        }
        self.post(Letter::Building(instance), out);
    }

    /// Everyone hears of an accepted claim; how much it takes, everyone but who made it.
    fn publish_accepted(&mut self, claim: &Claim) {
        let Some(published) = &mut self.published else { return };
        published.used = published.used.plus(&claim.amounts);
        let replies = vec![reply(claim, true)];
        self.put_for_all(|scheduler| {
            let used = claim.amounts.clone();
            let update = Update { used, ..Update::default() };
            let update = (scheduler != claim.origin).then_some(update);
            Delta { replies: replies.clone(), update }
        });
    }

    /// Adds to what waits for every scheduler that is active.
    fn put_for_all(&mut self, delta: impl Fn(SchedulerId) -> Delta) {
        let active = self.schedulers.iter().filter(|(_, remote)| remote.peer.is_active());
        let active: Vec<SchedulerId> = active.map(|(scheduler, _)| *scheduler).collect();
        active.into_iter().for_each(|scheduler| self.remote(scheduler).put(delta(scheduler)));
    }

    fn reject(&mut self, build: Build, out: &mut Vec<Output>) {
        out.push(Output::Notice(Notice::Rejected));
        if let Some(claim) = &build.claim {
            let remote = self.remote(claim.origin);
            if !remote.peer.is_active() && remote.peer.refresh(false) {
                self.activate(claim.origin);
            }
            let delta = Delta { replies: vec![reply(claim, false)], update: None };
            self.remote(claim.origin).put(delta);
        }
        self.cast(Actor::Client(CONDUCTOR), Body::Reschedule(build.instance), out);
    }

    fn forget(&mut self, instance: RequestId, out: &mut Vec<Output>) {
        if self.instances.remove(&instance).is_some() {
            out.push(Output::Instance(instance, None));
        }
    }

    /// Tells what it has: schedulers what is different from what it published, the database all.
    fn tell(&mut self, out: &mut Vec<Output>) {
        let now = self.host_use();
        if !self.setting.shares() {
            return self.post(Letter::Save(now), out);
        }
        if !self.owes_a_change() {
            return;
        }
        let Some(published) = &mut self.published else { return };
        let changed = published.capacity != now.capacity;
        let update = Update {
            expects: Some(published.version + 1),
            versions: 1,
            used: now.used.minus(&published.used),
            capacity: changed.then(|| now.capacity.clone()),
        };
        published.apply(&update);
        self.put_for_all(|_| Delta { replies: Vec::new(), update: Some(update.clone()) });
    }

    /// The periodic task.
    fn on_listed(&mut self, listed: &Map<SchedulerId, bool>) {
        listed.keys().for_each(|id| {
            self.remote(*id);
        });
        let ids: Vec<SchedulerId> = self.schedulers.keys().copied().collect();
        for id in ids {
            let record = Record::of(listed.get(&id));
            let remote = self.remote(id);
            if record == Record::Absent && remote.peer.mode == Mode::Disabled {
                self.schedulers.remove(&id);
                continue;
            }
            match remote.peer.sync(record) {
                Synced::Refresh | Synced::Periodic { again: true } => self.activate(id),
                Synced::Disabled => remote.pipe = None,
                Synced::Nothing | Synced::Periodic { again: false } => {}
            }
        }
    }

    /// All of the state is to be sent to a scheduler, which counts as active from now on.
    fn activate(&mut self, scheduler: SchedulerId) {
        if self.published.is_some() {
            let remote = self.remote(scheduler);
            remote.pipe = Some(Pipe::fresh());
            remote.peer.activate();
        }
    }

    fn send(&mut self, scheduler: SchedulerId, out: &mut Vec<Output>) {
        let remote = self.remote(scheduler);
        let number = remote.next;
        let Some(pipe) = &mut remote.pipe else { return };
        let body = match pipe.take() {
            Ok(None) => return,
            Ok(Some(Batch::Delta(delta))) => Body::Delta { number, delta },
            Ok(Some(Batch::Refresh)) => {
                let Some(state) = self.published.clone() else { return };
                Body::Refresh { number, state }
            }
            Err(_) => return out.push(Output::Raise(Exception::RuntimeError)),
        };
        self.cast(Actor::Scheduler(scheduler), body, out);
        self.remote(scheduler).next += 1;
    }

    /// What waited is gone, and no number was used up.
    fn fail_to_send(&mut self, scheduler: SchedulerId) {
        if let Some(pipe) = &mut self.remote(scheduler).pipe {
            *pipe = Pipe::default();
        }
    }

    /// What is kept of a scheduler, from now on if it is new.
    fn remote(&mut self, scheduler: SchedulerId) -> &mut Remote {
        let fresh = Remote { peer: Peer::default(), next: self.number, pipe: None };
        self.schedulers.entry(scheduler).or_insert(fresh)
    }

    fn cast(&self, dst: Actor, body: Body, out: &mut Vec<Output>) {
        out.push(Output::Send(Datagram { src: Actor::Node(self.id), dst, body }));
    }

    fn post(&self, letter: Letter, out: &mut Vec<Output>) {
        out.push(Output::Post(Actor::Client(CONDUCTOR), letter));
    }
}

impl Remote {
    /// Adds to what waits; nothing waits for who is disabled.
    fn put(&mut self, delta: Delta) {
        if let Some(pipe) = &mut self.pipe {
            pipe.put(delta);
        }
    }
}

fn reply(claim: &Claim, accepted: bool) -> Reply {
    let Claim { number, origin, instance, .. } = *claim;
    Reply { number, origin, instance, accepted }
}
