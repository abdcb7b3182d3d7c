//! Runs that no kept counterexample has.

use counterfoil_world::replay::describe;
use counterfoil_world::{Counterfoil, Scenario, Trace, World};
use tempfile::TempDir;

fn scenario_of(name: &str, text: &str) -> Scenario {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// A run that is made by hand: takes each time the last action whose description begins so.
fn by_hand(name: &str, scenario: &str, steps: &[&str], property: &str) -> Trace<Counterfoil> {
    let scenario = scenario_of(name, scenario);
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
    ];
    by_hand("equal_twice", scenario, &steps, "no_overcommit")
}

/// A random walk of so many steps with eight nodes: mostly fair steps, now and then anything.
pub(crate) fn walked(steps: usize) -> Trace<Counterfoil> {
    let scenario = r#"
        question = "What does a long run of a large cluster look like?"
        expect = "holds"
        schedulers = 3
        nodes = 8
        inventory = { VCPU = 2 }
        request = [{ count = 20, resources = { VCPU = 1 } }]
        [faults]
        lose = 9
        copy = 9
        node_restart = 2
        scheduler_restart = 1
        disconnect = 1
        lapse = 2
    "#;
    let scenario = scenario_of("walk", scenario);
    let world: World<Counterfoil> = World::new(scenario.clone());
    let mut cluster = world.initial();
    let mut taken = Vec::new();
    let mut random = 1u64;
    while taken.len() < steps {
        // The generator of Knuth's MMIX.
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let number = (random >> 33) as usize;
        let mut enabled = world.enabled(&cluster);
        if !number.is_multiple_of(5) {
            let fair: Vec<_> =
                enabled.iter().filter(|action| world.is_fair(&cluster, action)).cloned().collect();
            enabled = if fair.is_empty() { enabled } else { fair };
        }
        let action = enabled.swap_remove(number / 5 % enabled.len());
        cluster = world.apply(&cluster, &action);
        taken.push(action);
    }
    Trace::new(scenario, "no_overcommit", taken)
}
