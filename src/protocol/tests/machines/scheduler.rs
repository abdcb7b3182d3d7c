//! The scheduler, in every kind of state.

use crate::samples::*;
use crate::table::{Named, Subject, Table, assert_reads, step, table};
pub(crate) use counterfoil_protocol::scheduler::{Disk, Input};
use counterfoil_protocol::scheduler::{Eligibility, Peer, Phase, Scheduler};
use counterfoil_protocol::{
    Address, Answer, Body, Call, Changes, Choice, ClaimId, ClientId, Datagram, Decision, Delta,
    HostState, Leave, Limits, Machine, NodeId, Notice, Output, Placement, Reason, Refusal,
    RequestId, Resync, SchedulerId, Snapshot, Status, Timer, Turn, Version,
};

#[test]
fn every_input_in_every_state_does_what_the_table_says() {
    assert_reads(&scheduler_table(), include_str!("scheduler.txt"), "scheduler.txt");
}

/// The table of the scheduler.
pub(crate) fn scheduler_table() -> Table {
    table(&states(), &inputs())
}

impl Subject for Scheduler {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let of_nodes = |text: fn(&Peer) -> String| {
            let texts: Vec<String> =
                self.nodes.iter().map(|(node, peer)| format!("{node} {}", text(peer))).collect();
            texts.join(" ")
        };
        vec![
            ("stopped", format!("{:?}", self.stopped)),
            ("nodes", format!("{:?}", self.nodes.keys().collect::<Vec<_>>())),
            ("host", of_nodes(|peer| format!("{:?}", peer.host))),
            ("presence", of_nodes(|peer| format!("{:?}", peer.presence))),
            ("next", of_nodes(|peer| format!("{:?}", peer.next))),
            ("claims", of_nodes(|peer| format!("{:?}", peer.claims))),
            ("attempts", format!("{:?}", self.attempts)),
        ]
    }

    fn fired(input: &Input) -> Option<Timer> {
        match input {
            Input::Timer(timer) => Some(timer.clone()),
            Input::Datagram(_)
            | Input::Call(..)
            | Input::Disconnected(_)
            | Input::Chosen(..)
            | Input::Meet(_) => None,
        }
    }

    fn disk_after(&self, outputs: &[Output]) -> Option<String> {
        let writes = outputs.iter().any(|output| matches!(output, Output::Persist(_)));
        Some(format!("{:?} {writes}", self.incarnation))
    }

    fn disk(&self) -> Option<String> {
        Some(format!("{:?} false", self.incarnation))
    }
}

/// Life 1 of scheduler 1, which knows nobody.
pub(crate) fn fresh(limits: Limits) -> Scheduler {
    Scheduler::start(S1, Disk::default(), config(limits), &mut Vec::new())
}

/// Gives the inputs in turn.
pub(crate) fn after(mut scheduler: Scheduler, inputs: &[Input]) -> Scheduler {
    for input in inputs {
        step(&mut scheduler, input, "on the way to a state");
    }
    scheduler
}

/// What life `incarnation` of `node` says to this scheduler.
pub(crate) fn from(node: NodeId, incarnation: u64, body: Body) -> Input {
    Input::Datagram(datagram(node_at(node, incarnation), scheduler_at(1, 1), body))
}

/// A snapshot of `node` with 2 processors, so many of them used.
pub(crate) fn snapshot(node: NodeId, incarnation: u64, version: u64, used: u64) -> Input {
    let mut state = HostState { inventory: inventory(2), ..HostState::default() };
    state.used.add(&vcpu(used).resources);
    from(node, incarnation, Body::Snapshot(Snapshot { at: Version(version), state }))
}

/// A delta that says how many processors are used.
pub(crate) fn delta(incarnation: u64, from_version: u64, to: u64, used: u64) -> Input {
    let used = vcpu(used).resources.iter().map(|(class, amount)| (class.clone(), amount)).collect();
    let changes = Changes { used, ..Changes::default() };
    let delta = Delta { from: Version(from_version), to: Version(to), changes };
    from(N1, incarnation, Body::Delta(delta))
}

/// A beat of node 1.
pub(crate) fn beat(incarnation: u64, version: u64) -> Input {
    let at = Version(version);
    from(N1, incarnation, Body::Delta(Delta { from: at, to: at, changes: Changes::default() }))
}

/// A verdict of life 1 of node 1 on claim 0.
pub(crate) fn decides(decision: Decision) -> Input {
    from(N1, 1, verdict(claim_id(0), decision))
}

/// A granted verdict.
pub(crate) fn grants(version: u64) -> Input {
    decides(Decision::Granted { at: stamp(1, version) })
}

