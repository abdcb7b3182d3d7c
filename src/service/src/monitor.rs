//! Judges the steps of this process while they happen, by the properties that look at one actor.
//!
//! What is judged is what the checker judges, and by the same code. A node is judged by itself alone;
//! a scheduler also by what it has sent and heard in this life, which the monitor keeps, no longer
//! than it matters. What looks at several actors is judged from their recordings, together.

use counterfoil_properties::{Check, History, Safety, Step, Violation};
use counterfoil_protocol::{Actor, Machine, Output};
use counterfoil_recording::Role;
use counterfoil_recording::audit::Judged;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// What to do about a violation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnViolation {
    /// Nothing: steps are not judged.
    Off,
    /// Count it.
    Count,
    /// Count it, and log it as an error.
    #[default]
    Log,
    /// Log it, and stop before anything of it is told. The step is in the recording.
    Abort,
}

impl OnViolation {
    /// All of them.
    pub const ALL: [OnViolation; 4] =
        [OnViolation::Off, OnViolation::Count, OnViolation::Log, OnViolation::Abort];

    /// The name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            OnViolation::Off => "off",
            OnViolation::Count => "count",
            OnViolation::Log => "log",
            OnViolation::Abort => "abort",
        }
    }
}

impl fmt::Display for OnViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of off, count, log and abort")]
pub struct UnknownOnViolation(String);

impl FromStr for OnViolation {
    type Err = UnknownOnViolation;
    fn from_str(text: &str) -> Result<Self, UnknownOnViolation> {
        let found = OnViolation::ALL.into_iter().find(|known| known.as_str() == text);
        found.ok_or_else(|| UnknownOnViolation(text.to_owned()))
    }
}

/// How closely a process watches itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What to do about a violation.
    pub on_violation: OnViolation,
    /// One step of so many is judged. A scheduler's costs as much as it knows nodes.
    pub one_of: NonZeroU32,
}

impl Default for Watch {
    fn default() -> Self {
        Watch { on_violation: OnViolation::default(), one_of: NonZeroU32::MIN }
    }
}

/// A property that was violated, and how.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{property} is violated at {actor}: {}", violation.clause)]
pub struct Violated {
    /// Which.
    pub property: Safety,
    /// Whose step it was.
    pub actor: Actor,
    /// How.
    pub violation: Violation,
}

/// Judges the steps of the machines of a process.
#[derive(Debug)]
pub(crate) struct Monitor {
    watch: Watch,
    history: History,
    steps: u32,
}

/// A step that is under way.
pub(crate) struct UnderWay<R: Role> {
    before: R,
    input: <R as Machine>::Input,
}

/// The properties that can be judged by what one process knows of itself.
const LOCAL: [Safety; 7] = [
    Safety::NoOvercommit,
    Safety::GroupsAreKept,
    Safety::ViewsNeverGoBack,
    Safety::OwnClaimsCountOnce,
    Safety::NoClaimAgainstKnownRefusal,
    Safety::NoClaimToUnavailable,
    Safety::Bounded,
];

impl Monitor {
    /// `None` if nothing is to be judged.
    pub(crate) fn new(watch: Watch) -> Option<Monitor> {
        let watches = watch.on_violation != OnViolation::Off;
        watches.then(|| Monitor { watch, history: History::default(), steps: 0 })
    }

    /// What to do about a violation.
    pub(crate) fn on_violation(&self) -> OnViolation {
        self.watch.on_violation
    }

    /// The machine has started.
    pub(crate) fn started<R: Judged>(&mut self, machine: &R, outputs: &[Output]) {
        if R::HAS_HISTORY {
            let process = R::process(None, None, machine);
            self.history.observe(&Step { process, outputs });
        }
    }

    /// The machine is about to take a step; `None` if it need not be looked at.
    pub(crate) fn begin<R: Judged>(
        &mut self,
        machine: &R,
        input: &R::Input,
    ) -> Option<UnderWay<R>> {
        self.steps = self.steps.wrapping_add(1);
        let looked_at = R::HAS_HISTORY || self.is_judged();
        looked_at.then(|| UnderWay { before: machine.clone(), input: input.clone() })
    }

    fn is_judged(&self) -> bool {
        self.steps.is_multiple_of(self.watch.one_of.get())
    }

    /// The machine has taken the step: which properties it violates.
    pub(crate) fn end<R: Judged>(
        &mut self,
        under_way: &UnderWay<R>,
        machine: &R,
        outputs: &[Output],
    ) -> Vec<(Safety, Violation)> {
        let process = R::process(Some(&under_way.before), Some(&under_way.input), machine);
        let step = Step { process, outputs };
        if R::HAS_HISTORY {
            self.history.observe(&step);
        }
        if !self.is_judged() {
            return Vec::new();
        }
        let violated = |property: Safety| match property.check(&step, &self.history) {
            Check::Vacuous | Check::Holds => None,
            Check::Violated(violation) => Some((property, violation)),
        };
        LOCAL.into_iter().filter_map(violated).collect()
    }
}
