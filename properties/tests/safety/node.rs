use crate::truth::*;
use counterfoil_properties::{Check, Safety};
use counterfoil_protocol::{
    Body, ClassInventory, Decision, Demand, GroupId, Incarnation, Inventory, Machine, Node, Reason,
    Refusal, ResourceClass, Rule, Rules, Status, Timer, Version, node,
};

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
fn groups_are_kept() {
    let group = GroupId(1);
    let of = |number, demand: Demand| {
        let node::Input::Datagram(mut datagram) = claims(number) else { unreachable!() };
        let Body::Claim(claim) = &mut datagram.body else { unreachable!() };
        claim.demand = demand.into();
        node::Input::Datagram(datagram)
    };
    let member = |bears: Option<u32>| {
        let resources = [(ResourceClass::Vcpu, 1), (ResourceClass::Group(group), 1)];
        let apart = bears.map(|bears| (group, bears)).into_iter().collect();
        Demand { resources: resources.into_iter().collect(), apart, ..Demand::default() }
    };
    let near = Demand { near: [group].into_iter().collect(), ..one() };
    let mut truth = Truth::default();
    let mut node = truth.node(processors(8), without(Rule::NodeJudgesClaims));
    let way = "n1/durable/allocations";
    let lonely = truth.step(&mut node.clone(), of(0, near.clone()));
    truth.violates(
        Safety::GroupsAreKept,
        &lonely,
        "n1 grants s1.1:n1#0 beside those that it must be near or apart from",
        &[("reason against it", "Affinity(GROUP_1)", way), ("beside it", "{}", way)],
    );
    assert_eq!(truth.check(Safety::NoOvercommit, &lonely), Check::Holds);
    let any = truth.step(&mut node, of(1, member(None)));
    assert_eq!(truth.check(Safety::GroupsAreKept, &any), Check::Vacuous);
    for (number, demand) in [(2, near), (3, member(Some(1)))] {
        let kept = truth.step(&mut node, of(number, demand));
        assert_eq!(truth.check(Safety::GroupsAreKept, &kept), Check::Holds);
    }
    let crowded = truth.step(&mut node, of(4, member(Some(1))));
    truth.violates(
        Safety::GroupsAreKept,
        &crowded,
        "n1 grants s1.1:n1#4 beside those that it must be near or apart from",
        &[
            ("reason against it", "AntiAffinity(GROUP_1)", way),
            ("beside it", "{VCPU: 3, GROUP_1: 2}", way),
        ],
    );
}

/// A node with some of everything that an inventory of processors can say.
fn reserving() -> node::Disk {
    let of_class = ClassInventory {
        reserved: 3,
        allocation_ratio_milli: 1500,
        min_unit: 2,
        max_unit: 4,
        step_unit: 2,
        ..ClassInventory::of(8)
    };
    let classes = [(ResourceClass::Vcpu, of_class)].into_iter().collect();
    node::Disk::new(Inventory { classes, ..Inventory::default() })
}

fn claims_of(number: u64, amount: u64) -> node::Input {
    let node::Input::Datagram(mut datagram) = claims(number) else { unreachable!() };
    let Body::Claim(claim) = &mut datagram.body else { unreachable!() };
    let resources = [(ResourceClass::Vcpu, amount)].into_iter().collect();
    claim.demand = Demand { resources, ..Demand::default() }.into();
    node::Input::Datagram(datagram)
}

#[test]
fn what_is_reserved_and_what_the_units_forbid_is_not_granted() {
    let way = "n1/durable/inventory";
    let grant = |of: &[u64]| {
        let mut truth = Truth::default();
        let mut node = truth.node(reserving(), without(Rule::NodeJudgesClaims));
        let steps = of.iter().enumerate();
        let steps = steps.map(|(index, of)| truth.step(&mut node, claims_of(index as u64, *of)));
        let last = steps.last().unwrap();
        (truth, last)
    };
    let (truth, full) = grant(&[4, 2]);
    assert_eq!(truth.check(Safety::NoOvercommit, &full), Check::Holds);
    let (truth, too_much) = grant(&[4, 4]);
    truth.violates(
        Safety::NoOvercommit,
        &too_much,
        "n1 grants s1.1:n1#1: allocated VCPU = 8 <= capacity = 7",
        &[("allocated", "8", "n1/durable/allocations"), ("capacity", "7", way)],
    );
    for amount in [1, 3, 6] {
        let (truth, wrong) = grant(&[amount]);
        truth.violates(
            Safety::NoOvercommit,
            &wrong,
            "n1 grants s1.1:n1#0 only if it would were it empty",
            &[("reason against it", "Units(VCPU)", "n1/durable")],
        );
    }
}

