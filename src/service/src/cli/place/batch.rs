//! Requests that are placed all, or not at all.

use crate::remote::{Reply, Work};
use counterfoil_protocol::client::{Order, Phase};
use counterfoil_protocol::{AttemptId, ClaimId, Client, Demand, Outcome, RequestId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How long what was placed is released, once it is too late.
const GRACE: Duration = Duration::from_secs(10);

/// Requests that are placed all, or not at all.
#[derive(Debug)]
pub(super) struct Batch {
    /// What became of each, as far as is known.
    requests: BTreeMap<RequestId, Option<Outcome>>,
    /// What was confirmed, whether or not it was released since.
    claims: BTreeMap<RequestId, ClaimId>,
    due: Vec<Order>,
    deadline: Instant,
    giving_up: Option<GivingUp>,
    refusal: Value,
}

/// Why everything is given up.
#[derive(Clone, Debug)]
enum GivingUp {
    ByOrder,
    Failed(Failed),
}

/// What came of a batch.
#[derive(Debug)]
pub(super) enum Ended {
    /// All are placed.
    Confirmed(Vec<ClaimId>),
    /// What was placed is released, as ordered.
    Released(Vec<ClaimId>),
    /// Nothing is placed.
    Failed(Failed),
}

/// Why nothing is placed.
#[derive(Clone, Debug)]
pub(super) enum Failed {
    /// A scheduler says so, in these words.
    NoValidHost(Value),
    /// Too many attempts failed.
    Exhausted,
    /// It took too long.
    TimedOut,
}

impl Batch {
    /// To place `demand` for each of `requests`.
    pub(super) fn new(
        requests: impl IntoIterator<Item = RequestId>,
        demand: &Demand,
        timeout: Duration,
    ) -> Batch {
        let mut batch = Batch::nothing(timeout);
        batch.requests = requests.into_iter().map(|request| (request, None)).collect();
        let place = |request: &RequestId| Order::Place(*request, demand.clone());
        batch.due = batch.requests.keys().map(place).collect();
        batch
    }

    /// Nothing, yet.
    pub(super) fn nothing(timeout: Duration) -> Batch {
        Batch {
            requests: BTreeMap::new(),
            claims: BTreeMap::new(),
            due: Vec::new(),
            deadline: Instant::now() + timeout,
            giving_up: None,
            refusal: Value::Null,
        }
    }

    /// Goes on with what `client` has chosen in an earlier life, of `wanted` requests. If some have
    /// no choice, or `release` is true, all are released.
    pub(super) fn go_on(&mut self, client: &Client, wanted: usize, release: bool) {
        self.requests = client.requests.keys().map(|request| (*request, None)).collect();
        for (id, request) in client.requests.iter() {
            if let Phase::Confirming(claim) | Phase::Releasing(claim) = request.phase {
                self.claims.insert(*id, claim);
            }
        }
        let released = |phase: &Phase| matches!(phase, Phase::Releasing(_));
        let some_released = client.requests.values().any(|request| released(&request.phase));
        if release || some_released || self.requests.len() < wanted {
            self.give_up(GivingUp::ByOrder);
        }
    }

    fn give_up(&mut self, why: GivingUp) {
        if self.giving_up.is_some() {
            return;
        }
        self.giving_up = Some(why);
        let over = |outcome: &Option<Outcome>| match outcome {
            None | Some(Outcome::Confirmed(_)) => false,
            Some(
                Outcome::NoValidHost(_)
                | Outcome::Exhausted
                | Outcome::Released
                | Outcome::Overloaded,
            ) => true,
        };
        let open = self.requests.iter().filter(|(_, outcome)| !over(outcome));
        self.due.extend(open.map(|(request, _)| Order::Release(*request)));
    }

    /// What came of it, once all is over.
    pub(super) fn ended(&self) -> Option<Ended> {
        let claims = || self.claims.values().copied().collect();
        let confirmed = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Confirmed(_)));
        match &self.giving_up {
            None => self.requests.values().all(confirmed).then(|| Ended::Confirmed(claims())),
            Some(why) => {
                let over = |outcome: &Option<Outcome>| outcome.is_some() && !confirmed(outcome);
                self.requests.values().all(over).then(|| match why {
                    GivingUp::ByOrder => Ended::Released(claims()),
                    GivingUp::Failed(failed) => Ended::Failed(failed.clone()),
                })
            }
        }
    }

    /// Whether what was placed could not be released in time.
    pub(super) fn is_stuck(&self) -> bool {
        self.giving_up.is_some() && Instant::now() >= self.deadline + GRACE
    }
}