/// A call of a client.
pub(crate) fn calls(client: u32, request: RequestId, amount: u64) -> Input {
    let call = Call { demand: vcpu(amount).into(), ..call(request, 1) };
    Input::Call(ClientId(client), call)
}

/// The driver's choice for attempt 1 of a request.
pub(crate) fn chooses(request: RequestId, node: Option<NodeId>) -> Input {
    Input::Chosen(attempt(request, 1), node)
}

/// Attempt 1 of request 1 has claimed a processor of node 1, known at 1.3.
pub(crate) fn claiming() -> Vec<Input> {
    vec![snapshot(N1, 1, 3, 0), calls(1, R1, 1), chooses(R1, Some(N1))]
}

/// After [`claiming`]: two more attempts wait for both processors, and once the claim is refused the
/// first of them is asked again.
pub(crate) fn two_wait_and_one_is_asked() -> Vec<Input> {
    let mut inputs = vec![Input::Disconnected(C1)];
    for (client, request) in [(2, R2), (1, R3)] {
        inputs.extend([calls(client, request, 2), chooses(request, None)]);
    }
    inputs.push(decides(refused_capacity(stamp(1, 3))));
    inputs
}

fn leave(incarnation: u64, version: u64) -> Input {
    from(N1, incarnation, Body::Leave(Leave { at: Version(version) }))
}

fn suspect() -> Input {
    Input::Timer(Timer::Suspect(N1))
}

fn refuses(at: (u64, u64), reason: Reason) -> Input {
    from(N1, at.0, verdict(claim_id(0), refused(stamp(at.0, at.1), reason)))
}

fn states() -> Named<Scheduler> {
    let state = |inputs: &[Input]| after(fresh(small()), inputs);
    let claiming_and = |inputs: &[Input]| state(&[&claiming(), inputs].concat());
    let call_r2 = [calls(2, R2, 1), chooses(R2, Some(N1))];
    vec![
        ("fresh", state(&[])),
        ("met", state(&[Input::Meet(N1)])),
        ("known", state(&[snapshot(N1, 1, 3, 0)])),
        ("choosing + nobody known", state(&[calls(1, R1, 1)])),
        ("choosing", state(&[snapshot(N1, 1, 3, 0), calls(1, R1, 1)])),
        ("choosing + too much", state(&[snapshot(N1, 1, 3, 0), calls(1, R1, 3)])),
        ("claiming", claiming_and(&[])),
        ("claiming + another known", claiming_and(&[snapshot(N2, 1, 1, 0)])),
        ("claiming + client gone", claiming_and(&[Input::Disconnected(C1)])),
        ("claiming + suspected", claiming_and(&[suspect()])),
        ("claiming + covered unknowingly", claiming_and(&[delta(1, 3, 4, 1)])),
        ("granted + not covered", claiming_and(&[grants(4)])),
        ("waiting", claiming_and(&[calls(2, R2, 2), chooses(R2, None)])),
        ("choosing again + another waits", claiming_and(&two_wait_and_one_is_asked())),
        ("window full", claiming_and(&call_r2)),
        ("refused + unread", claiming_and(&[refuses((1, 5), Reason::Traits)])),
        ("refused + other life", claiming_and(&[refuses((2, 0), Reason::OtherLife)])),
        ("refused + full", claiming_and(&[refuses((1, 5), Reason::Full)])),
        ("claims used up", {
            let second = from(N1, 1, verdict(claim_id(1), refused_capacity(stamp(1, 3))));
            let first = decides(refused_capacity(stamp(1, 3)));
            claiming_and(&[first, chooses(R1, Some(N1)), second])
        }),
        ("suspected", state(&[snapshot(N1, 1, 3, 0), suspect()])),
        ("suspected + choosing", state(&[snapshot(N1, 1, 3, 0), suspect(), calls(1, R1, 1)])),
        ("departed", state(&[snapshot(N1, 1, 3, 0), leave(1, 3)])),
        ("departed + choosing", state(&[snapshot(N1, 1, 3, 0), leave(1, 3), calls(1, R1, 1)])),
        ("attempts full", state(&[calls(1, R1, 1), calls(2, R2, 1)])),
        ("nodes full", state(&[Input::Meet(N2), Input::Meet(NodeId(3)), Input::Meet(NodeId(5))])),
    ]
}

/// Every kind of input.
pub(crate) fn inputs() -> Named<Input> {
    let mut inputs = driver_inputs();
    inputs.extend(verdicts());
    inputs.extend(updates());
    inputs.extend(misdirected());
    inputs.extend(timers());
    inputs
}

