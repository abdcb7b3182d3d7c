use super::*;
use crate::baselines::Envelope;
use crate::baselines::{Given, NodesPart};
use crate::workload;
use counterfoil_protocol::{ClassInventory, Inventory, ResourceClass};
use std::sync::Arc;

/// Two schedulers that know one node, which has room for so many VCPU.
fn cluster(vcpu: u64) -> (Vec<SharedScheduler>, SharedNodes) {
    let classes = [(ResourceClass::Vcpu, vcpu), (ResourceClass::MemoryMb, 1 << 20)];
    let classes = classes.map(|(class, total)| (class, ClassInventory::of(total)));
    let inventory = Inventory { classes: classes.into_iter().collect(), ..Inventory::default() };
    let mut nodes = SharedNodes::new(&[Given { inventory, before: Vec::new() }], 1);
    let mut schedulers: Vec<_> =
        (1..=2).map(|id| SharedScheduler::new(id, 1, PolicyName::Pack, 1)).collect();
    let mut out = Outbox::default();
    nodes.begin(2, &mut out).unwrap();
    while !out.envelopes.is_empty() {
        deliver(&mut schedulers, &mut nodes, &mut out);
    }
    assert!(schedulers.iter().all(SchedulerPart::knows_all));
    (schedulers, nodes)
}

/// Hands over all that was said, and gives each a turn.
fn deliver(schedulers: &mut [SharedScheduler], nodes: &mut SharedNodes, out: &mut Outbox) {
    for Envelope { from, to, message, .. } in std::mem::take(&mut out.envelopes) {
        match (from, to) {
            (End::Scheduler(from), End::Node(to)) => nodes.hear(to, from, message, out).unwrap(),
            (End::Node(from), End::Scheduler(to)) => {
                schedulers[to as usize - 1].hear(from, message, out).unwrap();
            }
            (End::Scheduler(_) | End::Node(_), _) => panic!("{from:?} does not speak to {to:?}"),
        }
    }
    nodes.turn(Instant::now(), out).unwrap();
}

fn ask(request: u64) -> Ask {
    Ask { request, demand: Arc::new(workload::demand(1, 64)), refused: Vec::new() }
}

#[test]
fn one_of_two_claims_on_the_last_place_is_refused_and_both_copies_are_true_again() {
    let (mut schedulers, mut nodes) = cluster(1);
    let mut out = Outbox::default();
    schedulers[0].ask(ask(1), &mut out).unwrap();
    schedulers[1].ask(ask(2), &mut out).unwrap();
    deliver(&mut schedulers, &mut nodes, &mut out);
    deliver(&mut schedulers, &mut nodes, &mut out);
    assert!(out.events.contains(&Event::Ended { request: 1, outcome: Outcome::Placed }));
    let again = Event::Again { request: 2, without: Some(1), after: Duration::ZERO };
    assert!(out.events.contains(&again));
    for scheduler in &schedulers {
        assert_eq!(scheduler.hosts[0].used, nodes.used()[0]);
    }
}

#[test]
fn a_lost_last_message_leaves_the_copy_wrong_whatever_the_ticks() {
    let (mut schedulers, mut nodes) = cluster(8);
    let mut out = Outbox::default();
    schedulers[0].ask(ask(1), &mut out).unwrap();
    deliver(&mut schedulers, &mut nodes, &mut out);
    out.envelopes.retain(|envelope| envelope.to != End::Scheduler(2));
    deliver(&mut schedulers, &mut nodes, &mut out);
    for _ in 0..3 {
        schedulers[1].tick(&mut out);
        deliver(&mut schedulers, &mut nodes, &mut out);
    }
    assert_eq!(schedulers[0].hosts[0].used, nodes.used()[0]);
    assert_eq!(schedulers[1].hosts[0].used, Amounts::default(), "nothing asks for a refresh");
}

#[test]
fn a_claim_without_a_reply_is_given_back_after_two_ticks_though_it_was_accepted() {
    let (mut schedulers, mut nodes) = cluster(8);
    let mut out = Outbox::default();
    schedulers[0].ask(ask(1), &mut out).unwrap();
    deliver(&mut schedulers, &mut nodes, &mut out);
    out.envelopes.clear();
    schedulers[0].tick(&mut out);
    assert_eq!(schedulers[0].hosts[0].used, nodes.used()[0]);
    schedulers[0].tick(&mut out);
    assert_eq!(schedulers[0].hosts[0].used, Amounts::default());
}
