//! Every rule: what one machine does with it and without it.

use crate::coverage::ONLY_WITH_A_RULE_OFF;
use crate::samples::*;
use crate::{client, node, scheduler};
use counterfoil_protocol::node::Input as ToNode;
use counterfoil_protocol::{
    Body, Changes, Client, Datagram, Decision, Delta, Incarnation, Leave, Limits, Machine, Node,
    Notice, Output, Placement, Reason, Resources, Resync, Rule, Scheduler, Stamp, Status, Timer,
    Verdict, Version,
};
use std::collections::BTreeSet;

/// What is seen of a machine: with the rule, and without it.
type Seen<T> = (T, T);

fn both<T>(rule: Rule, seen: impl Fn(Option<Rule>) -> T) -> Seen<T> {
    (seen(None), seen(Some(rule)))
}

fn give<M: Machine>(machine: &mut M, inputs: Vec<M::Input>) -> Vec<Output> {
    let mut outputs = Vec::new();
    for input in inputs {
        outputs.clear();
        machine.handle(input, &mut outputs);
    }
    outputs
}

/// Life 2 of node 1, even if lives are not counted.
fn a_node(off: Option<Rule>) -> Node {
    let disk = node::Disk { incarnation: life(1), ..node::Disk::new(inventory(8)) };
    let mut node = Node::start(N1, disk, config_without(off, Limits::default()), &mut Vec::new());
    node.durable.incarnation = life(2);
    node
}

fn a_scheduler(off: Option<Rule>, inputs: Vec<scheduler::Input>) -> Scheduler {
    let disk = scheduler::Disk::default();
    let config = config_without(off, Limits::default());
    let mut scheduler = Scheduler::start(S1, disk, config, &mut Vec::new());
    give(&mut scheduler, inputs);
    scheduler
}

fn a_client(off: Option<Rule>) -> Client {
    let config = config_without(off, Limits::default());
    Client::start(C1, client::Disk::default(), config, &mut Vec::new())
}

fn decision(outputs: &[Output]) -> Option<Decision> {
    sent(outputs).into_iter().find_map(|body| match body {
        Body::Verdict(Verdict { decision, .. }) => Some(decision),
        Body::Claim(_)
        | Body::Confirm(_)
        | Body::Release(_)
        | Body::Delta(_)
        | Body::Snapshot(_)
        | Body::Resync(_)
        | Body::Leave(_)
        | Body::Superseded { .. } => None,
    })
}

fn granted(version: u64) -> Option<Decision> {
    Some(Decision::Granted { at: stamp(2, version) })
}

fn cached(scheduler: &Scheduler) -> Stamp {
    scheduler.nodes.get(&N1).unwrap().host.as_ref().unwrap().stamp
}

#[test]
fn node_judges_claims() {
    let seen = both(Rule::NodeJudgesClaims, |off| {
        decision(&give(&mut a_node(off), vec![node::claims(claim_id(0), 0, 9)]))
    });
    assert_eq!(seen, (Some(refused_capacity(stamp(2, 0))), granted(1)));
}

#[test]
fn durable_before_told() {
    let seen = both(Rule::DurableBeforeTold, |off| {
        let outputs = give(&mut a_node(off), vec![node::claims(claim_id(0), 0, 1)]);
        let writes = outputs.iter().position(|output| matches!(output, Output::Persist(_)));
        let tells = outputs.iter().position(|output| matches!(output, Output::Send(_)));
        writes.unwrap() < tells.unwrap()
    });
    assert_eq!(seen, (true, false));
}

#[test]
fn granted_claims_stay_decided() {
    let seen = both(Rule::GrantedClaimsStayDecided, |off| {
        let claim = || node::claims(claim_id(0), 0, 1);
        let lapse = ToNode::Timer(Timer::Lapse(claim_id(0)));
        decision(&give(&mut a_node(off), vec![claim(), lapse, claim()]))
    });
    assert_eq!(seen, (Some(Decision::Gone), granted(3)));
}

#[test]
fn claims_name_an_incarnation() {
    let seen = both(Rule::ClaimsNameAnIncarnation, |off| {
        let body = Body::Claim(claim(claim_id(0), 0));
        let before = Datagram { src: scheduler_at(1, 1), dst: node_at(N1, 1), body };
        decision(&give(&mut a_node(off), vec![ToNode::Datagram(before)]))
    });
    assert_eq!(seen, (Some(refused(stamp(2, 0), Reason::OtherLife)), granted(1)));
}

