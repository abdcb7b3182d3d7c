//! What befalls a cluster in one round: drawn from the seed and the number of the round alone.

use crate::relay::Way;
use fastrand::Rng;
use std::time::Duration;

/// How long the faults of a round go on.
const ROUND: std::ops::Range<u64> = 300..1200;

/// How long a process that was killed stays away, at most, in milliseconds.
const AWAY_MAX: u64 = 700;

/// Processes that are killed in one round, at most.
const KILLS_MAX: usize = 3;

/// Something that is done to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// SIGKILL.
    Kill(String),
    /// It comes back.
    Start(String),
    /// Nothing passes from these to those.
    Part(Vec<String>, Vec<String>, Way),
    /// Everything passes.
    Heal,
    /// The client ends without a word, and comes back.
    RestartClient,
}

/// What is done in round number `round` and when, in order. In the end every process is there, and
/// everything passes.
pub(crate) fn plan(seed: u64, round: u64, names: &[String]) -> Vec<(Duration, Act)> {
    let mut rng = Rng::with_seed(seed.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let length = rng.u64(ROUND);
    let mut acts = Vec::new();
    let mut names = names.to_vec();
    rng.shuffle(&mut names);
    for name in names.iter().take(rng.usize(1..=KILLS_MAX)) {
        let at = rng.u64(0..length);
        let back = at + rng.u64(1..=AWAY_MAX);
        acts.push((at, Act::Kill(name.clone())));
        acts.push((back, Act::Start(name.clone())));
    }
    if rng.bool() {
        rng.shuffle(&mut names);
        let (these, those) = names.split_at(rng.usize(1..=names.len() / 2));
        let way = if rng.bool() { Way::OneWay } else { Way::TwoWay };
        let (these, those) = if rng.bool() { (these, those) } else { (those, these) };
        let at = rng.u64(0..length);
        acts.push((at, Act::Part(these.to_vec(), those.to_vec(), way)));
        acts.push((at + rng.u64(100..=length), Act::Heal));
    }
    if rng.u8(0..8) == 0 {
        acts.push((rng.u64(0..length), Act::RestartClient));
    }
    acts.sort_by_key(|(at, _)| *at);
    acts.into_iter().map(|(at, act)| (Duration::from_millis(at), act)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn after_a_round_everything_is_there_again() {
        let names: Vec<String> = (1..=6).map(|n| format!("n{n}")).collect();
        for round in 0..500 {
            let (mut away, mut parted) = (BTreeSet::new(), false);
            for (_, act) in plan(3, round, &names) {
                match act {
                    Act::Kill(name) => assert!(away.insert(name)),
                    Act::Start(name) => assert!(away.remove(&name)),
                    Act::Part(these, those, _) => {
                        parted = true;
                        assert!(!these.is_empty() && !those.is_empty());
                    }
                    Act::Heal => parted = false,
                    Act::RestartClient => {}
                }
            }
            assert!(away.is_empty() && !parted, "round {round}");
            assert_eq!(plan(3, round, &names), plan(3, round, &names));
        }
        assert_ne!(plan(3, 1, &names), plan(4, 1, &names));
    }
}
