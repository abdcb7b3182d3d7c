use crate::truth::*;
use counterfoil_properties::{Check, Safety};
use counterfoil_protocol::client::{Input, Order};
use counterfoil_protocol::{
    Answer, Body, Client, Decision, Placement, RequestId, Rule, Rules, client,
};

#[test]
fn verdicts_are_true() {
    let mut truth = Truth::default();
    let mut node = truth.node(processors(2), Rules::ALL);
    let mut client = truth.client(Rules::ALL);
    truth.step(&mut node, claims(1));
    let place = Order::Place(RequestId(1), one());
    truth.step(&mut client, Input::Order(place));
    truth.step(&mut client, Input::Chosen(attempt(1), SCHEDULER));
    let placement = Placement::Placed(claim_id(1));
    let answer = Answer { attempt: attempt(1), placement };
    let chosen = truth.step(&mut client, Input::Answer(answer));
    assert_eq!(truth.check(Safety::VerdictsAreTrue, &chosen), Check::Vacuous);

    // The node has granted it, and nobody has confirmed it.
    let decision = Decision::Confirmed { at: stamp(1, 1) };
    let lie = verdict(of_client(), 1, decision);
    let told = truth.step(&mut client.clone(), Input::Datagram(lie));
    let granted = format!("{:?}", truth.0.grants.get(&claim_id(1)));
    let phase = format!("{:?}", told.after.requests.get(&RequestId(1)));
    truth.violates(
        Safety::VerdictsAreTrue,
        &told,
        "c1 acts on Confirmed { at: 1.1 } for s1.1:n1#1, which n1 gave to that claim for r1",
        &[("granted", &granted, ""), ("phase", &phase, "c1/requests/r1/phase")],
    );

    let confirmed = truth.step(&mut node, from_client(Body::Confirm(claim_id(1)))).verdict();
    let told = truth.step(&mut client, Input::Datagram(confirmed));
    assert_eq!(truth.check(Safety::VerdictsAreTrue, &told), Check::Holds);
}

/// What a client keeps on disk that chose claim 1 for request 1.
fn chose(releasing: bool) -> client::Disk {
    let chosen = client::Chosen {
        claim: claim_id(1),
        releasing,
        demand: one().into(),
        attempts_made: counterfoil_protocol::AttemptNumber(1),
        bundle: Default::default(),
    };
    client::Disk { choices: [(RequestId(1), chosen)].into_iter().collect() }
}

#[test]
fn what_its_user_gave_up_is_neither_confirmed_nor_sought() {
    let mut truth = Truth::default();
    let start = |truth: &mut Truth, releasing| {
        truth.start(|outputs| Client::start(CLIENT, chose(releasing), given(Rules::ALL), outputs))
    };
    let started = start(&mut truth, false);
    assert_eq!(truth.check(Safety::OneConfirmedPerRequest, &started), Check::Holds);
    let mut client = started.after;
    let released = truth.step(&mut client, Input::Order(Order::Release(RequestId(1))));
    assert_eq!(truth.check(Safety::OneConfirmedPerRequest, &released), Check::Vacuous);
    let goes_on = start(&mut truth, true);
    assert_eq!(truth.check(Safety::OneConfirmedPerRequest, &goes_on), Check::Vacuous);

    // It did not write the release down.
    let forgetful = start(&mut truth, false);
    let request = format!("{:?}", forgetful.after.requests.get(&RequestId(1)));
    truth.violates(
        Safety::OneConfirmedPerRequest,
        &forgetful,
        "c1 confirms r1 only if its user has not given it up",
        &[("request", &request, "c1/requests/r1")],
    );
    let mut client = forgetful.after;
    let gone = verdict(of_client(), 1, Decision::Gone);
    truth.step(&mut client, Input::Datagram(gone));
    let retry = counterfoil_protocol::Timer::Retry(RequestId(1));
    let sought = truth.step(&mut client, Input::Timer(retry));
    let request = format!("{:?}", sought.after.requests.get(&RequestId(1)));
    truth.violates(
        Safety::OneConfirmedPerRequest,
        &sought,
        "c1 seeks a place for r1 only if its user has not given it up",
        &[("request", &request, "c1/requests/r1")],
    );
}

#[test]
fn bundles_end_whole() {
    let (first, second) = (RequestId(1), RequestId(2));
    let placed = |request: u64| {
        let placement = Placement::Placed(claim_id(request));
        Input::Answer(Answer { attempt: attempt(request), placement })
    };
    let started = |rules| {
        let mut truth = Truth::default();
        let mut node = truth.node(processors(2), Rules::ALL);
        truth.step(&mut node, claims(1));
        truth.step(&mut node, claims(2));
        let mut client = truth.client(rules);
        let demands = [(first, one()), (second, one())].into_iter().collect();
        truth.step(&mut client, Input::Order(Order::PlaceTogether(demands)));
        (truth, node, client)
    };
    let phase = |client: &Client, request| {
        format!("{:?}", client.requests.get(&request).map(|request| &request.phase))
    };

    let (mut truth, _, mut client) = started(without(Rule::BundlesAreChosenWhole));
    let early = truth.step(&mut client, placed(1));
    truth.violates(
        Safety::BundlesEndWhole,
        &early,
        "c1 confirms r1 only once it has chosen for r2 too",
        &[
            ("phase of r1", "Some(Confirming(s1.1:n1#1))", "c1/requests/r1/phase"),
            ("phase of r2", "Some(Seeking)", "c1/requests/r2/phase"),
        ],
    );

    let (mut truth, mut node, mut client) = started(Rules::ALL);
    for request in [1, 2] {
        let step = truth.step(&mut client, placed(request));
        assert_eq!(truth.check(Safety::BundlesEndWhole, &step), Check::Holds);
    }
    let confirmed = truth.step(&mut node, from_client(Body::Confirm(claim_id(1)))).verdict();
    let one_of_two = truth.step(&mut client, Input::Datagram(confirmed));
    assert_eq!(truth.check(Safety::BundlesEndWhole, &one_of_two), Check::Holds);

    // The node has not confirmed the other.
    let lie = verdict(of_client(), 2, Decision::Confirmed { at: stamp(1, 2) });
    let told = truth.step(&mut client.clone(), Input::Datagram(lie));
    let [one, other] = [first, second].map(|request| phase(&told.after, request));
    truth.violates(
        Safety::BundlesEndWhole,
        &told,
        "c1 tells that r1 is confirmed once r2 is too",
        &[
            ("phase of r1", &one, "c1/requests/r1/phase"),
            ("phase of r2", &other, "c1/requests/r2/phase"),
        ],
    );

    let release = Input::Order(Order::Release(second));
    let mut given_up = truth.step(&mut client, release);
    assert_eq!(truth.check(Safety::BundlesEndWhole, &given_up), Check::Holds);
    assert!(truth.0.asked.values().all(|asked| asked.given_up), "of both");
    given_up.after.requests.get_mut(&first).unwrap().phase = client::Phase::Confirmed(claim_id(1));
    let over = phase(&given_up.after, second);
    truth.violates(
        Safety::BundlesEndWhole,
        &given_up,
        "c1 gives up r1 when r2 is over",
        &[
            ("phase of r2", &over, "c1/requests/r2/phase"),
            ("phase of r1", "Some(Confirmed(s1.1:n1#1))", "c1/requests/r1/phase"),
        ],
    );
}
