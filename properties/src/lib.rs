//! What must be true: pure predicates over steps of the machines and over clusters.
//!
//! A *safety* property is judged at every step of every machine ([`Safety::check`]), by the checker in
//! every reachable state, by random walks, by replays and over recordings of the running service. It
//! needs the [`Step`] and, for what spans steps and processes, the [`History`] of what truly happened.
//! A *liveness* property is a predicate over a cluster that must become and stay true once faults and
//! outside inputs stop ([`Liveness::check`]).
//!
//! Each says what was violated, with the values and where they stand ([`Violation`]), or that there
//! was nothing to judge ([`Check::Vacuous`]).

mod arithmetic;
mod client;
mod history;
mod liveness;
mod node;
mod outputs;
mod reach;
mod scheduler;

pub use history::{Asked, Ended, Grant, Grants, History, Sent, Tried};
pub use liveness::{Liveness, Snapshot, Unmet};
pub use reach::Witness;

use counterfoil_protocol::{Actor, Client, Node, Output, Scheduler};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One step of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Which machine, what it was, what happened to it, and what it became.
    pub process: Process<'a>,
    /// What it said the world must do. After a torn write, only what the world had done by then.
    pub outputs: &'a [Output],
}

/// A machine before and after a step. `before` and `input` are `None` when it starts.
#[derive(Clone, Copy, Debug)]
pub enum Process<'a> {
    /// A node.
    Node {
        /// What it was.
        before: Option<&'a Node>,
        /// What happened.
        input: Option<&'a counterfoil_protocol::node::Input>,
        /// What it became.
        after: &'a Node,
    },
    /// A scheduler.
    Scheduler {
        /// What it was.
        before: Option<&'a Scheduler>,
        /// What happened.
        input: Option<&'a counterfoil_protocol::scheduler::Input>,
        /// What it became.
        after: &'a Scheduler,
    },
    /// A client.
    Client {
        /// What it was.
        before: Option<&'a Client>,
        /// What happened.
        input: Option<&'a counterfoil_protocol::client::Input>,
        /// What it became.
        after: &'a Client,
    },
}

/// What came of judging a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Its premise is false: there was nothing to judge.
    Vacuous,
    /// It holds.
    Holds,
    /// It does not.
    Violated(Violation),
}

/// What was violated, with the values and where they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Violation {
    /// The clause that is false, with its variables filled in.
    pub clause: String,
    /// Every value in it.
    pub facts: Vec<Fact>,
}

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fact {
    /// What the clause calls it.
    pub name: String,
    /// The value.
    pub value: String,
    /// The way to it from the actor down, by field and key; empty if it stands in the history.
    pub path: Vec<String>,
}

impl Violation {
    /// Of a clause without values.
    pub fn new(clause: impl Into<String>) -> Self {
        Violation { clause: clause.into(), facts: Vec::new() }
    }

    /// The same with a value of this name, which stands at the end of `path`.
    pub fn fact(mut self, name: &str, value: impl fmt::Debug, path: Vec<String>) -> Self {
        self.facts.push(Fact { name: name.to_owned(), value: format!("{value:?}"), path });
        self
    }
}

/// The way to a value from `actor` down.
pub fn path(actor: Actor, fields: &[&dyn fmt::Display]) -> Vec<String> {
    std::iter::once(actor.to_string()).chain(fields.iter().map(ToString::to_string)).collect()
}

