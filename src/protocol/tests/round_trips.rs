//! Messages are read as they were written, in the form of the wire and in the form of traces.

use counterfoil_protocol::{
    Actor, Address, Answer, AttemptId, AttemptNumber, Body, Call, Changes, Claim, ClaimId,
    ClaimNumber, ClassInventory, ClientId, Datagram, Decision, Delta, Demand, GroupId, HostState,
    Incarnation, Inventory, Leave, Name, NodeId, Outcome, Placement, Reason, Refusal, RequestId,
    ResourceClass, Resources, Resync, SchedulerId, Set, Snapshot, Stamp, Status, Verdict, Version,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

fn names() -> impl Strategy<Value = Name> {
    "[A-Z0-9_]{1,12}".prop_map(|text| Name::try_from(text).expect("made of its letters"))
}

fn sets() -> impl Strategy<Value = Set<Name>> {
    vec(names(), 0..3).prop_map(|names| names.into_iter().collect())
}

fn classes() -> impl Strategy<Value = ResourceClass> {
    let known = prop::sample::select(vec!["VCPU", "MEMORY_MB", "DISK_GB"]);
    let known = known.prop_map(|text| Name::try_from(text.to_owned()).expect("a name"));
    let named = prop_oneof![known, names()].prop_map(ResourceClass::from);
    prop_oneof![named, groups().prop_map(ResourceClass::Group)]
}

fn groups() -> impl Strategy<Value = GroupId> {
    any::<u64>().prop_map(GroupId)
}

fn resources() -> impl Strategy<Value = Resources> {
    vec((classes(), any::<u64>()), 0..4).prop_map(|amounts| amounts.into_iter().collect())
}

fn demands() -> impl Strategy<Value = Demand> {
    let groups = (vec(groups(), 0..3), vec((groups(), any::<u32>()), 0..3));
    (resources(), sets(), sets(), option::of(names()), sets(), groups).prop_map(
        |(resources, required, forbidden, zone, aggregates, (near, apart))| Demand {
            resources,
            required,
            forbidden,
            zone,
            aggregates,
            near: near.into_iter().collect(),
            apart: apart.into_iter().collect(),
        },
    )
}

fn inventories() -> impl Strategy<Value = Inventory> {
    let of_class = (any::<[u64; 5]>(), any::<u32>()).prop_map(|(units, ratio)| ClassInventory {
        total: units[0],
        reserved: units[1],
        allocation_ratio_milli: ratio,
        min_unit: units[2],
        max_unit: units[3],
        step_unit: units[4],
    });
    (vec((classes(), of_class), 0..4), sets(), option::of(names()), sets()).prop_map(
        |(classes, traits, zone, aggregates)| Inventory {
            classes: classes.into_iter().collect(),
            traits,
            zone,
            aggregates,
        },
    )
}

fn statuses() -> impl Strategy<Value = Status> {
    prop::sample::select(vec![Status::Up, Status::Draining])
}

fn states() -> impl Strategy<Value = HostState> {
    (inventories(), statuses(), resources()).prop_map(|(inventory, status, used)| HostState {
        inventory,
        status,
        used,
    })
}

fn changes() -> impl Strategy<Value = Changes> {
    (option::of(inventories()), option::of(statuses()), vec((classes(), any::<u64>()), 0..4))
        .prop_map(|(inventory, status, used)| Changes {
            inventory,
            status,
            used: used.into_iter().collect(),
        })
}

fn stamps() -> impl Strategy<Value = Stamp> {
    any::<[u64; 2]>().prop_map(|[life, version]| Stamp {
        incarnation: Incarnation(life),
        version: Version(version),
    })
}

fn claim_ids() -> impl Strategy<Value = ClaimId> {
    (any::<[u32; 2]>(), any::<[u64; 2]>()).prop_map(|([scheduler, node], [life, number])| ClaimId {
        scheduler: SchedulerId(scheduler),
        incarnation: Incarnation(life),
        node: NodeId(node),
        number: ClaimNumber(number),
    })
}

fn attempts() -> impl Strategy<Value = AttemptId> {
    (any::<u64>(), any::<u32>()).prop_map(|(request, number)| AttemptId {
        request: RequestId(request),
        number: AttemptNumber(number),
    })
}

fn refusals() -> impl Strategy<Value = Refusal> {
    let reason = prop_oneof![
        Just(Reason::Draining),
        classes().prop_map(Reason::NoSuchClass),
        classes().prop_map(Reason::Units),
        classes().prop_map(Reason::Capacity),
        Just(Reason::Traits),
        Just(Reason::Zone),
        Just(Reason::Aggregates),
        groups().prop_map(Reason::AntiAffinity),
        groups().prop_map(Reason::Affinity),
        Just(Reason::OtherLife),
        Just(Reason::Full),
    ];
    (stamps(), reason).prop_map(|(at, reason)| Refusal { at, reason })
}

fn decisions() -> impl Strategy<Value = Decision> {
    prop_oneof![
        stamps().prop_map(|at| Decision::Granted { at }),
        stamps().prop_map(|at| Decision::Confirmed { at }),
        Just(Decision::Gone),
        refusals().prop_map(Decision::Refused),
    ]
}

fn claims() -> impl Strategy<Value = Claim> {
    (claim_ids(), any::<u64>(), demands(), any::<u64>()).prop_map(
        |(claim, request, demand, floor)| Claim {
            claim,
            request: RequestId(request),
            demand: demand.into(),
            floor: ClaimNumber(floor),
        },
    )
}

fn bodies() -> impl Strategy<Value = Body> {
    let verdict = (claim_ids(), decisions());
    let delta = (any::<[u64; 2]>(), changes());
    prop_oneof![
        claims().prop_map(Body::Claim),
        verdict.prop_map(|(claim, decision)| Body::Verdict(Verdict { claim, decision })),
        claim_ids().prop_map(Body::Confirm),
        claim_ids().prop_map(Body::Release),
        delta.prop_map(|([from, to], changes)| {
            Body::Delta(Delta { from: Version(from), to: Version(to), changes })
        }),
        (any::<u64>(), states())
            .prop_map(|(at, state)| Body::Snapshot(Snapshot { at: Version(at), state })),
        option::of(stamps()).prop_map(|have| Body::Resync(Resync { have })),
        any::<u64>().prop_map(|at| Body::Leave(Leave { at: Version(at) })),
        any::<u64>().prop_map(|by| Body::Superseded { by: Incarnation(by) }),
    ]
}

fn addresses() -> impl Strategy<Value = Address> {
    let actor = (0..3_u8, any::<u32>()).prop_map(|(kind, id)| match kind {
        0 => Actor::Node(NodeId(id)),
        1 => Actor::Scheduler(SchedulerId(id)),
        _ => Actor::Client(ClientId(id)),
    });
    (actor, option::of(any::<u64>()))
        .prop_map(|(actor, life)| Address { actor, incarnation: life.map(Incarnation) })
}

fn placements() -> impl Strategy<Value = Placement> {
    let refused = vec((any::<u32>(), refusals()), 0..4);
    prop_oneof![
        claim_ids().prop_map(Placement::Placed),
        refused.prop_map(|nodes| {
            let nodes = nodes.into_iter().map(|(node, refusal)| (NodeId(node), refusal));
            Placement::NoValidHost(nodes.collect())
        }),
        Just(Placement::Unavailable),
        Just(Placement::Exhausted),
        Just(Placement::Overloaded),
    ]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let refused = vec((any::<u32>(), refusals()), 0..4);
    prop_oneof![
        claim_ids().prop_map(Outcome::Confirmed),
        refused.prop_map(|nodes| {
            let nodes = nodes.into_iter().map(|(node, refusal)| (NodeId(node), refusal));
            Outcome::NoValidHost(nodes.collect())
        }),
        Just(Outcome::Exhausted),
        Just(Outcome::Released),
        Just(Outcome::Overloaded),
    ]
}

fn assert_round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) {
    let bytes = postcard::to_stdvec(message).expect("is written");
    assert_eq!(&postcard::from_bytes::<T>(&bytes).expect("is read"), message);
    let text = serde_json::to_string(message).expect("is written");
    assert_eq!(&serde_json::from_str::<T>(&text).expect("is read"), message);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_datagrams((src, dst, body) in (addresses(), addresses(), bodies())) {
        assert_round_trips(&Datagram { src, dst, body });
    }

    #[test]
    fn of_calls((attempt, demand) in (attempts(), demands())) {
        assert_round_trips(&Call { attempt, demand: demand.into() });
    }

    #[test]
    fn of_answers((attempt, placement) in (attempts(), placements())) {
        assert_round_trips(&Answer { attempt, placement });
    }

    #[test]
    fn of_outcomes(outcome in outcomes()) {
        assert_round_trips(&outcome);
    }
}

