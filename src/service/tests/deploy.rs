//! What deploy/ says to the command line is what the command line understands.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(deploy().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|found| found == extension) {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    assert!(!files.is_empty(), "{folder}");
    files
}

/// The options and variables that a subcommand understands.
fn understood(subcommand: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let command = counterfoil_service::cli::command();
    let daemon = command.find_subcommand(subcommand).unwrap_or_else(|| panic!("{subcommand}"));
    let args: Vec<_> = daemon.get_arguments().chain(command.get_arguments()).collect();
    let options = args.iter().filter_map(|arg| arg.get_long()).map(|long| format!("--{long}"));
    let names = args.iter().filter_map(|arg| arg.get_env());
    (options.collect(), names.map(|name| name.to_str().unwrap().to_owned()).collect())
}

/// How many options there are; all must be understood.
fn check_options<'a>(place: &Path, args: impl IntoIterator<Item = &'a str>) -> usize {
    let mut args = args.into_iter();
    let (options, _) = understood(args.next().unwrap());
    let mut count = 0;
    for arg in args.filter(|arg| arg.starts_with("--")) {
        let option = arg.split('=').next().unwrap();
        assert!(options.contains(option), "{place:?}: {option}");
        count += 1;
    }
    count
}

#[test]
fn the_units_use_options_that_there_are() {
    let units = files("systemd", "service");
    assert_eq!(units.len(), 2);
    for (path, text) in units {
        let starts: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("ExecStart=")).collect();
        assert_eq!(starts.len(), 1, "{path:?}");
        let args = starts[0].strip_prefix("/usr/bin/counterfoil ").unwrap().split(' ');
        assert!(check_options(&path, args) >= 3);
    }
}

#[test]
fn the_manifests_use_options_and_variables_that_there_are() {
    let mut containers = 0;
    for (path, text) in files("kubernetes", "yaml") {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for document in &documents {
            assert!(document["kind"].is_string(), "{path:?}");
            let found = document.pointer("/spec/template/spec/containers");
            for container in found.and_then(Value::as_array).into_iter().flatten() {
                containers += 1;
                let args: Vec<&str> = container["args"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|arg| arg.as_str().unwrap())
                    .collect();
                assert!(check_options(&path, args.iter().copied()) >= 5);
                let (_, names) = understood(args[0]);
                for variable in container["env"].as_array().into_iter().flatten() {
                    let name = variable["name"].as_str().unwrap();
                    let ours = name.starts_with("COUNTERFOIL_");
                    assert!(!ours || names.contains(name), "{path:?}: {name}");
                }
            }
        }
    }
    assert_eq!(containers, 2, "a scheduler and a node");
}

#[test]
fn the_files_of_settings_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_counterfoil")).args(args).output().unwrap()
    };
    let key = folder.path().join("key");
    assert!(run(&["key", "--out", key.to_str().unwrap()]).status.success());
    for (path, text) in files("systemd", "toml") {
        let copy = folder.path().join("copy.toml");
        // The key is the only file that must be there to look at the settings.
        let text = text.replace("/etc/counterfoil/key", key.to_str().unwrap());
        std::fs::write(&copy, text).unwrap();
        let daemon = path.file_stem().unwrap().to_str().unwrap();
        let copy = ["--config", copy.to_str().unwrap()];
        let checked = run(&[[daemon, "--data", "d", "--check-config"].as_slice(), &copy].concat());
        let stderr = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(0), "{path:?}: {stderr}");
    }
}
