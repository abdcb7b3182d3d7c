//! The shared state of the prototype of 2016, with its flaws.
//!
//! Every scheduler keeps a copy of each node, and takes its own claim off the copy when it sends it.
//! A node that accepts tells every scheduler, as an addition without a version; one that refuses
//! tells the claimer alone. Messages of a node are numbered from a random number on; a window of seven
//! notices losses. A claim whose reply does not come is given back after one to two ticks of 60 s. A
//! node merges what waits for a scheduler into one message.
//!
//! What cannot happen here is left out: services that go down or come back, changes that no claim
//! made, PCI and NUMA. No database is written, and the claim goes straight to the node instead of over
//! a conductor: both are kinder than the original.

mod nodes;
mod window;

pub use nodes::SharedNodes;
pub use window::{Loss, Proceed, Window};

use super::hosts::{Chooser, Host};
use super::{Amounts, Ask, End, Event, Message, Outbox, Outcome, PartError, SchedulerPart};
use counterfoil_placement::PolicyName;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// From one tick to the next.
pub const TICK: Duration = Duration::from_secs(60);

/// Where random numbers begin: anywhere up to here.
const SEED_MAX: u64 = 1_000_000;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// Node to all schedulers: I am here.
    Notify,
    /// Scheduler to node: tell me everything.
    Report,
    /// Scheduler to node: may I have this?
    Claim(Claim),
    /// Node to scheduler: everything, with the number of the message.
    Refresh {
        /// The number of the message.
        number: u64,
        /// What the node has and what is allocated on it.
        host: (Amounts, Amounts),
        /// How many changes the node has had; for the measurement.
        changes: u64,
    },
    /// Node to scheduler: what changed, with the number of the message.
    Commit {
        /// The number of the message.
        number: u64,
        /// What became of claims, of whoever they are.
        replies: Vec<Reply>,
        /// What is allocated more.
        more: Amounts,
        /// How many changes the node has had; for the measurement.
        changes: u64,
    },
}

/// May I have this?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The scheduler's count of its claims on this node.
    pub number: u64,
    /// On behalf of which request.
    pub request: u64,
    /// What is wanted.
    pub want: Amounts,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Whose claim.
    pub origin: u32,
    /// Its number.
    pub number: u64,
    /// On behalf of which request.
    pub request: u64,
    /// Whether it was accepted.
    pub accepted: bool,
}

/// Whether a peer is known well enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A refresh is owed.
    Standby,
    /// It follows the other's changes.
    Active,
}

/// What a scheduler keeps of a node.
#[derive(Debug)]
struct Remote {
    mode: Mode,
    /// A refresh is under way: another is not asked for before the next tick.
    fallen_out: bool,
    /// The number of the next claim.
    next_claim: u64,
    window: Window,
    /// Claims without a reply, of this generation and the last.
    young: HashMap<u64, Amounts>,
    old: HashMap<u64, Amounts>,
    changes: u64,
}

/// A scheduler of 2016.
#[derive(Debug)]
pub struct SharedScheduler {
    id: u32,
    remotes: Vec<Remote>,
    /// What it believes of each node.
    hosts: Vec<Host>,
    active: usize,
    chooser: Chooser,
    next_tick: Instant,
}

impl SharedScheduler {
    /// Scheduler number `id` of a cluster with so many nodes.
    pub fn new(id: u32, nodes: usize, strategy: PolicyName, seed: u64) -> SharedScheduler {
        let mut chooser = Chooser::new(strategy, seed);
        let mut remote = |_| Remote {
            mode: Mode::Standby,
            fallen_out: false,
            next_claim: chooser.random().u64(..=SEED_MAX),
            window: Window::default(),
            young: HashMap::new(),
            old: HashMap::new(),
            changes: 0,
        };
        let remotes = (0..nodes).map(&mut remote).collect();
        let hosts = vec![Host::default(); nodes];
        SharedScheduler { id, remotes, hosts, active: 0, chooser, next_tick: Instant::now() + TICK }
    }

    /// Asks for everything, unless that was done.
    fn refresh(&mut self, node: u32, force: bool, out: &mut Outbox) {
        let remote = &mut self.remotes[node as usize - 1];
        if force || !remote.fallen_out {
            remote.fallen_out = true;
            out.send(End::Scheduler(self.id), End::Node(node), Message::Shared(Said::Report));
        }
    }

