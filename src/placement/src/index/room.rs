//! What a node, or any of several nodes, may have room for: what the index passes over nodes by.

use super::vocabulary::COLUMNS;

/// Upper bounds of what one node of a set has free, and all the tags that occur in the set.
///
/// Amounts above [`u32::MAX`] count as that, on both sides of a comparison: such a bound excludes
/// less, and never wrongly.
///
/// # Invariants
/// The room of several nodes is the join of theirs. So if a need is met by the room of a node, it is
/// met by that of every set with the node in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// What is free at most, by column.
    free: [u32; COLUMNS],
    /// Zones, aggregates and traits, a bit for each.
    tags: u128,
}

/// What a node must have room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    free: [u32; COLUMNS],
    /// Tags of which none may be missing.
    pub(crate) all: u128,
    /// Tags of which one must be there; none named, all will do.
    pub(crate) any: u128,
}

impl Room {
    /// Nothing free, with these tags.
    pub(crate) fn of(tags: u128) -> Room {
        Room { free: [0; COLUMNS], tags }
    }

    /// Raises the bound of a column to `free`.
    pub(crate) fn raise(&mut self, column: usize, free: u64) {
        raise(&mut self.free[column], free);
    }

    /// What one node of either set may have.
    pub(crate) fn join(mut self, other: &Room) -> Room {
        for (free, other) in self.free.iter_mut().zip(other.free) {
            *free = (*free).max(other);
        }
        self.tags |= other.tags;
        self
    }

    /// Whether a node within these bounds may meet `need`.
    #[inline]
    pub(crate) fn meets(&self, need: &Need) -> bool {
        // All columns are compared, without a branch between them.
        let columns = self.free.iter().zip(need.free);
        let enough = columns.fold(true, |enough, (free, needed)| enough & (*free >= needed));
        let all = self.tags & need.all == need.all;
        enough && all && (need.any == 0 || self.tags & need.any != 0)
    }
}

impl Need {
    /// Needs `amount` of what is in a column, or more.
    pub(crate) fn raise(&mut self, column: usize, amount: u64) {
        raise(&mut self.free[column], amount);
    }
}

fn raise(bound: &mut u32, amount: u64) {
    *bound = (*bound).max(u32::try_from(amount).unwrap_or(u32::MAX));
}
