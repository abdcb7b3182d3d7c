//! How lives begin and end, and what others notice of it.

use super::{Deed, Engine, Event, Setting};
use crate::sim::cast::{Lives, Slot};
use counterfoil_placement::Share;
use counterfoil_protocol::{
    Actor, Client, ClientId, Node, NodeId, Output, Scheduler, SchedulerId, scheduler,
};
use counterfoil_service::scheduler::Picker;

impl Setting {
    /// The policy of a scheduler in this life.
    fn picker(&self, id: SchedulerId, life: u32) -> Picker {
        let seed = self.seed ^ u64::from(id.0) ^ u64::from(life) << 32;
        let mut picker = Picker::new(self.policy, seed);
        picker.set_share(Share::beside(id, (1..=self.shares).map(SchedulerId)));
        picker
    }
}

impl<I> Engine<I> {
    /// Starts a node, scheduler or client for the first time, from this disk. Schedulers are told of
    /// a node when it is there; a scheduler is told of all nodes at once.
    pub(crate) fn join<R: Lives>(&mut self, id: R::Id, disk: R::Disk) {
        assert_eq!(R::place(id), R::slots(&mut self.cast).len(), "they join in order");
        if let Some(deeds) = &mut self.deeds {
            deeds.push(Deed::Join(R::actor(id)));
        }
        if let Actor::Scheduler(scheduler) = R::actor(id) {
            self.cast.pickers.push(self.setting.picker(scheduler, 0));
        }
        let (mut outputs, config) = (Vec::new(), self.config.clone());
        let machine = R::start(id, disk.clone(), config, &mut outputs);
        R::slots(&mut self.cast).push(Slot { machine, disk, life: 0, gone: false });
        self.live::<R>(id, outputs);
        if let Actor::Node(node) = R::actor(id) {
            let after = self.now + self.network.over_connection();
            let there: Vec<usize> = self.cast.schedulers_there().collect();
            for at in there {
                let slot = &self.cast.schedulers[at];
                self.queue.push(after, Event::Meet(slot.machine.id, slot.life, node));
            }
        }
    }

    /// Crashes an actor, and starts its next life from its disk.
    pub(crate) fn restart(&mut self, actor: Actor) {
        if let Some(deeds) = &mut self.deeds {
            deeds.push(Deed::Restart(actor));
        }
        self.restart_actor(actor);
    }

    pub(super) fn restart_actor(&mut self, actor: Actor) {
        self.tell_of_crash(actor);
        match actor {
            Actor::Node(id) => self.start_again::<Node>(id),
            Actor::Scheduler(id) => {
                let index = Scheduler::place(id);
                self.judge.ended(&self.cast.schedulers[index].machine);
                let life = self.cast.schedulers[index].life + 1;
                self.cast.pickers[index] = self.setting.picker(id, life);
                self.start_again::<Scheduler>(id);
            }
            Actor::Client(id) => self.start_again::<Client>(id),
        }
    }

    fn start_again<R: Lives>(&mut self, id: R::Id) {
        let (mut outputs, config) = (Vec::new(), self.config.clone());
        let slot = &mut R::slots(&mut self.cast)[R::place(id)];
        slot.machine = R::start(id, slot.disk.clone(), config, &mut outputs);
        slot.life += 1;
        self.live::<R>(id, outputs);
    }

    /// A life has begun.
    fn live<R: Lives>(&mut self, id: R::Id, outputs: Vec<Output>) {
        let node = if let Actor::Node(node) = R::actor(id) { Some(node) } else { None };
        let machine = &R::slots(&mut self.cast)[R::place(id)].machine;
        self.judge.started(id, node, machine, &outputs);
        self.look(R::actor(id), node);
        let _ = self.carry_out::<R>(id, outputs);
        if let Actor::Scheduler(scheduler) = R::actor(id) {
            let nodes: Vec<NodeId> = self.cast.nodes_there().collect();
            for node in nodes {
                self.give::<Scheduler>(scheduler, scheduler::Input::Meet(node));
            }
        }
    }

    /// Crashes a scheduler for good.
    pub(crate) fn die(&mut self, id: SchedulerId) {
        if let Some(deeds) = &mut self.deeds {
            deeds.push(Deed::Die(id));
        }
        self.tell_of_crash(Actor::Scheduler(id));
        let slot = &mut self.cast.schedulers[Scheduler::place(id)];
        self.judge.ended(&slot.machine);
        slot.gone = true;
    }

    /// Those at the other ends of its connections notice that an actor crashes.
    fn tell_of_crash(&mut self, actor: Actor) {
        let after = self.now + self.network.over_connection();
        match actor {
            Actor::Node(_) => {}
            Actor::Scheduler(id) => {
                let asks = |slot: &&Slot<Client>| {
                    let mut open = slot.machine.requests.values().flat_map(|r| r.open.values());
                    open.any(|at| *at == id)
                };
                let asking = self.cast.clients.iter().filter(asks);
                let asking: Vec<ClientId> = asking.map(|slot| slot.machine.id).collect();
                for client in asking {
                    let ends = self.ends(client, id);
                    self.queue.push(after, Event::SchedulerLost(ends));
                }
            }
            Actor::Client(id) => {
                let there: Vec<usize> = self.cast.schedulers_there().collect();
                for at in there {
                    let ends = self.ends(id, self.cast.schedulers[at].machine.id);
                    self.queue.push(after, Event::ClientLost(ends));
                }
            }
        }
    }

    /// Loses every datagram in flight.
    pub(crate) fn lose_all(&mut self) {
        if let Some(deeds) = &mut self.deeds {
            deeds.push(Deed::LoseAll);
        }
        self.queue.drop_all(|event| matches!(event, Event::Datagram(_)));
    }

    /// Breaks the connection of a client and a scheduler.
    pub(crate) fn disconnect(&mut self, client: ClientId, scheduler: SchedulerId) {
        if let Some(deeds) = &mut self.deeds {
            deeds.push(Deed::Disconnect(client, scheduler));
        }
        let ends = self.ends(client, scheduler);
        *self.broke.entry((client, scheduler)).or_default() += 1;
        let after = self.now + self.network.over_connection();
        self.queue.push(after, Event::ClientLost(ends));
        self.queue.push(after, Event::SchedulerLost(ends));
    }
}
