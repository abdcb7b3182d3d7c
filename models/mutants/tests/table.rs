//! The table fits the sources, and leaves no file of the protocol out without a reason.

use counterfoil_mutants::copy::{PROTOCOL, workspace};
use counterfoil_mutants::rewrite::with_switches;
use counterfoil_mutants::table::{Mutant, Table};
use std::collections::BTreeSet;
use std::path::Path;

fn table() -> Table {
    Table::load().unwrap()
}

fn sources(folder: &Path, below: &Path, files: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        if folder.join(&path).is_dir() {
            sources(folder, &path, files);
        } else {
            files.insert(path.display().to_string());
        }
    }
}

#[test]
fn there_are_enough_and_each_has_its_own_name() {
    let table = table();
    assert!(table.mutants.len() >= 40);
    let names: BTreeSet<&str> = table.mutants.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names.len(), table.mutants.len());
    for Mutant { name, old, new, says, .. } in &table.mutants {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_ne!(old, new, "{name}");
        assert!(!says.is_empty() && !says.contains('\n') && says.len() <= 100, "{name}");
    }
}

#[test]
fn every_text_stands_in_its_file_once_and_no_two_overlap() {
    let table = table();
    let files: BTreeSet<&str> = table.mutants.iter().map(|m| m.file.as_str()).collect();
    for file in files {
        let source = std::fs::read_to_string(workspace().join(file)).unwrap();
        let mutants: Vec<_> = table.numbered().filter(|(_, m)| m.file == file).collect();
        let switched = with_switches(&source, &mutants);
        assert!(switched.is_ok(), "{file}: {}", switched.unwrap_err());
    }
}

#[test]
fn every_file_of_the_protocol_has_a_mutant_or_a_reason_to_have_none() {
    let table = table();
    let mut files = BTreeSet::new();
    sources(&workspace().join(PROTOCOL), Path::new(""), &mut files);
    for file in &files {
        let path = format!("{PROTOCOL}/{file}");
        let has_one = table.mutants.iter().any(|mutant| mutant.file == path);
        let reason = table.without.get(file);
        assert!(has_one != reason.is_some(), "{file} has a mutant: {has_one}; reason: {reason:?}");
    }
    for file in table.without.keys() {
        assert!(files.contains(file), "{file} is no file of the protocol");
    }
}