#[test]
fn a_node_that_drains_grants_nothing() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(1), without(Rule::NodeJudgesClaims));
    truth.step(&mut node, node::Input::Order(node::Order::Status(Status::Draining)));
    let granted = truth.step(&mut node, claims(0));
    truth.violates(
        Safety::NoOvercommit,
        &granted,
        "n1 grants s1.1:n1#0 only if it would were it empty",
        &[("reason against it", "Draining", "n1/durable")],
    );
}

#[test]
fn what_a_life_refused_it_does_not_grant() {
    for (rules, holds) in [(Rules::ALL, true), (without(Rule::GrantedClaimsStayDecided), false)] {
        let mut truth = Truth::default();
        let mut node = truth.node(processors(0), rules);
        truth.step(&mut node, claims(0));
        truth.step(&mut node, node::Input::Order(node::Order::Inventory(inventory(1))));
        let again = truth.step(&mut node, claims(0));
        if holds {
            assert_eq!(truth.check(Safety::OneGrantPerClaim, &again), Check::Vacuous);
            continue;
        }
        truth.violates(
            Safety::OneGrantPerClaim,
            &again,
            "n1 grants s1.1:n1#0, which no life of it refused that grants it",
            &[
                ("granted", "1.2", "n1/durable/allocations/s1.1:n1#0"),
                ("refused", "Refusal { at: 1.0, reason: Capacity(VCPU) }", ""),
            ],
        );
    }
}

/// The same claim by a later life of the scheduler.
fn by_a_later_life(input: node::Input) -> node::Input {
    let node::Input::Datagram(mut datagram) = input else { unreachable!() };
    datagram.src.incarnation = Some(Incarnation(2));
    let Body::Claim(claim) = &mut datagram.body else { unreachable!() };
    claim.claim.incarnation = Incarnation(2);
    node::Input::Datagram(datagram)
}

#[test]
fn an_earlier_life_is_granted_nothing_after_a_later() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(2), without(Rule::GrantedClaimsStayDecided));
    let later = truth.step(&mut node, by_a_later_life(claims(0)));
    assert_eq!(truth.check(Safety::OneGrantPerClaim, &later), Check::Holds);
    let earlier = truth.step(&mut node, claims(1));
    truth.violates(
        Safety::OneGrantPerClaim,
        &earlier,
        "n1 grants s1.1:n1#1 before it grants to a later life of its scheduler",
        &[
            ("granted", "1.2", "n1/durable/allocations/s1.1:n1#1"),
            ("later life", "s1.2:n1#0", ""),
            ("granted to that", "1.1", ""),
        ],
    );
}

#[test]
fn verdicts_are_true_when_given() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(1), Rules::ALL);
    let confirm = || from_client(Body::Confirm(claim_id(0)));
    let release = || from_client(Body::Release(claim_id(0)));
    for input in [claims(0), claims(0), claims(1), claims(1), confirm(), confirm(), release()] {
        let taken = truth.step(&mut node, input);
        assert_eq!(truth.check(Safety::VerdictsAreTrue, &taken), Check::Holds);
    }
    // The same answers where something else is true.
    let refused = |at, reason| Decision::Refused(Refusal { at, reason });
    let lies = [
        (claims(2), Decision::Granted { at: stamp(1, 2) }),
        (claims(2), Decision::Confirmed { at: stamp(1, 3) }),
        (claims(2), Decision::Gone),
        (claims(1), refused(stamp(1, 2), Reason::Capacity(ResourceClass::Vcpu))),
        (claims(1), refused(stamp(1, 1), Reason::Traits)),
        (claims(1), refused(stamp(1, 4), Reason::Capacity(ResourceClass::Vcpu))),
        (claims(1), refused(stamp(1, 2), Reason::OtherLife)),
        (claims(1), refused(stamp(1, 2), Reason::Full)),
        (release(), refused(stamp(1, 2), Reason::Draining)),
    ];
    for (input, lie) in lies {
        let mut truth = Truth(truth.0.clone());
        let mut taken = truth.step(&mut node.clone(), input);
        for output in &mut taken.outputs {
            if let counterfoil_protocol::Output::Send(datagram) = output
                && let Body::Verdict(verdict) = &mut datagram.body
            {
                verdict.decision = lie.clone();
            }
        }
        let check = truth.check(Safety::VerdictsAreTrue, &taken);
        assert!(matches!(check, Check::Violated(_)), "{lie:?}: {check:?}");
    }
}

