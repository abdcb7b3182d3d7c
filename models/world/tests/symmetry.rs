//! Exchanging names commutes with everything that can happen: on random states of every scenario.

use counterfoil_world::{Action, Cluster, Counterfoil, Interned, Representation, Scenario, World};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// The scenarios in which something can be exchanged.
fn symmetric() -> Vec<Interned<Counterfoil>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let folders = ["", "full", "nightly"].map(|suite| folder.join(suite));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let worlds = files.map(|path| {
        let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
        Interned::symmetric(World::new(scenario), 0)
    });
    worlds.filter(|world| world.exchanges().len() > 1).collect()
}

/// The state without the words for what was violated: they are about names.
fn wordless(mut cluster: Cluster<Counterfoil>) -> Cluster<Counterfoil> {
    cluster.violated = cluster.violated.keys().map(|key| (*key, Default::default())).collect();
    cluster
}

/// Everything about one state that an exchange of names must leave as it is.
fn check(interned: &mut Interned<Counterfoil>, cluster: &Cluster<Counterfoil>) {
    let world = interned.world().clone();
    let name = &world.scenario.name;
    let print = |interned: &mut Interned<Counterfoil>, cluster: &Cluster<Counterfoil>| {
        let state = interned.state(cluster);
        interned.fingerprint(&state)
    };
    let own = print(interned, cluster);
    let enabled = world.enabled(cluster);
    for names in interned.exchanges().to_vec() {
        let image = names.cluster(&world, cluster);
        assert_eq!(print(interned, &image), own, "{name}: one print for all images: {names:?}");
        let images: BTreeSet<Action<Counterfoil>> =
            enabled.iter().map(|action| names.action(&world, action)).collect();
        let there: BTreeSet<Action<Counterfoil>> = world.enabled(&image).into_iter().collect();
        assert_eq!(images, there, "{name}: the images of what can happen can happen: {names:?}");
        for action in &enabled {
            let after = wordless(names.cluster(&world, &world.apply(cluster, action)));
            let as_well = wordless(world.apply(&image, &names.action(&world, action)));
            assert_eq!(after, as_well, "{name}: {action:?} does the same to the image: {names:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn names_decide_nothing(numbers in prop::collection::vec(any::<u16>(), 0..60)) {
        for mut interned in symmetric() {
            let world = interned.world().clone();
            let mut cluster = world.initial();
            for number in &numbers {
                let mut enabled = world.enabled(&cluster);
                if enabled.is_empty() {
                    break;
                }
                let index = usize::from(*number) % enabled.len();
                cluster = world.apply(&cluster, &enabled.swap_remove(index));
            }
            check(&mut interned, &cluster);
        }
    }
}

#[test]
fn most_scenarios_have_something_to_exchange() {
    let all: Vec<(String, usize)> = symmetric()
        .iter()
        .map(|world| (world.world().scenario.name.clone(), world.exchanges().len()))
        .collect();
    println!("{all:?}");
    assert!(all.len() > 20);
}
