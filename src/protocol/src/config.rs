//! What a machine is given at construction: rules, limits, intervals.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A rule of the protocol, as a switch for the checker. The service runs with [`Rules::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A node grants by its own state, never by the claimer's.
    NodeJudgesClaims,
    /// Every change of allocations, inventory and life is on disk before any datagram that depends
    /// on it.
    DurableBeforeTold,
    /// No claim is granted twice within a life: a node remembers what it decided about every claim
    /// that may still arrive.
    GrantedClaimsStayDecided,
    /// A claim is meant for one life of the node; another life only reports what is on disk.
    ClaimsNameAnIncarnation,
    /// Lives are counted durably, in every id and stamp; the superseded stop.
    IncarnationsOnBothEnds,
    /// A client writes its choice down before the first confirm; only gone clears it.
    ClientKeepsItsChoice,
    /// A reservation ends when the cached stamp covers the grant, or on a refusal, or gone.
    ReservationOutlivesTheVerdict,
    /// A delta that does not follow the cached stamp changes nothing.
    GapsAreNotApplied,
    /// Beats compare stamps, so that a lost tail is noticed.
    QuietStreamsCarryTheirStamp,
    /// An older snapshot never replaces a newer state.
    SnapshotsNeverGoBack,
    /// A hold that nobody confirms is given back by the node, on its own timer.
    UnconfirmedHoldsLapse,
    /// A refusal excludes the node for this request until the cache has caught up with it.
    RefusalsTeach,
    /// Draining, departed and suspected nodes take no new claims.
    UnavailableNodesAreNotChosen,
    /// Gone ends the attempt, and the claims of an attempt are counted.
    GoneEndsTheAttempt,
    /// The choices of a bundle are made together, once something is placed for each member, and
    /// written together.
    BundlesAreChosenWhole,
    /// An attempt that is asked again because of a node and does not claim there passes the room on to
    /// the next that waits.
    RoomIsPassedOn,
}

impl Rule {
    /// All of them, in the order of the documentation.
    pub const ALL: [Rule; 16] = [
        Rule::NodeJudgesClaims,
        Rule::DurableBeforeTold,
        Rule::GrantedClaimsStayDecided,
        Rule::ClaimsNameAnIncarnation,
        Rule::IncarnationsOnBothEnds,
        Rule::ClientKeepsItsChoice,
        Rule::ReservationOutlivesTheVerdict,
        Rule::GapsAreNotApplied,
        Rule::QuietStreamsCarryTheirStamp,
        Rule::SnapshotsNeverGoBack,
        Rule::UnconfirmedHoldsLapse,
        Rule::RefusalsTeach,
        Rule::UnavailableNodesAreNotChosen,
        Rule::GoneEndsTheAttempt,
        Rule::BundlesAreChosenWhole,
        Rule::RoomIsPassedOn,
    ];

    /// The name in scenarios and reports.
    pub fn name(self) -> &'static str {
        match self {
            Rule::NodeJudgesClaims => "node_judges_claims",
            Rule::DurableBeforeTold => "durable_before_told",
            Rule::GrantedClaimsStayDecided => "granted_claims_stay_decided",
            Rule::ClaimsNameAnIncarnation => "claims_name_an_incarnation",
            Rule::IncarnationsOnBothEnds => "incarnations_on_both_ends",
            Rule::ClientKeepsItsChoice => "client_keeps_its_choice",
            Rule::ReservationOutlivesTheVerdict => "reservation_outlives_the_verdict",
            Rule::GapsAreNotApplied => "gaps_are_not_applied",
            Rule::QuietStreamsCarryTheirStamp => "quiet_streams_carry_their_stamp",
            Rule::SnapshotsNeverGoBack => "snapshots_never_go_back",
            Rule::UnconfirmedHoldsLapse => "unconfirmed_holds_lapse",
            Rule::RefusalsTeach => "refusals_teach",
            Rule::UnavailableNodesAreNotChosen => "unavailable_nodes_are_not_chosen",
            Rule::GoneEndsTheAttempt => "gone_ends_the_attempt",
            Rule::BundlesAreChosenWhole => "bundles_are_chosen_whole",
            Rule::RoomIsPassedOn => "room_is_passed_on",
        }
    }

    /// The rule of this name.
    pub fn named(name: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which rules are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rules(u32);

impl Rules {
    /// Every rule: the protocol.
    pub const ALL: Rules = Rules((1 << Rule::ALL.len()) - 1);

    /// The same without `rule`.
    #[must_use]
    pub const fn without(self, rule: Rule) -> Rules {
        Rules(self.0 & !(1 << rule as u32))
    }

    /// Whether `rule` is in force.
    pub const fn has(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u32) != 0
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules::ALL
    }
}

