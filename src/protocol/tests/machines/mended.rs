//! What the model checker found once, at the size of one machine.

use crate::samples::*;
use crate::table::step;
use crate::{client, node, scheduler};
use counterfoil_protocol::node::Input as ToNode;
use counterfoil_protocol::{
    Answer, Body, Changes, Choice, Decision, Delta, Leave, Limits, Notice, Output, Placement,
    Reason, ResourceClass, Timer, Version,
};

/// A claim is granted at 1.4, which the cache, at 1.3, does not cover.
fn granted_not_covered() -> counterfoil_protocol::Scheduler {
    let inputs = [&scheduler::claiming()[..], &[scheduler::grants(4)]].concat();
    let scheduler = scheduler::after(scheduler::fresh(small()), &inputs);
    assert_eq!(scheduler.nodes.get(&N1).unwrap().claims.len(), 1);
    scheduler
}

#[test]
fn a_sum_that_ends_at_nothing_is_the_sum_that_never_was() {
    let mut node = node::fresh(small());
    let never = node.host_state();
    for input in [node::claims(claim_id(0), 0, 1), ToNode::Timer(Timer::Lapse(claim_id(0)))] {
        step(&mut node, &input, "granted and lapsed");
    }
    assert_eq!(node.host_state(), never);

    let mut view = scheduler::fresh(small());
    let inputs =
        [scheduler::snapshot(N1, 1, 0, 0), scheduler::delta(1, 0, 1, 1), scheduler::beat(1, 1)];
    view = scheduler::after(view, &inputs);
    let used = [(ResourceClass::Vcpu, 0)].into_iter().collect();
    let none = Changes { used, ..Changes::default() };
    let ended = Delta { from: Version(1), to: Version(2), changes: none };
    view = scheduler::after(view, &[scheduler::from(N1, 1, Body::Delta(ended))]);
    assert!(view.nodes.get(&N1).unwrap().host.as_ref().unwrap().state.used.is_empty());
}

#[test]
fn gone_ends_the_reservation_of_a_granted_claim() {
    let mut scheduler = granted_not_covered();
    let outputs = step(&mut scheduler, &scheduler::decides(Decision::Gone), "gone");
    assert!(notices(&outputs).contains(&Notice::ClaimGone));
    assert!(scheduler.nodes.get(&N1).unwrap().set_aside().is_empty());
}

#[test]
fn a_later_lifes_refusal_ends_the_reservation_of_a_granted_claim() {
    let mut scheduler = granted_not_covered();
    let refusal = verdict(claim_id(0), refused(stamp(2, 0), Reason::OtherLife));
    let outputs = step(&mut scheduler, &scheduler::from(N1, 2, refusal), "refused");
    assert!(notices(&outputs).contains(&Notice::RefusalUnwanted));
    assert!(scheduler.nodes.get(&N1).unwrap().set_aside().is_empty());
}

#[test]
fn every_copy_of_a_verdict_says_the_same() {
    let mut node = node::fresh(Limits::default());
    let claim = node::claims(claim_id(0), 0, 1);
    let first = sent(&step(&mut node, &claim, "granted"));
    step(&mut node, &node::claims(claim_id(1), 0, 1), "the host state goes on");
    assert_eq!(node.stamp(), stamp(2, 2));
    assert_eq!(sent(&step(&mut node, &claim, "a copy")), first);
    assert_eq!(first, [verdict(claim_id(0), Decision::Granted { at: stamp(2, 1) })]);
}

#[test]
fn a_leave_ends_the_claims_that_were_meant_for_the_life_that_left() {
    let mut scheduler = scheduler::after(scheduler::fresh(small()), &scheduler::claiming());
    let leave = scheduler::from(N1, 1, Body::Leave(Leave { at: Version(5) }));
    let outputs = step(&mut scheduler, &leave, "leaves");
    assert!(outputs.contains(&Output::Choose(Choice::Node(attempt(R1, 1)))), "{outputs:?}");
    assert!(scheduler.nodes.get(&N1).unwrap().claims.is_empty());
    let mut late = scheduler::after(scheduler::fresh(small()), &scheduler::claiming());
    let of_life_before = scheduler::from(N1, 0, Body::Leave(Leave { at: Version(5) }));
    step(&mut late, &of_life_before, "an older life left");
    assert_eq!(late.nodes.get(&N1).unwrap().claims.len(), 1, "meant for the life after it");
}

