//! What fits where, by arithmetic of its own: no property judges the protocol by the protocol.

use counterfoil_protocol::{
    ClassInventory, Demand, GroupId, HostState, Node, Reason, ResourceClass, Resources, Status,
};
use std::collections::BTreeMap;

/// An amount per class.
pub(crate) type Amounts = BTreeMap<ResourceClass, u128>;

/// What these demands ask for together.
pub(crate) fn sum<'a>(demands: impl IntoIterator<Item = &'a Demand>) -> Amounts {
    let mut sum = Amounts::new();
    for demand in demands {
        for (class, amount) in demand.resources.iter() {
            *sum.entry(class.clone()).or_default() += u128::from(amount);
        }
    }
    sum
}

/// What is allocated on a node.
pub(crate) fn allocated(node: &Node) -> Amounts {
    sum(node.durable.allocations.values().map(|allocation| &*allocation.demand))
}

/// The host state that a node truly has.
pub(crate) fn host_state(node: &Node) -> HostState {
    HostState {
        inventory: node.durable.inventory.clone(),
        status: node.durable.status,
        used: written(allocated(node)),
    }
}

/// The amounts as messages carry them: up to the largest number of 64 bits, and no 0.
pub(crate) fn written(amounts: Amounts) -> Resources {
    let amounts = amounts.into_iter().filter(|(_, amount)| *amount > 0);
    amounts.map(|(class, amount)| (class, u64::try_from(amount).unwrap_or(u64::MAX))).collect()
}

/// How much of a class may be allocated: all that is not reserved, as often as the ratio says, in
/// whole units, up to the largest number of 64 bits.
pub(crate) fn capacity(of_class: &ClassInventory) -> u128 {
    let ClassInventory { total, reserved, allocation_ratio_milli, .. } = of_class;
    let own = if reserved < total { total - reserved } else { 0 };
    (u128::from(own) * u128::from(*allocation_ratio_milli) / 1000).min(u64::MAX.into())
}

/// Why a node in this state must refuse a demand, with `aside` set aside on it: of all reasons that
/// are true the first, in the order status, traits, zone, aggregates, classes, apart, near.
pub(crate) fn reason_against(
    state: &HostState,
    demand: &Demand,
    aside: &Amounts,
) -> Option<Reason> {
    let HostState { inventory, status, used } = state;
    let missing = demand.required.iter().any(|name| !inventory.traits.contains(name));
    let unwanted = demand.forbidden.iter().any(|name| inventory.traits.contains(name));
    let elsewhere = demand.zone.as_ref().is_some_and(|zone| Some(zone) != inventory.zone.as_ref());
    let apart = |name| !inventory.aggregates.contains(name);
    let of_none = !demand.aggregates.is_empty() && demand.aggregates.iter().all(apart);
    let of_node = [
        (*status == Status::Draining, Reason::Draining),
        (missing || unwanted, Reason::Traits),
        (elsewhere, Reason::Zone),
        (of_none, Reason::Aggregates),
    ];
    let of_node = of_node.into_iter().find_map(|(is_true, reason)| is_true.then_some(reason));
    let of_class = of_node.or_else(|| {
        demand.resources.iter().filter(|(class, _)| group(class).is_none()).find_map(
            |(class, amount)| {
                let Some(of_class) = inventory.classes.get(class) else {
                    return Some(Reason::NoSuchClass(class.clone()));
                };
                let ClassInventory { min_unit, max_unit, step_unit, .. } = of_class;
                let between_steps = *step_unit > 1 && amount % step_unit != 0;
                if amount < *min_unit || amount > *max_unit || between_steps {
                    return Some(Reason::Units(class.clone()));
                }
                let aside = aside.get(class).copied().unwrap_or_default();
                let taken = u128::from(used.get(class)) + aside + u128::from(amount);
                (taken > capacity(of_class)).then(|| Reason::Capacity(class.clone()))
            },
        )
    });
    let here: Amounts = used.iter().map(|(class, count)| (class.clone(), count.into())).collect();
    of_class.or_else(|| company_against(demand, &here, aside))
}

/// What is wrong with the groups that are `here` and set `aside`: more members of one than the
/// demand bears, or none of one that it must be near.
pub(crate) fn company_against(demand: &Demand, here: &Amounts, aside: &Amounts) -> Option<Reason> {
    let members = |amounts: &Amounts, group: &GroupId| {
        let of_group = amounts.iter().find(|(class, _)| self::group(class) == Some(*group));
        of_group.map_or(0, |(_, members)| *members)
    };
    let both = |group: &GroupId| members(here, group) + members(aside, group);
    let mut apart = demand.apart.iter();
    if let Some((group, _)) = apart.find(|(group, bears)| both(group) > u128::from(**bears)) {
        return Some(Reason::AntiAffinity(*group));
    }
    let lonely = demand.near.iter().find(|group| members(here, group) == 0);
    lonely.map(|group| Reason::Affinity(*group))
}

/// The group that a class counts the members of, if it does.
pub(crate) fn group(class: &ResourceClass) -> Option<GroupId> {
    match class {
        ResourceClass::Group(group) => Some(*group),
        ResourceClass::Vcpu
        | ResourceClass::MemoryMb
        | ResourceClass::DiskGb
        | ResourceClass::Custom(_) => None,
    }
}
