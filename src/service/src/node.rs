//! What is around a node: a socket.
//!
//! A node needs to be told of no scheduler. It answers whoever speaks to it at the address that the
//! datagram came from, and schedulers speak first, and again after either has restarted.

use crate::driver::{BATCH_MAX, Driver, Outside};
use crate::peers::Routes;
use crate::serve::{Common, EVENTS_MAX, ServeError, config, gather, say_ready};
use crate::stop;
use crate::store::Store;
use crate::udp::{Arrival, Dropped, Udp};
use counterfoil_protocol::node::{Change, Input, Order};
use counterfoil_protocol::{Choice, Inventory, Node, NodeId, Output, Record};
use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// What a node is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name.
    pub id: NodeId,
    /// What it has.
    pub inventory: Inventory,
    /// What every daemon is told.
    pub common: Common,
}

struct AroundNode {
    udp: Udp,
    routes: Routes,
    events: Receiver<Event>,
}

enum Event {
    Arrival(Arrival),
    Stop,
}

/// Runs a node until it is asked to stop.
///
/// # Errors
/// If it cannot start, or can no longer keep what it promised.
pub fn serve(options: &Options) -> Result<(), ServeError> {
    let Options { id, inventory, common } = options;
    let change = Record::Node(Change::Inventory(inventory.clone()));
    let (store, disk) = Store::<Node>::open(&common.store()?, *id, &[change])?;
    let (say, events) = sync_channel(EVENTS_MAX);
    let deliver = {
        let say = say.clone();
        move |arrival| match say.send(Event::Arrival(arrival)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let udp = Udp::listen(common.listen, Dropped::default(), deliver)
        .map_err(|source| ServeError::Listen { address: common.listen, source })?;
    stop::when_asked(common.until_stdin_closes, move || {
        // It fails only if the node has stopped.
        let _ = say.send(Event::Stop);
    })?;
    let address = udp.address()?;
    let mut around = AroundNode { udp, routes: Routes::default(), events };
    let reordered = disk.inventory != *inventory;
    let recording = common.recording.as_deref();
    let mut driver = Driver::start(*id, (store, disk), config(), recording, &mut around)?;
    if reordered {
        let order = Order::Inventory(inventory.clone());
        driver.give([Input::Order(order)], &mut around)?;
    }
    tracing::info!(node = %id, %address, life = %driver.machine().incarnation(), "started");
    say_ready(&[address])?;
    driver.run(&mut around)?;
    around.udp.dropped().report();
    tracing::info!(node = %id, "stopped");
    Ok(())
}

impl Outside<Node> for AroundNode {
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<Input>,
    ) -> io::Result<ControlFlow<()>> {
        for event in gather(&self.events, deadline, BATCH_MAX) {
            match event {
                Event::Arrival(Arrival::Datagram(datagram, from)) => {
                    self.routes.heard(datagram.src, from);
                    inputs.push(Input::Datagram(*datagram));
                }
                Event::Arrival(Arrival::Broken(error)) => return Err(error),
                Event::Stop => return Ok(ControlFlow::Break(())),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn choose(&mut self, _: &Node, _: &Choice) -> Option<Input> {
        None
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(datagram) => self.udp.send(&datagram, self.routes.to(datagram.dst)),
            Output::Persist(_)
            | Output::Call(..)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Ended(..)
            | Output::Notice(_) => {}
        }
    }
}
