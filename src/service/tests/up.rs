//! Trial runs: real processes on this machine, from the command line.

use std::path::Path;
use std::process::{Command, Output};

fn up(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_counterfoil")).arg("up").args(args).output().unwrap()
}

/// The report of a trial run that must be fine: every request is accounted for, every run was
/// rebuilt and no property was violated.
fn fine(args: &[&str]) -> serde_json::Value {
    let output = up(&[args, &["--format", "json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    assert_eq!(output.status.code(), Some(0), "{report} {stderr}");
    assert_eq!(report["violations"], serde_json::json!([]), "{report}");
    assert_eq!(number(&report, "violations_count"), 0, "{report}");
    assert_eq!(number(&report, "runs_not_rebuilt"), 0, "{report}");
    assert_eq!(number(&report, "checks_left_out"), 0, "{report}");
    let ended = number(&report, "placed") + number(&report, "no_valid_host");
    assert_eq!(ended, number(&report, "count"), "{report}");
    assert_eq!(number(&report, "other"), 0, "{report}");
    report
}

fn number(report: &serde_json::Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("{field} in {report}"))
}

#[test]
fn the_default_workload_is_mostly_placed_and_partly_refused() {
    let report = fine(&["--schedulers", "2", "--nodes", "3", "--place", "default"]);
    assert_eq!(number(&report, "count"), 2000);
    assert!(number(&report, "placed") >= 1000, "{report}");
    assert!(number(&report, "no_valid_host") > 0, "{report}");
    assert_eq!(number(&report, "runs_rebuilt"), 2 + 3 + 1);
    let checked = report["properties_checked"].as_array().unwrap();
    assert!(checked.len() >= 10 && checked.contains(&"no_overcommit".into()), "{report}");
}

#[test]
fn a_node_and_a_scheduler_that_are_killed_halfway_change_no_promise() {
    for policy in ["spread", "random"] {
        let report = fine(&[
            "--place", "default", "--count", "400", "--crash", "--policy", policy, "--seed", "4",
        ]);
        assert_eq!(number(&report, "runs_rebuilt"), 2 + 3 + 1 + 2, "both lives of the killed");
    }
}

#[test]
fn the_only_node_and_the_only_scheduler_may_be_killed() {
    let report = fine(&[
        "--place",
        "default",
        "--count",
        "200",
        "--crash",
        "--schedulers",
        "1",
        "--nodes",
        "1",
    ]);
    assert_eq!(number(&report, "runs_rebuilt"), 1 + 1 + 1 + 2);
}

#[test]
fn a_cluster_without_room_refuses_everything() {
    let report = fine(&["--place", "default", "--count", "100", "--memory-mb", "1024"]);
    assert_eq!(number(&report, "no_valid_host"), 100);
}

#[test]
fn a_row_without_meaning_is_named_and_nothing_is_placed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.csv");
    let rows = "vmId,tenantId,cores,ram,vmTypeId,starttime,endtime\n\
                1,1,2,4,0,0.0,inf\n2,1,2,much,0,0.0,inf\n";
    std::fs::write(&file, rows).unwrap();
    let keep = dir.path().join("kept");
    let place = ["--count", "1", "--place", file.to_str().unwrap()];
    let output = up(&[place.as_slice(), &["--keep", keep.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(5));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("line 3, column ram: \"much\" is not a number"), "{message}");
    assert!(output.stdout.is_empty());
    assert!(!keep.exists());
}

#[test]
fn a_file_that_is_not_there_is_unreadable_and_one_that_is_too_short_is_a_usage_error() {
    let output = up(&["--place", "/no/such/file.csv"]);
    assert_eq!(output.status.code(), Some(5));
    let output = up(&["--place", "default", "--count", "1000000"]);
    assert_eq!(output.status.code(), Some(2));
    let output = up(&["--no-such-option"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_is_kept_can_be_judged_again_and_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("kept");
    let args = ["--place", "default", "--count", "50", "--crash", "--keep", keep.to_str().unwrap()];
    let report = fine(&args);
    let recordings: &Path = &keep.join("recordings");
    let again = counterfoil_recording::audit::audit(recordings).unwrap();
    assert_eq!(again.runs, number(&report, "runs_rebuilt"));
    assert_eq!(again.steps, number(&report, "steps"));
    assert_eq!(again.violations, 0);
    assert_eq!(up(&args).status.code(), Some(2), "the folder is not empty");
}
