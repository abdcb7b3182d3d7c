//! A relay for the packets of a cluster: loses, copies, delays and reorders them, and parts the
//! cluster, as it is told while it runs.
//!
//! Every process has an address at the relay, which the others are told (`--advertise`); what
//! arrives there is forwarded to where the process listens. Who sent a packet stands in its head,
//! in the clear. Packets of a sender that has no address here pass unharmed.
//!
//! What becomes of a packet depends on the seed, on its sender and receiver, and on how many packets
//! went from the one to the other before it, and on nothing else. The clusters that run over it are
//! real, so when they send what still differs from run to run.

pub mod control;

use counterfoil_service::packet::{PACKET_MAX, claimed_sender};
use counterfoil_world::random::scattered;
use fastrand::Rng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The relay looks so often whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Packets that are delayed at once, at most; one more is lost.
const DELAYED_MAX: usize = 100_000;

/// A packet that is reordered comes later by so many times the longest delay, and a millisecond.
const BEHIND: u32 = 4;

/// What the links do to packets. The chances are per mille.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Links {
    /// That a packet is lost.
    pub loss: u16,
    /// That it comes twice.
    pub copies: u16,
    /// That it comes behind those that were sent after it.
    pub reorder: u16,
    /// How long it takes, at least.
    pub delay_min: Duration,
    /// How long it takes, at most, unless it is reordered.
    pub delay_max: Duration,
}

/// Which way a partition parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the first set to the second only.
    OneWay,
    /// Both ways.
    TwoWay,
}

/// What became of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// That were forwarded, copies left out.
    pub forwarded: u64,
    /// That were lost on purpose.
    pub lost: u64,
    /// That were sent twice.
    pub copied: u64,
    /// That were put behind later ones.
    pub reordered: u64,
    /// That a partition stopped.
    pub parted: u64,
    /// That were sent by someone without an address here, and passed unharmed.
    pub unharmed: u64,
    /// For a process that is nowhere yet, or not of the protocol, or one too many.
    pub dropped: u64,
}

/// A relay that runs. It ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    names: Vec<String>,
    addresses: Vec<SocketAddr>,
    running: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    over: AtomicBool,
}

#[derive(Debug)]
struct State {
    links: Links,
    /// From whom to whom nothing passes.
    parted: BTreeSet<(usize, usize)>,
    /// Where each process listens.
    targets: Vec<Option<SocketAddr>>,
    counts: Counts,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relay {
    /// A relay for processes of these names, each with an address at `ip`.
    ///
    /// # Errors
    /// If the system refuses a socket or a thread.
    pub fn start(seed: u64, ip: IpAddr, names: &[String], links: Links) -> io::Result<Relay> {
        let sockets: Vec<UdpSocket> = names
            .iter()
            .map(|_| {
                let socket = UdpSocket::bind((ip, 0))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .collect::<io::Result<_>>()?;
        let addresses: Vec<SocketAddr> =
            sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
        let state = State {
            links,
            parted: BTreeSet::new(),
            targets: vec![None; names.len()],
            counts: Counts::default(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), over: AtomicBool::new(false) });
        let mut run = Run {
            seed,
            senders: addresses.iter().enumerate().map(|(n, at)| (*at, n)).collect(),
            sockets,
            sent: BTreeMap::new(),
            delayed: BinaryHeap::new(),
            numbered: 0,
            shared: Arc::clone(&shared),
        };
        let running = std::thread::Builder::new().name("relay".to_owned());
        let running = Some(running.spawn(move || run.run())?);
        Ok(Relay { shared, names: names.to_vec(), addresses, running })
    }

    /// The address of a process at the relay.
    ///
    /// # Panics
    /// If it has none.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.addresses[self.number(name).expect("every process has an address")]
    }

    /// From now on the process listens there.
    pub fn set_target(&self, name: &str, target: SocketAddr) {
        if let Some(number) = self.number(name) {
            self.shared.lock().targets[number] = Some(target);
        }
    }

    /// From now on the links are like this.
    pub fn set_links(&self, links: Links) {
        self.shared.lock().links = links;
    }

    /// From now on nothing passes from `these` to `those`, nor, if it is two-way, back. Names that
    /// are not known are left out.
    pub fn part(&self, these: &[String], those: &[String], way: Way) {
        let mut state = self.shared.lock();
        for from in these.iter().filter_map(|name| self.number(name)) {
            for to in those.iter().filter_map(|name| self.number(name)) {
                state.parted.insert((from, to));
                if way == Way::TwoWay {
                    state.parted.insert((to, from));
                }
            }
        }
    }

    /// From now on everything passes that is not lost.
    pub fn heal(&self) {
        self.shared.lock().parted.clear();
    }

    /// What became of the packets so far.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

/// What becomes of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fate {
    lost: bool,
    copied: bool,
    reordered: bool,
    /// Of the packet and of its copy.
    delays: [Duration; 2],
}

/// What becomes of the packet that is number `count` from `pair.0` to `pair.1`. The same draws are
/// made whatever the links are like.
fn fate(seed: u64, pair: (usize, usize), count: u64, links: &Links) -> Fate {
    let mut mixed = seed;
    for part in [pair.0 as u64, pair.1 as u64, count] {
        mixed = scattered(mixed.wrapping_add(part));
    }
    let mut draws = Rng::with_seed(mixed);
    let mut chance = |of: u16| draws.u16(0..1000) < of;
    let (lost, copied) = (chance(links.loss), chance(links.copies));
    let reordered = chance(links.reorder);
    let spread = links.delay_max.saturating_sub(links.delay_min);
    let mut delay = || links.delay_min + spread.mul_f64(draws.f64());
    let mut delays = [delay(), delay()];
    if reordered {
        delays[0] += links.delay_max * BEHIND + Duration::from_millis(1);
    }
    Fate { lost, copied, reordered, delays }
}

/// A packet on its way: when it is due, its number, for whom, and its bytes.
type Delayed = Reverse<(Instant, u64, usize, Vec<u8>)>;

struct Run {
    seed: u64,
    senders: BTreeMap<SocketAddr, usize>,
    sockets: Vec<UdpSocket>,
    /// How many packets there were from whom to whom.
    sent: BTreeMap<(usize, usize), u64>,
    delayed: BinaryHeap<Delayed>,
    numbered: u64,
    shared: Arc<Shared>,
}

impl Run {
    fn run(&mut self) {
        let mut buffer = [0; PACKET_MAX + 1];
        while !self.shared.over.load(Ordering::Relaxed) {
            self.wait();
            for to in 0..self.sockets.len() {
                while let Ok((length, _)) = self.sockets[to].recv_from(&mut buffer) {
                    self.take(to, &buffer[..length]);
                }
            }
            self.deliver();
        }
    }

