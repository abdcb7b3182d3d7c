//! Short forms of what puts a cluster to the test: what they say is asserted, not how long it takes.

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(args).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The report of a run that must be fine.
fn fine(args: &[&str]) -> Value {
    let output = bench(&[args, &["--format", "json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Says what was left out. Not by a macro, whose words are kept back when a test passes.
fn skipped(what: &str) {
    std::io::stderr().write_all(format!("SKIPPED: {what}\n").as_bytes()).unwrap();
}

/// What the report of a run says of its recordings must be fine.
fn rebuilt(report: &Value) {
    let recordings = &report["recordings"];
    assert!(recordings["runs"].as_u64().unwrap() > 0);
    for wrong in ["violations", "not_rebuilt", "never_sent"] {
        assert_eq!(recordings[wrong], 0, "{wrong}: {}", recordings["findings"]);
    }
}

#[test]
fn nothing_that_was_confirmed_is_lost_when_processes_are_killed() {
    let cluster = ["--schedulers", "2", "--nodes", "3", "--seed", "5"];
    let report = fine(&[&["faults", "--rounds", "4", "--loss", "100"][..], &cluster].concat());
    assert_eq!(report["rounds"], 4);
    let count = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap();
    assert!(count("/done/nodes_killed") + count("/done/schedulers_killed") >= 4);
    assert!(count("/requests/confirmed") > 0);
    assert!(count("/packets/lost") > 0);
    assert_eq!(count("/promised"), count("/stores/allocations"));
    assert!(count("/recordings/properties/no_overcommit") > 0);
}

#[test]
fn nothing_that_was_confirmed_is_lost_when_namespaces_are_parted() {
    let cluster = ["--schedulers", "2", "--nodes", "2", "--seed", "6", "--format", "json"];
    let output = bench(&[&["faults", "--netns", "--rounds", "4"][..], &cluster].concat());
    let (text, said) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    if output.status.code() == Some(3) && said.contains("network namespaces cannot be used here") {
        return skipped(said.lines().last().unwrap_or_default());
    }
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&text));
    let report: Value = serde_json::from_slice(&text).unwrap();
    let count = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap();
    assert!(count("/done/partitions_one_way") + count("/done/partitions_two_way") > 0);
    assert_eq!(count("/promised"), count("/stores/allocations"));
    rebuilt(&report);
}

#[test]
fn every_scripted_fault_has_its_message_and_its_exit_code() {
    let report = fine(&["faults", "--case", "all"]);
    let cases = report.as_object().unwrap();
    assert_eq!(cases.len(), 9);
    for (name, case) in cases {
        let left_out = case["left_out"].as_str();
        assert!(left_out.is_some() || !case["found"].as_array().unwrap().is_empty(), "{name}");
        if let Some(why) = left_out {
            skipped(&format!("the case {name}: {why}"));
        }
    }
}

#[test]
fn a_cluster_that_is_offered_too_much_says_so_and_recovers() {
    let cluster = ["--schedulers", "1", "--nodes", "2", "--vcpu", "1000", "--lapse", "1000"];
    let report = bench(
        &[
            &["overload", "--record", "--minutes", "0.03", "--brief", "--format", "json"][..],
            &cluster,
        ]
        .concat(),
    );
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    // How soon it recovers, and with how much memory, is not for a test on a busy machine.
    assert_eq!(report["overload"]["wrong"], Value::Array(Vec::new()));
    assert_eq!(report["stores"]["leaked"], Value::Array(Vec::new()));
    assert_eq!(report["stores"]["placed_twice"], Value::Array(Vec::new()));
    assert!(report["overload"]["released"].as_u64().unwrap() > 0);
    assert!(report["after"]["released"].as_u64().unwrap() > 0);
    rebuilt(&report);
}

#[test]
fn a_soak_leaves_nothing_behind() {
    let cluster = ["--schedulers", "1", "--nodes", "3", "--vcpu", "1000", "--lapse", "1000"];
    let report = bench(
        &[&["soak", "--record", "--minutes", "0.1", "--brief", "--format", "json"][..], &cluster]
            .concat(),
    );
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["requests"]["wrong"], Value::Array(Vec::new()));
    assert_eq!(report["stores"]["leaked"], Value::Array(Vec::new()));
    assert!(report["requests"]["released"].as_u64().unwrap() > 0);
    rebuilt(&report);
}

#[test]
fn what_cannot_be_carried_out_is_said() {
    let output = bench(&["faults", "--case", "no-such-case"]);
    assert_eq!(output.status.code(), Some(2));
    let list = bench(&["faults", "--list"]);
    assert_eq!(String::from_utf8_lossy(&list.stdout).lines().count(), 9);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("something"), "").unwrap();
    let keep = folder.path().display().to_string();
    assert_eq!(bench(&["faults", "--rounds", "1", "--keep", &keep]).status.code(), Some(2));
}

/// A daemon must not depend on the wall clock: what lapses, and who is suspected, is a matter of
/// durations. Only its log, and numbers that must not come again, may read it.
#[test]
fn daemons_read_no_wall_clock() {
    let mut found = Vec::new();
    for crate_of_daemons in ["protocol", "placement", "service", "recording"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(crate_of_daemons);
        search(&root.join("src"), &mut found);
    }
    found.sort();
    let allowed = ["cli/place/runs.rs"];
    found.retain(|path| !allowed.iter().any(|allowed| path.ends_with(allowed)));
    assert_eq!(found, Vec::<String>::new());
}

fn search(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, found);
        } else if std::fs::read_to_string(&path).is_ok_and(|text| text.contains("SystemTime")) {
            found.push(path.display().to_string());
        }
    }
}
