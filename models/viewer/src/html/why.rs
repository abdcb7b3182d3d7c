//! Why the property is violated, first of all.

use crate::story::Story;
use counterfoil_world::choices::{Claim, LastSafe};
use counterfoil_world::why::{
    Concerned, Difference, ForEver, LastChoice, Origin, Verdict, Why, Written,
};
use maud::{Markup, html};

/// How many safe choices are told of.
const SAFE_MAX: usize = 5;

pub(super) fn section(story: &Story) -> Markup {
    let why = &story.why;
    let class = match why.verdict {
        Verdict::Violated => "violated",
        Verdict::Holds => "holds",
        Verdict::Diverged => "diverged",
    };
    html! {
        section #why class=(class) aria-labelledby="h-why" tabindex="-1" {
            @match why.verdict {
                Verdict::Violated => (violated(story, why)),
                Verdict::Holds => {
                    h2 #h-why { "What came of it" }
                    p.sentence { (why.sentence) }
                },
                Verdict::Diverged => {
                    h2 #h-why { "The run does not go as it is written" }
                    p.sentence { (why.sentence) }
                    p {
                        "The trace was written by another revision of the protocol, or was edited. \
                         What is shown below is the run up to there."
                    }
                },
            }
        }
    }
}

fn violated(story: &Story, why: &Why) -> Markup {
    let (mut telling, others): (Vec<&Concerned>, Vec<&Concerned>) =
        why.messages.iter().partition(|message| !message.differences.is_empty());
    telling.sort_by_key(|message| message.worst().map(Difference::rank));
    html! {
        h2 #h-why { "What goes wrong" }
        @for rule in &story.without { p.sentence { (rule.without) } }
        p class=[story.without.is_empty().then_some("sentence")] { (why.sentence) }
        h3 { "What should be true" @if let Some(step) = why.step { " after " (at(step)) } ", and is false" }
        ul { li { (why.clause) } }
        @if !why.facts.is_empty() {
            h3 { "The values in that" }
            ul { @for origin in &why.facts { li { (fact(origin)) } } }
        }
        @if !telling.is_empty() {
            h3 { "The messages that made the difference" }
            ul { @for message in telling { li { (concerned(message)) } } }
        }
        @if let Some(for_ever) = &why.for_ever {
            h3 { "Why it stays so for ever" }
            ul { li { (repeated(for_ever)) } }
        }
        (choice(story, &why.choice))
        @if !others.is_empty() {
            details {
                summary { "Other messages that brought a value" }
                ul { @for message in others { li { (concerned(message)) } } }
            }
        }
    }
}

/// A step, as a way to it.
fn at(step: usize) -> Markup {
    html! { a href=(format!("#step={step}")) { "step " (step) } }
}

/// A fact, and what wrote it.
fn fact(origin: &Origin) -> Markup {
    let Origin { fact, shown, place, written, entries } = origin;
    html! {
        b { (fact.name) " = " (shown) }
        @if place.is_empty() {
            " — what truly happened: the checker keeps it, and no actor knows it"
        } @else {
            " — " code { (place) }
            @if entries.is_empty() {
                @if let Some(written) = written { ", " (when(written)) }
            } @else {
                @for (index, (key, written)) in entries.iter().enumerate() {
                    @if index == 0 { ": " } @else { "; " }
                    code { (key) } " " (when(written))
                }
            }
        }
    }
}

/// When something was written, and what happened then.
fn when(written: &Written) -> Markup {
    html! {
        @if written.step == 0 {
            "so from the start on"
        } @else {
            "written at " (at(written.step)) ": " (written.action)
            @if let Some(message) = &written.message { " (" (message) ")" }
        }
    }
}

fn concerned(message: &Concerned) -> Markup {
    let Concerned { name, label, src, dst, says, history, differences, .. } = message;
    html! {
        a href=(format!("#{name}")) { (name) } " " (label) ", " (src) " → " (dst) ": "
        @if differences.is_empty() { (history) } @else {
            @for (index, difference) in differences.iter().enumerate() {
                @if index > 0 { ", and " }
                b { (difference) }
            }
        }
        ". It says: " code { (says) }
    }
}

/// Why the run can go on so for ever although nothing fair is put off for ever.
fn repeated(for_ever: &ForEver) -> Markup {
    let ForEver { stem, repeats, states, left_out } = for_ever;
    html! {
        @match repeats {
            None => {
                "After " (at(*stem)) " nothing happens any more unless something goes wrong or is \
                 asked from outside."
            },
            Some((first, last)) => {
                @if first == last { (at(*first)) " repeats" }
                @else { "steps " (first) " to " (last) " repeat" }
                ", and no fault is among them. "
                @match states {
                    Some(states) => {
                        "Whatever else may happen without faults and without anything from outside, \
                         the goal is reached in none of the " (states) " states that can follow."
                    },
                    None if left_out.is_empty() => {
                        "Nothing else is fair and would change something."
                    },
                    None => { "Fair and not among them: " (left_out.join("; ")) "." },
                }
            },
        }
    }
}

/// The last moment at which it could be avoided.
fn choice(story: &Story, choice: &LastChoice) -> Markup {
    html! {
        @match choice {
            LastChoice::At(last) => {
                h3 {
                    @match last.claim {
                        Claim::ForGood => "The last moment at which it could be avoided",
                        Claim::NextStep => "What would not have violated it at once",
                    }
                }
                ul { li { (avoided(story, last)) } }
            },
            LastChoice::Never => {
                h3 { "Could it be avoided?" }
                ul { li {
                    "No: whatever else happens without faults and without anything from outside, it \
                     comes to this from the start on."
                } }
            },
            LastChoice::NotKnown | LastChoice::None => {},
        }
    }
}

fn avoided(story: &Story, last: &LastSafe) -> Markup {
    let LastSafe { step, taken, enabled, safe, .. } = last;
    let mut told = safe.clone();
    told.truncate(SAFE_MAX);
    html! {
        "Before " (at(*step)) " " (enabled) " "
        @if *enabled == 1 { "thing" } @else { "things" }
        " could happen, and " (safe.len()) " would have kept the property: "
        (told.join("; "))
        @if safe.len() > SAFE_MAX { "; and " (safe.len() - SAFE_MAX) " more" }
        ". What happened: " (story.steps.get(step - 1).map_or(taken, |step| &step.what)) "."
    }
}
