//! What the three machines have in common, beside being machines.

use crate::format::{Origin, Running};
use counterfoil_protocol::{
    Actor, Client, ClientId, Config, Given, Machine, Node, NodeId, Output, Record, Scheduler,
    SchedulerId, Timer, client, node, scheduler,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};
use std::hash::Hash;

/// A machine that starts from a disk, and whose inputs can be recorded.
pub trait Role: Machine<Input: Clone + Debug + Serialize + DeserializeOwned> {
    /// The name of an actor of this role.
    type Id: Copy + Debug + Display + Ord + Hash;

    /// What an actor of this role keeps on disk.
    type Disk: Clone + Debug + Default + PartialEq;

    /// Starts the next life of `id` from `disk`.
    fn start(
        id: Self::Id,
        disk: Self::Disk,
        config: Given<Config>,
        outbox: &mut Vec<Output>,
    ) -> Self;

    /// The actor of this name.
    fn actor(id: Self::Id) -> Actor;

    /// Whose run it is, and what it starts from.
    fn origin(id: Self::Id, disk: Self::Disk) -> Origin;

    /// The name and the disk, if `origin` is of this role.
    fn of(origin: &Origin) -> Option<(Self::Id, &Self::Disk)>;

    /// The machine in the middle of its run, and its disk at that moment; `None` if a run of this
    /// role is always in one recording.
    fn running(&self) -> Option<(Running, Self::Disk)>;

    /// The machine, if `running` is of this role.
    fn resumed(running: &Running, config: Given<Config>) -> Option<Self>;

    /// The input that gives the machine this timer.
    fn timer(timer: Timer) -> Self::Input;

    /// Writes one change to `disk`.
    ///
    /// # Panics
    /// If the record is of another role: a machine persists only its own.
    fn write(disk: &mut Self::Disk, record: &Record);
}

macro_rules! role {
    ($machine:ident, $id:ty, $module:ident, $disk:expr) => {
        impl Role for $machine {
            type Id = $id;
            type Disk = $module::Disk;

            fn start(
                id: $id,
                disk: $module::Disk,
                config: Given<Config>,
                outbox: &mut Vec<Output>,
            ) -> Self {
                $machine::start(id, disk, config, outbox)
            }

            fn actor(id: $id) -> Actor {
                Actor::$machine(id)
            }

            fn origin(id: $id, disk: $module::Disk) -> Origin {
                Origin::$machine(id, disk)
            }

            fn of(origin: &Origin) -> Option<($id, &$module::Disk)> {
                if let Origin::$machine(id, disk) = origin { Some((*id, disk)) } else { None }
            }

            fn running(&self) -> Option<(Running, $module::Disk)> {
                let disk: fn(&$machine) -> Option<$module::Disk> = $disk;
                disk(self).map(|disk| (Running::$machine(Box::new(self.clone())), disk))
            }

            fn resumed(running: &Running, config: Given<Config>) -> Option<Self> {
                if let Running::$machine(machine) = running {
                    Some($machine::clone(machine).given(config))
                } else {
                    None
                }
            }

            fn timer(timer: Timer) -> $module::Input {
                $module::Input::Timer(timer)
            }

            fn write(disk: &mut $module::Disk, record: &Record) {
                let Record::$machine(change) = record else {
                    panic!("a {} persists no {record:?}", stringify!($machine));
                };
                disk.apply(change);
            }
        }
    };
}

role!(Node, NodeId, node, |node| Some(node.durable.clone()));
role!(Scheduler, SchedulerId, scheduler, |scheduler| {
    Some(scheduler::Disk { incarnation: scheduler.incarnation })
});
// What a client has on disk cannot be told from what it has in memory.
role!(Client, ClientId, client, |_| None);
