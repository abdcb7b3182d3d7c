//! Every scenario, explored to its end, and every saved trace, replayed.

use counterfoil_check::run::{Make, Options, run};
use counterfoil_check::suite;
use counterfoil_protocol::Rule;
use counterfoil_world::{Counterfoil, Expect, Scenario, Trace, replay};
use std::path::PathBuf;

#[test]
fn every_quick_scenario_is_as_declared() {
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
    for scenario in suite::Suite::Quick.scenarios().unwrap() {
        let report = run::<Counterfoil>(&scenario, &options).unwrap();
        wrong.extend(report.findings.iter().map(|finding| format!("{}: {finding}", scenario.name)));
        if report.is_inconclusive() {
            wrong.push(format!("{}: inconclusive", scenario.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn traces() -> Vec<(PathBuf, Trace<Counterfoil>)> {
    let files = suite::files(&suite::traces_folder(), ".itf.json").unwrap();
    let load = |path: PathBuf| {
        let trace = Trace::load(&path).unwrap_or_else(|error| panic!("{error}"));
        (path, trace)
    };
    files.into_iter().map(load).collect()
}

#[test]
fn every_saved_trace_replays_as_it_is_expected_to() {
    let traces = traces();
    assert!(!traces.is_empty());
    for (path, trace) in traces {
        let replayed = replay(&trace);
        let path = path.display();
        assert!(replayed.is_as_expected(trace.expect), "{path}: {:?}", replayed.outcome);
        assert_eq!(trace.stored().len(), trace.steps.len() + 1, "{path}: every state is compared");
    }
}

#[test]
fn every_rule_has_a_kept_trace_that_shows_what_goes_wrong_without_it() {
    let traces = traces();
    for rule in Rule::ALL {
        let shows = |trace: &Trace<Counterfoil>| trace.scenario.without == [rule];
        assert!(traces.iter().any(|(_, trace)| shows(trace)), "no trace in traces/ for {rule}");
    }
}

#[test]
fn without_each_rule_a_scenario_that_holds_is_violated() {
    for rule in Rule::ALL {
        let file = suite::scenarios_folder().join(format!("without_{rule}.toml"));
        let broken = Scenario::load(&file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(broken.without, [rule], "{}", broken.name);
        assert!(matches!(broken.expect, Expect::Violates(_)), "{}", broken.name);

        let text = std::fs::read_to_string(&file).unwrap();
        let base = text.lines().find_map(|line| line.strip_prefix("extends = "));
        let base = base.unwrap_or_else(|| panic!("{} extends nothing", broken.name));
        let base = suite::find(base.trim_matches('"')).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(base.expect, Expect::Holds, "{}", base.name);
        assert!(base.without.is_empty(), "{}", base.name);
    }
}
