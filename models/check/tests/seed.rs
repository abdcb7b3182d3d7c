//! The designs of 2016: every scenario explored to its end, and every trace of one replayed.

use counterfoil_check::report::trace_name;
use counterfoil_check::run::{Make, Options, run};
use counterfoil_check::suite::{self, Suite};
use counterfoil_seed::{Design, Seed};
use counterfoil_world::{Expect, Scenario, Trace, replay};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The flaws that lie in the protocols and must be found.
const FLAWS: [&str; 21] = [
    "F1a", "F1b", "F1c", "F1d", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F17", "F20",
    "F21", "F23", "F25", "F29", "F31", "F32", "3D",
];

fn scenarios() -> Vec<Scenario> {
    Suite::Seed.scenarios().unwrap()
}

fn folder() -> PathBuf {
    suite::root().join(Suite::Seed.traces())
}

#[test]
fn every_scenario_is_as_declared() {
    let options = Options {
        seed: 0,
        time: None,
        memory_bytes_max: None,
        depth: None,
        threads: 2,
        makes: vec![Make::Plain, Make::Interned],
        reduced: true,
        checkpoint: None,
        as_declared: true,
    };
    let mut wrong = Vec::new();
    for scenario in scenarios() {
        let report = run::<Seed>(&scenario, &options).unwrap();
        wrong.extend(report.findings.iter().map(|finding| format!("{}: {finding}", scenario.name)));
        if scenario.distinct.is_none() {
            let counted = report.answer.distinct;
            wrong.push(format!("{}: pin distinct = {counted}", scenario.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_flaw_is_shown_and_answered() {
    let scenarios = scenarios();
    let shown: BTreeSet<&str> = scenarios
        .iter()
        .filter(|scenario| matches!(scenario.expect, Expect::Violates(_)))
        .flat_map(|scenario| {
            let flaw = scenario.flaw.as_deref().expect("a violation shows a flaw");
            assert!(scenario.answer.is_some(), "{}: nothing answers it", scenario.name);
            flaw.split_once(':').expect("it says which").0.split(", ")
        })
        .collect();
    let missing: Vec<&&str> = FLAWS.iter().filter(|flaw| !shown.contains(**flaw)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_design_works_in_fair_weather() {
    let holding: BTreeSet<Design> = scenarios()
        .iter()
        .filter(|scenario| scenario.expect == Expect::Holds && scenario.faults.is_empty())
        .map(|scenario| scenario.protocol)
        .collect();
    let all = [Design::Shared2016, Design::Filter, Design::Caching, Design::Placement];
    assert_eq!(holding, all.into_iter().collect());
}

#[test]
fn every_violation_is_kept_and_still_there() {
    let mut kept = BTreeSet::new();
    for scenario in scenarios() {
        let Expect::Violates(property) = &scenario.expect else { continue };
        let name = trace_name(property, &scenario.name);
        let trace: Trace<Seed> = Trace::load(&folder().join(&name)).unwrap();
        assert_eq!(trace.scenario, scenario, "{name}: of another version of its scenario");
        let replayed = replay(&trace);
        assert!(replayed.is_as_expected(trace.expect), "{name}: {:?}", replayed.outcome);
        kept.insert(name);
    }
    let files = suite::files(&folder(), ".itf.json").unwrap();
    let names = files.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    assert_eq!(names.collect::<BTreeSet<String>>(), kept, "and no others are");
}
