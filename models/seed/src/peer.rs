//! What schedulers and nodes keep of each other alike: whether the other is there, and whether all of
//! its state is owed.

use serde::{Deserialize, Serialize};

/// Whether a peer takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is not there.
    Disabled,
    /// It is there, and its state is not.
    Standby,
    /// Its state is there.
    Active,
}

/// What the database says of the service of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Nothing: it is unknown, or out of service, which looks the same.
    Absent,
    /// It gives no signs of life.
    Down,
    /// It gives signs of life.
    Up,
}

impl Record {
    /// From a list of services.
    pub fn of(up: Option<&bool>) -> Self {
        match up {
            None => Record::Absent,
            Some(false) => Record::Down,
            Some(true) => Record::Up,
        }
    }
}

/// What the periodic task comes to for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// Nothing is to be done.
    Nothing,
    /// The peer was disabled: what is kept of it is to be forgotten.
    Disabled,
    /// All of its state is to be asked for.
    Refresh,
    /// The job of the period is to be done; before that, if so, all of its state asked for again.
    Periodic {
        /// Whether the state is still owed.
        again: bool,
    },
}

/// A peer: its name says who, and nothing says which life of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// Whether it takes part.
    pub mode: Mode,
    /// Whether one period without signs of life is borne: it was heard of otherwise.
    pub transient: bool,
    /// Whether its state is owed: it is not asked for again before the next period.
    pub fallen: bool,
}

impl Default for Peer {
    fn default() -> Self {
        Peer { mode: Mode::Standby, transient: true, fallen: false }
    }
}

impl Peer {
    /// Whether its state is there.
    pub fn is_active(&self) -> bool {
        self.mode == Mode::Active
    }

    /// Forgets it. Whether it was there.
    pub fn disable(&mut self) -> bool {
        let was = self.mode != Mode::Disabled;
        if was {
            *self = Peer { mode: Mode::Disabled, transient: false, fallen: false };
        }
        was
    }

    /// Whether its state is to be asked for now; it is owed from now on.
    pub fn refresh(&mut self, force: bool) -> bool {
        if self.fallen && !force {
            return false;
        }
        if self.mode == Mode::Disabled {
            self.mode = Mode::Standby;
        }
        self.transient = true;
        self.fallen = true;
        true
    }

    /// Its state came.
    pub fn activate(&mut self) {
        self.fallen = false;
        self.mode = Mode::Active;
    }

    /// The period passed without a sign of life. Whether it is disabled by that.
    fn bear(&mut self) -> bool {
        if self.is_active() && self.transient {
            self.transient = false;
            return false;
        }
        self.disable()
    }

    /// What the periodic task comes to, given what the database says.
    pub fn sync(&mut self, record: Record) -> Synced {
        match record {
            Record::Up if self.is_active() => {
                self.transient = false;
                let owed = std::mem::take(&mut self.fallen);
                Synced::Periodic { again: owed && self.refresh(false) }
            }
            Record::Up => {
                self.transient = false;
                self.fallen = false;
                self.refresh(false);
                Synced::Refresh
            }
            Record::Down | Record::Absent => {
                if self.bear() {
                    Synced::Disabled
                } else {
                    Synced::Nothing
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active() -> Peer {
        let mut peer = Peer::default();
        assert!(peer.refresh(false));
        peer.activate();
        peer
    }

    #[test]
    fn a_state_that_is_owed_is_not_asked_for_again_before_the_next_period() {
        let mut peer = active();
        assert!(peer.refresh(false));
        assert!(!peer.refresh(false), "it is owed");
        assert!(peer.refresh(true), "unless forced");
        assert_eq!(peer.sync(Record::Up), Synced::Periodic { again: true });
        peer.activate();
        assert_eq!(peer.sync(Record::Up), Synced::Periodic { again: false });
    }

    #[test]
    fn one_period_without_a_sign_of_life_is_borne_by_who_was_heard_of_otherwise() {
        let mut peer = active();
        assert_eq!(peer.sync(Record::Absent), Synced::Nothing);
        assert_eq!(peer.sync(Record::Absent), Synced::Disabled);
        assert_eq!(peer.sync(Record::Absent), Synced::Nothing, "it is disabled already");
        assert_eq!(peer.sync(Record::Up), Synced::Refresh);
        assert_eq!(peer.mode, Mode::Standby);
        assert_eq!(peer.sync(Record::Down), Synced::Disabled, "nobody bears with one on standby");
    }

    #[test]
    fn a_sign_of_life_ends_the_grace() {
        let mut peer = active();
        assert_eq!(peer.sync(Record::Up), Synced::Periodic { again: false });
        assert_eq!(peer.sync(Record::Down), Synced::Disabled);
    }
}
