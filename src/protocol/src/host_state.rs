//! What a scheduler knows of a node, and how it changes.

use crate::collections::{SmallMap, SmallSet};
use crate::id::{Incarnation, Stamp, Version};
use crate::resources::{Demand, GroupId, Inventory, ResourceClass, Resources};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a node takes new claims.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does.
    #[default]
    Up,
    /// It keeps what it granted and grants no more.
    Draining,
}

/// A node as its schedulers see it: what it has and how much of it is allocated. Sums only, so it
/// is bounded and fits one datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostState {
    /// What the node has.
    pub inventory: Inventory,
    /// Whether it takes new claims.
    pub status: Status,
    /// The sum of its allocations, held and confirmed. May exceed the capacity after the inventory
    /// shrank.
    pub used: Resources,
}

/// Why a claim is refused, or a node excluded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The node is draining.
    Draining,
    /// The node has no such resource class.
    NoSuchClass(ResourceClass),
    /// The amount is below the smallest, above the largest, or between two steps.
    Units(ResourceClass),
    /// Too little of this class is free.
    Capacity(ResourceClass),
    /// A required trait is missing or a forbidden one present.
    Traits,
    /// The node is in another zone.
    Zone,
    /// The node is in none of the aggregates.
    Aggregates,
    /// More members of this group are on the node than the demand bears.
    AntiAffinity(GroupId),
    /// No member of this group is on the node.
    Affinity(GroupId),
    /// The claim was meant for another life of the node. Says nothing of the node's state.
    OtherLife,
    /// The node has as many allocations as it can keep, or its allocations are in as many groups as
    /// they may be. Says nothing of its host state.
    Full,
}

impl Reason {
    /// Whether the reason can be told from the host state alone.
    pub fn is_of_host_state(&self) -> bool {
        !matches!(self, Reason::OtherLife | Reason::Full)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Draining => f.write_str("draining"),
            Reason::NoSuchClass(class) => write!(f, "has no {class}"),
            Reason::Units(class) => write!(f, "does not give {class} in this amount"),
            Reason::Capacity(class) => write!(f, "too little {class} free"),
            Reason::Traits => f.write_str("traits"),
            Reason::Zone => f.write_str("zone"),
            Reason::Aggregates => f.write_str("aggregates"),
            Reason::AntiAffinity(group) => write!(f, "has too many of {group}"),
            Reason::Affinity(group) => write!(f, "has none of {group}"),
            Reason::OtherLife => f.write_str("meant for another life"),
            Reason::Full => f.write_str("as many allocations or groups as it can keep"),
        }
    }
}

impl HostState {
    /// Why a node in this state must refuse `demand`, if it must, with `set_aside` taken off what
    /// is free.
    pub fn refuses(&self, demand: &Demand, set_aside: &Resources) -> Option<Reason> {
        if self.status == Status::Draining {
            return Some(Reason::Draining);
        }
        let inventory = &self.inventory;
        if !demand.required.iter().all(|name| inventory.traits.contains(name))
            || demand.forbidden.iter().any(|name| inventory.traits.contains(name))
        {
            return Some(Reason::Traits);
        }
        if demand.zone.is_some() && demand.zone != inventory.zone {
            return Some(Reason::Zone);
        }
        if !demand.aggregates.is_empty()
            && !demand.aggregates.iter().any(|name| inventory.aggregates.contains(name))
        {
            return Some(Reason::Aggregates);
        }
        let of_class = demand
            .resources
            .iter()
            .find_map(|(class, amount)| self.refuses_amount(class, amount, set_aside.get(class)));
        of_class.or_else(|| self.refuses_company(demand, set_aside))
    }

    /// Why a node in this state must refuse this much of a class, if it must.
    fn refuses_amount(&self, class: &ResourceClass, amount: u64, set_aside: u64) -> Option<Reason> {
        if let ResourceClass::Group(_) = class {
            return None;
        }
        let Some(of_class) = self.inventory.classes.get(class) else {
            return Some(Reason::NoSuchClass(class.clone()));
        };
        if !of_class.allows(amount) {
            return Some(Reason::Units(class.clone()));
        }
        let taken = self.used.get(class).saturating_add(set_aside);
        let fits = taken.checked_add(amount).is_some_and(|sum| sum <= of_class.capacity());
        (!fits).then(|| Reason::Capacity(class.clone()))
    }

