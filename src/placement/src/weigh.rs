//! Weighers: how good a node is, by what is free on it.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// How much each weigher counts. Names and signs are those of Nova: the larger the score, the
/// better; a multiplier below 0 packs, one of 0 switches the weigher off.
///
/// Each weigher takes what is free as a share of the largest capacity that any known node has of the
/// class, from 0 to [`Weighers::WHOLE`], rounded down. A score is the sum of the shares, each times
/// its multiplier.
///
/// # What differs from Nova
///
/// - Nova takes what is free as a share of the most that is free on any *candidate of this request*,
///   so that one node's score depends on all others. With one weigher the order is the same; with
///   several, Nova lets a class count for more as it becomes scarce everywhere.
/// - Nova's RAMWeigher and DiskWeigher leave allocation ratios out. Here, as in its CPUWeigher, what
///   is free is capacity - used, and the capacity includes the ratio.
/// - Multipliers are integers: only how they relate to each other matters.
/// - Of equal scores Nova takes the first, or any with `shuffle_best_same_weighed_hosts`. Here it is
///   always any: schedulers that know the same then do not all choose the same node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Weighers {
    /// RAMWeigher: free MEMORY_MB. `ram_weight_multiplier`.
    pub ram: i32,
    /// CPUWeigher: free VCPU. `cpu_weight_multiplier`.
    pub cpu: i32,
    /// DiskWeigher: free DISK_GB. `disk_weight_multiplier`.
    pub disk: i32,
}

/// How good a node is; the larger the better. Comparable only within one index at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(pub i64);

/// An amount of each class that a weigher looks at, in the unit of the class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weighed {
    pub(crate) ram: u64,
    pub(crate) cpu: u64,
    pub(crate) disk: u64,
}

impl Weighers {
    /// The share of a node on which as much is free as the largest has.
    pub const WHOLE: u64 = 1 << 30;
    /// The more is free, the better. Nova's defaults.
    pub const SPREAD: Weighers = Weighers { ram: 1, cpu: 1, disk: 1 };
    /// The less is free, the better.
    pub const PACK: Weighers = Weighers { ram: -1, cpu: -1, disk: -1 };
    /// All are as good.
    pub const OFF: Weighers = Weighers { ram: 0, cpu: 0, disk: 0 };

    /// The score of a node of which `free` is free, `largest` being the largest capacities.
    pub(crate) fn score(self, free: Weighed, largest: Weighed) -> Score {
        // Three products of at most 2^30 and 2^31 cannot overflow.
        let one = |multiplier: i32, free, largest| match multiplier {
            0 => 0,
            multiplier => i64::from(multiplier) * share(free, largest),
        };
        let ram = one(self.ram, free.ram, largest.ram);
        let cpu = one(self.cpu, free.cpu, largest.cpu);
        let disk = one(self.disk, free.disk, largest.disk);
        Score(ram + cpu + disk)
    }
}

/// The share that `free` is of `largest`, at most all of it; 0 if there is nothing.
fn share(free: u64, largest: u64) -> i64 {
    let free = free.min(largest);
    if largest == 0 {
        return 0;
    }
    let share = match free.checked_mul(Weighers::WHOLE) {
        Some(product) => product / largest,
        None => {
            let product = u128::from(free) * u128::from(Weighers::WHOLE);
            u64::try_from(product / u128::from(largest)).expect("free is at most largest")
        }
    };
    i64::try_from(share).expect("at most the whole")
}

/// How to pick a node: one of the best, at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Which nodes are the best.
    pub weighers: Weighers,
    /// One of how many best ones is picked, each as likely as the others; 1 is the best one. Nova's
    /// `host_subset_size`: several schedulers that know the same then collide less often.
    pub subset: NonZeroUsize,
    /// Whether nodes of the scheduler's own [`Share`](crate::Share) come before all others, however good those are.
    pub own_first: bool,
}

/// The name of a policy that is ready for use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PolicyName {
    /// The node on which the most is free: [`Weighers::SPREAD`].
    #[default]
    Spread,
    /// The node on which the least is free and still enough: [`Weighers::PACK`].
    Pack,
    /// Any node: [`Weighers::OFF`].
    Random,
}

/// A text that names no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPolicy(String);

impl PolicyName {
    /// All of them.
    pub const ALL: [PolicyName; 3] = [PolicyName::Spread, PolicyName::Pack, PolicyName::Random];

    /// The name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyName::Spread => "spread",
            PolicyName::Pack => "pack",
            PolicyName::Random => "random",
        }
    }

    /// The policy of this name, which picks the best node. Where packing, all schedulers want the same
    /// one, so there the own come first: as many nodes are partly full as there are schedulers.
    pub fn policy(self) -> Policy {
        let weighers = match self {
            PolicyName::Spread => Weighers::SPREAD,
            PolicyName::Pack => Weighers::PACK,
            PolicyName::Random => Weighers::OFF,
        };
        Policy { weighers, subset: NonZeroUsize::MIN, own_first: self == PolicyName::Pack }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PolicyName {
    type Err = UnknownPolicy;
    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let found = PolicyName::ALL.into_iter().find(|name| name.as_str() == text);
        found.ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no policy: use spread, pack or random", self.0)
    }
}

impl std::error::Error for UnknownPolicy {}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: Weighed = Weighed { ram: 1000, cpu: 10, disk: 0 };

    #[test]
    fn a_score_is_the_sum_of_the_shares_times_their_multipliers() {
        let whole = i64::try_from(Weighers::WHOLE).unwrap();
        let half = Weighed { ram: 500, cpu: 5, disk: 7 };
        assert_eq!(Weighers::SPREAD.score(half, LARGEST), Score(whole), "of disk there is none");
        assert_eq!(Weighers::PACK.score(half, LARGEST), Score(-whole));
        assert_eq!(Weighers::OFF.score(half, LARGEST), Score(0));
        let weighers = Weighers { ram: 3, cpu: -1, disk: 100 };
        assert_eq!(weighers.score(half, LARGEST), Score(whole));
    }

    #[test]
    fn scores_of_the_largest_numbers_do_not_overflow() {
        let all = Weighed { ram: u64::MAX, cpu: u64::MAX, disk: u64::MAX };
        let whole = i64::try_from(Weighers::WHOLE).unwrap();
        for multiplier in [i32::MIN, i32::MAX] {
            let weighers = Weighers { ram: multiplier, cpu: multiplier, disk: multiplier };
            assert_eq!(weighers.score(all, all), Score(3 * whole * i64::from(multiplier)));
            assert_eq!(weighers.score(all, LARGEST).0, 2 * whole * i64::from(multiplier));
        }
    }

    #[test]
    fn shares_are_rounded_down_and_never_fall_when_more_is_free() {
        assert_eq!(share(1, 3), i64::from((1u32 << 30) / 3));
        let amounts = [0, 1, 2, 1 << 33, 1 << 34, (1 << 34) + 1, 1 << 60, u64::MAX];
        for largest in amounts {
            let shares: Vec<i64> = amounts.iter().map(|free| share(*free, largest)).collect();
            assert!(shares.is_sorted(), "{largest}: {shares:?}");
        }
    }

    #[test]
    fn a_policy_is_found_by_its_name() {
        for name in PolicyName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        assert!("worst".parse::<PolicyName>().is_err());
    }
}
