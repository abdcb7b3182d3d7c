//! The space-time diagram on a page: a drawing, with words beside it.

use crate::story::{Sort, Story, Verdict};
use crate::svg::{self, Layout};
use maud::{Markup, html};

/// What the lines mean, with the classes and the path of an example each.
const LINES: [(&str, &str, &str); 5] = [
    ("delivered", "arrived", "M2 8H34"),
    ("overtook", "arrived before one sent earlier", "M2 8q3 -5 6 0t6 0t6 0t6 0t6 0"),
    ("copy", "a copy arrived", "M2 6H32M2 10H32"),
    ("lost", "lost", "M2 8H30"),
    ("flying", "in flight at the end", "M2 8H30"),
];

pub(super) fn section(story: &Story, layout: &Layout) -> Markup {
    html! {
        section #diagram aria-labelledby="h-diagram" {
            h2 #h-diagram { "What happened" }
            (legend(story))
            (strip(story))
            div.scroll tabindex="0" role="group" aria-labelledby="h-diagram" {
                div.heads {
                    svg width=(layout.width) height=(svg::heads_height()) aria-hidden="true" {
                        (svg::heads(story, layout))
                    }
                }
                div.time {
                    svg #drawing width=(layout.width) height=(layout.height) role="img"
                        aria-labelledby="drawn described" {
                        title #drawn { (story.headline()) }
                        desc #described { (svg::description(story)) }
                        rect #now width="100%" height="0" {}
                        (svg::drawing(story, layout))
                    }
                    ol.words { (words(story, layout)) }
                }
            }
        }
    }
}

fn words(story: &Story, layout: &Layout) -> Markup {
    html! {
        @for (state, row) in layout.rows.iter().enumerate() {
            @let is_step = state <= story.steps.len();
            @let bad = matches!(story.verdict, Verdict::Violated { step, .. } if step == state);
            li class=(format!("r{}{}", row.lines, if bad { " bad" } else { "" }))
                data-step=[is_step.then_some(state)] {
                @if is_step && state > 0 {
                    a href=(format!("#step={state}")) { span.hidden { "step " (state) ": " } (row.title) }
                } @else {
                    span { (row.title) }
                }
                @for more in &row.more {
                    span class=(more.class) {
                        span { (more.text) }
                        @if more.rest > 0 { span.rest { "+" (more.rest) " more" } }
                    }
                }
            }
        }
    }
}

/// What the lines in the drawing mean: those that are there.
fn legend(story: &Story) -> Markup {
    let is_there = |class: &str| {
        story.messages.iter().any(|message| match class {
            "copy" => !message.copies.is_empty(),
            "lost" => matches!(message.fate, "lost" | "nobody left"),
            "flying" => message.at.is_none() || message.fate == "without effect",
            other => message.fate == other,
        })
    };
    let is_any = |sort: Sort| story.steps.iter().any(|step| step.sort == sort);
    html! {
        ul.legend aria-label="what the signs mean" {
            @for (class, says, d) in LINES {
                @if is_there(class) {
                    li {
                        svg width="46" height="16" aria-hidden="true" {
                            g class=(class) {
                                path.stroke d=(d) {}
                                @match class {
                                    "lost" => path.cross d="M28 3l10 10m0 -10l-10 10" {},
                                    "flying" => path.hollow d="M40 8l-9 -4.5v9z" {},
                                    _ => path.tip d="M42 8l-9 -4.5v9z" {},
                                }
                            }
                        }
                        " " (says)
                    }
                }
            }
            (sign(html! { circle.event cx="10" cy="10" r="5" {} }, "step"))
            @if is_any(Sort::Outside) {
                (sign(html! { circle.event.outside cx="10" cy="10" r="5" {} }, "asked from outside"))
            }
            @if is_any(Sort::Fault) || is_any(Sort::Early) {
                @let says = if is_any(Sort::Early) { "fault, or a timer before its time" } else { "fault" };
                (sign(html! { path.event.fault d="M10 3l7 7l-7 7l-7 -7z" {} }, says))
            }
            @if story.actors.iter().any(|lane| !lane.restarts.is_empty()) {
                (sign(html! { path.lane d="M10 0V5M4 5H16M4 15H16M10 15V20" {} }, "a life ends, the next begins"))
            }
            @if let Verdict::Violated { .. } = story.verdict {
                (sign(html! { circle.ring cx="10" cy="10" r="8" {} }, "✗ violated here"))
            }
            li.scripted { "▸ chosen: its messages are thick" }
        }
    }
}

/// A sign, and what it means.
fn sign(drawn: Markup, says: &str) -> Markup {
    html! {
        li { svg width="20" height="20" aria-hidden="true" { (drawn) } " " (says) }
    }
}

/// At which steps the property is kept.
fn strip(story: &Story) -> Markup {
    let mut spans: Vec<(usize, usize, bool)> = Vec::new();
    for (state, kept) in story.kept.iter().enumerate() {
        match spans.last_mut() {
            Some((_, last, same)) if same == kept => *last = state,
            Some(_) | None => spans.push((state, state, *kept)),
        }
    }
    let all = story.kept.len().max(1) as f64;
    let words = |kept: bool| match (story.kind, kept) {
        (counterfoil_world::trace::Kind::Safety, true) => "✓ kept",
        (counterfoil_world::trace::Kind::Safety, false) => "✗ violated",
        (counterfoil_world::trace::Kind::Liveness, true) => "✓ true",
        (counterfoil_world::trace::Kind::Liveness, false) => "… not true",
    };
    let range = |from: usize, to: usize| match from == to {
        true => format!("{from}"),
        false => format!("{from}–{to}"),
    };
    let said: Vec<String> = spans
        .iter()
        .map(|(from, to, kept)| format!("{} after {}", words(*kept), range(*from, *to)))
        .collect();
    html! {
        p.strip {
            svg #strip width="240" height="14" viewBox="0 0 240 14" preserveAspectRatio="none"
                aria-hidden="true" {
                @for (from, to, kept) in &spans {
                    @let x = *from as f64 / all * 240.0;
                    @let wide = (*to + 1 - *from) as f64 / all * 240.0;
                    rect class=(if *kept { "kept" } else { "broken" }) x=(format!("{x:.1}")) y="2"
                        width=(format!("{wide:.1}")) height="10" {}
                }
                path #tick d="M0 0V14" {}
            }
            " " code { (story.property) } " " (said.iter().take(6).cloned().collect::<Vec<_>>().join(" · "))
            @if said.len() > 6 { " · …" }
        }
    }
}
