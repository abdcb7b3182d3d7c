//! Recordings of a cluster: judged, told, and made into a run of the world. The cluster is a small one
//! in this process, with the real machines, and can have a rule off, which the service cannot.

use counterfoil_protocol::{
    Actor, Body, ClassInventory, Client, ClientId, Config, Datagram, Decision, Demand, Given,
    Incarnation, Inventory, Node, NodeId, Output, RequestId, ResourceClass, Rule, Rules, Scheduler,
    SchedulerId, Stamp, Version, client, node, scheduler,
};
use counterfoil_protocol::{Choice, ClaimId};
use counterfoil_recording::{Batch, Entry, Header, Role, Writer, digest};
use insta::assert_snapshot;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Done};
use std::time::Duration;
use tempfile::TempDir;

/// A machine that is recorded while it is given inputs.
struct Recorded<R: Role> {
    machine: R,
    writer: Writer,
}

impl<R: Role> Recorded<R> {
    /// Starts under `rules`; the recording says that it was under `told`.
    fn start(
        folder: &Path,
        id: R::Id,
        disk: R::Disk,
        rules: Rules,
        told: Rules,
    ) -> (Self, Vec<Output>) {
        let mut outputs = Vec::new();
        let config = Config { rules, ..Config::default() };
        let machine = R::start(id, disk.clone(), Given::new(config.clone()), &mut outputs);
        let header = Header {
            origin: R::origin(id, disk),
            config: Config { rules: told, ..config },
            running: None,
            started: digest(&outputs),
        };
        let path = folder.join(format!("{id}.1.recording"));
        (Recorded { machine, writer: Writer::create(&path, &header).unwrap() }, outputs)
    }

    fn give(&mut self, input: R::Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.machine.handle(input.clone(), &mut outputs);
        let entries = vec![Entry { input, outputs: digest(&outputs) }];
        self.writer.write(&Batch { elapsed: Duration::ZERO, entries }).unwrap();
        outputs
    }
}

/// What is under way.
enum Way {
    Datagram(Datagram),
    Call(SchedulerId, counterfoil_protocol::Call),
    Answer(counterfoil_protocol::Answer),
}

/// One node with one slot, two schedulers, one client: everything arrives in the order of sending.
struct Cluster {
    node: Recorded<Node>,
    schedulers: [Recorded<Scheduler>; 2],
    client: Recorded<Client>,
    under_way: VecDeque<Way>,
    /// What changes a datagram on its way.
    forge: fn(&mut Datagram),
}

const CLIENT: ClientId = ClientId(1);
const NODE: NodeId = NodeId(1);

impl Cluster {
    /// Under `rules`; the recordings say that it was under `told`.
    fn start(folder: &Path, rules: Rules, told: Rules) -> Cluster {
        let classes = [(ResourceClass::Vcpu, ClassInventory::of(1))].into_iter().collect();
        let disk = node::Disk::new(Inventory { classes, ..Inventory::default() });
        let (node, mut said) = Recorded::start(folder, NODE, disk, rules, told);
        let scheduler = |id, said: &mut Vec<Output>| {
            let disk = scheduler::Disk::default();
            let (mut recorded, outputs) =
                Recorded::<Scheduler>::start(folder, SchedulerId(id), disk, rules, told);
            said.extend(outputs);
            said.extend(recorded.give(scheduler::Input::Meet(NODE)));
            recorded
        };
        let schedulers = [scheduler(1, &mut said), scheduler(2, &mut said)];
        let (client, outputs) =
            Recorded::start(folder, CLIENT, client::Disk::default(), rules, told);
        said.extend(outputs);
        let under_way = VecDeque::new();
        let mut cluster = Cluster { node, schedulers, client, under_way, forge: |_| {} };
        cluster.send(Actor::Node(NODE), said);
        cluster.settle();
        cluster
    }

    fn scheduler(&mut self, id: SchedulerId) -> &mut Recorded<Scheduler> {
        &mut self.schedulers[id.0 as usize - 1]
    }

