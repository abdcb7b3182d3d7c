//! An explorer of our own: a table of fingerprints and a stack.

use crate::{State, Toy};

/// What an exploration saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Distinct states.
    pub distinct: u64,
    /// The first state and every successor of every state: what stateright counts as states, and
    /// Spin as transitions.
    pub generated: u64,
}

/// Visits every state of a toy. The error is a state that violates `no_overcommit`.
pub fn explore(toy: &Toy) -> Result<Counts, State> {
    let hasher = hasher();
    let first = toy.initial();
    let mut seen = Table::new();
    seen.insert(hasher.hash_one(first));
    let mut counts = Counts { distinct: 1, generated: 1 };
    let mut pending = vec![first];
    let mut actions = Vec::new();
    while let Some(state) = pending.pop() {
        if !toy.no_overcommit(state) {
            return Err(state);
        }
        toy.enabled(state, &mut actions);
        counts.generated += actions.len() as u64;
        for action in actions.drain(..) {
            let next = toy.apply(state, action);
            if seen.insert(hasher.hash_one(next)) {
                counts.distinct += 1;
                pending.push(next);
            }
        }
    }
    Ok(counts)
}

/// The same fingerprints in every run.
fn hasher() -> ahash::RandomState {
    ahash::RandomState::with_seeds(1, 2, 3, 4)
}

/// A set of fingerprints: open addressing, 0 for a free slot, at most three quarters full.
struct Table {
    slots: Vec<u64>,
    taken: usize,
}

impl Table {
    fn new() -> Table {
        Table { slots: vec![0; 1 << 16], taken: 0 }
    }

    /// Adds a fingerprint, and says whether it is new.
    #[inline]
    fn insert(&mut self, fingerprint: u64) -> bool {
        // Zero means free; its states share the fingerprint 1.
        let fingerprint = fingerprint.max(1);
        let mask = self.slots.len() - 1;
        let mut at = fingerprint as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == fingerprint {
                return false;
            }
            if slot == 0 {
                break;
            }
            at = (at + 1) & mask;
        }
        self.slots[at] = fingerprint;
        self.taken += 1;
        if self.taken * 4 > self.slots.len() * 3 {
            self.grow();
        }
        true
    }

    #[cold]
    fn grow(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        self.slots = vec![0; slots.len() * 2];
        let mask = self.slots.len() - 1;
        for fingerprint in slots.into_iter().filter(|slot| *slot != 0) {
            let mut at = fingerprint as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = fingerprint;
        }
    }
}
