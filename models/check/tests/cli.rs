//! The command `check` as a person meets it: outputs, exit codes, what goes to stdout and what to
//! stderr.

use counterfoil_check::suite;
use counterfoil_world::Counterfoil;
use counterfoil_world::walk::{Plans, Sought, walk};
use insta::assert_snapshot;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn command(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_check"));
    command.args(words.split_whitespace());
    command
}

fn check(words: &str) -> Output {
    command(words).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The result of a command that ends with this code and has nothing to complain about.
fn result(words: &str, code: i32) -> String {
    let output = check(words);
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

/// The complaint of a command that ends with this code and has no result.
fn complaint(words: &str, code: i32) -> String {
    let output = check(words);
    let complaint = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{complaint}{}", stdout(&output));
    assert!(output.stdout.is_empty(), "a complaint is no result");
    complaint
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../traces/no_overcommit__without_node_judges_claims.itf.json")
}

#[test]
fn everything_is_listed() {
    assert_snapshot!(result("list", 0));
}

#[test]
fn a_pass_is_a_table() {
    let words = "run last_slot_race without_node_judges_claims --no-timing";
    let first = result(words, 0);
    assert_snapshot!(first);
    assert_eq!(first, result(words, 0), "equal runs print equal bytes");
}

#[test]
fn a_program_reads_json() {
    let words =
        "run last_slot_race without_node_judges_claims --format json --no-timing --threads 1";
    let text = result(words, 0);
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    assert_snapshot!(text);
}

#[test]
fn a_finding_is_drawn_and_can_be_repeated() {
    let words = "run last_slot_race --without node_judges_claims --no-timing";
    assert_snapshot!(result(words, 1));
}

#[test]
fn a_kept_trace_is_explained_and_replayed() {
    let trace = kept();
    assert_snapshot!(result(&format!("explain {}", trace.display()), 0));
    assert_snapshot!(result(&format!("replay {}", trace.display()), 0));
}

#[test]
fn a_kept_trace_is_replayed_on_the_cluster() {
    assert_snapshot!(result(&format!("replay {} --on cluster", kept().display()), 0));
    let torn =
        kept().with_file_name("allocations_survive_restart__without_durable_before_told.itf.json");
    assert_snapshot!(result(&format!("replay {} --on cluster", torn.display()), 3));
    complaint(&format!("replay {} --on paper", kept().display()), 2);
}

#[test]
fn a_kept_trace_is_written_as_a_test() {
    let folder = TempDir::new().unwrap();
    let printed = result(&format!("replay {} --emit-test", kept().display()), 0);
    assert!(printed.contains("fn no_overcommit_is_violated_at_step_8()"), "{printed}");
    let out = folder.path().join("emitted.rs");
    let words = format!("replay {} --emit-test {}", kept().display(), out.display());
    assert!(result(&words, 0).is_empty());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), printed);
    let nowhere = folder.path().join("none").join("emitted.rs");
    let words = format!("replay {} --emit-test {}", kept().display(), nowhere.display());
    assert!(complaint(&words, 2).contains("cannot be written"));
}

#[test]
fn what_does_not_exist_is_a_usage_error() {
    assert!(complaint("run no_such_scenario", 2).contains("there is no scenario no_such_scenario"));
    assert!(complaint("explore no_such_scenario", 2).contains("no_such_scenario"));
    assert!(complaint("run last_slot_race --without no_such_rule", 2).contains("no such rule"));
    assert!(complaint("run last_slot_race --property none", 2).contains("no such property"));
    assert!(complaint("run last_slot_race --time soon", 2).contains("s, m or h"));
    assert!(complaint("no_such_command", 2).contains("no_such_command"));
}

/// A scenario file with `line` in place of the schedulers, which are on line 3.
fn scenario_with(folder: &TempDir, line: &str) -> PathBuf {
    let path = folder.path().join("mine.toml");
    let text = format!(
        "question = \"Is it mine?\"\nexpect = \"holds\"\n{line}\ninventory = {{ VCPU = 1 }}\n\
         [[request]]\nresources = {{ VCPU = 1 }}\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_wrong_scenario_is_refused_with_file_line_and_reason() {
    let folder = TempDir::new().unwrap();
    for (line, reason) in [
        ("shedulers = 2", "unknown field `shedulers`"),
        ("schedulers = 0", "schedulers = 0: use 1 to 64"),
        ("schedulers = \"two\"", "invalid type: string \"two\""),
        ("schedulers = ", "expected"),
        ("without = [\"no_rule\"]", "there is no rule \"no_rule\""),
        ("extends = \"nothing\"", "there is no scenario nothing beside this one"),
    ] {
        let file = scenario_with(&folder, line);
        let complaint = complaint(&format!("run {}", file.display()), 2);
        assert!(complaint.contains("mine.toml"), "{complaint}");
        let named = complaint.contains("line 3") || complaint.contains("mine.toml:3:");
        assert!(named, "{complaint}");
        assert!(complaint.contains(reason), "{complaint}");
    }
}

#[test]
fn a_file_of_ones_own_runs_from_any_folder_and_extends_its_neighbour() {
    let folder = TempDir::new().unwrap();
    scenario_with(&folder, "schedulers = 1");
    let extending = "extends = \"mine\"\nquestion = \"And with two?\"\nschedulers = 2\n";
    std::fs::write(folder.path().join("ours.toml"), extending).unwrap();
    for (words, place) in [
        ("run ours.toml --no-timing".to_owned(), folder.path()),
        ("run ./ours.toml --no-timing".to_owned(), folder.path()),
        (format!("run {}/ours.toml --no-timing", folder.path().display()), Path::new("/")),
    ] {
        let output = command(&words).current_dir(place).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words}: {}", stderr(&output));
        assert!(stdout(&output).contains("2 x 1 x 1"), "{}", stdout(&output));
    }
}

