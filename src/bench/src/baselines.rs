//! The designs that are compared: the schedulers of 2016 and this project's, behind one interface.
//!
//! A part is one end of a design: a scheduler, or all nodes. It has no thread, no clock but the one
//! it reads, and no network: whoever drives it hands it what arrives, and sends what it has to say.
//! So every design runs in the same threads, over the same queues and sockets, under the same load.
//!
//! What each design does, and what is left out of it, stands with it: [`legacy`] has the filter and
//! the caching scheduler, [`placement`] the claim in a database, [`shared`] the shared state of 2016,
//! [`counterfoil`] this project's machines.

pub mod counterfoil;
pub mod database;
pub mod hosts;
pub mod legacy;
pub mod mixed;
pub mod placement;
pub mod shared;

use clap::ValueEnum;
use counterfoil_protocol::{Datagram, Demand, Inventory, ResourceClass};
use counterfoil_service::driver::DriverError;
use database::DatabaseError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A way to place.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Reads every node from the database for each request.
    Filter,
    /// Reads every node from the database now and then, and adds its own placements.
    Caching,
    /// Candidates and claim in one database, optimistic by row version.
    Placement,
    /// Additive deltas with a window, as in the prototype of 2016.
    Shared,
    /// This project.
    Counterfoil,
}

impl Design {
    /// All of them, in the order of reports.
    pub const ALL: [Design; 5] =
        [Design::Filter, Design::Caching, Design::Placement, Design::Shared, Design::Counterfoil];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Design::Filter => "filter",
            Design::Caching => "caching",
            Design::Placement => "placement",
            Design::Shared => "shared",
            Design::Counterfoil => "counterfoil",
        }
    }

    /// Whether it works on a database.
    pub fn has_database(self) -> bool {
        match self {
            Design::Filter | Design::Caching | Design::Placement => true,
            Design::Shared | Design::Counterfoil => false,
        }
    }
}

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Amounts of the classes that the designs of 2016 count: VCPU, MEMORY_MB, DISK_GB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts(pub [u64; 3]);

impl Amounts {
    /// What a demand asks for.
    pub fn wanted(demand: &Demand) -> Amounts {
        let of = |class| demand.resources.get(&class);
        Amounts([of(ResourceClass::Vcpu), of(ResourceClass::MemoryMb), of(ResourceClass::DiskGb)])
    }

    /// What an inventory allows to be allocated.
    pub fn capacity(inventory: &Inventory) -> Amounts {
        let of = |class| inventory.classes.get(&class).map_or(0, |of_class| of_class.capacity());
        Amounts([of(ResourceClass::Vcpu), of(ResourceClass::MemoryMb), of(ResourceClass::DiskGb)])
    }

    /// The memory, in MiB.
    pub fn memory_mib(self) -> u64 {
        self.0[1]
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Amounts) -> Amounts {
        Amounts(std::array::from_fn(|place| self.0[place] + other.0[place]))
    }

    /// What is left without `other`; nothing where `other` is more.
    #[must_use]
    pub fn minus(self, other: Amounts) -> Amounts {
        Amounts(std::array::from_fn(|place| self.0[place].saturating_sub(other.0[place])))
    }

    /// Whether there is enough of everything for `want`.
    pub fn has(self, want: Amounts) -> bool {
        self.0.iter().zip(want.0).all(|(have, want)| *have >= want)
    }
}

/// What a node is like when a run begins.
#[derive(Clone, Debug)]
pub struct Given {
    /// What it has.
    pub inventory: Inventory,
    /// What is allocated on it before the run, one after the other.
    pub before: Vec<Arc<Demand>>,
}

impl Given {
    /// The sum of what is allocated before the run.
    pub fn used(&self) -> Amounts {
        self.before
            .iter()
            .map(|demand| Amounts::wanted(demand))
            .fold(Amounts::default(), Amounts::plus)
    }

    /// What may be allocated.
    pub fn capacity(&self) -> Amounts {
        Amounts::capacity(&self.inventory)
    }
}

/// One attempt to place a request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which request.
    pub request: u64,
    /// What it wants.
    pub demand: Arc<Demand>,
    /// Nodes that refused it.
    pub refused: Vec<u32>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It has a place.
    Placed,
    /// The scheduler found no node.
    NoValidHost,
    /// Its attempts are used up.
    Exhausted,
}

/// What a scheduler says of a request, to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node was chosen.
    Chosen {
        /// For which request.
        request: u64,
        /// When choosing began.
        began: Instant,
        /// Since when the view has not been read anew, where it is read as a whole.
        view_from: Option<Instant>,
    },
    /// A claim failed, and the scheduler itself tries again.
    Refused {
        /// Of which request.
        request: u64,
    },
    /// A claim failed, and the request is to be asked again.
    Again {
        /// Which.
        request: u64,
        /// The node that refused and is to be left out.
        without: Option<u32>,
        /// Not before so long.
        after: Duration,
    },
    /// A request came to its end.
    Ended {
        /// Which.
        request: u64,
        /// How.
        outcome: Outcome,
    },
}