#[test]
fn a_class_is_a_text_for_people_and_a_tag_for_programs() {
    let custom = |text: &str| ResourceClass::Custom(Name::try_from(text.to_owned()).unwrap());
    let cases = [
        (ResourceClass::Vcpu, "VCPU", &[0][..]),
        (ResourceClass::MemoryMb, "MEMORY_MB", &[1]),
        (ResourceClass::DiskGb, "DISK_GB", &[2]),
        (ResourceClass::Group(GroupId(7)), "GROUP_7", &[3, 7]),
        (custom("FPGA"), "FPGA", b"\x04\x04FPGA"),
    ];
    for (class, text, bytes) in cases {
        assert_eq!(serde_json::to_string(&class).unwrap(), format!("{text:?}"));
        assert_eq!(postcard::to_stdvec(&class).unwrap(), bytes);
        assert_round_trips(&class);
        assert_round_trips(&Resources::from_iter([(class, 1)]));
    }
    let odd: ResourceClass = postcard::from_bytes(b"\x04\x07GROUP_7").unwrap();
    assert_eq!(odd, ResourceClass::Group(GroupId(7)), "a class has one value");
    assert!(postcard::from_bytes::<ResourceClass>(&[5]).is_err());
}

#[test]
fn a_group_is_read_from_its_text() {
    let demand = "{\"resources\":{\"GROUP_1\":1},\"near\":[\"GROUP_2\"],\"apart\":{\"GROUP_1\":0}}";
    let demand: Demand = serde_json::from_str(demand).unwrap();
    assert_eq!(demand.resources.get(&ResourceClass::Group(GroupId(1))), 1);
    assert!(demand.near.contains(&GroupId(2)));
    assert_eq!(demand.apart.get(&GroupId(1)), Some(&0));
    assert!(serde_json::from_str::<GroupId>("\"GROUP_01\"").is_err());
}

#[test]
fn a_name_that_is_none_is_not_read() {
    assert!(serde_json::from_str::<Name>("\"vcpu\"").is_err());
    assert!(serde_json::from_str::<ResourceClass>("\"\"").is_err());
    assert!(serde_json::from_str::<Demand>("{\"resources\":{},\"more\":1}").is_err());
}
