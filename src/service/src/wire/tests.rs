use super::*;
use counterfoil_protocol::host_state::Changes;
use counterfoil_protocol::node::AllocationState;
use counterfoil_protocol::{
    Actor, Address, Claim, ClaimId, ClaimNumber, ClassInventory, ClientId, Decision, Delta,
    Incarnation, Leave, Name, NodeId, Reason, Refusal, RequestId, ResourceClass, Resources, Resync,
    SchedulerId, Set, Snapshot, Stamp, Status, Verdict, Version,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = Name> {
    "[A-Z0-9_]{1,12}".prop_map(|text| Name::try_from(text).unwrap())
}

fn names() -> impl Strategy<Value = Set<Name>> {
    btree_set(name(), 0..4).prop_map(|names| names.into_iter().collect())
}

fn class() -> impl Strategy<Value = ResourceClass> {
    let known = [ResourceClass::Vcpu, ResourceClass::MemoryMb, ResourceClass::DiskGb];
    prop_oneof![proptest::sample::select(known.to_vec()), name().prop_map(ResourceClass::from)]
}

fn resources() -> impl Strategy<Value = Resources> {
    btree_map(class(), any::<u64>(), 0..4).prop_map(|amounts| amounts.into_iter().collect())
}

fn stamp() -> impl Strategy<Value = Stamp> {
    any::<(u64, u64)>()
        .prop_map(|(i, v)| Stamp { incarnation: Incarnation(i), version: Version(v) })
}

fn actor() -> impl Strategy<Value = Actor> {
    (0..3, any::<u32>()).prop_map(|(role, id)| match role {
        0 => Actor::Node(NodeId(id)),
        1 => Actor::Scheduler(SchedulerId(id)),
        _ => Actor::Client(ClientId(id)),
    })
}

fn address() -> impl Strategy<Value = Address> {
    let incarnation = proptest::option::of(any::<u64>().prop_map(Incarnation));
    (actor(), incarnation).prop_map(|(actor, incarnation)| Address { actor, incarnation })
}

fn claim_id() -> impl Strategy<Value = ClaimId> {
    any::<(u32, u64, u32, u64)>().prop_map(|(scheduler, incarnation, node, number)| ClaimId {
        scheduler: SchedulerId(scheduler),
        incarnation: Incarnation(incarnation),
        node: NodeId(node),
        number: ClaimNumber(number),
    })
}

fn demand() -> impl Strategy<Value = Demand> {
    let zone = proptest::option::of(name());
    (resources(), names(), names(), zone, names()).prop_map(
        |(resources, required, forbidden, zone, aggregates)| Demand {
            resources,
            required,
            forbidden,
            zone,
            aggregates,
            ..Demand::default()
        },
    )
}

fn inventory() -> impl Strategy<Value = Inventory> {
    let of_class = (any::<[u64; 5]>(), any::<u32>()).prop_map(
        |([total, reserved, min_unit, max_unit, step_unit], allocation_ratio_milli)| {
            ClassInventory {
                total,
                reserved,
                allocation_ratio_milli,
                min_unit,
                max_unit,
                step_unit,
            }
        },
    );
    let zone = proptest::option::of(name());
    (btree_map(class(), of_class, 0..4), names(), zone, names()).prop_map(
        |(classes, traits, zone, aggregates)| Inventory {
            classes: classes.into_iter().collect(),
            traits,
            zone,
            aggregates,
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    proptest::sample::select(vec![Status::Up, Status::Draining])
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let reason = prop_oneof![
        Just(Reason::Draining),
        class().prop_map(Reason::NoSuchClass),
        class().prop_map(Reason::Units),
        class().prop_map(Reason::Capacity),
        Just(Reason::Traits),
        Just(Reason::Zone),
        Just(Reason::Aggregates),
        Just(Reason::OtherLife),
        Just(Reason::Full),
    ];
    (stamp(), reason).prop_map(|(at, reason)| Refusal { at, reason })
}

fn body() -> impl Strategy<Value = Body> {
    let claim = (claim_id(), any::<u64>(), demand(), any::<u64>()).prop_map(
        |(claim, request, demand, floor)| {
            let (request, floor) = (RequestId(request), ClaimNumber(floor));
            Body::Claim(Claim { claim, request, demand: demand.into(), floor })
        },
    );
    let decision = prop_oneof![
        stamp().prop_map(|at| Decision::Granted { at }),
        stamp().prop_map(|at| Decision::Confirmed { at }),
        Just(Decision::Gone),
        refusal().prop_map(Decision::Refused),
    ];
    let used = btree_map(class(), any::<u64>(), 0..4);
    let changes = (proptest::option::of(inventory()), proptest::option::of(status()), used)
        .prop_map(|(inventory, status, used)| Changes {
            inventory,
            status,
            used: used.into_iter().collect(),
        });
    let delta = (any::<u64>(), any::<u64>(), changes).prop_map(|(from, to, changes)| {
        Body::Delta(Delta { from: Version(from), to: Version(to), changes })
    });
    let snapshot = (any::<u64>(), inventory(), status(), resources()).prop_map(
        |(at, inventory, status, used)| {
            let state = HostState { inventory, status, used };
            Body::Snapshot(Snapshot { at: Version(at), state })
        },
    );
    prop_oneof![
        claim,
        (claim_id(), decision)
            .prop_map(|(claim, decision)| Body::Verdict(Verdict { claim, decision })),
        claim_id().prop_map(Body::Confirm),
        claim_id().prop_map(Body::Release),
        delta,
        snapshot,
        proptest::option::of(stamp()).prop_map(|have| Body::Resync(Resync { have })),
        any::<u64>().prop_map(|at| Body::Leave(Leave { at: Version(at) })),
        any::<u64>().prop_map(|by| Body::Superseded { by: Incarnation(by) }),
    ]
}

fn datagram() -> impl Strategy<Value = Datagram> {
    (address(), address(), body()).prop_map(|(src, dst, body)| Datagram { src, dst, body })
}

fn encode_datagram(datagram: &Datagram) -> Result<Vec<u8>, TooLong> {
    let mut bytes = Vec::new();
    encode_message(&Message::Datagram(datagram.clone()), &mut bytes)?;
    let length = if bytes[0] < 0x80 { 1 } else { 2 };
    Ok(bytes.split_off(length))
}

fn decode_datagram(form: &[u8]) -> Result<Datagram, DecodeError> {
    match decode_message(form)? {
        Message::Datagram(datagram) => Ok(datagram),
        Message::Peers(_)
        | Message::WhoIsThere { .. }
        | Message::Order(..)
        | Message::Ordered(_)
        | Message::Look(_)
        | Message::Seen(..) => Err(DecodeError::Malformed),
    }
}

/// As a sender would, and back. `None` if it is too long to be sent.
fn there_and_back(datagram: &Datagram) -> Option<Result<Datagram, DecodeError>> {
    encode_datagram(datagram).ok().map(|bytes| decode_datagram(&bytes))
}

proptest! {
    #[test]
    fn a_datagram_arrives_as_it_was_sent(datagram in datagram()) {
        if let Some(arrived) = there_and_back(&datagram) {
            prop_assert_eq!(arrived, Ok(datagram));
        }
    }

    #[test]
    fn what_a_node_has_for_a_claim_arrives_as_it_was_sent(
        claim in claim_id(), request in any::<u64>(), demand in demand(), at in stamp(),
        there in any::<bool>(),
    ) {
        let state = AllocationState::Held;
        let allocation = Allocation { request: RequestId(request), demand: demand.into(), at, state };
        for message in [Message::Look(claim), Message::Seen(claim, there.then_some(allocation))] {
            let mut bytes = Vec::new();
            if encode_message(&message, &mut bytes).is_ok() {
                let length = if bytes[0] < 0x80 { 1 } else { 2 };
                prop_assert_eq!(decode_message(&bytes[length..]), Ok(message));
            }
        }
    }

    #[test]
    fn a_truncated_datagram_is_an_error(datagram in datagram(), part in 0.0..1.0f64) {
        if let Ok(bytes) = encode_datagram(&datagram) {
            let length = (bytes.len() as f64 * part) as usize;
            prop_assert!(decode_datagram(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn a_datagram_that_goes_on_after_its_end_is_malformed(
        datagram in datagram(),
        more in vec(any::<u8>(), 1..9),
    ) {
        if let Ok(mut bytes) = encode_datagram(&datagram) {
            bytes.extend(more);
            prop_assert_eq!(decode_datagram(&bytes), Err(DecodeError::Malformed));
        }
    }

    #[test]
    fn flipped_bits_give_another_datagram_or_an_error(
        datagram in datagram(),
        flips in vec((any::<prop::sample::Index>(), 0..8u8), 1..4),
    ) {
        if let Ok(mut bytes) = encode_datagram(&datagram) {
            for (at, bit) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            if let Ok(other) = decode_message(&bytes) {
                let mut again = Vec::new();
                if encode_message(&other, &mut again).is_ok() {
                    let length = if again[0] < 0x80 { 1 } else { 2 };
                    prop_assert_eq!(decode_message(&again[length..]), Ok(other));
                }
            }
        }
    }

    #[test]
    fn random_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..1500)) {
        let _ = decode_message(&bytes);
        let mut ours = vec![0];
        ours.extend(&bytes);
        let _ = decode_message(&ours);
    }
}

fn small() -> Datagram {
    let address = Address { actor: Actor::Node(NodeId(1)), incarnation: None };
    Datagram { src: address, dst: address, body: Body::Leave(Leave { at: Version(0) }) }
}

#[test]
fn a_datagram_that_names_too_much_is_over_the_limit() {
    let amount =
        |n: usize| (ResourceClass::from(Name::try_from(format!("C{n}")).unwrap()), n as u64);
    let changes =
        |classes: usize| Changes { used: (0..classes).map(amount).collect(), ..Changes::default() };
    let datagram = |classes| {
        let delta = Delta { from: Version(0), to: Version(1), changes: changes(classes) };
        Datagram { body: Body::Delta(delta), ..small() }
    };
    let most = datagram(CLASSES_MAX);
    assert_eq!(there_and_back(&most), Some(Ok(most)));
    let over = there_and_back(&datagram(CLASSES_MAX + 1));
    assert_eq!(over, Some(Err(DecodeError::Limit("resource classes"))));
}

#[test]
fn a_datagram_that_is_too_long_is_not_sent() {
    let traits = (0..NAMES_MAX).map(|n| Name::try_from(format!("{n:0>40}")).unwrap()).collect();
    let state = HostState {
        inventory: Inventory { traits, ..Inventory::default() },
        ..HostState::default()
    };
    let datagram = Datagram { body: Body::Snapshot(Snapshot { at: Version(0), state }), ..small() };
    assert!(encode_datagram(&datagram).is_err());
}

#[test]
fn a_map_that_claims_to_be_longer_than_what_arrived_takes_no_memory() {
    let empty = HostState::default();
    let snapshot = Body::Snapshot(Snapshot { at: Version(0), state: empty });
    let bytes = encode_datagram(&Datagram { body: snapshot, ..small() }).unwrap();
    // All that follows the version 0 of the snapshot is zero: the length of its first map comes
    // next.
    let length = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 2;
    let mut claims = bytes[..length].to_vec();
    claims.extend([0xff; 9]);
    claims.push(1);
    assert_eq!(decode_datagram(&claims), Err(DecodeError::Truncated));
}
