//! Every saved trace in every form: that others can read it, and that it says what happened.

use counterfoil_viewer::export::{Form, export};
use counterfoil_world::{Counterfoil, Outcome, Trace, replay};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces")
}

/// The saved traces, in order.
fn saved() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.to_string_lossy().ends_with(".itf.json")).collect();
    files.sort();
    assert!(files.len() > 15, "{files:?}");
    files
}

fn load(path: &Path) -> Trace<Counterfoil> {
    Trace::load(path).unwrap_or_else(|error| panic!("{error}"))
}

/// One saved trace in one form.
fn one(name: &str, form: Form) -> String {
    let path = folder().join(format!("{name}.itf.json"));
    let trace = load(&path);
    export(&trace, &replay(&trace), form, Path::new(&format!("traces/{name}.itf.json")))
}

/// A message is lost, and others are in flight at the end.
const LOST: &str = "bounded__without_gone_ends_the_attempt";
/// A copy arrives, and messages overtake others.
const COPY: &str = "views_never_go_back__without_snapshots_never_go_back";
/// It repeats itself for ever, and a process starts again.
const LASSO: &str = "no_leak__without_unconfirmed_holds_lapse";

#[test]
fn mermaid_shows_what_became_of_each_message() {
    insta::assert_snapshot!("lost.mermaid", one(LOST, Form::Mermaid));
    insta::assert_snapshot!("copy.mermaid", one(COPY, Form::Mermaid));
    insta::assert_snapshot!("lasso.mermaid", one(LASSO, Form::Mermaid));
}

#[test]
fn shiviz_gets_a_log_with_clocks() {
    insta::assert_snapshot!("lost.shiviz", one(LOST, Form::Shiviz));
    insta::assert_snapshot!("copy.shiviz", one(COPY, Form::Shiviz));
}

#[test]
fn graphviz_gets_a_space_time_diagram() {
    insta::assert_snapshot!("lost.dot", one(LOST, Form::Dot));
    insta::assert_snapshot!("copy.dot", one(COPY, Form::Dot));
}

#[test]
fn perfetto_gets_slices_and_arrows() {
    insta::assert_snapshot!("lost.perfetto", one(LOST, Form::Perfetto));
}

#[test]
fn programs_get_plain_json() {
    let mut run: Value = serde_json::from_str(&one(COPY, Form::Json)).unwrap();
    // What is said of the why is told by the tests of the explanation.
    let why = run.as_object_mut().unwrap().remove("why").unwrap();
    assert!(why.as_array().is_some_and(|lines| lines.iter().all(Value::is_string)), "{why}");
    insta::assert_snapshot!("copy.json", format!("{run:#}"));
}

#[test]
fn the_text_is_that_of_the_plain_view() {
    let file = folder().join(format!("{LOST}.itf.json"));
    let trace = |args: &[&str]| {
        let command = Command::new(env!("CARGO_BIN_EXE_trace")).args(args).arg(&file).output();
        String::from_utf8(command.unwrap().stdout).unwrap()
    };
    let shown = trace(&["view", "--plain"]);
    assert!(shown.contains("bounded is violated"), "{shown}");
    assert_eq!(trace(&["export", "--to", "text"]), shown);
}

/// What the reader of another tool takes from a state.
#[derive(Deserialize)]
struct Read {
    processes: BTreeMap<String, IgnoredAny>,
    disks: BTreeMap<String, IgnoredAny>,
    #[serde(rename = "network")]
    _network: BTreeMap<Ends, IgnoredAny>,
    #[serde(rename = "mail")]
    _mail: Vec<IgnoredAny>,
    #[serde(rename = "to_come")]
    _to_come: BTreeSet<u8>,
    #[serde(rename = "budget")]
    _budget: BTreeMap<String, u8>,
    #[serde(rename = "mbt::actionTaken")]
    taken: String,
}

/// A datagram, as far as the test reads it.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Ends {
    src: String,
    dst: String,
}

