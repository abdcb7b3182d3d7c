//! The node, in every kind of state.

use crate::samples::*;
use crate::table::{Named, Subject, Table, assert_reads, step, table};
pub(crate) use counterfoil_protocol::node::Disk;
use counterfoil_protocol::node::{Input, Node, Order};
use counterfoil_protocol::{
    Address, Body, Changes, Claim, ClaimId, ClaimNumber, Decision, Delta, Demand, HostState, Leave,
    Limits, Machine, Notice, Output, Reason, Record, Resync, SchedulerId, Snapshot, Status, Timer,
    Version,
};

#[test]
fn every_input_in_every_state_does_what_the_table_says() {
    assert_reads(&node_table(), include_str!("node.txt"), "node.txt");
}

/// The table of the node.
pub(crate) fn node_table() -> Table {
    table(&states(), &inputs())
}

impl Subject for Node {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("disk", format!("{:?}", self.durable)),
            ("version", format!("{:?}", self.version)),
            ("announced", format!("{:?}", self.announced)),
            ("recent", format!("{:?}", self.recent)),
            ("subscribers", format!("{:?}", self.subscribers)),
            ("fences", format!("{:?}", self.fences)),
            ("left", format!("{:?}", self.left)),
        ]
    }

    fn fired(input: &Input) -> Option<Timer> {
        match input {
            Input::Timer(timer) => Some(timer.clone()),
            Input::Datagram(_) | Input::Order(_) => None,
        }
    }

    fn disk_after(&self, outputs: &[Output]) -> Option<String> {
        let mut disk = self.durable.clone();
        for output in outputs {
            if let Output::Persist(Record::Node(change)) = output {
                disk.apply(change);
            }
        }
        Some(format!("{disk:?}"))
    }

    fn disk(&self) -> Option<String> {
        Some(format!("{:?}", self.durable))
    }
}

/// Life 2 of node 1, with 8 processors, and nothing else.
pub(crate) fn fresh(limits: Limits) -> Node {
    let disk = Disk { incarnation: life(1), ..Disk::new(inventory(8)) };
    Node::start(N1, disk, config(limits), &mut Vec::new())
}

/// Gives the inputs in turn.
fn after(mut node: Node, inputs: &[Input]) -> Node {
    for input in inputs {
        step(&mut node, input, "on the way to a state");
    }
    node
}

/// A claim of `claim` that is meant for life 2 of the node.
pub(crate) fn claims(claim: ClaimId, floor: u64, amount: u64) -> Input {
    claims_for(claim, floor, vcpu(amount))
}

/// The same for a demand.
pub(crate) fn claims_for(claim: ClaimId, floor: u64, demand: Demand) -> Input {
    let body = Claim { demand: demand.into(), ..crate::samples::claim(claim, floor) };
    let src = scheduler_at(claim.scheduler.0, claim.incarnation.0);
    Input::Datagram(datagram(src, node_at(N1, 2), Body::Claim(body)))
}

fn says(src: Address, body: Body) -> Input {
    Input::Datagram(datagram(src, any_node(N1), body))
}

fn resync(scheduler: u32, incarnation: u64, have: Option<(u64, u64)>) -> Input {
    let have = have.map(|(i, v)| stamp(i, v));
    says(scheduler_at(scheduler, incarnation), Body::Resync(Resync { have }))
}

fn of_scheduler(scheduler: u32, number: u64) -> ClaimId {
    ClaimId { scheduler: SchedulerId(scheduler), ..claim_id(number) }
}

fn confirm() -> Input {
    says(client_at(1), Body::Confirm(claim_id(0)))
}

fn release() -> Input {
    says(client_at(1), Body::Release(claim_id(0)))
}

fn lapse() -> Input {
    Input::Timer(Timer::Lapse(claim_id(0)))
}

fn announce() -> Input {
    Input::Timer(Timer::Announce)
}

fn drain() -> Input {
    Input::Order(Order::Status(Status::Draining))
}

