use super::*;
use crate::format::{Batch, Entry, Header, digest};
use crate::writer::Writer;
use counterfoil_protocol::client::Order;
use counterfoil_protocol::{
    Answer, AttemptId, AttemptNumber, Body, Call, ClassInventory, ClientId, Config, Datagram,
    Decision, Demand, Given, Incarnation, Inventory, Map, NodeId, Placement, RequestId,
    ResourceClass, SchedulerId, Stamp, Timer, Verdict, Version, client, node, scheduler,
};
use std::time::Duration;

const NODE: NodeId = NodeId(1);
const SCHEDULER: SchedulerId = SchedulerId(1);

/// A machine that is recorded while it is given inputs.
struct Recorder<R: Role> {
    machine: R,
    writer: Writer,
}

impl<R: Role> Recorder<R> {
    fn start(dir: &Path, name: &str, id: R::Id, disk: R::Disk) -> Self {
        let mut outputs = Vec::new();
        let config = Config::default();
        let machine = R::start(id, disk.clone(), Given::new(config.clone()), &mut outputs);
        let header = Header {
            origin: R::origin(id, disk),
            config,
            running: None,
            started: digest(&outputs),
        };
        Recorder { machine, writer: Writer::create(&dir.join(name), &header).unwrap() }
    }

    /// Gives one input as one batch; returns what is sent.
    fn give(&mut self, input: R::Input) -> Vec<Datagram> {
        let mut outputs = Vec::new();
        self.machine.handle(input.clone(), &mut outputs);
        let entries = vec![Entry { input, outputs: digest(&outputs) }];
        self.writer.write(&Batch { elapsed: Duration::ZERO, entries }).unwrap();
        let sent = |output| if let Output::Send(datagram) = output { Some(datagram) } else { None };
        outputs.into_iter().filter_map(sent).collect()
    }
}

fn vcpu(amount: u64) -> node::Disk {
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(amount))].into_iter().collect();
    node::Disk::new(Inventory { classes, ..Inventory::default() })
}

/// A scheduler places one request on a node; both are recorded. `forge` may change the verdict on
/// its way.
fn place_one(dir: &Path, forge: impl Fn(&mut Datagram)) {
    let mut node = Recorder::<Node>::start(dir, "n1.1.recording", NODE, vcpu(4));
    let disk = scheduler::Disk::default();
    let mut scheduler = Recorder::<Scheduler>::start(dir, "s1.1.recording", SCHEDULER, disk);
    let mut to_node = scheduler.give(scheduler::Input::Meet(NODE));
    let attempt = AttemptId { request: RequestId(1), number: AttemptNumber(1) };
    let resources = [(ResourceClass::Vcpu, 1)].into_iter().collect();
    let demand = Demand { resources, ..Demand::default() };
    let mut later = vec![
        scheduler::Input::Chosen(attempt, Some(NODE)),
        scheduler::Input::Call(ClientId(1), Call { attempt, demand: demand.into() }),
    ];
    loop {
        for datagram in std::mem::take(&mut to_node) {
            for mut answer in node.give(node::Input::Datagram(datagram)) {
                forge(&mut answer);
                to_node.extend(scheduler.give(scheduler::Input::Datagram(answer)));
            }
        }
        if to_node.is_empty() {
            let Some(input) = later.pop() else { break };
            to_node.extend(scheduler.give(input));
        }
    }
}

#[test]
fn a_true_run_holds() {
    let dir = tempfile::tempdir().unwrap();
    place_one(dir.path(), |_| {});
    let found = audit(dir.path()).unwrap();
    assert_eq!((found.violations, found.not_rebuilt, found.left_out), (0, 0, 0));
    assert_eq!(found.runs, 2);
    assert!(found.findings.is_empty());
    // A verdict is judged when it is given and when it is acted on.
    let judged = [
        (Safety::VerdictsAreTrue, 2),
        (Safety::ViewsAreRealStates, 1),
        (Safety::AnswersAreTrue, 1),
    ];
    for (property, times) in judged {
        assert_eq!(found.judged.get(&property), Some(&times), "{property}");
    }
    assert_eq!(found.notices.get(&Notice::ClaimGranted), Some(&1));
}

#[test]
fn a_verdict_that_no_node_gave_is_found_where_it_was_believed() {
    let dir = tempfile::tempdir().unwrap();
    place_one(dir.path(), |datagram| {
        if let Body::Verdict(Verdict { decision: Decision::Granted { at }, .. }) =
            &mut datagram.body
        {
            *at = Stamp { incarnation: Incarnation(1), version: Version(0) };
        }
    });
    let found = audit(dir.path()).unwrap();
    let Some(Finding { recording, what: Wrong::Violated { step, property, .. } }) =
        found.findings.first()
    else {
        panic!("{found:?}");
    };
    assert_eq!(*property, Safety::VerdictsAreTrue);
    assert_eq!(*step, 5, "after meet, the snapshot, the call and the choice");
    assert!(recording.ends_with("s1.1.recording"));
}