/// Who sends and who is to have a message. Nodes and schedulers are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// A scheduler.
    Scheduler(u32),
    /// A node.
    Node(u32),
}

/// What is said between schedulers and nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Filter and caching: scheduler to node.
    Claim {
        /// On behalf of which request.
        request: u64,
        /// What it wants.
        want: Amounts,
    },
    /// Filter and caching: node to scheduler.
    Verdict {
        /// On which claim.
        request: u64,
        /// Whether it was granted.
        granted: bool,
    },
    /// Shared state of 2016.
    Shared(shared::Said),
    /// This project.
    Counterfoil(Datagram),
}

/// What the scheduler knew when it sent a claim; for the measurement, no part of a design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knew {
    /// So many changes of the node were in its view.
    pub changes: u64,
    /// When it chose, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who sends it.
    pub from: End,
    /// Who is to have it.
    pub to: End,
    /// When it was sent, in nanoseconds of the monotonic clock: set by who sends it on.
    pub sent_ns: u64,
    /// With a claim: what was known.
    pub knew: Option<Knew>,
    /// What it says.
    pub message: Message,
}

/// A change of what is allocated on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which node.
    pub node: u32,
    /// Its number: a node counts its changes.
    pub count: u64,
    /// The scheduler whose claim made it; 0 if none did.
    pub by: u32,
}

/// What a part spends its time on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Reading the view from a database.
    pub view: Duration,
    /// Filtering, weighing, choosing.
    pub decision: Duration,
    /// Claiming or saving in a database.
    pub claim: Duration,
}

/// What a part has to say and to tell.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages.
    pub envelopes: Vec<Envelope>,
    /// What became of requests.
    pub events: Vec<Event>,
    /// What changed on nodes.
    pub changes: Vec<Change>,
    /// What time was spent on.
    pub spent: Spent,
    /// Wrong turns of the design's own, by which the prototype would have thrown an error.
    pub errors: u64,
}

impl Outbox {
    /// Says something.
    pub fn send(&mut self, from: End, to: End, message: Message) {
        self.envelopes.push(Envelope { from, to, sent_ns: 0, knew: None, message });
    }

    /// Sends a claim, by a view that has so many `changes` of the node in it.
    pub fn claim(&mut self, from: End, to: End, message: Message, changes: u64) {
        let knew = Some(Knew { changes, at_ns: now_ns() });
        self.envelopes.push(Envelope { from, to, sent_ns: 0, knew, message });
    }
}

/// Nanoseconds of the monotonic clock, which all processes of a machine share.
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Why a part cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The database does not do what it is asked for.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The driver of this project's machines does not.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Nothing can be sent or received.
    #[error("nothing can be sent or received")]
    System(#[from] std::io::Error),
}

/// A scheduler of a design.
pub trait SchedulerPart: Send {
    /// Begins: says what it has to say before anything else.
    ///
    /// # Errors
    /// If it cannot.
    fn begin(&mut self, out: &mut Outbox) -> Result<(), PartError>;

    /// Whether it knows every node, and can be asked.
    fn knows_all(&self) -> bool;

    /// Takes an attempt.
    ///
    /// # Errors
    /// If it cannot go on.
    fn ask(&mut self, ask: Ask, out: &mut Outbox) -> Result<(), PartError>;

    /// Takes what node `from` says.
    ///
    /// # Errors
    /// If it cannot go on.
    fn hear(&mut self, from: u32, message: Message, out: &mut Outbox) -> Result<(), PartError>;

    /// Everything that there was is taken in: does what is due.
    ///
    /// # Errors
    /// If it cannot go on.
    fn turn(&mut self, now: Instant, out: &mut Outbox) -> Result<(), PartError>;

    /// When something is due next.
    fn deadline(&self) -> Option<Instant>;
}

/// All nodes of a design.
pub trait NodesPart: Send {
    /// Begins, in a cluster with so many schedulers.
    ///
    /// # Errors
    /// If it cannot.
    fn begin(&mut self, schedulers: u32, out: &mut Outbox) -> Result<(), PartError>;

    /// `node` takes what scheduler `from` says.
    ///
    /// # Errors
    /// If it cannot go on.
    fn hear(
        &mut self,
        node: u32,
        from: u32,
        message: Message,
        out: &mut Outbox,
    ) -> Result<(), PartError>;

    /// Everything that there was is taken in: does what is due.
    ///
    /// # Errors
    /// If it cannot go on.
    fn turn(&mut self, now: Instant, out: &mut Outbox) -> Result<(), PartError>;

    /// When something is due next.
    fn deadline(&self) -> Option<Instant>;

    /// What is allocated on each node, in order.
    fn used(&self) -> Vec<Amounts>;
}
