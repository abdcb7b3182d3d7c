//! The client, in every kind of state.

use crate::samples::*;
use crate::table::{Named, Subject, Table, assert_reads, step, table};
use counterfoil_protocol::client::{Chosen, Client, Order, Phase, Request};
pub(crate) use counterfoil_protocol::client::{Disk, Input};
use counterfoil_protocol::{
    Address, Answer, AttemptNumber, Body, Changes, ClaimId, Decision, Delta, HostState, Leave,
    Limits, Map, NodeId, Notice, Output, Placement, Reason, Record, Refusal, RequestId, Resync,
    SchedulerId, Set, Snapshot, Timer, Version,
};

#[test]
fn every_input_in_every_state_does_what_the_table_says() {
    assert_reads(&client_table(), include_str!("client.txt"), "client.txt");
}

/// The table of the client.
pub(crate) fn client_table() -> Table {
    table(&states(), &inputs())
}

impl Subject for Client {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let of_requests = |text: fn(&Request) -> String| {
            let requests = self.requests.iter();
            let texts: Vec<String> =
                requests.map(|(id, request)| format!("{id} {}", text(request))).collect();
            texts.join(" ")
        };
        vec![
            ("requests", format!("{:?}", self.requests.keys().collect::<Vec<_>>())),
            ("attempts_made", of_requests(|request| format!("{:?}", request.attempts_made))),
            ("choosing", of_requests(|request| format!("{:?}", request.choosing))),
            ("open", of_requests(|request| format!("{:?}", request.open))),
            ("phase", of_requests(|request| format!("{:?}", request.phase))),
            ("unwanted", of_requests(|request| format!("{:?}", request.unwanted))),
        ]
    }

    fn fired(input: &Input) -> Option<Timer> {
        match input {
            Input::Timer(timer) => Some(timer.clone()),
            Input::Datagram(_)
            | Input::Answer(_)
            | Input::Disconnected(_)
            | Input::Chosen(..)
            | Input::Order(_) => None,
        }
    }

    fn disk_after(&self, outputs: &[Output]) -> Option<String> {
        let mut disk = Disk { choices: choices(self) };
        for output in outputs {
            if let Output::Persist(Record::Client(change)) = output {
                disk.apply(change);
            }
        }
        Some(chosen_text(&disk.choices))
    }

    fn disk(&self) -> Option<String> {
        Some(chosen_text(&choices(self)))
    }
}

/// The choices that must be on disk for the requests of this client.
fn choices(client: &Client) -> Map<RequestId, Chosen> {
    let chosen = |claim: ClaimId, releasing: bool| Chosen {
        claim,
        releasing,
        demand: vcpu(1).into(),
        attempts_made: AttemptNumber(1),
        bundle: Set::default(),
    };
    let requests = client.requests.iter();
    let of_request = requests.filter_map(|(id, request)| match request.phase {
        Phase::Confirming(claim) | Phase::Confirmed(claim) => Some((*id, chosen(claim, false))),
        Phase::Releasing(claim) => Some((*id, chosen(claim, true))),
        Phase::Seeking | Phase::Held(_) | Phase::Ended(_) => None,
    });
    of_request.collect()
}

fn chosen_text(choices: &Map<RequestId, Chosen>) -> String {
    let choices = choices.iter();
    choices.map(|(id, chosen)| format!("{id} {} {}, ", chosen.claim, chosen.releasing)).collect()
}

/// Client 1 without a request.
pub(crate) fn fresh(limits: Limits) -> Client {
    Client::start(C1, Disk::default(), config(limits), &mut Vec::new())
}

/// Gives the inputs in turn.
pub(crate) fn after(mut client: Client, inputs: &[Input]) -> Client {
    for input in inputs {
        step(&mut client, input, "on the way to a state");
    }
    client
}

/// The order to place a request for one processor.
pub(crate) fn place(request: RequestId) -> Input {
    Input::Order(Order::Place(request, vcpu(1)))
}

/// The order to place requests together, each for one processor.
pub(crate) fn place_together(requests: &[RequestId]) -> Input {
    let demands = requests.iter().map(|request| (*request, vcpu(1)));
    Input::Order(Order::PlaceTogether(demands.collect()))
}

/// The driver's choice of a scheduler for an attempt.
pub(crate) fn chooses(request: RequestId, number: u32, scheduler: u32) -> Input {
    Input::Chosen(attempt(request, number), SchedulerId(scheduler))
}

/// The answer to an attempt.
pub(crate) fn answers(request: RequestId, number: u32, placement: Placement) -> Input {
    Input::Answer(Answer { attempt: attempt(request, number), placement })
}

