//! The index against a scan of all nodes.

use super::*;
use crate::weigh::PolicyName;
use counterfoil_protocol::{Name, SchedulerId, Set, Status};
use proptest::prelude::*;
use std::num::NonZeroUsize;

/// What a scan knows: of each node its state, what is set aside, and whether it is open.
type Nodes = BTreeMap<NodeId, (HostState, Resources, bool)>;

/// What a scan knows, and which nodes are the scheduler's own.
struct Model {
    nodes: Nodes,
    share: Share,
}

impl Default for Model {
    fn default() -> Self {
        Model { nodes: Nodes::default(), share: Share::ALL }
    }
}

/// Changes what is known.
#[derive(Clone, Debug)]
enum Step {
    Set(NodeId, HostState, Resources, bool),
    /// Sets aside only, of a node that is known: its inventory is still the one in memory.
    SetAside(NodeId, Resources),
    Remove(NodeId),
    Share(Share),
    Pick(Demand, Set<NodeId>),
}

fn name(text: impl Into<String>) -> Name {
    Name::try_from(text.into()).unwrap()
}

/// More than there are columns, so that some share one.
fn classes() -> impl Strategy<Value = ResourceClass> {
    let custom = (0..9).prop_map(|i| ResourceClass::Custom(name(format!("CUSTOM_{i}"))));
    prop_oneof![
        3 => Just(ResourceClass::Vcpu),
        3 => Just(ResourceClass::MemoryMb),
        1 => Just(ResourceClass::DiskGb),
        1 => custom,
    ]
}

fn amounts() -> impl Strategy<Value = u64> {
    let large =
        prop_oneof![Just(u64::MAX), Just(1 << 32), Just(u64::from(u32::MAX)), Just(1 << 40)];
    prop_oneof![9 => 0..9u64, 1 => large]
}

fn resources() -> impl Strategy<Value = Resources> {
    prop::collection::btree_map(classes(), amounts(), 0..4).prop_map(|of| of.into_iter().collect())
}

fn names(prefix: &'static str, most: usize) -> impl Strategy<Value = Set<Name>> {
    let names = (0..3).prop_map(move |i| name(format!("{prefix}_{i}")));
    prop::collection::btree_set(names, 0..=most).prop_map(|of| of.into_iter().collect())
}

fn zones() -> impl Strategy<Value = Option<Name>> {
    prop::option::of((0..3).prop_map(|i| name(format!("ZONE_{i}"))))
}

fn hosts() -> impl Strategy<Value = HostState> {
    let inventory =
        |total| ClassInventory { allocation_ratio_milli: 1500, ..ClassInventory::of(total) };
    let classes = prop::collection::btree_map(classes(), amounts().prop_map(inventory), 1..6);
    let traits = (names("TRAIT", 2), names("AGGREGATE", 2), zones());
    let status = prop_oneof![9 => Just(Status::Up), 1 => Just(Status::Draining)];
    (classes, traits, resources(), status).prop_map(
        |(classes, (traits, aggregates, zone), used, status)| {
            let classes = classes.into_iter().collect();
            HostState { inventory: Inventory { classes, traits, zone, aggregates }, status, used }
        },
    )
}

