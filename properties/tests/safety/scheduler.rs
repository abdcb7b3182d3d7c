use crate::truth::*;
use counterfoil_properties::{Check, Safety};
use counterfoil_protocol::scheduler::Input;
use counterfoil_protocol::{
    Address, Answer, Body, ClaimId, Datagram, Decision, HostState, Incarnation, Leave, Map, Output,
    Placement, Rule, Rules, Scheduler, SchedulerId, Status, Timer, Version, node, scheduler,
};

fn order(order: node::Order) -> node::Input {
    node::Input::Order(order)
}

#[test]
fn views_never_go_back() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(1), Rules::ALL);
    let old = snapshot(&node);
    truth.step(&mut node, claims(0));
    let mut scheduler = truth.scheduler(&node, without(Rule::SnapshotsNeverGoBack));
    truth.step(&mut node, order(node::Order::Inventory(inventory(2))));
    let newer = truth.step(&mut scheduler, Input::Datagram(snapshot(&node)));
    assert_eq!(truth.check(Safety::ViewsNeverGoBack, &newer), Check::Holds);
    let older = truth.step(&mut scheduler, Input::Datagram(old));
    truth.violates(
        Safety::ViewsNeverGoBack,
        &older,
        "s1 caches n1 at 1.0 >= 1.2 as before",
        &[("cached", "1.0", "s1/nodes/n1/host/stamp"), ("before", "1.2", "")],
    );
}

#[test]
fn views_are_real_states() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(2), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, without(Rule::GapsAreNotApplied));
    truth.step(&mut node, claims(0));
    let next = truth.step(&mut scheduler, Input::Datagram(delta(&node, 0)));
    assert_eq!(truth.check(Safety::ViewsAreRealStates, &next), Check::Holds);
    let mut sham = next.after.clone();
    sham.nodes.get_mut(&NODE).unwrap().host.as_mut().unwrap().state.status = Status::Draining;
    let (before, after) = (Some(next.after), sham);
    let taken = Taken { before, input: None, after, outputs: Vec::new() };
    assert!(matches!(truth.check(Safety::ViewsAreRealStates, &taken), Check::Violated(_)));

    truth.step(&mut node, order(node::Order::Inventory(inventory(3))));
    truth.step(&mut node, claims(1));
    let gap = truth.step(&mut scheduler, Input::Datagram(delta(&node, 2)));
    let cached = &gap.after.nodes.get(&NODE).unwrap().host.as_ref().unwrap().state;
    let (cached, was) = (format!("{cached:?}"), format!("{:?}", Some(node.host_state())));
    truth.violates(
        Safety::ViewsAreRealStates,
        &gap,
        "s1 caches for n1 at 1.3 what n1 was at 1.3",
        &[
            ("cached", &cached, "s1/nodes/n1/host/state"),
            ("was", &was, ""),
            ("stamp", "1.3", "s1/nodes/n1/host/stamp"),
        ],
    );
}

#[test]
fn own_claims_count_once() {
    for (rules, holds) in
        [(Rules::ALL, true), (without(Rule::ReservationOutlivesTheVerdict), false)]
    {
        let mut truth = Truth::default();
        let mut node = truth.node(processors(1), Rules::ALL);
        let mut scheduler = truth.scheduler(&node, rules);
        let placed = truth.place(&mut scheduler, 1);
        assert_eq!(truth.check(Safety::OwnClaimsCountOnce, &placed), Check::Holds);
        let granted = truth.step(&mut node, node::Input::Datagram(placed.claim()));
        let answered = truth.step(&mut scheduler, Input::Datagram(granted.verdict()));
        if holds {
            assert_eq!(truth.check(Safety::OwnClaimsCountOnce, &answered), Check::Holds);
            let covered = truth.step(&mut scheduler, Input::Datagram(delta(&node, 0)));
            assert_eq!(truth.check(Safety::OwnClaimsCountOnce, &covered), Check::Vacuous);
            assert!(truth.0.sent.is_empty());
        } else {
            truth.violates(
                Safety::OwnClaimsCountOnce,
                &answered,
                "s1 has reserved at n1 exactly what its claims ask for that are not refused, gone or \
                 covered",
                &[
                    ("reserved", "Resources({})", "s1/nodes/n1/claims"),
                    ("to be reserved", "Resources({VCPU: 1})", ""),
                    (
                        "claims, and from which stamp on they are covered",
                        "{s1.1:n1#0: Some(1.1)}",
                        "",
                    ),
                    ("cached stamp", "Some(1.0)", "s1/nodes/n1/host/stamp"),
                ],
            );
        }
    }
}

