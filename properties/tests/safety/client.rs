use crate::truth::*;
use counterfoil_properties::{Check, Safety};
use counterfoil_protocol::client::{Input, Order};
use counterfoil_protocol::{Answer, Body, Decision, Placement, RequestId, Rules};

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
