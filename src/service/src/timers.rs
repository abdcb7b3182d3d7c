//! The timers that are set, by when they are due.

use counterfoil_protocol::Timer;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The timers that are set.
///
/// # Invariants
/// Both fields hold the same timers. There are no more than the machine ever waits for at once,
/// since setting a timer again replaces it and a due one is taken off.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeSet<(Instant, Timer)>,
    set: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets `timer` to be due at `at`, and no longer when it was before.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(before) = self.set.insert(timer.clone(), at) {
            self.due.remove(&(before, timer.clone()));
        }
        self.due.insert((at, timer));
    }

    /// When the next timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes off the timer that has been due for longest at `now`, if one is.
    pub fn take_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.due.pop_first()?;
        self.set.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::NodeId;
    use std::time::Duration;

    #[test]
    fn timers_are_given_in_order_once_they_are_due() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (one, two) = (Timer::Suspect(NodeId(1)), Timer::Suspect(NodeId(2)));
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(two.clone(), at(2));
        timers.set(one.clone(), at(1));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.take_due(at(0)), None);
        assert_eq!(timers.take_due(at(2)), Some(one));
        assert_eq!(timers.take_due(at(2)), Some(two));
        assert_eq!(timers.take_due(at(2)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn setting_a_timer_again_replaces_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        timers.set(Timer::Announce, at(1));
        timers.set(Timer::Announce, at(3));
        assert_eq!(timers.take_due(at(2)), None);
        assert_eq!(timers.take_due(at(3)), Some(Timer::Announce));
        assert_eq!(timers.take_due(at(9)), None);
    }
}
