//! Settings of the daemons: flags, environment, file, defaults.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use toml::{Table, Value};

/// The command line of a daemon that only checks its settings.
fn check(daemon: &str, args: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .args([daemon, "--check-config"])
        .args(args)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// The settings that hold.
fn effective(daemon: &str, args: &[&str], environment: &[(&str, &str)]) -> Table {
    let output = check(daemon, args, environment);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    toml::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

/// What is said of settings that cannot hold.
fn refused(daemon: &str, args: &[&str]) -> String {
    let output = check(daemon, args, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty());
    stderr
}

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("counterfoil.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_flag_prevails_over_the_environment_that_over_the_file_that_over_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let text = "id = 1\n[storage]\ndata = \"of-the-file\"\n\
                [intervals]\nbeat = \"1s\"\nannounce = \"2ms\"\nresend = \"20ms\"\n";
    let file = written(folder.path(), text);
    let file = ["--config", file.to_str().unwrap()];
    let environment = [("COUNTERFOIL_BEAT", "700ms"), ("COUNTERFOIL_ANNOUNCE", "3ms")];
    for daemon in ["scheduler", "node"] {
        let args = [file.as_slice(), &["--beat", "600ms", "--id", "2"]].concat();
        let settings = effective(daemon, &args, &environment);
        let intervals = settings["intervals"].as_table().unwrap();
        let of = |name: &str| intervals[name].as_str().unwrap();
        assert_eq!(of("beat"), "600ms", "by the flag");
        assert_eq!(of("announce"), "3ms", "by the environment");
        assert_eq!(of("resend"), "20ms", "by the file");
        assert_eq!(of("lapse"), "30s", "by default");
        assert_eq!(settings["id"], Value::Integer(2));
        assert_eq!(settings["storage"]["data"].as_str(), Some("of-the-file"));
    }
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for daemon in ["scheduler", "node"] {
        let output = check(daemon, &["--id", "3", "--data", "d", "--peer", "a:1,b:2"], &[]);
        let file = written(folder.path(), &String::from_utf8(output.stdout.clone()).unwrap());
        let again = check(daemon, &["--config", file.to_str().unwrap()], &[]);
        assert_eq!(again.stdout, output.stdout);
    }
}

#[test]
fn the_help_names_the_defaults_that_hold_and_every_setting_has_a_variable() {
    for daemon in ["scheduler", "node"] {
        let settings = effective(daemon, &["--id", "1", "--data", "d"], &[]);
        let command = counterfoil_service::cli::command();
        let command = command.find_subcommand(daemon).unwrap();
        let mut compared = 0;
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            if !["check_config", "help"].contains(&id) {
                assert!(arg.get_env().is_some(), "{daemon} --{id} has no variable");
            }
            let tables = [Some(&settings), settings.get("limits").and_then(Value::as_table)];
            let tables =
                tables.into_iter().chain([settings.get("intervals").and_then(Value::as_table)]);
            let Some(value) = tables.flatten().find_map(|table| table.get(id)) else { continue };
            if id == "id" {
                continue;
            }
            let help = arg.get_help().unwrap().to_string().replace('\n', " ");
            let said = help.split("[default: ").nth(1).and_then(|rest| rest.split(']').next());
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(said, Some(value.as_str()), "{daemon} --{id}");
            compared += 1;
        }
        assert!(compared >= 12, "{daemon}: {compared}");
    }
}

#[test]
fn a_file_without_meaning_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let head = "id = 1\n[storage]\ndata = \"d\"\n";
    let cases = [
        ("node", "[network]\nlisen = \"127.0.0.1:1\"", 5, "unknown field `lisen`"),
        ("node", "[network]\nlisten = \"localhost\"", 5, "socket address"),
        ("node", "[intervals]\nbeat = \"0s\"", 5, "0s is not from 10ms to 1m"),
        ("node", "[intervals]\nbeat = 500", 5, "string"),
        ("node", "[intervals]\nbeat = \"500\"", 5, "as 500ms"),
        ("node", "[intervals]\nlapse = \"1s\"\nresend = \"200ms\"", 5, "ten times resend"),
        ("scheduler", "[intervals]\n\nresend = \"9s\"", 6, "ten times resend"),
        ("node", "[limits]\nfences_max = 0", 5, "0 is not a number from 1 to 65536"),
        ("node", "[inventory.classes.vcpu]\ntotal = 1", 4, "use 1 to 64 of A-Z"),
        ("node", "[inventory.classes.VCPU]\nreserved = 1", 4, "has no total"),
        ("node", "[inventory.classes.VCPU]\ntotal = 1\nreserved = 2", 6, "more than the total"),
        ("node", "[inventory.classes.VCPU]\ntotal = 1\nmax_unit = 0", 6, "less than min_unit"),
        ("node", "[inventory.classes.VCPU]\ntotal = 1\nallocation_ratio = 0.0", 6, "0.001"),
        ("node", "[inventory]\ntraits = [\"FAST\", \"fast\"]", 5, "use 1 to 64 of A-Z"),
        ("scheduler", "[inventory]\nzone = \"A\"", 4, "unknown field `inventory`"),
        ("node", "[network]\nlisten = \"0.0.0.0:7400\"", 5, "without a key"),
        ("node", "[network]\npeers = [\"here\"]", 5, "is not HOST:PORT"),
        ("node", "[network]\nkey_file = \"/nowhere\"", 5, "cannot be read"),
        ("node", "[network", 4, ""),
    ];
    for (daemon, text, line, problem) in cases {
        let file = written(folder.path(), &format!("{head}{text}\n"));
        let message = refused(daemon, &["--config", file.to_str().unwrap()]);
        let place = format!("counterfoil.toml, line {line}");
        assert!(message.contains(&place) && message.contains(problem), "{text}: {message}");
    }
    let many: Vec<String> = (0..64).map(|n| format!("\"T{n:063}\"")).collect();
    let file =
        written(folder.path(), &format!("{head}[inventory]\ntraits = [{}]\n", many.join(",")));
    let message = refused("node", &["--config", file.to_str().unwrap()]);
    assert!(message.contains("line 4") && message.contains("of a packet"), "{message}");
}

