//! That the tables reach every arm of the machines.

use crate::client::client_table;
use crate::node::node_table;
use crate::scheduler::scheduler_table;
use counterfoil_protocol::Notice;
use std::collections::BTreeSet;

/// What no table can reach: with every rule in force it does not happen. The tests of the rules
/// reach it.
pub(crate) const ONLY_WITH_A_RULE_OFF: &[Notice] =
    &[Notice::ResyncUnanswered, Notice::BeatIgnored, Notice::ChoiceReplaced];

/// What a machine that has ended leaves, whatever it is given: no table has such a state.
const ONLY_AT_THE_END: &[Notice] = &[Notice::MachineStopped];

#[test]
fn the_tables_reach_every_arm() {
    let tables = [node_table(), scheduler_table(), client_table()];
    let mut seen: BTreeSet<Notice> = tables.into_iter().flat_map(|table| table.seen).collect();
    seen.extend(ONLY_AT_THE_END);
    for notice in ONLY_WITH_A_RULE_OFF {
        assert!(seen.insert(*notice), "{notice:?} happens with every rule in force");
    }
    let missed: Vec<&Notice> = Notice::ALL.iter().filter(|notice| !seen.contains(notice)).collect();
    assert!(missed.is_empty(), "no table reaches {missed:?}");
}

#[test]
fn every_arm_belongs_to_a_decision_and_every_decision_has_two() {
    for guard in counterfoil_protocol::Guard::ALL {
        let arms = Notice::ALL.iter().filter(|notice| notice.guard() == *guard).count();
        assert!(arms >= 2, "{} has {arms} arms: it decides nothing", guard.name());
    }
}