/// What a machine never exceeds. Reaching one leaves a notice (property `bounded`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Node: allocations at once. More claims are refused as [`crate::Reason::Full`].
    pub allocations_max: usize,
    /// Node: groups that its allocations are in at once. A claim that would make them more is refused
    /// as [`crate::Reason::Full`]. The host state names each, and must fit one datagram.
    pub groups_max: usize,
    /// Node: schedulers that are sent changes. One more is told nothing until another is forgotten.
    pub subscribers_max: usize,
    /// Node: schedulers whose claims are fenced. One more makes the node start a new life.
    pub fences_max: usize,
    /// Node: changes that a delta can go back over; an older stamp is answered with a snapshot.
    pub delta_log_max: usize,
    /// Node and scheduler: claim numbers of one scheduler open at one node at once.
    pub claims_open_max: u64,
    /// Scheduler: nodes known. One more is ignored.
    pub nodes_max: usize,
    /// Scheduler: attempts being worked on. One more is answered [`crate::Placement::Overloaded`].
    pub attempts_pending_max: usize,
    /// Scheduler: claims made for one attempt; then it is answered [`crate::Placement::Exhausted`].
    pub claims_per_attempt_max: u32,
    /// Client: requests on record. One more ends at once as [`crate::Outcome::Overloaded`].
    pub requests_max: usize,
    /// Client: requests in one bundle. A larger one ends at once as [`crate::Outcome::Overloaded`].
    pub bundle_max: usize,
    /// Client: attempts of one request; then it ends as [`crate::Outcome::Exhausted`].
    pub attempts_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            allocations_max: 4096,
            groups_max: 40,
            subscribers_max: 64,
            fences_max: 256,
            delta_log_max: 64,
            claims_open_max: 64,
            nodes_max: 100_000,
            attempts_pending_max: 4096,
            claims_per_attempt_max: 16,
            requests_max: 1_000_000,
            bundle_max: 16,
            attempts_max: 8,
        }
    }
}

/// How long things take. Only pace depends on these, never safety.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intervals {
    /// Node: from a change to the delta that carries it; changes in between share one delta. Longer
    /// than a claim and its verdict take, it costs more claims than it saves deltas: whoever is refused
    /// for what others were granted chooses again by the same stale copies.
    pub announce: Duration,
    /// Node: from one announcement to the next when nothing changes. Scheduler: from one resync of
    /// a node to the next.
    pub beat: Duration,
    /// Node: from a grant to its lapse, if it is not confirmed. Much longer than `resend`.
    pub lapse: Duration,
    /// Node and scheduler: silence after which the other end is forgotten or suspected. Several
    /// beats.
    pub silence: Duration,
    /// Scheduler and client: from a datagram without an answer to the next.
    pub resend: Duration,
    /// Client: from a failed attempt to the next.
    pub retry: Duration,
    /// Client: how long an attempt may go unanswered before another is made beside it.
    pub impatience: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Intervals {
            announce: Duration::ZERO,
            beat: Duration::from_millis(500),
            lapse: Duration::from_secs(30),
            silence: Duration::from_secs(3),
            resend: Duration::from_millis(100),
            retry: Duration::from_millis(200),
            impatience: Duration::from_secs(10),
        }
    }
}

/// Rules, limits and intervals together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The rules in force.
    pub rules: Rules,
    /// What is never exceeded.
    pub limits: Limits,
    /// How long things take.
    pub intervals: Intervals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_found_by_its_name_and_switched_off_alone() {
        for (index, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, index, "{rule} stands in the order of its bit");
            assert_eq!(Rule::named(rule.name()), Some(rule));
            let without = Rules::ALL.without(rule);
            for other in Rule::ALL {
                assert_eq!(without.has(other), other != rule);
            }
        }
        assert_eq!(Rule::named("no_such_rule"), None);
    }
}
