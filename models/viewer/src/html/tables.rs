//! Everything in words: the steps, the messages, the words themselves.

use super::code;
use crate::story::{Sort, Story, Verdict};
use crate::svg::LINES_MAX;
use maud::{Markup, html};

pub(super) fn steps(story: &Story) -> Markup {
    let violated = match &story.verdict {
        Verdict::Violated { step, .. } => Some(*step),
        Verdict::Holds { .. } | Verdict::Diverged { .. } => None,
    };
    html! {
        section #steps aria-labelledby="h-steps" {
            h2 #h-steps { "Every step" }
            p.hint {
                "In the last column: " b { "~" } " another value, " b { "+" } " new, " b { "-" }
                " gone. Values that the violation names stand first and are bold."
            }
            div.scroll tabindex="0" role="group" aria-labelledby="h-steps" {
                table {
                    caption { "Every step of the run, in order" }
                    thead {
                        tr { th scope="col" { "step" } th scope="col" { "who" }
                             th scope="col" { "what happened" } th scope="col" { "what changed" } }
                    }
                    tbody {
                        tr id="step=0" { th scope="row" { "0" } td {} td { "at the start: " (story.start) (sent(story, 0)) } td {} }
                        @for (index, step) in story.steps.iter().enumerate() {
                            @let number = index + 1;
                            tr id=(format!("step={number}")) class=[(violated == Some(number)).then_some("bad")] {
                                th scope="row" {
                                    (number)
                                    @if violated == Some(number) { " ✗" span.hidden { " violated" } }
                                    @if story.back_to.is_some_and(|back| number > back) { " ↺" span.hidden { " repeats for ever" } }
                                }
                                td { (step.actor.as_deref().unwrap_or("")) }
                                td {
                                    (tag(step.sort)) (step.what)
                                    @if !step.decisions.is_empty() {
                                        span.note { (step.decisions.join(", ")) }
                                    }
                                    @for note in &step.notes { span.note { (note) } }
                                    (sent(story, number))
                                }
                                td { (changes(step)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a step is, if it is not what happens when nothing goes wrong.
pub(super) fn tag(sort: Sort) -> Markup {
    html! {
        @match sort {
            Sort::Fault => { span.tag.fault { "fault" } " " },
            Sort::Early => { span.tag.fault title=(EARLY) { "early timer" } " " },
            Sort::Outside => { span.tag { "from outside" } " " },
            Sort::Fair => {},
        }
    }
}

/// What an early timer is.
const EARLY: &str = "It fires before its time, while all is well. The bounds say how \
                                often one may, as of a fault.";

fn changes(step: &crate::story::Step) -> Markup {
    let telling = step.changes.iter().filter(|change| !change.bookkeeping || change.named).count();
    let (first, rest) = step.changes.split_at(telling.min(LINES_MAX));
    let list = |changes: &[crate::story::Change]| {
        html! {
            @for change in changes {
                li class=[change.named.then_some("named")] { (code(&change.to_string())) }
            }
        }
    };
    html! {
        @if !first.is_empty() { ul.changes { (list(first)) } }
        @if !rest.is_empty() {
            details { summary { (rest.len()) " more" @if telling <= LINES_MAX { ", bookkeeping" } } ul.changes { (list(rest)) } }
        }
    }
}

/// The messages that a step sent.
fn sent(story: &Story, step: usize) -> Markup {
    let all: Vec<&crate::story::Message> =
        story.messages.iter().filter(|message| message.sent == step).collect();
    html! {
        @if !all.is_empty() {
            span.note {
                "sends "
                @for (index, message) in all.iter().enumerate() {
                    @if index > 0 { ", " }
                    a href=(format!("#{}", message.name)) { (message.name) }
                    " (" (message.label) @if let Some(request) = &message.about { " " (request) } " to " (story.actors[message.dst].name) ")"
                }
            }
        }
    }
}

pub(super) fn messages(story: &Story) -> Markup {
    html! {
        section #messages aria-labelledby="h-messages" {
            h2 #h-messages { "Every message" }
            div.scroll tabindex="0" role="group" aria-labelledby="h-messages" {
                table {
                    caption { "Every message of the run, in the order of sending" }
                    thead {
                        tr { th scope="col" { "message" } th scope="col" { "way" }
                             th scope="col" { "what became of it" } th scope="col" { "what it says" } }
                    }
                    tbody {
                        @for message in &story.messages {
                            tr id=(message.name) {
                                th scope="row" {
                                    (message.name) " " (message.label)
                                    @if let Some(request) = &message.about { " " (request) }
                                }
                                td { (story.actors[message.src].name) " → " (story.actors[message.dst].name) }
                                td { (message.told.split_once(": ").map_or("", |(_, told)| told)) }
                                td { (code(&message.text)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn words(story: &Story) -> Markup {
    html! {
        section #words aria-labelledby="h-words" {
            h2 #h-words { "Words" }
            dl.words {
                @for term in &story.terms { div { dt { (term.word) } dd { (term.meaning) } } }
            }
        }
    }
}
