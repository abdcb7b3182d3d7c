//! A process of the service without its sockets: a driver, its machine, and the store that it keeps
//! what it promised in.

use super::script::{Cast, Script};
use counterfoil_protocol::{Actor, Client, ClientId, Config, Node, NodeId, Record, node};
use counterfoil_protocol::{Scheduler, SchedulerId};
use counterfoil_service::driver::{Driver, DriverError};
use counterfoil_service::monitor::{OnViolation, Watch};
use counterfoil_service::store::Store;
use counterfoil_world::Counterfoil;
use counterfoil_world::counterfoil::Process;
use counterfoil_world::protocol::Event;
use std::path::Path;

/// A process that lives.
pub(super) enum Life {
    /// A node.
    Node(NodeId, Driver<Node>),
    /// A scheduler.
    Scheduler(SchedulerId, Driver<Scheduler>),
    /// A client.
    Client(ClientId, Driver<Client>),
}

impl Life {
    /// Starts the next life of an actor from its store, as the daemon does; a node that has none yet
    /// with this inventory.
    pub(super) fn start(
        actor: Actor,
        store: &Path,
        config: &Config,
        initial: Option<&node::Disk>,
        script: &mut Script,
    ) -> Result<Life, DriverError> {
        Ok(match actor {
            Actor::Node(id) => {
                let inventory = initial.map(|disk| disk.inventory.clone());
                let first = inventory.map(|of| Record::Node(node::Change::Inventory(of)));
                Life::Node(id, begin(id, store, config, first, script)?)
            }
            Actor::Scheduler(id) => Life::Scheduler(id, begin(id, store, config, None, script)?),
            Actor::Client(id) => Life::Client(id, begin(id, store, config, None, script)?),
        })
    }

    /// The machine, as the world would have it.
    pub(super) fn process(&self) -> Process {
        match self {
            Life::Node(id, driver) => driver.machine(*id).process(),
            Life::Scheduler(id, driver) => {
                let mut scheduler = driver.machine(*id).clone();
                scheduler.attempts.count_turns_anew();
                scheduler.process()
            }
            Life::Client(id, driver) => driver.machine(*id).process(),
        }
    }

    /// Hands over what happens; what is nothing to this role is left out.
    pub(super) fn give(
        &mut self,
        event: Event<Counterfoil>,
        script: &mut Script,
    ) -> Result<(), DriverError> {
        match self {
            Life::Node(id, driver) => {
                driver.give(Node::input(event).map(|input| (*id, input)), script)
            }
            Life::Scheduler(id, driver) => {
                driver.give(Scheduler::input(event).map(|input| (*id, input)), script)
            }
            Life::Client(id, driver) => {
                driver.give(Client::input(event).map(|input| (*id, input)), script)
            }
        }
    }
}

fn begin<R: Cast>(
    id: R::Id,
    store: &Path,
    config: &Config,
    first: Option<Record>,
    script: &mut Script,
) -> Result<Driver<R>, DriverError> {
    let kept = Store::<R>::open(store, &[id], |_| first.iter().cloned().collect())?;
    // What the trace shows is violated on purpose.
    let watch = Watch { on_violation: OnViolation::Off, ..Watch::default() };
    Driver::start(kept, (config, watch), |_| None, script)
}