#[test]
fn an_unreadable_trace_is_told_from_one_that_diverges() {
    let folder = TempDir::new().unwrap();
    let whole = std::fs::read_to_string(kept()).unwrap();
    let path = folder.path().join("a.itf.json");
    let refused = |text: &str, code: i32| {
        std::fs::write(&path, text).unwrap();
        let output = check(&format!("replay {}", path.display()));
        assert_eq!(output.status.code(), Some(code), "{}{}", stdout(&output), stderr(&output));
        stdout(&output) + &stderr(&output)
    };
    assert!(refused(&whole[..whole.len() / 2], 5).contains("is cut short"));
    assert!(refused("no trace", 5).contains("is damaged, or no trace"));
    let newer = whole.replacen("\"version\": 1", "\"version\": 99", 1);
    assert!(refused(&newer, 5).contains("was written by a newer checker: version 99"));
    let missing = complaint(&format!("replay {}/none.itf.json", folder.path().display()), 5);
    assert!(missing.contains("cannot be read"), "{missing}");

    let mut value: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let steps = value["#check"]["steps"].as_array_mut().unwrap();
    let last = steps.len() - 1;
    steps.swap(0, last);
    assert!(refused(&value.to_string(), 4).contains("diverged at step 1"));
    let edited = whole.replacen("\"mbt::actionTaken\":\"init\"", "\"mbt::actionTaken\":\"x\"", 1);
    assert_ne!(edited, whole);
    assert!(refused(&edited, 4).contains("diverged after step 0"));
}

#[test]
fn a_search_that_was_cut_off_is_inconclusive() {
    let shallow = result("run last_slot_race --depth 3 --no-timing", 3);
    assert!(shallow.contains("to depth 4") || shallow.contains("to depth 3"), "{shallow}");
    assert!(shallow.contains("INCONCLUSIVE"), "{shallow}");
    let short = result("run last_slot_race --time 0s --no-timing", 3);
    assert!(short.contains("stopped (time)") && short.contains("INCONCLUSIVE"), "{short}");
}

#[test]
fn both_ways_come_to_one_verdict_and_the_factor_is_printed() {
    assert_snapshot!(result("run two_by_two --symmetry verify --no-timing", 0));
    let broken = "run without_refusals_teach --symmetry verify --reductions verify --no-timing";
    assert_snapshot!(result(broken, 0));
}

#[test]
fn memory_that_is_used_up_ends_a_search_without_a_conclusion() {
    let stopped = result("run lossy --memory 1M --no-timing", 3);
    assert!(stopped.contains("stopped (memory)") && stopped.contains("INCONCLUSIVE"), "{stopped}");
}

#[test]
fn a_search_that_ran_out_of_time_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("search").display().to_string();
    let stopped = result(&format!("run fences_run_out --checkpoint {kept} --time 0s"), 3);
    assert!(stopped.contains("stopped (time)"), "{stopped}");
    let whole = result(&format!("run fences_run_out --resume {kept} --no-timing"), 0);
    assert_eq!(whole, result("run fences_run_out --no-timing", 0));
    result(&format!("run last_slot_race --resume {kept}"), 5);
    result(&format!("run last_slot_race fences_run_out --resume {kept}"), 2);
    result("run last_slot_race --resume no_such_file", 5);
}

#[test]
fn a_world_is_explored_by_hand() {
    let mut child = command("explore last_slot_race")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"1\nu\nr 5\n999\nq\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(stdout(&output));
}

