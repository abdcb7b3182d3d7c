//! What decisions and updates cost in real time: of many alike, a few are measured.

use crate::histogram::Histogram;
use counterfoil_protocol::{Body, scheduler};
use std::time::Instant;

/// Of so many of a kind one is measured.
const ONE_OF: u64 = 32;

/// What is measured, of schedulers. A decision is a call, a pick and a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call is taken in.
    Call,
    /// The policy picks a node.
    Pick,
    /// What was picked is taken in, and a claim is sent.
    Chosen,
    /// A delta or snapshot is taken in, the policy included.
    Update,
}

/// What was spent on each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    seen: [u64; 4],
    took: [Histogram; 4],
}

impl Kind {
    /// Of a step of a scheduler with this input.
    pub(crate) fn of(input: &scheduler::Input) -> Option<Kind> {
        match input {
            scheduler::Input::Call(..) => Some(Kind::Call),
            scheduler::Input::Chosen(_, Some(_)) => Some(Kind::Chosen),
            scheduler::Input::Datagram(datagram) => {
                let updates = matches!(datagram.body, Body::Delta(_) | Body::Snapshot(_));
                updates.then_some(Kind::Update)
            }
            scheduler::Input::Timer(_)
            | scheduler::Input::Disconnected(_)
            | scheduler::Input::Chosen(_, None)
            | scheduler::Input::Meet(_) => None,
        }
    }
}

impl Spent {
    /// Something of this kind begins: when, if it is measured.
    pub(crate) fn begin(&mut self, kind: Kind) -> Option<Instant> {
        self.seen[kind as usize] += 1;
        self.seen[kind as usize].is_multiple_of(ONE_OF).then(Instant::now)
    }

    /// It has ended.
    pub(crate) fn end(&mut self, kind: Kind, began: Instant) {
        self.took[kind as usize].note(began.elapsed());
    }

    /// The median: on a machine that does other things, too, a mean would be of those.
    fn median_ns(&self, kind: Kind) -> u64 {
        let median = self.took[kind as usize].quantile(0.5);
        u64::try_from(median.as_nanos()).unwrap_or(u64::MAX)
    }

    /// What a decision costs, in nanoseconds.
    pub(crate) fn decision_ns(&self) -> u64 {
        [Kind::Call, Kind::Pick, Kind::Chosen].map(|kind| self.median_ns(kind)).iter().sum()
    }

    /// What an update costs, in nanoseconds.
    pub(crate) fn update_ns(&self) -> u64 {
        self.median_ns(Kind::Update)
    }
}
