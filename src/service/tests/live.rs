//! `counterfoil up` without a workload: a cluster that goes on until it is asked to stop.

mod common;

use common::{Up, counterfoil, kill, runs, wait_until_gone};
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn place(up: &Up) -> String {
    let placed = up.says(&["place", "--vcpu", "1", "--memory-mb", "512"], 0);
    placed.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_node_that_is_killed_comes_back_with_its_allocations_and_nothing_outlives_the_end_of_input() {
    let mut up = Up::start(&["--nodes", "1"]);
    let claim = place(&up);
    kill(up.pid("n1"));
    assert_eq!(up.line(), "n1 ended: killed by signal 9");
    let back = up.line();
    let pid: u32 = back.strip_prefix("n1 is back, pid ").expect(&back).parse().unwrap();
    assert!(runs(pid));
    assert!(up.says(&["get", &claim], 0).contains("confirmed"));
    let mut pids: Vec<u32> = up.processes.iter().map(|(_, pid)| *pid).collect();
    pids.push(pid);
    let (code, rest) = up.end();
    assert_eq!((code, rest.as_str()), (Some(0), "stopped\n"));
    assert!(!pids.into_iter().any(runs));
}

#[test]
fn a_scheduler_that_is_killed_comes_back_where_it_was() {
    let mut up = Up::start(&["--schedulers", "1", "--nodes", "1"]);
    kill(up.pid("s1"));
    assert!(up.line().starts_with("s1 ended: "));
    assert!(up.line().starts_with("s1 is back, pid "));
    place(&up);
    up.signal(Signal::TERM);
    assert_eq!(up.ended().0, Some(0));
}

#[test]
fn its_processes_end_though_it_is_killed() {
    let up = Up::start(&["--schedulers", "1", "--nodes", "2"]);
    let pids: Vec<u32> = up.processes.iter().map(|(_, pid)| *pid).collect();
    assert_eq!(pids.len(), 3);
    up.signal(Signal::KILL);
    assert_eq!(up.ended().0, None);
    pids.into_iter().for_each(wait_until_gone);
}

#[test]
fn a_cluster_that_is_kept_finds_its_allocations_and_stays_as_large_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("cluster");
    let args = ["--schedulers", "1", "--nodes", "2", "--keep", keep.to_str().unwrap()];
    let up = Up::start(&args);
    let claim = place(&up);
    assert_eq!(up.end().0, Some(0));
    let up = Up::start(&args);
    assert!(up.says(&["get", &claim], 0).contains("confirmed"));
    assert_eq!(up.end().0, Some(0));
    let other = ["--nodes", "3", "--keep", keep.to_str().unwrap()];
    let other = counterfoil().arg("up").args(other).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    let message = String::from_utf8(other.stderr).unwrap();
    assert!(message.contains("holds 1 schedulers and 2 nodes"), "{message}");
}

#[test]
fn a_hundred_nodes_share_a_process() {
    let up = Up::start(&["--nodes", "100"]);
    assert_eq!(up.processes.iter().filter(|(actor, _)| actor == "n1-100").count(), 1);
    let nodes = up.says(&["nodes", "--format", "json"], 0);
    let nodes: Value = serde_json::from_str(&nodes).unwrap();
    assert_eq!(nodes.as_array().unwrap().len(), 100);
    let placed = up.says(&["place", "--vcpu", "1", "--instances", "20"], 0);
    assert_eq!(placed.lines().count(), 20);
    assert_eq!(up.end().0, Some(0));
}

#[test]
fn a_process_that_does_not_start_is_named_with_what_it_said() {
    let traits: Vec<String> = (0..30).map(|n| format!("T{n:060}")).collect();
    let traits = traits.iter().flat_map(|name| ["--trait", name]);
    let output = counterfoil().arg("up").args(traits).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("the process n1 did not become ready: exit code 2"), "{message}");
    assert!(message.contains("of a packet"), "{message}");
}

/// The tour of the README: what it shows to a shell.
fn tour() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("```sh\n").expect("there is a tour");
    rest.split_once("```").expect("it ends").0.to_owned()
}

/// Every line of the README's tour, as written, against the cluster that the README starts; but for
/// the folder.
#[test]
fn the_tour_of_the_readme_works_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("cluster").display().to_string();
    let mut up = Up::start(&["--schedulers", "2", "--nodes", "3", "--keep", &keep]);
    let tour = tour();
    assert!(tour.contains("/tmp/cluster/env"), "{tour}");
    let lines: Vec<String> = tour.lines().map(|line| line.replace("/tmp/cluster", &keep)).collect();
    assert_eq!(lines.len(), 10, "ten lines");
    // After each line its exit code, and the claim.
    let script: String =
        lines.iter().map(|line| format!("{line}\necho \"exit $? of ${{1-}}\"\n")).collect();
    let mut shell = Command::new("sh");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERFOIL_") {
            shell.env_remove(name);
        }
    }
    let output = shell.arg("-c").arg(format!("exec 2>&1\n{script}"));
    let output = output.env("XDG_STATE_HOME", folder.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    for line in said.lines() {
        match line.strip_prefix("exit ") {
            None => parts.last_mut().unwrap().push(line),
            Some(code) => {
                parts.last_mut().unwrap().push(code);
                parts.push(Vec::new());
            }
        }
    }
    let claim = said.lines().find_map(|line| {
        line.strip_suffix("  confirmed")
            .filter(|claim| said.contains(&format!("exit 0 of {claim}\n")))
    });
    let claim = claim.unwrap_or_else(|| panic!("{said}"));
    let code = |n: usize| parts[n].last().unwrap().split(' ').next().unwrap();
    for (n, line) in lines.iter().enumerate() {
        let wanted = if line.contains("100000") { "1" } else { "0" };
        assert_eq!(code(n), wanted, "{line}: {said}");
    }
    assert!(parts[1][0].ends_with("  confirmed"), "{said}");
    assert_eq!(parts[2].iter().filter(|line| line.starts_with('n')).count(), 3, "{said}");
    assert!(parts[7][0].starts_with(&format!("{claim}  confirmed")), "{said}");
    assert!(parts[8][0].contains("CoreFilter 3 (too little VCPU free)"), "{said}");
    assert_eq!(parts[9][0], format!("{claim}  gone"), "{said}");
    let node = claim.split([':', '#']).nth(1).unwrap();
    assert_eq!(up.line(), format!("{node} ended: killed by signal 9"));
    assert!(up.line().starts_with(&format!("{node} is back, pid ")));
    assert_eq!(up.end().0, Some(0));
}