#[test]
fn incarnations_on_both_ends() {
    let seen = both(Rule::IncarnationsOnBothEnds, |off| {
        let config = config_without(off, Limits::default());
        let disk = node::Disk { incarnation: life(1), ..node::Disk::new(inventory(8)) };
        let node = Node::start(N1, disk, config.clone(), &mut Vec::new());
        let disk = scheduler::Disk { incarnation: life(1) };
        let mut restarted = Scheduler::start(S1, disk, config, &mut Vec::new());
        give(&mut restarted, scheduler::claiming());
        let on_the_claim_before = give(&mut restarted, vec![scheduler::grants(4)]);
        let taken = notices(&on_the_claim_before).contains(&Notice::GrantAnswered);
        (node.incarnation(), restarted.incarnation, taken)
    });
    let second: (Incarnation, Incarnation, bool) = (life(2), life(2), false);
    assert_eq!(seen, (second, (life(1), life(1), true)));
}

#[test]
fn client_keeps_its_choice() {
    let seen = both(Rule::ClientKeepsItsChoice, |off| {
        let mut client = a_client(off);
        let placed = |number| {
            let claim = claim_id(u64::from(number));
            client::answers(R1, number, Placement::Placed(claim))
        };
        give(&mut client, client::calling_twice());
        let first = give(&mut client, vec![placed(1)]);
        let written = first.iter().any(|output| matches!(output, Output::Persist(_)));
        let second = give(&mut client, vec![placed(2)]);
        (written, notices(&second), sent(&second))
    });
    let kept = (true, vec![Notice::PlacedUnwanted], vec![Body::Release(claim_id(2))]);
    let replaced = (false, vec![Notice::ChoiceReplaced], vec![Body::Confirm(claim_id(2))]);
    assert_eq!(seen, (kept, replaced));
}

#[test]
fn reservation_outlives_the_verdict() {
    let seen = both(Rule::ReservationOutlivesTheVerdict, |off| {
        let mut scheduler = a_scheduler(off, scheduler::claiming());
        give(&mut scheduler, vec![scheduler::grants(4)]);
        scheduler.nodes.get(&N1).unwrap().set_aside()
    });
    assert_eq!(seen, (vcpu(1).resources, Resources::default()));
}

#[test]
fn gaps_are_not_applied() {
    let seen = both(Rule::GapsAreNotApplied, |off| {
        let mut scheduler = a_scheduler(off, vec![scheduler::snapshot(N1, 1, 3, 0)]);
        give(&mut scheduler, vec![scheduler::delta(1, 4, 5, 1)]);
        cached(&scheduler)
    });
    assert_eq!(seen, (stamp(1, 3), stamp(1, 5)));
}

#[test]
fn quiet_streams_carry_their_stamp() {
    let rule = Rule::QuietStreamsCarryTheirStamp;
    let seen = both(rule, |off| {
        let mut scheduler = a_scheduler(off, vec![scheduler::snapshot(N1, 1, 3, 0)]);
        let ahead = notices(&give(&mut scheduler, vec![scheduler::beat(1, 5)]));
        let timer = scheduler::Input::Timer(Timer::Resync(N1));
        (ahead, sent(&give(&mut scheduler, vec![timer])))
    });
    let asks = |have| vec![Body::Resync(Resync { have })];
    let noticed = (vec![Notice::BeatAhead, Notice::ResyncSent], asks(Some(stamp(1, 3))));
    assert_eq!(seen, (noticed, (vec![Notice::BeatIgnored], asks(None))));

    let seen = both(rule, |off| {
        let body = || Body::Resync(Resync { have: None });
        let resync = || ToNode::Datagram(datagram(scheduler_at(1, 1), any_node(N1), body()));
        let mut node = a_node(off);
        let first = notices(&give(&mut node, vec![resync()]));
        [first, notices(&give(&mut node, vec![resync()]))].concat()
    });
    let (by_snapshot, unanswered) = (Notice::ResyncBySnapshot, Notice::ResyncUnanswered);
    assert_eq!(seen, (vec![by_snapshot; 2], vec![by_snapshot, unanswered]));
}

#[test]
fn snapshots_never_go_back() {
    let seen = both(Rule::SnapshotsNeverGoBack, |off| {
        let newer = scheduler::snapshot(N1, 1, 3, 0);
        cached(&a_scheduler(off, vec![newer, scheduler::snapshot(N1, 1, 2, 0)]))
    });
    assert_eq!(seen, (stamp(1, 3), stamp(1, 2)));
}

