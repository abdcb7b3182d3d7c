//! One offline site of all traces in folders: a page for each, and an index that says for every rule of
//! the protocol what goes wrong without it, and what is wrong with the designs of 2016.

use crate::html::{Place, head, save as save_page};
use crate::story::{RuleOff, Story, Verdict};
use crate::svg::{self, Layout, clean};
use crate::told::{SUFFIX, Trouble, tell, write};
use counterfoil_protocol::Rule;
use counterfoil_world::scenario::Design;
use maud::{DOCTYPE, Markup, html};
use std::path::{Path, PathBuf};

/// What the index looks like, but for its drawings.
const STYLE: &str = include_str!("gallery.css");

/// The file of the index.
const INDEX: &str = "index.html";

/// Writes the site of the traces in `folders` to `out`. Gives the traces that diverged, with how.
pub fn save(folders: &[PathBuf], out: &Path) -> Result<Vec<String>, Trouble> {
    let mut stories = Vec::new();
    let mut diverged = Vec::new();
    for folder in folders {
        for file in files(folder)? {
            let told = tell(&file)?;
            diverged.extend(told.diverged.map(|how| format!("{}: {how}", file.display())));
            stories.push(told.story);
        }
    }
    stories.sort_by_key(|story| (group(story), story.property.clone(), story.name.clone()));
    std::fs::create_dir_all(out)
        .map_err(|source| Trouble::Unwritable { path: out.to_owned(), source })?;
    let page = |story: &Story| format!("{}.html", story.name);
    let neighbour = |story: &Story| (page(story), story.property.replace('_', " "));
    for (index, story) in stories.iter().enumerate() {
        let place = Place {
            before: index.checked_sub(1).map(|before| neighbour(&stories[before])),
            after: stories.get(index + 1).map(neighbour),
            all: Some(INDEX.to_owned()),
        };
        save_page(story, &place, &out.join(page(story)))?;
    }
    write(&out.join(INDEX), &index(&stories))?;
    Ok(diverged)
}

/// The traces in a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let unreadable = |source| Trouble::Folder { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_name().to_string_lossy().ends_with(SUFFIX) {
            files.push(entry.path());
        }
    }
    files.sort();
    if files.is_empty() { Err(Trouble::Empty { path: folder.to_owned() }) } else { Ok(files) }
}

/// Which rule a run is about, in the order of the documentation; then come those with all rules on, and
/// then those of other designs.
fn group(story: &Story) -> usize {
    if story.protocol != Design::Counterfoil {
        return OTHERS;
    }
    let first = story.without.first();
    let place = |rule: &RuleOff| Rule::ALL.iter().position(|known| known.name() == rule.name);
    first.and_then(place).unwrap_or(Rule::ALL.len())
}

/// The place of the runs of other designs, after the rules and what is mended.
const OTHERS: usize = Rule::ALL.len() + 1;

/// The index.
fn index(stories: &[Story]) -> String {
    let style = format!("{}{STYLE}", svg::STYLE);
    let of = |place: usize| stories.iter().filter(move |story| group(story) == place);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head("Counterexamples of Counterfoil", &style, None))
            body {
                header {
                    h1 { "What goes wrong without each rule" }
                    p.lead {
                        "Several schedulers place workloads on many nodes. Each decides from its "
                        "own copy of what the nodes have: no database, no lock, no leader. It sends "
                        "the chosen node a claim, and the node alone grants it or refuses. Messages "
                        "may be late, lost, copied or overtaken, and anyone may crash."
                    }
                    p.lead {
                        "What keeps this from going wrong are " (Rule::ALL.len()) " rules. For each, "
                        "a model checker switched it off and looked for the shortest run in which a "
                        "property breaks. Here they are: time goes down, each line is an actor, "
                        "each arrow a message."
                    }
                }
                main {
                    @let has_ours = stories.iter().any(|story| group(story) < OTHERS);
                    @for (place, rule) in Rule::ALL.into_iter().enumerate().filter(|_| has_ours) {
                        @let off = RuleOff::of(rule);
                        section aria-labelledby=(off.name) {
                            h2 #(off.name) { (off.without) }
                            p { b { "The rule: " } (off.says) " " code { (off.name) } }
                            @if of(place).next().is_none() {
                                p.none { "No trace of this is kept." }
                            }
                            ul.traces { @for story in of(place) { (entry(story)) } }
                        }
                    }
                    @if of(Rule::ALL.len()).next().is_some() {
                        section aria-labelledby="mended" {
                            h2 #mended { "What once went wrong with all rules on" }
                            p { "Mistakes that are mended. These runs are kept so that they do not come back." }
                            ul.traces { @for story in of(Rule::ALL.len()) { (entry(story)) } }
                        }
                    }
                    @if of(OTHERS).next().is_some() {
                        section aria-labelledby="seed" {
                            h2 #seed { "What is wrong with the designs of 2016" }
                            p {
                                "The prototype that Counterfoil comes from, and the schedulers that it "
                                "was compared with, modelled as they were and taken apart by the same "
                                "checker. Each says what answers the flaw here."
                            }
                            ul.traces { @for story in of(OTHERS) { (entry(story)) } }
                        }
                    }
                }
            }
        }
    };
    clean(markup.into_string())
}

/// A run in few words and a small drawing, which lead to its page.
fn entry(story: &Story) -> Markup {
    let layout = Layout::small(story);
    let view = format!("0 0 {} {}", layout.width, layout.height);
    let verdict = match &story.verdict {
        Verdict::Violated { step, .. } => format!("{}, violated at step {step}", steps(story)),
        Verdict::Holds { .. } => format!("{}, and it holds", steps(story)),
        Verdict::Diverged { how } => how.clone(),
    };
    html! {
        li {
            a href=(format!("{}.html", story.name)) {
                span.small {
                    svg viewBox=(view) width=(layout.width / 2) height=(layout.height / 2)
                        aria-hidden="true" { (svg::drawing(story, &layout)) }
                }
                span.text {
                    b { (story.headline()) }
                    span { (story.statement) }
                    @if let Some(flaw) = &story.flaw { span { (flaw) "." } }
                    @if let Some(answer) = &story.answer { span { "The answer: " (answer) "." } }
                    small { (verdict) " · scenario " (story.scenario) }
                }
            }
        }
    }
}

fn steps(story: &Story) -> String {
    match story.steps.len() {
        1 => "1 step".to_owned(),
        many => format!("{many} steps"),
    }
}