impl Work for Batch {
    /// The user interrupts.
    type Event = ();

    fn orders(&mut self, max: usize) -> Vec<Order> {
        if self.giving_up.is_none() && Instant::now() >= self.deadline {
            self.give_up(GivingUp::Failed(Failed::TimedOut));
        }
        self.due.drain(..self.due.len().min(max)).collect()
    }

    fn next_due(&self) -> Option<Instant> {
        match (self.due.is_empty(), &self.giving_up) {
            (false, _) => Some(Instant::now()),
            (true, None) => Some(self.deadline),
            (true, Some(_)) => Some(self.deadline + GRACE),
        }
    }

    fn ended(&mut self, request: RequestId, outcome: &Outcome) {
        self.requests.insert(request, Some(outcome.clone()));
        let failed = match outcome {
            Outcome::Confirmed(claim) => {
                self.claims.insert(request, *claim);
                return;
            }
            Outcome::Released => return,
            Outcome::NoValidHost(_) => Failed::NoValidHost(self.refusal.clone()),
            Outcome::Exhausted | Outcome::Overloaded => Failed::Exhausted,
        };
        self.give_up(GivingUp::Failed(failed));
    }

    fn heard(&mut self, _: AttemptId, reply: &Reply) {
        if reply.status == 409 {
            self.refusal = reply.body.clone();
        }
    }

    fn on_event(&mut self, (): ()) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{ClaimNumber, Incarnation, Map, NodeId, SchedulerId};

    const LONG: Duration = Duration::from_secs(1000);

    fn confirmed(number: u64) -> Outcome {
        let (scheduler, incarnation) = (SchedulerId(1), Incarnation(1));
        let (node, number) = (NodeId(1), ClaimNumber(number));
        Outcome::Confirmed(ClaimId { scheduler, incarnation, node, number })
    }

    fn batch(timeout: Duration) -> Batch {
        let mut batch = Batch::new([1, 2].map(RequestId), &Demand::default(), timeout);
        assert_eq!(batch.orders(1).len() + batch.orders(9).len(), 2);
        batch
    }

    #[test]
    fn it_has_ended_when_all_are_confirmed() {
        let mut batch = batch(LONG);
        Work::ended(&mut batch, RequestId(2), &confirmed(0));
        assert!(batch.ended().is_none());
        Work::ended(&mut batch, RequestId(1), &confirmed(1));
        assert!(matches!(batch.ended(), Some(Ended::Confirmed(claims)) if claims.len() == 2));
    }

    #[test]
    fn when_one_has_no_valid_host_the_others_are_released() {
        let mut batch = batch(LONG);
        Work::ended(&mut batch, RequestId(2), &confirmed(0));
        Work::ended(&mut batch, RequestId(1), &Outcome::NoValidHost(Map::default()));
        assert_eq!(batch.orders(9), [Order::Release(RequestId(2))]);
        assert!(batch.ended().is_none());
        Work::ended(&mut batch, RequestId(2), &Outcome::Released);
        assert!(matches!(batch.ended(), Some(Ended::Failed(Failed::NoValidHost(_)))));
    }

    #[test]
    fn when_it_takes_too_long_all_are_released() {
        let mut batch = Batch::new([1, 2].map(RequestId), &Demand::default(), Duration::ZERO);
        let release = |n| Order::Release(RequestId(n));
        let orders = batch.orders(9);
        assert!(orders.contains(&release(1)) && orders.contains(&release(2)), "{orders:?}");
        assert!(!batch.is_stuck());
        for n in [1, 2] {
            Work::ended(&mut batch, RequestId(n), &Outcome::Released);
        }
        assert!(matches!(batch.ended(), Some(Ended::Failed(Failed::TimedOut))));
    }
}