#[test]
fn a_departure_that_one_scheduler_learns_of_takes_nothing_off_the_books_of_another() {
    let mut truth = Truth::default();
    let node = truth.node(processors(2), Rules::ALL);
    let mut first = truth.scheduler(&node, Rules::ALL);
    let disk = counterfoil_protocol::scheduler::Disk::default();
    let start =
        |outputs: &mut _| Scheduler::start(SchedulerId(2), disk, given(Rules::ALL), outputs);
    let mut second = truth.start(start).after;
    let me = counterfoil_protocol::Actor::Scheduler(SchedulerId(2));
    let dst = Address { actor: me, incarnation: Some(Incarnation(1)) };
    truth.step(&mut second, Input::Datagram(Datagram { dst, ..snapshot(&node) }));
    truth.place(&mut first, 1);
    truth.place(&mut second, 2);
    let leave = Body::Leave(Leave { at: Version(0) });
    let left = Datagram { src: of_node(1), dst: of_scheduler(), body: leave };
    let learnt = truth.step(&mut first, Input::Datagram(left));
    assert_eq!(truth.check(Safety::OwnClaimsCountOnce, &learnt), Check::Vacuous);
    let own = second.nodes[&NODE].claims.keys().next().copied().unwrap();
    let claim = ClaimId { scheduler: SchedulerId(2), number: own, ..claim_id(0) };
    let again = truth.step(&mut second, Input::Timer(Timer::Resend(claim)));
    assert_eq!(truth.check(Safety::OwnClaimsCountOnce, &again), Check::Holds);
}

/// A claim that a scheduler sends although its own claims take everything.
fn one_too_many(truth: &mut Truth) -> Taken<Scheduler> {
    let mut node = truth.node(processors(2), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, Rules::ALL);
    truth.place(&mut scheduler, 1);
    let mut taken = truth.place(&mut scheduler, 2);
    truth.step(&mut node, order(node::Order::Inventory(inventory(1))));
    for machine in [taken.before.as_mut().unwrap(), &mut taken.after] {
        let host = machine.nodes.get_mut(&NODE).unwrap().host.as_mut().unwrap();
        host.state.inventory = inventory(1);
    }
    taken
}

#[test]
fn a_claim_fits_beside_its_others() {
    let mut truth = Truth::default();
    let taken = one_too_many(&mut truth);
    truth.violates(
        Safety::OwnClaimsCountOnce,
        &taken,
        "s1 sends s1.1:n1#1 only if it fits beside its others",
        &[
            ("reason against it", "Some(Capacity(VCPU))", "s1/nodes/n1/host"),
            ("others", "{VCPU: 1}", "s1/nodes/n1/claims"),
        ],
    );
    // Alone it would fit.
    assert_eq!(truth.check(Safety::NoClaimAgainstKnownRefusal, &taken), Check::Holds);
}

#[test]
fn no_claim_against_what_the_cache_says() {
    let mut truth = Truth::default();
    let mut taken = one_too_many(&mut truth);
    let host = taken.after.nodes.get_mut(&NODE).unwrap().host.as_mut().unwrap();
    host.state.inventory = inventory(0);
    truth.violates(
        Safety::NoClaimAgainstKnownRefusal,
        &taken,
        "s1 caches nothing that speaks against s1.1:n1#1",
        &[("reason against it", "Capacity(VCPU)", "s1/nodes/n1/host")],
    );
}

