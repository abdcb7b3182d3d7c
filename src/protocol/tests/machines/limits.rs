//! Every limit: nothing grows beyond it, and reaching it leaves its notice.

use crate::samples::*;
use crate::table::{Subject, step};
use crate::{client, node, scheduler};
use counterfoil_protocol::node::Input as ToNode;
use counterfoil_protocol::{
    Body, ClaimId, ClaimNumber, Client, Decision, Demand, GroupId, Limits, NodeId, Notice, Output,
    Placement, Reason, RequestId, ResourceClass, Resync, SchedulerId, Timer,
};

/// What is large enough not to be reached; each test lowers one limit.
fn ample() -> Limits {
    Limits::default()
}

/// Gives the inputs in turn; the notices of the last.
fn last<M: Subject>(machine: &mut M, inputs: &[M::Input]) -> Vec<Notice> {
    let mut outputs = Vec::new();
    for input in inputs {
        outputs = step(machine, input, "towards a limit");
    }
    notices(&outputs)
}

fn claims_of(scheduler: u32, number: u64) -> ToNode {
    let number = ClaimNumber(number);
    node::claims(ClaimId { scheduler: SchedulerId(scheduler), number, ..claim_id(0) }, 0, 1)
}

fn resync_of(scheduler: u32) -> ToNode {
    let body = Body::Resync(Resync { have: None });
    ToNode::Datagram(datagram(scheduler_at(scheduler, 1), any_node(N1), body))
}

#[test]
fn allocations_max_refuses_as_full() {
    let mut node = node::fresh(Limits { allocations_max: 1, ..ample() });
    let seen = last(&mut node, &[claims_of(1, 0), claims_of(1, 1)]);
    assert_eq!(seen, [Notice::ClaimRefusedFull, Notice::ClaimJudged]);
    assert_eq!(node.durable.allocations.len(), 1);
}

#[test]
fn groups_max_refuses_as_full_what_joins_one_more() {
    let mut node = node::fresh(Limits { groups_max: 1, ..ample() });
    let mut seen = |number, demand| {
        let claim = node::claims_for(claim_id(number), 0, demand);
        last(&mut node, &[claim])[0]
    };
    let none = Demand { resources: [(class(3), 0)].into_iter().collect(), ..Demand::default() };
    assert_eq!(seen(0, member(1)), Notice::ClaimGranted);
    assert_eq!(seen(1, member(2)), Notice::ClaimRefusedForGroups);
    assert_eq!(seen(2, member(1)), Notice::ClaimGranted, "it is there already");
    assert_eq!(seen(3, none), Notice::ClaimGranted, "it joins none");
    assert_eq!(node.host_state().used.groups().collect::<Vec<_>>(), [(GroupId(1), 2)]);
}

fn class(group: u64) -> ResourceClass {
    ResourceClass::Group(GroupId(group))
}

#[test]
fn subscribers_max_tells_one_more_nothing_until_another_is_forgotten() {
    let mut node = node::fresh(Limits { subscribers_max: 1, ..ample() });
    assert_eq!(last(&mut node, &[resync_of(1), resync_of(2)]), [Notice::ResyncTooMany]);
    let forget = ToNode::Timer(Timer::Forget(S1));
    assert_eq!(last(&mut node, &[forget, resync_of(2)]), [Notice::ResyncBySnapshot]);
    assert_eq!(node.subscribers.len(), 1);
}

#[test]
fn fences_max_starts_a_new_life_that_grants_what_is_meant_for_it() {
    let mut node = node::fresh(Limits { fences_max: 1, ..ample() });
    let inputs = [resync_of(1), claims_of(1, 0), claims_of(2, 0)];
    assert_eq!(last(&mut node, &inputs), [Notice::ClaimFillsFences]);
    assert_eq!(node.stamp(), stamp(3, 0));
    assert_eq!((node.durable.allocations.len(), node.subscribers.len()), (1, 1), "these stay");
    assert_eq!((node.fences.len(), node.recent.len()), (0, 0));
    assert_eq!(last(&mut node, &[claims_of(2, 1)]), [Notice::ClaimForOtherLife]);
    let body = claim(ClaimId { scheduler: SchedulerId(2), ..claim_id(2) }, 0);
    let meant = datagram(scheduler_at(2, 1), node_at(N1, 3), Body::Claim(body));
    assert!(last(&mut node, &[ToNode::Datagram(meant)]).contains(&Notice::ClaimGranted));
}

#[test]
fn delta_log_max_falls_back_on_a_snapshot() {
    for (delta_log_max, notice) in [(1, Notice::AnnouncedSnapshot), (2, Notice::AnnouncedDelta)] {
        let mut node = node::fresh(Limits { delta_log_max, ..ample() });
        let announce = ToNode::Timer(Timer::Announce);
        let inputs = [claims_of(1, 0), claims_of(1, 1), announce];
        assert_eq!(last(&mut node, &inputs), [notice]);
        assert_eq!(node.recent.len(), delta_log_max);
    }
}

#[test]
fn claims_open_max_bounds_the_window_on_both_ends() {
    let limits = Limits { claims_open_max: 1, ..ample() };
    let mut node = node::fresh(limits.clone());
    assert_eq!(last(&mut node, &[claims_of(1, 1)]), [Notice::ClaimMalformed]);

    let mut scheduler = scheduler::after(scheduler::fresh(limits), &scheduler::claiming());
    let (call, none) = (scheduler::calls(2, R2, 1), scheduler::chooses(R2, None));
    assert_eq!(last(&mut scheduler, &[call, none]), [Notice::AttemptWaits]);
    assert!(!scheduler.eligible(attempt(R2, 1), N1));
    last(&mut scheduler, &[scheduler::grants(4)]);
    assert!(!scheduler.eligible(attempt(R2, 1), N1), "a grant that is not covered counts too");
    last(&mut scheduler, &[scheduler::delta(1, 3, 4, 1)]);
    assert!(scheduler.eligible(attempt(R2, 1), N1));
}

