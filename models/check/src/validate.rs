//! Judges recordings of the running service: whether the machines explain what it did.

use counterfoil_properties::Safety;
use counterfoil_recording::audit::{Audit, Finding, Wrong, audit, audit_files};
use counterfoil_recording::{Error, RunError};
use counterfoil_world::why::plain;
use serde_json::{Value, json};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What came of judging recordings together.
#[derive(Debug)]
pub struct Validation(Audit);

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The machines explain all that was recorded, and no property is violated.
    Valid,
    /// A property is violated, or something arrived that nobody sent.
    Violated,
    /// A run went another way than the machines go.
    Diverged,
    /// A recording cannot be read.
    Unreadable,
    /// There is no recording.
    Nothing,
}

/// Judges the recordings at `paths`, files or folders, all together.
///
/// # Errors
/// If a folder or file cannot be read. What is wrong with a recording is in what is returned.
pub fn validate(paths: &[PathBuf]) -> io::Result<Validation> {
    if let [folder] = paths
        && folder.is_dir()
    {
        return Ok(Validation(audit(folder)?));
    }
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for entry in std::fs::read_dir(path)? {
                files.push(entry?.path());
            }
        } else {
            std::fs::metadata(path)?;
            files.push(path.clone());
        }
    }
    Ok(Validation(audit_files(files)))
}

impl Validation {
    /// All that was found.
    pub fn audit(&self) -> &Audit {
        &self.0
    }

    /// What it comes to: the worst of all that was found.
    pub fn verdict(&self) -> Verdict {
        let audit = &self.0;
        let of = |wanted: fn(&RunError) -> bool| {
            let mut errors = audit.findings.iter().filter_map(|finding| match &finding.what {
                Wrong::NotRebuilt(error) => Some(error),
                Wrong::Violated { .. } | Wrong::NeverSent { .. } => None,
            });
            errors.any(wanted)
        };
        if of(|error| matches!(error, RunError::Diverged { .. } | RunError::OtherDisk)) {
            Verdict::Diverged
        } else if audit.violations > 0 || audit.never_sent > 0 {
            Verdict::Violated
        } else if audit.not_rebuilt > 0 {
            Verdict::Unreadable
        } else if audit.runs == 0 {
            Verdict::Nothing
        } else {
            Verdict::Valid
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let audit = &self.0;
        let properties: serde_json::Map<String, Value> =
            audit.judged.iter().map(|(p, times)| (p.to_string(), json!(times))).collect();
        let text = |finding: &Finding| finding.to_string();
        json!({
            "verdict": self.verdict().name(),
            "runs": audit.runs,
            "steps": audit.steps,
            "steps_without_effect": audit.steps_without_effect,
            "properties": properties,
            "violations": audit.violations,
            "not_rebuilt": audit.not_rebuilt,
            "messages_joined": audit.messages_joined,
            "never_sent": audit.never_sent,
            "checks_left_out": audit.left_out,
            "missing": audit.missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "torn": audit.torn,
            "incomplete": audit.incomplete.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "findings": audit.findings.iter().map(text).collect::<Vec<_>>(),
        })
    }
}

impl Verdict {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Violated => "violated",
            Verdict::Diverged => "diverged",
            Verdict::Unreadable => "unreadable",
            Verdict::Nothing => "nothing",
        }
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let audit = &self.0;
        writeln!(f, "{} recordings rebuilt, {} steps", audit.runs, audit.steps)?;
        for property in Safety::ALL {
            let times = audit.judged.get(&property).copied().unwrap_or(0);
            writeln!(f, "  {:<32} premise true {times:>9} times", property.name())?;
        }
        let (joined, never) = (audit.messages_joined, audit.never_sent);
        writeln!(
            f,
            "  {joined} messages were sent before they arrived, {never} were not sent at all"
        )?;
        self.what_is_unknown(f)?;
        for finding in &audit.findings {
            writeln!(f, "{finding}")?;
            match &finding.what {
                Wrong::Violated { violation, .. } => {
                    for fact in &violation.facts {
                        writeln!(f, "    {} = {}", fact.name, plain(&fact.value))?;
                    }
                }
                Wrong::NotRebuilt(RunError::Recording(Error::Version(_))) => {
                    writeln!(f, "    judge it with the version of this program that recorded it")?;
                }
                Wrong::NeverSent { from, .. } if audit.is_torn(*from) => writeln!(
                    f,
                    "    a recording of {from} ends torn: it may have been sent in what is cut off"
                )?,
                Wrong::NotRebuilt(_) | Wrong::NeverSent { .. } => {}
            }
        }
        match self.verdict() {
            Verdict::Valid => write!(f, "VALID  the machines explain all that was recorded"),
            Verdict::Violated => write!(
                f,
                "VIOLATED  {} violations, {} messages that nobody sent",
                audit.violations, audit.never_sent
            ),
            Verdict::Diverged => write!(f, "DIVERGED  {} runs not rebuilt", audit.not_rebuilt),
            Verdict::Unreadable => write!(f, "UNREADABLE  {} recordings", audit.not_rebuilt),
            Verdict::Nothing => write!(f, "NOTHING  no recording is there: NAME.NUMBER.recording"),
        }
    }
}

impl Validation {
    /// What could not be checked, and why.
    fn what_is_unknown(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let audit = &self.0;
        if audit.left_out > 0 {
            writeln!(
                f,
                "  {} checks left out: what they compare with is not here",
                audit.left_out
            )?;
        }
        for actor in &audit.missing {
            writeln!(f, "  there is no recording of {actor}: what it said cannot be checked")?;
        }
        for actor in &audit.incomplete {
            writeln!(f, "  what {actor} did before its first recording here is not known")?;
        }
        for path in &audit.torn {
            writeln!(f, "  {} ends torn: its process was killed while it wrote", show(path))?;
        }
        if audit.steps_without_effect > 0 {
            let steps = audit.steps_without_effect;
            writeln!(f, "  {steps} steps had no effect: their process was killed before")?;
        }
        Ok(())
    }
}

fn show(path: &Path) -> std::path::Display<'_> {
    path.display()
}