#[test]
fn a_grant_names_the_first_stamp_that_contains_it() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(1), Rules::ALL);
    let before = node.clone();
    let mut outputs = Vec::new();
    node.handle(claims(0), &mut outputs);
    let mut earlier = node.durable.allocations[&claim_id(0)].clone();
    earlier.at.version = Version(0);
    node.durable.allocations.insert(claim_id(0), earlier);
    for output in &mut outputs {
        if let counterfoil_protocol::Output::Send(datagram) = output {
            let decision = Decision::Granted { at: stamp(1, 0) };
            *datagram = verdict(of_scheduler(), 0, decision);
        }
    }
    let (before, input) = (Some(before), Some(claims(0)));
    let taken = truth.observed(Taken { before, input, after: node, outputs });
    let granted = format!("{:?}", truth.0.grants.get(&claim_id(0)));
    truth.violates(
        Safety::VerdictsAreTrue,
        &taken,
        "n1 says Granted { at: 1.0 } of s1.1:n1#0, and so it is",
        &[
            ("allocation", "Some(Held)", "n1/durable/allocations/s1.1:n1#0"),
            ("granted", &granted, ""),
            ("stamp", "1.1", "n1/version"),
        ],
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
        "s1.1:n1#0 is granted once at most",
        &[("times granted", "2", "n1/durable/allocations/s1.1:n1#0")],
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
        "n1 has s1.1:n1#1, which it told to be confirmed",
        &[("told", "Some(Confirmed)", ""), ("allocation", "None", "n1/durable/allocations")],
    );
    let mut disk = node.durable.clone();
    let held = disk.allocations.get(&claim_id(0)).unwrap().clone();
    disk.allocations.insert(claim_id(1), held);
    let unconfirmed = truth.start(|outputs| start(outputs, disk));
    truth.violates(
        Safety::AllocationsSurviveRestart,
        &unconfirmed,
        "n1 has s1.1:n1#1, which it told to be confirmed",
        &[("told", "Some(Confirmed)", ""), ("allocation", "Some(Held)", "n1/durable/allocations")],
    );
}

#[test]
fn an_order_that_a_restart_forgets_is_found_at_the_restart() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(2), Rules::ALL);
    let old = node.durable.clone();
    truth.step(&mut node, node::Input::Order(node::Order::Status(Status::Draining)));
    let had = format!("{:?}", node.host_state());
    let start = |outputs: &mut _, disk| Node::start(NODE, disk, given(Rules::ALL), outputs);
    let whole = truth.start(|outputs| start(outputs, node.durable.clone()));
    assert_eq!(truth.check(Safety::AllocationsSurviveRestart, &whole), Check::Holds);
    let forgetful = truth.start(|outputs| start(outputs, old));
    truth.violates(
        Safety::AllocationsSurviveRestart,
        &forgetful,
        "n1 starts with the inventory and status that it had",
        &[
            ("inventory", &format!("{:?}", inventory(2)), "n1/durable/inventory"),
            ("status", "Up", "n1/durable/status"),
            ("had", &had, ""),
        ],
    );
}

#[test]
fn a_release_of_another_ends_nothing() {
    let mut truth = Truth::default();
    let mut node = told(&mut truth);
    let mut released = truth.step(&mut node, from_client(Body::Release(claim_id(1))));
    assert_eq!(truth.check(Safety::AllocationsSurviveRestart, &released), Check::Holds);
    let both = node::Change::End(claim_id(0));
    released.after.durable.apply(&both);
    released
        .outputs
        .push(counterfoil_protocol::Output::Persist(counterfoil_protocol::Record::Node(both)));
    let released = truth.observed(released);
    truth.violates(
        Safety::AllocationsSurviveRestart,
        &released,
        "n1 keeps s1.1:n1#0, which it told to be held, until it is given back",
        &[("told", "Some(Held)", ""), ("allocation", "None", "n1/durable/allocations")],
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
        "n1 has s1.1:n1#0, which it told to be held",
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
    let mut held = forgetful.durable.allocations[&claim_id(1)].clone();
    held.state = node::AllocationState::Held;
    forgetful.durable.allocations.insert(claim_id(1), held);
    let mut outputs = Vec::new();
    let input = lapse(1);
    forgetful.handle(input.clone(), &mut outputs);
    let taken = Taken { before: Some(node), input: Some(input), after: forgetful, outputs };
    let taken = truth.observed(taken);
    truth.violates(
        Safety::AllocationsSurviveRestart,
        &taken,
        "n1 does not let s1.1:n1#1 lapse, which it told to be confirmed",
        &[("told", "Some(Confirmed)", ""), ("allocation", "None", "n1/durable/allocations")],
    );
}
