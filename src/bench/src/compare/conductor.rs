//! Stands before one scheduler: has requests, keeps so many open, asks again for those whose claim
//! failed, and counts what becomes of them. The conductor of 2016, in the process of its scheduler.

use super::tally::{STEP, Tally};
use crate::baselines::{Ask, Event, Outcome, now_ns};
use counterfoil_protocol::Demand;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request of which nothing was heard for so long is given up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A request, by its number.
pub type Request = (u64, Arc<Demand>);

/// Has the requests of one scheduler.
#[derive(Debug)]
pub struct Conductor {
    requests: VecDeque<Request>,
    /// Requests that are open at once, at most.
    window: usize,
    /// Attempts of one request, at most.
    attempts_max: u32,
    open: HashMap<u64, Open>,
    /// Open requests that are to be asked again, and when.
    again: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Open requests, and some that were, by when they were taken up.
    since: VecDeque<(Instant, u64)>,
    began: Instant,
    tally: Tally,
}

/// A request that is open.
#[derive(Debug)]
struct Open {
    demand: Arc<Demand>,
    since: Instant,
    attempts: u32,
    refused: Vec<u32>,
    /// When the last decision was made, and since when its view was.
    decided: Option<(Instant, Instant)>,
}

impl Conductor {
    /// One with these requests.
    pub fn new(requests: Vec<Request>, window: usize, attempts_max: u32) -> Conductor {
        Conductor {
            requests: requests.into(),
            window,
            attempts_max,
            open: HashMap::new(),
            again: BinaryHeap::new(),
            since: VecDeque::new(),
            began: Instant::now(),
            tally: Tally::default(),
        }
    }

    /// The run begins.
    pub fn begin(&mut self) {
        self.began = Instant::now();
        self.tally.began_ns = now_ns();
        self.tally.ended_ns = self.tally.began_ns;
    }

    /// Whether every request has ended.
    pub fn is_done(&self) -> bool {
        self.requests.is_empty() && self.open.is_empty()
    }

    /// Takes no other request; what is open may end.
    pub fn cut(&mut self) {
        if !self.is_done() {
            self.tally.cut = true;
            self.requests.clear();
            self.open.clear();
        }
    }

    /// The next attempt, if one is due.
    pub fn next(&mut self, now: Instant) -> Option<Ask> {
        self.give_up(now);
        while let Some(Reverse((_, request))) = self.again.peek().filter(|a| a.0.0 <= now).copied()
        {
            self.again.pop();
            if let Some(open) = self.open.get_mut(&request) {
                open.attempts += 1;
                let (demand, refused) = (open.demand.clone(), open.refused.clone());
                return Some(Ask { request, demand, refused });
            }
        }
        if self.open.len() >= self.window {
            return None;
        }
        let (request, demand) = self.requests.pop_front()?;
        let open = Open {
            demand: demand.clone(),
            since: now,
            attempts: 1,
            refused: Vec::new(),
            decided: None,
        };
        self.open.insert(request, open);
        self.since.push_back((now, request));
        self.tally.requests += 1;
        Some(Ask { request, demand, refused: Vec::new() })
    }

    /// When [`Conductor::next`] is worth asking again, if nothing is heard before.
    pub fn deadline(&self) -> Option<Instant> {
        let again = self.again.peek().map(|again| again.0.0);
        let given_up = self.since.front().map(|(since, _)| *since + PATIENCE);
        again.into_iter().chain(given_up).min()
    }

    fn give_up(&mut self, now: Instant) {
        while let Some((since, request)) = self.since.front().copied() {
            let open = self.open.get(&request).is_some_and(|open| open.since == since);
            if open && since + PATIENCE > now {
                return;
            }
            self.since.pop_front();
            if open {
                self.open.remove(&request);
                self.tally.unanswered += 1;
                self.tally.ended_ns = now_ns();
            }
        }
    }

    /// How many attempts of a request there were, the one under way included; more than any if it is
    /// not open.
    pub fn attempts(&self, request: u64) -> u32 {
        self.open.get(&request).map_or(u32::MAX, |open| open.attempts)
    }

