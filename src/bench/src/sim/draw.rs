//! Chance by integers alone, so that a seed means the same on every machine.

use fastrand::Rng;

/// Whether something happens that happens so often in a thousand times.
pub(crate) fn permille(rng: &mut Rng, of: u16) -> bool {
    of > 0 && rng.u16(0..1000) < of
}

/// A time from one arrival to the next, if arrivals come independently of each other and `mean`
/// apart: exponentially distributed, in the unit of `mean`, rounded down.
pub(crate) fn exponential(rng: &mut Rng, mean: u64) -> u64 {
    let product = u128::from(unit(rng)) * u128::from(mean);
    u64::try_from(product >> 32).unwrap_or(u64::MAX)
}

/// An exponentially distributed number with mean 1, in units of 2^-32.
///
/// Von Neumann's method only compares: a descending run of uniform numbers that begins with x is of
/// odd length with probability e^-x. If it is of even length, another unit is passed over.
fn unit(rng: &mut Rng) -> u64 {
    let mut whole = 0u64;
    loop {
        let first = rng.u32(..);
        let (mut last, mut odd) = (first, true);
        loop {
            let next = rng.u32(..);
            if next >= last {
                break;
            }
            (last, odd) = (next, !odd);
        }
        if odd {
            return whole << 32 | u64::from(first);
        }
        whole += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_between_arrivals_have_the_mean_and_the_quantiles_of_their_distribution() {
        let mut rng = Rng::with_seed(7);
        let mut times: Vec<u64> = (0..100_000).map(|_| exponential(&mut rng, 10_000)).collect();
        times.sort_unstable();
        let mean = times.iter().sum::<u64>() / 100_000;
        assert!((9_900..=10_100).contains(&mean), "{mean}");
        // -ln(1 - q) times the mean.
        for (rank, expected) in [(50_000, 6_931), (90_000, 23_026), (99_000, 46_052)] {
            let found = times[rank];
            assert!(found.abs_diff(expected) * 20 < expected, "{rank}: {found}, not {expected}");
        }
    }

    #[test]
    fn what_never_happens_draws_no_number() {
        let mut rng = Rng::with_seed(7);
        assert!(!permille(&mut rng, 0));
        assert_eq!(rng.u64(..), Rng::with_seed(7).u64(..));
        assert!((0..100).all(|_| permille(&mut rng, 1000)));
    }
}
