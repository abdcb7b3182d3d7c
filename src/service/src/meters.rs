//! What a process counts: for metrics, logs and reports. Nothing depends on it.

use crate::wire::{DecodeError, Message};
use counterfoil_protocol::Body;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Meters {
    messages: [[AtomicU64; KINDS.len()]; 2],
    packets: [AtomicU64; 2],
    bytes: [AtomicU64; 2],
    dropped: [AtomicU64; Drop::NAMES.len()],
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Meters {
    /// A packet of `bytes` bytes went this way.
    pub fn packet(&self, direction: Direction, bytes: usize) {
        add(&self.packets[direction as usize], 1);
        add(&self.bytes[direction as usize], bytes as u64);
    }

    /// A message went this way.
    pub fn message(&self, direction: Direction, message: &Message) {
        add(&self.messages[direction as usize][kind(message)], 1);
    }

    /// A packet or message was dropped.
    pub fn dropped(&self, why: Drop) {
        tracing::debug!(why = why.name(), "dropped");
        add(&self.dropped[why.place()], 1);
    }

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

    /// Logs what was dropped: one event for each reason that there was.
    pub fn report(&self) {
        for (why, count) in self.drops().filter(|(_, count)| *count > 0) {
            tracing::info!(why, count, "dropped");
        }
    }
}
