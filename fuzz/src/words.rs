//! Messages made of the fuzzer's bytes: of a small world, so that they meet, and now and then of
//! numbers from anywhere.

use arbitrary::{Result, Unstructured};
use counterfoil_protocol::node::{Allocation, AllocationState};
use counterfoil_protocol::{
    Actor, Address, AttemptId, AttemptNumber, Body, Changes, Claim, ClaimId, ClaimNumber,
    ClassInventory, ClientId, Datagram, Decision, Delta, Demand, GroupId, HostState, Incarnation,
    Inventory, Leave, Name, NodeId, Reason, Refusal, RequestId, ResourceClass, Resources, Resync,
    SchedulerId, Set, Snapshot, Stamp, Status, Verdict, Version,
};
use counterfoil_service::wire::{Message, Order, OrderId, Peer};
use std::net::SocketAddr;

/// What the bytes are made of.
pub type Bytes<'a> = Unstructured<'a>;

/// A number below `below`, or one time in sixteen any.
pub fn number(u: &mut Bytes<'_>, below: u64) -> Result<u64> {
    Ok(match u.int_in_range(0..=15)? {
        0 => match u.int_in_range(0..=3)? {
            0 => u64::MAX,
            1 => u64::MAX - u64::from(u.arbitrary::<u8>()?),
            2 => u64::from(u32::MAX),
            _ => u.arbitrary()?,
        },
        _ => u.int_in_range(0..=below - 1)?,
    })
}

fn id(u: &mut Bytes<'_>) -> Result<u32> {
    Ok(number(u, 4)? as u32)
}

fn life(u: &mut Bytes<'_>) -> Result<Incarnation> {
    number(u, 4).map(Incarnation)
}

fn list<'a, T>(
    u: &mut Bytes<'a>,
    max: usize,
    mut item: impl FnMut(&mut Bytes<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let many = u.ratio(1, 32)?;
    let length = u.int_in_range(0..=if many { max } else { 2 })?;
    (0..length).map(|_| item(u)).collect()
}

fn maybe<'a, T>(
    u: &mut Bytes<'a>,
    item: impl FnOnce(&mut Bytes<'a>) -> Result<T>,
) -> Result<Option<T>> {
    if u.arbitrary()? { item(u).map(Some) } else { Ok(None) }
}

fn name(u: &mut Bytes<'_>) -> Result<Name> {
    let one = format!("N{}", number(u, 3)?);
    Ok(Name::try_from(one).expect("letters and digits"))
}

fn names(u: &mut Bytes<'_>) -> Result<Set<Name>> {
    Ok(list(u, 70, name)?.into_iter().collect())
}

fn group(u: &mut Bytes<'_>) -> Result<GroupId> {
    number(u, 3).map(GroupId)
}

fn class(u: &mut Bytes<'_>) -> Result<ResourceClass> {
    Ok(match u.int_in_range(0..=7)? {
        0..=3 => ResourceClass::Vcpu,
        4 => ResourceClass::MemoryMb,
        5 => ResourceClass::DiskGb,
        6 => ResourceClass::Group(group(u)?),
        _ => ResourceClass::from(name(u)?),
    })
}

fn resources(u: &mut Bytes<'_>) -> Result<Resources> {
    Ok(list(u, 70, |u| Ok((class(u)?, number(u, 4)?)))?.into_iter().collect())
}

/// What a request asks for.
pub fn demand(u: &mut Bytes<'_>) -> Result<Demand> {
    let resources = resources(u)?;
    if u.ratio(3, 4)? {
        return Ok(Demand { resources, ..Demand::default() });
    }
    Ok(Demand {
        resources,
        required: names(u)?,
        forbidden: names(u)?,
        zone: maybe(u, name)?,
        aggregates: names(u)?,
        near: list(u, 70, group)?.into_iter().collect(),
        apart: list(u, 70, |u| Ok((group(u)?, number(u, 3)? as u32)))?.into_iter().collect(),
    })
}

