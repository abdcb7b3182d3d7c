//! What a process counts: for metrics, logs and reports. Nothing depends on it.

mod count;

pub use count::Distribution;

use crate::wire::{DecodeError, Message};
use count::{Counts, Histogram, add, read};
use counterfoil_properties::Safety;
use counterfoil_protocol::{Body, Decision, Notice, Placement, Reason, Verdict};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Why a packet or message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drop {
    /// It has no meaning, or may not be believed.
    Undecodable(DecodeError),
    /// It is from or for someone whom this process does not know.
    Stranger,
    /// It says what its sender may not have passed on.
    NotToBePassedOn,
    /// It would be too long.
    TooLong,
    /// The system did not take it.
    NotSent,
}

impl Drop {
    /// The names of all reasons, in the order of their places.
    pub const NAMES: [&'static str; 11] = [
        "not_ours",
        "version",
        "truncated",
        "malformed",
        "too_long",
        "unauthenticated",
        "limit",
        "stranger",
        "not_to_be_passed_on",
        "too_long_to_send",
        "not_sent",
    ];

    fn place(self) -> usize {
        match self {
            Drop::Undecodable(DecodeError::NotOurs) => 0,
            Drop::Undecodable(DecodeError::Version(_)) => 1,
            Drop::Undecodable(DecodeError::Truncated) => 2,
            Drop::Undecodable(DecodeError::Malformed) => 3,
            Drop::Undecodable(DecodeError::TooLong(_)) => 4,
            Drop::Undecodable(DecodeError::Unauthenticated) => 5,
            Drop::Undecodable(DecodeError::Limit(_)) => 6,
            Drop::Stranger => 7,
            Drop::NotToBePassedOn => 8,
            Drop::TooLong => 9,
            Drop::NotSent => 10,
        }
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        Drop::NAMES[self.place()]
    }
}

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It arrived.
    In,
    /// It was sent.
    Out,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::In, Direction::Out];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// The kinds of messages, by name, in the order of their places.
pub const KINDS: [&str; 15] = [
    "claim",
    "verdict",
    "confirm",
    "release",
    "delta",
    "snapshot",
    "resync",
    "leave",
    "superseded",
    "peers",
    "who_is_there",
    "order",
    "ordered",
    "look",
    "seen",
];

fn kind(message: &Message) -> usize {
    match message {
        Message::Datagram(datagram) => match &datagram.body {
            Body::Claim(_) => 0,
            Body::Verdict(_) => 1,
            Body::Confirm(_) => 2,
            Body::Release(_) => 3,
            Body::Delta(_) => 4,
            Body::Snapshot(_) => 5,
            Body::Resync(_) => 6,
            Body::Leave(_) => 7,
            Body::Superseded { .. } => 8,
        },
        Message::Peers(_) => 9,
        Message::WhoIsThere { .. } => 10,
        Message::Order(..) => 11,
        Message::Ordered(_) => 12,
        Message::Look(_) => 13,
        Message::Seen(..) => 14,
    }
}

/// What can come of an attempt, by name, in the order of its places.
pub const PLACEMENTS: [&str; 5] =
    ["placed", "no_valid_host", "unavailable", "exhausted", "overloaded"];

fn outcome(placement: &Placement) -> usize {
    match placement {
        Placement::Placed(_) => 0,
        Placement::NoValidHost(_) => 1,
        Placement::Unavailable => 2,
        Placement::Exhausted => 3,
        Placement::Overloaded => 4,
    }
}

/// Why a claim can be refused, by name, in the order of its places.
pub const REASONS: [&str; 11] = [
    "draining",
    "no_such_class",
    "units",
    "capacity",
    "traits",
    "zone",
    "aggregates",
    "anti_affinity",
    "affinity",
    "other_life",
    "full",
];

fn reason(reason: &Reason) -> usize {
    match reason {
        Reason::Draining => 0,
        Reason::NoSuchClass(_) => 1,
        Reason::Units(_) => 2,
        Reason::Capacity(_) => 3,
        Reason::Traits => 4,
        Reason::Zone => 5,
        Reason::Aggregates => 6,
        Reason::AntiAffinity(_) => 7,
        Reason::Affinity(_) => 8,
        Reason::OtherLife => 9,
        Reason::Full => 10,
    }
}

