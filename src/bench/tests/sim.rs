//! Simulations: what they say is asserted, and that the same seed says it again.

use counterfoil_bench::sim::seeds::{self, Range};
use counterfoil_protocol::Rule;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn bench(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.current_dir(folder).args(args).output().unwrap()
}

/// What a simulation prints, which must be fine.
fn printed(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), &[&["sim"][..], args].concat());
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (out, err) = (out.unwrap(), err.unwrap());
    assert_eq!(output.status.code(), Some(0), "{args:?}\n{out}\n{err}");
    out
}

fn report(args: &[&str]) -> Value {
    serde_json::from_str(&printed(&[args, &["--format", "json"]].concat())).unwrap()
}

/// A small cluster that goes through everything that a large one can.
const SMALL: [&str; 14] = [
    "--nodes",
    "40",
    "--schedulers",
    "3",
    "--requests",
    "400",
    "--rate",
    "400",
    "--loss",
    "20",
    "--copies",
    "20",
    "--reorder",
    "20",
];

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let more = ["--no-timing", "--restarts", "6", "--churn", "2"];
    let run = |seed: &str| printed(&[&SMALL[..], &more, &["--seed", seed]].concat());
    let first = run("7");
    assert_eq!(first, run("7"));
    assert_ne!(first, run("8"));
}

#[test]
fn all_that_is_asked_for_comes_to_an_end_and_every_view_becomes_true() {
    let more = ["--seed", "3", "--restarts", "8", "--churn", "3", "--partition", "200+4000"];
    let report = report(&[&SMALL[..], &more].concat());
    assert_eq!(report["requests"], 400);
    let of = |name: &str| report[name].as_u64().unwrap();
    let ended = ["accepted", "no_valid_host", "exhausted", "forgotten"].map(of).iter().sum::<u64>();
    assert_eq!(ended, 400, "{report}");
    assert!(of("accepted") > 300, "{report}");
    assert!(report["converged_after_partition_us"].is_u64(), "{report}");
    assert!((report["violated"].is_null() && report["unmet"].is_null()), "{report}");
    for property in
        ["no_overcommit", "views_are_real_states", "own_claims_count_once", "answers_are_true"]
    {
        assert!(report["premises"][property].as_u64().unwrap() > 0, "{property}: {report}");
    }
}

#[test]
fn a_closed_loop_keeps_as_many_open_as_it_says() {
    let args = ["--nodes", "20", "--schedulers", "2", "--requests", "200", "--window", "8"];
    let report = report(&[&args[..], &["--strategy", "pack", "--load", "60"]].concat());
    assert_eq!((&report["requests"], &report["arrivals"]["window"]), (&200.into(), &8.into()));
}

#[test]
fn seeds_come_to_the_same_on_any_number_of_threads_and_shards() {
    let range = |shard| Range::parse("1..60", shard).unwrap();
    let take = |range, threads| seeds::take(range, &[], false, threads, &|_, _| {});
    let whole = take(range(None), 1);
    assert_eq!(whole.tally.wrong, 0, "{:?}", whole.tally.found);
    assert_eq!(whole, take(range(None), 3));
    let shards: Vec<_> =
        ["2/3", "0/3", "1/3"].iter().map(|shard| take(range(Some(shard)), 2)).collect();
    assert_eq!(seeds::merge(&shards).unwrap(), whole);
    assert!(seeds::merge(&shards[..2]).unwrap_err().to_string().contains("missing: [1]"));
    let (steps, faults) = whole.tally.least.unwrap();
    assert!(steps >= 500 && faults >= 3, "{steps}, {faults}");
    for (property, times) in &whole.tally.premises {
        assert!(*times > 0, "{property} had nothing to judge");
    }
}

#[test]
fn every_rule_that_is_off_is_found() {
    let range = Range::parse("1..10000", None).unwrap();
    for rule in Rule::ALL {
        let counted = seeds::take(range, &[rule], true, 2, &|_, _| {});
        let found = counted.tally.found.first();
        let found = found.unwrap_or_else(|| panic!("{rule} is not missed"));
        println!("{rule}: seed {}, {}: {}", found.seed, found.property, found.clause);
    }
}

#[test]
fn what_is_found_is_a_trace_of_the_checker() {
    let rules = [Rule::NodeJudgesClaims, Rule::GapsAreNotApplied, Rule::UnconfirmedHoldsLapse];
    for rule in rules {
        let range = Range::parse("1..10000", None).unwrap();
        let counted = seeds::take(range, &[rule], true, 2, &|_, _| {});
        let seed = counted.tally.found[0].seed;
        let (property, trace) = seeds::trace_of(seed, &[rule]).unwrap();
        let minimised = trace.unwrap();
        assert_eq!(minimised.trace.property, property);
        let again = counterfoil_world::replay(&minimised.trace);
        assert!(matches!(again.outcome, counterfoil_world::Outcome::Violated { .. }), "{rule}");
    }
}