#[test]
fn a_fence_remembers_no_more_than_its_window() {
    let mut node = node::fresh(Limits { claims_open_max: 2, ..ample() });
    for number in 0..9_u64 {
        let floor = number.saturating_sub(1);
        let id = ClaimId { number: ClaimNumber(number), ..claim_id(0) };
        last(&mut node, &[node::claims(id, floor, 9)]);
        let fence = node.fences.get(&S1).unwrap();
        assert_eq!(fence.floor, ClaimNumber(floor));
        assert!(fence.decided.len() <= 2, "{fence:?}");
    }
}

#[test]
fn a_late_claim_lowers_no_floor() {
    let mut node = node::fresh(ample());
    let number = |number| ClaimId { number: ClaimNumber(number), ..claim_id(0) };
    let inputs = [node::claims(number(2), 1, 1), node::claims(number(1), 0, 1)];
    last(&mut node, &inputs);
    assert_eq!(node.fences.get(&S1).unwrap().floor, ClaimNumber(1));
    assert_eq!(last(&mut node, &[claims_of(1, 0)]), [Notice::ClaimBelowFloor]);
}

#[test]
fn nodes_max_ignores_one_more() {
    let mut scheduler = scheduler::fresh(Limits { nodes_max: 1, ..ample() });
    let meet = |node| scheduler::Input::Meet(NodeId(node));
    assert_eq!(last(&mut scheduler, &[meet(1), meet(2)]), [Notice::NodesFull]);
    assert_eq!(scheduler.nodes.len(), 1);
}

#[test]
fn attempts_pending_max_answers_overloaded() {
    let mut scheduler = scheduler::fresh(Limits { attempts_pending_max: 1, ..ample() });
    let calls = [scheduler::calls(1, R1, 1), scheduler::calls(1, R2, 1)];
    assert_eq!(last(&mut scheduler, &calls), [Notice::AttemptsFull]);
    assert_eq!(scheduler.attempts.len(), 1);
}

#[test]
fn claims_per_attempt_max_answers_exhausted() {
    let limits = Limits { claims_per_attempt_max: 1, ..ample() };
    let mut scheduler = scheduler::after(scheduler::fresh(limits), &scheduler::claiming());
    let refused = scheduler::decides(refused_capacity(stamp(1, 3)));
    let inputs = [refused, scheduler::chooses(R1, Some(N1))];
    assert_eq!(last(&mut scheduler, &inputs), [Notice::AttemptExhausted]);
    assert_eq!(scheduler.attempts.len(), 0);
}

#[test]
fn requests_max_ends_one_more_at_once() {
    let mut client: Client = client::fresh(Limits { requests_max: 1, ..ample() });
    let inputs = [client::place(R1), client::place(RequestId(2))];
    assert_eq!(last(&mut client, &inputs), [Notice::RequestsFull]);
    assert_eq!(client.requests.len(), 1);
}

#[test]
fn attempts_max_ends_the_request() {
    let mut client = client::fresh(Limits { attempts_max: 1, ..ample() });
    last(&mut client, &client::calling());
    let impatient = client::Input::Timer(Timer::Impatience(attempt(R1, 1)));
    assert_eq!(last(&mut client, &[impatient]), [Notice::ClientTimerIgnored]);
    let failed = client::answers(R1, 1, Placement::Unavailable);
    assert_eq!(last(&mut client, &[failed]), [Notice::AttemptsUsedUp]);
}

#[test]
fn a_refusal_for_a_limit_says_nothing_of_the_host_state() {
    let mut node = node::fresh(Limits { allocations_max: 0, ..ample() });
    let outputs: Vec<Output> = step(&mut node, &claims_of(1, 0), "full");
    let full = refused(stamp(2, 0), Reason::Full);
    assert_eq!(sent(&outputs), [verdict(claim_id(0), full.clone())]);
    let Decision::Refused(refusal) = full else { unreachable!("built as one") };
    assert!(!refusal.reason.is_of_host_state());
}

#[test]
fn bundle_max_ends_a_larger_bundle_at_once() {
    let limits = Limits { bundle_max: 2, requests_max: 3, ..ample() };
    let bundle = |ids: &[u64]| {
        let ids: Vec<RequestId> = ids.iter().copied().map(RequestId).collect();
        client::place_together(&ids)
    };
    let mut client = client::fresh(limits);
    let outputs = step(&mut client, &bundle(&[1, 2, 3]), "towards a limit");
    assert_eq!(notices(&outputs), [Notice::BundleTooLarge]);
    assert_eq!(outputs.iter().filter(|output| matches!(output, Output::Ended(..))).count(), 3);
    assert_eq!(last(&mut client, &[bundle(&[1, 2])]), [Notice::BundleOpened]);
    assert_eq!(last(&mut client, &[bundle(&[3, 4])]), [Notice::RequestsFull]);
    assert_eq!(last(&mut client, &[bundle(&[2, 3])]), [Notice::RequestRepeated]);
    assert_eq!(last(&mut client, &[bundle(&[3])]), [Notice::RequestOpened], "it is alone");
    assert_eq!(client.requests.len(), 3);
}