    /// Puts what `from` said under way, and answers what it asks.
    fn send(&mut self, from: Actor, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(mut datagram) => {
                    (self.forge)(&mut datagram);
                    self.under_way.push_back(Way::Datagram(datagram));
                }
                Output::Call(to, call) => self.under_way.push_back(Way::Call(to, call)),
                Output::Answer(_, answer) => self.under_way.push_back(Way::Answer(answer)),
                Output::Choose(Choice::Node(attempt)) => {
                    let Actor::Scheduler(id) = from else { panic!("{from} asks for a node") };
                    let fits = self.scheduler(id).machine.eligible(attempt, NODE);
                    let chosen = fits.then_some(NODE);
                    let said = self.scheduler(id).give(scheduler::Input::Chosen(attempt, chosen));
                    self.send(from, said);
                }
                Output::Choose(Choice::Scheduler(attempt)) => {
                    // The first request goes to the first scheduler, the second to the second.
                    let to = SchedulerId(1 + (attempt.request.0 as u32 + 1) % 2);
                    let said = self.client.give(client::Input::Chosen(attempt, to));
                    self.send(from, said);
                }
                Output::Persist(_)
                | Output::SetTimer { .. }
                | Output::Ended(..)
                | Output::Notice(_) => {}
            }
        }
    }

    /// Lets everything arrive that is under way.
    fn settle(&mut self) {
        while let Some(next) = self.under_way.pop_front() {
            let (actor, said) = match next {
                Way::Call(to, call) => {
                    let input = scheduler::Input::Call(CLIENT, call);
                    (Actor::Scheduler(to), self.scheduler(to).give(input))
                }
                Way::Answer(answer) => {
                    (Actor::Client(CLIENT), self.client.give(client::Input::Answer(answer)))
                }
                Way::Datagram(datagram) => {
                    let to = datagram.dst.actor;
                    let said = match to {
                        Actor::Node(_) => self.node.give(node::Input::Datagram(datagram)),
                        Actor::Scheduler(id) => {
                            self.scheduler(id).give(scheduler::Input::Datagram(datagram))
                        }
                        Actor::Client(_) => self.client.give(client::Input::Datagram(datagram)),
                    };
                    (to, said)
                }
            };
            self.send(actor, said);
        }
    }

    /// Two requests for the last slot, made at once.
    fn race(&mut self) {
        for number in [1, 2] {
            let resources = [(ResourceClass::Vcpu, 1)].into_iter().collect();
            let demand = Demand { resources, ..Demand::default() };
            let order = client::Order::Place(RequestId(number), demand);
            let said = self.client.give(client::Input::Order(order));
            self.send(Actor::Client(CLIENT), said);
        }
        self.settle();
    }
}

/// The recordings of a race for the last slot.
fn race(rules: Rules, told: Rules, forge: fn(&mut Datagram)) -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut cluster = Cluster::start(folder.path(), rules, told);
    cluster.forge = forge;
    cluster.race();
    folder
}

const WITHOUT: Rules = Rules::ALL.without(Rule::NodeJudgesClaims);

fn check(words: &[&str]) -> Done {
    Command::new(env!("CARGO_BIN_EXE_check")).args(words).output().unwrap()
}

/// What a command says that ends with this code, with the folder left out.
fn said(words: &[&str], code: i32, folder: &TempDir) -> String {
    let done = check(words);
    let text = format!(
        "{}{}",
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8(done.stderr).unwrap()
    );
    assert_eq!(done.status.code(), Some(code), "{text}");
    text.replace(&folder.path().display().to_string(), "FOLDER")
}

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

#[test]
fn a_violation_that_was_recorded_is_shown_and_made_small() {
    let folder = race(WITHOUT, WITHOUT, |_| {});
    let place = folder.path().to_str().unwrap();
    let validated = said(&["validate", place, "--save", place], 1, &folder);
    assert_snapshot!(validated);
    let trace = path(&folder, "no_overcommit__recorded.itf.json");
    let replayed = said(&["replay", trace.to_str().unwrap()], 0, &folder);
    assert!(replayed.contains("no_overcommit is violated"), "{replayed}");

    assert_snapshot!(said(&["minimise", place, "--states", "20000"], 0, &folder));
    let least = path(&folder, "no_overcommit__recorded.min.itf.json");
    let replayed = said(&["replay", least.to_str().unwrap()], 0, &folder);
    assert!(replayed.contains("no_overcommit is violated"), "{replayed}");
    let json = said(&["validate", place, "--save", place, "--format", "json"], 1, &folder);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["trace"], "FOLDER/no_overcommit__recorded.itf.json");
}