/// What a life of the node says when it goes.
fn leaves(life: u64) -> Input {
    let body = Body::Leave(Leave { at: Version(0) });
    Input::Datagram(Datagram { src: of_node(life), dst: of_scheduler(), body })
}

#[test]
fn a_node_that_left_is_not_claimed_on_until_a_later_life_speaks() {
    let mut truth = Truth::default();
    let node = truth.node(processors(2), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, Rules::ALL);
    truth.step(&mut scheduler, leaves(1));
    let mut deluded = scheduler.clone();
    deluded.nodes.get_mut(&NODE).unwrap().presence = Default::default();
    let placed = truth.place(&mut deluded, 1);
    truth.violates(
        Safety::NoClaimToUnavailable,
        &placed,
        "s1 sends s1.1:n1#0 to n1 only if it is available",
        &[
            ("presence", "Present", "s1/nodes/n1/presence"),
            ("status", "Some(Up)", "s1/nodes/n1/host/state/status"),
            ("left in life", "Some(1)", ""),
        ],
    );
    truth.step(&mut scheduler, Input::Datagram(Datagram { src: of_node(2), ..snapshot(&node) }));
    let placed = truth.place(&mut scheduler, 1);
    assert_eq!(truth.check(Safety::NoClaimToUnavailable, &placed), Check::Holds);
    assert!(truth.0.departed.is_empty());
}

/// A scheduler whose first claim was refused at 1.1, and the node, which has room again at 1.2.
fn refused(truth: &mut Truth, rules: Rules) -> (node::Node, Scheduler) {
    let mut node = truth.node(processors(1), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, rules);
    truth.step(&mut node, order(node::Order::Inventory(inventory(0))));
    let claim = truth.place(&mut scheduler, 1).claim();
    let refusal = truth.step(&mut node, node::Input::Datagram(claim)).verdict();
    let learnt = truth.step(&mut scheduler, Input::Datagram(refusal));
    assert_eq!(truth.check(Safety::VerdictsAreTrue, &learnt), Check::Holds);
    truth.step(&mut node, order(node::Order::Inventory(inventory(1))));
    (node, scheduler)
}

#[test]
fn no_claim_against_known_refusal() {
    let mut truth = Truth::default();
    let (node, mut scheduler) = refused(&mut truth, Rules::ALL);
    truth.step(&mut scheduler, Input::Datagram(snapshot(&node)));
    let chosen = truth.step(&mut scheduler, Input::Chosen(attempt(1), Some(NODE)));
    assert_eq!(truth.check(Safety::NoClaimAgainstKnownRefusal, &chosen), Check::Holds);

    let mut truth = Truth::default();
    let (_, mut scheduler) = refused(&mut truth, without(Rule::RefusalsTeach));
    let chosen = truth.step(&mut scheduler, Input::Chosen(attempt(1), Some(NODE)));
    truth.violates(
        Safety::NoClaimAgainstKnownRefusal,
        &chosen,
        "s1 sends s1.1:n1#1 for r1/1, which n1 refused at 1.1, only once it caches that stamp",
        &[("cached", "Some(1.0)", "s1/nodes/n1/host/stamp"), ("refused", "1.1", "")],
    );
}

#[test]
fn no_claim_to_unavailable() {
    let mut truth = Truth::default();
    let node = truth.node(processors(2), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, without(Rule::UnavailableNodesAreNotChosen));
    let placed = truth.place(&mut scheduler, 1);
    assert_eq!(truth.check(Safety::NoClaimToUnavailable, &placed), Check::Holds);
    truth.step(&mut scheduler, Input::Timer(Timer::Suspect(NODE)));
    let placed = truth.place(&mut scheduler, 2);
    truth.violates(
        Safety::NoClaimToUnavailable,
        &placed,
        "s1 sends s1.1:n1#1 to n1 only if it is available",
        &[
            ("presence", "Suspected", "s1/nodes/n1/presence"),
            ("status", "Some(Up)", "s1/nodes/n1/host/state/status"),
            ("left in life", "None", ""),
        ],
    );
}

