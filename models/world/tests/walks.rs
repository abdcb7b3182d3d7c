//! Random walks: large clusters with every fault find nothing and heal; clusters with a rule off go
//! wrong, and what went wrong is made small.

use counterfoil_protocol::Rule;
use counterfoil_world::minimise::{Budget, Length};
use counterfoil_world::walk::{Ending, Plans, Sought, Walked, Wrong, shrink, walk};
use counterfoil_world::{
    Counterfoil, Expect, Expected, Outcome, Scenario, Trace, minimise, render, replay,
};
use std::path::{Path, PathBuf};

const SEED: u64 = 1;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn no_walk_goes_wrong_and_every_walk_heals() {
    const WALKS: u64 = 1_500;
    const STEPS_MAX: usize = 1_000;
    let plans = Plans::random(STEPS_MAX, &[]);
    for number in 0..WALKS {
        let mut tree = plans.plan(SEED, number);
        let walked = walk::<Counterfoil>(&tree.current(), Sought::Any);
        let Some(wrong) = walked.wrong.clone() else { continue };
        let like = |other: &Walked<Counterfoil>| {
            other.wrong.as_ref().is_some_and(|other| wrong.is_like(other))
        };
        let least = shrink(&mut *tree, 500, |plan| like(&walk(plan, Sought::Any)));
        let walked = least.map_or(walked, |plan| walk(&plan, Sought::Any));
        let trace = walked.trace().expect("it went wrong");
        if let Wrong::Panicked(message) = wrong {
            panic!("walk {number} of seed {SEED} panics: {message}\n{:?}", walked.steps);
        }
        let least = minimise(&trace, Budget::default()).map_or(trace, |least| least.trace);
        let drawn = render(&least, &Default::default());
        panic!("walk {number} of seed {SEED} goes wrong: {wrong:?}\n{drawn}");
    }
}

#[test]
fn a_walk_depends_on_its_seed_and_number_alone() {
    let walks = |seed: u64, numbers: &[u64]| {
        let plans = Plans::random(300, &[]);
        let walks = numbers.iter().map(|number| {
            let walked = walk::<Counterfoil>(&plans.plan(seed, *number).current(), Sought::Any);
            format!("{:?}{:?}{:?}", walked.scenario, walked.steps, walked.coverage)
        });
        walks.collect::<Vec<String>>()
    };
    let all: Vec<u64> = (0..20).collect();
    let first = walks(SEED, &all);
    assert_eq!(first[7..], walks(SEED, &all[7..]), "those before do not matter");
    assert_ne!(first, walks(SEED + 1, &all));
}

/// The scenario without a rule, and the index of the property that it violates.
fn broken(rule: Rule) -> (Scenario, String) {
    let file = folder(&format!("../scenarios/without_{rule}.toml"));
    let scenario = Scenario::load(&file).unwrap_or_else(|error| panic!("{error}"));
    let Expect::Violates(property) = scenario.expect.clone() else { panic!("{rule} holds") };
    (scenario, property)
}

/// The first walk, of so many, that violates the expected property.
fn found(scenario: &Scenario, property: &str, walks: u64) -> Option<(u64, Walked<Counterfoil>)> {
    let sought = Sought::named::<Counterfoil>(property).expect("a scenario names a property");
    let plans = Plans::within(scenario, 2_000);
    (0..walks).find_map(|number| {
        let walked = walk(&plans.plan(SEED, number).current(), sought);
        walked.wrong.is_some().then_some((number, walked))
    })
}

#[test]
fn walks_find_out_every_rule_that_is_off() {
    let mut missed = Vec::new();
    for rule in Rule::ALL {
        let (scenario, property) = broken(rule);
        match found(&scenario, &property, 5_000) {
            Some((number, walked)) => {
                let steps = walked.steps.len();
                println!("{rule}: {property} by walk {number}, in {steps} steps");
            }
            None => missed.push(rule),
        }
    }
    assert!(missed.is_empty(), "not found out: {missed:?}");
}

/// The steps of the shortest run that is kept of a violation.
fn kept(property: &str, rule: Rule) -> usize {
    let file = folder(&format!("../../traces/{property}__without_{rule}.itf.json"));
    let trace: Trace<Counterfoil> = Trace::load(&file).unwrap_or_else(|error| panic!("{error}"));
    trace.steps.len()
}

