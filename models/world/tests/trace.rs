//! Hand-made runs, saved, read, replayed and drawn.

use counterfoil_world::messages::Fate;
use counterfoil_world::replay::describe;
use counterfoil_world::{
    Action, Cluster, Counterfoil, Divergence, Expected, Outcome, Scenario, Style, Trace,
    TraceError, World, render, replay,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A run that is made by hand, by what happens.
struct Run {
    world: World<Counterfoil>,
    cluster: Cluster<Counterfoil>,
    steps: Vec<Action<Counterfoil>>,
}

impl Run {
    fn new(name: &str, scenario: &str) -> Run {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, scenario).unwrap();
        let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let world = World::new(scenario);
        let cluster = world.initial();
        Run { world, cluster, steps: Vec::new() }
    }

    /// Takes each time the last action whose description begins so.
    fn take(mut self, all: &[&str]) -> Run {
        for what in all {
            let enabled = self.world.enabled(&self.cluster);
            let described: Vec<String> = enabled.iter().map(|a| describe(&self.world, a)).collect();
            let found = described.iter().rposition(|text| text.starts_with(what));
            let index = found.unwrap_or_else(|| panic!("not {what}, but: {described:#?}"));
            self.cluster = self.world.apply(&self.cluster, &enabled[index]);
            self.steps.push(enabled[index].clone());
        }
        self
    }

    fn trace(&self, property: &str) -> Trace<Counterfoil> {
        let scenario = self.world.scenario.clone();
        let mut trace = Trace::new(scenario, property, self.steps.clone());
        trace.engine = "by hand".to_owned();
        trace
    }
}

/// Both schedulers claim the last slot, and the node grants both.
fn last_slot() -> Trace<Counterfoil> {
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
    let run = Run::new("without_node_judges_claims", scenario).take(&[
        "request r1 for {VCPU: 1} is made at s1",
        "request r2 for {VCPU: 1} is made at s2",
        "a copy of claim of s1 reaches n1",
        "verdict granted of n1 to s1 is lost",
        "claim of s2 reaches n1",
    ]);
    run.trace("no_overcommit")
}

/// The second delta arrives before the first, and is applied.
fn overtaking() -> Trace<Counterfoil> {
    let scenario = r#"
        question = "Must a gap be noticed?"
        violates = "views_are_real_states"
        without = ["gaps_are_not_applied"]
        clients = false
        inventory = { VCPU = 4, DISK_GB = 4 }
        request = [{ resources = { VCPU = 1 } }, { resources = { DISK_GB = 1 } }]
    "#;
    let run = Run::new("without_gaps_are_not_applied", scenario).take(&[
        "request r1",
        "claim of s1",
        "timer announce",
        "request r2",
        "claim of s1",
        "timer announce",
        "delta of n1",
    ]);
    run.trace("views_are_real_states")
}

const QUIET: &str = r#"
    question = "Must a quiet stream say where it is?"
    violates = "convergence"
    without = ["quiet_streams_carry_their_stamp"]
    schedulers = 2
    inventory = { VCPU = 4 }
    request = [{ resources = { VCPU = 1 } }]
    faults = { lose = 1 }
"#;

/// A delta is lost, and the beats after it do not say so.
fn quiet() -> Trace<Counterfoil> {
    let run = Run::new("without_quiet_streams_carry_their_stamp", QUIET).take(&[
        "request r1",
        "c1 picks scheduler r1/1 s1",
        "call of c1 reaches s1",
        "claim of s1 reaches n1",
        "timer announce",
        "delta of n1 to s2 is lost",
        "delta of n1 reaches s1",
        "verdict granted of n1 reaches s1",
        "answer placed of s1 reaches c1",
        "confirm of c1 reaches n1",
        "verdict confirmed of n1 reaches c1",
        "timer announce",
        "delta of n1 reaches s2",
    ]);
    let mut trace = run.trace("convergence");
    trace.back_to = Some(11);
    trace
}

const FAULTS: &str = r#"
    question = "What does every fault look like?"
    expect = "holds"
    schedulers = 2
    nodes = 2
    start = "cold"
    inventory = { VCPU = 4 }
    request = [{ resources = { VCPU = 1 } }]
    order = [{ join = "s3" }]
    [faults]
    lose_all = 1
    scheduler_restart = 1
    torn_write = 1
    disconnect = 1
    twin = 1
    scheduler_death = 1
