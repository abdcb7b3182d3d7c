//! A scenario: one question to the checker, with its bounds. `file` reads it from a TOML file.

mod file;

use crate::network::Kind;
use counterfoil_protocol::{
    Actor, Demand, GroupId, Inventory, Limits, Map, NodeId, RequestId, Resources, Rule, Rules,
    SchedulerId, Set,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// One question, with its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// The name: that of its file.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// What the answer should be.
    pub expect: Expect,
    /// The protocol that the machines speak.
    #[serde(default)]
    pub protocol: Design,
    /// The flaw of the protocol that it shows, in one line.
    #[serde(default)]
    pub flaw: Option<String>,
    /// What answers that flaw in the update/claim protocol, in one line.
    #[serde(default)]
    pub answer: Option<String>,
    /// Where the numbers may begin that the machines of some protocols draw at random.
    #[serde(default)]
    pub numbers: Vec<u64>,
    /// Whether states that differ in names alone count as one.
    #[serde(default)]
    pub symmetry: bool,
    /// How many distinct states there should be, if all are explored.
    pub distinct: Option<u64>,
    /// The rules that are off.
    pub without: Vec<Rule>,
    /// The network.
    pub network: Kind,
    /// When timers fire.
    pub timers: Timers,
    /// Where the exploration starts.
    pub start: Start,
    /// Whether unconfirmed holds lapse freely.
    pub lapses: Lapses,
    /// How many schedulers there are from the start.
    pub schedulers: u32,
    /// Whether a client makes the requests, and confirms what is placed.
    pub clients: bool,
    /// The inventories of the nodes that are there from the start, and of those that may join.
    pub nodes: Vec<Inventory>,
    /// How many of `nodes` are there from the start.
    pub nodes_at_start: u32,
    /// The requests that may be made.
    pub requests: Vec<Request>,
    /// What else may happen from outside, each once.
    pub orders: Vec<Outside>,
    /// How often each fault may happen.
    pub faults: BTreeMap<Fault, u8>,
    /// Which messages alone may be lost one by one, by what they are called; any if none is named.
    #[serde(default)]
    pub only_lose: Vec<String>,
    /// How many faults may happen in all, whichever they are; any number if not given.
    #[serde(default)]
    pub faults_in_all: Option<u8>,
    /// The limits of the machines.
    pub limits: Limits,
}

/// A protocol that can live in this world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// The update/claim protocol.
    #[default]
    Counterfoil,
    /// The prototype of 2016: schedulers share the state that nodes send them.
    #[serde(rename = "shared_2016")]
    Shared2016,
    /// The filter scheduler: reads a database for every request.
    Filter,
    /// The caching scheduler: reads a database from time to time.
    Caching,
    /// Claims are rows in a database, written if nothing was written meanwhile.
    Placement,
}

impl Design {
    /// All of them.
    pub const ALL: [Design; 5] = [
        Design::Counterfoil,
        Design::Shared2016,
        Design::Filter,
        Design::Caching,
        Design::Placement,
    ];

    /// The name in scenarios.
    pub const fn name(self) -> &'static str {
        match self {
            Design::Counterfoil => "counterfoil",
            Design::Shared2016 => "shared_2016",
            Design::Filter => "filter",
            Design::Caching => "caching",
            Design::Placement => "placement",
        }
    }

    /// The design of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|design| design.name() == name)
    }
}

/// What the answer should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Every property holds.
    Holds,
    /// The property of this name is violated.
    Violates(String),
}

/// When timers fire: a bound, which every report prints. A verdict with late or calm timers says
/// nothing of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timers {
    /// At any moment at which they are armed.
    Any,
    /// Only once nothing that they wait for is in flight: retransmissions and beats are late, never
    /// early. An early one is a copy, or a beat that changes nothing.
    Late,
    /// As late; and a node announces a change only once what it announced before has arrived. For
    /// questions about ownership, where views need not be late in every way.
    Calm,
}

/// Where the exploration starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Nothing has been said yet.
    Cold,
    /// Every scheduler has met every node, and nothing is in flight: a state that a cold start
    /// reaches.
    Warm,
}

/// Whether unconfirmed holds lapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lapses {
    /// At any moment.
    Free,
    /// Only as often as the fault `lapse` has budget.
    Budget,
}

/// A request that may be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// How much of each class it asks for, and of which groups it is a member.
    pub resources: Resources,
    /// The groups that it must be near.
    #[serde(default)]
    pub near: Set<GroupId>,
    /// The groups that it must be apart from, and how many members of each it bears.
    #[serde(default)]
    pub apart: Map<GroupId, u32>,
    /// The scheduler that its first attempt goes to; any if not given.
    pub at: Option<SchedulerId>,
    /// The bundle that it is of, itself included; empty if it is of none.
    #[serde(default)]
    pub bundle: Set<RequestId>,
}

impl Request {
    /// What it asks for.
    pub fn demand(&self) -> Demand {
        let Request { resources, near, apart, .. } = self.clone();
        Demand { resources, near, apart, ..Demand::default() }
    }

    /// Whether it is the same as `other`, but for its name and where it is made first.
    pub fn is_alike(&self, other: &Request) -> bool {
        self.demand() == other.demand()
    }
}

