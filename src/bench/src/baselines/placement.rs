//! Candidates and claim in one database, as placement-bench of 2016 has it and OpenStack's Placement
//! since.
//!
//! The database filters and orders; the claim raises what is used if the row is still of the version
//! that was read, and is otherwise tried again after a pause of 10 to 100 ms. The database is the
//! authority; there are no nodes.
//!
//! What is kinder than the original: what is used stands in the row of the node and is not summed
//! over all allocations for each request, and while one request pauses its scheduler goes on with
//! others. The original's labels of pack and spread stand for each other; here they are what they say.

use super::database::Database;
use super::{Amounts, Ask, Event, Message, Outbox, Outcome, PartError, SchedulerPart};
use counterfoil_placement::PolicyName;
use fastrand::Rng;
use std::time::{Duration, Instant};

/// How long a claim that found another version pauses, in microseconds.
const PAUSE_US: std::ops::Range<u64> = 10_000..100_000;

/// A scheduler that places in a database.
#[derive(Debug)]
pub struct PlacementScheduler {
    database: Box<dyn Database>,
    strategy: PolicyName,
    random: Rng,
}

impl PlacementScheduler {
    /// One on its own connection.
    pub fn new(database: Box<dyn Database>, strategy: PolicyName, seed: u64) -> Self {
        PlacementScheduler { database, strategy, random: Rng::with_seed(seed) }
    }
}

impl SchedulerPart for PlacementScheduler {
    fn begin(&mut self, _: &mut Outbox) -> Result<(), PartError> {
        Ok(())
    }

    fn knows_all(&self) -> bool {
        true
    }

    fn ask(&mut self, ask: Ask, out: &mut Outbox) -> Result<(), PartError> {
        let (request, want) = (ask.request, Amounts::wanted(&ask.demand));
        let began = Instant::now();
        let candidate = self.database.candidate(want, self.strategy)?;
        let claims = Instant::now();
        out.spent.view += claims - began;
        out.events.push(Event::Chosen { request, began, view_from: Some(began) });
        let Some(row) = candidate else {
            out.events.push(Event::Ended { request, outcome: Outcome::NoValidHost });
            return Ok(());
        };
        let claimed = self.database.claim(&row, request, want)?;
        out.spent.claim += claims.elapsed();
        out.events.push(if claimed {
            Event::Ended { request, outcome: Outcome::Placed }
        } else {
            let after = Duration::from_micros(self.random.u64(PAUSE_US));
            Event::Again { request, without: None, after }
        });
        Ok(())
    }

    fn hear(&mut self, _: u32, _: Message, _: &mut Outbox) -> Result<(), PartError> {
        Ok(())
    }

    fn turn(&mut self, _: Instant, _: &mut Outbox) -> Result<(), PartError> {
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
