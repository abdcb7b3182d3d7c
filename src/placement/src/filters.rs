//! Filters: why nodes were passed over, under the names that users of Nova know.
//!
//! Nothing is filtered here. The protocol judges ([`HostState::refuses`]) and says why; this is how
//! to read it.
//!
//! | [`Reason`] | [`Filter`] | as in |
//! |---|---|---|
//! | `Draining` | `ComputeFilter` | a host that is down or disabled |
//! | `NoSuchClass`, `Units`, `Capacity` of VCPU | `CoreFilter` | Nova until it left this to Placement |
//! | … of MEMORY_MB | `RamFilter` | likewise |
//! | … of DISK_GB | `DiskFilter` | likewise |
//! | … of any other class | `ResourceFilter` | Placement, which has no name for it |
//! | `Traits` | `ComputeCapabilitiesFilter` | Placement: required and forbidden traits |
//! | `Zone` | `AvailabilityZoneFilter` | |
//! | `Aggregates` | `AggregateFilter` | Placement: `member_of` |
//! | `Affinity` | `ServerGroupAffinityFilter` | also `SameHostFilter` |
//! | `AntiAffinity` | `ServerGroupAntiAffinityFilter` | also `DifferentHostFilter` |
//! | `OtherLife` | `RetryFilter` | a host that was tried already |
//! | `Full` | `NumInstancesFilter` | a host that runs as many instances as it may |
//!
//! [`HostState::refuses`]: counterfoil_protocol::HostState::refuses

use counterfoil_protocol::{Map, NodeId, Reason, Refusal, ResourceClass};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

/// What passes a node over, by the name of Nova's that comes closest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// `ComputeFilter`: the node takes no new claims.
    Compute,
    /// `CoreFilter`: virtual processors.
    Core,
    /// `RamFilter`: memory.
    Ram,
    /// `DiskFilter`: disk.
    Disk,
    /// `ResourceFilter`: any other resource class.
    Resource,
    /// `ComputeCapabilitiesFilter`: what the node is like.
    ComputeCapabilities,
    /// `AvailabilityZoneFilter`: the zone that it is in.
    AvailabilityZone,
    /// `AggregateFilter`: the aggregates that it is a member of.
    Aggregate,
    /// `ServerGroupAffinityFilter`: a group that must be there is not.
    ServerGroupAffinity,
    /// `ServerGroupAntiAffinityFilter`: too many of a group are there.
    ServerGroupAntiAffinity,
    /// `RetryFilter`: it was tried, and is in another life now.
    Retry,
    /// `NumInstancesFilter`: it has as many allocations as it can keep.
    NumInstances,
}

impl Filter {
    /// The filter that stands for `reason`.
    pub fn of(reason: &Reason) -> Filter {
        match reason {
            Reason::Draining => Filter::Compute,
            Reason::NoSuchClass(class) | Reason::Units(class) | Reason::Capacity(class) => {
                match class {
                    ResourceClass::Vcpu => Filter::Core,
                    ResourceClass::MemoryMb => Filter::Ram,
                    ResourceClass::DiskGb => Filter::Disk,
                    ResourceClass::Custom(_) | ResourceClass::Group(_) => Filter::Resource,
                }
            }
            Reason::Traits => Filter::ComputeCapabilities,
            Reason::Zone => Filter::AvailabilityZone,
            Reason::Aggregates => Filter::Aggregate,
            Reason::Affinity(_) => Filter::ServerGroupAffinity,
            Reason::AntiAffinity(_) => Filter::ServerGroupAntiAffinity,
            Reason::OtherLife => Filter::Retry,
            Reason::Full => Filter::NumInstances,
        }
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Filter::Compute => "ComputeFilter",
            Filter::Core => "CoreFilter",
            Filter::Ram => "RamFilter",
            Filter::Disk => "DiskFilter",
            Filter::Resource => "ResourceFilter",
            Filter::ComputeCapabilities => "ComputeCapabilitiesFilter",
            Filter::AvailabilityZone => "AvailabilityZoneFilter",
            Filter::Aggregate => "AggregateFilter",
            Filter::ServerGroupAffinity => "ServerGroupAffinityFilter",
            Filter::ServerGroupAntiAffinity => "ServerGroupAntiAffinityFilter",
            Filter::Retry => "RetryFilter",
            Filter::NumInstances => "NumInstancesFilter",
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many nodes were passed over for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Why.
    pub reason: Reason,
    /// How many nodes, at least 1.
    pub nodes: usize,
    /// The most that is free on one of them, in the unit of the class, if the reason is too little
    /// of it and it is known.
    pub most_free: Option<u64>,
}

impl Excluded {
    /// Under which filter it counts.
    pub fn filter(&self) -> Filter {
        Filter::of(&self.reason)
    }
}

/// Why no node was picked, in numbers.
///
/// Displayed, it is one line; with `{:#}` it names the filters, as Nova's log does.
///
/// # Invariants
/// Each reason occurs once; those of more nodes come first, then by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions(Vec<Excluded>);

/// Why none of the nodes in `refusals` was picked. [`Index::why_not`] says how much is free, too.
///
/// [`Index::why_not`]: crate::Index::why_not
pub fn why_not(refusals: &Map<NodeId, Refusal>) -> Exclusions {
    Exclusions::of(refusals, |_, _| None)
}

impl Exclusions {
    /// Counts `refusals`; `free` says how much of a class is free on a node, if it is known.
    pub(crate) fn of(
        refusals: &Map<NodeId, Refusal>,
        free: impl Fn(NodeId, &ResourceClass) -> Option<u64>,
    ) -> Exclusions {
        let mut counts: BTreeMap<&Reason, (usize, Option<u64>)> = BTreeMap::new();
        for (node, refusal) in refusals.iter() {
            let (nodes, most_free) = counts.entry(&refusal.reason).or_default();
            *nodes += 1;
            if let Reason::Capacity(class) = &refusal.reason {
                *most_free = (*most_free).max(free(*node, class));
            }
        }
        let excluded = |(reason, (nodes, most_free)): (&Reason, _)| Excluded {
            reason: reason.clone(),
            nodes,
            most_free,
        };
        let mut exclusions: Vec<Excluded> = counts.into_iter().map(excluded).collect();
        exclusions.sort_by_key(|excluded| Reverse(excluded.nodes));
        Exclusions(exclusions)
    }

