//! The pages of the viewer: what is in them, and what a browser sees of them.

mod browser;
#[path = "../terminal/runs.rs"]
#[expect(dead_code, reason = "of its runs a page takes the long one")]
mod runs;
mod structure;

use counterfoil_viewer::html::{Place, page};
use counterfoil_viewer::story::Story;
use counterfoil_viewer::tell;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the kept traces are.
fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces")
}

/// A kept trace.
fn trace(name: &str) -> PathBuf {
    traces().join(format!("{name}.itf.json"))
}

const GAP: &str = "views_are_real_states__without_gaps_are_not_applied";
const LASSO: &str = "convergence__without_quiet_streams_carry_their_stamp";
const RESENT: &str = "bounded__without_gone_ends_the_attempt";
const SHORT: &str = "allocations_survive_restart__without_durable_before_told";
const COPIED: &str = "one_grant_per_claim__without_granted_claims_stay_decided";

fn story(name: &str) -> Story {
    tell(&trace(name)).unwrap().story
}

fn page_of(name: &str) -> String {
    page(&story(name), &Place::default())
}

/// Runs the command.
fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trace")).args(arguments).output().unwrap()
}

/// A kept trace with some of its text replaced, in a file of its own.
fn edited(folder: &Path, name: &str, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(trace(name)).unwrap();
    assert!(text.contains(from), "{from:?} is not in {name}");
    let file = folder.join("edited.itf.json");
    std::fs::write(&file, text.replace(from, to)).unwrap();
    file
}
