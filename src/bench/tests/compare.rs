//! Short comparisons: what they say is asserted, not how fast anything is.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SMALL: [&str; 7] =
    ["compare", "--nodes", "3", "--schedulers", "2", "--strategies", "random,pack"];

fn bench(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(args).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The report of a comparison that must be fine.
fn fine(args: &[&str]) -> Value {
    let output = bench(&[args, &["--format", "json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What is said of a comparison that cannot be carried out, and its exit code.
fn refused(args: &[&str]) -> (String, Option<i32>) {
    let output = bench(&[&SMALL[..], args].concat());
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

#[test]
fn every_design_is_compared_as_threads_and_as_processes() {
    let report = fine(&SMALL);
    let cells = report["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2 * 5 * 2);
    for cell in cells {
        for name in ["design", "nodes", "schedulers", "strategy", "accepted_per_s"] {
            assert!(!cell[name].is_null(), "{name}: {cell}");
        }
        let count = |name: &str| cell[name].as_u64().unwrap();
        let ended = ["success", "no_valid_host", "exhausted", "unanswered"].map(count);
        assert_eq!(ended.iter().sum::<u64>(), count("requests"), "{cell}");
        assert!(count("success") > 0 && count("overcommitted") == 0, "{cell}");
        assert!(cell["retried_percent"].is_f64());
    }
    assert_eq!(report["complete"], true);
}

#[test]
fn an_interrupted_comparison_keeps_what_it_has_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.json");
    let out = folder.path().join("out");
    let many = ["compare", "--setting", "model", "--nodes", "3,4,5,6", "--schedulers", "1,2,3"];
    let resume = ["--resume", kept.to_str().unwrap()];
    let mut child = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([&many[..], &resume].concat())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    said.find(|line| line.contains("bench: 3 of 180")).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    said.by_ref().for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let read = |path: &Path| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let before = read(&kept);
    let before = before["cells"].as_array().unwrap();
    assert!((3..180).contains(&before.len()), "{}", before.len());
    let after = fine(&[&many[..], &resume, &["--out", out.to_str().unwrap()]].concat());
    let cells = after["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 180);
    for (before, after) in before.iter().zip(cells) {
        for name in ["design", "success", "queries", "timeline"] {
            assert_eq!(before[name], after[name], "what was measured is not measured again");
        }
    }
    assert_eq!(read(&out.join("comparison.json"))["cells"].as_array().unwrap().len(), 180);
    let csv = std::fs::read_to_string(out.join("comparison.csv")).unwrap();
    assert_eq!(csv.lines().count(), 181);
    assert!(std::fs::read_to_string(out.join("comparison.html")).unwrap().contains("<svg"));
    let other = bench(&[&many[..], &resume, &["--seed", "2"]].concat());
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(other.status.code() == Some(2) && said.contains("measured otherwise (seed)"), "{said}");
    std::fs::write(&kept, "{").unwrap();
    let (said, code) = refused(&resume);
    assert!(code == Some(5) && said.contains("no comparison to go on with"), "{said}");
}

#[test]
fn a_database_that_cannot_be_used_is_told_with_what_to_do() {
    let (said, code) = refused(&["--database", "postgres://counterfoil@127.0.0.1:1/postgres"]);
    assert!(
        code == Some(3) && said.contains("start one with `src/bench/postgres start`"),
        "{said}"
    );
    let (said, code) = refused(&["--database", "mysql://127.0.0.1/"]);
    assert!(code == Some(2) && said.contains("write sqlite:"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    let url = format!("sqlite:{}", path.display());
    let missing = format!("sqlite:{}", folder.path().join("no/hosts").display());
    let (said, code) = refused(&["--database", &missing]);
    assert!(code == Some(3) && said.contains("there is no database"), "{said}");

    std::fs::write(
        &path,
        "something else, and longer than the head of a file of SQLite is ".repeat(9),
    )
    .unwrap();
    let (said, code) = refused(&["--database", &url]);
    assert!(code == Some(3) && said.contains("of another version"), "{said}");

    std::fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE mine (id INTEGER)").unwrap();
    let (said, code) = refused(&["--database", &url]);
    assert!(code == Some(3) && said.contains("remove the file"), "{said}");

    other.execute_batch("DROP TABLE mine; BEGIN EXCLUSIVE").unwrap();
    let (said, code) = refused(&["--database", &url]);
    assert!(code == Some(3) && said.contains("locked by another program"), "{said}");

    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    let small = ["--setting", "model", "--designs", "placement", "--database", &url];
    let report = fine(&[&SMALL[..], &small].concat());
    assert_eq!(report["cells"][0]["database"], "sqlite");
}

#[test]
fn fifty_at_once_fail_once_on_forty_nine_places() {
    let few = ["compare", "--preloaded", "--nodes", "80", "--designs", "counterfoil"];
    let report = fine(&[&few[..], &["--repeat", "3"]].concat());
    let runs = report["preloaded"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "with one scheduler and with two");
    for run in runs {
        assert_eq!(
            (run["runs"].as_u64(), run["exactly_one"].as_u64()),
            (Some(3), Some(3)),
            "{run}"
        );
    }
    let udp = [&few[..], &["--setting", "udp", "--schedulers", "2"]].concat();
    assert_eq!(fine(&udp)["preloaded"][0]["exactly_one"], 1);
}

#[test]
fn only_designs_that_can_are_mixed() {
    let (said, code) = refused(&["--mix", "shared=1,counterfoil=1"]);
    assert!(code == Some(2) && said.contains("work on the same nodes"), "{said}");
    let (said, code) = refused(&["--mix", "filter=1,nothing=1"]);
    assert!(code == Some(2) && said.contains("invalid"), "{said}");
    let report = fine(&[&SMALL[..], &["--mix", "filter=1,caching=1,counterfoil=2"]].concat());
    let cells = report["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2 * 3, "a row for each design and strategy");
    assert!(cells.iter().all(|cell| cell["mix"] == "filter+caching+counterfoil+counterfoil"));
}