/// The trace of a walk in the scenario without this rule that is at least this long.
fn long_trace(scenario: &Scenario, property: &str, steps_min: usize) -> Trace<Counterfoil> {
    let sought = Sought::named::<Counterfoil>(property).expect("a scenario names a property");
    let plans = Plans::within(scenario, 2_000);
    let long = (0..20_000).find_map(|number| {
        let walked = walk(&plans.plan(SEED, number).current(), sought);
        let is_long = walked.wrong.is_some() && walked.steps.len() >= steps_min;
        is_long.then(|| walked.trace().expect("it went wrong"))
    });
    long.unwrap_or_else(|| panic!("no walk to {property} is that long"))
}

#[test]
fn long_walks_become_the_shortest_runs() {
    for rule in Rule::ALL {
        let (scenario, property) = broken(rule);
        let shortest = kept(&property, rule);
        let trace = long_trace(&scenario, &property, shortest + 5);
        let least = minimise(&trace, Budget::default()).unwrap_or_else(|why| panic!("{why}"));
        let steps = least.trace.steps.len();
        println!("{rule}: {} steps became {}", trace.steps.len(), least.words());
        assert!(steps <= shortest, "{rule}: {steps} steps, and {shortest} are enough");
        let replayed = replay(&least.trace);
        assert!(replayed.is_as_expected(Expected::Witness), "{rule}: {:?}", replayed.outcome);
    }
}

#[test]
fn a_large_cluster_becomes_a_small_one() {
    let plans = Plans::random(2_000, &[Rule::NodeJudgesClaims]);
    let sought = Sought::named::<Counterfoil>("no_overcommit").expect("a property");
    let large = (0..1_000).find_map(|number| {
        let walked = walk::<Counterfoil>(&plans.plan(SEED, number).current(), sought);
        let size = &walked.scenario;
        let is_large = size.schedulers > 2 && size.nodes_at_start > 4 && size.requests.len() > 10;
        (is_large && walked.steps.len() > 100).then(|| walked.trace()).flatten()
    });
    let trace = large.expect("some walk in a large cluster goes wrong");
    let least = minimise(&trace, Budget::default()).unwrap_or_else(|why| panic!("{why}"));
    let scenario = &least.trace.scenario;
    println!("{} steps: {}", trace.steps.len(), trace.scenario.bounds());
    println!("{}: {}", least.words(), scenario.bounds());
    assert!(scenario.requests.len() <= 3, "{}", scenario.bounds());
    assert!(scenario.schedulers <= 2 && scenario.nodes_at_start <= 2, "{}", scenario.bounds());
    assert!(least.trace.steps.len() <= 15, "{}", least.words());
    assert!(matches!(replay(&least.trace).outcome, Outcome::Violated { .. }));
}

#[test]
fn a_budget_of_nothing_leaves_the_run_as_it_is_and_says_so() {
    let (scenario, property) = broken(Rule::NodeJudgesClaims);
    let trace = long_trace(&scenario, &property, 10);
    let nothing = Budget { tries_max: 0, states_max: 0 };
    let least = minimise(&trace, nothing).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(least.trace.steps, trace.steps);
    assert_eq!((least.length, least.calmest), (Length::NotShortened, false));
}

#[test]
fn what_violates_nothing_or_diverges_is_not_minimised() {
    let (scenario, property) = broken(Rule::NodeJudgesClaims);
    let mut trace = long_trace(&scenario, &property, 10);
    let last = trace.steps.pop();
    let refused = minimise(&trace, Budget::default()).expect_err("it holds");
    assert!(refused.to_string().contains("no_overcommit is not violated"), "{refused}");
    trace.steps.remove(0);
    trace.steps.extend(last);
    let refused = minimise(&trace, Budget::default()).expect_err("it diverges");
    assert!(refused.to_string().contains("diverged at step 1"), "{refused}");
}

#[test]
fn a_walk_that_does_not_heal_says_how_it_ends() {
    for (rule, is_loop) in
        [(Rule::QuietStreamsCarryTheirStamp, true), (Rule::UnconfirmedHoldsLapse, false)]
    {
        let (scenario, property) = broken(rule);
        let (_, walked) = found(&scenario, &property, 1_000).expect("a walk that does not heal");
        let Some(Wrong::Unhealed(_, ending)) = walked.wrong else { panic!("{:?}", walked.wrong) };
        assert_eq!(matches!(ending, Ending::Repeats(_)), is_loop, "{ending:?}");
        let trace = walked.trace().expect("it went wrong");
        let least = minimise(&trace, Budget::default()).unwrap_or_else(|why| panic!("{why}"));
        assert!(matches!(replay(&least.trace).outcome, Outcome::Violated { .. }));
        assert_eq!(least.trace.back_to.is_some(), is_loop);
    }
}