/// What a node has.
pub fn inventory(u: &mut Bytes<'_>) -> Result<Inventory> {
    let classes = list(u, 70, |u| {
        let of_class = if u.ratio(3, 4)? {
            ClassInventory::of(number(u, 6)?)
        } else {
            ClassInventory {
                total: number(u, 8)?,
                reserved: number(u, 3)?,
                allocation_ratio_milli: number(u, 3000)? as u32,
                min_unit: number(u, 3)?,
                max_unit: number(u, 8)?,
                step_unit: number(u, 3)?,
            }
        };
        Ok((class(u)?, of_class))
    })?;
    let (traits, zone, aggregates) = (names(u)?, maybe(u, name)?, names(u)?);
    Ok(Inventory { classes: classes.into_iter().collect(), traits, zone, aggregates })
}

/// Whether a node takes claims.
pub fn status(u: &mut Bytes<'_>) -> Result<Status> {
    Ok(if u.ratio(1, 4)? { Status::Draining } else { Status::Up })
}

fn stamp(u: &mut Bytes<'_>) -> Result<Stamp> {
    Ok(Stamp { incarnation: life(u)?, version: Version(number(u, 6)?) })
}

/// The name of a claim.
pub fn claim_id(u: &mut Bytes<'_>) -> Result<ClaimId> {
    Ok(ClaimId {
        scheduler: SchedulerId(id(u)?),
        incarnation: life(u)?,
        node: NodeId(id(u)?),
        number: ClaimNumber(number(u, 6)?),
    })
}

/// An attempt.
pub fn attempt(u: &mut Bytes<'_>) -> Result<AttemptId> {
    let (request, number) = (RequestId(number(u, 6)?), AttemptNumber(number(u, 3)? as u32));
    Ok(AttemptId { request, number })
}

/// Someone.
pub fn actor(u: &mut Bytes<'_>) -> Result<Actor> {
    let id = id(u)?;
    Ok(match u.int_in_range(0..=4)? {
        0 | 1 => Actor::Node(NodeId(id)),
        2 | 3 => Actor::Scheduler(SchedulerId(id)),
        _ => Actor::Client(ClientId(id)),
    })
}

fn address(u: &mut Bytes<'_>) -> Result<Address> {
    Ok(Address { actor: actor(u)?, incarnation: maybe(u, life)? })
}

fn reason(u: &mut Bytes<'_>) -> Result<Reason> {
    Ok(match u.int_in_range(0..=10)? {
        0 => Reason::Draining,
        1 => Reason::NoSuchClass(class(u)?),
        2 => Reason::Units(class(u)?),
        3 => Reason::Capacity(class(u)?),
        4 => Reason::Traits,
        5 => Reason::Zone,
        6 => Reason::Aggregates,
        7 => Reason::AntiAffinity(group(u)?),
        8 => Reason::Affinity(group(u)?),
        9 => Reason::OtherLife,
        _ => Reason::Full,
    })
}

fn decision(u: &mut Bytes<'_>) -> Result<Decision> {
    Ok(match u.int_in_range(0..=3)? {
        0 => Decision::Granted { at: stamp(u)? },
        1 => Decision::Confirmed { at: stamp(u)? },
        2 => Decision::Gone,
        _ => Decision::Refused(Refusal { at: stamp(u)?, reason: reason(u)? }),
    })
}