"#;

/// One of almost every kind of step.
fn faults() -> Trace<Counterfoil> {
    let run = Run::new("faults", FAULTS).take(&[
        "resync of s1 reaches n1",
        "snapshot of n1",
        "request r1",
        "c1 picks scheduler r1/1 s1",
        "call of c1",
        "claim of s1 reaches n1, which crashes",
        "the connection between c1 and s1",
        "s1 starts a second time",
        "s1 crashes and starts again",
        "s2 crashes for good",
        "s3 joins",
        "everything in flight is lost",
        "c1 learns",
    ]);
    run.trace("convergence")
}

#[test]
fn an_overcommit_is_drawn() {
    let length = Some("5 steps: the shortest; 4 changes of actor".to_owned());
    let file = Some("traces/no_overcommit__node_judges_claims.itf.json".to_owned());
    let style = Style { length, file, ..Style::default() };
    insta::assert_snapshot!(render(&last_slot(), &style));
}

#[test]
fn an_overtaking_delta_is_drawn_in_ascii_too() {
    insta::assert_snapshot!(render(&overtaking(), &Style::default()));
    let ascii = render(&overtaking(), &Style { ascii: true, ..Style::default() });
    assert!(ascii.is_ascii());
    insta::assert_snapshot!(ascii);
}

#[test]
fn a_loop_has_a_rail() {
    insta::assert_snapshot!(render(&quiet(), &Style::default()));
}

#[test]
fn every_fault_is_drawn() {
    insta::assert_snapshot!(render(&faults(), &Style::default()));
}

#[test]
fn every_drawing_fits_the_width() {
    for trace in [last_slot(), overtaking(), quiet(), faults()] {
        for ascii in [false, true] {
            let text = render(&trace, &Style { ascii, ..Style::default() });
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }
}

#[test]
fn more_actors_than_fit_are_drawn_too() {
    let run = Run::new("many", &FAULTS.replace("nodes = 2", "nodes = 20")).take(&["request r1"]);
    let text = render(&run.trace("convergence"), &Style::default());
    assert!(text.contains(" n20") && text.contains("request r1"), "{text}");
}

#[test]
fn colour_says_nothing_that_the_signs_do_not() {
    let plain = render(&last_slot(), &Style::default());
    let colour = render(&last_slot(), &Style { colour: true, ..Style::default() });
    assert_ne!(plain, colour);
    assert_eq!(plain, colour.replace("\x1b[31m", "").replace("\x1b[0m", ""));
}

/// What the reader of another tool takes from a state.
#[derive(Deserialize)]
struct Read {
    processes: BTreeMap<String, IgnoredAny>,
    disks: BTreeMap<String, IgnoredAny>,
    network: BTreeMap<Ends, Flight>,
    mail: Vec<IgnoredAny>,
    to_come: BTreeSet<u8>,
    budget: BTreeMap<String, u8>,
    #[serde(rename = "mbt::actionTaken")]
    taken: String,
}

/// A datagram, as far as the test reads it.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Ends {
    src: String,
    dst: String,
}

#[derive(Deserialize)]
#[serde(tag = "tag", content = "value")]
enum Flight {
    InFlight { f0: u8 },
}

fn saved(trace: &Trace<Counterfoil>) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.itf.json");
    trace.save(&path).unwrap_or_else(|error| panic!("{error}"));
    (folder, path)
}

