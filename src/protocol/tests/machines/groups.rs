//! Near and apart, as a scheduler sees it: what its own claims will make of a node counts too.

use crate::samples::*;
use crate::scheduler::{after, fresh, snapshot};
use counterfoil_protocol::scheduler::{Eligibility, Input};
use counterfoil_protocol::{
    Body, Call, Decision, Demand, GroupId, HostState, Limits, Reason, Refusal, ResourceClass,
    Scheduler, Snapshot, Timer, Version,
};

/// A scheduler that has claimed on node 1 for request 1, and whose request 2 wants `second`.
fn claimed(first: Demand, second: Demand) -> Scheduler {
    let calls = |client, request, demand: Demand| {
        let demand = demand.into();
        Input::Call(client, Call { demand, ..call(request, 1) })
    };
    let inputs = [
        snapshot(N1, 1, 3, 0),
        calls(C1, R1, first),
        Input::Chosen(attempt(R1, 1), Some(N1)),
        calls(C1, R2, second),
    ];
    after(fresh(Limits::default()), &inputs)
}

fn now(scheduler: &Scheduler) -> Eligibility {
    scheduler.eligibility(&scheduler.attempts[&attempt(R2, 1)], N1)
}

fn excluded(version: u64, reason: Reason) -> Eligibility {
    Eligibility::Excluded(Refusal { at: stamp(1, version), reason })
}

/// What node 1 says of the first claim.
fn decided(scheduler: Scheduler, decision: Decision) -> Scheduler {
    after(scheduler, &[crate::scheduler::decides(decision)])
}

/// Node 1 has one processor and one member of group 1 in use.
fn covered(scheduler: Scheduler) -> Scheduler {
    let mut state = HostState { inventory: inventory(2), ..HostState::default() };
    state.used =
        [(ResourceClass::Vcpu, 1), (ResourceClass::Group(GroupId(1)), 1)].into_iter().collect();
    let body = Body::Snapshot(Snapshot { at: Version(4), state });
    after(scheduler, &[crate::scheduler::from(N1, 1, body)])
}

#[test]
fn what_an_own_claim_may_bring_is_waited_for() {
    let scheduler = claimed(member(1), near(1));
    assert_eq!(now(&scheduler), Eligibility::NotNow);
    let refused = decided(scheduler.clone(), refused_capacity(stamp(1, 3)));
    assert_eq!(now(&refused), excluded(3, Reason::Affinity(GroupId(1))), "it does not come");
    let granted = decided(scheduler, Decision::Granted { at: stamp(1, 4) });
    assert_eq!(now(&granted), Eligibility::NotNow, "it comes, and the cache does not say so");
    assert_eq!(now(&covered(granted)), Eligibility::Eligible);
}

#[test]
fn what_no_own_claim_brings_is_not_waited_for() {
    assert_eq!(now(&claimed(member(2), near(1))), excluded(3, Reason::Affinity(GroupId(1))));
    let both = [GroupId(1), GroupId(2)].into_iter().collect();
    let both = Demand { near: both, ..vcpu(1) };
    assert_eq!(now(&claimed(member(2), both)), excluded(3, Reason::Affinity(GroupId(1))));
    let mut too_much = near(1);
    too_much.resources = vcpu(3).resources;
    let reason = Reason::Capacity(ResourceClass::Vcpu);
    assert_eq!(now(&claimed(member(1), too_much)), excluded(3, reason), "nor is that enough");
}

#[test]
fn what_an_own_claim_may_bring_is_kept_apart_from() {
    let scheduler = claimed(member(1), apart(1, 0));
    assert_eq!(now(&scheduler), Eligibility::NotNow);
    assert_eq!(now(&claimed(member(1), apart(1, 1))), Eligibility::Eligible);
    let granted = covered(decided(scheduler.clone(), Decision::Granted { at: stamp(1, 4) }));
    assert_eq!(now(&granted), excluded(4, Reason::AntiAffinity(GroupId(1))));
    let refused = decided(scheduler.clone(), refused_capacity(stamp(1, 3)));
    assert_eq!(now(&refused), Eligibility::Eligible, "it does not come");
    let silent = after(scheduler, &[Input::Timer(Timer::Suspect(N1))]);
    assert_eq!(now(&silent), Eligibility::Unknown, "the node may never say");
}
