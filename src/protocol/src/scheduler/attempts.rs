//! The attempts of a scheduler, and in which order those wait that do.

use super::{Attempt, Phase};
use crate::collections::Map;
use crate::id::{AttemptId, Turn};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Bound, Deref};

/// What a scheduler works on, by name.
///
/// With every datagram the attempts that wait are looked at again, and most of the time none does;
/// to look for them among all each time would cost as much as there are attempts. Who has which turn
/// stands for nothing of its own: it is a function of the attempts and has no place in their
/// serialised form.
///
/// # Invariants
/// The turns are those of the attempts, whatever was put in, changed and taken out, and no two
/// attempts have the same.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Map<AttemptId, Attempt>", into = "Map<AttemptId, Attempt>")]
pub struct Attempts {
    by_id: Map<AttemptId, Attempt>,
    turns: Map<Turn, AttemptId>,
}

impl Attempts {
    /// Puts an attempt in, in the place of the one of the same name, if there is one.
    pub fn insert(&mut self, id: AttemptId, attempt: Attempt) {
        let now = attempt.phase.turn();
        let before = self.by_id.insert(id, attempt).and_then(|before| before.phase.turn());
        self.turn(id, before, now);
    }

    /// Takes an attempt out.
    pub fn remove(&mut self, id: &AttemptId) -> Option<Attempt> {
        let attempt = self.by_id.remove(id)?;
        self.turn(*id, attempt.phase.turn(), None);
        Some(attempt)
    }

    /// Changes the attempt of this name, if there is one; what comes of that.
    pub fn change<T>(&mut self, id: &AttemptId, how: impl FnOnce(&mut Attempt) -> T) -> Option<T> {
        let attempt = self.by_id.get_mut(id)?;
        let before = attempt.phase.turn();
        let came = how(attempt);
        let now = attempt.phase.turn();
        self.turn(*id, before, now);
        Some(came)
    }

    fn turn(&mut self, id: AttemptId, before: Option<Turn>, now: Option<Turn>) {
        if before == now {
            return;
        }
        if let Some(before) = before {
            self.turns.remove(&before);
        }
        if let Some(now) = now {
            self.turns.insert(now, id);
        }
    }

    /// Counts the turns from 1 on, in the same order. Only their order means anything: this is for who
    /// compares schedulers.
    pub fn count_turns_anew(&mut self) {
        let turns: Vec<(Turn, AttemptId)> = self.turns.iter().map(|(t, id)| (*t, *id)).collect();
        for ((before, id), now) in turns.into_iter().zip((1..).map(Turn)) {
            if before != now {
                self.change(&id, |attempt| attempt.phase = attempt.phase.with_turn(now));
            }
        }
    }

    /// The turn behind all that wait.
    pub fn next_turn(&self) -> Turn {
        self.turns.get_max().map_or(Turn(1), |(Turn(last), _)| Turn(last + 1))
    }

    /// Those that wait, behind the turn `after` or all, in the order of their turns.
    pub fn waiting(&self, after: Option<Turn>) -> impl Iterator<Item = (AttemptId, Turn)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let turns = self.turns.range((from, Bound::Unbounded));
        let waits = |id: &AttemptId| matches!(self.by_id[id].phase, Phase::Waiting(_));
        turns.filter(move |(_, id)| waits(id)).map(|(turn, id)| (*id, *turn))
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
        let turns = by_id.iter().filter_map(|(id, attempt)| Some((attempt.phase.turn()?, *id)));
        Attempts { turns: turns.collect(), by_id }
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
        fn turns_are_those_of_the_attempts(
            steps in proptest::collection::vec((0..5u64, 0..5u8, any::<bool>()), 0..60),
        ) {
            let mut attempts = Attempts::default();
            for (request, phase, anew) in steps {
                let id = AttemptId { request: RequestId(request), number: AttemptNumber(1) };
                let turn = attempts.get(&id).and_then(|attempt| attempt.phase.turn());
                let turn = turn.unwrap_or_else(|| attempts.next_turn());
                let phase = match phase {
                    0 => Some(Phase::Choosing),
                    1 => Some(Phase::Waiting(turn)),
                    2 => Some(Phase::ChoosingAgain(turn, NodeId(1))),
                    3 => Some(Phase::Claiming(NodeId(1), ClaimNumber(0))),
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
                let mut waiting: Vec<(AttemptId, Turn)> = attempts
                    .iter()
                    .filter(|(_, attempt)| matches!(attempt.phase, Phase::Waiting(_)))
                    .filter_map(|(id, attempt)| Some((*id, attempt.phase.turn()?)))
                    .collect();
                waiting.sort_by_key(|(_, turn)| *turn);
                prop_assert!(attempts.waiting(None).eq(waiting.iter().copied()));
                waiting.retain(|(_, turn)| *turn > Turn(2));
                prop_assert!(attempts.waiting(Some(Turn(2))).eq(waiting));
                let order: Vec<AttemptId> = attempts.turns.values().copied().collect();
                let mut anew = attempts.clone();
                anew.count_turns_anew();
                prop_assert!(anew.turns.values().eq(&order));
                prop_assert!(anew.turns.keys().copied().eq((1..).map(Turn).take(order.len())));
                prop_assert_eq!(&anew, &Attempts::from(Map::clone(&anew)));
                let phases = |a: &Attempts| a.values().map(|a| a.phase.with_turn(Turn(0))).collect::<Vec<_>>();
                prop_assert_eq!(phases(&anew), phases(&attempts));
                prop_assert!(attempts.iter().all(|(_, a)| a.phase.turn() < Some(attempts.next_turn())));
            }
        }
    }
}
