//! The subcommand `watch`: what a scheduler knows, again and again.

use super::api::ApiArgs;
use super::screen::Screen;
use super::{Failure, Format, table};
use crate::remote::{Method, NoAnswer, Remote};
use crate::settings::Interval;
use crate::stop;
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

#[derive(Args)]
pub(super) struct WatchArgs {
    /// From one look to the next
    #[arg(long, value_name = "TIME", default_value = "1s")]
    interval: Interval,
    /// Look once, print it, and end
    #[arg(long)]
    once: bool,
    /// End after this time
    #[arg(long = "for", value_name = "TIME", conflicts_with = "once")]
    time: Option<Interval>,
    #[command(flatten)]
    api: ApiArgs,
}

/// What was seen by one look.
pub(crate) struct Seen {
    /// Who showed it.
    pub(crate) url: String,
    /// The nodes.
    pub(crate) nodes: Vec<Value>,
    /// The last decisions, the latest first.
    pub(crate) decisions: Vec<Value>,
}

impl WatchArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let remote = self.api.remote()?;
        if self.once {
            let seen = look(&remote)?;
            self.show(&seen, None);
            return Ok(ExitCode::SUCCESS);
        }
        let (say, asked) = channel();
        stop::when_asked(false, move |_| say.send(()).unwrap_or_default())
            .map_err(crate::serve::ServeError::System)?;
        let human = matches!(self.api.format, Format::Human);
        let screen = human.then(Screen::open);
        let until = self.time.map(|time| Instant::now() + time.0);
        loop {
            match (look(&remote), &screen) {
                (Ok(seen), screen) => self.show(&seen, screen.as_ref()),
                (Err(error), Some(screen)) => {
                    screen.draw(&[format!("no answer: {error}"), "trying again".to_owned()]);
                }
                (Err(error), None) => tracing::warn!(%error, "no answer; trying again"),
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let sleep = left.map_or(self.interval.0, |left| left.min(self.interval.0));
            match asked.recv_timeout(sleep) {
                Err(RecvTimeoutError::Timeout)
                    if until.is_none_or(|until| Instant::now() < until) => {}
                Ok(()) | Err(_) => return Ok(ExitCode::SUCCESS),
            }
        }
    }

    fn show(&self, seen: &Seen, screen: Option<&Screen>) {
        match (self.api.format, screen) {
            (Format::Json, _) => {
                let (url, nodes, decisions) = (&seen.url, &seen.nodes, &seen.decisions);
                let seen = serde_json::json!({"api": url, "nodes": nodes, "decisions": decisions});
                println!("{seen}");
            }
            (Format::Human, Some(screen)) if screen.is_terminal() => {
                let (_, lines) = screen.size();
                screen.draw(&frame(seen, lines));
            }
            (Format::Human, _) => {
                frame(seen, usize::MAX).iter().for_each(|line| println!("{line}"));
            }
        }
    }
}

/// What the first scheduler that answers knows.
///
/// # Errors
/// If none answers.
pub(crate) fn look(remote: &Remote) -> Result<Seen, NoAnswer> {
    let (url, nodes) = remote.nodes()?;
    let recent = remote.ask(&url, Method::Get, "/v1/requests/recent", None);
    let decisions = recent.ok().filter(|reply| reply.status == 200);
    let decisions = decisions.and_then(|reply| reply.body.as_array().cloned());
    Ok(Seen { url, nodes, decisions: decisions.unwrap_or_default() })
}

/// Decisions that are shown, at most.
const DECISIONS_MAX: usize = 5;

/// What was seen, in at most `lines` lines, if there are at least ten. Of nodes that do not all
/// fit, those that are not as they should be come first.
pub(crate) fn frame(seen: &Seen, lines: usize) -> Vec<String> {
    let (present, all) = (table::present(&seen.nodes), seen.nodes.len());
    let mut frame = vec![format!("{present} of {all} nodes present, as {} knows", seen.url)];
    frame.push(table::sums(&seen.nodes).join(" · "));
    frame.push(String::new());
    let decisions = decisions(seen, lines);
    let room = lines.saturating_sub(frame.len() + decisions.len());
    if seen.nodes.len() < room {
        frame.extend(table::nodes(&seen.nodes));
    } else {
        // Its head, and a line that says how many are left out.
        let shown = room.saturating_sub(2);
        let nodes = table::odd_first(&seen.nodes, shown);
        frame.extend(table::nodes(&nodes));
        frame.push(format!("… {} more nodes: counterfoil nodes", seen.nodes.len() - nodes.len()));
    }
    frame.extend(decisions);
    frame
}

/// The last decisions, if there is room for them.
fn decisions(seen: &Seen, lines: usize) -> Vec<String> {
    if seen.decisions.is_empty() || lines < 2 * DECISIONS_MAX + 6 {
        return Vec::new();
    }
    let rows = seen.decisions.iter().take(DECISIONS_MAX).map(decision).collect::<Vec<_>>();
    let mut shown = vec![String::new(), "LAST DECISIONS".to_owned()];
    shown.extend(table::aligned(&rows));
    shown
}

fn decision(decision: &Value) -> Vec<String> {
    let text = |field: &str| {
        let value = &decision[field];
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (!value.is_null()).then_some(text)
    };
    let what = match text("node") {
        Some(node) => format!("n{}", node.trim_start_matches('n')),
        None => text("why").or_else(|| text("error")).unwrap_or_else(|| "-".to_owned()),
    };
    let micros = text("microseconds").map_or_else(String::new, |micros| format!("{micros} µs"));
    let retries = text("retries").map_or_else(String::new, |retries| format!("{retries} retries"));
    vec![format!("r{}", text("request").unwrap_or_default()), what, retries, micros]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_frame_has_no_more_lines_than_the_terminal() {
        let node = |n: u32| json!({"node": n, "status": "up", "presence": "present"});
        let decisions = vec![json!({"request": 7, "node": 3, "retries": 0, "microseconds": 12})];
        let seen = |count| Seen {
            url: "http://x".to_owned(),
            nodes: (1..=count).map(node).collect(),
            decisions: decisions.clone(),
        };
        for count in [0, 1, 3, 15, 18, 19, 20, 21, 22, 100] {
            let frame = frame(&seen(count), 24);
            assert!(frame.len() <= 24, "{count}");
            let hidden = frame.iter().any(|line| line.starts_with('…'));
            assert_eq!(hidden, count > 17, "{count}");
        }
        let mut many = seen(100);
        many.nodes[98]["presence"] = json!("suspected");
        many.nodes[99]["status"] = json!("draining");
        let odd = frame(&many, 24);
        assert!(odd[4].starts_with("n99") && odd[5].starts_with("n100"), "{odd:?}");
        assert!(odd[6].starts_with("n1 "), "{odd:?}");
        let small = frame(&seen(3), 24);
        assert!(small.iter().any(|line| line.contains("r7  n3  0 retries  12 µs")), "{small:?}");
        assert!(frame(&seen(100), usize::MAX).len() > 100);
    }
}
