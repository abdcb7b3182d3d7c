//! The violation that recordings show, as a run of the world.

use super::{Aim, Joined, NotJoined, Tales, join};
use counterfoil_recording::audit::{Audit, Finding, Wrong, audit_files};
use std::path::{Path, PathBuf};

/// How large recordings may be together that are joined, in bytes: every state is kept meanwhile.
pub const BYTES_MAX: u64 = 64 << 20;

/// Whether a path is of recordings rather than of a trace.
pub fn is_recorded(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|end| end == "recording")
}

/// The recordings at `paths`, if they are not too large to be joined.
///
/// # Errors
/// Says what is in the way.
pub fn tales(paths: &[PathBuf]) -> Result<Tales, NotJoined> {
    let mut bytes = 0;
    for file in super::tale::files(paths)? {
        bytes += std::fs::metadata(&file).map(|of| of.len()).unwrap_or_default();
    }
    if bytes > BYTES_MAX {
        return Err(NotJoined::Unlike(format!(
            "the recordings have {} MiB together, and up to {} MiB are joined: record a shorter run",
            bytes >> 20,
            BYTES_MAX >> 20
        )));
    }
    Tales::read(paths)
}

/// The run of the world that violates the property that the recordings at `paths` violate first.
///
/// # Errors
/// Says what is in the way. With several violations, the first that can be shown is; if none can,
/// what is in the way of the first.
pub fn violation(paths: &[PathBuf]) -> Result<Joined, NotJoined> {
    let audit = audit_files(super::tale::files(paths)?);
    if audit.runs == 0 && audit.findings.is_empty() {
        return Err(NotJoined::Nothing);
    }
    let tales = tales(paths)?;
    let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let command = format!("check minimise {}", all.join(" "));
    let mut first = None;
    for finding in &audit.findings {
        match violated(&tales, finding, &command) {
            Some(Ok(joined)) => return Ok(joined),
            Some(Err(error)) => first = first.or(Some(error)),
            None => {}
        }
    }
    Err(first.unwrap_or_else(|| not_violated(audit)))
}

fn violated(tales: &Tales, finding: &Finding, command: &str) -> Option<Result<Joined, NotJoined>> {
    let Wrong::Violated { step, property, .. } = &finding.what else { return None };
    let (actor, event) = tales.event(&finding.recording, *step)?;
    let recording = finding.recording.display();
    let question = format!("How did {property} come to be violated at step {step} of {recording}?");
    let aim = Aim { property: property.name(), is_violated: true, actor, event };
    Some(join(tales, aim, &question, command))
}

/// Why there is nothing to show.
fn not_violated(audit: Audit) -> NotJoined {
    for finding in audit.findings {
        if let Wrong::NotRebuilt(source) = finding.what {
            return NotJoined::NotRebuilt { path: finding.recording, source };
        }
    }
    NotJoined::NotViolated
}