#[test]
fn another_reader_reads_a_saved_trace() {
    for (trace, actors, back_to) in
        [(last_slot(), 3, None), (quiet(), 4, Some(11)), (faults(), 5, Some(13))]
    {
        let (_folder, path) = saved(&trace);
        let text = std::fs::read_to_string(path).unwrap();
        let read: itf::Trace<Read> = itf::trace_from_str(&text).unwrap();
        assert_eq!(read.states.len(), trace.steps.len() + 1);
        assert_eq!(read.loop_index, back_to);
        let types: Vec<&String> = read.meta.var_types.keys().collect();
        let mut vars: Vec<&String> = read.vars.iter().collect();
        vars.sort();
        assert_eq!(types, vars, "every variable has a type");
        let first = &read.states[0].value;
        assert_eq!(first.processes.len(), actors);
        assert_eq!(first.disks.len(), actors);
        assert!(first.mail.is_empty());
        assert_eq!(first.taken, "init");
        let last = &read.states[trace.steps.len()].value;
        assert_eq!(last.taken, trace.steps.last().unwrap().kind());
        assert!(last.to_come.is_empty());
        assert!(!last.budget.is_empty());
        let mut flights = read.states.iter().flat_map(|state| &state.value.network);
        let (ends, Flight::InFlight { f0: count }) = flights.next().unwrap();
        assert!(ends.src.starts_with(['s', 'n']) && ends.dst.starts_with(['s', 'n']));
        assert_eq!(*count, 1);
    }
}

#[test]
fn the_states_of_a_saved_trace_keep_to_the_profile() {
    fn keeps(value: &serde_json::Value) {
        match value {
            serde_json::Value::Null => panic!("a null"),
            serde_json::Value::Number(number) => panic!("a bare number: {number}"),
            serde_json::Value::Bool(_) | serde_json::Value::String(_) => {}
            serde_json::Value::Array(items) => items.iter().for_each(keeps),
            serde_json::Value::Object(fields) => {
                if let Some(tag) = fields.get("tag") {
                    assert!(tag != "None" && fields["value"].is_object(), "{tag}");
                    let data = fields["value"].as_object().unwrap();
                    assert!(!data.keys().any(|name| name.starts_with('#')), "{tag} is a record");
                }
                for (name, value) in fields {
                    let is_form = ["#bigint", "#map", "#set", "#tup"].contains(&name.as_str());
                    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                    assert!(is_form || name.chars().all(word), "{name}");
                    assert_ne!(name, "from");
                    keeps(value);
                }
            }
        }
    }
    let (_folder, path) = saved(&faults());
    let text = std::fs::read_to_string(path).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    for state in file["states"].as_array_mut().unwrap() {
        state.as_object_mut().unwrap().remove("#meta");
        keeps(state);
    }
}

#[test]
fn a_saved_trace_is_replayed() {
    let (_folder, path) = saved(&last_slot());
    let trace: Trace<Counterfoil> = Trace::load(&path).unwrap();
    assert_eq!(trace.steps, last_slot().steps);
    assert_eq!(trace.scenario, last_slot().scenario);
    assert_eq!(trace.engine, "by hand");
    assert_eq!(trace.stored().len(), 6);
    let replayed = replay(&trace);
    assert!(matches!(replayed.outcome, Outcome::Violated { step: 5, .. }));
    assert!(replayed.is_as_expected(Expected::Witness));
    assert!(!replayed.is_as_expected(Expected::Regression));

    let (_folder, path) = saved(&quiet());
    let replayed = replay(&Trace::<Counterfoil>::load(&path).unwrap());
    assert!(matches!(replayed.outcome, Outcome::Violated { step: 11, .. }));
}

/// The file of a run with one text replaced, and what comes of reading it.
fn edited(path: &Path, old: &str, new: &str) -> Result<Trace<Counterfoil>, TraceError> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(old), "{old}");
    std::fs::write(path, text.replacen(old, new, 1)).unwrap();
    Trace::load(path)
}

