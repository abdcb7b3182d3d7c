//! The designs of 2016: every scenario explored to its end, and every trace of one replayed.

use counterfoil_check::report::trace_name;
use counterfoil_check::run::{Make, Options, run};
use counterfoil_check::suite::{self, Suite};
use counterfoil_seed::{Design, Seed};
use counterfoil_world::{Expect, Scenario, Trace, replay};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

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

/// The code and the complaint of a command.
fn complaint(words: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_check"));
    let output = command.args(words.split_whitespace()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_protocol_of_a_trace_is_looked_at_first() {
    let kept = folder().join("no_exception__shared_old_duplicate.itf.json");
    assert_eq!(complaint(&format!("replay {}", kept.display())), (Some(0), String::new()));
    let (code, why) = complaint(&format!("replay {} --on cluster", kept.display()));
    assert!(code == Some(2) && why.contains("is of the protocol shared_2016"), "{code:?} {why}");
    let out = TempDir::new().unwrap();
    let other = out.path().join("other.itf.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&other, text.replace("\"protocol\":\"shared_2016\"", "\"protocol\":\"none\""))
        .unwrap();
    for words in ["replay", "explain", "minimise"] {
        let (code, why) = complaint(&format!("{words} {}", other.display()));
        let told = why.contains("is of the protocol none, and there is no such protocol");
        assert!(code == Some(5) && told, "{words}: {code:?} {why}");
    }
}

#[test]
fn what_a_protocol_has_not_is_a_usage_error() {
    for (words, told) in [
        ("run shared_places last_slot_race", "last_slot_race is of the protocol counterfoil"),
        ("run shared_places --without node_judges_claims", "the protocol has no such rule"),
        ("run shared_places --property groups_are_kept", "the protocol has no such property"),
        ("run last_slot_race --property gaps_close", "the protocol has no such property"),
    ] {
        let (code, why) = complaint(words);
        assert!(code == Some(2) && why.contains(told), "{words}: {code:?} {why}");
    }
    let out = TempDir::new().unwrap();
    let file = out.path().join("scenario.toml");
    std::fs::write(
        &file,
        "question = \"?\"\nexpect = \"holds\"\nprotocol = \"none\"\n[inventory]\nVCPU = 1\n",
    )
    .unwrap();
    let (code, why) = complaint(&format!("run {}", file.display()));
    assert!(code == Some(2) && why.contains("scenario.toml:3: there is no protocol"), "{why}");
}
