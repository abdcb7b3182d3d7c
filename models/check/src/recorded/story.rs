//! What there is to tell of the first thing that is wrong with recordings.

use super::{Aim, Joined, NotJoined, Tales, Unexplained, closest, join, tales};
use counterfoil_properties::Safety;
use counterfoil_recording::RunError;
use counterfoil_recording::audit::{Audit, Finding, Wrong};
use std::path::PathBuf;

/// The first thing that is wrong with recordings.
#[derive(Debug)]
pub struct Story {
    /// If it is an event that no run of the machines explains: which, and what comes closest.
    pub unexplained: Option<Unexplained>,
    /// The run of the world that leads to it, or what is in the way of one.
    pub run: Result<Joined, NotJoined>,
}

/// Tells of the first thing that is wrong with the recordings at `paths`; `None` if nothing is, or
/// only that some cannot be read.
pub fn story(audit: &Audit, paths: &[PathBuf]) -> Option<Story> {
    let finding = audit.findings.iter().min_by_key(|finding| rank(finding))?;
    if rank(finding) == UNREADABLE {
        return None;
    }
    let tales = match tales(paths) {
        Ok(tales) => tales,
        Err(error) => return Some(Story { unexplained: None, run: Err(error) }),
    };
    let unexplained = closest(&tales, &finding.recording, &finding.what);
    let run = leads_to(&tales, finding, paths);
    Some(Story { unexplained, run })
}

const UNREADABLE: u8 = 3;

/// What a machine did not do comes first: what follows may follow from it.
fn rank(finding: &Finding) -> u8 {
    match &finding.what {
        Wrong::NotRebuilt(RunError::Diverged { .. } | RunError::OtherDisk) => 0,
        Wrong::NeverSent { .. } => 1,
        Wrong::Violated { .. } => 2,
        Wrong::NotRebuilt(RunError::Recording(_) | RunError::OtherRole(_)) => UNREADABLE,
    }
}

fn leads_to(tales: &Tales, finding: &Finding, paths: &[PathBuf]) -> Result<Joined, NotJoined> {
    let recording = finding.recording.display();
    let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let command = format!("check validate {}", all.join(" "));
    let unknown = || NotJoined::Unlike(format!("nothing of {recording} can be rebuilt"));
    match &finding.what {
        Wrong::Violated { step, property, .. } => {
            let (actor, event) = tales.event(&finding.recording, *step).ok_or_else(unknown)?;
            let question = format!("How did step {step} of {recording} come to violate it?");
            let aim = Aim { property: property.name(), is_violated: true, actor, event };
            join(tales, aim, &question, &command)
        }
        Wrong::NeverSent { .. } | Wrong::NotRebuilt(_) => {
            let step =
                if let Wrong::NeverSent { step, .. } = finding.what { Some(step) } else { None };
            let (actor, event) = match step {
                Some(step) => tales.event(&finding.recording, step).ok_or_else(unknown)?,
                None => end_of(tales, finding).ok_or_else(unknown)?,
            };
            let property = Safety::ViewsAreRealStates.name();
            let question = format!("What led to what no run explains, in {recording}?");
            join(tales, Aim { property, is_violated: false, actor, event }, &question, &command)
        }
    }
}

/// Whose run ends with this recording, and how many events it has up to there.
fn end_of(tales: &Tales, finding: &Finding) -> Option<(counterfoil_protocol::Actor, usize)> {
    let name = finding.recording.file_name()?.to_str()?.split('.').next()?;
    let (actor, tale) = tales.of.iter().find(|(actor, _)| actor.to_string() == name)?;
    (!tale.events.is_empty()).then_some((*actor, tale.events.len()))
}