#[test]
fn a_file_that_is_no_whole_trace_is_refused_with_the_reason() {
    let (_folder, path) = saved(&last_slot());
    let whole = std::fs::read_to_string(&path).unwrap();
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Trace::<Counterfoil>::load(&path).unwrap_err()
    };
    let cut = refused(&whole[..whole.len() / 2]);
    assert!(matches!(cut, TraceError::Truncated { .. }), "{cut}");
    assert!(cut.to_string().contains("is cut short"));
    let damaged = refused(&whole.replacen(':', ";", 1));
    assert!(matches!(damaged, TraceError::Damaged { .. }), "{damaged}");
    let other = refused(r##"{"#meta":{},"vars":["x"],"states":[]}"##);
    assert!(matches!(other, TraceError::NoTrace { .. }), "{other}");
    let newer = refused(&whole.replacen("\"version\": 1", "\"version\": 2", 1));
    assert!(matches!(newer, TraceError::Newer { version: 2, .. }), "{newer}");
    let section = refused(&whole.replacen("\"steps\": [", "\"steps\": [1,", 1));
    assert!(matches!(section, TraceError::Section { .. }), "{section}");
    let node = refused(&whole.replace("\"nodes_at_start\":1", "\"nodes_at_start\":2"));
    assert!(node.to_string().ends_with("n2 has no inventory"), "{node}");
    let property = refused(&whole.replace("\"property\":\"no_overcommit\"", "\"property\":\"x\""));
    assert!(matches!(property, TraceError::NoSuchProperty { .. }), "{property}");
    let missing = Trace::<Counterfoil>::load(Path::new("no/such/file")).unwrap_err();
    assert!(matches!(missing, TraceError::Read { .. }), "{missing}");
}

#[test]
fn an_edited_state_makes_the_replay_diverge() {
    let (_folder, path) = saved(&last_slot());
    let trace = edited(&path, r##""version":{"#bigint":"1"}"##, r##""version":{"#bigint":"7"}"##);
    let outcome = replay(&trace.unwrap()).outcome;
    let Outcome::Diverged(divergence) = outcome else { panic!("{outcome:?}") };
    let text = "diverged after step 3: processes.n1.version is 1, and the trace says 7";
    assert_eq!(divergence.to_string(), text);
}

#[test]
fn an_action_that_cannot_happen_makes_the_replay_diverge() {
    let mut trace = last_slot();
    trace.steps.swap(1, 4);
    let outcome = replay(&trace).outcome;
    let Outcome::Diverged(divergence) = outcome else { panic!("{outcome:?}") };
    assert!(matches!(&divergence, Divergence::NotEnabled { step: 2, .. }));
    let text = "diverged at step 2: it cannot happen that claim of s2 reaches n1; of that kind can: \
                claim of s1 reaches n1";
    assert_eq!(divergence.to_string(), text);
    let unwritten = trace.save(Path::new("never.itf.json")).unwrap_err();
    assert!(matches!(unwritten, TraceError::Unreal { .. }));
    insta::assert_snapshot!(render(&trace, &Style::default()));
}

#[test]
fn a_run_without_violation_is_a_regression() {
    let mut trace = last_slot();
    trace.scenario.without.clear();
    trace.steps.truncate(3);
    let trace = Trace::new(trace.scenario, "no_overcommit", trace.steps);
    assert_eq!(trace.expect, Expected::Regression);
    assert!(replay(&trace).is_as_expected(Expected::Regression));
}

#[test]
fn a_lasso_must_close_be_fair_and_miss_the_goal() {
    let because = |trace: &Trace<Counterfoil>| match replay(trace).outcome {
        Outcome::Holds { because } => because,
        other @ (Outcome::Violated { .. } | Outcome::Diverged(_)) => panic!("{other:?}"),
    };
    let mut open = quiet();
    open.back_to = Some(3);
    assert_eq!(because(&open), "the run does not lead back to the state after step 3");
    let mut on = quiet();
    on.back_to = None;
    assert_eq!(because(&on), "the run goes on in the end: timer announce fires at n1");
    let mut other = quiet();
    other.property = "no_leak".to_owned();
    assert_eq!(because(&other), "its goal is true in the end");
    let mut early = quiet();
    early.property = "every_request_ends".to_owned();
    early.steps.truncate(6);
    early.back_to = Some(6);
    assert!(because(&early).starts_with("the run goes on in the end"));
}

#[test]
fn in_the_set_network_a_second_delivery_is_a_copy() {
    let scenario = QUIET.replace("faults", "network = \"set\"\nfaults");
    let run = Run::new("set", &scenario).take(&[
        "request r1",
        "c1 picks scheduler r1/1 s1",
        "call of c1",
        "claim of s1 reaches n1",
        "claim of s1 reaches n1",
    ]);
    let replayed = replay(&run.trace("convergence"));
    let claim = replayed.messages.iter().find(|message| message.label == "claim").unwrap();
    assert_eq!(claim.fate, Fate::Delivered(4));
    assert_eq!(claim.copies, [5]);
}