fn demands() -> impl Strategy<Value = Demand> {
    let often = |names| prop_oneof![4 => Just(Set::default()), 1 => names];
    let like =
        (names("TRAIT", 1).boxed(), names("TRAIT", 1).boxed(), names("AGGREGATE", 2).boxed());
    let like =
        (often(like.0), often(like.1), often(like.2), prop_oneof![3 => Just(None), 1 => zones()]);
    (resources(), like).prop_map(|(resources, (required, forbidden, aggregates, zone))| {
        let of_traits = Demand { resources, required, forbidden, ..Demand::default() };
        Demand { zone, aggregates, ..of_traits }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = || (0..60u32).prop_map(NodeId);
    let refused = prop::collection::btree_set(node(), 0..20);
    let step = prop_oneof![
        6 => (node(), hosts(), resources(), prop::bool::weighted(0.9))
            .prop_map(|(node, host, set_aside, open)| Step::Set(node, host, set_aside, open)),
        2 => (node(), resources()).prop_map(|(node, set_aside)| Step::SetAside(node, set_aside)),
        1 => node().prop_map(Step::Remove),
        1 => shares().prop_map(Step::Share),
        2 => (demands(), refused)
            .prop_map(|(demand, refused)| Step::Pick(demand, refused.into_iter().collect())),
    ];
    prop::collection::vec(step, 1..300)
}

fn shares() -> impl Strategy<Value = Share> {
    (0..4u32, 1..4u32)
        .prop_map(|(own, of)| Share::beside(SchedulerId(own), (0..of).map(SchedulerId)))
}

fn policies() -> impl Strategy<Value = Policy> {
    let weighers = prop_oneof![
        2 => Just(Weighers::SPREAD),
        2 => Just(Weighers::PACK),
        1 => Just(Weighers::OFF),
        1 => (-3..4, -3..4, i32::MIN..=i32::MAX)
            .prop_map(|(ram, cpu, disk)| Weighers { ram, cpu, disk }),
    ];
    (weighers, 1..5usize, any::<bool>()).prop_map(|(weighers, subset, own_first)| Policy {
        weighers,
        subset: NonZeroUsize::new(subset).unwrap(),
        own_first,
    })
}

/// Tells index and model the same; `None` if the step picks.
fn tell(index: &mut Index, model: &mut Model, step: &Step) -> Option<()> {
    match step {
        Step::Set(node, host, set_aside, open) => {
            index.set(*node, host, set_aside, *open);
            model.nodes.insert(*node, (host.clone(), set_aside.clone(), *open));
        }
        Step::SetAside(node, more) => {
            if let Some((host, set_aside, open)) = model.nodes.get_mut(node) {
                set_aside.clone_from(more);
                index.set(*node, host, set_aside, *open);
            }
        }
        Step::Remove(node) => {
            index.remove(*node);
            model.nodes.remove(node);
        }
        Step::Share(share) => {
            index.set_share(*share);
            model.share = *share;
        }
        Step::Pick(..) => return None,
    }
    Some(())
}

/// How good each open node is, the larger the better: whether it is one of those that come first, and its
/// score, computed with large numbers and from nothing but the model.
fn ranks(model: &Model, policy: Policy) -> BTreeMap<NodeId, (bool, i64)> {
    let scores = scores(&model.nodes, policy.weighers).into_iter();
    scores
        .map(|(node, score)| (node, (!policy.own_first || model.share.has(node), score)))
        .collect()
}

fn scores(model: &Nodes, weighers: Weighers) -> BTreeMap<NodeId, i64> {
    let of_class = |class: ResourceClass, multiplier: i32| {
        let of_node = |(host, _, _): &(HostState, _, _)| {
            host.inventory.classes.get(&class).map_or(0, ClassInventory::capacity)
        };
        let largest = i128::from(model.values().map(of_node).max().unwrap_or(0).max(1));
        move |host: &HostState, set_aside: &Resources| {
            let free = i128::from(host.free(&class).saturating_sub(set_aside.get(&class)));
            i64::try_from(i128::from(multiplier) * ((free << 30) / largest)).unwrap()
        }
    };
    let ram = of_class(ResourceClass::MemoryMb, weighers.ram);
    let cpu = of_class(ResourceClass::Vcpu, weighers.cpu);
    let disk = of_class(ResourceClass::DiskGb, weighers.disk);
    let open = model.iter().filter(|(_, (_, _, open))| *open);
    open.map(|(node, (host, aside, _))| {
        (*node, ram(host, aside) + cpu(host, aside) + disk(host, aside))
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_pick_is_what_a_scan_of_all_nodes_would_pick(
        policy in policies(),
        steps in steps(),
        seed: u64,
    ) {
        let mut index = Index::new(policy, seed);
        let mut model = Model::default();
        for step in &steps {
            let Step::Pick(demand, refused) = step else {
                tell(&mut index, &mut model, step);
                continue;
            };
            let accepts = |node: NodeId| {
                let (host, set_aside, _) = &model.nodes[&node];
                !refused.contains(&node) && host.refuses(demand, set_aside).is_none()
            };
            let mut candidates = ranks(&model, policy);
            candidates.retain(|node, _| accepts(*node));
            match index.pick(demand, accepts) {
                None => prop_assert!(candidates.is_empty(), "{candidates:?} for {demand:?}"),
                Some(picked) => {
                    let rank = candidates[&picked];
                    prop_assert_eq!(index.score(picked), Some(Score(rank.1)));
                    let better = candidates.values().filter(|other| **other > rank).count();
                    prop_assert!(better < policy.subset.get(), "{better} are better");
                }
            }
        }
    }

    #[test]
    fn no_node_that_may_fit_is_passed_over_and_better_ones_are_asked_first(
        policy in policies(),
        steps in steps(),
        demand in demands(),
    ) {
        let mut index = Index::new(policy, 1);
        let mut model = Model::default();
        for step in &steps {
            tell(&mut index, &mut model, step);
        }
        let mut asked = Vec::new();
        let picked = index.pick(&demand, |node| {
            asked.push(node);
            false
        });
        prop_assert_eq!(picked, None);
        let ranks = ranks(&model, policy);
        prop_assert!(asked.is_sorted_by_key(|node| Reverse(ranks[node])));
        let once: std::collections::BTreeSet<_> = asked.iter().copied().collect();
        prop_assert_eq!(once.len(), asked.len(), "each is asked about once");
        for node in ranks.keys() {
            let (host, set_aside, _) = &model.nodes[node];
            let fits = host.refuses(&demand, set_aside).is_none();
            prop_assert!(!fits || once.contains(node), "{node:?}");
        }
    }

    #[test]
    fn the_same_seed_and_calls_give_the_same_picks(
        policy in policies(),
        steps in steps(),
        seed: u64,
    ) {
        let run = || {
            let mut index = Index::new(policy, seed);
            let mut model = Model::default();
            let pick = |step: &Step| match step {
                Step::Pick(demand, refused) => index.pick(demand, |node| !refused.contains(&node)),
                Step::Set(..) | Step::SetAside(..) | Step::Remove(_) | Step::Share(_) => {
                    tell(&mut index, &mut model, step);
                    None
                }
            };
            steps.iter().map(pick).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}

fn host(vcpu: u64, memory: u64) -> HostState {
    let classes = [
        (ResourceClass::Vcpu, ClassInventory::of(vcpu)),
        (ResourceClass::MemoryMb, ClassInventory::of(memory)),
    ];
    let inventory = Inventory { classes: classes.into_iter().collect(), ..Inventory::default() };
    HostState { inventory, ..HostState::default() }
}

fn demand(class: ResourceClass, amount: u64) -> Demand {
    Demand { resources: [(class, amount)].into_iter().collect(), ..Demand::default() }
}

fn index_of(policy: Policy, hosts: impl IntoIterator<Item = HostState>) -> Index {
    let mut index = Index::new(policy, 7);
    for (node, host) in (1..).zip(hosts) {
        index.set(NodeId(node), &host, &Resources::default(), true);
    }
    index
}

/// The nodes that `accepts` is asked about.
fn asked(index: &mut Index, demand: &Demand) -> Vec<NodeId> {
    let mut asked = Vec::new();
    index.pick(demand, |node| {
        asked.push(node);
        false
    });
    asked
}

#[test]
fn spread_picks_where_the_most_is_free_and_pack_where_the_least_is() {
    let hosts = || [(10, 10), (4, 4), (2, 2), (7, 7)].map(|(vcpu, memory)| host(vcpu, memory));
    let wanted = demand(ResourceClass::Vcpu, 3);
    let mut spread = index_of(PolicyName::Spread.policy(), hosts());
    assert_eq!(asked(&mut spread, &wanted), [1, 4, 2].map(NodeId), "too little is free on n3");
    let mut pack = index_of(PolicyName::Pack.policy(), hosts());
    assert_eq!(asked(&mut pack, &wanted), [2, 4, 1].map(NodeId));
}

#[test]
fn a_larger_node_changes_what_the_others_count_for() {
    let weighers = Weighers { ram: 2, cpu: 3, disk: 0 };
    let policy = Policy { weighers, ..PolicyName::Spread.policy() };
    let mut index = index_of(policy, [host(10, 5), host(5, 10)]);
    let wanted = demand(ResourceClass::Vcpu, 1);
    assert_eq!(asked(&mut index, &wanted), [1, 2].map(NodeId), "3 + 1 and 1.5 + 2");
    index.set(NodeId(3), &host(100, 0), &Resources::default(), false);
    assert_eq!(asked(&mut index, &wanted), [2, 1].map(NodeId), "0.3 + 1 and 0.15 + 2");
    index.remove(NodeId(3));
    assert_eq!(asked(&mut index, &wanted), [1, 2].map(NodeId));
}

#[test]
fn a_class_that_no_inventory_names_excludes_no_node() {
    let mut index = index_of(PolicyName::Spread.policy(), [host(1, 1), host(2, 2)]);
    let unheard_of = ResourceClass::Custom(name("CUSTOM_GROUP"));
    assert_eq!(asked(&mut index, &demand(unheard_of, 1)), [2, 1].map(NodeId));
}

#[test]
fn nodes_of_another_zone_are_not_asked_about_nor_any_if_no_node_is_in_it() {
    let in_zone = |zone: &str| {
        let host = host(4, 4);
        let inventory = Inventory { zone: Some(name(zone)), ..host.inventory };
        HostState { inventory, ..host }
    };
    let zones = ["EAST", "WEST"].into_iter().cycle().take(100).map(in_zone);
    let mut index = index_of(PolicyName::Spread.policy(), zones);
    let mut in_zone = |zone| {
        let zone = Some(name(zone));
        asked(&mut index, &Demand { zone, ..demand(ResourceClass::Vcpu, 1) })
    };
    let west = in_zone("WEST");
    assert_eq!(west.len(), 50);
    assert!(west.iter().all(|node| node.0 % 2 == 0));
    assert_eq!(in_zone("NORTH"), []);
}

#[test]
fn closed_and_removed_nodes_are_not_picked() {
    let mut index = index_of(PolicyName::Spread.policy(), [host(1, 1), host(2, 2), host(3, 3)]);
    let wanted = demand(ResourceClass::Vcpu, 1);
    index.set(NodeId(3), &host(3, 3), &Resources::default(), false);
    index.remove(NodeId(2));
    assert_eq!(asked(&mut index, &wanted), [NodeId(1)]);
    assert_eq!(index.score(NodeId(3)), None);
    assert_eq!(index.free(NodeId(3), &ResourceClass::Vcpu), Some(3), "it is still known");
    index.set(NodeId(3), &host(3, 3), &Resources::default(), true);
    assert_eq!(asked(&mut index, &wanted), [3, 1].map(NodeId));
    assert_eq!(index.len(), 2);
}

#[test]
fn what_is_set_aside_is_not_free() {
    let mut index = index_of(PolicyName::Spread.policy(), [host(9, 9), host(8, 8)]);
    let wanted = demand(ResourceClass::Vcpu, 5);
    index.set(NodeId(1), &host(9, 9), &wanted.resources, true);
    assert_eq!(asked(&mut index, &wanted), [NodeId(2)]);
    assert_eq!(index.free(NodeId(1), &ResourceClass::Vcpu), Some(4));
}

#[test]
fn each_of_the_best_is_picked_and_no_other() {
    let hosts = (1..=100).map(|vcpu| host(vcpu, 1));
    let subset = NonZeroUsize::new(3).unwrap();
    let mut index = index_of(Policy { subset, ..PolicyName::Spread.policy() }, hosts);
    let wanted = demand(ResourceClass::Vcpu, 1);
    let mut picked: Vec<u32> =
        (0..100).filter_map(|_| index.pick(&wanted, |node| node.0 != 99)).map(|n| n.0).collect();
    picked.sort_unstable();
    picked.dedup();
    assert_eq!(picked, [97, 98, 100]);
}

#[test]
fn the_random_policy_picks_each_node_about_as_often() {
    const NODES: u64 = 50;
    const PICKS: u64 = 20_000;
    let host = |used: u64| HostState {
        used: [(ResourceClass::Vcpu, used)].into_iter().collect(),
        ..host(PICKS, 1)
    };
    let mut index = index_of(PolicyName::Random.policy(), (0..NODES).map(|_| host(0)));
    let wanted = demand(ResourceClass::Vcpu, 1);
    let mut picks: BTreeMap<NodeId, u64> = BTreeMap::new();
    for _ in 0..PICKS {
        // Half of the nodes are refused: their neighbours must not be picked in their stead.
        let picked = index.pick(&wanted, |node| node.0 % 2 == 0).expect("there are such nodes");
        let used = picks.entry(picked).or_default();
        *used += 1;
        index.set(picked, &host(*used), &Resources::default(), true);
    }
    let mean = PICKS / (NODES / 2);
    assert_eq!(picks.len() as u64, NODES / 2);
    assert!(picks.values().all(|of_node| of_node.abs_diff(mean) < mean / 2), "{picks:?}");
}

#[test]
fn why_not_says_how_much_is_free() {
    use counterfoil_protocol::{Incarnation, Reason, Stamp, Version};
    let index = index_of(PolicyName::Spread.policy(), [host(3, 3), host(5, 5)]);
    let at = Stamp { incarnation: Incarnation(1), version: Version(0) };
    let refusal = Refusal { at, reason: Reason::Capacity(ResourceClass::Vcpu) };
    let refusals = [1, 2].into_iter().map(|node| (NodeId(node), refusal.clone())).collect();
    let text = "2 nodes: 2 too little VCPU free (of them the most free 5)";
    assert_eq!(index.why_not(&refusals).to_string(), text);
}
