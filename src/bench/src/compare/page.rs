//! A comparison as one page that needs nothing else: tables, and plots in SVG.

mod chart;
mod plots;

use super::cell::{Cell, Share};
use super::kept::Comparison;
use super::report::{figure, millis};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page/style.css");

/// The page.
pub fn page(comparison: &Comparison) -> String {
    let machine = &comparison.machine;
    let grid = &comparison.grid;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { "The designs of 2016 and counterfoil, side by side" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "The designs of 2016 and counterfoil, side by side" }
                p.about {
                    (machine.cores) " cores of " (machine.processor) ", "
                    (machine.memory_mib >> 10) " GiB, " (machine.system) ". "
                    @if let Some(revision) = &machine.revision { "Revision " code { (revision) } ". " }
                    "Seed " (grid.seed) ", " (grid.window) " requests open at each scheduler, at most "
                    (grid.attempts_max) " attempts, " (comparison.cells.len()) " rows. "
                    @if !comparison.complete { strong { "Not complete." } }
                }
                (legend())
                (findings(comparison))
                (plots::all(comparison))
                h2 { "What schedulers spend their time on" }
                (spent(comparison))
                h2 { "All rows" }
                (rows(comparison))
            }
        }
    };
    page.into_string()
}

fn legend() -> Markup {
    html! {
        ul.legend {
            @for (place, design) in crate::baselines::Design::ALL.iter().enumerate() {
                li { span class={ "key d" (place) } {} (design) }
            }
        }
    }
}

fn findings(comparison: &Comparison) -> Markup {
    let found = &comparison.findings;
    let compared = found.retries.fewer + found.retries.not_fewer.len() as u64;
    let claimed = [("shared for one of filter, claimed 5.1", &found.shared_for_filter)];
    let ours = found.counterfoil_for.iter();
    let ours = ours.map(|(design, ratios)| (format!("counterfoil for one of {design}"), ratios));
    let all = claimed.into_iter().map(|(what, ratios)| (what.to_owned(), ratios)).chain(ours);
    html! {
        h2 { "Accepted claims, as ratios, at 1,000 nodes" }
        table {
            tr { th { "what" } th { "setting" } th { "schedulers" } th { "strategy" } th { "times" } }
            @for (what, ratio) in all.flat_map(|(what, of)| of.iter().map(move |r| (what.clone(), r))) {
                tr {
                    td { (what) }
                    td { (ratio.setting.name()) }
                    td.figure { (ratio.schedulers) }
                    td { (ratio.strategy) }
                    td.figure { (figure(ratio.times)) @if ratio.cut { " *" } }
                }
            }
        }
        @if compared > 0 {
            p {
                "Fewer retries than shared (2016), or none: in " (found.retries.fewer) " of "
                (compared) " cells."
                @for key in &found.retries.not_fewer { br; "Not in " code { (key) } }
            }
        }
        @for key in &found.overcommitted { p { strong { "Overcommitted: " (key) } } }
        p.note { "* one of the two was cut off at its time limit, on emptier nodes than a whole run." }
    }
}

/// What time goes to, for the cells at the largest number of nodes and two schedulers.
fn spent(comparison: &Comparison) -> Markup {
    let nodes = comparison.cells.iter().map(|cell| cell.nodes).max().unwrap_or_default();
    let shown = |cell: &&Cell| cell.nodes == nodes && cell.schedulers == 2 && cell.share.is_some();
    html! {
        table {
            tr {
                th { "setting" } th { "strategy" } th { "design" } th { "view" } th { "decision" }
                th { "claim in a database" } th { "messages" } th { "idle" }
            }
            @for cell in comparison.cells.iter().filter(shown) {
                tr {
                    td { (cell.setting.name()) }
                    td { (cell.strategy) }
                    td { (cell.design) }
                    @for part in parts(cell.share.unwrap_or_default()) {
                        td.figure { (format!("{part:.1} %")) }
                    }
                }
            }
        }
    }
}

fn parts(share: Share) -> [f64; 5] {
    let Share { view, decision, claim, messages, idle } = share;
    [view, decision, claim, messages, idle]
}

fn rows(comparison: &Comparison) -> Markup {
    html! {
        div.wide { table {
            tr {
                @for name in [
                    "setting", "nodes", "schedulers", "strategy", "design", "accepted/s", "success",
                    "no valid host", "exhausted", "retried %", "conflict %", "latency p50 ms",
                    "p99 ms", "stale p50 ms", "p99 ms", "messages/request", "wall s",
                ] { th { (name) } }
            }
            @for cell in &comparison.cells {
                tr {
                    td { (cell.setting.name()) }
                    td.figure { (cell.nodes) }
                    td.figure { (cell.schedulers) }
                    td { (cell.strategy) }
                    td { (cell.design) @if cell.mix.is_some() { " (mixed)" } @if cell.cut { " *" } }
                    td.figure { (figure(cell.accepted_per_s)) }
                    td.figure { (cell.success) }
                    td.figure { (cell.no_valid_host) }
                    td.figure { (cell.exhausted + cell.unanswered) }
                    td.figure { (figure(cell.retried_percent)) }
                    td.figure { (figure(cell.conflict_percent)) }
                    td.figure { (millis(Some(cell.latency.p50_us))) }
                    td.figure { (millis(Some(cell.latency.p99_us))) }
                    td.figure { (millis(cell.staleness.map(|of| of.p50_us))) }
                    td.figure { (millis(cell.staleness.map(|of| of.p99_us))) }
                    td.figure { (figure(cell.messages_per_request)) }
                    td.figure { (figure(cell.wall_s)) }
                }
            }
        } }
    }
}

#[cfg(test)]
mod tests;