fn driver_inputs() -> Named<Input> {
    vec![
        ("call r1/1", calls(1, R1, 1)),
        ("call r3/1", calls(1, R3, 1)),
        ("connection to c1 broke", Input::Disconnected(C1)),
        ("connection to c2 broke", Input::Disconnected(ClientId(2))),
        ("connection to c9 broke", Input::Disconnected(ClientId(9))),
        ("chosen n1 for r1/1", chooses(R1, Some(N1))),
        ("chosen n2 for r1/1", chooses(R1, Some(N2))),
        ("chosen n9 for r1/1", chooses(R1, Some(NodeId(9)))),
        ("chosen none for r1/1", chooses(R1, None)),
        ("chosen n1 for r2/1", chooses(R2, Some(N1))),
        ("chosen none for r2/1", chooses(R2, None)),
        ("chosen n1 for r9/1", chooses(RequestId(9), Some(N1))),
        ("meet n1", Input::Meet(N1)),
        ("meet n4", Input::Meet(NodeId(4))),
    ]
}

fn verdicts() -> Named<Input> {
    let of = |claim: ClaimId| from(N1, 1, verdict(claim, Decision::Gone));
    vec![
        ("granted at 1.3", grants(3)),
        ("granted at 1.4", grants(4)),
        ("confirmed at 1.4", decides(Decision::Confirmed { at: stamp(1, 4) })),
        ("refused for capacity at 1.3", decides(refused_capacity(stamp(1, 3)))),
        ("refused for draining at 1.5", refuses((1, 5), Reason::Draining)),
        ("refused for another life at 2.0", refuses((2, 0), Reason::OtherLife)),
        ("refused for being full at 1.5", refuses((1, 5), Reason::Full)),
        ("gone", decides(Decision::Gone)),
        ("gone, by a later life", from(N1, 2, verdict(claim_id(0), Decision::Gone))),
        ("gone of an unknown number", of(claim_id(9))),
        ("gone of another life's claim", of(ClaimId { incarnation: life(9), ..claim_id(0) })),
        ("gone of another scheduler's claim", {
            of(ClaimId { scheduler: SchedulerId(2), ..claim_id(0) })
        }),
        ("gone of another node's claim", of(ClaimId { node: N2, ..claim_id(0) })),
    ]
}

fn updates() -> Named<Input> {
    let drained = Changes { status: Some(Status::Draining), ..Changes::default() };
    let drained = Delta { from: Version(3), to: Version(4), changes: drained };
    vec![
        ("delta (2, 3]", delta(1, 2, 3, 1)),
        ("delta (2, 4]", delta(1, 2, 4, 1)),
        ("delta (3, 4]", delta(1, 3, 4, 1)),
        ("delta (3, 4] to draining", from(N1, 1, Body::Delta(drained))),
        ("delta (4, 5]", delta(1, 4, 5, 1)),
        ("delta (5, 4], which nobody sends", delta(1, 5, 4, 1)),
        ("delta (0, 1] of the life after", delta(2, 0, 1, 1)),
        ("delta (8, 9] of the life before", delta(0, 8, 9, 1)),
        ("beat 2", beat(1, 2)),
        ("beat 3", beat(1, 3)),
        ("beat 5", beat(1, 5)),
        ("beat 0 of the life after", beat(2, 0)),
        ("snapshot 2", snapshot(N1, 1, 2, 1)),
        ("snapshot 3", snapshot(N1, 1, 3, 0)),
        ("snapshot 5", snapshot(N1, 1, 5, 1)),
        ("snapshot 0 of the life after", snapshot(N1, 2, 0, 1)),
        ("snapshot of a new node", snapshot(NodeId(4), 1, 0, 0)),
        ("leave at 2", leave(1, 2)),
        ("leave at 3", leave(1, 3)),
        ("leave at 5", leave(1, 5)),
        ("leave of the life after", leave(2, 0)),
        ("superseded by 2", from(N1, 1, Body::Superseded { by: life(2) })),
        ("superseded by 1", from(N1, 1, Body::Superseded { by: life(1) })),
    ]
}