#[test]
fn without_the_recordings_of_the_nodes_what_reads_them_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    place_one(dir.path(), |_| {});
    std::fs::remove_file(dir.path().join("n1.1.recording")).unwrap();
    let found = audit(dir.path()).unwrap();
    assert_eq!((found.violations, found.not_rebuilt), (0, 0));
    assert!(found.left_out > 0);
    assert_eq!(found.missing, [Actor::Node(NODE)].into());
    assert_eq!(found.judged.get(&Safety::VerdictsAreTrue), None);
    assert!(found.judged.contains_key(&Safety::ViewsNeverGoBack));
}

#[test]
fn lives_are_judged_in_order_and_an_uncommitted_end_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    place_one(dir.path(), |_| {});
    let announce = || node::Input::Timer(Timer::Announce);
    // As if the first life had been killed before it committed the claim: it only began.
    let before_grant = node::Disk { incarnation: Incarnation(1), ..vcpu(4) };
    let mut again =
        Recorder::<Node>::start(dir.path(), "n1.2.recording", NODE, before_grant.clone());
    again.give(announce());
    let found = audit(dir.path()).unwrap();
    assert_eq!((found.runs, found.steps_without_effect), (3, 1));
    assert_eq!(found.not_rebuilt, 0);
    assert!(found.violations > 0, "the scheduler was told of a grant that never was");

    // No life leaves this disk behind.
    let other = node::Disk { incarnation: Incarnation(7), ..before_grant };
    Recorder::<Node>::start(dir.path(), "n1.3.recording", NODE, other).give(announce());
    let found = audit(dir.path()).unwrap();
    let wrong: Vec<&Wrong> = found.findings.iter().map(|finding| &finding.what).collect();
    assert!(matches!(wrong[..], [Wrong::NotRebuilt(RunError::OtherDisk)]), "{wrong:?}");
    assert!(found.left_out > 0, "not everything that the node did is known");
}

#[test]
fn a_damaged_recording_is_a_finding_and_an_unfinished_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    place_one(dir.path(), |_| {});
    let path = dir.path().join("s1.1.recording");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let found = audit(dir.path()).unwrap();
    assert_eq!((found.not_rebuilt, found.violations), (0, 0));
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let found = audit(dir.path()).unwrap();
    let message = found.findings.first().expect("it is damaged").to_string();
    assert!(message.contains("s1.1.recording the frame at byte"), "{message}");
    std::fs::write(&path, b"CFRE").unwrap();
    assert_eq!(audit(dir.path()).unwrap().not_rebuilt, 0, "killed before it did anything");
    std::fs::write(dir.path().join("notes.txt"), "not a recording by its name").unwrap();
    assert_eq!(audit(dir.path()).unwrap().not_rebuilt, 0);
}

/// A client hears `placement`, which the scheduler that it asked never said.
fn answered_by_nobody(placement: Placement) -> Audit {
    let dir = tempfile::tempdir().unwrap();
    let disk = scheduler::Disk::default();
    Recorder::<Scheduler>::start(dir.path(), "s1.1.recording", SCHEDULER, disk)
        .give(scheduler::Input::Meet(NODE));
    let (name, disk) = ("c1.1.recording", client::Disk::default());
    let mut client = Recorder::<Client>::start(dir.path(), name, ClientId(1), disk);
    let attempt = AttemptId { request: RequestId(1), number: AttemptNumber(1) };
    client.give(client::Input::Order(Order::Place(attempt.request, Demand::default())));
    client.give(client::Input::Chosen(attempt, SCHEDULER));
    client.give(client::Input::Answer(Answer { attempt, placement }));
    audit(dir.path()).unwrap()
}

#[test]
fn only_what_whoever_is_in_front_of_a_scheduler_says_too_is_not_looked_for() {
    for placement in [Placement::Overloaded, Placement::Unavailable] {
        let found = answered_by_nobody(placement);
        assert_eq!((found.never_sent, found.messages_joined), (0, 0), "{found:?}");
        assert!(found.left_out > 0 && found.is_fine(), "{found:?}");
    }
    for placement in [Placement::NoValidHost(Map::default()), Placement::Exhausted] {
        let found = answered_by_nobody(placement);
        assert_eq!((found.never_sent, found.messages_joined), (1, 1), "{found:?}");
        let message = found.findings[0].to_string();
        assert!(message.contains("was never sent by s1"), "{message}");
    }
}

#[test]
fn a_recording_is_known_by_its_name() {
    let named = |name: &str| Recorded::named(PathBuf::from(name)).map(|r| (r.actor, r.life));
    assert_eq!(named("x/n1.2.recording"), Some(("n1".to_owned(), 2)));
    for other in ["n1.recording", "n1.x.recording", "n1.2.recording.bak", "recording"] {
        assert_eq!(named(other), None, "{other}");
    }
    assert!(named("n1.10.recording") > named("n1.9.recording"), "lives are numbers");
}