/// What node 1 says to this client of a claim.
pub(crate) fn decides(claim: ClaimId, decision: Decision) -> Input {
    Input::Datagram(datagram(node_at(claim.node, 1), client_at(1), verdict(claim, decision)))
}

fn no_valid_host() -> Placement {
    let refusal = Refusal { at: stamp(1, 3), reason: Reason::Draining };
    Placement::NoValidHost([(N1, refusal)].into_iter().collect())
}

fn confirmed() -> Decision {
    Decision::Confirmed { at: stamp(1, 4) }
}

/// Request 1 has been called for at scheduler 1.
pub(crate) fn calling() -> Vec<Input> {
    vec![place(R1), chooses(R1, 1, 1)]
}

/// Request 1 has been called for at scheduler 1 and, out of impatience, at scheduler 2.
pub(crate) fn calling_twice() -> Vec<Input> {
    let impatient = Input::Timer(Timer::Impatience(attempt(R1, 1)));
    [&calling()[..], &[impatient, chooses(R1, 2, 2)]].concat()
}

fn restarted(releasing: bool) -> Client {
    let disk = Disk { choices: [(R1, chosen(0, releasing, &[]))].into_iter().collect() };
    Client::start(C1, disk, config(small()), &mut Vec::new())
}

fn chosen(number: u64, releasing: bool, bundle: &[RequestId]) -> Chosen {
    let bundle = bundle.iter().copied().collect();
    let attempts_made = AttemptNumber(1);
    Chosen { claim: claim_id(number), releasing, demand: vcpu(1).into(), attempts_made, bundle }
}

/// Requests 1 and 2 have been called for, together.
pub(crate) fn calling_together() -> Vec<Input> {
    vec![place_together(&[R1, R2]), chooses(R1, 1, 1), chooses(R2, 1, 2)]
}

/// Two requests that are placed together, in every kind of state.
fn bundles() -> Named<Client> {
    let state = |inputs: &[Input]| after(fresh(small()), inputs);
    let and = |inputs: &[Input]| state(&[&calling_together(), inputs].concat());
    let placed =
        |request: RequestId| answers(request, 1, Placement::Placed(claim_id(request.0 - 1)));
    let both = || [placed(R2), placed(R1)];
    let both_and = |inputs: &[Input]| and(&[&both(), inputs].concat());
    let confirms = |number| decides(claim_id(number), confirmed());
    let gone = |number| decides(claim_id(number), Decision::Gone);
    let last_of_r1 = || {
        let retry = Input::Timer(Timer::Retry(R1));
        [answers(R1, 1, Placement::Unavailable), retry, chooses(R1, 2, 1)]
    };
    vec![
        ("bundle: choosing", state(&[place_together(&[R1, R2])])),
        ("bundle: calling", and(&[])),
        ("bundle: r2 held", and(&[placed(R2)])),
        ("bundle: r2 held, r1 on its last attempt", {
            and(&[&[placed(R2)], &last_of_r1()[..]].concat())
        }),
        ("bundle: confirming", both_and(&[])),
        ("bundle: r2 confirmed", both_and(&[confirms(1)])),
        ("bundle: confirmed", both_and(&[confirms(0), confirms(1)])),
        ("bundle: r1 gone, r2 confirmed", both_and(&[confirms(1), gone(0)])),
        ("bundle: both gone, r2 held", {
            let retry = Input::Timer(Timer::Retry(R2));
            let again = answers(R2, 2, Placement::Placed(claim_id(1)));
            both_and(&[gone(0), gone(1), retry, chooses(R2, 2, 2), again])
        }),
        ("bundle: releasing", both_and(&[Input::Order(Order::Release(R2))])),
        ("bundle: given up, r2 unwanted", and(&[placed(R2), answers(R1, 1, no_valid_host())])),
        ("bundle: r2 given up and forgotten, r1 not answered", {
            let forget = Input::Order(Order::Forget(R2));
            let unavailable = answers(R2, 1, Placement::Unavailable);
            and(&[Input::Order(Order::Release(R1)), unavailable, forget, place(R2)])
        }),
        ("restarted + part of a bundle", {
            let choices = [(R1, chosen(0, false, &[R1, R2]))].into_iter().collect();
            Client::start(C1, Disk { choices }, config(small()), &mut Vec::new())
        }),
    ]
}

fn states() -> Named<Client> {
    let mut states = alone();
    states.extend(bundles());
    states
}

