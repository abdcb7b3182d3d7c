//! The filter and the caching scheduler of Nova, as they were in 2016.
//!
//! Both choose from a view of all hosts that is read from the database: the filter scheduler for
//! each request, the caching scheduler every 60 seconds. In between each adds its own placements. A
//! host that it placed on later than its row was written is left as it is when the rows are read. The
//! node judges, and saves its row; a refused request is asked again elsewhere, and the scheduler is
//! not told, so that its own placement stays in its view until the row is newer.
//!
//! What is kinder than the original: times of rows have a full resolution instead of a second, no
//! conductor and no message queue stand in between, and the nodes save what one turn brought in one
//! transaction.

use super::database::{Database, Row};
use super::hosts::{Chooser, Host};
use super::{
    Amounts, Ask, Change, End, Event, Given, Message, NodesPart, Outbox, Outcome, PartError,
    SchedulerPart, now_ns,
};
use counterfoil_placement::PolicyName;
use std::time::{Duration, Instant};

/// A filter or caching scheduler.
#[derive(Debug)]
pub struct LegacyScheduler {
    id: u32,
    database: Box<dyn Database>,
    /// The view is read when it is older; always, if this is nothing.
    refresh_after: Duration,
    read_at: Option<Instant>,
    rows: Vec<Row>,
    hosts: Vec<Host>,
    /// Of each host: when it was placed on last or its row was written, in nanoseconds of the
    /// monotonic clock, and how many changes its row had.
    known: Vec<(u64, u64)>,
    chooser: Chooser,
}

impl LegacyScheduler {
    /// Scheduler number `id`, on its own connection to the database.
    pub fn new(
        id: u32,
        database: Box<dyn Database>,
        refresh_after: Duration,
        strategy: PolicyName,
        seed: u64,
    ) -> LegacyScheduler {
        LegacyScheduler {
            id,
            database,
            refresh_after,
            read_at: None,
            rows: Vec::new(),
            hosts: Vec::new(),
            known: Vec::new(),
            chooser: Chooser::new(strategy, seed),
        }
    }

    fn refresh(&mut self) -> Result<(), PartError> {
        self.database.hosts(&mut self.rows)?;
        self.hosts.resize(self.rows.len(), Host::default());
        self.known.resize(self.rows.len(), (0, 0));
        for row in &self.rows {
            let place = row.node as usize - 1;
            let (updated_ns, changes) = &mut self.known[place];
            if *updated_ns <= row.updated_ns {
                self.hosts[place] = Host { capacity: row.capacity, used: row.used };
                (*updated_ns, *changes) = (row.updated_ns, row.version);
            }
        }
        Ok(())
    }
}

impl SchedulerPart for LegacyScheduler {
    fn begin(&mut self, _: &mut Outbox) -> Result<(), PartError> {
        Ok(())
    }

    fn knows_all(&self) -> bool {
        true
    }

    fn ask(&mut self, ask: Ask, out: &mut Outbox) -> Result<(), PartError> {
        let began = Instant::now();
        let view_from = match self.read_at {
            Some(at) if began.duration_since(at) < self.refresh_after => at,
            Some(_) | None => {
                self.refresh()?;
                self.read_at = Some(began);
                began
            }
        };
        let decides = Instant::now();
        out.spent.view += decides - began;
        let want = Amounts::wanted(&ask.demand);
        let chosen = self.chooser.choose(self.hosts.iter(), want, &ask.refused);
        out.spent.decision += decides.elapsed();
        let request = ask.request;
        out.events.push(Event::Chosen { request, began, view_from: Some(view_from) });
        let Some(node) = chosen else {
            out.events.push(Event::Ended { request, outcome: Outcome::NoValidHost });
            return Ok(());
        };
        let place = node as usize - 1;
        self.hosts[place].used = self.hosts[place].used.plus(want);
        self.known[place].0 = now_ns();
        let message = Message::Claim { request, want };
        out.claim(End::Scheduler(self.id), End::Node(node), message, self.known[place].1);
        Ok(())
    }

    fn hear(&mut self, from: u32, message: Message, out: &mut Outbox) -> Result<(), PartError> {
        if let Message::Verdict { request, granted } = message {
            out.events.push(if granted {
                Event::Ended { request, outcome: Outcome::Placed }
            } else {
                Event::Again { request, without: Some(from), after: Duration::ZERO }
            });
        }
        Ok(())
    }

    fn turn(&mut self, _: Instant, _: &mut Outbox) -> Result<(), PartError> {
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// The nodes of filter and caching schedulers: each judges, and saves its row before it answers.
#[derive(Debug)]
pub struct LegacyNodes {
    database: Box<dyn Database>,
    rows: Vec<Row>,
    /// Nodes whose rows are to be saved in this turn.
    changed: Vec<u32>,
    /// Verdicts that are told when the rows are saved: of which node, to whom, what.
    verdicts: Vec<(u32, u32, Message)>,
}

impl LegacyNodes {
    /// Nodes whose rows are in the database.
    pub fn new(database: Box<dyn Database>, given: &[Given]) -> LegacyNodes {
        let rows = Row::initial(given);
        LegacyNodes { database, rows, changed: Vec::new(), verdicts: Vec::new() }
    }
}

impl NodesPart for LegacyNodes {
    fn begin(&mut self, _: u32, _: &mut Outbox) -> Result<(), PartError> {
        Ok(())
    }

    fn hear(
        &mut self,
        node: u32,
        from: u32,
        message: Message,
        out: &mut Outbox,
    ) -> Result<(), PartError> {
        let Message::Claim { request, want } = message else { return Ok(()) };
        let row = &mut self.rows[node as usize - 1];
        let granted = row.capacity.minus(row.used).has(want);
        if granted {
            row.used = row.used.plus(want);
            row.version += 1;
            row.updated_ns = now_ns();
            out.changes.push(Change { node, count: row.version, by: from });
            self.changed.push(node);
        }
        self.verdicts.push((node, from, Message::Verdict { request, granted }));
        Ok(())
    }

    fn turn(&mut self, _: Instant, out: &mut Outbox) -> Result<(), PartError> {
        if !self.changed.is_empty() {
            let began = Instant::now();
            self.changed.sort_unstable();
            self.changed.dedup();
            let rows: Vec<Row> =
                self.changed.drain(..).map(|node| self.rows[node as usize - 1]).collect();
            self.database.save(&rows)?;
            out.spent.claim += began.elapsed();
        }
        for (node, to, verdict) in self.verdicts.drain(..) {
            out.send(End::Node(node), End::Scheduler(to), verdict);
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn used(&self) -> Vec<Amounts> {
        self.rows.iter().map(|row| row.used).collect()
    }
}