#[test]
fn another_reader_reads_every_trace() {
    for path in saved() {
        let trace = load(&path);
        let text = export(&trace, &replay(&trace), Form::Itf, &path);
        let read: itf::Trace<Read> = itf::trace_from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(read.states.len(), trace.steps.len() + 1);
        let types: Vec<&String> = read.meta.var_types.keys().collect();
        let mut vars: Vec<&String> = read.vars.iter().collect();
        vars.sort();
        assert_eq!(types, vars, "every variable has a type");
        let first = &read.states[0].value;
        assert_eq!(first.processes.len(), first.disks.len(), "{}", path.display());
        let taken: Vec<&str> = read.states.iter().map(|state| &*state.value.taken).collect();
        let kinds: Vec<&str> = trace.steps.iter().map(|action| action.kind()).collect();
        assert_eq!((taken[0], &taken[1..]), ("init", &*kinds), "{}", path.display());
        assert_eq!(read.loop_index.is_some(), trace.kind == counterfoil_world::Kind::Liveness);
        // It can be replayed like the one that it was made of.
        let folder = tempfile::tempdir().unwrap();
        let written = folder.path().join("written.itf.json");
        std::fs::write(&written, text).unwrap();
        let again = load(&written);
        assert!(replay(&again).is_as_expected(trace.expect), "{}", path.display());
    }
}

/// A state in the portable profile: no null, no bare number, every variant a record.
fn keeps_to_the_profile(value: &Value) {
    match value {
        Value::Null => panic!("a null"),
        Value::Number(number) => panic!("a bare number: {number}"),
        Value::Bool(_) | Value::String(_) => {}
        Value::Array(items) => items.iter().for_each(keeps_to_the_profile),
        Value::Object(fields) => {
            if let Some(tag) = fields.get("tag") {
                let data = fields["value"].as_object().unwrap_or_else(|| panic!("{tag}"));
                assert!(!data.keys().any(|name| name.starts_with('#')), "{tag} is a record");
            }
            const KEYWORDS: [&str; 7] = ["from", "in", "is", "not", "or", "class", "None"];
            for (name, value) in fields {
                let is_form = ["#bigint", "#map", "#set", "#tup"].contains(&name.as_str());
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                assert!(is_form || name.chars().all(word), "{name}");
                assert!(!KEYWORDS.contains(&name.as_str()), "{name}");
                keeps_to_the_profile(value);
            }
        }
    }
}

#[test]
fn every_state_keeps_to_the_portable_profile() {
    for path in saved() {
        let trace = load(&path);
        let text = export(&trace, &replay(&trace), Form::Itf, &path);
        let mut file: Value = serde_json::from_str(&text).unwrap();
        for (name, value) in file["#meta"].as_object().unwrap() {
            let types = || value.as_object().is_some_and(|of| of.values().all(Value::is_string));
            assert!(value.is_string() || (name == "varTypes" && types()), "{name}");
        }
        for state in file["states"].as_array_mut().unwrap() {
            state.as_object_mut().unwrap().remove("#meta");
            keeps_to_the_profile(state);
        }
    }
}

/// An event in a log for ShiViz.
struct Logged {
    what: String,
    host: String,
    clock: BTreeMap<String, u64>,
}

/// Takes a log apart by the expression in its first line: `(?<step>\d+) (?<event>.*)\n(?<host>\S*)
/// (?<clock>{.*})`.
fn logged(log: &str) -> Vec<Logged> {
    let (expression, rest) = log.split_once("\n\n").unwrap();
    assert_eq!(expression, r"(?<step>\d+) (?<event>.*)\n(?<host>\S*) (?<clock>{.*})");
    let lines: Vec<&str> = rest.lines().collect();
    let pairs = lines.chunks(2).map(|pair| {
        let (step, what) = pair[0].split_once(' ').unwrap();
        step.parse::<usize>().unwrap_or_else(|_| panic!("no step: {}", pair[0]));
        let (host, clock) = pair[1].split_once(' ').unwrap();
        let clock = serde_json::from_str(clock).unwrap();
        Logged { what: what.to_owned(), host: host.to_owned(), clock }
    });
    pairs.collect()
}

#[test]
fn the_clocks_of_every_log_order_what_was_sent_before_what_arrived() {
    for path in saved() {
        let trace = load(&path);
        let replay = replay(&trace);
        let log = logged(&export(&trace, &replay, Form::Shiviz, &path));
        let mut now: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
        for Logged { what, host, clock } in &log {
            let before = now.insert(host, clock.clone()).unwrap_or_default();
            let own = before.get(host).copied().unwrap_or_default();
            assert_eq!(clock[host], own + 1, "{what}: a host counts its events from 1");
            for (of, count) in clock {
                assert!(*count >= before.get(of).copied().unwrap_or_default(), "{what}");
                let reached = now.get(of.as_str()).and_then(|clock| clock.get(of));
                assert!(reached.is_some_and(|reached| count <= reached), "{what}: {of} {count}");
            }
        }
        let sent = |name: &str| {
            let is_sent = |event: &&Logged| {
                let names = event.what.split_once("  → ").map_or("", |(_, names)| names);
                names.split(' ').any(|other| other == name)
            };
            log.iter().find(is_sent).unwrap_or_else(|| panic!("{name} is never sent"))
        };
        for message in &replay.messages {
            let sender = sent(&message.name());
            assert_eq!(sender.host, message.src.to_string());
            let later =
                |event: &Logged| event.clock.get(&sender.host) >= sender.clock.get(&sender.host);
            let dst = message.dst.to_string();
            for _ in message.arrivals() {
                assert!(log.iter().any(|event| event.host == dst && later(event)));
            }
            if message.arrivals().next().is_none() {
                assert!(log.iter().any(|event| event.host == "network" && later(event)));
            }
        }
    }
}

