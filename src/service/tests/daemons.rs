//! Nodes and schedulers as processes, spoken to from outside.

use counterfoil_protocol::{
    Actor, Address, Body, ClaimId, ClassInventory, Datagram, Decision, HostState, Incarnation,
    Inventory, NodeId, ResourceClass, Resync, SchedulerId, Snapshot, Stamp, Verdict, Version,
};
use counterfoil_service::meters::Meters;
use counterfoil_service::packet::{PACKET_MAX, Packets, Seal, open};
use counterfoil_service::post::Post;
use counterfoil_service::remote::{Method, Remote, Reply, path_of};
use counterfoil_service::serve::said_ready;
use counterfoil_service::wire::{Message, Peer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// From one try to the next, when what was said may have been lost.
const AGAIN: Duration = Duration::from_millis(200);

/// A process under test; it is killed when this is dropped.
struct Process {
    child: Child,
    stderr: ChildStderr,
    addresses: Vec<SocketAddr>,
}

impl Process {
    /// Starts a process and waits until it says that it is ready.
    fn start(args: &[&str]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
            .args(args)
            .args(["--log", "info", "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses = said_ready(&line).expect("it becomes ready");
        let stderr = child.stderr.take().unwrap();
        Process { child, stderr, addresses }
    }

    fn node(data: &Path, listen: &str) -> Process {
        let data = data.to_str().unwrap();
        Process::start(&["node", "--id", "1", "--listen", listen, "--data", data])
    }

    fn scheduler(data: &Path, node: SocketAddr) -> Process {
        let (data, node) = (data.to_str().unwrap(), node.to_string());
        let any = "127.0.0.1:0";
        let address = ["--listen", any, "--api", any, "--peer", &node, "--data", data];
        Process::start(&[["scheduler", "--id", "1"].as_slice(), &address].concat())
    }

    /// Asks it to stop, and returns its exit code and what it logged.
    fn stop(mut self) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }

    /// Kills it without a warning.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resync() -> Datagram {
    let (scheduler, life) = (Actor::Scheduler(SchedulerId(9)), Some(Incarnation(1)));
    Datagram {
        src: Address { actor: scheduler, incarnation: life },
        dst: Address { actor: Actor::Node(NodeId(1)), incarnation: None },
        body: Body::Resync(Resync { have: None }),
    }
}

#[test]
fn bad_datagrams_are_counted_and_dropped_and_the_node_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let node = Process::node(dir.path(), "127.0.0.1:0");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(node.addresses[0]).unwrap();
    socket.set_read_timeout(Some(AGAIN)).unwrap();
    let seal = Seal::new(socket.local_addr().unwrap(), None);
    let mut packets = Packets::default();
    packets.push(&seal, &Message::Datagram(resync())).unwrap();
    let good = packets.finish(&seal).to_vec();
    let mut future = good.clone();
    future[2] = 200;
    let nonsense = [good.as_slice(), &[2, 200, 0]].concat();
    let bad: [&[u8]; 7] = [
        b"",
        b"GET / HTTP/1.1",
        b"not of this protocol",
        &future,
        &good[..good.len() - 1],
        &nonsense,
        &[0; PACKET_MAX + 100],
    ];
    for bytes in bad {
        socket.send(bytes).unwrap();
    }
    let mut buffer = [0; PACKET_MAX];
    let mut is_snapshot = false;
    while !is_snapshot {
        socket.send(&good).unwrap();
        if let Ok(length) = socket.recv(&mut buffer) {
            let (_, mut messages) = open(&buffer[..length], None).unwrap();
            let snapshot = |message| {
                matches!(message, Ok(Message::Datagram(Datagram { body: Body::Snapshot(_), .. })))
            };
            is_snapshot = messages.any(snapshot);
        }
    }
    let (code, log) = node.stop();
    assert_eq!(code, Some(0));
    let counts = [("not_ours", 2), ("version", 1), ("truncated", 2), ("malformed", 1)];
    for (why, count) in counts.into_iter().chain([("too_long", 1)]) {
        let line = format!("dropped why=\"{why}\" count={count}\n");
        assert!(log.contains(&line), "no {line:?} in {log}");
    }
}

#[test]
fn a_store_is_refused_to_another_actor_and_when_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    Process::node(dir.path(), "127.0.0.1:0").kill();
    let start = |id: &str| {
        let node = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
            .args(["node", "--id", id, "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.path())
            .output()
            .unwrap();
        (node.status.code(), String::from_utf8(node.stderr).unwrap())
    };
    let (code, message) = start("2");
    assert_eq!(code, Some(5));
    assert!(message.contains("belongs to n1, not to n2"), "{message}");
    std::fs::write(dir.path().join("store"), "something else").unwrap();
    let (code, message) = start("1");
    assert_eq!(code, Some(5));
    assert!(message.contains("cannot be used"), "{message}");
}

/// A client of the protocol.
struct Client(Remote);

impl Client {
    fn of(scheduler: &Process) -> Client {
        let url = format!("http://{}", scheduler.addresses[1]);
        Client(Remote::new(&[url], None, None).unwrap())
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        self.0.ask(&self.0.urls()[0], method, path, body).unwrap()
    }

    /// Asks for one processor, over a connection.
    fn call(&self, connection: u64, attempt: u32) -> Reply {
        let body = json!({
            "resources": {"VCPU": 1},
            "client": 1, "connection": connection, "request": 1, "attempt": attempt,
        });
        self.ask(Method::Post, "/v1/requests", Some(&body))
    }

    /// Asks for one processor until it is placed.
    fn place(&self) -> ClaimId {
        let placed = |reply: Reply| reply.body["placed"][0]["claim"].as_str()?.parse().ok();
        (1..).find_map(|attempt| placed(self.call(0, attempt))).expect("numbers do not end")
    }

    /// Confirms `claim` until the node says something of it.
    fn confirm(&self, claim: ClaimId) -> Reply {
        loop {
            let reply = self.ask(Method::Put, &path_of(claim), None);
            if reply.status != 504 {
                return reply;
            }
        }
    }
}

#[test]
fn what_was_confirmed_through_a_scheduler_outlives_the_node_and_a_client_that_talks_nonsense() {
    let (of_node, of_scheduler) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = Process::node(of_node.path(), "127.0.0.1:0");
    let address = node.addresses[0];
    let scheduler = Process::scheduler(of_scheduler.path(), address);

    let mut nonsense = TcpStream::connect(scheduler.addresses[1]).unwrap();
    nonsense.write_all(b"nonsense of no protocol at all\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    // The scheduler ends the connection.
    let _ = nonsense.read_to_end(&mut rest);

    let client = Client::of(&scheduler);
    let claim = client.place();
    let confirmed = client.confirm(claim);
    assert_eq!((confirmed.status, &confirmed.body["state"]), (200, &json!("confirmed")));
    node.kill();
    let node = Process::node(of_node.path(), &address.to_string());
    assert_eq!(client.confirm(claim).status, 200);
    assert_eq!(scheduler.stop().0, Some(0));
    assert_eq!(node.stop().0, Some(0));
}

/// A node that says only what a test has it say.
struct Mute {
    post: Post,
    heard: VecDeque<(Datagram, SocketAddr)>,
}

impl Mute {
    fn new() -> Mute {
        let any = "127.0.0.1:0".parse().unwrap();
        let post = Post::listen(any, None, None, Arc::new(Meters::default())).unwrap();
        Mute { post, heard: VecDeque::new() }
    }

    /// Introduces itself as the first life of node 1.
    fn introduce(&mut self, scheduler: &Process) {
        let actor = Actor::Node(NodeId(1));
        let me = Peer { actor, incarnation: Incarnation(1), address: self.post.address() };
        self.post.send(scheduler.addresses[0], &Message::Peers(vec![me]));
        self.post.flush();
    }

    /// The next datagram that `is_meant` accepts, and where it came from.
    fn hear(&mut self, is_meant: impl Fn(&Body) -> bool) -> (Datagram, SocketAddr) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            while let Some((datagram, from)) = self.heard.pop_front() {
                if is_meant(&datagram.body) {
                    return (datagram, from);
                }
            }
            assert!(Instant::now() < deadline, "nothing was heard");
            self.post.wait(Some(deadline)).unwrap();
            let heard = &mut self.heard;
            let take = |from, message| {
                if let Message::Datagram(datagram) = message {
                    heard.push_back((datagram, from));
                }
            };
            self.post.receive(take).unwrap();
        }
    }

    /// Answers `datagram` as the first life of node 1.
    fn answer(&mut self, (datagram, from): &(Datagram, SocketAddr), body: Body) {
        let me = Address { actor: Actor::Node(NodeId(1)), incarnation: Some(Incarnation(1)) };
        let answer = Datagram { src: me, dst: datagram.src, body };
        self.post.send(*from, &Message::Datagram(answer));
        self.post.flush();
    }
}

#[test]
fn a_call_is_answered_though_an_older_connection_of_its_client_ends_while_it_waits() {
    let of_scheduler = tempfile::tempdir().unwrap();
    let mut node = Mute::new();
    let scheduler = Process::scheduler(of_scheduler.path(), node.post.address());
    node.introduce(&scheduler);
    let resync = node.hear(|body| matches!(body, Body::Resync(_)));
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(4))].into_iter().collect();
    let inventory = Inventory { classes, ..Inventory::default() };
    let state = HostState { inventory, ..HostState::default() };
    node.answer(&resync, Body::Snapshot(Snapshot { at: Version(0), state }));
    // It asks for less once it knows more.
    node.hear(|body| matches!(body, Body::Resync(Resync { have: Some(_) })));

    let client = Client::of(&scheduler);
    let (old, new) = thread::scope(|scope| {
        let old = scope.spawn(|| client.call(1, 1));
        let first = node.hear(|body| matches!(body, Body::Claim(_)));
        let new = scope.spawn(|| client.call(2, 2));
        let is_second = |body: &Body| {
            let Body::Claim(first) = &first.0.body else { unreachable!("it is a claim") };
            matches!(body, Body::Claim(claim) if claim.claim != first.claim)
        };
        let second = node.hear(is_second);
        // The old connection has ended before the new one is answered.
        let old = old.join().unwrap();
        let Body::Claim(claim) = &second.0.body else { unreachable!("it is a claim") };
        let stamp = Stamp { incarnation: Incarnation(1), version: Version(1) };
        let decision = Decision::Granted { at: stamp };
        node.answer(&second, Body::Verdict(Verdict { claim: claim.claim, decision }));
        (old, (claim.claim, new.join().unwrap()))
    });
    assert_eq!((old.status, old.error()), (503, "connection_over"));
    let (claim, answer) = new;
    assert_eq!(answer.body["placed"][0]["claim"], json!(claim.to_string()));
    assert_eq!(scheduler.stop().0, Some(0));
}
