//! Packets to real daemons, over loopback. Whoever has no key changes nothing; whoever has one and
//! lies makes no daemon stop, and none violates what it answers for by itself.

#![no_main]

use arbitrary::{Result, Unstructured};
use counterfoil_fuzz::{cluster, keys, nowhere, other_keys, packed, words};
use counterfoil_placement::PolicyName;
use counterfoil_protocol::{
    Actor, Body, Call, ClassInventory, ClientId, Config, Datagram, Intervals, Inventory, Node,
    NodeId, ResourceClass, Scheduler, SchedulerId,
};
use counterfoil_service::key::Keys;
use counterfoil_service::meters::{Drop, Meters};
use counterfoil_service::monitor::{OnViolation, Watch};
use counterfoil_service::packet::{PACKET_MAX, Seal};
use counterfoil_service::recorder::Extent;
use counterfoil_service::scheduler::{Connection, ConnectionNumber, Event, View};
use counterfoil_service::serve::Common;
use counterfoil_service::wire::{DecodeError, FromClient, Message};
use counterfoil_service::{api, node, scheduler};
use libfuzzer_sys::{Corpus, fuzz_target};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Packets that one input is, at most: they fit the queue of a socket.
const PACKETS_MAX: usize = 48;

/// Inputs after which the daemons start anew, for liars leave little of them.
const INPUTS_MAX: u32 = 500;

/// After this long something that must happen has not.
const PATIENCE: Duration = Duration::from_secs(20);

static DAEMONS: Mutex<Option<Daemons>> = Mutex::new(None);
static KEYS: LazyLock<Keys> = LazyLock::new(keys);
static OURS: LazyLock<Seal> = LazyLock::new(|| Seal::new(nowhere(), Some(&KEYS)));
static THEIRS: LazyLock<Seal> = LazyLock::new(|| Seal::new(nowhere(), Some(&other_keys())));
static NONE: LazyLock<Seal> = LazyLock::new(|| Seal::new(nowhere(), None));

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let u = &mut Unstructured::new(bytes);
    let mut running = DAEMONS.lock().expect("whoever panics ends the process");
    let daemons = running.get_or_insert_with(Daemons::start);
    daemons.inputs += 1;
    let strangers = u.ratio(3, 4).unwrap_or_default();
    let done = if strangers { from_strangers(u, daemons) } else { from_liars(u, daemons) };
    if daemons.inputs >= INPUTS_MAX {
        running.take().expect("it is there").stop();
    }
    if done.is_ok() { Corpus::Keep } else { Corpus::Reject }
});

/// One daemon, from outside.
struct Daemon {
    address: SocketAddr,
    meters: Arc<Meters>,
}

struct Daemons {
    socket: UdpSocket,
    nodes: Daemon,
    scheduler: Daemon,
    node_front: node::Front,
    front: scheduler::Front,
    /// Each node after its last step, and how many steps there were.
    seen: Arc<Mutex<(BTreeMap<NodeId, Node>, u64)>>,
    stops: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    inputs: u32,
}

/// What there is to know of both daemons.
#[derive(Clone, Debug, PartialEq)]
struct State {
    nodes: BTreeMap<NodeId, Node>,
    steps: u64,
    scheduler: Scheduler,
    addresses: Vec<(NodeId, SocketAddr)>,
}

/// Nobody is believed who does not know the key: whatever they send, everything stays as it is.
fn from_strangers(u: &mut Unstructured<'_>, daemons: &Daemons) -> Result<()> {
    let mut packets = Vec::new();
    while !u.is_empty() && packets.len() < PACKETS_MAX {
        packets.push(stranger(u)?);
    }
    let before = daemons.settled();
    for daemon in [&daemons.nodes, &daemons.scheduler] {
        let dropped = daemon.undecodable();
        daemons.send(daemon, &packets);
        daemon.wait_until(|| daemon.undecodable() >= dropped + packets.len() as u64);
        assert_eq!(daemon.undecodable(), dropped + packets.len() as u64, "each is counted once");
    }
    let mut after = daemons.state();
    // The daemons go on telling each other of nodes that a liar has told one of them.
    after.addresses.retain(|(node, _)| before.addresses.iter().any(|(known, _)| known == node));
    assert_eq!(after, before, "strangers change nothing");
    Ok(())
}