#[test]
fn every_arrow_for_perfetto_begins_and_ends_in_a_slice() {
    for path in saved() {
        let trace = load(&path);
        let replay = replay(&trace);
        let text = export(&trace, &replay, Form::Perfetto, &path);
        let file: Value = serde_json::from_str(&text).unwrap();
        let events = file["traceEvents"].as_array().unwrap();
        let of = |phase: &'static str| events.iter().filter(move |event| event["ph"] == phase);
        let at = |event: &Value| event["ts"].as_u64().unwrap();
        let in_a_slice = |end: &Value| {
            of("X").any(|slice| {
                let (start, length) = (at(slice), slice["dur"].as_u64().unwrap());
                slice["tid"] == end["tid"] && (start..start + length).contains(&at(end))
            })
        };
        for arrow in of("s").chain(of("f")) {
            assert!(in_a_slice(arrow), "{arrow}");
        }
        for end in of("f") {
            let begin = of("s").find(|begin| begin["id"] == end["id"]).unwrap();
            assert!(at(begin) < at(end), "{end}");
        }
        assert_eq!(of("s").count(), replay.messages.len());
        let violated = matches!(replay.outcome, Outcome::Violated { .. })
            && trace.kind == counterfoil_world::Kind::Safety;
        assert_eq!(of("i").count(), usize::from(violated), "{}", path.display());
    }
}

#[test]
fn every_trace_has_every_form() {
    for path in saved() {
        let trace = load(&path);
        let replay = replay(&trace);
        for form in Form::ALL {
            let text = export(&trace, &replay, form, &path);
            assert!(text.ends_with('\n'), "{form:?}");
            // A log says where something happens: a run that goes wrong for ever does so nowhere, and
            // one that holds does not.
            let log = matches!(form, Form::Shiviz | Form::Perfetto);
            assert!(text.contains(&*trace.property) || log, "{form:?}");
            let last = replay.messages.last().unwrap().name();
            assert!(text.contains(&last), "{form:?} of {} names {last}", path.display());
        }
    }
}

fn trace(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trace")).arg("export").args(args).output().unwrap()
}

#[test]
fn what_cannot_be_exported_is_refused_with_its_code() {
    let temporary = tempfile::tempdir().unwrap();
    let file = folder().join(format!("{LOST}.itf.json"));
    let file = file.to_str().unwrap();
    let out = temporary.path().join("run.mmd");
    let done = trace(&[file, "--to", "mermaid", "--out", out.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0));
    assert!(done.stdout.is_empty());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), one(LOST, Form::Mermaid));

    let unknown = trace(&[file, "--to", "papyrus"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("mermaid"), "it names the forms");
    let nowhere = temporary.path().join("none").join("run");
    let nowhere = trace(&[file, "--to", "dot", "--out", nowhere.to_str().unwrap()]);
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("cannot be written"));

    let whole = std::fs::read_to_string(file).unwrap();
    let edited = temporary.path().join("edited.itf.json");
    let text = whole.replacen(r#""mbt::actionTaken":"init""#, r#""mbt::actionTaken":"x""#, 1);
    std::fs::write(&edited, text).unwrap();
    let diverged = trace(&[edited.to_str().unwrap(), "--to", "shiviz"]);
    assert_eq!(diverged.status.code(), Some(4));
    assert!(diverged.stdout.is_empty(), "there is nothing to export");
    std::fs::write(&edited, &whole[..whole.len() / 2]).unwrap();
    let cut = trace(&[edited.to_str().unwrap(), "--to", "json"]);
    assert_eq!(cut.status.code(), Some(5));
    assert!(String::from_utf8(cut.stderr).unwrap().contains("is cut short"));
}