fn states() -> Named<Node> {
    let start = || fresh(small());
    let grant = || claims(claim_id(0), 0, 1);
    let big = || claims(claim_id(0), 0, 9);
    let restarted = after(start(), &[grant()]).durable;
    let restarted = Node::start(N1, restarted, config(small()), &mut Vec::new());
    vec![
        ("fresh", start()),
        ("held", after(start(), &[grant()])),
        ("held in group 1", after(start(), &[claims_for(claim_id(0), 0, member(1))])),
        ("confirmed", after(start(), &[grant(), confirm()])),
        ("lapsed", after(start(), &[grant(), lapse()])),
        ("refused", after(start(), &[big()])),
        ("floor raised", after(start(), &[claims(claim_id(1), 1, 9)])),
        ("later life claimed", {
            let later = ClaimId { incarnation: life(2), ..claim_id(0) };
            after(start(), &[claims(later, 0, 9)])
        }),
        ("subscribed", after(start(), &[resync(1, 1, None), announce()])),
        ("later life subscribed", after(start(), &[resync(1, 2, None)])),
        ("subscribed + held", after(start(), &[resync(1, 1, None), grant()])),
        ("subscribed + log too short", {
            after(start(), &[resync(1, 1, None), grant(), confirm(), release(), drain()])
        }),
        ("subscribers full", after(start(), &[resync(2, 1, None), resync(3, 1, None)])),
        ("allocations full", {
            let second = ClaimId { number: ClaimNumber(1), ..of_scheduler(2, 1) };
            after(start(), &[claims(of_scheduler(2, 0), 0, 1), claims(second, 0, 1)])
        }),
        ("fences full", {
            after(start(), &[claims(of_scheduler(2, 0), 0, 9), claims(of_scheduler(3, 0), 0, 9)])
        }),
        ("restarted + held", restarted),
        ("draining", after(start(), &[drain()])),
        ("draining + held", after(start(), &[grant(), drain()])),
    ]
}

/// Every kind of input.
pub(crate) fn inputs() -> Named<Input> {
    let mut inputs = claim_inputs();
    inputs.extend(other_datagrams());
    inputs.extend(timers_and_orders());
    inputs
}

fn claim_inputs() -> Named<Input> {
    let claim = |src, dst, claim| Input::Datagram(datagram(src, dst, Body::Claim(claim)));
    let body = crate::samples::claim(claim_id(0), 0);
    let from = scheduler_at(1, 1);
    let at_other_node = ClaimId { node: N2, ..claim_id(0) };
    let number = |number| ClaimId { number: ClaimNumber(number), ..claim_id(0) };
    vec![
        ("claim 0", claims(claim_id(0), 0, 1)),
        ("claim 0 for more than there is", claims(claim_id(0), 0, 9)),
        ("claim 1", claims(number(1), 0, 1)),
        ("claim 1 in group 1", claims_for(number(1), 0, member(1))),
        ("claim 1 in group 2", claims_for(number(1), 0, member(2))),
        ("claim 1 apart from group 1", claims_for(number(1), 0, apart(1, 0))),
        ("claim 1 apart from a second of group 1", claims_for(number(1), 0, apart(1, 1))),
        ("claim 1 near group 1", claims_for(number(1), 0, near(1))),
        ("claim 1, floor 1", claims(number(1), 1, 1)),
        ("claim 0, floor 1", claims(claim_id(0), 1, 1)),
        ("claim 2, beyond the window", claims(number(2), 0, 1)),
        ("claim 0 of a later life of the scheduler", {
            claims(ClaimId { incarnation: life(2), ..claim_id(0) }, 0, 1)
        }),
        ("claim 0 for the life before", claim(from, node_at(N1, 1), body.clone())),
        ("claim 0 for the life after", claim(from, node_at(N1, 3), body.clone())),
        ("claim 0 for no life", claim(from, any_node(N1), body.clone())),
        ("claim 0 from another scheduler", claim(scheduler_at(2, 1), node_at(N1, 2), body.clone())),
        (
            "claim 0 from another life of the scheduler",
            claim(scheduler_at(1, 2), node_at(N1, 2), body.clone()),
        ),
        ("claim 0 from a client", claim(client_at(1), node_at(N1, 2), body.clone())),
        ("claim 0 to another node", claim(from, node_at(N2, 2), body)),
        (
            "claim of another node's allocation",
            claim(from, node_at(N1, 2), crate::samples::claim(at_other_node, 0)),
        ),
    ]
}

