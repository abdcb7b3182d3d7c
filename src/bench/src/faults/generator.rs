//! A load of many clients over HTTP: each places, confirms and releases, once.
//!
//! Requests arrive at random moments, whether or not earlier ones were answered. So many may be open
//! at once as there are clients; one more is counted as not sent.

use super::FaultError;
use crate::histogram::Histogram;
use counterfoil_protocol::ClaimId;
use counterfoil_service::remote::{Method, NoAnswer, Remote, Reply, path_of};
use fastrand::Rng;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From a release that was not answered to the next try.
const AGAIN: Duration = Duration::from_millis(100);

/// After so many tries something is left where it is, and counted.
const RELEASES_MAX: u32 = 300;

/// Findings that are kept.
const WRONG_MAX: usize = 20;

/// How often requests arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Not at all.
    None,
    /// Whenever one of so many clients is free.
    Closed(usize),
    /// So many in a second, on average.
    Open(f64),
}

/// What came of requests.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// That arrived.
    pub arrived: u64,
    /// That were not sent, because every client was busy.
    pub not_sent: u64,
    /// That were placed.
    pub placed: u64,
    /// That were placed and confirmed.
    pub confirmed: u64,
    /// That were confirmed and released.
    pub released: u64,
    /// Refusals, by what was said.
    pub refused: BTreeMap<String, u64>,
    /// That were not answered at all.
    pub unanswered: u64,
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
        self.unanswered += other.unanswered;
        for (what, count) in &other.refused {
            *self.refused.entry(what.clone()).or_default() += count;
        }
        self.latency.add(&other.latency);
        self.wrong.extend(other.wrong.iter().cloned());
    }
}