    /// Why a node in this state must refuse `demand` for what it is to be near or apart from, if it
    /// must. What is set aside may come, so it is to be kept apart from; it may also not come, so
    /// it is no company. Affinity comes last of all reasons: where it is given, nothing else speaks
    /// against the node.
    fn refuses_company(&self, demand: &Demand, set_aside: &Resources) -> Option<Reason> {
        let too_many = demand.apart.iter().find(|(group, bears)| {
            let class = ResourceClass::Group(**group);
            let members = self.used.get(&class).saturating_add(set_aside.get(&class));
            members > u64::from(**bears)
        });
        if let Some((group, _)) = too_many {
            return Some(Reason::AntiAffinity(*group));
        }
        let absent = |group: &&GroupId| self.used.get(&ResourceClass::Group(**group)) == 0;
        demand.near.iter().find(absent).copied().map(Reason::Affinity)
    }

    /// How much of `class` is free; 0 if more is allocated than there is now.
    pub fn free(&self, class: &ResourceClass) -> u64 {
        let capacity = self.inventory.classes.get(class).map_or(0, |of_class| of_class.capacity());
        capacity.saturating_sub(self.used.get(class))
    }

    /// This state with the fields that `changes` names set to their values.
    pub fn apply(&mut self, changes: &Changes) {
        if let Some(inventory) = &changes.inventory {
            self.inventory = inventory.clone();
        }
        if let Some(status) = changes.status {
            self.status = status;
        }
        for (class, amount) in changes.used.iter() {
            self.used.set(class.clone(), *amount);
        }
    }

    /// The present values of the fields that `touched` names.
    pub fn changes(&self, touched: &Touched) -> Changes {
        Changes {
            inventory: touched.inventory.then(|| self.inventory.clone()),
            status: touched.status.then_some(self.status),
            used: touched.used.iter().map(|class| (class.clone(), self.used.get(class))).collect(),
        }
    }
}

/// Fields of a host state with their new values: absolute, never differences, so that applying them
/// twice is applying them once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Changes {
    /// The inventory, if it changed.
    pub inventory: Option<Inventory>,
    /// The status, if it changed.
    pub status: Option<Status>,
    /// What is used of each class that changed; 0 if none is any more.
    pub used: SmallMap<ResourceClass, u64>,
}

/// Which fields of a host state a change touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Touched {
    /// The inventory.
    pub inventory: bool,
    /// The status.
    pub status: bool,
    /// What is used of these classes.
    pub used: SmallSet<ResourceClass>,
}

impl Touched {
    /// The sums of the classes that `resources` names.
    pub fn used(resources: &Resources) -> Self {
        let used = resources.iter().map(|(class, _)| class.clone()).collect();
        Touched { used, ..Touched::default() }
    }

    /// The inventory.
    pub fn inventory() -> Self {
        Touched { inventory: true, ..Touched::default() }
    }

    /// The status.
    pub fn status() -> Self {
        Touched { status: true, ..Touched::default() }
    }

    /// Adds the fields of `other`.
    pub fn merge(&mut self, other: &Touched) {
        self.inventory |= other.inventory;
        self.status |= other.status;
        self.used.extend(&other.used);
    }
}

/// The last changes of a host state in this life: which fields each version touched. Values are not
/// kept, because a delta always carries the present ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeltaLog {
    /// The version that it reaches back to, and says nothing of.
    start: Version,
    /// Changes one after the other that touched the same fields are one run, by its last version: most
    /// changes touch what the last one did.
    runs: SmallMap<Version, Touched>,
}

impl DeltaLog {
    /// Notes that `version`, the next one, came about by touching `touched`; forgets all but the last
    /// `max`.
    pub fn note(&mut self, version: Version, touched: Touched, max: usize) {
        let same = self.runs.as_slice().last().is_some_and(|(_, last)| *last == touched);
        if same {
            self.runs.rename_last(version);
        } else {
            self.runs.insert(version, touched);
        }
        let start = Version(version.0.saturating_sub(max as u64)).max(self.start);
        self.start = start;
        if self.runs.as_slice().first().is_some_and(|(last, _)| *last <= start) {
            self.runs.retain(|last| *last > start);
        }
    }

    /// Every field touched in (`from`, `to`], if the log reaches back so far.
    pub fn touched_since(&self, from: Version, to: Version) -> Option<Touched> {
        let mut touched = Touched::default();
        let end = self.runs.as_slice().last().map_or(self.start, |(last, _)| *last);
        if from < to && (from < self.start || end < to) {
            return None;
        }
        let mut first = self.start.next();
        for (last, run) in self.runs.iter() {
            if first <= to && *last > from {
                touched.merge(run);
            }
            first = last.next();
        }
        Some(touched)
    }