fn other_datagrams() -> Named<Input> {
    let node = || node_at(N2, 1);
    let at_other_node = ClaimId { node: N2, ..claim_id(0) };
    let delta = Delta { from: Version(0), to: Version(1), changes: Changes::default() };
    let snapshot = Snapshot { at: Version(1), state: HostState::default() };
    let to_scheduler = datagram(client_at(1), scheduler_at(1, 1), Body::Confirm(claim_id(0)));
    vec![
        ("confirm 0", confirm()),
        ("confirm of another node's allocation", {
            says(client_at(1), Body::Confirm(at_other_node))
        }),
        ("confirm to a scheduler", Input::Datagram(to_scheduler)),
        ("release 0", release()),
        ("release of another node's allocation", {
            says(client_at(1), Body::Release(at_other_node))
        }),
        ("resync with nothing", resync(1, 1, None)),
        ("resync with 2.0", resync(1, 1, Some((2, 0)))),
        ("resync with 2.2", resync(1, 1, Some((2, 2)))),
        ("resync with a version to come", resync(1, 1, Some((2, 9)))),
        ("resync with the life before", resync(1, 1, Some((1, 0)))),
        ("resync of a later life of the scheduler", resync(1, 2, None)),
        ("resync of a new scheduler", resync(4, 1, None)),
        ("resync of no life", {
            let src = Address { incarnation: None, ..scheduler_at(1, 1) };
            says(src, Body::Resync(Resync { have: None }))
        }),
        ("resync from a node", says(node(), Body::Resync(Resync { have: None }))),
        ("verdict", says(node(), verdict(claim_id(0), Decision::Gone))),
        ("refusal", says(node(), verdict(claim_id(0), refused(stamp(1, 0), Reason::Zone)))),
        ("delta", says(node(), Body::Delta(delta))),
        ("snapshot", says(node(), Body::Snapshot(snapshot))),
        ("leave", says(node(), Body::Leave(Leave { at: Version(1) }))),
        ("superseded", says(node(), Body::Superseded { by: life(9) })),
    ]
}

fn timers_and_orders() -> Named<Input> {
    let timer = Input::Timer;
    vec![
        ("timer announce", announce()),
        ("timer lapse 0", lapse()),
        ("timer lapse of an unknown claim", timer(Timer::Lapse(claim_id(9)))),
        ("timer forget s1", timer(Timer::Forget(S1))),
        ("timer forget s9", timer(Timer::Forget(SchedulerId(9)))),
        ("timer resync", timer(Timer::Resync(N1))),
        ("timer resend", timer(Timer::Resend(claim_id(0)))),
        ("timer suspect", timer(Timer::Suspect(N1))),
        ("timer retry", timer(Timer::Retry(R1))),
        ("timer impatience", timer(Timer::Impatience(attempt(R1, 1)))),
        ("order inventory, the same", Input::Order(Order::Inventory(inventory(8)))),
        ("order inventory, smaller", Input::Order(Order::Inventory(inventory(0)))),
        ("order status up", Input::Order(Order::Status(Status::Up))),
        ("order status draining", drain()),
        ("order leave", Input::Order(Order::Leave)),
    ]
}

#[test]
fn a_node_that_left_ignores_everything() {
    let left = after(fresh(small()), &[drain(), Input::Order(Order::Leave)]);
    assert_eq!(left.timers(), []);
    for (name, input) in inputs() {
        let mut node = left.clone();
        let outputs = step(&mut node, &input, name);
        assert_eq!(outputs, [Output::Notice(Notice::MachineStopped)], "{name}");
        assert_eq!(node, left, "{name}");
    }
}

#[test]
fn a_claim_is_answered_by_the_first_that_applies() {
    let mut node = after(fresh(small()), &[claims(claim_id(0), 0, 1)]);
    let later = ClaimId { incarnation: life(2), ..claim_id(0) };
    let ask = |node: &mut Node, input: Input| sent(&step(node, &input, "claim"));
    step(&mut node, &claims(later, 0, 9), "a later life claims");
    let granted = verdict(claim_id(0), Decision::Granted { at: stamp(2, 1) });
    let from_older_life = claims(claim_id(0), 0, 1);
    assert_eq!(ask(&mut node, from_older_life.clone()), [granted], "the disk comes first");
    step(&mut node, &lapse(), "lapses");
    let superseded = Body::Superseded { by: life(2) };
    assert_eq!(ask(&mut node, from_older_life), [superseded], "then the life of the scheduler");
}

#[test]
fn a_start_persists_the_life_before_all_and_sets_every_timer() {
    let durable = after(fresh(small()), &[claims(claim_id(0), 0, 1)]).durable;
    let mut outputs = Vec::new();
    let node = Node::start(N1, durable, config(small()), &mut outputs);
    assert!(matches!(outputs[0], Output::Persist(Record::Node(_))), "{outputs:?}");
    assert_eq!(node.timers(), [Timer::Announce, Timer::Lapse(claim_id(0))]);
    for timer in node.timers() {
        let set =
            |output: &Output| matches!(output, Output::SetTimer { timer: t, .. } if *t == timer);
        assert!(outputs.iter().any(set), "{timer:?}");
    }
    assert_eq!(node.stamp(), stamp(3, 0));
}