/// Clients that ask.
pub(crate) struct Generator {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    pace: Mutex<(Pace, Instant)>,
    open: AtomicUsize,
    over: AtomicBool,
    tally: Mutex<Tally>,
    /// Every claim that was ever given.
    claims: Mutex<BTreeSet<u128>>,
    /// What was confirmed, and is not known to be released.
    kept: Mutex<BTreeSet<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Generator {
    /// Clients that ask the schedulers of `remote`, each in turn, once there is a pace.
    pub(crate) fn start(
        remote: &Remote,
        clients: usize,
        seed: u64,
    ) -> Result<Generator, FaultError> {
        let shared = Arc::new(Shared {
            pace: Mutex::new((Pace::None, Instant::now())),
            open: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            tally: Mutex::default(),
            claims: Mutex::default(),
            kept: Mutex::default(),
        });
        let (arrive, arrived) = sync_channel(clients);
        let arrived = Arc::new(Mutex::new(arrived));
        let mut threads = Vec::new();
        for number in 0..clients {
            let (shared, arrived, remote) =
                (Arc::clone(&shared), Arc::clone(&arrived), remote.clone());
            let named = std::thread::Builder::new().name(format!("client {number}"));
            let client = Client { shared, remote, turn: number };
            threads.push(named.stack_size(256 << 10).spawn(move || client.serve(&arrived))?);
        }
        let pacing = Arc::clone(&shared);
        let named = std::thread::Builder::new().name("arrivals".to_owned());
        threads.push(named.spawn(move || pacing.arrive(&arrive, clients, Rng::with_seed(seed)))?);
        Ok(Generator { shared, threads })
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

    /// What was confirmed, and is not known to be released.
    pub(crate) fn kept(&self) -> BTreeSet<String> {
        lock(&self.shared.kept).clone()
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..).rev() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn arrive(&self, arrive: &SyncSender<Instant>, clients: usize, mut rng: Rng) {
        let (mut next, mut since) = (Instant::now(), Instant::now());
        while !self.over.load(Ordering::SeqCst) {
            let (pace, changed) = *lock(&self.pace);
            let now = Instant::now();
            if changed != since {
                (next, since) = (now, changed);
            }
            match pace {
                Pace::None => std::thread::sleep(Duration::from_millis(5)),
                Pace::Closed(window) if self.open.load(Ordering::SeqCst) >= window.min(clients) => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                Pace::Closed(_) => self.offer(arrive, now, clients),
                Pace::Open(rate) => {
                    while next <= now {
                        self.offer(arrive, next, clients);
                        next += Duration::from_secs_f64(-(1.0 - rng.f64()).ln() / rate);
                    }
                    std::thread::sleep((next - now).min(Duration::from_millis(5)));
                }
            }
        }
    }

    fn offer(&self, arrive: &SyncSender<Instant>, at: Instant, clients: usize) {
        lock(&self.tally).arrived += 1;
        let room = self.open.load(Ordering::SeqCst) < clients;
        self.open.fetch_add(1, Ordering::SeqCst);
        let offered = if room { arrive.try_send(at) } else { Err(TrySendError::Full(at)) };
        if offered.is_err() {
            self.open.fetch_sub(1, Ordering::SeqCst);
            lock(&self.tally).not_sent += 1;
        }
    }

    fn wrong(&self, what: String) {
        let mut tally = lock(&self.tally);
        if tally.wrong.len() < WRONG_MAX {
            tally.wrong.push(what);
        }
    }
}

/// One of the clients.
struct Client {
    shared: Arc<Shared>,
    remote: Remote,
    /// Counts its requests: schedulers are asked in turn.
    turn: usize,
}

impl Client {
    fn serve(mut self, arrived: &Mutex<Receiver<Instant>>) {
        let body = json!({ "resources": { "VCPU": 1, "DISK_GB": 1 } });
        loop {
            let at = lock(arrived).recv();
            let Ok(at) = at else { return };
            self.once(at, &body);
            self.shared.open.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn url(&mut self) -> String {
        self.turn = self.turn.wrapping_add(1);
        self.remote.urls()[self.turn % self.remote.urls().len()].clone()
    }

    /// Places, confirms and releases.
    fn once(&mut self, at: Instant, body: &Value) {
        let url = self.url();
        let said = self.remote.ask(&url, Method::Post, "/v1/requests", Some(body));
        let Some(claim) = self.placed(at, said) else { return };
        let path = match claim.parse::<ClaimId>() {
            Ok(parsed) => path_of(parsed),
            Err(error) => return self.shared.wrong(error.to_string()),
        };
        // Until it is known to be otherwise it may be confirmed.
        lock(&self.shared.kept).insert(claim.clone());
        match self.remote.ask(&url, Method::Put, &path, None) {
            Ok(reply) if reply.status == 200 => lock(&self.shared.tally).confirmed += 1,
            Ok(reply) if reply.status == 410 => {
                self.refused("confirm: ", &reply);
                lock(&self.shared.kept).remove(&claim);
                return;
            }
            Ok(reply) => self.refused("confirm: ", &reply),
            Err(_) => lock(&self.shared.tally).unanswered += 1,
        }
        for _ in 0..RELEASES_MAX {
            let url = self.url();
            match self.remote.ask(&url, Method::Delete, &path, None) {
                Ok(reply) if reply.status == 200 => {
                    lock(&self.shared.tally).released += 1;
                    lock(&self.shared.kept).remove(&claim);
                    return;
                }
                Ok(reply) => self.refused("release: ", &reply),
                Err(_) => lock(&self.shared.tally).unanswered += 1,
            }
            if self.shared.over.load(Ordering::SeqCst) {
                return;
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// The claim, if there is one.
    fn placed(&self, at: Instant, said: Result<Reply, NoAnswer>) -> Option<String> {
        let Ok(reply) = said else {
            lock(&self.shared.tally).unanswered += 1;
            return None;
        };
        lock(&self.shared.tally).latency.note(at.elapsed());
        if reply.status != 200 {
            self.refused("", &reply);
            return None;
        }
        let claim = reply.body["placed"][0]["claim"].as_str().map(str::to_owned);
        let Some(claim) = claim else {
            self.shared.wrong(format!("200 without a claim: {}", reply.body));
            return None;
        };
        lock(&self.shared.tally).placed += 1;
        if !lock(&self.shared.claims).insert(number(&claim)) {
            self.shared.wrong(format!("{claim} was given twice"));
        }
        Some(claim)
    }

    fn refused(&self, what: &str, reply: &Reply) {
        let known = [
            "no_valid_host",
            "unavailable",
            "exhausted",
            "overloaded",
            "stopping",
            "connection_over",
            "unanswered",
            "gone",
        ];
        if !known.contains(&reply.error()) {
            self.shared.wrong(format!("{what}{} {}", reply.status, reply.body));
        }
        *lock(&self.shared.tally).refused.entry(format!("{what}{}", reply.error())).or_default() +=
            1;
    }
}

/// A claim in few bytes: claims are many.
fn number(claim: &str) -> u128 {
    claim.parse::<ClaimId>().map_or(0, |claim| {
        u128::from(claim.scheduler.0) << 112
            | u128::from(claim.incarnation.0 & 0xffff_ffff) << 80
            | u128::from(claim.node.0) << 48
            | u128::from(claim.number.0 & 0xffff_ffff_ffff)
    })
}