/// What there is at a moment, not since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// What was said to the actor from inside the process and was not yet taken in.
    EventsWaiting,
    /// Calls that a scheduler works on.
    AttemptsPending,
    /// Timers that are set.
    TimersSet,
    /// What the nodes of the process have granted, held and confirmed.
    Allocations,
    /// Nodes that a scheduler knows and has heard of late.
    NodesPresent,
    /// Nodes that were silent for long.
    NodesSuspected,
    /// Nodes that said that they leave.
    NodesDeparted,
}

impl Gauge {
    const COUNT: usize = Gauge::NodesDeparted as usize + 1;
}

/// Upper bounds for how long something takes, in nanoseconds.
const SECONDS: [u64; 17] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
];

/// Upper bounds for how long ago something was, in nanoseconds.
const AGES: [u64; 13] = [
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
    60_000_000_000,
];

/// Upper bounds for how many there are.
const SIZES: [u64; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

/// Counts since the start of the process.
#[derive(Debug)]
pub struct Meters {
    messages: [[AtomicU64; KINDS.len()]; 2],
    packets: [AtomicU64; 2],
    bytes: [AtomicU64; 2],
    dropped: [AtomicU64; Drop::NAMES.len()],
    refused: [Counts<{ REASONS.len() }>; 2],
    notices: Counts<{ Notice::ALL.len() }>,
    placements: Counts<{ PLACEMENTS.len() }>,
    violations: Counts<{ Safety::ALL.len() }>,
    gauges: Counts<{ Gauge::COUNT }>,
    staleness: Histogram<{ AGES.len() }>,
    turn_inputs: Histogram<{ SIZES.len() }>,
    turns: Histogram<{ SECONDS.len() }>,
    commits: Histogram<{ SECONDS.len() }>,
    records: AtomicU64,
    recorded: AtomicU64,
}

impl Default for Meters {
    fn default() -> Self {
        Meters {
            messages: Default::default(),
            packets: Default::default(),
            bytes: Default::default(),
            dropped: Default::default(),
            refused: Default::default(),
            notices: Counts::default(),
            placements: Counts::default(),
            violations: Counts::default(),
            gauges: Counts::default(),
            staleness: Histogram::new(&AGES),
            turn_inputs: Histogram::new(&SIZES),
            turns: Histogram::new(&SECONDS),
            commits: Histogram::new(&SECONDS),
            records: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
        }
    }
}

/// What is counted, where it happens. Nothing here waits or takes memory.
impl Meters {
    /// A packet of `bytes` bytes went this way.
    pub fn packet(&self, direction: Direction, bytes: usize) {
        add(&self.packets[direction as usize], 1);
        add(&self.bytes[direction as usize], bytes as u64);
    }

    /// A message went this way.
    pub fn message(&self, direction: Direction, message: &Message) {
        add(&self.messages[direction as usize][kind(message)], 1);
        if let Message::Datagram(datagram) = message
            && let Body::Verdict(Verdict { decision: Decision::Refused(refusal), .. }) =
                &datagram.body
        {
            self.refused[direction as usize].add(reason(&refusal.reason));
        }
    }

    /// A packet or message was dropped.
    pub fn dropped(&self, why: Drop) {
        tracing::debug!(why = why.name(), "dropped");
        add(&self.dropped[why.place()], 1);
    }

    /// A machine left this notice.
    pub fn noticed(&self, notice: Notice) {
        self.notices.add(notice as usize);
    }

    /// A call was answered.
    pub fn answered(&self, placement: &Placement) {
        self.placements.add(outcome(placement));
    }

    /// A step violated this property.
    pub fn violated(&self, property: Safety) {
        self.violations.add(property as usize);
    }

    /// A node was chosen that was last heard this long ago.
    pub fn chosen(&self, heard: Duration) {
        self.staleness.took(heard);
    }

    /// A turn of so many inputs took so long, commit and sends included.
    pub fn turned(&self, inputs: usize, took: Duration) {
        self.turn_inputs.saw(inputs as u64);
        self.turns.took(took);
    }

    /// So many records were committed, all at once, and that took so long.
    pub fn committed(&self, records: usize, took: Duration) {
        self.commits.took(took);
        add(&self.records, records as u64);
    }

    /// So many bytes were added to recordings.
    pub fn recorded(&self, bytes: u64) {
        add(&self.recorded, bytes);
    }

    /// The actor is about to be told something from inside the process.
    pub fn waits(&self) {
        self.gauges.add(Gauge::EventsWaiting as usize);
    }

    /// What it was told was taken in, or will not be.
    pub fn waits_no_more(&self) {
        self.gauges.take_off(Gauge::EventsWaiting as usize);
    }

    /// There are so many now.
    pub fn set(&self, gauge: Gauge, count: usize) {
        self.gauges.set(gauge as usize, count as u64);
    }
}

/// What was counted.
impl Meters {
    /// Packets that went this way.
    pub fn packets(&self, direction: Direction) -> u64 {
        read(&self.packets[direction as usize])
    }

    /// Bytes that went this way, in packets.
    pub fn bytes(&self, direction: Direction) -> u64 {
        read(&self.bytes[direction as usize])
    }

    /// Messages that went this way, by kind.
    pub fn messages(&self, direction: Direction) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.messages[direction as usize].iter().map(read))
    }

    /// What was dropped for this reason.
    pub fn dropped_for(&self, why: Drop) -> u64 {
        read(&self.dropped[why.place()])
    }

    /// What was dropped, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Drop::NAMES.into_iter().zip(self.dropped.iter().map(read))
    }

    /// Verdicts that refused a claim and went this way, by reason.
    pub fn refusals(&self, direction: Direction) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.refused[direction as usize].all())
    }

    /// Notices of the machines.
    pub fn notices(&self) -> impl Iterator<Item = (Notice, u64)> {
        Notice::ALL.iter().copied().zip(self.notices.all())
    }

    /// What came of calls, by name.
    pub fn placements(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PLACEMENTS.into_iter().zip(self.placements.all())
    }

    /// Steps that violated a property.
    pub fn violations(&self) -> impl Iterator<Item = (Safety, u64)> {
        let of = |property: Safety| (property, self.violations.at(property as usize));
        Safety::ALL.into_iter().map(of)
    }

    /// How many there were when this was last looked at.
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.gauges.at(gauge as usize)
    }

    /// How long ago, in nanoseconds, chosen nodes were last heard.
    pub fn staleness(&self) -> Distribution {
        self.staleness.read()
    }

    /// Inputs of turns.
    pub fn turn_inputs(&self) -> Distribution {
        self.turn_inputs.read()
    }

    /// How long turns took, in nanoseconds.
    pub fn turns(&self) -> Distribution {
        self.turns.read()
    }

    /// How long commits took, in nanoseconds.
    pub fn commits(&self) -> Distribution {
        self.commits.read()
    }

    /// Records that were committed.
    pub fn records(&self) -> u64 {
        read(&self.records)
    }

    /// Bytes that were added to recordings.
    pub fn recorded_bytes(&self) -> u64 {
        read(&self.recorded)
    }

    /// Logs what was dropped: one event for each reason that there was.
    pub fn report(&self) {
        for (why, count) in self.drops().filter(|(_, count)| *count > 0) {
            tracing::info!(why, count, "dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_by_its_place_is_found_by_its_name() {
        let meters = Meters::default();
        for (place, notice) in Notice::ALL.iter().enumerate() {
            assert_eq!(*notice as usize, place);
            meters.noticed(*notice);
        }
        assert!(meters.notices().all(|(_, count)| count == 1));
        for property in Safety::ALL {
            meters.violated(property);
            assert!(meters.violations().filter(|(of, _)| *of == property).all(|(_, n)| n == 1));
        }
    }
}