    fn on_refresh(&mut self, node: u32, number: u64, host: (Amounts, Amounts), changes: u64) {
        let place = node as usize - 1;
        let remote = &mut self.remotes[place];
        let reordered = remote.mode == Mode::Active && !remote.window.try_reset(number);
        if !reordered {
            remote.window = Window::after(number);
            self.hosts[place] = Host { capacity: host.0, used: host.1 };
            remote.young.clear();
            remote.old.clear();
            remote.changes = changes;
        }
        remote.fallen_out = false;
        if remote.mode == Mode::Standby {
            remote.mode = Mode::Active;
            self.active += 1;
        }
    }

    fn on_commit(
        &mut self,
        node: u32,
        number: u64,
        (replies, more): (&[Reply], Amounts),
        changes: u64,
        out: &mut Outbox,
    ) {
        // Whoever waits for a request learns of it by another way, whatever the copy makes of it.
        for reply in replies.iter().filter(|reply| reply.origin == self.id) {
            let request = reply.request;
            out.events.push(if reply.accepted {
                Event::Ended { request, outcome: Outcome::Placed }
            } else {
                Event::Again { request, without: Some(node), after: Duration::ZERO }
            });
        }
        let place = node as usize - 1;
        let remote = &mut self.remotes[place];
        if remote.mode == Mode::Standby {
            return self.refresh(node, false, out);
        }
        match remote.window.proceed(number) {
            Ok(Proceed::Apply) => {}
            Ok(Proceed::Ignore) => return,
            Ok(Proceed::Crash) => {
                out.errors += 1;
                return;
            }
            Err(Loss) => return self.refresh(node, false, out),
        }
        for reply in replies.iter().filter(|reply| reply.origin == self.id) {
            let young = remote.young.remove(&reply.number);
            let claimed = young.or_else(|| remote.old.remove(&reply.number));
            if let (Some(claimed), false) = (claimed, reply.accepted) {
                self.hosts[place].used = self.hosts[place].used.minus(claimed);
            }
        }
        self.hosts[place].used = self.hosts[place].used.plus(more);
        remote.changes = changes;
    }

    fn tick(&mut self, out: &mut Outbox) {
        for node in 1..=self.remotes.len() as u32 {
            let place = node as usize - 1;
            let remote = &mut self.remotes[place];
            if remote.mode == Mode::Standby || remote.fallen_out {
                remote.fallen_out = false;
                self.refresh(node, false, out);
            }
            let remote = &mut self.remotes[place];
            if remote.mode == Mode::Active {
                for claimed in remote.old.values() {
                    self.hosts[place].used = self.hosts[place].used.minus(*claimed);
                }
                remote.old = std::mem::take(&mut remote.young);
            }
        }
    }
}

impl SchedulerPart for SharedScheduler {
    fn begin(&mut self, out: &mut Outbox) -> Result<(), PartError> {
        (1..=self.remotes.len() as u32).for_each(|node| self.refresh(node, false, out));
        Ok(())
    }

    fn knows_all(&self) -> bool {
        self.active == self.remotes.len()
    }

    fn ask(&mut self, ask: Ask, out: &mut Outbox) -> Result<(), PartError> {
        let (request, want) = (ask.request, Amounts::wanted(&ask.demand));
        let began = Instant::now();
        // A node that is not known yet has nothing free.
        let chosen = self.chooser.choose(self.hosts.iter(), want, &ask.refused);
        out.spent.decision += began.elapsed();
        out.events.push(Event::Chosen { request, began, view_from: None });
        let Some(node) = chosen else {
            out.events.push(Event::Ended { request, outcome: Outcome::NoValidHost });
            return Ok(());
        };
        let place = node as usize - 1;
        self.hosts[place].used = self.hosts[place].used.plus(want);
        let remote = &mut self.remotes[place];
        let number = remote.next_claim;
        remote.next_claim += 1;
        remote.young.insert(number, want);
        let claim = Message::Shared(Said::Claim(Claim { number, request, want }));
        out.claim(End::Scheduler(self.id), End::Node(node), claim, remote.changes);
        Ok(())
    }

    fn hear(&mut self, from: u32, message: Message, out: &mut Outbox) -> Result<(), PartError> {
        let Message::Shared(said) = message else { return Ok(()) };
        match said {
            Said::Notify => self.refresh(from, true, out),
            Said::Refresh { number, host, changes } => {
                self.on_refresh(from, number, host, changes);
            }
            Said::Commit { number, replies, more, changes } => {
                self.on_commit(from, number, (&replies, more), changes, out);
            }
            Said::Report | Said::Claim(_) => {}
        }
        Ok(())
    }

    fn turn(&mut self, now: Instant, out: &mut Outbox) -> Result<(), PartError> {
        if self.next_tick <= now {
            self.next_tick = now + TICK;
            self.tick(out);
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.next_tick)
    }
}

#[cfg(test)]
mod tests;
