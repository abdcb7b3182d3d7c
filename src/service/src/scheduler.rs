//! What is around a scheduler: a socket to the nodes, connections to the clients, and a policy.

mod around;
mod front;
mod looks;
mod orders;
mod picker;
mod recent;

pub use front::{
    Connection, ConnectionNumber, EVENTS_MAX, Event, Front, NotTaken, Ordered, Seen, ToTheAsker,
    ToTheClient, ToTheLooker, ToTheOperator, View,
};
pub use picker::Picker;
pub use recent::{Decided, Decision, RECENT_MAX};

use crate::api;
use crate::driver::Driver;
use crate::meters::Meters;
use crate::serve::{Common, ServeError, say_ready};
use crate::stop::{self, Asked};
use crate::store::Store;
use around::AroundScheduler;
use counterfoil_placement::Policy;
use counterfoil_protocol::{AttemptId, NodeId, Scheduler, SchedulerId};
use std::net::SocketAddr;
use std::sync::Arc;

/// What a scheduler is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name.
    pub id: SchedulerId,
    /// Where and how it serves clients.
    pub api: api::Settings,
    /// How it picks a node.
    pub policy: Policy,
    /// Where the order of nodes that are equally good begins.
    pub seed: u64,
    /// What every daemon is told.
    pub common: Common,
}

/// Sees the scheduler when it has chosen a node for an attempt, or found none, for measurements.
pub type Observe = Box<dyn FnMut(&Scheduler, AttemptId, Option<NodeId>) + Send>;

/// A scheduler that has started.
pub struct Daemon {
    driver: Driver<Scheduler>,
    around: AroundScheduler,
    front: Front,
    bound_to: SocketAddr,
}

/// Runs a scheduler until it is asked to stop.
///
/// # Errors
/// If it cannot start, or can no longer keep its life.
pub fn serve(options: &Options) -> Result<(), ServeError> {
    let Options { id, common, .. } = options;
    let daemon = Daemon::start(options)?;
    let lapse = common.config.intervals.lapse;
    let server = api::Server::start(&options.api, daemon.front(), lapse)?;
    let addresses = [daemon.bound_to(), server.address()];
    ask(common, &daemon.front(), Some(server.handle()))?;
    tracing::info!(scheduler = %id, udp = %addresses[0], api = %addresses[1], "started");
    say_ready(&addresses)?;
    let result = daemon.run();
    server.stop();
    result?;
    tracing::info!(scheduler = %id, "stopped");
    Ok(())
}

impl Daemon {
    /// Starts the next life of the scheduler.
    ///
    /// # Errors
    /// If it cannot keep its life, or not listen.
    pub fn start(options: &Options) -> Result<Daemon, ServeError> {
        let Options { id, policy, seed, common, .. } = options;
        let meters = Arc::new(Meters::default());
        let post = common.post(&meters)?;
        let kept = match common.store()? {
            Some(path) => Store::<Scheduler>::open(&path, &[*id], |_| Vec::new())?,
            None => Store::forgetful(&[*id], |_| Vec::new()),
        };
        let bound_to = post.bound_to()?;
        let (front, events) = Front::new(post.waker(), Arc::clone(&meters));
        let mut around =
            AroundScheduler::new(*id, post, Picker::new(*policy, *seed), events, meters);
        let driver = Driver::start(
            kept,
            (&common.config, common.watch),
            |id| common.recording(id),
            &mut around,
        )?;
        around.introduce(driver.machine(*id).incarnation);
        Ok(Daemon { driver, around, front, bound_to })
    }

    /// Speaks to it, from any thread.
    pub fn front(&self) -> Front {
        self.front.clone()
    }

    /// Where it listens for packets.
    pub fn bound_to(&self) -> SocketAddr {
        self.bound_to
    }

    /// Shows the scheduler to `observe` when it has chosen a node for an attempt, or found none.
    pub fn observe(&mut self, observe: Observe) {
        self.around.observe = Some(observe);
    }

    /// What it counts.
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.around.meters)
    }

    /// Takes turns until it is to stop and nothing is open, or its grace is over.
    ///
    /// # Errors
    /// If it can no longer keep its life, or someone else lives it, or a later one.
    pub fn run(self) -> Result<(), ServeError> {
        let Daemon { mut driver, mut around, .. } = self;
        let id = around.id;
        loop {
            let flow = driver.turn(&mut around)?;
            around.show(driver.machine(id));
            around.check_alone()?;
            if driver.machine(id).stopped {
                return Err(ServeError::Superseded(id));
            }
            let nothing_open = driver.machine(id).attempts.is_empty();
            if flow.is_break() || (around.stops() && nothing_open) {
                around.meters.report();
                return Ok(());
            }
        }
    }
}

fn ask(common: &Common, front: &Front, api: Option<api::Handle>) -> Result<(), ServeError> {
    let seeds = front.clone();
    common.resolve(move |addresses| seeds.say(Event::Seeds(addresses)).is_ok())?;
    let (front, again) = (front.clone(), common.clone());
    stop::when_asked(common.until_stdin_closes, move |asked| {
        let event = match asked {
            Asked::Stop => {
                api.iter().for_each(api::Handle::stopping);
                Event::Stop
            }
            Asked::Reload => {
                api.iter().for_each(api::Handle::reload);
                match again.keys() {
                    Ok(keys) => Event::Keys(keys),
                    Err(error) => {
                        return tracing::error!(%error, "the keys stay what they were");
                    }
                }
            }
        };
        // It fails only if the scheduler has stopped.
        let _ = front.say(event);
    })?;
    Ok(())
}
