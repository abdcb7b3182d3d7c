//! Packets of strangers to real daemons: nothing stops, nothing changes, nothing grows.
//!
//! The short form of what `fuzz/` does for hours.

mod common;

use common::Daemon;
use counterfoil_protocol::{
    Actor, Address, Body, Claim, ClaimId, ClaimNumber, Datagram, Delta, Demand, HostState,
    Incarnation, Inventory, Leave, NodeId, RequestId, ResourceClass, Resync, SchedulerId, Snapshot,
    Status, Version,
};
use counterfoil_service::key::{Key, Keys};
use counterfoil_service::packet::{PACKET_MAX, Packets, Seal};
use counterfoil_service::remote::{Method, Remote, path_of};
use counterfoil_service::wire::{Message, Order, OrderId, Peer};
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// Packets to each daemon, each of two times.
const PACKETS: usize = 30_000;

/// Packets at once: a socket keeps so many until they are taken in.
const AT_ONCE: usize = 64;

/// Memory that a daemon may take more of meanwhile, in KiB: far less than a byte for each byte sent.
const GROWTH_MAX: u64 = 4 << 10;

/// After this long what must happen has not.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a packet that means nothing, or is not believed, is dropped.
const REASONS: [&str; 7] =
    ["not_ours", "version", "truncated", "malformed", "too_long", "unauthenticated", "limit"];

fn keys(byte: &str) -> Keys {
    Keys::from(Key::from_hex(&byte.repeat(32)).unwrap())
}

/// What the daemons of a cluster say to each other, from and to those that are there.
fn messages(at: SocketAddr) -> Vec<Message> {
    let life = Some(Incarnation(1));
    let of = |actor, incarnation| Address { actor, incarnation };
    let (n1, s1) = (Actor::Node(NodeId(1)), Actor::Scheduler(SchedulerId(1)));
    let claim = ClaimId {
        scheduler: SchedulerId(1),
        incarnation: Incarnation(1),
        node: NodeId(1),
        number: ClaimNumber(0),
    };
    let resources = [(ResourceClass::Vcpu, 1)].into_iter().collect();
    let demand = Demand { resources, ..Demand::default() }.into();
    let state = HostState { inventory: Inventory::default(), ..HostState::default() };
    let to_node = [
        Body::Claim(Claim { claim, request: RequestId(9), demand, floor: ClaimNumber(0) }),
        Body::Confirm(claim),
        Body::Release(claim),
        Body::Resync(Resync { have: None }),
    ];
    let to_scheduler = [
        Body::Snapshot(Snapshot { at: Version(99), state }),
        Body::Delta(Delta { from: Version(0), to: Version(99), changes: Default::default() }),
        Body::Leave(Leave { at: Version(99) }),
        Body::Superseded { by: Incarnation(99) },
    ];
    let id = OrderId {
        node: NodeId(1),
        incarnation: Incarnation(1),
        scheduler: SchedulerId(1),
        life: Incarnation(1),
        number: 1,
    };
    let peers = (1..=40).map(|id| Peer {
        actor: Actor::Node(NodeId(id)),
        incarnation: Incarnation(99),
        address: at,
    });
    let to_node = to_node.map(|body| Datagram { src: of(s1, life), dst: of(n1, life), body });
    let to_scheduler =
        to_scheduler.map(|body| Datagram { src: of(n1, life), dst: of(s1, life), body });
    let datagrams = to_node.into_iter().chain(to_scheduler).map(Message::Datagram);
    let others = [
        Message::Peers(peers.collect()),
        Message::WhoIsThere { nodes: true },
        Message::Order(id, Order::Status(Status::Draining)),
        Message::Look(claim),
    ];
    datagrams.chain(others).collect()
}

/// A packet of someone who does not know the key.
fn stranger(random: &mut fastrand::Rng, seals: &[Seal; 3], messages: &[Message]) -> Vec<u8> {
    let which = random.usize(0..4);
    let Some(seal) = seals.get(which) else {
        let mut bytes = vec![0; random.usize(0..PACKET_MAX + 200)];
        random.fill(&mut bytes);
        if random.bool() {
            let ours = b"CF\x02\x01";
            let length = ours.len().min(bytes.len());
            bytes[..length].copy_from_slice(&ours[..length]);
        }
        return bytes;
    };
    let mut packets = Packets::default();
    packets.push(seal, &messages[random.usize(0..messages.len())]).unwrap();
    let mut bytes = packets.finish(seal).to_vec();
    let is_sealed_right = which == 0;
    match random.u8(0..4) {
        0 => bytes.truncate(random.usize(0..bytes.len())),
        1 => bytes.push(random.u8(..)),
        _ if is_sealed_right => {
            let at = random.usize(0..bytes.len());
            bytes[at] ^= random.u8(1..);
        }
        _ => {}
    }
    bytes
}