#[test]
fn what_is_not_said_or_makes_no_sense_on_the_command_line_says_how_to_mend_it() {
    assert!(refused("node", &["--id", "1"]).contains("say which with --data"));
    assert!(refused("node", &["--data", "d"]).contains("say which with --id"));
    let data = ["--data", "d"];
    let with = |args: &[&str]| refused("node", &[data.as_slice(), args].concat());
    assert!(with(&["--id", "9-1"]).contains("ends before it begins"));
    assert!(with(&["--id", "x"]).contains("no range as 1-1000"));
    assert!(with(&["--id", "1", "--beat", "2s"]).contains("from a flag"));
    let range = refused("scheduler", &[data.as_slice(), &["--id", "1-2"]].concat());
    assert!(range.contains("one scheduler"), "{range}");
    assert!(refused("node", &["--config", "/nowhere.toml"]).contains("cannot be read"));
}

#[test]
fn the_inventory_of_the_file_is_taken_in_full_and_flags_change_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[inventory]\ntraits = [\"HW_FAST\"]\nzone = \"ZONE_A\"\naggregates = [\"AGG\"]\n\
                [inventory.classes.VCPU]\ntotal = 8\nreserved = 1\nallocation_ratio = 2.5\n\
                min_unit = 2\nmax_unit = 4\nstep_unit = 2\n\
                [inventory.classes.CUSTOM_FPGA]\ntotal = 1\n";
    let file = written(folder.path(), text);
    let args = ["--id", "1", "--data", "d", "--config", file.to_str().unwrap()];
    let wanted: Table = toml::from_str(text).unwrap();
    assert_eq!(effective("node", &args, &[])["inventory"], wanted["inventory"]);
    let flags = [args.as_slice(), &["--vcpu", "16", "--trait", "HW_SLOW", "--trait", "B"]].concat();
    let inventory = &effective("node", &flags, &[("COUNTERFOIL_ZONE", "ZONE_B")])["inventory"];
    assert_eq!(inventory["classes"]["VCPU"]["total"].as_integer(), Some(16));
    assert_eq!(inventory["classes"]["VCPU"]["reserved"].as_integer(), Some(1));
    assert_eq!(inventory["traits"].as_array().unwrap().len(), 2);
    assert_eq!(inventory["zone"].as_str(), Some("ZONE_B"));
    assert!(inventory["classes"].get("MEMORY_MB").is_none(), "the file names the classes");
}

#[test]
fn a_key_is_new_and_is_never_written_over() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let key = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_counterfoil")).arg("key").args(args).output().unwrap()
    };
    let printed = String::from_utf8(key(&[]).stdout).unwrap();
    assert!(counterfoil_service::key::Key::from_hex(printed.trim()).is_some());
    let out = ["--out", path.to_str().unwrap()];
    assert_eq!(key(&out).status.code(), Some(0));
    counterfoil_service::key::Keys::read(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(key(&out).status.code(), Some(2));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start_in_the_same_words_as_by_a_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("nothing"), "nothing\n").unwrap();
    let (nothing, none, data) = (path("nothing"), path("none"), path("data"));
    let any = "127.0.0.1:0";
    let common = ["--id", "1", "--listen", any, "--api", any, "--data", &data];
    for (args, setting) in [
        (["--tls-cert", &nothing, "--tls-key", &nothing].as_slice(), "api.tls_cert"),
        (&["--tls-cert", &none, "--tls-key", &none], "api.tls_cert"),
        (&["--token-file", &nothing], "api.token_file"),
        (&["--key-file", &nothing], "network.key_file"),
    ] {
        let args = [common.as_slice(), args].concat();
        let checked = refused("scheduler", &args);
        assert!(checked.contains(setting), "{checked}");
        let started = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
            .arg("scheduler")
            .args(&args)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(started.stderr).unwrap(), checked);
        assert_eq!(started.status.code(), Some(2), "{checked}");
    }
}

#[test]
fn whether_own_nodes_come_first_is_a_setting_of_a_scheduler() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), "id = 1\nown_first = false\n[storage]\ndata = \"d\"\n");
    let file = ["--config", file.to_str().unwrap()];
    let of =
        |args: &[&str]| effective("scheduler", &[&file, args].concat(), &[])["own_first"].clone();
    assert_eq!(of(&[]), Value::Boolean(false));
    assert_eq!(of(&["--own-first"]), Value::Boolean(true));
    assert_eq!(of(&["--own-first=true"]), Value::Boolean(true));
    assert!(refused("scheduler", &["--own-first=often"]).contains("--own-first"));
}
