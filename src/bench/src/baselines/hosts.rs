//! A view of hosts that is looked through from the first to the last, as the schedulers of 2016 do.

use super::Amounts;
use counterfoil_placement::PolicyName;
use fastrand::Rng;

/// What a scheduler believes of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// What may be allocated on it.
    pub capacity: Amounts,
    /// What is.
    pub used: Amounts,
}

impl Host {
    /// What is free.
    pub fn free(&self) -> Amounts {
        self.capacity.minus(self.used)
    }
}

/// Chooses a host by its free memory, as the RAMWeigher of 2016. Of equals it takes the first, as
/// Nova does unless it is told to shuffle.
#[derive(Clone, Debug)]
pub struct Chooser {
    strategy: PolicyName,
    random: Rng,
}

impl Chooser {
    /// One that begins with this seed.
    pub fn new(strategy: PolicyName, seed: u64) -> Chooser {
        Chooser { strategy, random: Rng::with_seed(seed) }
    }

    /// The node, numbered from 1, that is best for `want` and did not refuse it.
    pub fn choose<'a>(
        &mut self,
        hosts: impl Iterator<Item = &'a Host>,
        want: Amounts,
        refused: &[u32],
    ) -> Option<u32> {
        let fits = (1..).zip(hosts).filter_map(|(node, host)| {
            let free = host.free();
            (free.has(want) && !refused.contains(&node)).then_some((node, free.memory_mib()))
        });
        match self.strategy {
            PolicyName::Pack => fits.min_by_key(|(_, free)| *free).map(|(node, _)| node),
            PolicyName::Spread => {
                fits.min_by_key(|(_, free)| std::cmp::Reverse(*free)).map(|(node, _)| node)
            }
            PolicyName::Random => {
                let (mut seen, mut chosen) = (0, None);
                for (node, _) in fits {
                    seen += 1;
                    if self.random.u32(..seen) == 0 {
                        chosen = Some(node);
                    }
                }
                chosen
            }
        }
    }

    /// The generator.
    pub fn random(&mut self) -> &mut Rng {
        &mut self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(free_mib: u64) -> Host {
        Host { capacity: Amounts([8, free_mib, 0]), used: Amounts::default() }
    }

    #[test]
    fn pack_takes_the_fullest_that_fits_and_spread_the_emptiest() {
        let hosts = [host(50), host(10), host(90), host(90), host(5)];
        let want = Amounts([1, 8, 0]);
        let choose = |strategy, refused: &[u32]| {
            Chooser::new(strategy, 1).choose(hosts.iter(), want, refused)
        };
        assert_eq!(choose(PolicyName::Pack, &[]), Some(2));
        assert_eq!(choose(PolicyName::Spread, &[]), Some(3));
        assert_eq!(choose(PolicyName::Spread, &[3]), Some(4));
        assert_eq!(choose(PolicyName::Pack, &[1, 2, 3, 4]), None, "the last is too small");
    }

    #[test]
    fn random_takes_each_that_fits_about_as_often() {
        let hosts = [host(50), host(5), host(50), host(50)];
        let mut chooser = Chooser::new(PolicyName::Random, 7);
        let mut counts = [0; 5];
        for _ in 0..3000 {
            let node = chooser.choose(hosts.iter(), Amounts([1, 8, 0]), &[]).unwrap();
            counts[node as usize] += 1;
        }
        assert_eq!(counts[2], 0);
        assert!([1, 3, 4].iter().all(|node| (850..1150).contains(&counts[*node])), "{counts:?}");
    }
}
