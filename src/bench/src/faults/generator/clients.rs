//! The clients of the load: one thread that sends for all of them, over kept connections.

use super::connection::{Connection, Reply};
use super::{Pace, Shared, lock, number};
use counterfoil_protocol::ClaimId;
use counterfoil_service::remote::path_of;
use fastrand::Rng;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use serde::Deserialize;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// From a release that was not answered to the next try.
const AGAIN: Duration = Duration::from_millis(100);

/// After so many tries something is left where it is, and counted.
const RELEASES_MAX: u32 = 300;

/// Requests on one connection that are not answered, at most.
const DEPTH: usize = 8;

/// The same when one more is to be placed: what was placed already comes first.
const DEPTH_TO_PLACE: usize = 4;

/// How long a scheduler may take to accept a connection at first.
const PATIENCE: Duration = Duration::from_secs(10);

/// From one look for answers that are late, and connections that are gone, to the next.
const LOOK: Duration = Duration::from_millis(100);

/// The longest sleep.
const SLEEP: Duration = Duration::from_millis(1);

/// Connections that are made again at once, at most.
const OPENED_AT_ONCE: usize = 16;

/// What is asked for in every request.
const BODY: &str = r#"{"resources":{"VCPU":1,"DISK_GB":1}}"#;

/// What a scheduler is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Place,
    Confirm,
    Release,
}

/// One request, from its arrival to its release.
#[derive(Debug)]
pub(super) struct Job {
    next: Next,
    arrived: Instant,
    /// When it was asked to be placed.
    sent: Instant,
    /// What was placed.
    claim: Option<ClaimId>,
    /// The scheduler that was asked last.
    at: usize,
    tries: u32,
}

/// A scheduler, and the connections to it; one that is gone is made again.
struct Scheduler {
    address: SocketAddr,
    /// What is sent to place something.
    place: Vec<u8>,
    connections: Vec<Option<Connection<Job>>>,
    /// Connections on which nothing waits; or did not, when this was noted.
    idle: Vec<usize>,
}

pub(super) struct Clients {
    shared: Arc<Shared>,
    epoll: OwnedFd,
    schedulers: Vec<Scheduler>,
    again: VecDeque<(Instant, Job)>,
    rng: Rng,
    /// Counts requests: schedulers are asked in turn.
    turn: usize,
    looked: Instant,
}

/// What is said of a place.
#[derive(Deserialize)]
struct Said {
    placed: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    claim: String,
}

/// What is said when something is refused.
#[derive(Deserialize)]
struct Refused {
    error: String,
}