/// Asks a child to stop until it ends.
fn interrupt(child: &mut Child) {
    let began = Instant::now();
    let pid = rustix::process::Pid::from_child(child);
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not stop");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn whoever_interrupts_gets_a_partial_report() {
    let folder = TempDir::new().unwrap();
    let mut child = command("run without_node_judges_claims lossy --no-timing")
        .arg("--save")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The trace of the first is saved when it has ended: the second has begun, and takes seconds.
    let began = Instant::now();
    while std::fs::read_dir(folder.path()).unwrap().next().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    interrupt(&mut child);
    let mut report = String::new();
    child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{report}");
    assert!(report.contains("stopped (interrupt)"), "{report}");
    assert!(report.contains("INCONCLUSIVE"), "{report}");
}

#[test]
fn walks_of_random_clusters_are_counted_the_same_every_time() {
    let words = "run --search walk --seed 7 --walks 40 --steps 300 --no-timing";
    let first = result(words, 0);
    assert_snapshot!(first);
    assert_eq!(first, result(&format!("{words} --threads 1"), 0), "whatever the threads");
    let text = result(&format!("{words} --format json"), 0);
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    assert_eq!(text, result(&format!("{words} --format json"), 0));
}

#[test]
fn what_a_walk_finds_is_made_small_saved_and_can_be_repeated() {
    let folder = TempDir::new().unwrap();
    let save = format!("--no-timing --save {}", folder.path().display());
    let words = "run --search walk --seed 3 --walks 60 --without node_judges_claims";
    let first = result(&format!("{words} {save}"), 1);
    assert_snapshot!(first);
    let saved: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(saved.len(), 1);
    let saved = saved[0].as_ref().unwrap().path();
    let replayed = result(&format!("replay {}", saved.display()), 0);
    assert!(replayed.contains("no_overcommit is violated"), "{replayed}");
    let again = first.lines().find_map(|line| line.strip_prefix("again   check ")).unwrap();
    let again = result(&format!("{again} {save}"), 1);
    let drawn = |text: &str| text.split("random clusters").next().unwrap().to_owned();
    assert_eq!(drawn(&first), drawn(&again));
}

#[test]
fn walks_of_a_scenario_are_held_against_what_it_expects() {
    let found = result("run without_refusals_teach --search walk --no-timing", 0);
    assert!(found.contains("no_claim_against_known_refusal is violated as expected"), "{found}");
    let words = "run last_slot_race --search walk --walks 20 --no-timing";
    assert!(result(words, 0).contains("PASS  20 walks"));
    let missed = result(&format!("{words} --property no_leak"), 3);
    assert!(missed.contains("INCONCLUSIVE") && missed.contains("proves nothing"), "{missed}");
    let cut = result(&format!("{words} --time 0s"), 3);
    assert!(cut.contains("stopped (time)"), "{cut}");
}

#[test]
fn a_long_trace_is_minimised() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("long.itf.json");
    let scenario = suite::find("without_granted_claims_stay_decided").unwrap();
    let sought = Sought::named::<Counterfoil>("one_grant_per_claim").unwrap();
    let plans = Plans::within(&scenario, 200);
    let mut walks =
        (1..).map(|number| walk::<Counterfoil>(&plans.plan(1, number).current(), sought));
    let long = walks.find(|walked| walked.wrong.is_some() && walked.steps.len() > 30).unwrap();
    long.trace().unwrap().save(&path).unwrap();
    let drawn = result(&format!("minimise {}", path.display()), 0);
    let drawn = drawn.replace(&folder.path().display().to_string(), "FOLDER");
    assert_snapshot!(drawn);
    let least = folder.path().join("long.min.itf.json");
    let out = folder.path().join("other.itf.json");
    result(&format!("minimise {} --out {}", path.display(), out.display()), 0);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&least), read(&out));
    assert!(result(&format!("replay {}", out.display()), 0).contains("is violated"));
}

#[test]
fn what_cannot_be_minimised_or_walked_is_refused() {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces");
    let holds = traces.join("own_claims_count_once__gone_after_a_grant.itf.json");
    let refused = complaint(&format!("minimise {}", holds.display()), 2);
    assert!(refused.contains("there is nothing to minimise"), "{refused}");
    assert!(complaint("minimise no_such_file", 5).contains("cannot be read"));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.itf.json");
    let mut value: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(kept()).unwrap()).unwrap();
    value["#check"]["steps"].as_array_mut().unwrap().swap(0, 6);
    std::fs::write(&path, value.to_string()).unwrap();
    assert!(complaint(&format!("minimise {}", path.display()), 4).contains("diverged at step 1"));
    assert!(!folder.path().join("a.min.itf.json").exists());
    assert!(complaint("run --search walk --walks 0", 2).contains("0 is not in 1.."));
    assert!(complaint("run --search walk --depth 3", 2).contains("use --steps"));
    assert!(complaint("run --search walk --walk 3 --walks 3", 2).contains("cannot be used"));
    assert!(complaint("run no_such_scenario --search walk", 2).contains("no_such_scenario"));
}
