//! How far a search is, on stderr; and whether it should end.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
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
}

impl Stop {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Stop::Depth => "depth",
            Stop::Time => "time",
            Stop::Interrupt => "interrupt",
        }
    }
}

/// Set by SIGINT: every search ends, and what it saw is reported.
pub static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// When a search must end.
#[derive(Clone, Debug, Default)]
pub struct Limit {
    /// Not later than this.
    pub deadline: Option<Instant>,
    /// Once this is set: its answer is no longer wanted.
    pub cancelled: Arc<AtomicBool>,
}

impl Limit {
    /// Why the search must end now, if it must.
    pub fn stop(&self) -> Option<Stop> {
        if INTERRUPTED.load(Ordering::Relaxed) || self.cancelled.load(Ordering::Relaxed) {
            Some(Stop::Interrupt)
        } else if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            Some(Stop::Time)
        } else {
            None
        }
    }
}

/// Shows how far a search is: on a terminal one line that is written over; elsewhere a line every
/// 30 s.
pub struct Progress {
    scenario: String,
    started: Instant,
    limit: Limit,
    terminal: bool,
    ticks: AtomicU64,
    steps: AtomicU64,
    shown_ms: AtomicU64,
}

impl Progress {
    /// Of the search of `scenario`.
    pub fn new(scenario: &str, limit: Limit) -> Self {
        Progress {
            scenario: scenario.to_owned(),
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
            self.show(&format!(
                "depth {depth}, {states} states, {distinct} distinct, queue {queue}, {rate:.0}/s, \
                 {seconds:.0} s"
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
