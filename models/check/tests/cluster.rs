//! Traces and random runs on the drivers and stores of the service.

use counterfoil_check::cluster::{Driven, drive};
use counterfoil_check::suite::{files, find, traces_folder};
use counterfoil_world::random::scattered;
use counterfoil_world::{Action, Counterfoil, Outcome, Replay, Scenario, Trace, World, replay};
use std::collections::BTreeSet;

/// A run whose states are as they are replayed, whatever is violated.
fn replayed(scenario: Scenario, steps: &[Action<Counterfoil>]) -> Replay<Counterfoil> {
    let replay = replay(&Trace::new(scenario, "no_overcommit", steps.to_vec()));
    assert!(!matches!(replay.outcome, Outcome::Diverged(_)), "{:?}", replay.outcome);
    replay
}

#[test]
fn the_service_does_what_every_saved_trace_says() {
    let mut driven = 0;
    for path in files(&traces_folder(), ".itf.json").unwrap() {
        let trace: Trace<Counterfoil> = Trace::load(&path).unwrap();
        let outcome = drive(&trace.steps, &replay(&trace)).unwrap();
        // It needs a message that leaves before what it promises is on disk.
        if trace.scenario.name == "without_durable_before_told" {
            assert!(matches!(outcome, Driven::CannotHappen { .. }), "{outcome}");
            continue;
        }
        let steps = trace.steps.len();
        let is_same = matches!(outcome, Driven::Same { steps: taken, .. } if taken == steps);
        assert!(is_same, "{}: {outcome}", path.display());
        driven += 1;
    }
    assert!(driven > 15, "{driven}");
}

/// Scenarios that have every kind of action between them.
const SCENARIOS: [&str; 16] = [
    "node_restart_mid_claim",
    "lossy",
    "copied",
    "everything_in_flight_lost",
    "torn_write",
    "torn_choice",
    "bundle_torn_choice",
    "bundle_connection_breaks",
    "superseded_scheduler_answers",
    "confirm_after_scheduler_died",
    "scheduler_joins",
    "node_joins",
    "node_leaves",
    "released_and_client_restarts",
    "false_suspicion",
    "scheduler_restart_mid_claim",
];

/// How many actions a random run takes at most.
const STEPS_MAX: usize = 60;

#[test]
fn the_service_does_what_random_runs_say() {
    let mut kinds = BTreeSet::new();
    let (mut taken, mut cut_short) = (0, 0);
    for name in SCENARIOS {
        for seed in 1..=4u64 {
            let scenario = find(name).unwrap();
            let world: World<Counterfoil> = World::new(scenario.clone());
            let (mut now, mut steps, mut number) = (world.initial(), Vec::new(), scattered(seed));
            for _ in 0..STEPS_MAX {
                let mut enabled = world.enabled(&now);
                if enabled.is_empty() {
                    break;
                }
                number = scattered(number);
                let action = enabled.swap_remove((number % enabled.len() as u64) as usize);
                now = world.apply(&now, &action);
                steps.push(action);
            }
            let outcome = drive(&steps, &replayed(scenario, &steps)).unwrap();
            let to = match outcome {
                Driven::Same { steps, .. } => steps,
                // Only a crash in the middle of a write can leave what no driver does.
                Driven::CannotHappen { step, .. } => {
                    assert_eq!(steps[step - 1].kind(), "torn", "{name} {seed}: {outcome}");
                    cut_short += 1;
                    step - 1
                }
                Driven::Unlike { .. } => panic!("{name} {seed}: {outcome}"),
            };
            kinds.extend(steps[..to].iter().map(Action::kind));
            taken += to;
        }
    }
    let missing: Vec<&str> =
        Action::<Counterfoil>::KINDS.into_iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "never taken: {missing:?}");
    assert!(taken > 1000, "{taken}");
    println!("{taken} steps; {cut_short} runs end at a crash that no driver can have");
}

#[test]
fn a_cluster_that_does_something_else_is_noticed() {
    let path = traces_folder().join("no_overcommit__without_node_judges_claims.itf.json");
    let trace: Trace<Counterfoil> = Trace::load(&path).unwrap();
    let run = replay(&trace);

    // The nodes of the cluster judge claims.
    let mut other = run.clone();
    other.world = World::new(Scenario { without: Vec::new(), ..trace.scenario.clone() });
    let outcome = drive(&trace.steps, &other).unwrap();
    assert!(matches!(outcome, Driven::Unlike { step: 1.., .. }), "{outcome}");

    // A state of the trace is another.
    let mut other = run.clone();
    let last = other.states.len() - 1;
    other.states[last] = other.states[last - 1].clone();
    let outcome = drive(&trace.steps, &other).unwrap();
    assert!(matches!(outcome, Driven::Unlike { step, .. } if step == last), "{outcome}");

    // What arrives was never sent.
    let is_delivery = |action: &Action<Counterfoil>| action.kind() == "deliver";
    let delivery = trace.steps.iter().find(|action| is_delivery(action)).unwrap().clone();
    let outcome = drive(&[delivery], &run).unwrap();
    let says =
        matches!(&outcome, Driven::Unlike { step: 1, what } if what.ends_with("was not sent"));
    assert!(says, "{outcome}");
}