/// A packet of someone who does not know the key.
fn stranger(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    if u.ratio(1, 4)? {
        let length = u.int_in_range(0..=u.len().min(PACKET_MAX + 100))?;
        return Ok(u.bytes(length)?.to_vec());
    }
    let message = words::message(u, nowhere())?;
    let seal = [&*OURS, &*THEIRS, &*NONE][u.int_in_range(0..=2)?];
    let Some(mut packet) = packed(seal, &[message]) else { return Ok(Vec::new()) };
    if std::ptr::eq(seal, &*OURS) {
        // Seen on the network, and changed.
        let at = u.int_in_range(0..=packet.len() - 1)?;
        packet[at] ^= u.int_in_range(1..=255)?;
    }
    Ok(packet)
}

/// Whoever knows the key is believed, and may say anything.
fn from_liars(u: &mut Unstructured<'_>, daemons: &Daemons) -> Result<()> {
    let mut packets = Vec::new();
    while !u.is_empty() && packets.len() < PACKETS_MAX {
        if u.ratio(1, 8)? {
            daemons.call(u)?;
            continue;
        }
        let message = words::message(u, nowhere())?;
        if !ends_a_life(&message) {
            packets.extend(packed(&OURS, &[message]));
        }
    }
    for daemon in [&daemons.nodes, &daemons.scheduler] {
        daemons.send(daemon, &packets);
    }
    let state = daemons.settled();
    let limits = cluster::config().limits;
    assert!(state.scheduler.nodes.len() <= limits.nodes_max);
    assert!(state.scheduler.attempts.len() <= limits.attempts_pending_max);
    for node in state.nodes.values() {
        assert!(node.durable.allocations.len() <= limits.allocations_max);
        assert!(node.subscribers.len() <= limits.subscribers_max);
        assert!(node.fences.len() <= limits.fences_max);
    }
    for daemon in [&daemons.nodes, &daemons.scheduler] {
        let violated = daemon.meters.violations().filter(|(_, count)| *count > 0);
        for (property, count) in violated {
            assert!(!cluster::holds_among_liars(property), "{property}: {count}");
        }
    }
    Ok(())
}

/// Whether a daemon that believes this must stop: then there is nothing left to try.
fn ends_a_life(message: &Message) -> bool {
    let is_own = |actor| match actor {
        Actor::Node(id) => (1..=2).contains(&id.0),
        Actor::Scheduler(id) => id == SchedulerId(1),
        Actor::Client(_) => false,
    };
    match message {
        Message::Datagram(Datagram { src, body, .. }) => {
            is_own(src.actor) || matches!(body, Body::Superseded { .. })
        }
        Message::Peers(peers) => peers.iter().any(|peer| is_own(peer.actor)),
        Message::WhoIsThere { .. }
        | Message::Order(..)
        | Message::Ordered(_)
        | Message::Look(_)
        | Message::Seen(..) => false,
    }
}

impl Daemon {
    /// Packets and messages that had no meaning, or were not believed.
    fn undecodable(&self) -> u64 {
        let whys = [
            DecodeError::NotOurs,
            DecodeError::Version(0),
            DecodeError::Truncated,
            DecodeError::Malformed,
            DecodeError::TooLong(0),
            DecodeError::Unauthenticated,
            DecodeError::Limit(""),
        ];
        whys.map(|why| self.meters.dropped_for(Drop::Undecodable(why))).iter().sum()
    }

    fn wait_until(&self, happened: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !happened() {
            assert!(Instant::now() < until, "the daemon takes nothing in any more");
            thread::yield_now();
        }
    }
}

impl Daemons {
    fn start() -> Daemons {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let key_file = folder.path().join("key");
        std::fs::write(&key_file, "17".repeat(32)).expect("there is room for a key");
        let common = common(&key_file);
        let classes = [(ResourceClass::Vcpu, ClassInventory::of(6))].into_iter().collect();
        let options = node::Options {
            ids: (1..=2).map(NodeId).collect(),
            inventory: Inventory { classes, ..Inventory::default() },
            metrics: None,
            common: common.clone(),
        };
        let mut nodes = node::Daemon::start(&options).expect("nodes start");
        let seen = Arc::new(Mutex::new((BTreeMap::new(), 0)));
        let seeing = Arc::clone(&seen);
        nodes.observe(Box::new(move |node: &Node| {
            let mut seen = seeing.lock().expect("nobody panics with it");
            seen.0.insert(node.id, node.clone());
            seen.1 += 1;
        }));
        let options = scheduler::Options {
            id: SchedulerId(1),
            api: api::Settings::at(SocketAddr::from(([127, 0, 0, 1], 0))),
            policy: PolicyName::Spread.policy(),
            seed: 1,
            common,
        };
        let scheduler = scheduler::Daemon::start(&options).expect("a scheduler starts");
        let (front, node_front) = (scheduler.front(), nodes.front());
        let at = |address, meters| Daemon { address, meters };
        let (of_nodes, of_scheduler) =
            (at(nodes.bound_to(), nodes.meters()), at(scheduler.bound_to(), scheduler.meters()));
        let stops = Arc::new(AtomicBool::new(false));
        // A daemon that ends by itself, or panics, is what is looked for.
        let (one, other) = (Arc::clone(&stops), Arc::clone(&stops));
        let is_asked = |stops: &AtomicBool| stops.load(Ordering::SeqCst);
        let threads = vec![
            thread::spawn(move || {
                let result = nodes.run();
                assert!(result.is_ok() && is_asked(&one), "the nodes end: {result:?}");
            }),
            thread::spawn(move || {
                let result = scheduler.run();
                assert!(result.is_ok() && is_asked(&other), "the scheduler ends: {result:?}");
            }),
        ];
        let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a port");
        let (nodes, scheduler, inputs) = (of_nodes, of_scheduler, 0);
        let daemons =
            Daemons { socket, nodes, scheduler, node_front, front, seen, stops, threads, inputs };
        daemons.meet();
        daemons
    }