    /// By reason, those of more nodes first.
    pub fn iter(&self) -> impl Iterator<Item = &Excluded> {
        self.0.iter()
    }

    /// How many nodes were passed over.
    pub fn nodes(&self) -> usize {
        self.0.iter().map(|excluded| excluded.nodes).sum()
    }

    /// How many nodes each filter passed over.
    pub fn by_filter(&self) -> BTreeMap<Filter, usize> {
        let mut sums = BTreeMap::new();
        for excluded in &self.0 {
            *sums.entry(excluded.filter()).or_default() += excluded.nodes;
        }
        sums
    }
}

impl fmt::Display for Exclusions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nodes() {
            0 => return f.write_str("no nodes"),
            1 => f.write_str("1 node: ")?,
            nodes => write!(f, "{nodes} nodes: ")?,
        }
        for (i, excluded) in self.0.iter().enumerate() {
            let Excluded { reason, nodes, most_free } = excluded;
            f.write_str(if i > 0 { ", " } else { "" })?;
            if f.alternate() {
                write!(f, "{} {nodes} ({reason})", excluded.filter())?;
            } else {
                write!(f, "{nodes} {reason}")?;
            }
            if let Some(most) = most_free {
                write!(f, " (of them the most free {most})")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{Incarnation, Stamp, Version};

    fn refusals(reasons: impl IntoIterator<Item = Reason>) -> Map<NodeId, Refusal> {
        let at = Stamp { incarnation: Incarnation(1), version: Version(0) };
        let refusal = |reason| Refusal { at, reason };
        (1..).map(NodeId).zip(reasons.into_iter().map(refusal)).collect()
    }

    #[test]
    fn exclusions_are_counted_and_the_commonest_come_first() {
        let too_little = Reason::Capacity(ResourceClass::MemoryMb);
        let refusals = refusals([Reason::Draining, too_little.clone(), too_little]);
        let exclusions = Exclusions::of(&refusals, |node, _| Some(u64::from(node.0) * 100));
        let text = "3 nodes: 2 too little MEMORY_MB free (of them the most free 300), 1 draining";
        assert_eq!(exclusions.to_string(), text);
        let text = "3 nodes: RamFilter 2 (too little MEMORY_MB free), ComputeFilter 1 (draining)";
        assert_eq!(format!("{:#}", why_not(&refusals)), text);
    }

    #[test]
    fn reasons_of_one_filter_are_told_apart_and_add_up() {
        let class = ResourceClass::Vcpu;
        let reasons = [Reason::Units(class.clone()), Reason::NoSuchClass(class), Reason::Zone];
        let exclusions = why_not(&refusals(reasons));
        let text = "3 nodes: 1 has no VCPU, 1 does not give VCPU in this amount, 1 zone";
        assert_eq!(exclusions.to_string(), text);
        let sums = exclusions.by_filter();
        assert_eq!(sums[&Filter::Core], 2);
        assert_eq!(sums[&Filter::AvailabilityZone], 1);
        assert_eq!(exclusions.nodes(), 3);
    }

    #[test]
    fn without_refusals_there_were_no_nodes() {
        assert_eq!(why_not(&Map::default()).to_string(), "no nodes");
        assert_eq!(why_not(&refusals([Reason::Draining])).to_string(), "1 node: 1 draining");
    }
}
