//! Runs that no kept counterexample has.

use counterfoil_world::replay::describe;
use counterfoil_world::walk::{Plans, Sought, walk};
use counterfoil_world::{Counterfoil, Scenario, Trace, World};
use tempfile::TempDir;

/// A run that is made by hand: takes each time the last action whose description begins so.
fn by_hand(name: &str, scenario: &str, steps: &[&str], property: &str) -> Trace<Counterfoil> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(format!("{name}.toml"));
    std::fs::write(&path, scenario).unwrap();
    let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let world: World<Counterfoil> = World::new(scenario.clone());
    let mut cluster = world.initial();
    let mut taken = Vec::new();
    for what in steps {
        let enabled = world.enabled(&cluster);
        let described: Vec<String> = enabled.iter().map(|a| describe(&world, a)).collect();
        let found = described.iter().rposition(|text| text.starts_with(what));
        let index = found.unwrap_or_else(|| panic!("not {what}, but: {described:#?}"));
        cluster = world.apply(&cluster, &enabled[index]);
        taken.push(enabled[index].clone());
    }
    Trace::new(scenario, property, taken)
}

/// A claim is copied, a verdict lost, and two claims are granted where there is room for one.
pub(crate) fn lost_and_copied() -> Trace<Counterfoil> {
    let scenario = r#"
        question = "Can two schedulers both get the last slot?"
        violates = "no_overcommit"
        without = ["node_judges_claims"]
        schedulers = 2
        clients = false
        inventory = { VCPU = 1 }
        request = [{ count = 2, resources = { VCPU = 1 } }]
        faults = { lose = 1, copy = 1 }
    "#;
    let steps = [
        "request r1 for {VCPU: 1} is made at s1",
        "request r2 for {VCPU: 1} is made at s2",
        "a copy of claim of s1 reaches n1",
        "verdict granted of n1 to s1 is lost",
        "claim of s2 reaches n1",
    ];
    by_hand("without_node_judges_claims", scenario, &steps, "no_overcommit")
}

/// A beat is sent twice before either arrives: two messages that say the same.
pub(crate) fn equal_twice() -> Trace<Counterfoil> {
    let scenario = r#"
        question = "Are two equal messages two?"
        expect = "holds"
        clients = false
        inventory = { VCPU = 1 }
        request = [{ resources = { VCPU = 1 } }]
        faults = { copy = 1 }
    "#;
    let steps = [
        "request r1 for {VCPU: 1} is made at s1",
        "a copy of claim of s1 reaches n1",
        "claim of s1 reaches n1",
        "verdict granted of n1 reaches s1",
        "verdict granted of n1 reaches s1",
    ];
    by_hand("equal_twice", scenario, &steps, "no_overcommit")
}

/// A random walk of so many steps with so many nodes.
pub(crate) fn walked(steps: usize, nodes: u32) -> Trace<Counterfoil> {
    let plans = Plans::random(400, &[]);
    let plans = (1..10_000).map(|number| plans.plan(1, number).current());
    let large = plans.filter(|plan| plan.scenario.nodes_at_start == nodes);
    let walks = large.map(|plan| (walk::<Counterfoil>(&plan, Sought::Any).steps, plan.scenario));
    let (mut taken, scenario) =
        walks.into_iter().find(|(taken, _)| taken.len() >= steps).expect("walks are long");
    taken.truncate(steps);
    Trace::new(scenario, "no_overcommit", taken)
}