#[test]
fn what_is_in_the_way_of_a_run_of_the_world_is_said() {
    let folder = race(WITHOUT, WITHOUT, |_| {});
    let place = folder.path().to_str().unwrap().to_owned();
    std::fs::remove_file(path(&folder, "s2.1.recording")).unwrap();
    let refused = said(&["minimise", &place], 3, &folder);
    assert!(refused.contains("there is no recording of s2, and n1 heard of it"), "{refused}");
    let validated = said(&["validate", &place, "--save", &place], 1, &folder);
    assert!(validated.contains("there is no recording of s2: what it said"), "{validated}");
    assert!(
        validated.contains("no run of the world shows it: there is no recording"),
        "{validated}"
    );
    std::fs::remove_file(path(&folder, "n1.1.recording")).unwrap();
    let nothing = said(&["minimise", &place], 2, &folder);
    assert!(nothing.contains("no property is violated"), "{nothing}");

    let fine = race(Rules::ALL, Rules::ALL, |_| {});
    let place = fine.path().to_str().unwrap();
    let nothing = said(&["minimise", place], 2, &fine);
    assert!(nothing.contains("there is nothing to minimise"), "{nothing}");
    assert!(said(&["validate", place], 0, &fine).contains("VALID"));
    let empty = TempDir::new().unwrap();
    let nothing = said(&["minimise", empty.path().to_str().unwrap()], 5, &empty);
    assert!(nothing.contains("no recording is there"), "{nothing}");
    let mixed = said(&["minimise", place, "x.itf.json"], 2, &fine);
    assert!(mixed.contains("give one trace, or recordings"), "{mixed}");
}

#[test]
fn the_first_event_that_no_run_explains_is_told_with_what_comes_closest() {
    // The cluster was of a revision without a rule, and its recordings say that it was in force.
    let folder = race(WITHOUT, Rules::ALL, |_| {});
    let place = folder.path().to_str().unwrap();
    let diverged = said(&["validate", place, "--save", place], 4, &folder);
    assert_snapshot!(diverged);
    let trace = path(&folder, "views_are_real_states__recorded.itf.json");
    let replayed = said(&["replay", trace.to_str().unwrap()], 0, &folder);
    assert!(replayed.contains("holds"), "{replayed}");
}

#[test]
fn a_message_that_nobody_sent_is_told_with_the_one_that_is_closest() {
    let folder = race(Rules::ALL, Rules::ALL, |datagram| {
        if let Body::Verdict(verdict) = &mut datagram.body
            && let Decision::Granted { at } = &mut verdict.decision
        {
            *at = Stamp { incarnation: Incarnation(1), version: Version(7) };
        }
    });
    let place = folder.path().to_str().unwrap();
    assert_snapshot!(said(&["validate", place, "--save", place], 1, &folder));
}

#[test]
fn what_cannot_be_read_is_told_and_what_was_cut_is_judged_up_to_there() {
    let folder = race(Rules::ALL, Rules::ALL, |_| {});
    let place = folder.path().to_str().unwrap();
    let node = path(&folder, "n1.1.recording");
    let bytes = std::fs::read(&node).unwrap();
    std::fs::write(&node, &bytes[..bytes.len() - 3]).unwrap();
    let cut = said(&["validate", place, "--save", place], 1, &folder);
    assert!(cut.contains("n1.1.recording ends torn"), "{cut}");
    assert!(cut.contains("it may have been sent in what is cut off"), "{cut}");
    let mut other = bytes.clone();
    other[8] = 99;
    std::fs::write(&node, &other).unwrap();
    let newer = said(&["validate", place, "--save", place], 5, &folder);
    assert!(newer.contains("has format version 99"), "{newer}");
    std::fs::write(&node, b"something else").unwrap();
    let other = said(&["validate", place, "--save", place], 5, &folder);
    assert!(other.contains("is no recording"), "{other}");
    assert!(said(&["validate", "/no/such/folder"], 5, &folder).contains("a recording or folder"));
}

/// A claim is named by its scheduler, the life of that, the node and a number.
#[test]
fn the_race_is_one() {
    let folder = TempDir::new().unwrap();
    let mut cluster = Cluster::start(folder.path(), WITHOUT, WITHOUT);
    cluster.race();
    let granted: Vec<ClaimId> =
        cluster.node.machine.durable.allocations.iter().map(|(claim, _)| *claim).collect();
    assert_eq!(granted.len(), 2, "both have the one slot: {granted:?}");
}