/// What a daemon counts.
fn metrics(address: &str) -> String {
    let mut answer = ureq::get(format!("http://{address}/metrics")).call().unwrap();
    answer.body_mut().read_to_string().unwrap()
}

/// Packets that it dropped.
fn dropped(address: &str) -> u64 {
    let text = metrics(address);
    let of = |reason: &&str| {
        let name = format!("counterfoil_dropped_total{{reason=\"{reason}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.expect("it is counted").parse::<u64>().unwrap()
    };
    REASONS.iter().map(of).sum()
}

/// How much memory a process takes, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends packets, a few at a time, and waits until each was counted as dropped.
fn bother(socket: &UdpSocket, daemon: &Daemon, seals: &[Seal; 3], seed: u64) {
    let to: SocketAddr = daemon.addresses[0].parse().unwrap();
    let messages = messages(socket.local_addr().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let before = dropped(&daemon.addresses[1]);
    let mut sent = 0;
    while sent < PACKETS {
        let batch = AT_ONCE.min(PACKETS - sent);
        for _ in 0..batch {
            socket.send_to(&stranger(&mut random, seals, &messages), to).unwrap();
        }
        sent += batch;
        let until = Instant::now() + PATIENCE;
        while dropped(&daemon.addresses[1]) < before + sent as u64 {
            assert!(Instant::now() < until, "after {sent} packets of seed {seed}");
            thread::yield_now();
        }
    }
    assert_eq!(dropped(&daemon.addresses[1]), before + PACKETS as u64, "each counts once");
}

/// What the scheduler knows of its nodes, without what passes with time.
fn nodes(remote: &Remote) -> Value {
    let reply = remote.ask(&remote.urls()[0], Method::Get, "/v1/nodes", None).unwrap();
    let mut nodes = reply.body;
    for node in nodes.as_array_mut().into_iter().flatten() {
        node["heard_ms"] = Value::Null;
    }
    nodes
}

#[test]
fn whatever_strangers_send_nothing_stops_nothing_changes_and_nothing_grows() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("key"), "17".repeat(32)).unwrap();
    let (any, key) = ("127.0.0.1:0", path("key"));
    let common = ["--id", "1", "--listen", any, "--key-file", &key, "--on-violation", "abort"];
    let node = ["--metrics", any, "--vcpu", "4", "--data", &path("n1")];
    let node = Daemon::start(&[&["node"], &common[..], &node].concat());
    let peer = node.addresses[0].clone();
    let scheduler = ["--api", any, "--peer", &peer, "--data", &path("s1")];
    let scheduler = Daemon::start(&[&["scheduler"], &common[..], &scheduler].concat());
    let remote = Remote::new(&[format!("http://{}", scheduler.addresses[1])], None, None).unwrap();
    let url = remote.urls()[0].clone();
    let until = Instant::now() + PATIENCE;
    let claim = loop {
        assert!(Instant::now() < until, "it is placed");
        let wish = json!({"resources": {"VCPU": 3}});
        let reply = remote.ask(&url, Method::Post, "/v1/requests", Some(&wish)).unwrap();
        if let Some(claim) = reply.body["placed"][0]["claim"].as_str() {
            break claim.parse().unwrap();
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(remote.ask(&url, Method::Put, &path_of(claim), None).unwrap().status, 200);
    while nodes(&remote)[0]["used"]["VCPU"] != 3 {
        assert!(Instant::now() < until, "it is known");
    }

    let before = nodes(&remote);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let seals =
        [Seal::new(at, Some(&keys("17"))), Seal::new(at, Some(&keys("18"))), Seal::new(at, None)];
    for (daemon, seed) in [(&node, 1), (&scheduler, 2)] {
        // What it needs to be bothered at all it has after the first time.
        bother(&socket, daemon, &seals, seed + 2);
        let takes = memory(daemon.pid());
        bother(&socket, daemon, &seals, seed);
        let more = memory(daemon.pid()).saturating_sub(takes);
        assert!(more <= GROWTH_MAX, "it takes {more} KiB more than {takes} before");
    }
    assert_eq!(nodes(&remote), before);
    let got = remote.ask(&url, Method::Get, &path_of(claim), None).unwrap();
    assert_eq!(got.body["state"], "confirmed", "{got:?}");
    let violations = metrics(&scheduler.addresses[1]) + &metrics(&node.addresses[1]);
    let violations = violations.lines().filter(|line| line.starts_with("counterfoil_violations"));
    assert!(violations.clone().count() > 0 && violations.clone().all(|line| line.ends_with(" 0")));
}
