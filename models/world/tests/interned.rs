//! The two representations of the world, held against each other state by state.

use counterfoil_world::{Counterfoil, Interned, Plain, Protocol, Representation, Scenario, World};
use std::collections::{HashMap, VecDeque};
use std::path::Path;

/// How many states of each scenario are compared: breadth first, so those that are reached soonest.
const STATES_MAX: usize = 3_000;

/// Explores both side by side, and compares every state, every action and every step.
fn compare(scenario: Scenario) -> usize {
    let name = scenario.name.clone();
    let world: World<Counterfoil> = World::new(scenario);
    let (mut plain, mut interned) = (Plain::new(world.clone(), 0), Interned::new(world, 0));
    let start = (plain.initial(), interned.initial());
    assert_eq!(interned.cluster(&start.1), start.0, "{name}: they start alike");
    let mut known = HashMap::from([(plain.fingerprint(&start.0), interned.fingerprint(&start.1))]);
    let mut queue = VecDeque::from([start]);
    let mut seen = 0;
    while let Some((cluster, state)) = queue.pop_front() {
        seen += 1;
        assert_eq!(plain.reached(&cluster), interned.reached(&state), "{name}: {cluster:#?}");
        assert_eq!(
            Plain::<Counterfoil>::violated(&cluster),
            Interned::<Counterfoil>::violated(&state),
            "{name}: {cluster:#?}"
        );
        assert_eq!(plain.is_quiet(&cluster), interned.is_quiet(&state), "{name}: {cluster:#?}");
        let (mut ours, mut acts) = (Vec::new(), Vec::new());
        plain.enabled(&cluster, &mut ours);
        interned.enabled(&state, &mut acts);
        let mut by_action: HashMap<_, _> =
            acts.into_iter().map(|act| (interned.action(&state, &act), act)).collect();
        assert_eq!(ours.len(), by_action.len(), "{name}: as much is enabled: {ours:#?}");
        for action in ours {
            let act = by_action.remove(&action);
            let act = act.unwrap_or_else(|| panic!("{name}: {action:?} is enabled in both"));
            let fair = plain.fair(&cluster, &action).is_some();
            assert_eq!(fair, interned.fair(&state, &act).is_some(), "{name}: {action:?}");
            let (mut after, mut next) = (cluster.clone(), state.clone());
            plain.step(&cluster, &action, &mut after);
            interned.step(&state, &act, &mut next);
            assert_eq!(interned.cluster(&next), after, "{name}: {action:?} does the same");
            let prints = (plain.fingerprint(&after), interned.fingerprint(&next));
            match known.insert(prints.0, prints.1) {
                Some(before) => assert_eq!(before, prints.1, "{name}: one state, one print"),
                None if known.len() <= STATES_MAX => queue.push_back((after, next)),
                None => {}
            }
        }
    }
    let (covered, as_well) = (plain.coverage(), interned.coverage());
    assert_eq!(format!("{covered:?}"), format!("{as_well:?}"), "{name}: the same is covered");
    seen
}

#[test]
fn both_representations_agree_in_every_state() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut states = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        states += compare(Scenario::load(&path).unwrap_or_else(|error| panic!("{error}")));
    }
    assert!(states > 10_000);
    assert_eq!(Counterfoil::liveness().len(), 3);
}