    /// How many changes it reaches back over.
    pub fn len(&self) -> usize {
        let last = self.runs.as_slice().last();
        last.map_or(0, |(last, _)| (last.0 - self.start.0) as usize)
    }

    /// Whether it reaches back over none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

/// How a delta relates to what is cached. Classify, then act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It follows: the life is the same and from <= cached < to.
    Next,
    /// Everything in it is known: to <= cached, or an older life.
    Stale,
    /// Something before it is missing.
    Gap,
}

impl Relation {
    /// How a delta of the node's life `incarnation` over (`from`, `to`] relates to `cached`.
    pub fn of(
        incarnation: Incarnation,
        from: Version,
        to: Version,
        cached: Option<Stamp>,
    ) -> Relation {
        let Some(cached) = cached else { return Relation::Gap };
        if (Stamp { incarnation, version: to }) <= cached {
            Relation::Stale
        } else if incarnation == cached.incarnation && from <= cached.version {
            Relation::Next
        } else {
            Relation::Gap
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::Set;
    use crate::resources::{ClassInventory, Name};
    use crate::{Incarnation, Version};

    fn name(text: &str) -> Name {
        Name::try_from(text.to_owned()).unwrap()
    }

    fn host() -> HostState {
        HostState {
            inventory: Inventory {
                classes: [
                    (ResourceClass::Vcpu, ClassInventory { step_unit: 2, ..ClassInventory::of(8) }),
                    (ResourceClass::DiskGb, ClassInventory::of(100)),
                ]
                .into_iter()
                .collect(),
                traits: [name("HW_SSD")].into_iter().collect(),
                zone: Some(name("EAST")),
                aggregates: [name("A1"), name("A2")].into_iter().collect(),
            },
            status: Status::Up,
            used: [(ResourceClass::Vcpu, 4)].into_iter().collect(),
        }
    }

    fn demand(class: ResourceClass, amount: u64) -> Demand {
        Demand { resources: [(class, amount)].into_iter().collect(), ..Demand::default() }
    }

    #[test]
    fn every_reason_is_given_when_it_is_true_and_only_then() {
        let none = Resources::default();
        let set_aside: Resources = [(ResourceClass::Vcpu, 2)].into_iter().collect();
        let some = |names: &[&str]| names.iter().map(|text| name(text)).collect::<Set<Name>>();
        let fits = demand(ResourceClass::Vcpu, 4);
        let cases = [
            (fits.clone(), &none, None),
            (fits.clone(), &set_aside, Some(Reason::Capacity(ResourceClass::Vcpu))),
            (demand(ResourceClass::Vcpu, 6), &none, Some(Reason::Capacity(ResourceClass::Vcpu))),
            (demand(ResourceClass::Vcpu, 3), &none, Some(Reason::Units(ResourceClass::Vcpu))),
            (demand(ResourceClass::Vcpu, 0), &none, Some(Reason::Units(ResourceClass::Vcpu))),
            (
                demand(ResourceClass::MemoryMb, 1),
                &none,
                Some(Reason::NoSuchClass(ResourceClass::MemoryMb)),
            ),
            (Demand { required: some(&["HW_SSD"]), ..fits.clone() }, &none, None),
            (Demand { required: some(&["HW_GPU"]), ..fits.clone() }, &none, Some(Reason::Traits)),
            (Demand { forbidden: some(&["HW_SSD"]), ..fits.clone() }, &none, Some(Reason::Traits)),
            (Demand { zone: Some(name("EAST")), ..fits.clone() }, &none, None),
            (Demand { zone: Some(name("WEST")), ..fits.clone() }, &none, Some(Reason::Zone)),
            (Demand { aggregates: some(&["A2", "B"]), ..fits.clone() }, &none, None),
            (Demand { aggregates: some(&["B"]), ..fits.clone() }, &none, Some(Reason::Aggregates)),
        ];
        for (demand, set_aside, expected) in cases {
            assert_eq!(host().refuses(&demand, set_aside), expected, "{demand:?}");
        }
        let (here, away) = (GroupId(1), GroupId(2));
        let members = |count| (ResourceClass::Group(here), count);
        let mut shared = host();
        shared.used.set(ResourceClass::Group(here), 2);
        let joins = [members(u64::MAX)].into_iter().collect::<Resources>();
        assert_eq!(shared.refuses(&Demand { resources: joins, ..fits.clone() }, &none), None);
        let apart =
            |group, bears| Demand { apart: [(group, bears)].into_iter().collect(), ..fits.clone() };
        let near = |group| Demand { near: [group].into_iter().collect(), ..fits.clone() };
        let one_more = [members(1)].into_iter().collect();
        let cases = [
            (apart(here, 2), &none, None),
            (apart(here, 2), &one_more, Some(Reason::AntiAffinity(here))),
            (apart(here, 1), &none, Some(Reason::AntiAffinity(here))),
            (apart(away, 0), &none, None),
            (near(here), &none, None),
            (near(away), &none, Some(Reason::Affinity(away))),
            (Demand { near: near(away).near, ..apart(here, 0) }, &none, {
                Some(Reason::AntiAffinity(here))
            }),
        ];
        for (demand, set_aside, expected) in cases {
            assert_eq!(shared.refuses(&demand, set_aside), expected, "{demand:?}");
        }
        assert_eq!(host().refuses(&near(here), &one_more), Some(Reason::Affinity(here)));
        let draining = HostState { status: Status::Draining, ..host() };
        assert_eq!(draining.refuses(&fits, &none), Some(Reason::Draining));
    }

    #[test]
    fn a_delta_is_next_stale_or_a_gap() {
        let stamp = |i, v| Some(Stamp { incarnation: Incarnation(i), version: Version(v) });
        let of =
            |i, from, to, cached| Relation::of(Incarnation(i), Version(from), Version(to), cached);
        assert_eq!(of(1, 3, 5, stamp(1, 3)), Relation::Next);
        assert_eq!(of(1, 3, 5, stamp(1, 4)), Relation::Next, "it overlaps");
        assert_eq!(of(1, 3, 5, stamp(1, 5)), Relation::Stale);
        assert_eq!(of(1, 3, 5, stamp(2, 0)), Relation::Stale, "an older life");
        assert_eq!(of(1, 3, 5, stamp(1, 2)), Relation::Gap);
        assert_eq!(of(2, 0, 5, stamp(1, 2)), Relation::Gap, "a later life");
        assert_eq!(of(1, 0, 5, None), Relation::Gap);
        assert_eq!(of(1, 5, 5, stamp(1, 5)), Relation::Stale, "a beat that says nothing new");
        assert_eq!(of(1, 5, 5, stamp(1, 4)), Relation::Gap, "a beat that does");
    }

    #[test]
    fn the_log_reaches_back_as_far_as_its_limit_and_no_further() {
        let mut log = DeltaLog::default();
        for version in 1..=5 {
            let touched = if version == 4 { Touched::status() } else { Touched::inventory() };
            log.note(Version(version), touched, 3);
        }
        assert_eq!(log.len(), 3);
        assert_eq!(log.touched_since(Version(5), Version(5)), Some(Touched::default()));
        assert_eq!(log.touched_since(Version(1), Version(5)), None);
        let both = Touched { inventory: true, status: true, used: SmallSet::default() };
        assert_eq!(log.touched_since(Version(2), Version(5)), Some(both));
        assert_eq!(log.touched_since(Version(2), Version(6)), None, "it was not noted");
        assert_eq!(log.touched_since(Version(2), Version(3)), Some(Touched::inventory()));
        assert_eq!(log.touched_since(Version(3), Version(4)), Some(Touched::status()));
        assert_eq!(log.runs.len(), 3);
        for version in 6..=9 {
            log.note(Version(version), Touched::status(), 3);
        }
        assert_eq!((log.len(), log.runs.len()), (3, 1), "what touches the same is kept once");
        assert_eq!(log.touched_since(Version(6), Version(9)), Some(Touched::status()));
        assert_eq!(log.touched_since(Version(5), Version(9)), None);
    }

    #[test]
    fn changes_set_what_they_name_and_nothing_else() {
        let mut cached = host();
        let mut present = host();
        present.used.set(ResourceClass::DiskGb, 7);
        present.status = Status::Draining;
        let used = [(ResourceClass::DiskGb, 1)].into_iter().collect();
        cached.apply(&present.changes(&Touched::used(&used)));
        assert_eq!(cached.used.get(&ResourceClass::DiskGb), 7);
        assert_eq!(cached.status, Status::Up);
        cached.apply(&present.changes(&Touched::status()));
        assert_eq!(cached, present);
    }
}