    /// Something became of a request.
    pub fn on_event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Chosen { request, began, view_from } => {
                let Some(open) = self.open.get_mut(&request) else { return };
                if open.decided.is_none() {
                    self.tally.queue.note(began.saturating_duration_since(open.since));
                }
                self.tally.decision.note(now.saturating_duration_since(began));
                open.decided = Some((now, view_from.unwrap_or(began)));
            }
            Event::Refused { request } => {
                self.on_failure(request, now);
                if let Some(open) = self.open.get_mut(&request) {
                    open.attempts += 1;
                }
            }
            Event::Again { request, without, after } => {
                self.on_failure(request, now);
                let Some(open) = self.open.get_mut(&request) else { return };
                if open.attempts >= self.attempts_max {
                    return self.end(request, Outcome::Exhausted, now);
                }
                open.refused.extend(without);
                self.again.push(Reverse((now + after, request)));
            }
            Event::Ended { request, outcome } => self.end(request, outcome, now),
        }
    }

    /// A claim failed.
    fn on_failure(&mut self, request: u64, now: Instant) {
        let Some(open) = self.open.get(&request) else { return };
        if open.attempts == 1 {
            self.tally.queries.direct_retried += 1;
        } else {
            self.tally.queries.retry_retried += 1;
        }
        self.on_verdict(request, now);
    }

    fn on_verdict(&mut self, request: u64, now: Instant) {
        if let Some((decided, view_from)) = self.open.get(&request).and_then(|open| open.decided) {
            self.tally.claim.note(now.saturating_duration_since(decided));
            self.tally.gap.note(now.saturating_duration_since(view_from));
        }
    }

    fn end(&mut self, request: u64, outcome: Outcome, now: Instant) {
        if outcome == Outcome::Placed {
            self.on_verdict(request, now);
        }
        let Some(open) = self.open.remove(&request) else { return };
        let first = open.attempts == 1;
        let Tally { queries, exhausted, .. } = &mut self.tally;
        *match (outcome, first) {
            (Outcome::Placed, true) => &mut queries.direct_success,
            (Outcome::Placed, false) => &mut queries.retry_success,
            (Outcome::NoValidHost, true) => &mut queries.direct_no_valid_host,
            (Outcome::NoValidHost, false) => &mut queries.retry_no_valid_host,
            // Its last claim was counted when it failed.
            (Outcome::Exhausted, _) => exhausted,
        } += 1;
        let tally = &mut self.tally;
        match outcome {
            Outcome::Placed => {
                tally.success += 1;
                let step = (now - self.began).as_millis() / STEP.as_millis();
                let step = usize::try_from(step).expect("runs are short");
                if tally.timeline.len() <= step {
                    tally.timeline.resize(step + 1, 0);
                }
                tally.timeline[step] += 1;
                tally.latency.note(now - open.since);
            }
            Outcome::NoValidHost => tally.no_valid_host += 1,
            Outcome::Exhausted => {}
        }
        tally.ended_ns = now_ns();
    }

    /// What was counted so far.
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// What was counted.
    pub fn into_tally(self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload;

    fn conductor(requests: u64, window: usize) -> Conductor {
        let requests = (0..requests).map(|n| (n, Arc::new(workload::demand(1, 64)))).collect();
        let mut conductor = Conductor::new(requests, window, 2);
        conductor.begin();
        conductor
    }

    fn again(request: u64, node: u32) -> Event {
        Event::Again { request, without: Some(node), after: Duration::ZERO }
    }

    #[test]
    fn as_many_are_open_as_the_window_says() {
        let mut conductor = conductor(3, 2);
        let now = Instant::now();
        assert_eq!(conductor.next(now).map(|ask| ask.request), Some(0));
        assert_eq!(conductor.next(now).map(|ask| ask.request), Some(1));
        assert!(conductor.next(now).is_none());
        conductor.on_event(Event::Ended { request: 0, outcome: Outcome::Placed });
        assert_eq!(conductor.next(now).map(|ask| ask.request), Some(2));
        assert!(!conductor.is_done());
    }

    #[test]
    fn a_refused_request_is_asked_elsewhere_until_its_attempts_are_used_up() {
        let mut conductor = conductor(1, 1);
        let _ = conductor.next(Instant::now());
        conductor.on_event(again(0, 7));
        let ask = conductor.next(Instant::now()).unwrap();
        assert_eq!((ask.request, ask.refused), (0, vec![7]));
        conductor.on_event(again(0, 8));
        assert!(conductor.is_done());
        let tally = conductor.into_tally();
        assert_eq!((tally.exhausted, tally.requests), (1, 1));
        assert_eq!((tally.queries.direct_retried, tally.queries.retry_retried), (1, 1));
        assert_eq!(tally.queries.all(), 2);
    }

    #[test]
    fn a_request_that_nothing_is_heard_of_is_given_up() {
        let mut conductor = conductor(1, 1);
        let start = Instant::now();
        let _ = conductor.next(start);
        assert_eq!(conductor.deadline(), Some(start + PATIENCE));
        assert!(conductor.next(start + PATIENCE).is_none());
        assert!(conductor.is_done());
        conductor.on_event(Event::Ended { request: 0, outcome: Outcome::Placed });
        let tally = conductor.into_tally();
        assert_eq!((tally.unanswered, tally.success), (1, 0), "it came too late");
    }
}
