//! This project in the setting of processes: the daemons of the service, as they are, with the load
//! of the comparison before each scheduler. What the loops of the other designs see from within is
//! not seen here: what time goes to, and how old views are.

use super::CompareError;
use super::conductor::Conductor;
use super::drive::{Control, judge};
use super::spec::Spec;
use super::tally::{Tally, Traffic, Witness};
use crate::baselines::counterfoil::{config, confirm, records};
use crate::baselines::{Amounts, Ask, Design, Event, Given, Outcome};
use counterfoil_protocol::{
    Answer, AttemptId, AttemptNumber, Call, ClientId, Demand, Node, NodeId, Placement, RequestId,
    SchedulerId,
};
use counterfoil_service::key::Key;
use counterfoil_service::meters::{Direction, Meters};
use counterfoil_service::monitor::{OnViolation, Watch};
use counterfoil_service::recorder::Extent;
use counterfoil_service::scheduler::{Connection, ConnectionNumber, Front, View};
use counterfoil_service::serve::Common;
use counterfoil_service::store::Store;
use counterfoil_service::wire::{FromClient, ToClient};
use counterfoil_service::{api, node, scheduler};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The only connection of a scheduler's client.
const CONNECTION: ConnectionNumber = ConnectionNumber(1);

/// From one look at how far the run is to the next.
const LOOK: Duration = Duration::from_millis(2);

/// Where nodes keep what was allocated before the run.
const KEPT: &str = "nodes";

type Failure = Box<dyn Error>;

/// Makes what the daemons need in `folder`: their key, and what is allocated before the run.
///
/// # Errors
/// If it cannot be written.
pub(super) fn prepare(spec: &Spec, given: &[Given], folder: &Path) -> Result<(), CompareError> {
    if !spec.designs.contains(&Design::Counterfoil) {
        return Ok(());
    }
    let key = Key::generate().map_err(std::io::Error::other)?;
    std::fs::write(folder.join("key"), key.to_hex())?;
    if given.iter().any(|given| !given.before.is_empty()) {
        let ids: Vec<NodeId> = (1..=given.len() as u32).map(NodeId).collect();
        let data = folder.join(KEPT);
        std::fs::create_dir_all(&data)?;
        let initial = |id: NodeId| records(id, &given[id.0 as usize - 1]);
        Store::<Node>::open(&data.join("store"), &ids, initial).map_err(std::io::Error::other)?;
    }
    Ok(())
}