#[test]
fn unconfirmed_holds_lapse() {
    let seen = both(Rule::UnconfirmedHoldsLapse, |off| {
        let mut node = a_node(off);
        give(&mut node, vec![node::claims(claim_id(0), 0, 1)]);
        let listed = node.timers().contains(&Timer::Lapse(claim_id(0)));
        give(&mut node, vec![ToNode::Timer(Timer::Lapse(claim_id(0)))]);
        (listed, node.durable.allocations.len())
    });
    assert_eq!(seen, ((true, 0), (false, 1)));
}

#[test]
fn refusals_teach() {
    let seen = both(Rule::RefusalsTeach, |off| {
        let mut scheduler = a_scheduler(off, scheduler::claiming());
        give(&mut scheduler, vec![scheduler::decides(refused_capacity(stamp(1, 5)))]);
        let before = scheduler.eligible(attempt(R1, 1), N1);
        give(&mut scheduler, vec![scheduler::snapshot(N1, 1, 5, 0)]);
        (before, scheduler.eligible(attempt(R1, 1), N1))
    });
    assert_eq!(seen, ((false, true), (true, true)), "until the cache has caught up, no longer");
}

#[test]
fn unavailable_nodes_are_not_chosen() {
    let seen = both(Rule::UnavailableNodesAreNotChosen, |off| {
        let known = || vec![scheduler::snapshot(N1, 1, 3, 0), scheduler::calls(1, R1, 1)];
        let suspect = scheduler::Input::Timer(Timer::Suspect(N1));
        let leave = Body::Leave(Leave { at: Version(3) });
        let drained = Changes { status: Some(Status::Draining), ..Changes::default() };
        let (from, to) = (Version(3), Version(4));
        let delta = Delta { from, to, changes: drained };
        let ways =
            [suspect, scheduler::from(N1, 1, leave), scheduler::from(N1, 1, Body::Delta(delta))];
        ways.map(|way| {
            let mut scheduler = a_scheduler(off, known());
            give(&mut scheduler, vec![way]);
            scheduler.eligible(attempt(R1, 1), N1)
        })
    });
    assert_eq!(seen, ([false; 3], [true; 3]));
}

#[test]
fn gone_ends_the_attempt() {
    let seen = both(Rule::GoneEndsTheAttempt, |off| {
        let mut scheduler = a_scheduler(off, scheduler::claiming());
        give(&mut scheduler, vec![scheduler::decides(Decision::Gone)]);
        scheduler.attempts.len()
    });
    assert_eq!(seen, (0, 1));
}

#[test]
fn bundles_are_chosen_whole() {
    let seen = both(Rule::BundlesAreChosenWhole, |off| {
        let mut client = a_client(off);
        give(&mut client, client::calling_together());
        let placed = client::answers(R1, 1, Placement::Placed(claim_id(0)));
        sent(&give(&mut client, vec![placed]))
    });
    assert_eq!(seen, (vec![], vec![Body::Confirm(claim_id(0))]));
}

#[test]
fn room_is_passed_on() {
    let seen = both(Rule::RoomIsPassedOn, |off| {
        let mut scheduler = a_scheduler(off, scheduler::claiming());
        give(&mut scheduler, scheduler::two_wait_and_one_is_asked());
        give(&mut scheduler, vec![scheduler::chooses(R2, None)]);
        scheduler.attempts[&attempt(R3, 1)].phase.chooses()
    });
    assert_eq!(seen, (true, false));
}

#[test]
fn what_only_happens_with_a_rule_off_happens() {
    let mut seen = BTreeSet::new();
    let quiet = Some(Rule::QuietStreamsCarryTheirStamp);
    let mut scheduler = a_scheduler(quiet, vec![scheduler::snapshot(N1, 1, 3, 0)]);
    seen.extend(notices(&give(&mut scheduler, vec![scheduler::beat(1, 5)])));
    let body = || Body::Resync(Resync { have: None });
    let resync = || ToNode::Datagram(datagram(scheduler_at(1, 1), any_node(N1), body()));
    seen.extend(notices(&give(&mut a_node(quiet), vec![resync(), resync()])));
    let mut client = a_client(Some(Rule::ClientKeepsItsChoice));
    give(&mut client, client::calling_twice());
    let placed = |number| client::answers(R1, number, Placement::Placed(claim_id(7)));
    seen.extend(notices(&give(&mut client, vec![placed(1), placed(2)])));
    for notice in ONLY_WITH_A_RULE_OFF {
        assert!(seen.contains(notice), "{notice:?}");
    }
}
