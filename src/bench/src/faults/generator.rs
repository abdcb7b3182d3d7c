//! A load of many clients over HTTP: each places, confirms and releases, once.
//!
//! Requests arrive at random moments, whether or not earlier ones were answered. They are sent by one
//! thread over connections that are kept, up to four one behind the other on each; one that fits on
//! none is counted as not sent. What was placed is confirmed and released before more is placed.

mod clients;
mod connection;

use super::FaultError;
use crate::histogram::Histogram;
use clients::Clients;
use counterfoil_protocol::ClaimId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Findings that are kept.
const WRONG_MAX: usize = 20;

/// How often requests arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Not at all.
    None,
    /// Whenever fewer than so many are open.
    Closed(usize),
    /// So many in a second, on average.
    Open(f64),
}

/// What came of requests.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// That arrived.
    pub arrived: u64,
    /// That were not sent, because every connection was busy.
    pub not_sent: u64,
    /// That were placed.
    pub placed: u64,
    /// That were placed and confirmed.
    pub confirmed: u64,
    /// That were confirmed and released.
    pub released: u64,
    /// Refusals, by what was said.
    pub refused: BTreeMap<String, u64>,
    /// Calls that were not answered at all, by what was asked and why.
    pub unanswered: BTreeMap<String, u64>,
    /// How long an answer took, from the arrival.
    #[serde(skip)]
    pub(crate) latency: Histogram,
    /// Answers that cannot be right.
    pub wrong: Vec<String>,
}

impl Tally {
    /// Requests that were turned away for want of room.
    pub(crate) fn turned_away(&self) -> u64 {
        self.not_sent + self.refused.get("overloaded").copied().unwrap_or(0)
    }

    /// All of `other` more.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.arrived += other.arrived;
        self.not_sent += other.not_sent;
        self.placed += other.placed;
        self.confirmed += other.confirmed;
        self.released += other.released;
        for (what, count) in &other.refused {
            *self.refused.entry(what.clone()).or_default() += count;
        }
        for (what, count) in &other.unanswered {
            *self.unanswered.entry(what.clone()).or_default() += count;
        }
        self.latency.add(&other.latency);
        self.wrong.extend(other.wrong.iter().cloned());
    }
}

/// Clients that ask.
pub(crate) struct Generator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// How long a node holds what nobody confirms.
    lapse: Duration,
    pace: Mutex<(Pace, Instant)>,
    open: AtomicUsize,
    over: AtomicBool,
    tally: Mutex<Tally>,
    /// Every claim that was ever given.
    claims: Mutex<HashSet<u128>>,
    /// What was placed, and is not known to be released.
    kept: Mutex<BTreeSet<ClaimId>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Generator {
    /// Clients that ask these schedulers, each in turn, once there is a pace, over so many
    /// connections to each. Nodes hold what nobody confirms for `lapse`.
    pub(crate) fn start(
        schedulers: &[SocketAddr],
        connections: usize,
        lapse: Duration,
        seed: u64,
    ) -> Result<Generator, FaultError> {
        let shared = Arc::new(Shared {
            lapse,
            pace: Mutex::new((Pace::None, Instant::now())),
            open: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            tally: Mutex::default(),
            claims: Mutex::default(),
            kept: Mutex::default(),
        });
        let clients = Clients::connect(Arc::clone(&shared), schedulers, connections, seed)?;
        let named = std::thread::Builder::new().name("clients".to_owned());
        let thread = named.spawn(move || clients.run())?;
        Ok(Generator { shared, thread: Some(thread) })
    }

    /// Requests arrive like this from now on.
    pub(crate) fn set_pace(&self, pace: Pace) {
        *lock(&self.shared.pace) = (pace, Instant::now());
    }

    /// What came of requests since the last time.
    pub(crate) fn take(&self) -> Tally {
        std::mem::take(&mut lock(&self.shared.tally))
    }

    /// Requests that are being worked on.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// What was placed, and is not known to be released.
    pub(crate) fn kept(&self) -> BTreeSet<ClaimId> {
        lock(&self.shared.kept).clone()
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A claim in few bytes: claims are many.
fn number(claim: ClaimId) -> u128 {
    u128::from(claim.scheduler.0) << 112
        | u128::from(claim.incarnation.0 & 0xffff_ffff) << 80
        | u128::from(claim.node.0) << 48
        | u128::from(claim.number.0 & 0xffff_ffff_ffff)
}
