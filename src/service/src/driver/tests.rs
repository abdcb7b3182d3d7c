use super::*;
use counterfoil_protocol::scheduler::Input;
use counterfoil_protocol::{Actor, Address};
use counterfoil_protocol::{
    AttemptId, AttemptNumber, Body, Call, Claim, ClaimId, ClaimNumber, ClassInventory, ClientId,
    Datagram, Decision, Demand, HostState, Incarnation, Inventory, Machine, Node, NodeId, Notice,
    RequestId, ResourceClass, Resync, Scheduler, SchedulerId, Snapshot, Verdict, Version, node,
};
use counterfoil_recording::{Reader, Run};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

const SCHEDULER: SchedulerId = SchedulerId(1);
const NODE: NodeId = NodeId(1);

/// Remembers what it is told to carry out.
struct Around {
    events: Receiver<Never>,
    _say: Sender<Never>,
    carried_out: Vec<Output>,
    meters: Meters,
}

/// Nothing ever happens but timers.
enum Never {}

impl Around {
    fn new() -> Self {
        let (say, events) = channel();
        Around { events, _say: say, carried_out: Vec::new(), meters: Meters::default() }
    }

    fn sent(&self) -> impl Iterator<Item = &Datagram> {
        self.carried_out.iter().filter_map(|output| match output {
            Output::Send(datagram) => Some(datagram),
            Output::Persist(_)
            | Output::Call(..)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Ended(..)
            | Output::Notice(_) => None,
        })
    }
}

impl<R: Role> Outside<R> for Around
where
    Self: Chooses<R>,
{
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        _: &mut Vec<(R::Id, R::Input)>,
    ) -> io::Result<ControlFlow<()>> {
        let left = deadline.expect("there is a timer").saturating_duration_since(Instant::now());
        assert!(self.events.recv_timeout(left).is_err());
        Ok(ControlFlow::Continue(()))
    }

    fn choose(&mut self, machine: &R, choice: &Choice) -> Option<R::Input> {
        <Self as Chooses<R>>::choose(machine, choice)
    }

    fn carry_out(&mut self, _: R::Id, output: Output) {
        self.carried_out.push(output);
    }

    fn meters(&self) -> Option<&Meters> {
        Some(&self.meters)
    }

    fn count(&self, machines: &mut dyn Iterator<Item = &R>) {
        self.meters.set(Gauge::Allocations, machines.count());
    }
}

trait Chooses<R: Role> {
    fn choose(machine: &R, choice: &Choice) -> Option<R::Input>;
}

impl Chooses<Node> for Around {
    fn choose(_: &Node, _: &Choice) -> Option<node::Input> {
        None
    }
}

impl Chooses<Scheduler> for Around {
    fn choose(machine: &Scheduler, choice: &Choice) -> Option<Input> {
        let Choice::Node(attempt) = choice else { return None };
        let node = machine.nodes.keys().find(|node| machine.eligible(*attempt, **node));
        Some(Input::Chosen(*attempt, node.copied()))
    }
}

fn scheduler(dir: &Path, life: u64, around: &mut Around) -> Result<Driver<Scheduler>, DriverError> {
    let kept = Store::open(&dir.join("store"), &[SCHEDULER], |_| Vec::new())?;
    let recording = dir.join(format!("s1.{life}.recording"));
    Driver::start(
        kept,
        (&Config::default(), Watch::default()),
        |_| Some((recording.clone(), Extent::default())),
        around,
    )
}

/// A snapshot of a node with room for two requests.
fn snapshot() -> Input {
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(2))].into_iter().collect();
    let inventory = Inventory { classes, ..Inventory::default() };
    let address = |actor| Address { actor, incarnation: Some(Incarnation(1)) };
    Input::Datagram(Datagram {
        src: address(Actor::Node(NODE)),
        dst: address(Actor::Scheduler(SCHEDULER)),
        body: Body::Snapshot(Snapshot {
            at: Version(0),
            state: HostState { inventory, ..HostState::default() },
        }),
    })
}

