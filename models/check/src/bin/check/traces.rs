//! Saved traces: explained, replayed, made small; whatever their protocol.

use crate::arguments::{Format, On};
use crate::{DIVERGED, INCONCLUSIVE, UNREADABLE, USAGE, colour, complain, print};
use counterfoil_check::cluster::{Driven, drive};
use counterfoil_check::report::TraceCounts;
use counterfoil_check::suite;
use counterfoil_seed::{Task, with};
use counterfoil_world::emit::emit;
use counterfoil_world::minimise::{Budget, Refused};
use counterfoil_world::trace::protocol_of;
use counterfoil_world::{
    Counterfoil, Expected, Outcome, Protocol, Replay, Style, Trace, TraceError, Why, draw, explain,
    minimise, replay,
};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is to be done with a trace.
pub(crate) enum Deed<'a> {
    /// Say why its property is violated.
    Explain(Format),
    /// Replay it.
    Replay(On),
    /// Write it as a test, to a file or to standard output.
    Emit(Option<&'a Path>),
    /// Make it small, and write that to a file; each search may come to so many states.
    Minimise(&'a Path, usize),
}

/// Does something with a trace.
pub(crate) fn take(path: &Path, deed: Deed<'_>) -> u8 {
    struct Taking<'a>(&'a Path, Deed<'a>);
    impl Task for Taking<'_> {
        type Outcome = Result<u8, TraceError>;

        fn with<P: Protocol>(self) -> Self::Outcome {
            let Taking(path, deed) = self;
            let trace: Trace<P> = Trace::load(path)?;
            Ok(match deed {
                Deed::Explain(format) => explain_one(&trace, format),
                Deed::Emit(to) => emit_one(&trace, to),
                Deed::Minimise(out, states_max) => minimise_one(&trace, out, states_max),
                Deed::Replay(On::Machines) => replay_one(&trace, &replay(&trace)),
                Deed::Replay(On::Cluster) => replay_on_cluster(path, &trace),
            })
        }
    }
    let taken = protocol_of(path).and_then(|protocol| with(protocol, Taking(path, deed)));
    taken.unwrap_or_else(|error| complain(&error, UNREADABLE))
}

fn explain_one<P: Protocol>(trace: &Trace<P>, format: Format) -> u8 {
    let replayed = replay(trace);
    let why = Why::of(trace, &replayed);
    match format {
        Format::Json => print(&format!("{:#}\n", serde_json::json!(why))),
        Format::Human => print(&explain::text(&why)),
    }
    match replayed.outcome {
        Outcome::Diverged(_) => DIVERGED,
        Outcome::Holds { .. } | Outcome::Violated { .. } => 0,
    }
}

/// Writes the run as a test, to a file or to standard output.
fn emit_one<P: Protocol>(trace: &Trace<P>, to: Option<&Path>) -> u8 {
    let replayed = replay(trace);
    if let Outcome::Diverged(divergence) = &replayed.outcome {
        return complain(divergence, DIVERGED);
    }
    let text = emit(trace, &replayed);
    match to.map(|path| (path, std::fs::write(path, &text))) {
        None => print(&text),
        Some((path, Ok(()))) => eprintln!("saved {}", path.display()),
        Some((path, Err(error))) => {
            return complain(&format!("{}: cannot be written: {error}", path.display()), USAGE);
        }
    }
    0
}

/// Takes the run on the cluster, once it was replayed through the machines.
fn drive_one(trace: &Trace<Counterfoil>, replayed: &Replay<Counterfoil>) -> u8 {
    let driven = match drive(&trace.steps, replayed) {
        Ok(driven) => driven,
        Err(error) => return complain(&error, INCONCLUSIVE),
    };
    print(&format!("{driven}\n"));
    match driven {
        Driven::Same { .. } => 0,
        Driven::Unlike { .. } => DIVERGED,
        Driven::CannotHappen { .. } => INCONCLUSIVE,
    }
}

/// Says what came of a replay.
fn replay_one<P: Protocol>(trace: &Trace<P>, replayed: &Replay<P>) -> u8 {
    let steps = trace.steps.len();
    let (text, code) = match &replayed.outcome {
        Outcome::Diverged(divergence) => (format!("{divergence}\n"), DIVERGED),
        Outcome::Violated { step, violation } => (
            format!(
                "{steps} steps: {} is violated at step {step}: {}\n",
                trace.property, violation.clause
            ),
            u8::from(trace.expect == Expected::Regression),
        ),
        Outcome::Holds { because } => (
            format!("{steps} steps: {} holds: {because}\n", trace.property),
            u8::from(trace.expect == Expected::Witness),
        ),
    };
    print(&text);
    code
}

/// Replays a trace through the machines, and then on the cluster, whose machines speak the update/claim
/// protocol alone.
fn replay_on_cluster<P: Protocol>(path: &Path, trace: &Trace<P>) -> u8 {
    let ours: Trace<Counterfoil> = match Trace::load(path) {
        Ok(ours) => ours,
        Err(error) => return complain(&format!("--on cluster: {error}"), USAGE),
    };
    let code = replay_one(trace, &replay(trace));
    let replayed = replay(&ours);
    if matches!(replayed.outcome, Outcome::Diverged(_)) {
        return code;
    }
    match drive_one(&ours, &replayed) {
        0 => code,
        other => other,
    }
}

pub(crate) fn minimise_one<P: Protocol>(trace: &Trace<P>, out: &Path, states_max: usize) -> u8 {
    let least = match minimise(trace, Budget { states_max, ..Budget::default() }) {
        Ok(least) => least,
        Err(refused @ Refused::Diverged(_)) => return complain(&refused, DIVERGED),
        Err(refused @ Refused::Holds { .. }) => return complain(&refused, USAGE),
    };
    if let Err(error) = least.trace.save(out) {
        return complain(&error, USAGE);
    }
    let file = Some(out.display().to_string());
    let length = Some(format!("{} before; {}", least.was, least.words()));
    let style = Style { colour: colour(), length, file, ..Style::default() };
    print(&draw(&least.trace, &replay(&least.trace), &style));
    eprintln!("saved {}", out.display());
    0
}

/// Replays every saved trace of a folder.
pub(crate) fn saved<P: Protocol>(folder: &str) -> Result<TraceCounts, Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut counts = TraceCounts::default();
    let files: Vec<PathBuf> = suite::files(&suite::root().join(folder), ".itf.json")?;
    for path in files {
        let trace: Trace<P> = Trace::load(&path)?;
        let replayed = replay(&trace);
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        match (&replayed.outcome, trace.expect) {
            (Outcome::Violated { .. }, Expected::Witness) => counts.witnesses += 1,
            (Outcome::Holds { .. }, Expected::Regression) => counts.regressions += 1,
            (Outcome::Diverged(divergence), _) => {
                counts.diverged = true;
                counts.findings.push(format!("{folder}/{name}: {divergence}"));
            }
            (Outcome::Violated { violation, .. }, Expected::Regression) => {
                let (property, clause) = (&trace.property, &violation.clause);
                counts
                    .findings
                    .push(format!("{folder}/{name}: {property} is violated again: {clause}"));
            }
            (Outcome::Holds { because }, Expected::Witness) => {
                let property = &trace.property;
                counts
                    .findings
                    .push(format!("{folder}/{name}: no longer violates {property}: {because}"));
            }
        }
    }
    counts.time = started.elapsed();
    Ok(counts)
}
