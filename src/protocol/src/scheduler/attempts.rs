//! The attempts of a scheduler, with how many of them wait.

use super::{Attempt, Phase};
use crate::collections::Map;
use crate::id::AttemptId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;

/// What a scheduler works on, by name.
///
/// With every datagram the attempts that wait are looked at again, and most of the time none does;
/// to look for them among all each time would cost as much as there are attempts. How many wait
/// stands for nothing of its own: it is a function of the attempts and has no place in their
/// serialised form.
///
/// # Invariants
/// The number is that of the attempts that wait, whatever was put in, changed and taken out.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Map<AttemptId, Attempt>", into = "Map<AttemptId, Attempt>")]
pub struct Attempts {
    by_id: Map<AttemptId, Attempt>,
    waiting: usize,
}

fn waits(attempt: &Attempt) -> bool {
    attempt.phase == Phase::Waiting
}

impl Attempts {
    /// Puts an attempt in, in the place of the one of the same name, if there is one.
    pub fn insert(&mut self, id: AttemptId, attempt: Attempt) {
        self.waiting += usize::from(waits(&attempt));
        let before = self.by_id.insert(id, attempt);
        self.waiting -= usize::from(before.is_some_and(|before| waits(&before)));
    }

    /// Takes an attempt out.
    pub fn remove(&mut self, id: &AttemptId) -> Option<Attempt> {
        let attempt = self.by_id.remove(id)?;
        self.waiting -= usize::from(waits(&attempt));
        Some(attempt)
    }

    /// Changes the attempt of this name, if there is one; what comes of that.
    pub fn change<T>(&mut self, id: &AttemptId, how: impl FnOnce(&mut Attempt) -> T) -> Option<T> {
        let attempt = self.by_id.get_mut(id)?;
        self.waiting -= usize::from(waits(attempt));
        let came = how(attempt);
        self.waiting += usize::from(waits(attempt));
        Some(came)
    }

    /// Whether any waits.
    pub fn any_waits(&self) -> bool {
        self.waiting > 0
    }

    /// Those that wait, in order.
    pub fn waiting(&self) -> impl Iterator<Item = AttemptId> {
        self.by_id.iter().filter(|(_, attempt)| waits(attempt)).map(|(id, _)| *id)
    }
}

impl Deref for Attempts {
    type Target = Map<AttemptId, Attempt>;
    fn deref(&self) -> &Self::Target {
        &self.by_id
    }
}

impl From<Map<AttemptId, Attempt>> for Attempts {
    fn from(by_id: Map<AttemptId, Attempt>) -> Self {
        let waiting = by_id.values().filter(|attempt| waits(attempt)).count();
        Attempts { by_id, waiting }
    }
}

impl From<Attempts> for Map<AttemptId, Attempt> {
    fn from(attempts: Attempts) -> Self {
        attempts.by_id
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by_id.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AttemptNumber, ClaimNumber, ClientId, NodeId, RequestId};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn those_that_wait_are_those_of_the_map(
            steps in proptest::collection::vec((0..5u64, 0..4u8, any::<bool>()), 0..60),
        ) {
            let mut attempts = Attempts::default();
            for (request, phase, anew) in steps {
                let id = AttemptId { request: RequestId(request), number: AttemptNumber(1) };
                let phase = match phase {
                    0 => Some(Phase::Choosing),
                    1 => Some(Phase::Waiting),
                    2 => Some(Phase::Claiming(NodeId(1), ClaimNumber(0))),
                    _ => None,
                };
                match phase {
                    Some(phase) if anew => attempts.insert(id, Attempt {
                        client: ClientId(1),
                        demand: Default::default(),
                        phase,
                        claims_made: 0,
                        refusals: Map::default(),
                    }),
                    Some(phase) => drop(attempts.change(&id, |attempt| attempt.phase = phase)),
                    None => drop(attempts.remove(&id)),
                }
                let anew = Attempts::from(Map::clone(&attempts));
                prop_assert_eq!(&attempts, &anew);
                let wait = attempts.iter().filter(|(_, a)| waits(a)).map(|(id, _)| *id);
                prop_assert!(attempts.waiting().eq(wait));
                prop_assert_eq!(attempts.any_waits(), attempts.waiting().next().is_some());
            }
        }
    }
}
