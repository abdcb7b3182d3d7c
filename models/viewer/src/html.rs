//! One offline page about a run: it needs nothing from anywhere, runs only the script that is in
//! it, and tells everything without that, too.

mod diagram;
mod tables;
mod why;

use crate::policy::policy;
use crate::story::{Choice, Field, Lane, Message, Story, Verdict};
use crate::svg::{self, Layout, clean};
use crate::told::{Trouble, write};
use counterfoil_world::trace::Kind;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;
use std::path::Path;

/// What the page looks like, but for its drawing.
const STYLE: &str = include_str!("html/page.css");

/// What it does.
const SCRIPT: &str = include_str!("html/page.js");

/// Where a page stands among others.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The page before, by file and title.
    pub before: Option<(String, String)>,
    /// The page after, by file and title.
    pub after: Option<(String, String)>,
    /// The page that lists all, by file.
    pub all: Option<String>,
}

/// What the script needs to know that does not stand on the page in words.
#[derive(Serialize)]
struct Data<'a> {
    last: usize,
    decisive: usize,
    violated: bool,
    liveness: bool,
    back_to: Option<usize>,
    by: Vec<Option<&'a str>>,
    actors: &'a [Lane],
    messages: &'a [Message],
    fields: &'a [Field],
    choices: &'a [Choice],
    file: String,
}

/// Writes the page of a run to a file.
pub fn save(story: &Story, place: &Place, out: &Path) -> Result<(), Trouble> {
    write(out, &page(story, place))
}

/// The page of a run.
pub fn page(story: &Story, place: &Place) -> String {
    let style = format!("{}{STYLE}", svg::STYLE);
    let layout = Layout::of(story);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title(story), &style, Some(SCRIPT)))
            body {
                a.skip href="#steps" { "to the table of steps" }
                (navigation(place))
                (header(story))
                main {
                    (why::section(story))
                    div.both.many[layout.is_crowded()] {
                        (diagram::section(story, &layout))
                        (panes(story))
                    }
                    (tables::steps(story))
                    (tables::messages(story))
                    (tables::words(story))
                    (again(story))
                }
                (help())
                script type="application/json" id="data" { (PreEscaped(data(story))) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    clean(markup.into_string())
}

/// What stands above all, and in the list of pages.
fn title(story: &Story) -> String {
    match story.plainly() {
        Some(plainly) => format!("{plainly} · {}", story.headline()),
        None => format!("{} · trace", story.headline()),
    }
}

/// The head of any page of ours.
pub(crate) fn head(title: &str, style: &str, script: Option<&str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy(style, script));
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            title { (title) }
            style { (PreEscaped(style)) }
        }
    }
}

fn navigation(place: &Place) -> Markup {
    let Place { before, after, all } = place;
    html! {
        @if let Some(all) = all {
            nav.pages aria-label="traces" {
                a href=(all) { "↑ all traces" }
                @if let Some((file, title)) = before { a href=(file) rel="prev" { "← " (title) } }
                @if let Some((file, title)) = after { a href=(file) rel="next" { (title) " →" } }
            }
        }
    }
}

/// Text of the machines, which may be broken between the parts of a way.
fn code(text: &str) -> Markup {
    let is_break = |at: usize| {
        let next = text[at + 1..].chars().next();
        let is_late = text[..at].contains(['.', '[']);
        text[at..].starts_with('[') && at > 0 || is_late && next.is_some_and(char::is_alphabetic)
    };
    let breaks = text.match_indices(['.', '[']).map(|(at, _)| at).filter(|at| is_break(*at));
    let ends: Vec<usize> = breaks.chain([text.len()]).collect();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    html! {
        code {
            @for (start, end) in starts.zip(&ends) { @if start > 0 { wbr; } (&text[start..*end]) }
        }
    }
}

/// What the run is about, for whoever comes here first.
fn header(story: &Story) -> Markup {
    let cast = |role: &str| story.actors.iter().filter(|lane| lane.role == role).count();
    let many = |count: usize, one: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {one}s")),
    };
    let roles = ["client", "scheduler", "node"].map(|role| many(cast(role), role));
    let cast: Vec<String> = roles.into_iter().flatten().collect();
    html! {
        header {
            h1 { (story.plainly().unwrap_or_else(|| story.headline())) }
            p.facts {
                @if story.plainly().is_some() { b { (story.headline()) } " · " }
                (story.steps.len()) " steps · " (cast.join(", ")) " · scenario "
                code { (story.scenario) } " · " a href="#words" { "what the words mean" }
            }
            dl.brief {
                dt { "What must be true" }
                dd {
                    @if !story.why.clause.is_empty() { b { (story.why.clause) "." } br; }
                    span.whole[!story.why.clause.is_empty()] { (story.statement) }
                }
                @for rule in &story.without {
                    dt { "The rule that is off" }
                    dd { (rule.says) " (" code { (rule.name) } ")" }
                    @if !rule.then.is_empty() {
                        dt { "What may come of it" }
                        dd { (rule.then) " This run does not go that far." }
                    }
                }
                @if let Some(answer) = &story.answer {
                    dt { "What answers it" }
                    dd { "Counterfoil: " (answer) "." }
                }
                @if story.without.is_empty() && story.flaw.is_none() {
                    dt { "No rule is off" }
                    dd {
                        @match story.verdict {
                            Verdict::Violated { .. } => {
                                "So this is a mistake of the protocol, or of its machines."
                            },
                            Verdict::Holds { .. } | Verdict::Diverged { .. } => {
                                "And nothing goes wrong. Runs that once violated a property, by a \
                                 mistake that is mended, are kept so that it does not come back."
                            },
                        }
                    }
                }
            }
        }
    }
}

