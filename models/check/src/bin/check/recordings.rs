//! Recordings of the service: judged, shown, made small.

use crate::arguments::Format;
use crate::traces::Deed;
use crate::{DIVERGED, FINDING, INCONCLUSIVE, UNREADABLE, USAGE, complain, print, traces};
use counterfoil_check::recorded::{Joined, NotJoined, Story, is_recorded, story, violation};
use counterfoil_check::suite;
use counterfoil_check::validate::{Validation, Verdict, validate};
use counterfoil_world::minimise::beside;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Judges recordings, and tells of the first thing that is wrong with them.
pub(crate) fn validate_all(paths: &[PathBuf], format: Format, save: Option<&Path>) -> u8 {
    let validation = match validate(paths) {
        Ok(validation) => validation,
        Err(error) => return complain(&format!("a recording or folder: {error}"), UNREADABLE),
    };
    let story = story(validation.audit(), paths);
    let saved = story.as_ref().map(|story| keep(story, save));
    match format {
        Format::Human => print(&human(&validation, story.as_ref(), saved.as_ref(), paths)),
        Format::Json => print(&format!("{:#}\n", program(&validation, story, saved))),
    }
    match validation.verdict() {
        Verdict::Valid => 0,
        Verdict::Violated => FINDING,
        Verdict::Diverged => DIVERGED,
        Verdict::Unreadable | Verdict::Nothing => UNREADABLE,
    }
}

/// Where the run that leads to what is wrong was saved, or why it was not.
type Saved = Result<PathBuf, String>;

fn keep(story: &Story, folder: Option<&Path>) -> Saved {
    let Joined { trace, .. } = story.run.as_ref().map_err(ToString::to_string)?;
    let folder = folder.map_or_else(|| suite::traces_folder().join("found"), Path::to_owned);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let path = folder.join(format!("{}__recorded.itf.json", trace.property));
    trace.save(&path).map_err(|error| error.to_string())?;
    Ok(path)
}

fn human(
    validation: &Validation,
    story: Option<&Story>,
    saved: Option<&Saved>,
    paths: &[PathBuf],
) -> String {
    let mut text = format!("{validation}\n");
    let Some(story) = story else { return text };
    text.push('\n');
    if let Some(unexplained) = &story.unexplained {
        text += &format!("{unexplained}\n");
    }
    match saved {
        Some(Ok(path)) => {
            let Ok(Joined { events, left_out, unlike, trace }) = &story.run else { return text };
            let steps = trace.steps.len();
            text += &format!(
                "{events} events of the recordings led to it: {steps} steps of the world; {left_out} \
                 of the events change nothing there\n"
            );
            for actor in unlike {
                text += &format!("  {actor} is not there what it was recorded to be\n");
            }
            let path = path.display();
            text += &format!("view    trace view {path}\nreplay  check replay {path}\n");
        }
        Some(Err(why)) => text += &format!("no run of the world shows it: {why}\n"),
        None => {}
    }
    let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    text + &format!("again   check validate {}\n", all.join(" "))
}

fn program(validation: &Validation, story: Option<Story>, saved: Option<Saved>) -> Value {
    let mut report = validation.json();
    let unexplained = story.and_then(|story| story.unexplained);
    report["unexplained"] = unexplained.map_or(Value::Null, |event| event.json());
    let (trace, no_trace) = match saved {
        Some(Ok(path)) => (json!(path.display().to_string()), Value::Null),
        Some(Err(why)) => (Value::Null, json!(why)),
        None => (Value::Null, Value::Null),
    };
    report["trace"] = trace;
    report["no_trace"] = no_trace;
    report
}

/// Makes a trace small, or the violation that recordings show.
pub(crate) fn minimise_any(paths: &[PathBuf], out: Option<PathBuf>, states_max: usize) -> u8 {
    let [path, others @ ..] = paths else { return complain(&"give a trace", USAGE) };
    let recorded = paths.iter().filter(|path| is_recorded(path)).count();
    if recorded == 0 && others.is_empty() {
        let out = out.unwrap_or_else(|| beside(path));
        return traces::take(path, Deed::Minimise(&out, states_max));
    }
    if recorded < paths.len() {
        return complain(&"give one trace, or recordings and folders of them", USAGE);
    }
    match violation(paths) {
        Ok(Joined { trace, events, left_out, .. }) => {
            eprintln!(
                "{events} events of the recordings led to it: {} steps of the world; {left_out} of \
                 the events change nothing there",
                trace.steps.len()
            );
            let name = format!("{}__recorded.min.itf.json", trace.property);
            let out = out.unwrap_or_else(|| match path.is_dir() {
                true => path.join(&name),
                false => path.with_file_name(&name),
            });
            traces::minimise_one(&trace, &out, states_max)
        }
        Err(error) => complain(&error, code(&error)),
    }
}

fn code(error: &NotJoined) -> u8 {
    match error {
        NotJoined::Read { .. } | NotJoined::Nothing => UNREADABLE,
        NotJoined::NotViolated => USAGE,
        NotJoined::NotRebuilt { source: counterfoil_recording::RunError::Recording(_), .. } => {
            UNREADABLE
        }
        NotJoined::NotRebuilt { .. } => DIVERGED,
        NotJoined::NoStart(_)
        | NotJoined::Missing { .. }
        | NotJoined::Unlike(_)
        | NotJoined::Stuck { .. }
        | NotJoined::Holds { .. } => INCONCLUSIVE,
    }
}