#[test]
fn verdicts_and_answers_are_true() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(1), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, Rules::ALL);
    let claim = truth.place(&mut scheduler, 1).claim();
    let granted = truth.step(&mut node, node::Input::Datagram(claim));
    let learnt = truth.step(&mut scheduler, Input::Datagram(granted.verdict()));
    assert_eq!(truth.check(Safety::VerdictsAreTrue, &learnt), Check::Holds);
    assert_eq!(truth.check(Safety::AnswersAreTrue, &learnt), Check::Holds);

    // The node never heard of the claim.
    let mut truth = Truth::default();
    let node = truth.node(processors(1), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, Rules::ALL);
    truth.place(&mut scheduler, 1);
    let decision = Decision::Granted { at: stamp(1, 1) };
    let lie = verdict(of_scheduler(), 0, decision);
    let learnt = truth.step(&mut scheduler, Input::Datagram(lie));
    truth.violates(
        Safety::VerdictsAreTrue,
        &learnt,
        "s1 acts on Granted { at: 1.1 } for s1.1:n1#0, which n1 gave to that claim for r1",
        &[
            ("granted", "None", ""),
            ("refused", "None", ""),
            ("claim", "s1.1:n1#0", "s1/nodes/n1/next"),
        ],
    );
    truth.violates(
        Safety::AnswersAreTrue,
        &learnt,
        "s1 answers r1/1: s1.1:n1#0 was granted to it",
        &[("granted to", "None", ""), ("claim", "s1.1:n1#0", "s1/nodes/n1/claims")],
    );
}

#[test]
fn no_valid_host_gives_true_reasons() {
    let mut truth = Truth::default();
    let node = truth.node(processors(0), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, Rules::ALL);
    let call = counterfoil_protocol::Call { attempt: attempt(1), demand: one().into() };
    truth.step(&mut scheduler, Input::Call(CLIENT, call.clone()));
    let answered = truth.step(&mut scheduler, Input::Chosen(attempt(1), None));
    assert_eq!(truth.check(Safety::AnswersAreTrue, &answered), Check::Holds);

    let knows_nobody = scheduler::Disk::default();
    let start =
        |outputs: &mut _| Scheduler::start(SCHEDULER, knows_nobody, given(Rules::ALL), outputs);
    let mut lonely = truth.start(start).after;
    truth.step(&mut lonely, Input::Call(CLIENT, call.clone()));
    let mut answered = truth.step(&mut lonely, Input::Chosen(attempt(1), None));
    assert_eq!(truth.check(Safety::AnswersAreTrue, &answered), Check::Vacuous);
    let placement = Placement::NoValidHost(Map::default());
    answered.outputs = vec![Output::Answer(CLIENT, Answer { attempt: attempt(1), placement })];
    truth.violates(
        Safety::AnswersAreTrue,
        &answered,
        "s1 answers r1/1: no valid host, of one at least",
        &[("nodes", "0", "s1/nodes")],
    );

    // The node was never in this state.
    let lie = HostState { inventory: inventory(0), ..HostState::default() };
    let mut truth = Truth::default();
    let node = truth.node(processors(1), Rules::ALL);
    let mut scheduler = truth.scheduler(&node, without(Rule::SnapshotsNeverGoBack));
    truth.step(&mut scheduler, Input::Datagram(snapshot_of(Version(0), lie)));
    truth.step(&mut scheduler, Input::Call(CLIENT, call));
    let answered = truth.step(&mut scheduler, Input::Chosen(attempt(1), None));
    let was = format!("{:?}", Some(node.host_state()));
    truth.violates(
        Safety::AnswersAreTrue,
        &answered,
        "s1 answers r1/1: no valid host, with a reason for n1 that is true of its state then",
        &[
            ("reason", "Some(Refusal { at: 1.0, reason: Capacity(VCPU) })", "s1/nodes/n1/host"),
            ("was", &was, ""),
        ],
    );
}