#[test]
fn a_suspicion_ends_the_attempts_that_wait_and_keeps_their_claims() {
    let mut scheduler = scheduler::after(scheduler::fresh(small()), &scheduler::claiming());
    let suspect = scheduler::Input::Timer(Timer::Suspect(N1));
    let outputs = step(&mut scheduler, &suspect, "silent");
    let unavailable = Answer { attempt: attempt(R1, 1), placement: Placement::Unavailable };
    assert!(outputs.contains(&Output::Answer(C1, unavailable)), "{outputs:?}");
    assert_eq!(scheduler.nodes.get(&N1).unwrap().claims.len(), 1, "it may have been granted");
}

#[test]
fn a_break_noticed_after_the_next_call_would_close_it_unanswered() {
    let call = scheduler::calls(1, R1, 1);
    let noticed_late = [call.clone(), scheduler::Input::Disconnected(C1)];
    let scheduler = scheduler::after(scheduler::fresh(small()), &noticed_late);
    assert!(scheduler.attempts.is_empty(), "this is why the driver must keep the order");
    let noticed_first = [scheduler::Input::Disconnected(C1), call];
    let scheduler = scheduler::after(scheduler::fresh(small()), &noticed_first);
    assert_eq!(scheduler.attempts.len(), 1);
}

#[test]
fn an_open_attempt_is_impatient_again_once_the_choice_is_gone() {
    let placed = client::answers(R1, 1, Placement::Placed(claim_id(0)));
    let inputs = [&client::calling_twice()[..], &[placed]].concat();
    let limits = Limits { attempts_max: 3, ..small() };
    let mut client = client::after(client::fresh(limits), &inputs);
    let outputs = step(&mut client, &client::decides(claim_id(0), Decision::Gone), "gone");
    let last = Timer::Impatience(attempt(R1, 2));
    let sets = |output: &Output| matches!(output, Output::SetTimer { timer, .. } if *timer == last);
    assert!(outputs.iter().any(sets), "{outputs:?}");
}

#[test]
fn a_late_leave_of_an_older_life_does_not_undo_a_later_one() {
    let left =
        |life, version| scheduler::from(N1, life, Body::Leave(Leave { at: Version(version) }));
    let inputs = [scheduler::snapshot(N1, 1, 3, 0), left(2, 0), left(1, 3)];
    let mut scheduler = scheduler::after(scheduler::fresh(small()), &inputs);
    step(&mut scheduler, &scheduler::beat(2, 0), "a late beat of the life that left");
    let presence = scheduler.nodes.get(&N1).unwrap().presence;
    assert_eq!(presence, counterfoil_protocol::scheduler::Presence::Departed(stamp(2, 0)));
}

#[test]
fn a_verdict_on_an_earlier_claim_does_not_move_the_attempt_of_the_same_name() {
    let again = [
        scheduler::Input::Disconnected(C1),
        scheduler::snapshot(N2, 1, 0, 0),
        scheduler::calls(1, R1, 1),
        scheduler::chooses(R1, Some(N2)),
    ];
    let inputs = [&scheduler::claiming()[..], &again].concat();
    let claiming = scheduler::after(scheduler::fresh(small()), &inputs);
    let before = claiming.attempts.clone();
    let late =
        [Decision::Gone, refused_capacity(stamp(1, 9)), Decision::Granted { at: stamp(1, 9) }];
    for decision in late {
        let mut scheduler = claiming.clone();
        let outputs = step(&mut scheduler, &scheduler::decides(decision), "of the first call");
        assert_eq!(scheduler.attempts, before);
        let answers = |output: &Output| matches!(output, Output::Answer(..) | Output::Choose(_));
        assert!(!outputs.iter().any(answers), "{outputs:?}");
    }
}