/// A property of every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// No grant leaves a node's allocations above the inventory in force when it is given, or is
    /// given against what that inventory or the status allow even to an empty node.
    NoOvercommit,
    /// No grant puts an allocation on a node where it has fewer or more neighbours than it asks for: at
    /// least one of each group that it must be near, and no more than it bears of each group that it
    /// must be apart from.
    GroupsAreKept,
    /// A claim is granted once at most, and on one node at most. No life of a node grants what it has
    /// refused, nor, once it granted a claim of a later life of a scheduler, one of an earlier.
    OneGrantPerClaim,
    /// The stamp that a scheduler caches for a node never decreases.
    ViewsNeverGoBack,
    /// What a scheduler has claimed stays reserved in its copy of the node, once, until the claim is
    /// refused, gone or covered by the cached stamp. It sends a claim only where that fits beside what
    /// is reserved.
    OwnClaimsCountOnce,
    /// No claim is sent to a node that the scheduler knows to refuse it: by a refusal, or by the state
    /// that it caches.
    NoClaimAgainstKnownRefusal,
    /// No claim is sent to a node that is draining, departed or suspected, as far as the scheduler was
    /// told.
    NoClaimToUnavailable,
    /// Every queue, log, window and map respects its limit, and so do attempts and claims however the
    /// machines count them.
    Bounded,
    /// What a scheduler caches for a node at a stamp is the state that the node had at that stamp.
    ViewsAreRealStates,
    /// Every verdict given is true of the node, its stamps and reasons included, and every verdict
    /// acted on was given by that node to that claim, for that request.
    VerdictsAreTrue,
    /// An allocation that was told exists until its client releases it or, if held, it lapses; and
    /// what an operator ordered is in force until the next order.
    AllocationsSurviveRestart,
    /// A request never has two confirmed allocations, and one that its user gave up is neither
    /// confirmed nor sought any more.
    OneConfirmedPerRequest,
    /// A client confirms no member of a bundle before it has chosen a place for each, and tells of none
    /// that it is confirmed before all are. When one has ended otherwise, none goes on.
    BundlesEndWhole,
    /// Placed names a grant to this request; no valid host gives a true reason for every node known,
    /// and knows one.
    AnswersAreTrue,
}

impl Safety {
    /// All of them, in the order of the documentation.
    pub const ALL: [Safety; 14] = [
        Safety::NoOvercommit,
        Safety::GroupsAreKept,
        Safety::OneGrantPerClaim,
        Safety::ViewsNeverGoBack,
        Safety::OwnClaimsCountOnce,
        Safety::NoClaimAgainstKnownRefusal,
        Safety::NoClaimToUnavailable,
        Safety::Bounded,
        Safety::ViewsAreRealStates,
        Safety::VerdictsAreTrue,
        Safety::AllocationsSurviveRestart,
        Safety::OneConfirmedPerRequest,
        Safety::BundlesEndWhole,
        Safety::AnswersAreTrue,
    ];