/// Where the script shows the step that is chosen.
fn panes(story: &Story) -> Markup {
    let aim = match story.kind {
        Kind::Safety => "and which of it keeps the property",
        Kind::Liveness => "and what it leads to",
    };
    html! {
        aside #panes aria-label="the chosen step" {
            div.bar {
            div.controls role="group" aria-label="choose a step" {
                button #first type="button" title="first (g)" { "|◀" span.hidden { "first step" } }
                button #back type="button" title="back (h or ←)" { "◀" span.hidden { "step back" } }
                input #slider type="range" min="0" max=(story.steps.len()) value="0"
                    aria-label="step";
                button #forth type="button" title="forth (l or →)" { "▶" span.hidden { "step forth" } }
                button #end type="button" title="last (G)" { "▶|" span.hidden { "last step" } }
                @if let Verdict::Violated { .. } = story.verdict {
                    button #bad type="button" title="violation (v)" { "✗" span.hidden { "to the violation" } }
                }
                button #keys type="button" title="keys (?)" { "?" span.hidden { "keys" } }
            }
            p #said aria-live="polite" {}
            }
            section.pane aria-labelledby="h-state" {
                h2 #h-state { "State" }
                div.tools {
                    label { input #still type="checkbox"; " also what never changes, and bookkeeping" }
                    label { "find " input #find type="search" autocomplete="off"; }
                    span #found aria-live="polite" {}
                }
                div #state {}
            }
            section.pane aria-labelledby="h-choices" {
                h2 #h-choices data-aim=(aim) { "What can happen next, " (aim) }
                div #choices {}
                p.hint { "To take another of these, on a terminal: "
                    code { "trace view " (story.name) ".itf.json" } " and the key b." }
            }
            section.pane aria-labelledby="h-flight" {
                h2 #h-flight { "In flight" }
                div #flight {}
            }
            details #shown {
                summary { "Who is shown" }
                div.tools {
                    @for lane in &story.actors {
                        label { input type="checkbox" checked value=(lane.name); " " (lane.name) }
                    }
                }
            }
        }
    }
}

fn again(story: &Story) -> Markup {
    let file = format!("{}.itf.json", story.name);
    html! {
        section #again aria-labelledby="h-again" {
            h2 #h-again { "See for yourself" }
            dl.brief {
                dt { "Step through it on a terminal, and branch" }
                dd { code { "trace view " (file) } }
                dt { "Run it again through the real machines" }
                dd { code { "check replay " (file) } }
                dt { "Find it again" }
                dd { code { (story.command) } }
                dt { "The question of the scenario" }
                dd { (story.question) }
                @if let Some(flaw) = &story.flaw {
                    dt { "The flaw of the design" }
                    dd { (flaw) }
                }
                @if let Some(answer) = &story.answer {
                    dt { "What answers it in Counterfoil" }
                    dd { (answer) }
                }
                dt { "Its bounds" }
                dd { (story.bounds) ": schedulers x nodes x requests, and what else may happen" }
                @if !story.engine.is_empty() {
                    dt { "Found by" }
                    dd { (story.engine) }
                }
            }
        }
    }
}

/// The keys, as on a terminal.
const KEYS: [(&str, &str); 15] = [
    ("← → or h l", "a step back, a step forth"),
    ("g G", "the start, the end"),
    ("v", "the violation"),
    ("[ ]", "the step before, after, of the chosen actor"),
    ("{ }", "the change before, after, of the chosen value"),
    ("w", "why"),
    ("b", "branch: how, on a terminal"),
    ("f", "who is shown"),
    ("/", "search; Enter for the next"),
    ("n N", "what was found next, before"),
    ("c", "compare: how, on a terminal"),
    ("L", "the loop: its start, its end"),
    ("s", "to the state"),
    ("?", "this help"),
    ("q or Esc", "close it"),
];

fn help() -> Markup {
    html! {
        dialog #help aria-labelledby="h-help" {
            h2 #h-help { "Keys" }
            p #answer {}
            dl {
                @for (key, does) in KEYS { div { dt { kbd { (key) } } dd { (does) } } }
            }
            p { label { input #keyed type="checkbox" checked; " keys of one letter do something" } }
            form method="dialog" { button { "close" } }
        }
    }
}

/// What the script reads, with nothing in it that could end the element that it stands in.
fn data(story: &Story) -> String {
    let by = |step: &crate::story::Step| step.actor.clone();
    let by: Vec<Option<String>> = story.steps.iter().map(by).collect();
    let data = Data {
        last: story.steps.len(),
        decisive: story.decisive(),
        violated: matches!(story.verdict, Verdict::Violated { .. }),
        liveness: story.kind == Kind::Liveness,
        back_to: story.back_to,
        by: by.iter().map(Option::as_deref).collect(),
        actors: &story.actors,
        messages: &story.messages,
        fields: &story.fields,
        choices: &story.choices,
        file: format!("{}.itf.json", story.name),
    };
    let text = serde_json::to_string(&data).expect("a story has plain keys and no floats");
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