fn misdirected() -> Named<Input> {
    let leave = || Body::Leave(Leave { at: Version(9) });
    let send = |src: Address, dst: Address, body: Body| Input::Datagram(datagram(src, dst, body));
    let (node, me) = (node_at(N1, 1), scheduler_at(1, 1));
    vec![
        ("leave to a later life", send(node, scheduler_at(1, 2), leave())),
        ("leave to no life", send(node, Address { incarnation: None, ..me }, leave())),
        ("leave to another scheduler", send(node, scheduler_at(2, 1), leave())),
        ("leave from a scheduler", send(scheduler_at(2, 1), me, leave())),
        ("leave from a client", send(client_at(1), me, leave())),
        ("leave from no life", send(any_node(N1), me, leave())),
        ("claim", from(N1, 1, Body::Claim(claim(claim_id(0), 0)))),
        ("confirm", from(N1, 1, Body::Confirm(claim_id(0)))),
        ("release", from(N1, 1, Body::Release(claim_id(0)))),
        ("resync", from(N1, 1, Body::Resync(Resync { have: None }))),
    ]
}

fn timers() -> Named<Input> {
    let timer = Input::Timer;
    vec![
        ("timer resync n1", timer(Timer::Resync(N1))),
        ("timer resync n9", timer(Timer::Resync(NodeId(9)))),
        ("timer resend 0", timer(Timer::Resend(claim_id(0)))),
        ("timer resend 9", timer(Timer::Resend(claim_id(9)))),
        ("timer resend of another life", {
            timer(Timer::Resend(ClaimId { incarnation: life(9), ..claim_id(0) }))
        }),
        ("timer suspect n1", suspect()),
        ("timer suspect n9", timer(Timer::Suspect(NodeId(9)))),
        ("timer announce", timer(Timer::Announce)),
        ("timer lapse", timer(Timer::Lapse(claim_id(0)))),
        ("timer forget", timer(Timer::Forget(S1))),
        ("timer retry", timer(Timer::Retry(R1))),
        ("timer impatience", timer(Timer::Impatience(attempt(R1, 1)))),
    ]
}

#[test]
fn a_scheduler_that_stopped_answers_calls_and_ignores_the_rest() {
    let superseded = from(N1, 1, Body::Superseded { by: life(2) });
    let stopped = after(fresh(small()), &[&claiming()[..], &[superseded]].concat());
    assert_eq!(stopped.timers(), []);
    for (name, input) in inputs() {
        let mut scheduler = stopped.clone();
        let outputs = step(&mut scheduler, &input, name);
        let answer =
            |call: Call| Answer { attempt: call.attempt, placement: Placement::Unavailable };
        let mut expected = vec![Output::Notice(Notice::MachineStopped)];
        if let Input::Call(client, call) = input {
            expected.insert(0, Output::Answer(client, answer(call)));
        }
        assert_eq!(outputs, expected, "{name}");
        assert_eq!(scheduler, stopped, "{name}");
    }
}

#[test]
fn a_node_is_eligible_by_what_is_cached_reserved_and_refused() {
    let expected = [
        ("choosing", Eligibility::Eligible),
        ("choosing + nobody known", Eligibility::Unknown),
        ("suspected + choosing", Eligibility::Unknown),
        ("refused + full", Eligibility::Unknown),
        ("refused + other life", Eligibility::NotNow),
        ("waiting", Eligibility::NotNow),
    ];
    let states = states();
    for (name, eligibility) in expected {
        let (_, state) = states.iter().find(|(known, _)| *known == name).unwrap();
        let request = if name == "waiting" { R2 } else { R1 };
        let asking = state.attempts.get(&attempt(request, 1)).unwrap();
        assert_eq!(state.eligibility(asking, N1), eligibility, "{name}");
        let eligible = eligibility == Eligibility::Eligible;
        assert_eq!(state.eligible(attempt(request, 1), N1), eligible, "{name}");
    }
    for (name, at, reason) in [
        ("refused + unread", stamp(1, 5), Reason::Traits),
        ("departed + choosing", stamp(1, 3), Reason::Draining),
    ] {
        let (_, state) = states.iter().find(|(known, _)| *known == name).unwrap();
        let asking = state.attempts.get(&attempt(R1, 1)).unwrap();
        let excluded = Eligibility::Excluded(Refusal { at, reason });
        assert_eq!(state.eligibility(asking, N1), excluded, "{name}");
    }
}

#[test]
fn what_waits_asks_again_once_the_reservation_is_over() {
    let waiting = [calls(2, R2, 2), chooses(R2, None)];
    let mut scheduler = after(fresh(small()), &[&claiming()[..], &waiting].concat());
    let asks = Output::Choose(counterfoil_protocol::Choice::Node(attempt(R2, 1)));
    let outputs = step(&mut scheduler, &decides(refused_capacity(stamp(1, 3))), "refused");
    assert!(outputs.contains(&asks), "{outputs:?}");
    assert!(scheduler.eligible(attempt(R2, 1), N1));
}

