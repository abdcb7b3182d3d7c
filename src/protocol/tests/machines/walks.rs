//! Long walks through the inputs of the tables: the contract holds in states that no table names.

use crate::samples::small;
use crate::table::{Subject, step};
use crate::{client, node, scheduler};
use counterfoil_protocol::Machine;
use proptest::prelude::*;

const STEPS_MAX: usize = 60;

fn walk<M: Subject>(mut machine: M, inputs: &[(&'static str, M::Input)], picks: &[usize]) {
    let mut way = String::new();
    for pick in picks {
        let (name, input) = &inputs[pick % inputs.len()];
        way = format!("{way}{name}; ");
        step(&mut machine, input, &way);
    }
}

fn picks() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..1000_usize, 1..STEPS_MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_a_node(picks in picks()) {
        walk(node::fresh(small()), &node::inputs(), &picks);
    }

    #[test]
    fn of_a_scheduler(picks in picks()) {
        walk(scheduler::fresh(small()), &scheduler::inputs(), &picks);
    }

    #[test]
    fn an_input_of_a_scheduler_changes_what_it_knows_of_the_node_it_names(picks in picks()) {
        let (mut scheduler, inputs) = (scheduler::fresh(small()), scheduler::inputs());
        for pick in picks {
            let (name, input) = &inputs[pick % inputs.len()];
            let before = scheduler.nodes.clone();
            scheduler.handle(input.clone(), &mut Vec::new());
            let mut changed = scheduler.nodes.changed_since(&before).map(|(node, _, _)| *node);
            let other = changed.find(|node| Some(*node) != input.node());
            prop_assert_eq!(other, None, "{}", name);
        }
    }

    #[test]
    fn of_a_client(picks in picks()) {
        walk(client::fresh(small()), &client::inputs(), &picks);
    }
}