fn call(request: u64) -> Input {
    let attempt = AttemptId { request: RequestId(request), number: AttemptNumber(1) };
    let resources = [(ResourceClass::Vcpu, 1)].into_iter().collect();
    Input::Call(
        ClientId(1),
        Call { attempt, demand: Demand { resources, ..Demand::default() }.into() },
    )
}

#[test]
fn a_choice_is_made_before_anything_else_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let mut around = Around::new();
    let mut driver = scheduler(dir.path(), 1, &mut around).unwrap();
    let inputs = [snapshot(), call(1), call(2), call(3)];
    driver.give(inputs.map(|input| (SCHEDULER, input)), &mut around).unwrap();
    let claims = around.sent().filter(|datagram| matches!(datagram.body, Body::Claim(_))).count();
    assert_eq!(claims, 2, "there is no room for the third");

    let path = dir.path().join("s1.1.recording");
    let run = Run::<Scheduler>::rebuild(Reader::open(&path).unwrap(), None).unwrap();
    let inputs: Vec<Input> = run.map(|step| step.unwrap().input).collect();
    let chosen = |input: &Input| matches!(input, Input::Chosen(..));
    let order: Vec<bool> = inputs.iter().map(chosen).collect();
    assert_eq!(order, [false, false, true, false, true, false, true]);
}

#[test]
fn a_run_is_rebuilt_from_what_its_driver_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut around = Around::new();
    let mut driver = scheduler(dir.path(), 1, &mut around).unwrap();
    for input in [Input::Meet(NODE), snapshot(), call(1), Input::Disconnected(ClientId(1))] {
        driver.give([(SCHEDULER, input)], &mut around).unwrap();
    }
    for _ in 0..3 {
        // The timers of the scheduler, as they come due.
        assert!(driver.turn(&mut around).unwrap().is_continue());
    }
    let reader = Reader::open(&dir.path().join("s1.1.recording")).unwrap();
    let mut run = Run::<Scheduler>::rebuild(reader, None).unwrap();
    let steps = run.by_ref().map(Result::unwrap).count();
    assert!(steps >= 4 + 1 + 3, "inputs, the choice and the timers: {steps}");
    assert_eq!(run.machine(), driver.machine(SCHEDULER));
}

#[test]
fn a_life_that_starts_again_goes_on_from_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    for life in 1..4 {
        let driver = scheduler(dir.path(), life, &mut Around::new()).unwrap();
        assert_eq!(driver.machine(SCHEDULER).incarnation, Incarnation(life));
    }
}

#[test]
fn what_cannot_be_recorded_does_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let mut around = Around::new();
    drop(scheduler(dir.path(), 1, &mut around).unwrap());
    let again = scheduler(dir.path(), 1, &mut around).map(|_| ());
    assert!(matches!(again, Err(DriverError::Recording(_))), "it is there: {again:?}");
    let driver = scheduler(dir.path(), 2, &mut around).unwrap();
    assert_eq!(
        driver.machine(SCHEDULER).incarnation,
        Incarnation(2),
        "the life between did not begin"
    );
}

#[test]
fn a_timer_is_given_once_it_is_due_and_again_when_it_is_set_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut around = Around::new();
    let kept = Store::open(&dir.path().join("store"), &[NODE], |_| Vec::new()).unwrap();
    let recording = dir.path().join("n1.1.recording");
    let mut driver: Driver<Node> = Driver::start(
        kept,
        (&Config::default(), Watch::default()),
        |_| Some((recording.clone(), Extent::default())),
        &mut around,
    )
    .unwrap();
    for _ in 0..2 {
        assert!(driver.turn(&mut around).unwrap().is_continue());
    }
    let run = Run::<Node>::rebuild(Reader::open(&recording).unwrap(), None).unwrap();
    let inputs: Vec<node::Input> = run.map(|step| step.unwrap().input).collect();
    let announce = node::Input::Timer(counterfoil_protocol::Timer::Announce);
    assert_eq!(inputs, [announce.clone(), announce]);
    assert_eq!(driver.machine(NODE).timers(), [counterfoil_protocol::Timer::Announce]);
}