fn common(spec: &Spec, folder: &Path) -> Common {
    Common {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        advertise: None,
        peers: Vec::new(),
        key_file: Some(folder.join("key")),
        data: None,
        recording: None,
        until_stdin_closes: false,
        config: config(spec.attempts_max),
        extent: Extent::default(),
        watch: Watch { on_violation: OnViolation::Off, one_of: NonZeroU32::MIN },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn traffic(meters: &Meters) -> Traffic {
    Traffic {
        messages: meters.messages(Direction::Out).map(|(_, count)| count).sum(),
        packets: meters.packets(Direction::Out),
        bytes: meters.bytes(Direction::Out),
    }
}

/// Runs all nodes until the control says stop.
pub(super) fn nodes(
    spec: &Spec,
    folder: &Path,
    control: &Control,
    meet: impl FnOnce(SocketAddr) -> Result<Vec<SocketAddr>, Failure>,
) -> Result<Witness, Failure> {
    let given = spec.scene()?.given;
    let kept = folder.join(KEPT);
    let mut daemon = node::Daemon::start(&node::Options {
        ids: (1..=spec.nodes).map(NodeId).collect(),
        inventory: given[0].inventory.clone(),
        metrics: None,
        common: Common { data: kept.exists().then_some(kept), ..common(spec, folder) },
    })?;
    let used: Arc<Mutex<Vec<Amounts>>> =
        Arc::new(Mutex::new(given.iter().map(Given::used).collect()));
    let seen = Arc::clone(&used);
    daemon.observe(Box::new(move |node: &Node| {
        let demand = Demand { resources: node.durable.used(), ..Demand::default() };
        lock(&seen)[node.id.0 as usize - 1] = Amounts::wanted(&demand);
    }));
    let (front, meters) = (daemon.front(), daemon.meters());
    let address = daemon.bound_to();
    let running = thread::spawn(move || daemon.run());
    meet(address)?;
    while !control.goes() && !control.stops() && !running.is_finished() {
        thread::sleep(LOOK);
    }
    let before = traffic(&meters);
    while !control.stops() && !running.is_finished() {
        thread::sleep(LOOK);
    }
    let mut witness = Witness { traffic: traffic(&meters).since(&before), ..Witness::default() };
    front.say(node::Event::Stop);
    running.join().expect("the nodes panicked")?;
    judge(&lock(&used), &given, &mut witness);
    Ok(witness)
}

/// Runs a scheduler until every request of its load has ended, or the control says stop.
pub(super) fn scheduler(
    spec: &Spec,
    id: u32,
    folder: &Path,
    control: &Control,
    meet: impl FnOnce(SocketAddr) -> Result<Vec<SocketAddr>, Failure>,
) -> Result<Tally, Failure> {
    let mut daemon = scheduler::Daemon::start(&scheduler::Options {
        id: SchedulerId(id),
        api: api::Settings::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        policy: spec.policy(),
        seed: spec.seed.wrapping_add(u64::from(id)),
        common: common(spec, folder),
    })?;
    let (front, meters) = (daemon.front(), daemon.meters());
    let share = spec.scene()?.share(id, spec.schedulers());
    let load = Arc::new(Load {
        client: ClientId(id),
        front: front.clone(),
        conductor: Mutex::new(Conductor::new(share, spec.window, spec.attempts_max)),
    });
    let observed = Arc::clone(&load);
    daemon.observe(Box::new(move |machine, attempt, node| {
        let claims_made = machine.attempts.get(&attempt).map_or(0, |attempt| attempt.claims_made);
        observed.on_choice(attempt.request.0, claims_made, node.is_some());
    }));
    let address = daemon.bound_to();
    let running = thread::spawn(move || daemon.run());
    let parts = meet(address)?;
    front.say(scheduler::Event::Seeds(parts.into_iter().take(1).collect()))?;
    wait_until_known(&front, spec.nodes, control)?;
    control.say_ready();
    while !control.goes() && !control.stops() {
        thread::sleep(LOOK);
    }
    let before = traffic(&meters);
    load.begin()?;
    while !control.stops() && !running.is_finished() && !lock(&load.conductor).is_done() {
        thread::sleep(LOOK);
        load.ask();
    }
    let mut conductor = lock(&load.conductor);
    conductor.cut();
    let mut tally = conductor.tally().clone();
    drop(conductor);
    tally.traffic = traffic(&meters).since(&before);
    // It fails only if the scheduler has stopped, and then says why below.
    let _ = front.say(scheduler::Event::Stop);
    running.join().expect("the scheduler panicked")?;
    Ok(tally)
}

/// Waits until the scheduler knows the state of every node.
fn wait_until_known(front: &Front, nodes: u32, control: &Control) -> Result<(), Failure> {
    while !control.stops() {
        let (tell, known) = channel();
        let look = Box::new(move |view: View| {
            let known = view.machine.nodes.values().filter(|peer| peer.host.is_some());
            let _ = tell.send(known.count());
        });
        front.say(scheduler::Event::Look(look))?;
        if known.recv_timeout(Duration::from_secs(5)) == Ok(nodes as usize) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The load before one scheduler.
struct Load {
    client: ClientId,
    front: Front,
    conductor: Mutex<Conductor>,
}

impl Load {
    fn begin(self: &Arc<Load>) -> Result<(), Failure> {
        let load = Arc::clone(self);
        let say = Box::new(move |said| load.hear(said));
        let connection = Connection { number: CONNECTION, say };
        self.front.say(scheduler::Event::Opened(self.client, connection))?;
        lock(&self.conductor).begin();
        self.ask();
        Ok(())
    }

    /// Asks for all that is due.
    fn ask(&self) {
        let now = Instant::now();
        loop {
            let Some(Ask { request, demand, .. }) = lock(&self.conductor).next(now) else { return };
            // A request is asked again under the same number when its attempt has ended.
            let attempt =
                AttemptId { request: RequestId(request), number: AttemptNumber(next_number()) };
            self.say(FromClient::Call(Call { attempt, demand }));
        }
    }

    fn hear(&self, said: ToClient) {
        let ToClient::Answer(Answer { attempt, placement }) = said else { return };
        let request = attempt.request.0;
        let outcome = match placement {
            Placement::Placed(claim) => {
                self.say(FromClient::Datagram(confirm(self.client, claim)));
                Some(Outcome::Placed)
            }
            Placement::NoValidHost(_) => Some(Outcome::NoValidHost),
            Placement::Exhausted => Some(Outcome::Exhausted),
            Placement::Unavailable | Placement::Overloaded => None,
        };
        let event = match outcome {
            Some(outcome) => Event::Ended { request, outcome },
            None => {
                let after = config(1).intervals.retry;
                Event::Again { request, without: None, after }
            }
        };
        lock(&self.conductor).on_event(event);
        self.ask();
    }

    /// A node was chosen, or none, for a request that has so many claims behind it.
    fn on_choice(&self, request: u64, claims_made: u32, chosen: bool) {
        let mut conductor = lock(&self.conductor);
        if claims_made >= conductor.attempts(request) {
            conductor.on_event(Event::Refused { request });
        }
        if chosen {
            let began = Instant::now();
            conductor.on_event(Event::Chosen { request, began, view_from: None });
        }
    }

    /// It is heard on the thread of the scheduler, which must not wait for itself: the window keeps
    /// what is said within what can be taken in.
    fn say(&self, said: FromClient) {
        let _ = self.front.offer(scheduler::Event::Said(self.client, CONNECTION, said));
    }
}

/// Numbers that no other attempt of this process has.
fn next_number() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