#[test]
fn ranges_and_shards_that_cannot_be_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (&["--seeds", "5"][..], "write FIRST..LAST"),
        (&["--seeds", "5..4"], "5..4 has no seed"),
        (&["--seeds", "1..99999999999999999999"], "write FIRST..LAST"),
        (&["--seeds", "1..9", "--shard", "3/3"], "there is no shard 3 of 3"),
        (&["--seeds", "1..9", "--shard", "1"], "write I/N"),
        (&["--seeds", "1..9", "--shard", "0/0"], "write I/N"),
        (&["--seeds", "1..9", "--without", "gravity"], "there is no such rule"),
        (&["--shard", "0/2"], "--seeds"),
        (&["--delay", "5..1"], "at most the second"),
        (&["--partition", "soon"], "write AT+FOR"),
        (&["--nodes", "0"], "1..=100000"),
        (&["--nodes", "100001"], "1..=100000"),
        (&["--schedulers", "65"], "1..=64"),
    ];
    for (args, says) in cases {
        let output = bench(folder.path(), &[&["sim"], args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn the_shards_of_one_range_are_merged_by_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for shard in ["0/2", "1/2"] {
        let args = ["sim", "--seeds", "10..19", "--shard", shard, "--format", "json"];
        let output = bench(folder.path(), &args);
        assert_eq!(output.status.code(), Some(0));
        let file = folder.path().join(format!("{}.json", &shard[..1]));
        std::fs::write(&file, output.stdout).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let merged = bench(folder.path(), &["merge", &files[1], &files[0]]);
    assert_eq!(merged.status.code(), Some(0));
    let merged: Value = serde_json::from_slice(&merged.stdout).unwrap();
    assert_eq!((&merged["taken"], &merged["tally"]["schedules"]), (&10.into(), &10.into()));
    for (args, code, says) in [
        (vec!["merge", &files[0]], 2, "missing: [1]"),
        (vec!["merge", &files[0], &files[0]], 2, "shard 0 is there twice"),
        (vec!["merge", "nowhere.json"], 5, "nowhere.json"),
    ] {
        let output = bench(folder.path(), &args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn a_trace_of_requests_runs_on_the_nodes_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let header = "vmId,tenantId,cores,ram,vmTypeId,starttime,endtime\n";
    let rows: String = (0..60)
        .map(|n| {
            let start = if n < 20 { -5.0 } else { f64::from(n) / 1000.0 };
            let end =
                if n % 3 == 0 { "inf".to_owned() } else { format!("{}", f64::from(n) / 900.0) };
            format!("{n},1,100.0,14.0,0,{start},{end}\n")
        })
        .collect();
    let vms = write("vms.csv", &format!("{header}{rows}"));
    let sizes = r#"[{"server_cores[1]": 400.0, "server_cores[2]": 800.0},
                    {"server_ram[1]": 64.0, "server_ram[2]": 250.0}]"#;
    let servers = write("servers.json", sizes);
    let args =
        ["--nodes", "20", "--workload", &vms, "--nodes-from", &servers, "--compress", "1000"];
    let report = report(&args);
    assert_eq!((&report["workload"], &report["requests"]), (&"trace".into(), &40.into()));
    assert_eq!(report["accepted"], 40, "{report}");
    let bad = write("bad.csv", &format!("{header}1,1,none,1,0,0,1\n"));
    for (args, says) in [
        (["--workload", &bad], "bad.csv: line 2, column cores: \"none\" is not a number"),
        (["--workload", &servers], "servers.json: line 1: the header is of no known form"),
        (["--nodes-from", &vms], "vms.csv: line 1: the header is of no known form"),
        (["--nodes-from", "nowhere"], "nowhere: cannot be read"),
    ] {
        let output = bench(folder.path(), &[&["sim"], &args[..]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(5), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn the_job_says_what_the_command_understands() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/simulation/job.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let args = text.lines().filter_map(|line| line.trim().strip_prefix("- --"));
    let args: Vec<String> = args
        .map(|arg| format!("--{arg}").replace("$(SHARD)", "63").replace("1..1000000", "1..64"))
        .collect();
    assert_eq!(args.len(), 4, "{args:?}");
    let counted = printed(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let counted: Value = serde_json::from_str(&counted).unwrap();
    assert_eq!((&counted["taken"], &counted["range"]["shards"]), (&1.into(), &64.into()));
}