/// This arrives at a node, and then nothing more does.
struct Arriving(Vec<node::Input>, Around);

impl Outside<Node> for Arriving {
    fn wait(
        &mut self,
        _: Option<Instant>,
        inputs: &mut Vec<(NodeId, node::Input)>,
    ) -> io::Result<ControlFlow<()>> {
        inputs.extend(self.0.drain(..).map(|input| (NODE, input)));
        Ok(ControlFlow::Continue(()))
    }

    fn choose(&mut self, _: &Node, _: &Choice) -> Option<node::Input> {
        None
    }

    fn carry_out(&mut self, _: NodeId, output: Output) {
        self.1.carried_out.push(output);
    }
}

#[test]
fn what_changed_in_a_turn_is_told_in_it_to_everyone() {
    let mut around = Arriving(Vec::new(), Around::new());
    let kept = Store::forgetful(&[NODE], |_| Vec::new());
    let config = Config::default();
    let mut driver: Driver<Node> =
        Driver::start(kept, (&config, Watch::default()), |_| None, &mut around).unwrap();
    let life = Some(driver.machine(NODE).incarnation());
    let from = |body| {
        let src = Address { actor: Actor::Scheduler(SCHEDULER), incarnation: Some(Incarnation(1)) };
        let dst = Address { actor: Actor::Node(NODE), incarnation: life };
        node::Input::Datagram(Datagram { src, dst, body })
    };
    around.0.push(from(Body::Resync(Resync { have: None })));
    assert!(driver.turn(&mut around).unwrap().is_continue());
    around.1.carried_out.clear();
    let claim = ClaimId {
        scheduler: SCHEDULER,
        incarnation: Incarnation(1),
        node: NODE,
        number: ClaimNumber(0),
    };
    around.0.push(from(Body::Claim(Claim {
        claim,
        request: RequestId(1),
        demand: Demand::default().into(),
        floor: ClaimNumber(0),
    })));
    assert!(driver.turn(&mut around).unwrap().is_continue());
    let told: Vec<&Body> = around.1.sent().map(|datagram| &datagram.body).collect();
    let granted = |verdict: &Verdict| matches!(verdict.decision, Decision::Granted { .. });
    assert!(
        matches!(told[..], [Body::Verdict(verdict), Body::Delta(_)] if granted(verdict)),
        "{told:?}"
    );
}

#[test]
fn what_happens_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut around = Around::new();
    let mut driver = scheduler(dir.path(), 1, &mut around).unwrap();
    let header = std::fs::metadata(dir.path().join("s1.1.recording")).unwrap().len();
    driver
        .give([Input::Meet(NODE), snapshot()].map(|input| (SCHEDULER, input)), &mut around)
        .unwrap();
    assert!(driver.turn(&mut around).unwrap().is_continue());
    let meters = &around.meters;
    let count = |notice| meters.notices().find(|(of, _)| *of == notice).unwrap().1;
    assert_eq!((count(Notice::NodeMet), count(Notice::SnapshotApplied)), (1, 1));
    assert_eq!((meters.commits().count, meters.records()), (1, 1), "its life");
    let written = std::fs::metadata(dir.path().join("s1.1.recording")).unwrap().len() - header;
    assert_eq!(meters.recorded_bytes(), written);
    let turns = (meters.turns().count, meters.turn_inputs().sum);
    assert_eq!(turns, (1, 1), "a timer of the scheduler");
    assert_eq!(meters.gauge(Gauge::TimersSet), driver.timers.len() as u64);
    assert_eq!(meters.gauge(Gauge::Allocations), 1, "the one machine was shown");
}
