use crate::truth::*;
use counterfoil_properties::{Check, Safety};
use counterfoil_protocol::scheduler::Input;
use counterfoil_protocol::{
    AttemptNumber, Client, Config, Given, Limits, Node, NodeId, RequestId, Rules, Scheduler,
    client, scheduler,
};

fn limited(limits: Limits) -> Given<Config> {
    Given::new(Config { limits, ..Config::default() })
}

#[test]
fn of_a_node() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(2), Rules::ALL);
    truth.step(&mut node, claims(0));
    let taken = truth.step(&mut node, claims(1));
    assert_eq!(truth.check(Safety::Bounded, &taken), Check::Holds);
    // It starts again with a limit that it is above.
    let limits = Limits { allocations_max: 1, ..Limits::default() };
    let disk = node.durable.clone();
    let taken = truth.start(|outputs| Node::start(NODE, disk, limited(limits), outputs));
    let way = "n1/durable";
    truth.violates(Safety::Bounded, &taken, "2 <= allocations_max = 1", &[("size", "2", way)]);

    let mut taken = truth.step(&mut node, claims(1));
    taken.after.durable.incarnation = taken.after.durable.incarnation.next();
    let clause = "1 <= fences kept of the last life = 0";
    truth.violates(Safety::Bounded, &taken, clause, &[("size", "1", "n1/fences")]);

    let mut taken = truth.step(&mut node, claims(1));
    let fence = taken.after.fences.get_mut(&SCHEDULER).unwrap();
    for number in 2..=64 {
        fence.decided.insert(counterfoil_protocol::ClaimNumber(number), None);
    }
    let way = "n1/fences/s1/decided";
    truth.violates(Safety::Bounded, &taken, "65 <= claims_open_max = 64", &[("size", "65", way)]);
}

#[test]
fn of_a_scheduler() {
    let mut truth = Truth::default();
    let limits = Limits { nodes_max: 1, claims_per_attempt_max: 1, ..Limits::default() };
    let disk = scheduler::Disk::default();
    let start = |outputs: &mut _| Scheduler::start(SCHEDULER, disk, limited(limits), outputs);
    let mut scheduler = truth.start(start).after;
    truth.step(&mut scheduler, Input::Meet(NODE));
    let taken = truth.step(&mut scheduler, Input::Meet(NodeId(2)));
    assert_eq!(truth.check(Safety::Bounded, &taken), Check::Holds);
    let mut crowded = taken;
    crowded.after.nodes.insert(NodeId(2), scheduler::Peer::default());
    let facts = [("size", "2", "s1/nodes")];
    truth.violates(Safety::Bounded, &crowded, "2 <= nodes_max = 1", &facts);

    let call = counterfoil_protocol::Call { attempt: attempt(1), demand: one().into() };
    let mut taken = truth.step(&mut scheduler, Input::Call(CLIENT, call));
    assert_eq!(truth.check(Safety::Bounded, &taken), Check::Holds);
    taken.after.attempts.change(&attempt(1), |attempt| attempt.claims_made = 2).unwrap();
    let facts = [("size", "2", "s1/attempts/r1/1/claims_made")];
    truth.violates(Safety::Bounded, &taken, "2 <= claims_per_attempt_max = 1", &facts);
}

#[test]
fn of_a_client() {
    let chosen = |number| client::Chosen {
        claim: claim_id(number),
        releasing: false,
        demand: one().into(),
        attempts_made: AttemptNumber(2),
        bundle: Default::default(),
    };
    let mut disk = client::Disk::default();
    for number in 0..2 {
        disk.choices.insert(RequestId(number), chosen(number));
    }
    let mut truth = Truth::default();
    let mut start = |limits| {
        let disk = disk.clone();
        truth.start(|outputs| Client::start(CLIENT, disk, limited(limits), outputs))
    };
    let usual = start(Limits::default());
    let few_requests = start(Limits { requests_max: 1, ..Limits::default() });
    let few_attempts = start(Limits { attempts_max: 1, ..Limits::default() });
    assert_eq!(truth.check(Safety::Bounded, &usual), Check::Holds);
    let facts = [("size", "2", "c1/requests")];
    truth.violates(Safety::Bounded, &few_requests, "2 <= requests_max = 1", &facts);
    let facts = [("size", "2", "c1/requests/r0/attempts_made")];
    truth.violates(Safety::Bounded, &few_attempts, "2 <= attempts_max = 1", &facts);
}

#[test]
fn claims_that_the_scheduler_does_not_count() {
    let mut truth = Truth::default();
    let node = truth.node(processors(2), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, Rules::ALL);
    let taken = truth.place(&mut scheduler, 1);
    assert_eq!(truth.check(Safety::Bounded, &taken), Check::Holds);
    let key = (SCHEDULER, taken.after.incarnation, attempt(1));
    truth.0.tried.get_mut(&key).unwrap().claims = 17;
    let facts = [("size", "17", "s1/attempts/r1/1/claims_made")];
    truth.violates(Safety::Bounded, &taken, "17 <= claims_per_attempt_max = 16", &facts);
}

#[test]
fn attempts_that_the_client_does_not_count() {
    let mut truth = Truth::default();
    let mut client = truth.client(Rules::ALL);
    let place = client::Input::Order(client::Order::Place(RequestId(1), one()));
    let taken = truth.step(&mut client, place);
    assert_eq!(truth.check(Safety::Bounded, &taken), Check::Holds);
    let asked = truth.0.asked.get_mut(&(CLIENT, RequestId(1))).unwrap();
    assert_eq!(asked.attempts, 1);
    asked.attempts = 9;
    let facts = [("size", "9", "c1/requests/r1/attempts_made")];
    truth.violates(Safety::Bounded, &taken, "9 <= attempts_max = 8", &facts);
}