/// Something that happens from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// A request is made.
    Place(Request),
    /// The requests of a bundle are made.
    PlaceTogether(Map<RequestId, Request>),
    /// The user gives a request up.
    Release(RequestId),
    /// A node is to take no new claims.
    Drain(NodeId),
    /// A node is to take new claims again.
    Undrain(NodeId),
    /// A node has another inventory.
    Inventory(NodeId, Inventory),
    /// A node that has drained goes.
    Leave(NodeId),
    /// A new node or scheduler starts.
    Join(Actor),
    /// An operator takes a scheduler out of service. In the update/claim protocol nobody can.
    Disable(SchedulerId),
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// One datagram is lost.
    Lose,
    /// One datagram is copied.
    Copy,
    /// Everything in flight is lost.
    LoseAll,
    /// A node crashes and starts again.
    NodeRestart,
    /// A scheduler crashes and starts again.
    SchedulerRestart,
    /// A client crashes and starts again.
    ClientRestart,
    /// A process crashes in the middle of a step, and starts again: some of what it said was done.
    TornWrite,
    /// A scheduler crashes for good.
    SchedulerDeath,
    /// A scheduler starts a second time while the first runs on.
    Twin,
    /// The connection between a client and a scheduler breaks.
    Disconnect,
    /// A scheduler suspects a node that is there.
    Suspicion,
    /// A node forgets a subscriber that is there.
    Forget,
    /// A client does not wait for an answer and makes another attempt beside.
    Impatience,
    /// A hold lapses.
    Lapse,
    /// A timer fires while what it waits for is still under way.
    Early,
    /// A message cannot be handed to whoever carries it.
    SendFailure,
    /// A sign of life is late.
    LateHeartbeat,
}

impl Fault {
    /// The name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Lose => "lose",
            Fault::Copy => "copy",
            Fault::LoseAll => "lose_all",
            Fault::NodeRestart => "node_restart",
            Fault::SchedulerRestart => "scheduler_restart",
            Fault::ClientRestart => "client_restart",
            Fault::TornWrite => "torn_write",
            Fault::SchedulerDeath => "scheduler_death",
            Fault::Twin => "twin",
            Fault::Disconnect => "disconnect",
            Fault::Suspicion => "suspicion",
            Fault::Forget => "forget",
            Fault::Impatience => "impatience",
            Fault::Lapse => "lapse",
            Fault::Early => "early",
            Fault::SendFailure => "send_failure",
            Fault::LateHeartbeat => "late_heartbeat",
        }
    }
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no scenario. The reason names the line.
    #[error("{path}: {source}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why, and where.
        source: Box<toml::de::Error>,
    },
    /// A bound cannot be.
    #[error("{path}:{line}: {reason}")]
    Bound {
        /// In which file.
        path: PathBuf,
        /// On which line, from 1.
        line: usize,
        /// Why, and how to mend it.
        reason: String,
    },
}

impl Scenario {
    /// The most of anything that a scenario may have.
    pub const COUNT_MAX: u32 = 64;

    /// The rules in force.
    pub fn rules(&self) -> Rules {
        self.without.iter().fold(Rules::ALL, |rules, rule| rules.without(*rule))
    }

    /// What is left of a budget once a fault has happened: nothing, if it was the last of all.
    pub fn spent(&self, budget: &Map<Fault, u8>, fault: Fault) -> Map<Fault, u8> {
        let mut left = budget.clone();
        let times = left.get(&fault).map_or(0, |times| times.saturating_sub(1));
        left.insert(fault, times);
        let sum = |times: &mut dyn Iterator<Item = &u8>| times.map(|t| u32::from(*t)).sum::<u32>();
        let happened = sum(&mut self.faults.values()) - sum(&mut left.values());
        if self.faults_in_all.is_some_and(|most| happened >= u32::from(most)) {
            left = left.keys().map(|fault| (*fault, 0)).collect();
        }
        left
    }

    /// Everything that may happen from outside.
    pub fn outside(&self) -> Vec<Outside> {
        let first = |request: &&Request| request.bundle.iter().all(|other| request.id <= *other);
        let places = self.requests.iter().filter(first).map(|request| match &request.bundle {
            bundle if bundle.is_empty() => Outside::Place(request.clone()),
            bundle => {
                let members = self.requests.iter().filter(|other| other.bundle == *bundle);
                Outside::PlaceTogether(members.map(|of| (of.id, of.clone())).collect())
            }
        });
        places.chain(self.orders.iter().cloned()).collect()
    }

    /// Its bounds in one line.
    pub fn bounds(&self) -> String {
        let faults: Vec<String> =
            self.faults.iter().map(|(fault, times)| format!("{} {times}", fault.name())).collect();
        let faults = match (faults.is_empty(), self.faults_in_all) {
            (true, _) => "no faults".to_owned(),
            (false, None) => faults.join(", "),
            (false, Some(most)) => format!("{}, at most {most} in all", faults.join(", ")),
        };
        let faults = match self.only_lose.is_empty() {
            true => faults,
            false => format!("{faults} (lose: only {})", self.only_lose.join(", ")),
        };
        let clients = if self.clients { "with a client" } else { "no client" };
        let network = match self.network {
            Kind::Set => "set network",
            Kind::Multiset => "multiset network",
        };
        let timers = match self.timers {
            Timers::Any => "timers at any moment",
            Timers::Late => "late timers",
            Timers::Calm => "calm timers",
        };
        let names = if self.symmetry { ", up to names" } else { "" };
        let lapses = match self.lapses {
            Lapses::Free => ", free lapse",
            Lapses::Budget => "",
        };
        let is_ours = self.protocol == Design::default();
        let protocol = if is_ours { String::new() } else { format!("{}: ", self.protocol.name()) };
        format!(
            "{protocol}{} x {} x {}, {clients}, {network}, {timers}{lapses}, {faults}{names}",
            self.schedulers,
            self.nodes_at_start,
            self.requests.len()
        )
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Holds => f.write_str("holds"),
            Expect::Violates(property) => write!(f, "violates {property}"),
        }
    }
}
