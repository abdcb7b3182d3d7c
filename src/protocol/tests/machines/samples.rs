//! Names, numbers and messages that the tests of all machines share.

use counterfoil_protocol::{
    Actor, Address, AttemptId, AttemptNumber, Body, Call, Claim, ClaimId, ClaimNumber,
    ClassInventory, ClientId, Config, Datagram, Decision, Demand, Given, GroupId, Incarnation,
    Inventory, Limits, NodeId, Notice, Output, Reason, Refusal, RequestId, ResourceClass, Rule,
    Rules, SchedulerId, Stamp, Verdict, Version,
};

pub(crate) const N1: NodeId = NodeId(1);
pub(crate) const N2: NodeId = NodeId(2);
pub(crate) const S1: SchedulerId = SchedulerId(1);
pub(crate) const C1: ClientId = ClientId(1);
pub(crate) const R1: RequestId = RequestId(1);
pub(crate) const R2: RequestId = RequestId(2);
pub(crate) const R3: RequestId = RequestId(3);

/// A life.
pub(crate) fn life(number: u64) -> Incarnation {
    Incarnation(number)
}

/// A stamp.
pub(crate) fn stamp(incarnation: u64, version: u64) -> Stamp {
    Stamp { incarnation: Incarnation(incarnation), version: Version(version) }
}

/// A demand for so many processors.
pub(crate) fn vcpu(amount: u64) -> Demand {
    Demand { resources: [(ResourceClass::Vcpu, amount)].into_iter().collect(), ..Demand::default() }
}

/// A demand for a processor and a place in a group.
pub(crate) fn member(group: u64) -> Demand {
    let resources = [(ResourceClass::Vcpu, 1), (ResourceClass::Group(GroupId(group)), 1)];
    Demand { resources: resources.into_iter().collect(), ..Demand::default() }
}

/// A demand for a processor where at most so many of a group are.
pub(crate) fn apart(group: u64, bears: u32) -> Demand {
    Demand { apart: [(GroupId(group), bears)].into_iter().collect(), ..vcpu(1) }
}

/// A demand for a processor where one of a group is.
pub(crate) fn near(group: u64) -> Demand {
    Demand { near: [GroupId(group)].into_iter().collect(), ..vcpu(1) }
}

/// A node with so many processors.
pub(crate) fn inventory(amount: u64) -> Inventory {
    Inventory {
        classes: [(ResourceClass::Vcpu, ClassInventory::of(amount))].into_iter().collect(),
        ..Inventory::default()
    }
}

/// A claim of life 1 of scheduler 1 on node 1.
pub(crate) fn claim_id(number: u64) -> ClaimId {
    ClaimId { scheduler: S1, incarnation: life(1), node: N1, number: ClaimNumber(number) }
}

/// An attempt of a request.
pub(crate) fn attempt(request: RequestId, number: u32) -> AttemptId {
    AttemptId { request, number: AttemptNumber(number) }
}

/// A call for one processor.
pub(crate) fn call(request: RequestId, number: u32) -> Call {
    Call { attempt: attempt(request, number), demand: vcpu(1).into() }
}

/// A node, in a life.
pub(crate) fn node_at(node: NodeId, incarnation: u64) -> Address {
    Address { actor: Actor::Node(node), incarnation: Some(life(incarnation)) }
}

/// A node, in whatever life.
pub(crate) fn any_node(node: NodeId) -> Address {
    Address { actor: Actor::Node(node), incarnation: None }
}

/// A scheduler, in a life.
pub(crate) fn scheduler_at(scheduler: u32, incarnation: u64) -> Address {
    Address {
        actor: Actor::Scheduler(SchedulerId(scheduler)),
        incarnation: Some(life(incarnation)),
    }
}

/// A client.
pub(crate) fn client_at(client: u32) -> Address {
    Address { actor: Actor::Client(ClientId(client)), incarnation: None }
}

/// A claim message of `claim` for one processor, with a floor.
pub(crate) fn claim(claim: ClaimId, floor: u64) -> Claim {
    Claim { claim, request: R1, demand: vcpu(1).into(), floor: ClaimNumber(floor) }
}

/// A verdict.
pub(crate) fn verdict(claim: ClaimId, decision: Decision) -> Body {
    Body::Verdict(Verdict { claim, decision })
}

/// The decision to refuse.
pub(crate) fn refused(at: Stamp, reason: Reason) -> Decision {
    Decision::Refused(Refusal { at, reason })
}

/// The decision to refuse for want of processors.
pub(crate) fn refused_capacity(at: Stamp) -> Decision {
    refused(at, Reason::Capacity(ResourceClass::Vcpu))
}

/// A datagram.
pub(crate) fn datagram(src: Address, dst: Address, body: Body) -> Datagram {
    Datagram { src, dst, body }
}

/// Small limits, so that each is reached soon.
pub(crate) fn small() -> Limits {
    Limits {
        allocations_max: 2,
        groups_max: 1,
        subscribers_max: 2,
        fences_max: 2,
        delta_log_max: 2,
        claims_open_max: 2,
        nodes_max: 3,
        attempts_pending_max: 2,
        claims_per_attempt_max: 2,
        requests_max: 2,
        bundle_max: 2,
        attempts_max: 2,
    }
}

/// A configuration with these limits.
pub(crate) fn config(limits: Limits) -> Given<Config> {
    Given::new(Config { limits, ..Config::default() })
}

/// A configuration without `rule`, or with all of them.
pub(crate) fn config_without(rule: Option<Rule>, limits: Limits) -> Given<Config> {
    let rules = rule.map_or(Rules::ALL, |rule| Rules::ALL.without(rule));
    Given::new(Config { rules, limits, ..Config::default() })
}

/// The notices among `outputs`.
pub(crate) fn notices(outputs: &[Output]) -> Vec<Notice> {
    let notice = |output: &Output| match output {
        Output::Notice(notice) => Some(*notice),
        Output::Persist(_)
        | Output::Send(_)
        | Output::Call(..)
        | Output::Answer(..)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..) => None,
    };
    outputs.iter().filter_map(notice).collect()
}

/// The datagrams among `outputs`.
pub(crate) fn sent(outputs: &[Output]) -> Vec<Body> {
    let body = |output: &Output| match output {
        Output::Send(datagram) => Some(datagram.body.clone()),
        Output::Persist(_)
        | Output::Notice(_)
        | Output::Call(..)
        | Output::Answer(..)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..) => None,
    };
    outputs.iter().filter_map(body).collect()
}
