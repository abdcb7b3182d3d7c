//! What must be seen to happen, lest the properties hold because nothing does.

use crate::outputs::verdicts;
use crate::{Process, Step};
use counterfoil_protocol::{
    Actor, Body, Datagram, Decision, Delta, Notice, Output, Reason, node, scheduler,
};
use serde::{Deserialize, Serialize};

/// Something that must be reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// A claim is refused.
    ClaimRefused,
    /// A claim is refused because too many of a group are there.
    RefusedApart,
    /// A claim is refused because none of a group is there.
    RefusedNear,
    /// All members of a bundle are confirmed.
    BundleConfirmed,
    /// A bundle is given up because one member was.
    BundleGivenUp,
    /// Two schedulers race for the last slot: one is refused for what the other was granted.
    RaceForTheLastSlot,
    /// A gap is found.
    GapFound,
    /// A resync is answered by a delta.
    ResyncByDelta,
    /// A resync is answered by a snapshot.
    ResyncBySnapshot,
    /// A hold lapses.
    HoldLapses,
    /// A stale verdict arrives.
    StaleVerdict,
    /// A node restarts with a claim to it in flight.
    NodeRestartsMidClaim,
    /// A scheduler restarts with a claim of it in flight.
    SchedulerRestartsMidClaim,
    /// A delta over several versions is applied.
    DeltaSkipsVersions,
    /// A client confirms after the scheduler that placed its request died.
    ConfirmAfterSchedulerDied,
}

impl Witness {
    /// All of them.
    pub const ALL: [Witness; 15] = [
        Witness::ClaimRefused,
        Witness::RefusedApart,
        Witness::RefusedNear,
        Witness::BundleConfirmed,
        Witness::BundleGivenUp,
        Witness::RaceForTheLastSlot,
        Witness::GapFound,
        Witness::ResyncByDelta,
        Witness::ResyncBySnapshot,
        Witness::HoldLapses,
        Witness::StaleVerdict,
        Witness::NodeRestartsMidClaim,
        Witness::SchedulerRestartsMidClaim,
        Witness::DeltaSkipsVersions,
        Witness::ConfirmAfterSchedulerDied,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Witness::ClaimRefused => "claim_refused",
            Witness::RefusedApart => "refused_apart",
            Witness::RefusedNear => "refused_near",
            Witness::BundleConfirmed => "bundle_confirmed",
            Witness::BundleGivenUp => "bundle_given_up",
            Witness::RaceForTheLastSlot => "race_for_the_last_slot",
            Witness::GapFound => "gap_found",
            Witness::ResyncByDelta => "resync_by_delta",
            Witness::ResyncBySnapshot => "resync_by_snapshot",
            Witness::HoldLapses => "hold_lapses",
            Witness::StaleVerdict => "stale_verdict",
            Witness::NodeRestartsMidClaim => "node_restarts_mid_claim",
            Witness::SchedulerRestartsMidClaim => "scheduler_restarts_mid_claim",
            Witness::DeltaSkipsVersions => "delta_skips_versions",
            Witness::ConfirmAfterSchedulerDied => "confirm_after_scheduler_died",
        }
    }

    /// What one step of one machine witnesses, given what is in flight and who lives.
    pub fn seen<'a>(
        step: &Step<'a>,
        in_flight: impl Fn() -> Vec<&'a Datagram>,
        lives: impl Fn(&Datagram) -> bool,
    ) -> Vec<Witness> {
        let mut seen: Vec<Witness> = notices(step).filter_map(by_notice).collect();
        match step.process {
            Process::Node { before: None, after, .. } => {
                let to_it = Actor::Node(after.id);
                let claim =
                    |d: &&Datagram| d.dst.actor == to_it && matches!(d.body, Body::Claim(_));
                if after.incarnation().0 > 1 && in_flight().iter().any(claim) {
                    seen.push(Witness::NodeRestartsMidClaim);
                }
            }
            Process::Scheduler { before: None, after, .. } => {
                let of_it = Actor::Scheduler(after.id);
                let claim =
                    |d: &&Datagram| d.src.actor == of_it && matches!(d.body, Body::Claim(_));
                if after.incarnation.0 > 1 && in_flight().iter().any(claim) {
                    seen.push(Witness::SchedulerRestartsMidClaim);
                }
            }
            Process::Node { before: Some(before), input: Some(input), .. } => {
                if refuses(step, |reason| matches!(reason, Reason::AntiAffinity(_))) {
                    seen.push(Witness::RefusedApart);
                }
                if refuses(step, |reason| matches!(reason, Reason::Affinity(_))) {
                    seen.push(Witness::RefusedNear);
                }
                if races(step, before, input) {
                    seen.push(Witness::RaceForTheLastSlot);
                }
                if let node::Input::Datagram(datagram) = input
                    && notices(step).any(|notice| notice == Notice::HoldConfirmed)
                    && !lives(datagram)
                {
                    seen.push(Witness::ConfirmAfterSchedulerDied);
                }
            }
            Process::Scheduler { before: Some(before), input: Some(input), .. } => {
                if skips(step, before, input) {
                    seen.push(Witness::DeltaSkipsVersions);
                }
            }
            Process::Node { .. } | Process::Scheduler { .. } | Process::Client { .. } => {}
        }
        seen
    }
}

