//! How far a workload has been placed.

use crate::workload::Row;
use counterfoil_protocol::client::Order;
use counterfoil_protocol::{Outcome, RequestId};
use std::collections::BTreeSet;

/// How far a workload has been placed: which orders are due, and what came of them.
///
/// The time is the start of the row that was ordered last. Before a row is ordered, every request
/// that was placed and has ended by then is released. A request that ends while it is still being
/// placed is released as soon as it is placed.
#[derive(Debug)]
pub(crate) struct Placing {
    rows: Vec<Row>,
    /// How many rows were ordered. The request of a row is its number, from 1.
    ordered: usize,
    window: usize,
    seeking: BTreeSet<RequestId>,
    /// Placed and not released, by the time at which they end.
    placed_until: BTreeSet<(Time, RequestId)>,
    releasing: BTreeSet<RequestId>,
    forget: Vec<RequestId>,
    pub(crate) counts: Counts,
}

/// What came of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Placed and confirmed, whether or not released since.
    pub(crate) placed: u64,
    /// Refused by a scheduler that knows of no valid host.
    pub(crate) no_valid_host: u64,
    /// Ended in another way.
    pub(crate) other: u64,
}

/// A time in days, ordered.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Time(f64);

impl Eq for Time {}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Placing {
    /// Nothing of `rows` has been placed. Up to `window` requests, at least one, will be sought at
    /// once.
    pub(crate) fn new(rows: Vec<Row>, window: usize) -> Self {
        Placing {
            rows,
            ordered: 0,
            window: window.max(1),
            seeking: BTreeSet::new(),
            placed_until: BTreeSet::new(),
            releasing: BTreeSet::new(),
            forget: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The orders that are due, up to about `max`.
    pub(crate) fn orders(&mut self, max: usize) -> Vec<Order> {
        let mut orders: Vec<Order> = self.forget.drain(..).map(Order::Forget).collect();
        self.release(&mut orders);
        while self.seeking.len() < self.window
            && self.ordered < self.rows.len()
            && orders.len() < max
        {
            self.ordered += 1;
            self.release(&mut orders);
            let request = RequestId(self.ordered as u64);
            self.seeking.insert(request);
            orders.push(Order::Place(request, self.rows[self.ordered - 1].demand.clone()));
        }
        orders
    }

    /// Takes note of what became of a request.
    pub(crate) fn ended(&mut self, request: RequestId, outcome: &Outcome) {
        self.seeking.remove(&request);
        let count = match outcome {
            Outcome::Confirmed(_) => {
                let row = usize::try_from(request.0).ok().and_then(|n| self.rows.get(n - 1));
                let end = Time(row.expect("its request was ordered").end);
                self.placed_until.insert((end, request));
                self.counts.placed += 1;
                return;
            }
            Outcome::Released => {
                self.releasing.remove(&request);
                return self.forget.push(request);
            }
            Outcome::NoValidHost(_) => &mut self.counts.no_valid_host,
            Outcome::Exhausted | Outcome::Overloaded => &mut self.counts.other,
        };
        *count += 1;
        self.forget.push(request);
    }

    /// How many requests have ended, in whatever way.
    pub(crate) fn decided(&self) -> usize {
        self.ordered - self.seeking.len()
    }

    /// How many requests there are.
    pub(crate) fn count(&self) -> usize {
        self.rows.len()
    }

    /// Whether all requests have ended and everything that was to be released is.
    pub(crate) fn is_over(&self) -> bool {
        self.decided() == self.rows.len() && self.releasing.is_empty() && !self.release_is_due()
    }

    fn now(&self) -> f64 {
        self.ordered.checked_sub(1).map_or(f64::NEG_INFINITY, |last| self.rows[last].start)
    }

    fn release_is_due(&self) -> bool {
        self.placed_until.first().is_some_and(|(end, _)| end.0 <= self.now())
    }

    fn release(&mut self, orders: &mut Vec<Order>) {
        while self.release_is_due() {
            let (_, request) = self.placed_until.pop_first().expect("one is due");
            self.releasing.insert(request);
            orders.push(Order::Release(request));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{
        ClaimId, ClaimNumber, Demand, Incarnation, Map, NodeId, SchedulerId,
    };

    fn rows(times: &[(f64, f64)]) -> Vec<Row> {
        let row =
            |(start, end): &(f64, f64)| Row { demand: Demand::default(), start: *start, end: *end };
        times.iter().map(row).collect()
    }

    fn place(request: u64) -> Order {
        Order::Place(RequestId(request), Demand::default())
    }

    fn release(request: u64) -> Order {
        Order::Release(RequestId(request))
    }

    fn forget(request: u64) -> Order {
        Order::Forget(RequestId(request))
    }

    fn confirmed() -> Outcome {
        let (scheduler, incarnation) = (SchedulerId(1), Incarnation(1));
        let (node, number) = (NodeId(1), ClaimNumber(0));
        Outcome::Confirmed(ClaimId { scheduler, incarnation, node, number })
    }

    const LONG: f64 = f64::INFINITY;

    #[test]
    fn no_more_than_the_window_are_sought_at_once() {
        let mut placing = Placing::new(rows(&[(0.0, LONG); 4]), 2);
        assert_eq!(placing.orders(99), [place(1), place(2)]);
        assert_eq!(placing.orders(99), []);
        placing.ended(RequestId(2), &Outcome::NoValidHost(Map::default()));
        assert_eq!(placing.orders(99), [forget(2), place(3)]);
        placing.ended(RequestId(1), &confirmed());
        placing.ended(RequestId(3), &Outcome::Exhausted);
        assert_eq!(placing.orders(99), [forget(3), place(4)]);
        assert!(!placing.is_over());
        placing.ended(RequestId(4), &confirmed());
        assert!(placing.is_over());
        assert_eq!(placing.counts, Counts { placed: 2, no_valid_host: 1, other: 1 });
    }

    #[test]
    fn what_has_ended_is_released_before_the_next_row() {
        let mut placing = Placing::new(rows(&[(0.0, 1.0), (0.5, 2.0), (1.0, LONG)]), 1);
        assert_eq!(placing.orders(99), [place(1)]);
        placing.ended(RequestId(1), &confirmed());
        assert_eq!(placing.orders(99), [place(2)], "at 0.5 request 1 goes on");
        placing.ended(RequestId(2), &confirmed());
        assert_eq!(placing.orders(99), [release(1), place(3)]);
        placing.ended(RequestId(1), &Outcome::Released);
        assert_eq!(placing.orders(99), [forget(1)]);
    }

    #[test]
    fn what_ends_while_it_is_sought_is_released_once_it_is_placed() {
        let mut placing = Placing::new(rows(&[(0.0, 1.0), (3.0, LONG)]), 2);
        assert_eq!(placing.orders(99), [place(1), place(2)]);
        placing.ended(RequestId(2), &confirmed());
        placing.ended(RequestId(1), &confirmed());
        assert!(!placing.is_over());
        assert_eq!(placing.orders(99), [release(1)]);
        assert!(!placing.is_over());
        placing.ended(RequestId(1), &Outcome::Released);
        assert!(placing.is_over());
        assert_eq!(placing.counts, Counts { placed: 2, no_valid_host: 0, other: 0 });
    }

    #[test]
    fn a_bounded_number_is_ordered_at_once() {
        let mut placing = Placing::new(rows(&[(0.0, LONG); 9]), 9);
        assert_eq!(placing.orders(2).len(), 2);
        assert_eq!(placing.orders(99).len(), 7);
    }
}
