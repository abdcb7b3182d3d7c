use super::*;
use crate::baselines::Design;
use crate::compare::grid::Grid;
use crate::compare::kept::Machine;
use crate::compare::spec::Spec;
use crate::compare::spec::tests::small;
use crate::compare::tally::{Queries, Tally, Time, Traffic, Witness};
use std::time::Duration;

/// A comparison with made up figures, the same each time.
pub(crate) fn sample() -> Comparison {
    let machine = Machine {
        processor: "a processor".to_owned(),
        cores: 2,
        memory_mib: 24 << 10,
        system: "a system".to_owned(),
        revision: Some("0123456789ab".to_owned()),
    };
    let mut comparison = Comparison { machine, ..Comparison::new(Grid::default()) };
    let mut factor = 0;
    for nodes in [300, 1000] {
        for design in Design::ALL {
            factor += 1;
            comparison.add(vec![cell(design, nodes, factor)]);
        }
    }
    comparison.complete = true;
    comparison
}

fn cell(design: Design, nodes: u32, factor: u64) -> Cell {
    let spec = Spec { nodes, ..small(design, 2) };
    let mut tally = Tally {
        requests: 1010 * factor,
        success: 1000 * factor,
        no_valid_host: 9 * factor,
        exhausted: factor,
        queries: Queries {
            direct_success: 990 * factor,
            direct_no_valid_host: 9 * factor,
            direct_retried: 11 * factor,
            retry_success: 10 * factor,
            retry_no_valid_host: 0,
            retry_retried: 4 * factor,
        },
        timeline: vec![300, 400, 300],
        began_ns: 1_000_000_000,
        ended_ns: 3_000_000_000,
        time: Time { idle: Duration::from_secs(1), all: Duration::from_secs(2), ..Time::default() },
        traffic: Traffic { messages: 3000, packets: 30, bytes: 0 },
        cut: design == Design::Filter,
        ..Tally::default()
    };
    let millis = Duration::from_millis(factor);
    for histogram in [&mut tally.latency, &mut tally.gap, &mut tally.claim] {
        histogram.note(millis);
    }
    let mut witness = Witness::default();
    if design != Design::Placement {
        witness.staleness.note(millis);
    }
    Cell::new(&spec, &spec.scene().unwrap(), design.name(), (&tally, &witness))
}

#[test]
fn the_table_is_as_it_was_when_it_was_looked_at() {
    insta::assert_snapshot!(table(&sample()));
}

#[test]
fn the_rows_are_as_they_were_when_they_were_looked_at() {
    let csv = csv(&sample());
    insta::assert_snapshot!(csv);
    let fields = |line: &str| line.split(',').count();
    let header = csv.lines().next().unwrap();
    assert!(csv.lines().all(|line| fields(line) == fields(header)));
}
