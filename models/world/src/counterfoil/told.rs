//! What readers are told of this protocol.

use crate::changes::words;
use counterfoil_protocol::{Notice, Rule, Rules};

/// Fields that only serve the machines.
pub(super) const BOOKKEEPING: [&str; 8] = [
    "announced",
    "attempts_made",
    "choosing",
    "claims_made",
    "floor",
    "next",
    "recent",
    "subscribers",
];

/// Arms that are not what they are called while a rule is off, and what they are then.
const OTHERWISE: [(Notice, Rule, &str); 4] = [
    (Notice::GrantCovered, Rule::ReservationOutlivesTheVerdict, "grant taken for covered"),
    (Notice::DeltaGap, Rule::GapsAreNotApplied, "delta gap, applied nevertheless"),
    (Notice::SnapshotStale, Rule::SnapshotsNeverGoBack, "snapshot stale, applied nevertheless"),
    (Notice::RoomPassedOn, Rule::RoomIsPassedOn, "room passed on to nobody"),
];

/// An arm that was taken, in words.
pub(super) fn arm(rules: Rules, arm: Notice) -> String {
    let mut otherwise = OTHERWISE.iter().filter(|(of, rule, _)| *of == arm && !rules.has(*rule));
    match otherwise.next() {
        Some((_, _, told)) => (*told).to_owned(),
        None => words(&format!("{arm:?}")),
    }
}