fn notices<'a>(step: &Step<'a>) -> impl Iterator<Item = Notice> + 'a {
    step.outputs
        .iter()
        .filter_map(|output| if let Output::Notice(notice) = output { Some(*notice) } else { None })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "few notices are witnesses by themselves")]
fn by_notice(notice: Notice) -> Option<Witness> {
    match notice {
        Notice::ClaimRefused => Some(Witness::ClaimRefused),
        Notice::DeltaGap | Notice::BeatAhead => Some(Witness::GapFound),
        Notice::ResyncByDelta => Some(Witness::ResyncByDelta),
        Notice::ResyncBySnapshot => Some(Witness::ResyncBySnapshot),
        Notice::HoldLapsed => Some(Witness::HoldLapses),
        Notice::BundleConfirmed => Some(Witness::BundleConfirmed),
        Notice::BundleGivenUp => Some(Witness::BundleGivenUp),
        Notice::VerdictStale => Some(Witness::StaleVerdict),
        _ => None,
    }
}

/// Whether the step refuses something for such a reason.
fn refuses(step: &Step, is_such: impl Fn(&Reason) -> bool) -> bool {
    verdicts(step.outputs).any(|verdict| match &verdict.decision {
        Decision::Refused(refusal) => is_such(&refusal.reason),
        Decision::Granted { .. } | Decision::Confirmed { .. } | Decision::Gone => false,
    })
}

/// Whether the step refuses a claim for want of what another scheduler was granted.
fn races(step: &Step, before: &node::Node, input: &node::Input) -> bool {
    let node::Input::Datagram(Datagram { body: Body::Claim(claim), .. }) = input else {
        return false;
    };
    let for_capacity = refuses(step, |reason| matches!(reason, Reason::Capacity(_)));
    let of_another =
        |other: &counterfoil_protocol::ClaimId| other.scheduler != claim.claim.scheduler;
    for_capacity && before.durable.allocations.keys().any(of_another)
}

/// Whether the step applies a delta over several versions.
fn skips(step: &Step, before: &scheduler::Scheduler, input: &scheduler::Input) -> bool {
    let scheduler::Input::Datagram(Datagram { src, body: Body::Delta(delta), .. }) = input else {
        return false;
    };
    let Delta { to, .. } = delta;
    let Actor::Node(node) = src.actor else { return false };
    let cached = before.nodes.get(&node).and_then(|peer| peer.host.as_ref());
    let several = cached.is_some_and(|host| to.0 > host.stamp.version.0 + 1);
    several && notices(step).any(|notice| notice == Notice::DeltaApplied)
}