    fn wait(&self) {
        let due = self.delayed.peek().map(|Reverse((due, ..))| *due);
        let left = due.map_or(LOOK, |due| due.saturating_duration_since(Instant::now()).min(LOOK));
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let polled = |socket| PollFd::new(socket, PollFlags::IN);
        let mut polled: Vec<PollFd<'_>> = self.sockets.iter().map(polled).collect();
        // Whatever it says, the sockets are looked at next.
        let _ = poll(&mut polled, Some(&timeout));
    }

    /// Decides what becomes of a packet for process number `to`.
    fn take(&mut self, to: usize, packet: &[u8]) {
        let from = claimed_sender(packet);
        let mut state = self.shared.lock();
        let State { links, parted, counts, .. } = &mut *state;
        let Some(from) = from else {
            counts.dropped += 1;
            return;
        };
        let Some(from) = self.senders.get(&from).copied() else {
            counts.unharmed += 1;
            drop(state);
            return self.forward(to, packet);
        };
        let count = self.sent.entry((from, to)).or_default();
        let fate = fate(self.seed, (from, to), *count, links);
        *count += 1;
        if parted.contains(&(from, to)) {
            counts.parted += 1;
        } else if fate.lost {
            counts.lost += 1;
        } else if self.delayed.len() + 1 >= DELAYED_MAX {
            counts.dropped += 1;
        } else {
            counts.forwarded += 1;
            counts.copied += u64::from(fate.copied);
            counts.reordered += u64::from(fate.reordered);
            let now = Instant::now();
            for delay in &fate.delays[..1 + usize::from(fate.copied)] {
                self.numbered += 1;
                self.delayed.push(Reverse((now + *delay, self.numbered, to, packet.to_vec())));
            }
        }
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while self.delayed.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
            if let Some(Reverse((_, _, to, packet))) = self.delayed.pop() {
                self.forward(to, &packet);
            }
        }
    }

    fn forward(&self, to: usize, packet: &[u8]) {
        let target = self.shared.lock().targets[to];
        match target {
            // A process that is not there does not hear it, as over any network.
            Some(target) => drop(self.sockets[to].send_to(packet, target)),
            None => self.shared.lock().counts.dropped += 1,
        }
    }
}

#[cfg(test)]
mod tests;