/// One request, in every kind of state.
fn alone() -> Named<Client> {
    let state = |inputs: &[Input]| after(fresh(small()), inputs);
    let calling_and = |inputs: &[Input]| state(&[&calling(), inputs].concat());
    let twice_and = |inputs: &[Input]| state(&[&calling_twice(), inputs].concat());
    let placed = |number| answers(R1, number, Placement::Placed(claim_id(u64::from(number) - 1)));
    let release = || Input::Order(Order::Release(R1));
    let impatient = || Input::Timer(Timer::Impatience(attempt(R1, 1)));
    let confirmed = || decides(claim_id(0), confirmed());
    vec![
        ("fresh", state(&[])),
        ("choosing", state(&[place(R1)])),
        ("calling", calling_and(&[])),
        ("impatient", calling_and(&[impatient()])),
        ("calling twice", twice_and(&[])),
        ("retrying", calling_and(&[answers(R1, 1, Placement::Unavailable)])),
        ("confirming", calling_and(&[placed(1)])),
        ("confirming + another open", twice_and(&[placed(1)])),
        ("confirming + another unwanted", twice_and(&[placed(1), placed(2)])),
        ("confirming + attempts used up", {
            twice_and(&[answers(R1, 2, Placement::Unavailable), placed(1)])
        }),
        ("confirmed", calling_and(&[placed(1), confirmed()])),
        ("releasing", calling_and(&[placed(1), release()])),
        ("given up + one open", calling_and(&[release()])),
        ("ended", calling_and(&[answers(R1, 1, no_valid_host())])),
        ("ended + one unwanted", calling_and(&[release(), placed(1)])),
        ("requests full", state(&[place(R1), place(R2)])),
        ("restarted + confirming", restarted(false)),
        ("restarted + releasing", restarted(true)),
    ]
}

/// Every kind of input.
pub(crate) fn inputs() -> Named<Input> {
    let mut inputs = orders_and_answers();
    inputs.extend(datagrams());
    inputs.extend(timers());
    inputs
}

fn orders_and_answers() -> Named<Input> {
    let other = ClaimId { node: N2, ..claim_id(7) };
    let order = Input::Order;
    vec![
        ("order place r1", place(R1)),
        ("order place r3", place(RequestId(3))),
        ("order place r1 and r2 together", place_together(&[R1, R2])),
        ("order place r3 and r4 together", place_together(&[RequestId(3), RequestId(4)])),
        ("order place three together", {
            place_together(&[RequestId(3), RequestId(4), RequestId(5)])
        }),
        ("order place r3 with none", place_together(&[RequestId(3)])),
        ("order place nothing together", place_together(&[])),
        ("order release r1", order(Order::Release(R1))),
        ("order release r9", order(Order::Release(RequestId(9)))),
        ("order forget r1", order(Order::Forget(R1))),
        ("order forget r9", order(Order::Forget(RequestId(9)))),
        ("order n1 over", order(Order::NodeOver(N1))),
        ("order n9 over", order(Order::NodeOver(NodeId(9)))),
        ("chosen s1 for r1/1", chooses(R1, 1, 1)),
        ("chosen s2 for r1/2", chooses(R1, 2, 2)),
        ("chosen s1 for r9/1", chooses(RequestId(9), 1, 1)),
        ("placed r1/1", answers(R1, 1, Placement::Placed(other))),
        ("placed r1/2", answers(R1, 2, Placement::Placed(other))),
        ("placed r9/1", answers(RequestId(9), 1, Placement::Placed(other))),
        ("no valid host for r1/1", answers(R1, 1, no_valid_host())),
        ("no valid host for r1/2", answers(R1, 2, no_valid_host())),
        ("unavailable r1/1", answers(R1, 1, Placement::Unavailable)),
        ("unavailable r1/2", answers(R1, 2, Placement::Unavailable)),
        ("exhausted r1/1", answers(R1, 1, Placement::Exhausted)),
        ("overloaded r1/1", answers(R1, 1, Placement::Overloaded)),
        ("unavailable r9/1", answers(RequestId(9), 1, Placement::Unavailable)),
        ("connection to s1 broke", Input::Disconnected(SchedulerId(1))),
        ("connection to s2 broke", Input::Disconnected(SchedulerId(2))),
        ("connection to s9 broke", Input::Disconnected(SchedulerId(9))),
    ]
}

