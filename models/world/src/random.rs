//! Numbers that look random: SplitMix64, small, and good enough to walk by and to tell states apart.

/// What one step of the generator adds.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that the generator makes of `number`: every bit of it depends on every bit of `number`.
pub fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(STEP);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        let number = scattered(self.0);
        self.0 = self.0.wrapping_add(STEP);
        number
    }

    /// Below `count`, which is not 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random(0);
        let numbers = [random.next(), random.next(), random.next()];
        let known = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!(numbers, known);
    }
}