fn request(method: &str, path: &str, host: SocketAddr, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// How a connection breaks that the other end has ended.
const ENDED: [ErrorKind; 3] =
    [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];

impl Clients {
    /// Makes so many connections to each scheduler.
    pub(super) fn connect(
        shared: Arc<Shared>,
        schedulers: &[SocketAddr],
        connections: usize,
        seed: u64,
    ) -> io::Result<Clients> {
        let scheduler = |address: &SocketAddr| Scheduler {
            address: *address,
            place: request("POST", "/v1/requests", *address, BODY),
            connections: (0..connections).map(|_| None).collect(),
            idle: Vec::new(),
        };
        let mut clients = Clients {
            shared,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            schedulers: schedulers.iter().map(scheduler).collect(),
            again: VecDeque::new(),
            rng: Rng::with_seed(seed),
            turn: 0,
            looked: Instant::now(),
        };
        for scheduler in 0..schedulers.len() {
            for slot in 0..connections {
                // A scheduler that has just started may not come to it at once.
                let until = Instant::now() + PATIENCE;
                while let Err(error) = clients.open(scheduler, slot) {
                    if Instant::now() >= until {
                        return Err(error);
                    }
                }
            }
        }
        Ok(clients)
    }

    fn open(&mut self, scheduler: usize, slot: usize) -> io::Result<()> {
        let Scheduler { address, connections, idle, .. } = &mut self.schedulers[scheduler];
        let connection = Connection::open(*address)?;
        let data = epoll::EventData::new_u64((scheduler as u64) << 32 | slot as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &connection.stream, data, flags)?;
        connections[slot] = Some(connection);
        idle.push(slot);
        Ok(())
    }

    /// Sends what arrives and hears what is said, until it is over.
    pub(super) fn run(mut self) {
        let (mut next, mut since) = (Instant::now(), Instant::now());
        while !self.shared.over.load(Ordering::SeqCst) {
            let (pace, changed) = *lock(&self.shared.pace);
            let now = Instant::now();
            if changed != since {
                (next, since) = (now, changed);
            }
            match pace {
                Pace::None => {}
                Pace::Closed(window) => {
                    while self.shared.open.load(Ordering::SeqCst) < window && self.arrive(now) {}
                }
                Pace::Open(rate) => {
                    while next <= now {
                        self.arrive(next);
                        next += Duration::from_secs_f64(-(1.0 - self.rng.f64()).ln() / rate);
                    }
                }
            }
            while self.again.front().is_some_and(|(due, _)| *due <= now) {
                let (_, job) = self.again.pop_front().expect("there is one");
                self.ask(job);
            }
            if now - self.looked >= LOOK {
                self.looked = now;
                self.look(now);
            }
            let sleep = if matches!(pace, Pace::Open(_)) { (next - now).min(SLEEP) } else { SLEEP };
            self.wait(sleep);
        }
    }

    /// A request arrives; whether it is sent.
    fn arrive(&mut self, at: Instant) -> bool {
        lock(&self.shared.tally).arrived += 1;
        let next = Next::Place;
        let sent = Instant::now();
        let job = Job { next, arrived: at, sent, claim: None, at: self.in_turn(), tries: 0 };
        let Some(slot) = self.room(job.at, DEPTH_TO_PLACE) else {
            lock(&self.shared.tally).not_sent += 1;
            return false;
        };
        self.shared.open.fetch_add(1, Ordering::SeqCst);
        self.send(job, slot);
        true
    }

    fn in_turn(&mut self) -> usize {
        self.turn = self.turn.wrapping_add(1);
        self.turn % self.schedulers.len()
    }

    /// A connection to the scheduler on which fewer than `depth` wait.
    fn room(&mut self, scheduler: usize, depth: usize) -> Option<usize> {
        let Scheduler { connections, idle, .. } = &mut self.schedulers[scheduler];
        while let Some(slot) = idle.pop() {
            if connections[slot].as_ref().is_some_and(|c| c.waits_for() == 0) {
                return Some(slot);
            }
        }
        // None is idle: the better of two that are drawn, or the best of all.
        let waits = |slot: usize| connections[slot].as_ref().map(Connection::waits_for);
        let drawn = [self.rng.usize(0..connections.len()), self.rng.usize(0..connections.len())];
        let best = |slots: &mut dyn Iterator<Item = usize>| {
            let open = slots.filter_map(|slot| Some((waits(slot)?, slot)));
            open.filter(|(waits, _)| *waits < depth).min().map(|(_, slot)| slot)
        };
        best(&mut drawn.into_iter()).or_else(|| best(&mut (0..connections.len())))
    }

    /// Asks what is next for the request.
    fn ask(&mut self, mut job: Job) {
        match job.next {
            Next::Place | Next::Confirm => {}
            Next::Release => job.at = self.in_turn(),
        }
        match self.room(job.at, DEPTH) {
            Some(slot) => self.send(job, slot),
            // It was not sent, so nothing was left without an answer.
            None => self.again.push_back((Instant::now() + AGAIN, job)),
        }
    }

    fn send(&mut self, job: Job, slot: usize) {
        let scheduler = job.at;
        let Scheduler { address, place, connections, .. } = &mut self.schedulers[scheduler];
        let connection = connections[slot].as_mut().expect("it was found to be there");
        let method = match job.next {
            Next::Place => None,
            Next::Confirm => Some("PUT"),
            Next::Release => Some("DELETE"),
        };
        let sent = match (method, job.claim) {
            (Some(method), Some(claim)) => {
                connection.send(&request(method, &path_of(claim), *address, ""), job)
            }
            (_, _) => connection.send(place, job),
        };
        if let Err(error) = sent {
            self.broken(scheduler, slot, &error);
        }
    }

    /// A connection has ended: what waits on it will not be answered.
    fn broken(&mut self, scheduler: usize, slot: usize, why: &io::Error) {
        let Some(connection) = self.schedulers[scheduler].connections[slot].take() else { return };
        let why = match ENDED.contains(&why.kind()) {
            true => "the scheduler ended the connection".to_owned(),
            false => why.to_string(),
        };
        connection.unanswered().for_each(|job| self.unanswered(job, &why));
    }

    /// Makes again what is gone, and gives up what is late.
    fn look(&mut self, now: Instant) {
        for scheduler in 0..self.schedulers.len() {
            let connections = &self.schedulers[scheduler].connections;
            let of = |is: &dyn Fn(&Option<Connection<Job>>) -> bool| -> Vec<usize> {
                (0..connections.len()).filter(|slot| is(&connections[*slot])).collect()
            };
            let late = of(&|c| c.as_ref().is_some_and(|c| c.is_late(now)));
            let gone = of(&Option::is_none);
            for slot in late {
                let why = io::Error::new(ErrorKind::TimedOut, "there was no answer in time");
                self.broken(scheduler, slot, &why);
            }
            for slot in gone.into_iter().take(OPENED_AT_ONCE) {
                // A scheduler that was killed is back soon.
                if self.open(scheduler, slot).is_err() {
                    break;
                }
            }
        }
    }

    /// Waits for answers, for so long.
    fn wait(&mut self, time: Duration) {
        let time = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        // It fails if it is interrupted; then it is asked again.
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&time));
        let mut answered = Vec::new();
        for event in &events {
            let data = event.data.u64();
            let (scheduler, slot) = ((data >> 32) as usize, (data & 0xffff_ffff) as usize);
            let Scheduler { connections, idle, .. } = &mut self.schedulers[scheduler];
            let Some(connection) = &mut connections[slot] else { continue };
            let heard = connection.receive(&mut answered).and_then(|()| connection.flush());
            if connection.waits_for() == 0 {
                idle.push(slot);
            }
            if let Err(error) = heard {
                self.broken(scheduler, slot, &error);
            }
            answered.drain(..).for_each(|(job, reply)| self.answered(job, &reply));
        }
    }

    /// A request has come to an end.
    fn ended(&self) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Nobody will say what became of it.
    fn unanswered(&mut self, mut job: Job, why: &str) {
        let what = match job.next {
            Next::Place => "place",
            Next::Confirm => "confirm",
            Next::Release => "release",
        };
        let reason = format!("{what}: {why}");
        *lock(&self.shared.tally).unanswered.entry(reason).or_default() += 1;
        match job.next {
            Next::Place => self.ended(),
            Next::Confirm => {
                job.next = Next::Release;
                self.later(job);
            }
            Next::Release => self.later(job),
        }
    }

    /// Asks for the release again, after a while.
    fn later(&mut self, mut job: Job) {
        job.tries += 1;
        if job.tries >= RELEASES_MAX {
            return self.ended();
        }
        self.again.push_back((Instant::now() + AGAIN, job));
    }

    fn answered(&mut self, job: Job, reply: &Reply) {
        match job.next {
            Next::Place => self.placed(job, reply),
            Next::Confirm => self.confirmed(job, reply),
            Next::Release => self.released(job, reply),
        }
    }

    fn placed(&mut self, mut job: Job, reply: &Reply) {
        lock(&self.shared.tally).latency.note(job.arrived.elapsed());
        if reply.status != 200 {
            self.shared.refused("", reply);
            return self.ended();
        }
        let said: Option<Said> = serde_json::from_slice(&reply.body).ok();
        let claim = said.and_then(|said| said.placed.first()?.claim.parse::<ClaimId>().ok());
        let Some(claim) = claim else {
            self.shared.wrong(format!("200 without a claim: {reply:?}"));
            return self.ended();
        };
        lock(&self.shared.tally).placed += 1;
        if !lock(&self.shared.claims).insert(number(claim)) {
            self.shared.wrong(format!("{claim} was given twice"));
        }
        // Until it is known to be otherwise it may be confirmed.
        lock(&self.shared.kept).insert(claim);
        (job.claim, job.next) = (Some(claim), Next::Confirm);
        self.ask(job);
    }

    /// Only the node can say that it is confirmed, so it was truly allocated; and that it is gone,
    /// once nobody has confirmed it for as long as it is held.
    fn confirmed(&mut self, mut job: Job, reply: &Reply) {
        let claim = job.claim.expect("it was placed");
        match reply.status {
            200 => lock(&self.shared.tally).confirmed += 1,
            410 => {
                self.shared.refused("confirm: ", reply);
                let held = job.sent.elapsed();
                if held < self.shared.lapse {
                    self.shared.wrong(format!("{claim} was placed, and gone within {held:?}"));
                }
                lock(&self.shared.kept).remove(&claim);
                return self.ended();
            }
            _ => self.shared.refused("confirm: ", reply),
        }
        job.next = Next::Release;
        self.ask(job);
    }

    fn released(&mut self, job: Job, reply: &Reply) {
        if reply.status != 200 {
            self.shared.refused("release: ", reply);
            return self.later(job);
        }
        lock(&self.shared.tally).released += 1;
        lock(&self.shared.kept).remove(&job.claim.expect("it was placed"));
        self.ended();
    }
}

impl Shared {
    fn wrong(&self, what: String) {
        let mut tally = lock(&self.tally);
        if tally.wrong.len() < super::WRONG_MAX {
            tally.wrong.push(what);
        }
    }

    /// Something was refused, for a reason that is among those that the API promises.
    fn refused(&self, what: &str, reply: &Reply) {
        let known = [
            "no_valid_host",
            "unavailable",
            "exhausted",
            "overloaded",
            "stopping",
            "unanswered",
            "gone",
        ];
        let error = serde_json::from_slice(&reply.body).map_or(String::new(), |r: Refused| r.error);
        if !known.contains(&error.as_str()) {
            self.wrong(format!("{what}{} {}", reply.status, String::from_utf8_lossy(&reply.body)));
        }
        *lock(&self.tally).refused.entry(format!("{what}{error}")).or_default() += 1;
    }
}
