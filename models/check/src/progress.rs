//! How far a search is, on stderr; and whether it should end.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::{Duration, Instant};

/// Why a search ended before every state was explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It went as deep as it was to go.
    Depth,
    /// Its time was up.
    Time,
    /// It was interrupted.
    Interrupt,
    /// It took too much memory.
    Memory,
}

impl Stop {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Stop::Depth => "depth",
            Stop::Time => "time",
            Stop::Interrupt => "interrupt",
            Stop::Memory => "memory",
        }
    }
}

/// Set by SIGINT: every search ends, and what it saw is reported.
pub static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether a search must end; to be asked all the time.
#[derive(Clone, Debug, Default)]
pub struct Limit(Arc<AtomicU8>);

impl Limit {
    /// Why the search must end now, if it must.
    pub fn stop(&self) -> Option<Stop> {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Some(Stop::Interrupt);
        }
        let ended = self.0.load(Ordering::Relaxed);
        [Stop::Depth, Stop::Time, Stop::Interrupt, Stop::Memory]
            .into_iter()
            .find(|stop| *stop as u8 + 1 == ended)
    }

    /// Ends the search, if it has not ended yet.
    pub fn end(&self, why: Stop) {
        let _ = self.0.compare_exchange(0, why as u8 + 1, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Ends a search when its time is up, or when the process takes too much memory. Dropped, it no
/// longer watches.
pub struct Watch {
    over: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    /// Watches over searches that ask `limits`: until `deadline`, and until the process has
    /// `memory_bytes_max` bytes resident.
    pub fn over(
        limits: Vec<Limit>,
        deadline: Option<Instant>,
        memory_bytes_max: Option<u64>,
    ) -> Self {
        let look = move || {
            let end = |why| limits.iter().for_each(|limit| limit.end(why));
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                end(Stop::Time);
            }
            if memory_bytes_max.is_some_and(|most| resident_bytes() > most) {
                end(Stop::Memory);
            }
        };
        look();
        let (over, is_over) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            while is_over.recv_timeout(WATCH_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                look();
            }
        });
        Watch { over: Some(over), thread: Some(thread) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("watching does not panic");
        }
    }
}

/// How often memory and time are looked at.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// How many bytes of this process are in memory; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem as u64)
}

/// Shows how far a search is: on a terminal one line that is written over; elsewhere a line every
/// 30 s.
pub struct Progress {
    scenario: String,
    /// How many distinct states there should be, if that is known.
    expected: Option<u64>,
    started: Instant,
    limit: Limit,
    terminal: bool,
    ticks: AtomicU64,
    steps: AtomicU64,
    shown_ms: AtomicU64,
}

impl Progress {
    /// Of the search of `scenario`, which should find `expected` distinct states.
    pub fn new(scenario: &str, expected: Option<u64>, limit: Limit) -> Self {
        Progress {
            scenario: scenario.to_owned(),
            expected,
            started: Instant::now(),
            limit,
            terminal: std::io::stderr().is_terminal(),
            ticks: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            shown_ms: AtomicU64::new(0),
        }
    }

    /// To be called once a state: says whether to stop. `counts` are states, distinct and depth.
    pub fn tick(&self, counts: &(u64, u64, usize), queue: usize) -> Option<Stop> {
        if !self.ticks.fetch_add(1, Ordering::Relaxed).is_multiple_of(256) {
            return None;
        }
        if let Some(seconds) = self.due() {
            let (states, distinct, depth) = counts;
            let rate = *states as f64 / seconds.max(0.001);
            let memory = resident_bytes() as f64 / f64::from(1 << 30);
            // Honest only if the number of states is known.
            let left = self.expected.filter(|expected| expected > distinct).map_or_else(
                String::new,
                |expected| {
                    let left = (expected - distinct) as f64 * seconds / *distinct as f64;
                    format!(", about {left:.0} s left")
                },
            );
            self.show(&format!(
                "depth {depth}, {states} states, {distinct} distinct, queue {queue}, {rate:.0}/s, \
                 {memory:.1} GiB, {seconds:.0} s{left}"
            ));
        }
        self.limit.stop()
    }

    /// To be called once a walk of so many steps: says whether to stop.
    pub fn tick_walk(&self, steps: usize) -> Option<Stop> {
        let walks = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        let steps = self.steps.fetch_add(steps as u64, Ordering::Relaxed) + steps as u64;
        if let Some(seconds) = self.due() {
            let rate = walks as f64 / seconds.max(0.001);
            self.show(&format!("{walks} walks, {steps} steps, {rate:.0}/s, {seconds:.0} s"));
        }
        self.limit.stop()
    }

    /// How many seconds it has taken, if it is time to say so.
    fn due(&self) -> Option<f64> {
        let elapsed = self.started.elapsed();
        let every =
            if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(30) };
        let due = self.shown_ms.load(Ordering::Relaxed) + every.as_millis() as u64;
        let is_due = elapsed.as_millis() as u64 >= due;
        is_due.then(|| {
            self.shown_ms.store(elapsed.as_millis() as u64, Ordering::Relaxed);
            elapsed.as_secs_f64()
        })
    }

    fn show(&self, text: &str) {
        let (start, end) = if self.terminal { ("\r\x1b[2K", "") } else { ("", "\n") };
        let mut stderr = std::io::stderr().lock();
        // A closed stderr is no reason to stop.
        let _ = write!(stderr, "{start}{}: {text}{end}", self.scenario);
        let _ = stderr.flush();
    }

    /// Takes the line off the terminal.
    pub fn clear(&self) {
        if self.terminal && self.shown_ms.load(Ordering::Relaxed) > 0 {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}