#[test]
fn a_claim_names_the_lowest_number_that_is_open() {
    let floors = |outputs: &[Output]| -> Vec<u64> {
        let claim = |output: &Output| match output {
            Output::Send(Datagram { body: Body::Claim(claim), .. }) => Some(claim.floor.0),
            Output::Send(_)
            | Output::Persist(_)
            | Output::Call(..)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Ended(..)
            | Output::Notice(_) => None,
        };
        outputs.iter().filter_map(claim).collect()
    };
    let inputs = [&claiming()[..], &[calls(2, R2, 1)]].concat();
    let mut scheduler = after(fresh(small()), &inputs);
    let second = step(&mut scheduler, &chooses(R2, Some(N1)), "claim 1 beside claim 0");
    assert_eq!(floors(&second), [0]);
    step(&mut scheduler, &grants(4), "claim 0 is decided, though not covered");
    let again = step(&mut scheduler, &Input::Timer(Timer::Resend(claim_id(1))), "claim 1 again");
    assert_eq!(floors(&again), [1]);
}

#[test]
fn as_many_ask_again_as_there_is_room_for_and_only_after_news() {
    let r4 = RequestId(4);
    // Of the two processors the first request takes both; then the others wait.
    let mut inputs = vec![snapshot(N1, 1, 3, 0), calls(1, R1, 2), chooses(R1, Some(N1))];
    for request in [R2, R3, r4] {
        inputs.extend([calls(1, request, 1), chooses(request, None)]);
    }
    let waiting = after(fresh(Limits::default()), &inputs);
    assert_eq!(waiting.attempts.waiting(None).count(), 3);

    let asked = |says: Body| {
        let (mut scheduler, mut outputs) = (waiting.clone(), Vec::new());
        scheduler.handle(from(N1, 1, says), &mut outputs);
        let asked = outputs.into_iter().filter_map(|output| {
            let Output::Choose(Choice::Node(id)) = output else { return None };
            Some(id.request)
        });
        asked.collect::<Vec<_>>()
    };
    let at = stamp(1, 4);
    assert_eq!(asked(verdict(claim_id(0), Decision::Granted { at })), [], "it stays set aside");
    let beat = Delta { from: Version(3), to: Version(3), changes: Changes::default() };
    assert_eq!(asked(Body::Delta(beat)), [], "nothing is new");
    let refused = verdict(claim_id(0), refused_capacity(stamp(1, 3)));
    assert_eq!(asked(refused), [R1, R2, R3], "there is room for two of one processor");
    let other = HostState { inventory: inventory(1), ..HostState::default() };
    let shrinks = Body::Snapshot(Snapshot { at: Version(4), state: other });
    assert_eq!(asked(shrinks), [], "what is set aside is still in the way");
}

/// Who is asked by an input, when R2 has been asked because of N1 and R3 was left waiting.
fn asked_in_place_of_r2(input: Input) -> Vec<RequestId> {
    let inputs = [claiming(), two_wait_and_one_is_asked()].concat();
    let mut scheduler = after(fresh(Limits::default()), &inputs);
    assert_eq!(scheduler.attempts[&attempt(R2, 1)].phase, Phase::ChoosingAgain(Turn(1), N1));
    assert_eq!(scheduler.attempts[&attempt(R3, 1)].phase, Phase::Waiting(Turn(2)));
    let asked =
        step(&mut scheduler, &input, "asked in place of r2").into_iter().filter_map(|output| {
            let Output::Choose(Choice::Node(id)) = output else { return None };
            Some(id.request)
        });
    asked.collect()
}

#[test]
fn who_is_asked_and_does_not_claim_there_has_the_next_asked() {
    assert_eq!(asked_in_place_of_r2(chooses(R2, Some(N1))), [], "it has the room");
    assert_eq!(asked_in_place_of_r2(chooses(R2, None)), [R3], "it passes over the node");
    assert_eq!(asked_in_place_of_r2(Input::Disconnected(ClientId(2))), [R3], "it is closed");
}

#[test]
fn two_that_pass_over_a_node_do_not_ask_each_other() {
    let inputs = [claiming(), two_wait_and_one_is_asked(), vec![chooses(R2, None)]].concat();
    let mut scheduler = after(fresh(Limits::default()), &inputs);
    assert_eq!(scheduler.attempts[&attempt(R3, 1)].phase, Phase::ChoosingAgain(Turn(2), N1));
    let outputs = step(&mut scheduler, &chooses(R3, None), "both pass over it");
    assert!(!outputs.iter().any(|output| matches!(output, Output::Choose(_))), "{outputs:?}");
}
