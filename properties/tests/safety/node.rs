use crate::truth::*;
use counterfoil_properties::{Check, Safety};
use counterfoil_protocol::{Body, Machine, Node, Rule, Rules, Timer, node};

#[test]
fn no_overcommit() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(1), without(Rule::NodeJudgesClaims));
    let grant = truth.step(&mut node, claims(0));
    assert_eq!(truth.check(Safety::NoOvercommit, &grant), Check::Holds);
    let beat = truth.step(&mut node, node::Input::Timer(Timer::Announce));
    assert_eq!(truth.check(Safety::NoOvercommit, &beat), Check::Vacuous);
    let too_much = truth.step(&mut node, claims(1));
    truth.violates(
        Safety::NoOvercommit,
        &too_much,
        "n1 grants s1.1:n1#1: allocated VCPU = 2 <= capacity = 1",
        &[("allocated", "2", "n1/durable/allocations"), ("capacity", "1", "n1/durable/inventory")],
    );
}

#[test]
fn one_grant_per_claim() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(1), without(Rule::GrantedClaimsStayDecided));
    let first = truth.step(&mut node, claims(0));
    assert_eq!(truth.check(Safety::OneGrantPerClaim, &first), Check::Holds);
    truth.step(&mut node, from_client(Body::Release(claim_id(0))));
    let again = truth.step(&mut node, claims(0));
    truth.violates(
        Safety::OneGrantPerClaim,
        &again,
        "s1.1:n1#0 is granted 2 <= 1 times, on 1 <= 1 nodes",
        &[("times", "2", "n1/durable/allocations/s1.1:n1#0"), ("nodes", "{n1}", "")],
    );
}

#[test]
fn one_confirmed_per_request() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(2), Rules::ALL);
    let of_one_request = |number| {
        let node::Input::Datagram(mut datagram) = claims(number) else { unreachable!() };
        let Body::Claim(claim) = &mut datagram.body else { unreachable!() };
        claim.request = counterfoil_protocol::RequestId(7);
        node::Input::Datagram(datagram)
    };
    truth.step(&mut node, of_one_request(0));
    truth.step(&mut node, of_one_request(1));
    let first = truth.step(&mut node, from_client(Body::Confirm(claim_id(0))));
    assert_eq!(truth.check(Safety::OneConfirmedPerRequest, &first), Check::Holds);
    let second = truth.step(&mut node, from_client(Body::Confirm(claim_id(1))));
    truth.violates(
        Safety::OneConfirmedPerRequest,
        &second,
        "n1 confirms s1.1:n1#1 for r7, and s1.1:n1#0 is not confirmed",
        &[
            ("this", "s1.1:n1#1", "n1/durable/allocations/s1.1:n1#1/state"),
            ("other", "s1.1:n1#0", "n1/durable/allocations/s1.1:n1#0/state"),
        ],
    );
}

/// A node with two allocations that were told, the second confirmed.
fn told(truth: &mut Truth) -> Node {
    let mut node = truth.node(processors(2), Rules::ALL);
    let start = Taken { before: None, input: None, after: node.clone(), outputs: Vec::new() };
    assert_eq!(truth.check(Safety::AllocationsSurviveRestart, &start), Check::Vacuous);
    for input in [claims(0), claims(1), from_client(Body::Confirm(claim_id(1)))] {
        let taken = truth.step(&mut node, input);
        assert_eq!(truth.check(Safety::AllocationsSurviveRestart, &taken), Check::Holds);
    }
    node
}

/// What a node starts from that has lost allocation `lost`.
fn disk_without(node: &Node, lost: u64) -> node::Disk {
    let mut disk = node.durable.clone();
    disk.allocations.remove(&claim_id(lost)).unwrap();
    disk
}

#[test]
fn an_allocation_that_a_restart_loses_is_found_at_the_restart() {
    let mut truth = Truth::default();
    let node = told(&mut truth);
    let start = |outputs: &mut _, disk| Node::start(NODE, disk, given(Rules::ALL), outputs);
    let whole = truth.start(|outputs| start(outputs, node.durable.clone()));
    assert_eq!(truth.check(Safety::AllocationsSurviveRestart, &whole), Check::Holds);
    let torn = truth.start(|outputs| start(outputs, disk_without(&node, 1)));
    truth.violates(
        Safety::AllocationsSurviveRestart,
        &torn,
        "s1.1:n1#1 was told Some(Confirmed), and n1 has it: None",
        &[("told", "Some(Confirmed)", ""), ("allocation", "None", "n1/durable/allocations")],
    );
    let mut disk = node.durable.clone();
    let held = disk.allocations.get(&claim_id(0)).unwrap().clone();
    disk.allocations.insert(claim_id(1), held);
    let unconfirmed = truth.start(|outputs| start(outputs, disk));
    truth.violates(
        Safety::AllocationsSurviveRestart,
        &unconfirmed,
        "s1.1:n1#1 was told Some(Confirmed), and n1 has it: Some(Held)",
        &[("told", "Some(Confirmed)", ""), ("allocation", "Some(Held)", "n1/durable/allocations")],
    );
}

#[test]
fn an_allocation_that_any_other_step_loses_is_found_at_that_step() {
    let mut truth = Truth::default();
    let node = told(&mut truth);
    let mut beaten = node.clone();
    let mut taken = truth.step(&mut beaten, node::Input::Timer(Timer::Announce));
    assert_eq!(truth.check(Safety::AllocationsSurviveRestart, &taken), Check::Holds);
    taken.after.durable = disk_without(&node, 0);
    truth.violates(
        Safety::AllocationsSurviveRestart,
        &taken,
        "s1.1:n1#0 was told Some(Held), and n1 has it: None",
        &[("told", "Some(Held)", ""), ("allocation", "None", "n1/durable/allocations")],
    );
}

#[test]
fn what_lapses_or_is_released_need_not_survive_unless_it_lapses_confirmed() {
    let mut truth = Truth::default();
    let node = told(&mut truth);
    let lapse = |number| node::Input::Timer(Timer::Lapse(claim_id(number)));
    let lapsed = truth.step(&mut node.clone(), lapse(0));
    assert!(!lapsed.after.durable.allocations.contains_key(&claim_id(0)));
    assert_eq!(truth.check(Safety::AllocationsSurviveRestart, &lapsed), Check::Holds);

    let mut truth = Truth::default();
    let mut node = told(&mut truth);
    let released = truth.step(&mut node, from_client(Body::Release(claim_id(1))));
    assert!(!released.after.durable.allocations.contains_key(&claim_id(1)));
    assert_eq!(truth.check(Safety::AllocationsSurviveRestart, &released), Check::Holds);

    // A node that has forgotten that it was confirmed lets it lapse.
    let mut truth = Truth::default();
    let node = told(&mut truth);
    let mut forgetful = node.clone();
    forgetful.durable.allocations.get_mut(&claim_id(1)).unwrap().state =
        node::AllocationState::Held;
    let mut outputs = Vec::new();
    let input = lapse(1);
    forgetful.handle(input.clone(), &mut outputs);
    let taken = Taken { before: Some(node), input: Some(input), after: forgetful, outputs };
    let taken = truth.observed(taken);
    truth.violates(
        Safety::AllocationsSurviveRestart,
        &taken,
        "s1.1:n1#1 was told Some(Confirmed) and ended Lapsed",
        &[("told", "Some(Confirmed)", ""), ("allocation", "None", "n1/durable/allocations")],
    );
}
