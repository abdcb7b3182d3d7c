//! What the machines say, to each other and to the world.
//!
//! The message queue of 2016 loses, copies and reorders what is cast: those are [`Datagram`]s. A call
//! waits for its answer, and the database is read and written by calls through the conductor: those
//! are [`Letter`]s.

use crate::amounts::Amounts;
use counterfoil_protocol::{Actor, Map, NodeId, RequestId, SchedulerId, Set};
use serde::{Deserialize, Serialize};

/// What is known of a node: by itself what it publishes, by a scheduler what it shares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostState {
    /// What is used. Changes are added up.
    pub used: Amounts,
    /// What may be used: totals times ratios. A change takes the place of what was there.
    pub capacity: Amounts,
    /// Counts the changes that are no claims, from a random number. Changes are added up, too.
    pub version: i64,
}

impl HostState {
    /// Takes a change in. Whether the version is then the one that the change expects, if it expects
    /// one.
    pub fn apply(&mut self, update: &Update) -> bool {
        self.used = self.used.plus(&update.used);
        self.version += update.versions;
        if let Some(capacity) = &update.capacity {
            self.capacity = capacity.clone();
        }
        update.expects.is_none_or(|expected| self.version == expected)
    }
}

/// A change of a host state.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Update {
    /// The version after the change; `None` for claims alone.
    pub expects: Option<i64>,
    /// How many versions it counts.
    pub versions: i64,
    /// What more is used.
    pub used: Amounts,
    /// What may be used from now on, if that changed.
    pub capacity: Option<Amounts>,
}

/// Two changes of equal version cannot be merged: the exception of 2016.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EqualVersions;

impl Update {
    /// This change and a later one in one. Of two that set the same, the one with the newer version
    /// wins.
    pub fn merge(&mut self, next: Update) -> Result<(), EqualVersions> {
        if self.expects.is_some() && self.expects == next.expects {
            return Err(EqualVersions);
        }
        let newer = next.expects > self.expects;
        self.capacity = match (self.capacity.take(), next.capacity) {
            (Some(mine), Some(theirs)) => Some(if newer { theirs } else { mine }),
            (mine, theirs) => mine.or(theirs),
        };
        self.used = self.used.plus(&next.used);
        self.versions += next.versions;
        self.expects = self.expects.max(next.expects);
        Ok(())
    }
}

/// What a scheduler has set aside on a node for an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Counts the claims of one scheduler on one node, from a random number.
    pub number: u64,
    /// The scheduler; not which of its lives.
    pub origin: SchedulerId,
    /// For which instance.
    pub instance: RequestId,
    /// How much.
    pub amounts: Amounts,
}

/// What a node says to a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// The number of the claim.
    pub number: u64,
    /// The scheduler that made it.
    pub origin: SchedulerId,
    /// The instance that it was for.
    pub instance: RequestId,
    /// Whether it was accepted.
    pub accepted: bool,
}

/// Replies and changes in one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Delta {
    /// The replies, in order.
    pub replies: Vec<Reply>,
    /// What changed.
    pub update: Option<Update>,
}

impl Delta {
    /// This and a later one in one.
    pub fn merge(&mut self, next: Delta) -> Result<(), EqualVersions> {
        self.replies.extend(next.replies);
        match (&mut self.update, next.update) {
            (Some(mine), Some(theirs)) => mine.merge(theirs)?,
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
        Ok(())
    }
}

/// Something that is cast.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Datagram {
    /// Who casts it.
    pub src: Actor,
    /// To whom; to any life of that name.
    pub dst: Actor,
    /// What it says.
    pub body: Body,
}

/// What is cast.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The conductor tells a node to build an instance. Lost: it is building for ever.
    Build(Build),
    /// A node that does not build an instance tells the conductor.
    Reschedule(RequestId),
    /// The conductor tells a node that an instance is deleted.
    Terminate(RequestId),
    /// This scheduler asks a node for all of its state.
    Report(SchedulerId),
    /// This node starts, and tells all schedulers to ask for its state.
    Notify(NodeId),
    /// A node sends all of its state.
    Refresh {
        /// Counts what this node sends to this scheduler, from a random number.
        number: u64,
        /// The state.
        state: HostState,
    },
    /// A node sends what changed.
    Delta {
        /// Counts what this node sends to this scheduler, from a random number.
        number: u64,
        /// What changed.
        delta: Delta,
    },
}

/// What is to be built.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Build {
    /// The instance.
    pub instance: RequestId,
    /// How much it takes.
    pub amounts: Amounts,
    /// Up to how much of the node may be used, as the scheduler sees it. `None`: the node is not asked.
    pub limits: Option<Amounts>,
    /// The claim of a scheduler that shares the state.
    pub claim: Option<Claim>,
}

/// What goes over a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Letter {
    /// The conductor asks a scheduler for a host.
    Call(Call),
    /// The scheduler answers.
    Selected(Selected),
    /// The nodes in service, and whether each gives signs of life: what the periodic task of a scheduler
    /// reads.
    Nodes(Map<NodeId, bool>),
    /// The same of schedulers, for a node.
    Schedulers(Map<SchedulerId, bool>),
    /// A node has begun to build an instance, and saves that.
    Building(RequestId),
    /// The instance that a node saves is deleted.
    NotFound(RequestId),
    /// A scheduler reads the database for a request.
    Read(RequestId),
    /// What it reads, or what its periodic task reads.
    Rows {
        /// For which request.
        of: Option<RequestId>,
        /// What there is.
        rows: Map<NodeId, Row>,
    },
    /// A node saves what it has.
    Save(HostUse),
    /// A scheduler writes an allocation, if the node's row is still as it was read.
    Allocate(Allocate),
    /// Whether it was written.
    Allocated(RequestId, bool),
}