fn datagrams() -> Named<Input> {
    let gone = || verdict(claim_id(0), Decision::Gone);
    let send = |src: Address, dst: Address, body: Body| Input::Datagram(datagram(src, dst, body));
    let delta = Delta { from: Version(0), to: Version(1), changes: Changes::default() };
    let snapshot = Snapshot { at: Version(1), state: HostState::default() };
    let says = |body: Body| send(node_at(N1, 1), client_at(1), body);
    vec![
        ("granted 0", decides(claim_id(0), Decision::Granted { at: stamp(1, 4) })),
        ("confirmed 0", decides(claim_id(0), confirmed())),
        ("confirmed 1", decides(claim_id(1), confirmed())),
        ("gone 0", decides(claim_id(0), Decision::Gone)),
        ("gone 1", decides(claim_id(1), Decision::Gone)),
        ("gone 9", decides(claim_id(9), Decision::Gone)),
        ("refused 0", decides(claim_id(0), refused_capacity(stamp(1, 3)))),
        ("gone 0 from another node", send(node_at(N2, 1), client_at(1), gone())),
        ("gone 0 from a scheduler", send(scheduler_at(1, 1), client_at(1), gone())),
        ("gone 0 to another client", send(node_at(N1, 1), client_at(2), gone())),
        ("gone 0 to a scheduler", send(node_at(N1, 1), scheduler_at(1, 1), gone())),
        ("claim", says(Body::Claim(claim(claim_id(0), 0)))),
        ("confirm", says(Body::Confirm(claim_id(0)))),
        ("release", says(Body::Release(claim_id(0)))),
        ("delta", says(Body::Delta(delta))),
        ("snapshot", says(Body::Snapshot(snapshot))),
        ("resync", says(Body::Resync(Resync { have: None }))),
        ("leave", says(Body::Leave(Leave { at: Version(1) }))),
        ("superseded", says(Body::Superseded { by: life(9) })),
    ]
}

fn timers() -> Named<Input> {
    let timer = Input::Timer;
    vec![
        ("timer resend 0", timer(Timer::Resend(claim_id(0)))),
        ("timer resend 1", timer(Timer::Resend(claim_id(1)))),
        ("timer resend 9", timer(Timer::Resend(claim_id(9)))),
        ("timer retry r1", timer(Timer::Retry(R1))),
        ("timer retry r9", timer(Timer::Retry(RequestId(9)))),
        ("timer impatience r1/1", timer(Timer::Impatience(attempt(R1, 1)))),
        ("timer impatience r1/2", timer(Timer::Impatience(attempt(R1, 2)))),
        ("timer impatience r9/1", timer(Timer::Impatience(attempt(RequestId(9), 1)))),
        ("timer announce", timer(Timer::Announce)),
        ("timer lapse", timer(Timer::Lapse(claim_id(0)))),
        ("timer forget", timer(Timer::Forget(S1))),
        ("timer resync", timer(Timer::Resync(N1))),
        ("timer suspect", timer(Timer::Suspect(N1))),
    ]
}

#[test]
fn a_restart_goes_on_with_what_was_chosen() {
    assert_eq!(restarted(false).requests.get(&R1).unwrap().phase, Phase::Confirming(claim_id(0)));
    assert_eq!(restarted(true).requests.get(&R1).unwrap().phase, Phase::Releasing(claim_id(0)));
    assert_eq!(restarted(true).disk(), Some(chosen_text(&choices(&restarted(true)))));
}

#[test]
fn a_restart_goes_on_with_a_whole_bundle_and_gives_up_a_part_of_one() {
    let bundle = [R1, R2];
    let start = |disk: &[(RequestId, Chosen)]| {
        let (disk, mut outputs) = (Disk { choices: disk.iter().cloned().collect() }, Vec::new());
        let client = Client::start(C1, disk, config(small()), &mut outputs);
        (client, outputs)
    };
    let (client, outputs) =
        start(&[(R1, chosen(0, false, &bundle)), (R2, chosen(1, false, &bundle))]);
    assert_eq!(sent(&outputs), [Body::Confirm(claim_id(0)), Body::Confirm(claim_id(1))]);
    assert_eq!(notices(&outputs), []);
    assert_eq!(client.requests[&R1].bundle, bundle.into_iter().collect());

    let other = [(R2, chosen(1, false, &[])), (R2, chosen(1, true, &bundle))];
    for other in [&other[..0], &other[..1], &other[1..]] {
        let (client, outputs) = start(&[&[(R1, chosen(0, false, &bundle))], other].concat());
        assert_eq!(client.requests[&R1].phase, Phase::Releasing(claim_id(0)));
        assert_eq!(notices(&outputs), [Notice::BundleGivenUp]);
        let written = outputs.iter().position(|output| matches!(output, Output::Persist(_)));
        let released = outputs.iter().position(|output| matches!(output, Output::Send(_)));
        assert!(written < released, "{outputs:?}");
        assert!(sent(&outputs).contains(&Body::Release(claim_id(0))));
    }
}
