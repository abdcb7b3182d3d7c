//! The counts of the toy, by three explorers. compare.sh checks that Spin's are the same.

use counterfoil_toy::explore::{Counts, explore};
use counterfoil_toy::{Bounds, State, Toy};
use stateright::{Checker, Model};

fn counts(checker: &impl Checker<Toy>) -> Counts {
    checker.assert_properties();
    Counts {
        distinct: checker.unique_state_count() as u64,
        generated: checker.state_count() as u64,
    }
}

fn every_explorer_counts(bounds: Bounds, expected: Counts) {
    let toy = Toy::new(bounds, true);
    assert_eq!(explore(&toy), Ok(expected), "our own");
    assert_eq!(counts(&toy.checker().spawn_dfs().join()), expected, "stateright, DFS");
    assert_eq!(counts(&toy.checker().spawn_bfs().join()), expected, "stateright, BFS");
    let two_threads = toy.checker().threads(2).spawn_dfs().join();
    assert_eq!(counts(&two_threads), expected, "stateright, DFS, two threads");
}

#[test]
fn small_has_these_counts() {
    every_explorer_counts(Bounds::SMALL, Counts { distinct: 15_909, generated: 68_321 });
}

#[test]
fn middle_has_these_counts() {
    every_explorer_counts(Bounds::MIDDLE, Counts { distinct: 741_949, generated: 5_553_693 });
}

/// Where every kind of fault, of timer and of message is in one toy.
#[test]
fn other_bounds_have_these_counts() {
    for (claims, capacity, losses, copies, timers, distinct, generated) in [
        (1, 1, 1, 1, 1, 1_401, 5_711),
        (1, 1, 2, 2, 2, 15_165, 104_093),
        (2, 1, 1, 1, 1, 194_629, 1_149_549),
        (3, 1, 0, 0, 0, 5_461, 19_981),
        (3, 2, 0, 0, 0, 69_195, 337_229),
        (3, 2, 1, 0, 0, 328_617, 1_790_495),
    ] {
        let toy = Toy::new(Bounds { claims, capacity, losses, copies, timers }, true);
        assert_eq!(explore(&toy), Ok(Counts { distinct, generated }), "{toy:?}");
    }
}

#[test]
fn nodes_that_do_not_judge_overcommit() {
    let toy = Toy::new(Bounds::SMALL, false);
    let overcommitted: State = explore(&toy).expect_err("a violation");
    assert!(!toy.no_overcommit(overcommitted));
    for discovered in [
        toy.checker().spawn_dfs().join().discovery("no_overcommit"),
        toy.checker().spawn_bfs().join().discovery("no_overcommit"),
    ] {
        let path = discovered.expect("a violation");
        assert!(!toy.no_overcommit(*path.last_state()), "{path:?}");
    }
}
