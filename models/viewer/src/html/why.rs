//! Why the property is violated, first of all.

use super::code;
use super::tables::tag;
use crate::story::glossary::one_word;
use crate::story::{Choice, Story};
use counterfoil_world::choices::{Claim, LastSafe, Leads};
use counterfoil_world::why::{
    Concerned, Difference, Effect, ForEver, How, LastChoice, Link, Origin, Verdict, Why, Written,
};
use maud::{Markup, html};

/// How many safe choices are told of, where there are many.
const SAFE_MAX: usize = 5;

/// Up to how many choices all are told.
const CHOICES_MAX: usize = 9;

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
        @if !why.chain.links.is_empty() {
            h3 { "How it comes to that" }
            @if why.chain.more > 0 {
                p { "Further back it rests on " (why.chain.more) " more: " a href="#steps" { "every step" } "." }
            }
            ol.chain { @for link in &why.chain.links { (linked(story, why, link)) } }
        }
        h3 { "What should be true" @if let Some(step) = why.step { " after " (at(step)) } ", and is false" }
        ul { li { (why.clause) } }
        @if !why.facts.is_empty() {
            h3 { "The values in that" }
            ul { @for origin in &why.facts { li { (fact(origin)) } } }
        }
        @if !telling.is_empty() {
            h3 { "Messages that went another way, as messages may" }
            ul { @for message in telling { li { (concerned(message)) } } }
        }
        @if let Some(for_ever) = &why.for_ever {
            h3 { "Why it stays so for ever" }
            ul { li { (repeated(for_ever)) } }
        }
        (choice(story, &why.choice))
        details {
            summary { "In one sentence" @if !others.is_empty() { ", and the other messages that arrived at these steps" } }
            p { (why.sentence) }
            ul { @for message in others { li { (concerned(message)) } } }
        }
    }
}

/// A step that the violation rests on, and what it did to that.
fn linked(story: &Story, why: &Why, link: &Link) -> Markup {
    let of = |how: How| {
        let places: Vec<&Effect> = link.effects.iter().filter(|e| e.how == how).collect();
        (!places.is_empty()).then_some(places)
    };
    html! {
        li.bad[why.step == Some(link.step)] {
            (at(link.step)) " "
            (tag(story.steps[link.step - 1].sort)) b { (link.action) }
            @if !link.decisions.is_empty() { ": " (link.decisions.join(", ")) }
            @for (how, says) in [(How::Came, "writes "), (How::Changed, "changes ")] {
                @if let Some(effects) = of(how) { "; " (says) (places(&effects)) }
            }
            @if let Some(effects) = of(How::Went) { "; " b { "loses" } " " (places(&effects)) }
            @if !link.sends.is_empty() {
                "; sends "
                @for (index, name) in link.sends.iter().enumerate() {
                    @if index > 0 { ", " }
                    a href=(format!("#{name}")) { (name) }
                }
            }
        }
    }
}

/// Values, each with the step that had written it.
fn places(effects: &[&Effect]) -> Markup {
    html! {
        @for (index, effect) in effects.iter().enumerate() {
            @if index > 0 { ", " }
            (code(&one_word(&effect.place)))
            @match effect.since {
                Some(0) => " (there from the start)",
                Some(step) => { " (of " (at(step)) ")" },
                None => {},
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
    let Origin { fact, shown, place, written, entries, passages } = origin;
    html! {
        b { (fact.name) " = " (shown) }
        @if place.is_empty() {
            " — what truly happened: the checker keeps it, and no actor knows it"
        } @else {
            " — " (code(&one_word(place)))
            @if !passages.is_empty() {
                @for (index, (step, how)) in passages.iter().enumerate() {
                    @if index == 0 { ": " } @else { ", " }
                    @match how { How::Went => "gone at ", How::Came | How::Changed => "new at " }
                    (at(*step))
                }
            } @else if entries.is_empty() {
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
        ". It says: " (code(says))
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

/// The last moment at which the violation could be avoided.
fn choice(story: &Story, choice: &LastChoice) -> Markup {
    html! {
        @match choice {
            LastChoice::At(last) => {
                h3 {
                    @match last.claim {
                        Claim::ForGood => "The last moment at which that could be avoided",
                        Claim::NextStep => "What would not have violated it at once",
                    }
                }
                ul { li { (avoided(story, last)) } }
            },
            LastChoice::Never => {
                h3 { "Could that be avoided?" }
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
    let rank = |leads: Leads, taken: bool| match (taken, leads) {
        (true, _) => 1,
        (false, Leads::Safe | Leads::Unknown) => 0,
        (false, Leads::Doomed | Leads::Violates) => 2,
    };
    let mut all: Vec<(&Choice, Leads, bool)> = story.choices_at(step - 1).collect();
    all.sort_by_key(|(_, leads, taken)| rank(*leads, *taken));
    html! {
        "Before " (at(*step)) ", " (enabled) " "
        @if *enabled == 1 { "thing" } @else { "things" }
        " could happen; " (safe.len()) " would have kept the property"
        @if all.len() > CHOICES_MAX || all.iter().any(|(_, leads, _)| *leads == Leads::Unknown) {
            ": " (safe.iter().take(SAFE_MAX).cloned().collect::<Vec<_>>().join("; "))
            @if safe.len() > SAFE_MAX { "; and " (safe.len() - SAFE_MAX) " more" }
            ". What happened: " (story.steps.get(step - 1).map_or(taken, |step| &step.what)) "."
        } @else {
            ":"
            ul.choices {
                @for (choice, leads, taken) in all {
                    @let what = if taken { &story.steps[step - 1].what } else { &choice.what };
                    (chosen(choice, what, leads, taken))
                }
            }
        }
    }
}

/// Something that could have happened, and what it would have come to.
fn chosen(choice: &Choice, what: &str, leads: Leads, taken: bool) -> Markup {
    let (sign, says) = match leads {
        Leads::Safe => ("✓", "keeps the property"),
        Leads::Violates => ("✗", "violates it"),
        Leads::Doomed => ("!", "leads to the violation"),
        Leads::Unknown => ("·", "does not violate it at once"),
    };
    html! {
        li {
            span.sign { (sign) } " " (tag(choice.sort)) (what)
            @if taken { " — " b { "this happened" } } @else { " — " (says) }
        }
    }
}
