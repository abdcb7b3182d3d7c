use super::*;
use crate::baselines::{Amounts, Ask, End, Envelope, Event, Outbox, Outcome};
use crate::compare::measure;
use crate::compare::spec::tests::small;
use crate::workload;
use std::sync::Arc;
use std::time::Instant;

/// A cluster that is driven by hand, with one scheduler.
struct Cluster {
    scheduler: Box<dyn SchedulerPart>,
    nodes: Option<Box<dyn NodesPart>>,
    database: Option<Box<dyn Database>>,
    out: Outbox,
    _folder: tempfile::TempDir,
}

impl Cluster {
    fn start(spec: &Spec) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let place = spec.place().within(folder.path());
        let given = spec.scene().unwrap().given;
        let database = spec.has_database().then(|| database(&given, &place).unwrap());
        let mut scheduler = scheduler(spec, 1, spec.nodes, &place).unwrap();
        let mut nodes = nodes(spec, &given, &place).unwrap();
        let mut out = Outbox::default();
        nodes.iter_mut().for_each(|nodes| nodes.begin(1, &mut out).unwrap());
        scheduler.begin(&mut out).unwrap();
        let mut cluster = Cluster { scheduler, nodes, database, out, _folder: folder };
        // The shared state of 2016 forgets a claim that it makes while a refresh is under way.
        cluster.run(|cluster| cluster.scheduler.knows_all() && cluster.out.envelopes.is_empty());
        cluster
    }

    /// Hands everything over until what is waited for has come.
    fn run(&mut self, done: impl Fn(&Cluster) -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(Instant::now() < until, "it does not come");
            for Envelope { from, to, message, .. } in std::mem::take(&mut self.out.envelopes) {
                match (from, to, &mut self.nodes) {
                    (End::Scheduler(from), End::Node(to), Some(nodes)) => {
                        nodes.hear(to, from, message, &mut self.out).unwrap();
                    }
                    (End::Node(from), End::Scheduler(_), _) => {
                        self.scheduler.hear(from, message, &mut self.out).unwrap();
                    }
                    (from, to, _) => panic!("from {from:?} to {to:?}"),
                }
            }
            let now = Instant::now();
            self.nodes.iter_mut().for_each(|nodes| nodes.turn(now, &mut self.out).unwrap());
            self.scheduler.turn(now, &mut self.out).unwrap();
        }
    }

    /// Places a small request, and waits until that has come to its end.
    fn place(&mut self, request: u64) -> Outcome {
        let demand = Arc::new(workload::demand(1, 1024));
        self.scheduler.ask(Ask { request, demand, refused: Vec::new() }, &mut self.out).unwrap();
        let ended = |event: &Event| matches!(event, Event::Ended { .. });
        self.run(|cluster| cluster.out.events.iter().any(ended));
        let events = std::mem::take(&mut self.out.events);
        let outcome = events.iter().find_map(|event| match event {
            Event::Ended { outcome, .. } => Some(*outcome),
            Event::Chosen { .. } | Event::Refused { .. } | Event::Again { .. } => None,
        });
        outcome.unwrap()
    }

    fn used(&mut self) -> Vec<Amounts> {
        if let Some(nodes) = &self.nodes {
            return nodes.used();
        }
        let mut rows = Vec::new();
        self.database.as_mut().unwrap().hosts(&mut rows).unwrap();
        rows.iter().map(|row| row.used).collect()
    }
}

#[test]
fn pack_fills_one_node_and_spread_all_in_every_design() {
    for design in Design::ALL {
        for (strategy, touched, most) in [("pack", 1, 8 << 10), ("spread", 4, 2 << 10)] {
            let spec = Spec { strategy: strategy.to_owned(), ..small(design, 1) };
            let mut cluster = Cluster::start(&spec);
            for request in 0..8 {
                assert_eq!(cluster.place(request), Outcome::Placed);
            }
            let used = cluster.used();
            let memory = || used.iter().map(|used| used.memory_mib()).filter(|mib| *mib > 0);
            assert_eq!(memory().count(), touched, "{design} {strategy}: {used:?}");
            assert_eq!(memory().max(), Some(most), "{design} {strategy}: {used:?}");
        }
    }
}

/// Measures a small cell, and looks whether all requests are accounted for.
fn measured(spec: &Spec) -> Vec<crate::compare::cell::Cell> {
    let cells = measure(spec, &|| false).unwrap();
    for cell in &cells {
        let ended = cell.success + cell.no_valid_host + cell.exhausted + cell.unanswered;
        assert_eq!((cell.requests, cell.unanswered), (ended, 0), "{cell:?}");
        assert_eq!((cell.overcommitted, cell.cut), (0, false), "{cell:?}");
        assert!(cell.success > 0 && cell.accepted_per_s > 0.0, "{cell:?}");
        let queries = &cell.queries;
        assert_eq!(queries.direct_success + queries.retry_success, cell.success);
        assert_eq!(cell.timeline.iter().map(|count| u64::from(*count)).sum::<u64>(), cell.success);
    }
    let requests: u64 = cells.iter().map(|cell| cell.requests).sum();
    assert_eq!(requests as usize, spec.scene().unwrap().requests.len());
    cells
}

#[test]
fn every_design_fills_the_nodes_and_overcommits_none() {
    for design in Design::ALL {
        for strategy in ["pack", "spread", "random"] {
            let spec = Spec { strategy: strategy.to_owned(), ..small(design, 2) };
            let [cell] = &measured(&spec)[..] else { panic!("one design, one row") };
            assert!(cell.memory_percent > 85.0, "{design} {strategy}: {}", cell.memory_percent);
            assert!(cell.no_valid_host + cell.exhausted > 0, "more is asked for than there is");
        }
    }
}

#[test]
fn old_schedulers_work_beside_ours_on_the_same_nodes() {
    let designs = vec![Design::Filter, Design::Caching, Design::Counterfoil, Design::Counterfoil];
    assert!(mixes(&designs) && !mixes(&[Design::Shared, Design::Counterfoil]));
    let cells = measured(&Spec { designs, ..small(Design::Filter, 4) });
    let names: Vec<&str> = cells.iter().map(|cell| cell.design.as_str()).collect();
    assert_eq!(names, ["caching", "counterfoil", "filter"]);
    assert!(cells.iter().all(|cell| cell.mix.is_some()));
    assert!(cells[0].memory_percent > 85.0, "{}", cells[0].memory_percent);
}

#[test]
fn one_of_fifty_fails_on_forty_nine_places() {
    for (design, schedulers) in [(Design::Counterfoil, 2), (Design::Shared, 1)] {
        let spec = Spec { nodes: 60, ..small(design, schedulers) };
        let spec = crate::compare::preloaded::spec(&spec, 0);
        let [cell] = &measured(&spec)[..] else { panic!("one design, one row") };
        assert_eq!((cell.success, cell.requests), (49, 50), "{design}");
    }
}