/// A question for a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call {
    /// The instance.
    pub instance: RequestId,
    /// Counts the calls for it, from 1.
    pub number: u32,
    /// How much it takes.
    pub amounts: Amounts,
    /// The hosts that have rejected it.
    pub tried: Set<NodeId>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Selected {
    /// The instance.
    pub instance: RequestId,
    /// The call that it answers.
    pub number: u32,
    /// The host, or none.
    pub host: Option<Host>,
}

/// A host that was selected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Host {
    /// The node.
    pub node: NodeId,
    /// Up to how much of it may be used, as the scheduler sees it.
    pub limits: Option<Amounts>,
    /// The claim, if the scheduler makes one.
    pub claim: Option<Claim>,
}

/// What a node uses, and may.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostUse {
    /// What is used.
    pub used: Amounts,
    /// What may be used.
    pub capacity: Amounts,
}

/// What the database says of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row {
    /// What it uses.
    pub host: HostUse,
    /// Counts how often the row was written.
    pub saved: u64,
    /// Whether the node is in service and gives signs of life.
    pub up: bool,
}

/// An allocation to be written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Allocate {
    /// For which instance.
    pub instance: RequestId,
    /// On which node.
    pub node: NodeId,
    /// How much.
    pub amounts: Amounts,
    /// How often the row had been written when it was read.
    pub saved: u64,
}

/// A named moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// At the conductor: the periodic task of this actor reads the database.
    Tick(Actor),
    /// At the conductor: the signs of life of this actor are late.
    Late(Actor),
    /// At the conductor: they come again.
    Beat(Actor),
    /// At the conductor: the call for this instance takes too long.
    CallTimeout(RequestId),
    /// At a node: it looks at what it has, and publishes or saves it.
    Audit,
    /// At a node: what waits for this scheduler is sent.
    Send(SchedulerId),
    /// At a node: what waits for this scheduler cannot be sent.
    SendFails(SchedulerId),
}

/// A question that a machine puts to its driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The random number that this life counts from.
    Number,
    /// The host for a call, among the best.
    Host(Call),
    /// Any scheduler for this call for an instance.
    Scheduler(RequestId, u32),
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The number.
    Number(u64),
    /// The host, if there is one that fits.
    Host(Call, Option<NodeId>),
    /// The scheduler.
    Scheduler(RequestId, u32, SchedulerId),
}

/// What an operator or user orders.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Of the conductor: build an instance; where its first call goes, if that is given.
    Build(RequestId, Amounts),
    /// Of the conductor: delete it.
    Delete(RequestId),
    /// Of the conductor: take a node or scheduler in or out of service.
    Service(Actor, bool),
    /// Of a node: what it may give out from now on.
    Capacity(Amounts),
}

/// An exception that nobody catches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Exception {
    /// In the message window: an old duplicate is looked for behind the end of a list.
    IndexError,
    /// In the pipe: two changes of equal version are to be merged.
    RuntimeError,
}

/// What a machine tells the world to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Cast this.
    Send(Datagram),
    /// Send this over the connection to this actor.
    Post(Actor, Letter),
    /// Answer this before anything else.
    Choose(Choice),
    /// A node writes down that it runs this instance, and how much it takes; or no longer.
    Instance(RequestId, Option<Amounts>),
    /// A node writes down what it may give out.
    Capacity(Amounts),
    /// A timer was set.
    SetTimer(Timer),
    /// Something escaped.
    Raise(Exception),
    /// Which way a decision went.
    Notice(Notice),
}

/// Defines [`Notice`] and what decision each is of.
macro_rules! notices {
    ($($decision:literal: $($(#[$doc:meta])* $arm:ident),+;)+) => {
        /// Which way a decision went.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum Notice { $($($(#[$doc])* $arm,)+)+ }

        impl Notice {
            /// The decisions, each with the ways in which it can go.
            pub fn decisions() -> Vec<(&'static str, Vec<Notice>)> {
                vec![$(($decision, vec![$(Notice::$arm),+])),+]
            }
        }
    };
}

notices! {
    "a node judges a claim":
        /// It fits the limits that came with it.
        Accepted,
        /// It does not.
        Rejected;
    "a scheduler gets a reply":
        /// To a claim on record, which is forgotten.
        ReplyToAClaim,
        /// To no claim on record: that is logged, and nothing else.
        ReplyToNoClaim,
        /// To a claim of another scheduler.
        ReplyToAnother;
    "a scheduler gets a change":
        /// The version fits, or none is expected.
        VersionFits,
        /// It does not: that is logged, and nothing else.
        VersionDiffers;
    "a message meets the window":
        /// It is taken.
        MessageTaken,
        /// It comes after a gap, and is taken.
        MessageAfterAGap,
        /// It was missing, and is taken.
        MessageLate,
        /// It is not taken.
        MessageIgnored,
        /// It is too far ahead: messages are lost.
        MessagesLost;
    "a scheduler gets a state":
        /// It takes the place of what was there; open claims are forgotten.
        StateTaken,
        /// It seems old.
        StateIgnored;
    "a change comes from a node that is not active":
        /// It is dropped, and all of the state asked for.
        ChangeDropped;
    "a claim has no reply for two periods":
        /// What it set aside is given back.
        ClaimTimedOut;
    "a host is sought":
        /// One is chosen.
        HostChosen,
        /// None fits.
        NoValidHost;
    "an allocation is written":
        /// It is.
        Written,
        /// Something else was written meanwhile.
        WriteConflict;
}