fn body(u: &mut Bytes<'_>) -> Result<Body> {
    Ok(match u.int_in_range(0..=11)? {
        0..=2 => Body::Claim(Claim {
            claim: claim_id(u)?,
            request: RequestId(number(u, 6)?),
            demand: demand(u)?.into(),
            floor: ClaimNumber(number(u, 6)?),
        }),
        3 => Body::Verdict(Verdict { claim: claim_id(u)?, decision: decision(u)? }),
        4 => Body::Confirm(claim_id(u)?),
        5 => Body::Release(claim_id(u)?),
        6 => {
            let used = list(u, 70, |u| Ok((class(u)?, number(u, 4)?)))?.into_iter().collect();
            let changes =
                Changes { inventory: maybe(u, inventory)?, status: maybe(u, status)?, used };
            Body::Delta(Delta { from: Version(number(u, 6)?), to: Version(number(u, 6)?), changes })
        }
        7 => Body::Snapshot(Snapshot {
            at: Version(number(u, 6)?),
            state: HostState { inventory: inventory(u)?, status: status(u)?, used: resources(u)? },
        }),
        8 | 9 => Body::Resync(Resync { have: maybe(u, stamp)? }),
        10 => Body::Leave(Leave { at: Version(number(u, 6)?) }),
        _ => Body::Superseded { by: life(u)? },
    })
}

/// A datagram: three times in four from and to whom it fits, else from and to anyone.
pub fn datagram(u: &mut Bytes<'_>) -> Result<Datagram> {
    let body = body(u)?;
    if u.ratio(1, 4)? {
        return Ok(Datagram { src: address(u)?, dst: address(u)?, body });
    }
    let (node, incarnation) = (Actor::Node(NodeId(id(u)?)), Some(life(u)?));
    let (src, dst) = match &body {
        Body::Claim(claim) => {
            let src = Actor::Scheduler(claim.claim.scheduler);
            let src = Address { actor: src, incarnation: Some(claim.claim.incarnation) };
            (src, Address { actor: Actor::Node(claim.claim.node), incarnation })
        }
        Body::Confirm(claim) | Body::Release(claim) => {
            let src = Address { actor: Actor::Client(ClientId(id(u)?)), incarnation: None };
            (src, Address { actor: Actor::Node(claim.node), incarnation: None })
        }
        Body::Resync(_) => {
            let scheduler = Actor::Scheduler(SchedulerId(id(u)?));
            let src = Address { actor: scheduler, incarnation };
            (src, Address { actor: node, incarnation: None })
        }
        Body::Verdict(_)
        | Body::Delta(_)
        | Body::Snapshot(_)
        | Body::Leave(_)
        | Body::Superseded { .. } => {
            let scheduler = Actor::Scheduler(SchedulerId(id(u)?));
            let src = Address { actor: node, incarnation };
            (src, Address { actor: scheduler, incarnation: Some(life(u)?) })
        }
    };
    Ok(Datagram { src, dst, body })
}

/// Anything that is said over UDP. Where an actor is said to listen, it is at `at`.
pub fn message(u: &mut Bytes<'_>, at: SocketAddr) -> Result<Message> {
    let order_id = |u: &mut Bytes<'_>| -> Result<OrderId> {
        let (node, scheduler) = (NodeId(id(u)?), SchedulerId(id(u)?));
        let (incarnation, life, number) = (life(u)?, life(u)?, number(u, 4)?);
        Ok(OrderId { node, incarnation, scheduler, life, number })
    };
    Ok(match u.int_in_range(0..=15)? {
        0 => Message::Peers(list(u, 60, |u| {
            Ok(Peer { actor: actor(u)?, incarnation: life(u)?, address: at })
        })?),
        1 => Message::WhoIsThere { nodes: u.arbitrary()? },
        2 => Message::Order(order_id(u)?, Order::Status(status(u)?)),
        3 => Message::Ordered(order_id(u)?),
        4 => Message::Look(claim_id(u)?),
        5 => {
            let allocation = maybe(u, |u| {
                let state = *u.choose(&[AllocationState::Held, AllocationState::Confirmed])?;
                let (request, demand) = (RequestId(number(u, 6)?), demand(u)?);
                Ok(Allocation { request, demand: demand.into(), at: stamp(u)?, state })
            })?;
            Message::Seen(claim_id(u)?, allocation)
        }
        _ => Message::Datagram(datagram(u)?),
    })
}