    /// The name in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Safety::NoOvercommit => "no_overcommit",
            Safety::GroupsAreKept => "groups_are_kept",
            Safety::OneGrantPerClaim => "one_grant_per_claim",
            Safety::ViewsNeverGoBack => "views_never_go_back",
            Safety::OwnClaimsCountOnce => "own_claims_count_once",
            Safety::NoClaimAgainstKnownRefusal => "no_claim_against_known_refusal",
            Safety::NoClaimToUnavailable => "no_claim_to_unavailable",
            Safety::Bounded => "bounded",
            Safety::ViewsAreRealStates => "views_are_real_states",
            Safety::VerdictsAreTrue => "verdicts_are_true",
            Safety::AllocationsSurviveRestart => "allocations_survive_restart",
            Safety::OneConfirmedPerRequest => "one_confirmed_per_request",
            Safety::BundlesEndWhole => "bundles_end_whole",
            Safety::AnswersAreTrue => "answers_are_true",
        }
    }

    /// What it says.
    pub const fn statement(self) -> &'static str {
        match self {
            Safety::NoOvercommit => {
                "No grant leaves a node's allocations above the inventory in force when it is given, \
                 or is given against what that inventory or the status allow even to an empty node."
            }
            Safety::GroupsAreKept => {
                "No grant puts an allocation on a node where it has fewer or more neighbours than it \
                 asks for: at least one of each group that it must be near, and no more than it bears \
                 of each group that it must be apart from."
            }
            Safety::OneGrantPerClaim => {
                "A claim is granted once at most, and on one node at most. No life of a node grants \
                 what it has refused, nor, once it granted a claim of a later life of a scheduler, \
                 one of an earlier."
            }
            Safety::ViewsNeverGoBack => {
                "The stamp that a scheduler caches for a node never decreases."
            }
            Safety::OwnClaimsCountOnce => {
                "What a scheduler has claimed stays reserved in its copy of the node, once, until the \
                 claim is refused, gone or covered by the cached stamp. It sends a claim only where \
                 that fits beside what is reserved."
            }
            Safety::NoClaimAgainstKnownRefusal => {
                "No claim is sent to a node that the scheduler knows to refuse it: by a refusal, or \
                 by the state that it caches."
            }
            Safety::NoClaimToUnavailable => {
                "No claim is sent to a node that is draining, departed or suspected, as far as the \
                 scheduler was told."
            }
            Safety::Bounded => {
                "Every queue, log, window and map respects its limit, and so do attempts and claims \
                 however the machines count them."
            }
            Safety::ViewsAreRealStates => {
                "What a scheduler caches for a node at a stamp is the state that the node had at that \
                 stamp."
            }
            Safety::VerdictsAreTrue => {
                "Every verdict given is true of the node, its stamps and reasons included, and every \
                 verdict acted on was given by that node to that claim, for that request."
            }
            Safety::AllocationsSurviveRestart => {
                "An allocation that was told exists until its client releases it or, if held, it \
                 lapses; and what an operator ordered is in force until the next order."
            }
            Safety::OneConfirmedPerRequest => {
                "A request never has two confirmed allocations, and one that its user gave up is \
                 neither confirmed nor sought any more."
            }
            Safety::BundlesEndWhole => {
                "A client confirms no member of a bundle before it has chosen a place for each, and \
                 tells of none that it is confirmed before all are. When one has ended otherwise, \
                 none goes on."
            }
            Safety::AnswersAreTrue => {
                "Placed names a grant to this request; no valid host gives a true reason for every \
                 node known, and knows one."
            }
        }
    }

    /// Judges it at one step. `history` has observed the step already.
    pub fn check(self, step: &Step, history: &History) -> Check {
        match self {
            Safety::NoOvercommit => node::no_overcommit(step),
            Safety::GroupsAreKept => node::groups_are_kept(step),
            Safety::OneGrantPerClaim => node::one_grant_per_claim(step, history),
            Safety::ViewsNeverGoBack => scheduler::views_never_go_back(step),
            Safety::OwnClaimsCountOnce => scheduler::own_claims_count_once(step, history),
            Safety::NoClaimAgainstKnownRefusal => {
                scheduler::no_claim_against_known_refusal(step, history)
            }
            Safety::NoClaimToUnavailable => scheduler::no_claim_to_unavailable(step, history),
            Safety::Bounded => match step.process {
                Process::Node { before, after, .. } => node::bounded(before, after),
                Process::Scheduler { .. } => scheduler::bounded(step, history),
                Process::Client { after, .. } => client::bounded(after, history),
            },
            Safety::ViewsAreRealStates => scheduler::views_are_real_states(step, history),
            Safety::VerdictsAreTrue => match step.process {
                Process::Node { .. } => node::verdicts_are_true(step, history),
                Process::Scheduler { .. } => scheduler::verdicts_are_true(step, history),
                Process::Client { .. } => client::verdicts_are_true(step, history),
            },
            Safety::AllocationsSurviveRestart => node::allocations_survive_restart(step, history),
            Safety::OneConfirmedPerRequest => match step.process {
                Process::Node { .. } => node::one_confirmed_per_request(step, history),
                Process::Scheduler { .. } => Check::Vacuous,
                Process::Client { .. } => client::one_confirmed_per_request(step, history),
            },
            Safety::BundlesEndWhole => client::bundles_end_whole(step, history),
            Safety::AnswersAreTrue => scheduler::answers_are_true(step, history),
        }
    }
}

impl fmt::Display for Safety {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `Holds`, or the first violation among `judged`; `Vacuous` if nothing was judged.
fn all(judged: impl IntoIterator<Item = Option<Violation>>) -> Check {
    let mut check = Check::Vacuous;
    for violation in judged {
        match violation {
            Some(violation) => return Check::Violated(violation),
            None => check = Check::Holds,
        }
    }
    check
}

/// A size that must not exceed its limit, and where it stands, which is only asked if it does.
fn within(
    limit: &str,
    size: u64,
    max: u64,
    path: impl FnOnce() -> Vec<String>,
) -> Option<Violation> {
    (size > max)
        .then(|| Violation::new(format!("{size} <= {limit} = {max}")).fact("size", size, path()))
}
