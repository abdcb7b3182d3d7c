//! Which way every decision of the machines went.

use crate::machine::Output;
use serde::{Deserialize, Serialize};

/// Leaves a notice.
pub(crate) fn notice(notice: Notice, outbox: &mut Vec<Output>) {
    outbox.push(Output::Notice(notice));
}

macro_rules! notices {
    ($( $(#[$guard_doc:meta])* $guard:ident { $( $(#[$doc:meta])* $arm:ident, )* } )*) => {
        /// One arm of one decision. Every input leaves at least one, so the notices that were seen
        /// are the coverage of the machines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Notice {
            $($( $(#[$doc])* $arm, )*)*
        }

        /// A decision: every way it can go is one [`Notice`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Guard {
            $( $(#[$guard_doc])* $guard, )*
        }

        impl Notice {
            /// All of them, by decision.
            pub const ALL: &[Notice] = &[ $($( Notice::$arm, )*)* ];

            /// The decision that it is an outcome of.
            pub fn guard(self) -> Guard {
                match self { $($( Notice::$arm => Guard::$guard, )*)* }
            }
        }

        impl Guard {
            /// All of them.
            pub const ALL: &[Guard] = &[ $( Guard::$guard, )* ];

            /// The name in reports.
            pub fn name(self) -> &'static str {
                match self { $( Guard::$guard => stringify!($guard), )* }
            }
        }
    };
}

notices! {
    /// Node: what to say to a claim.
    ClaimArrives {
        /// Its allocation exists: say so again.
        ClaimRepeated,
        /// Its number is below the floor: nobody waits for a verdict.
        ClaimBelowFloor,
        /// A later life of the scheduler is known.
        ClaimSuperseded,
        /// It was granted and is over.
        ClaimOver,
        /// It was refused: say so again.
        ClaimRefusedAsThen,
        /// It was meant for another life of the node.
        ClaimForOtherLife,
        /// Its number is outside the window that starts at its floor.
        ClaimMalformed,
        /// The table of fences is full: a new life starts.
        ClaimFillsFences,
        /// It is judged by the node's own state.
        ClaimJudged,
    }
    /// Node: the judgement.
    ClaimIsJudged {
        /// It fits.
        ClaimGranted,
        /// It does not.
        ClaimRefused,
        /// The node has as many allocations as it can keep.
        ClaimRefusedFull,
        /// Its allocations would be in more groups than they may be.
        ClaimRefusedForGroups,
    }
    /// Node: a confirm.
    ConfirmArrives {
        /// The hold is confirmed.
        HoldConfirmed,
        /// It was confirmed before.
        ConfirmRepeated,
        /// There is no such allocation.
        ConfirmGone,
    }
    /// Node: a release.
    ReleaseArrives {
        /// The allocation ends.
        AllocationReleased,
        /// There is no such allocation.
        ReleaseGone,
    }
    /// Node: the lapse timer.
    LapseFires {
        /// The hold is given back.
        HoldLapsed,
        /// It was confirmed or is over.
        LapseIgnored,
    }
    /// Node: a resync.
    ResyncArrives {
        /// It comes from a life of the scheduler that is over.
        ResyncSuperseded,
        /// There is no room for another subscriber.
        ResyncTooMany,
        /// Nothing is missing: a beat says so.
        ResyncUpToDate,
        /// The log reaches back: a delta.
        ResyncByDelta,
        /// It does not, the life is another, or nothing is cached: a snapshot.
        ResyncBySnapshot,
        /// Only with `quiet_streams_carry_their_stamp` off: a known subscriber is not answered.
        ResyncUnanswered,
    }
    /// Node: the announce timer.
    AnnounceFires {
        /// Changes go out as a delta.
        AnnouncedDelta,
        /// The log does not reach back: a snapshot.
        AnnouncedSnapshot,
        /// Nothing changed: a beat.
        AnnouncedBeat,
    }
    /// Node: the forget timer.
    ForgetFires {
        /// The subscriber is forgotten.
        SubscriberForgotten,
        /// It was before.
        ForgetIgnored,
    }
    /// Node: an order of its operator.
    OrderArrives {
        /// The inventory is another.
        InventoryChanged,
        /// The status is another.
        StatusChanged,
        /// Nothing changes.
        OrderChangesNothing,
        /// The node has drained, and goes.
        NodeLeft,
        /// The node may not leave: it is up, or has allocations.
        LeaveRefused,
    }
    /// Scheduler: a call.
    CallArrives {
        /// The attempt is taken on.
        AttemptOpened,
        /// It is being worked on.
        AttemptRepeated,
        /// Too many are being worked on.
        AttemptsFull,
    }
    /// Scheduler: its driver's choice of a node.
    NodeIsChosen {
        /// The claim goes out.
        ClaimSent,
        /// Nobody asked.
        ChoiceUnasked,
        /// The node is not eligible.
        ChoiceIneligible,
        /// A node is, but the attempt has made as many claims as it may.
        AttemptExhausted,
        /// No node is, but a reservation or an unread refusal may be in the way: wait.
        AttemptWaits,
        /// No node is, and one cannot be judged.
        AttemptUnavailable,
        /// No node is, and each has a true reason.
        AttemptHasNoValidHost,
    }
    /// Scheduler: an attempt that was asked again because of a node has ended or made its choice.
    RoomIsUsed {
        /// It claims there.
        RoomTaken,
        /// It does not: the next that waits is asked.
        RoomPassedOn,
    }
    /// Scheduler: a verdict.
    VerdictArrives {
        /// It says nothing new about a claim of this life.
        VerdictStale,
        /// Granted, and the attempt is open: placed.
        GrantAnswered,
        /// Granted, but the attempt is closed: nobody will confirm it.
        GrantUnwanted,
        /// Refused: try the next.
        RefusalLearnt,
        /// Refused, but the attempt is closed.
        RefusalUnwanted,
        /// The allocation is over.
        ClaimGone,
    }
    /// Scheduler: a grant and the cached stamp.
    GrantIsCovered {
        /// The cached host state contains the grant.
        GrantCovered,
        /// It does not yet: the reservation stays.
        GrantNotCovered,
    }
    /// Scheduler: a delta.
    DeltaArrives {
        /// It follows.
        DeltaApplied,
        /// It is known.
        DeltaStale,
        /// Something is missing.
        DeltaGap,
        /// A beat that says what is known.
        BeatUpToDate,
        /// A beat that says more: something is missing.
        BeatAhead,
        /// Only with `quiet_streams_carry_their_stamp` off: its stamp is not read.
        BeatIgnored,
    }
    /// Scheduler: a snapshot.
    SnapshotArrives {
        /// It is newer.
        SnapshotApplied,
        /// It is not.
        SnapshotStale,
    }
    /// Scheduler: a node says that it leaves.
    LeaveArrives {
        /// It is departed.
        NodeDeparted,
        /// A later life of it is known.
        LeaveStale,
    }
    /// Scheduler: a node is heard of, by discovery or by a datagram.
    NodeIsMet {
        /// It is new.
        NodeMet,
        /// It is known.
        NodeKnown,
        /// There is no room for another.
        NodesFull,
    }
    /// Scheduler: the suspect timer.
    SuspectFires {
        /// The node is suspected.
        NodeSuspected,
        /// It was before, or is unknown.
        SuspectIgnored,
    }
    /// Scheduler: a resend or resync timer, or a connection that broke.
    UpkeepOfScheduler {
        /// The claim goes out again.
        ClaimResent,
        /// The claim is no longer open.
        ClaimResendIgnored,
        /// The node is asked what was missed.
        ResyncSent,
        /// The node is unknown.
        ResyncIgnored,
        /// The attempts of the client are closed.
        AttemptsClosed,
    }
    /// Scheduler: superseded.
    SupersededArrives {
        /// By a later life: it stops.
        SchedulerStopped,
        /// Not by a later life.
        SupersededIgnored,
    }
    /// Client: an order of its user.
    UserOrders {
        /// A new request.
        RequestOpened,
        /// The request is on record.
        RequestRepeated,
        /// Too many are on record.
        RequestsFull,
        /// A new bundle.
        BundleOpened,
        /// The bundle has too many members.
        BundleTooLarge,
        /// A whole bundle is given up.
        BundleReleased,
        /// What was placed is released.
        ReleaseStarted,
        /// It was not placed yet: it ends.
        RequestGivenUp,
        /// A request that has ended is forgotten.
        RequestForgotten,
        /// A node is over: what was placed there is gone.
        NodeDeclaredOver,
        /// The request is unknown, or in no state for this.
        UserOrderIgnored,
    }
    /// Client: its driver's choice of a scheduler.
    SchedulerIsChosen {
        /// The call goes out.
        CallSent,
        /// Nobody asked.
        SchedulerUnasked,
    }
    /// Client: placed.
    PlacedArrives {
        /// It is chosen: written down, then confirmed.
        ChoiceMade,
        /// Another member of its bundle has no place yet: it is held.
        PlacedHeld,
        /// It was the last of its bundle: all are chosen, written down, then confirmed.
        BundleChosen,
        /// The request is on record, but something else was chosen or it is over: released.
        PlacedUnwanted,
        /// The request is not on record: ignored, it will lapse.
        PlacedUnknown,
        /// Only with `client_keeps_its_choice` off: the last one wins.
        ChoiceReplaced,
    }
    /// Client: an attempt failed, or its connection broke.
    AttemptFails {
        /// Other attempts are open: wait for them.
        OtherAttemptsOpen,
        /// Another attempt will be made.
        RetryArmed,
        /// No more attempts may be made.
        AttemptsUsedUp,
        /// A scheduler knows that there is no place.
        NoValidHostLearnt,
        /// With a member its bundle ends.
        BundleGivenUp,
        /// The attempt is not open.
        FailureIgnored,
    }
    /// Client: a verdict.
    VerdictForClient {
        /// The choice is confirmed.
        ChoiceConfirmed,
        /// The choice of a member is confirmed, and those of others are not.
        MemberConfirmed,
        /// The last choice of a bundle is confirmed.
        BundleConfirmed,
        /// The choice, or what is held, is gone: it is cleared.
        ChoiceGone,
        /// The release is done.
        ReleaseDone,
        /// An unwanted claim is gone.
        UnwantedGone,
        /// Nothing waits for it.
        ClientVerdictStale,
    }
    /// Client: a timer.
    UpkeepOfClient {
        /// The confirm goes out again.
        ConfirmResent,
        /// The release goes out again.
        ReleaseResent,
        /// The next attempt is made.
        AttemptRetried,
        /// Another attempt is made beside the one that is unanswered.
        AttemptImpatient,
        /// The timer no longer matters.
        ClientTimerIgnored,
    }
    /// Any machine.
    InputIsForMe {
        /// The datagram is not for this actor, its life, or its role.
        DatagramMisdirected,
        /// The timer is another role's.
        TimerMisdirected,
        /// The machine has stopped or left, and ignores everything.
        MachineStopped,
    }
}
