//! What is counted on the way, in virtual time.

use super::cast::Cast;
use crate::histogram::Histogram;
use counterfoil_protocol::scheduler::{Peer, Presence};
use counterfoil_protocol::{Datagram, Incarnation, NodeId, Notice, RequestId, Stamp};
use counterfoil_service::wire::{Message, encode_message};
use std::collections::BTreeSet;
use std::time::Duration;

/// Of so many datagrams the length of one is measured.
pub(crate) const LENGTHS_ONE_OF: u64 = 16;

/// When each version of a node's present life came, in microseconds.
#[derive(Clone, Debug, Default)]
struct Births {
    incarnation: Incarnation,
    at: Vec<u64>,
}

/// What is counted on the way.
#[derive(Debug)]
pub(crate) struct Meters {
    notices: Vec<u64>,
    births: Vec<Births>,
    /// How often a node was picked for each request.
    picks: Vec<u32>,
    /// For how long what was known of a picked node had been out of date; 0 if it was not.
    pub(crate) stale_picks: Histogram,
    /// The same of any node at any time.
    pub(crate) stale_views: Histogram,
    pub(crate) picked: u64,
    pub(crate) picked_stale: u64,
    measured: u64,
    measured_bytes: u64,
    buffer: Vec<u8>,
    pub(crate) catching: Option<Catching>,
}

/// What schedulers and nodes that were parted have to catch up with.
#[derive(Debug)]
pub(crate) struct Catching {
    since: u64,
    /// By node: the stamp that it had when the partition was over.
    stamps: Vec<Stamp>,
    /// Who knows what is older, by scheduler and node.
    behind: BTreeSet<(u32, u32)>,
    /// How long it took, in microseconds, once it is done.
    pub(crate) took: Option<u64>,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        Meters {
            notices: vec![0; Notice::ALL.len()],
            births: Vec::new(),
            picks: Vec::new(),
            stale_picks: Histogram::default(),
            stale_views: Histogram::default(),
            picked: 0,
            picked_stale: 0,
            measured: 0,
            measured_bytes: 0,
            buffer: Vec::new(),
            catching: None,
        }
    }

    /// A decision went this way.
    pub(crate) fn noticed(&mut self, notice: Notice) {
        self.notices[notice as usize] += 1;
    }

    /// How often decisions went this way.
    pub(crate) fn count(&self, notice: Notice) -> u64 {
        self.notices[notice as usize]
    }

    /// How often decisions went every way, in the order of the ways.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Notice, u64)> {
        Notice::ALL.iter().copied().zip(self.notices.iter().copied())
    }

    /// The node has this stamp.
    pub(crate) fn born(&mut self, index: usize, stamp: Stamp, now: u64) {
        if self.births.len() <= index {
            self.births.resize_with(index + 1, Births::default);
        }
        let births = &mut self.births[index];
        if births.incarnation != stamp.incarnation {
            *births = Births { incarnation: stamp.incarnation, at: Vec::new() };
        }
        while births.at.len() as u64 <= stamp.version.0 {
            births.at.push(now);
        }
    }

    /// For how long this stamp of a node has been out of date.
    fn age(&self, node: NodeId, cached: Stamp, now: u64) -> Option<u64> {
        let births = self.births.get(node.0 as usize - 1)?;
        let since = if births.incarnation == cached.incarnation {
            births.at.get(usize::try_from(cached.version.0 + 1).ok()?)
        } else {
            births.at.first()
        };
        since.map(|since| now - since)
    }

    /// A scheduler picked a node, of which it knew this, for a request.
    pub(crate) fn picked(&mut self, request: RequestId, node: NodeId, peer: &Peer, now: u64) {
        let at = usize::try_from(request.0).unwrap_or(usize::MAX);
        if self.picks.len() <= at {
            self.picks.resize(at + 1, 0);
        }
        self.picks[at] += 1;
        self.picked += 1;
        let Some(host) = &peer.host else { return };
        let age = self.age(node, host.stamp, now);
        self.picked_stale += u64::from(age.is_some());
        self.stale_picks.note(Duration::from_micros(age.unwrap_or(0)));
    }

    /// What a scheduler knows of a node was looked at.
    pub(crate) fn looked(&mut self, node: NodeId, peer: &Peer, now: u64) {
        if let Some(host) = &peer.host {
            let age = self.age(node, host.stamp, now).unwrap_or(0);
            self.stale_views.note(Duration::from_micros(age));
        }
    }

    /// How often a node was picked for a request.
    pub(crate) fn picks(&self, request: RequestId) -> u32 {
        let at = usize::try_from(request.0).unwrap_or(usize::MAX);
        self.picks.get(at).copied().unwrap_or(0)
    }

    /// This datagram is sent, as number `number`.
    pub(crate) fn sent(&mut self, datagram: &Datagram, number: u64) {
        if !number.is_multiple_of(LENGTHS_ONE_OF) {
            return;
        }
        self.buffer.clear();
        let message = Message::Datagram(datagram.clone());
        if encode_message(&message, &mut self.buffer).is_ok() {
            self.measured += 1;
            self.measured_bytes += self.buffer.len() as u64;
        }
    }

    /// How long datagrams are on average, in thousandths of a byte.
    pub(crate) fn length_milli(&self) -> u64 {
        self.measured_bytes * 1000 / self.measured.max(1)
    }

    /// Counts from 0 again what is a figure of what is measured, and not of what came before.
    pub(crate) fn begin(&mut self) {
        self.notices.fill(0);
        self.stale_picks = Histogram::default();
        self.stale_views = Histogram::default();
        (self.picked, self.picked_stale) = (0, 0);
        (self.measured, self.measured_bytes) = (0, 0);
    }
}

impl Catching {
    /// What those that `parted` says have to catch up with from now on.
    pub(crate) fn begin(cast: &Cast, parted: impl Fn(u32, u32) -> bool, now: u64) -> Catching {
        let stamps = cast.nodes.iter().map(|slot| slot.machine.stamp()).collect();
        let schedulers = cast.schedulers_there();
        let pairs = schedulers.flat_map(|scheduler| {
            let scheduler = cast.schedulers[scheduler].machine.id.0;
            cast.nodes_there().map(move |node| (scheduler, node.0))
        });
        let behind = pairs.filter(|(scheduler, node)| parted(*scheduler, *node)).collect();
        Catching { since: now, stamps, behind, took: None }
    }

    /// What a scheduler knows of a node may have changed.
    pub(crate) fn look(&mut self, scheduler: u32, node: NodeId, peer: Option<&Peer>, now: u64) {
        let Some(stamp) = self.stamps.get(node.0 as usize - 1) else { return };
        let host = peer.and_then(|peer| peer.host.as_ref());
        let present = peer.is_some_and(|peer| peer.presence == Presence::Present);
        let caught_up = present && host.is_some_and(|host| host.stamp >= *stamp);
        if caught_up && self.behind.remove(&(scheduler, node.0)) && self.behind.is_empty() {
            self.took = Some(now - self.since);
        }
    }
}