    /// Waits until the scheduler knows the nodes.
    fn meet(&self) {
        self.front.say(Event::Seeds(vec![self.nodes.address])).expect("it is there");
        assert!(self.node_front.say(node::Event::Seeds(vec![self.scheduler.address])));
        self.scheduler.wait_until(|| {
            thread::sleep(Duration::from_millis(1));
            let known = self.view().machine.nodes;
            known.values().filter(|peer| peer.host.is_some()).count() == 2
        });
    }

    fn stop(self) {
        self.stops.store(true, Ordering::SeqCst);
        assert!(self.node_front.say(node::Event::Stop));
        self.front.say(Event::Stop).expect("it is there");
        self.threads.into_iter().for_each(|thread| thread.join().expect("it stops in order"));
    }

    fn send(&self, daemon: &Daemon, packets: &[Vec<u8>]) {
        for packet in packets {
            self.socket.send_to(packet, daemon.address).expect("loopback takes it");
        }
    }

    /// A client calls, and may go before it is answered.
    fn call(&self, u: &mut Unstructured<'_>) -> Result<()> {
        let client = ClientId(u.int_in_range(0..=2)?);
        let number = ConnectionNumber(u.int_in_range(0..=3)?);
        let (attempt, demand) = (words::attempt(u)?, words::demand(u)?);
        let say = Box::new(|_| ());
        let call = FromClient::Call(Call { attempt, demand: demand.into() });
        let mut events = vec![
            Event::Opened(client, Connection { number, say }),
            Event::Said(client, number, call),
        ];
        if u.arbitrary()? {
            events.push(Event::Closed(client, number));
        }
        for event in events {
            self.front.say(event).expect("it is there");
        }
        Ok(())
    }

    fn view(&self) -> View {
        let (tell, told) = channel();
        let look = Event::Look(Box::new(move |view| drop(tell.send(view))));
        self.front.say(look).expect("it is there");
        told.recv_timeout(PATIENCE).expect("it shows what it knows")
    }

    fn state(&self) -> State {
        let View { machine, heard, .. } = self.view();
        let (nodes, steps) = self.seen.lock().expect("nobody panics with it").clone();
        let addresses = heard.into_iter().map(|(node, address, _)| (node, address)).collect();
        State { nodes, steps, scheduler: machine, addresses }
    }

    /// The state once everything that was sent before was taken in, and what came of it.
    fn settled(&self) -> State {
        let mut last = self.state();
        loop {
            for daemon in [&self.nodes, &self.scheduler, &self.nodes, &self.scheduler] {
                let why = Drop::Undecodable(DecodeError::NotOurs);
                let marks = daemon.meters.dropped_for(why);
                self.send(daemon, &[b"mark".to_vec()]);
                daemon.wait_until(|| daemon.meters.dropped_for(why) > marks);
            }
            let now = self.state();
            if now == last {
                return now;
            }
            last = now;
        }
    }
}

fn common(key_file: &Path) -> Common {
    // No timer comes: what happens, happens for a packet.
    let never = Duration::from_secs(3600);
    let intervals = Intervals {
        announce: never,
        beat: never,
        lapse: never,
        silence: never,
        resend: never,
        retry: never,
        impatience: never,
    };
    Common {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        advertise: None,
        peers: Vec::new(),
        key_file: Some(key_file.to_owned()),
        data: None,
        recording: None,
        extent: Extent::default(),
        until_stdin_closes: false,
        config: Config { intervals, ..cluster::config() },
        watch: Watch { on_violation: OnViolation::Log, ..Watch::default() },
    }
}
