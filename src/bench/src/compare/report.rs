//! A comparison as a table for people, and as rows for other programs.

use super::cell::{Cell, Quantiles, Share};
use super::kept::Comparison;
use std::fmt::Write;

/// The columns of a table: a name, and what stands there. Text is on the left, figures on the right.
type Column = (&'static str, fn(&Cell) -> String);

const COLUMNS: [Column; 16] = [
    ("setting", |cell| cell.setting.name().to_owned()),
    ("nodes", |cell| cell.nodes.to_string()),
    ("sched", |cell| cell.schedulers.to_string()),
    ("strategy", |cell| cell.strategy.clone()),
    ("design", design),
    ("accepted/s", |cell| figure(cell.accepted_per_s)),
    ("success", |cell| cell.success.to_string()),
    ("no host", |cell| cell.no_valid_host.to_string()),
    ("exhausted", |cell| (cell.exhausted + cell.unanswered).to_string()),
    ("retried %", |cell| figure(cell.retried_percent)),
    ("conflict %", |cell| figure(cell.conflict_percent)),
    ("p50 ms", |cell| millis(Some(cell.latency.p50_us))),
    ("p99 ms", |cell| millis(Some(cell.latency.p99_us))),
    ("stale p99 ms", |cell| millis(cell.staleness.map(|of| of.p99_us))),
    ("msg/req", |cell| figure(cell.messages_per_request)),
    ("view+decide+claim+msg+idle %", |cell| cell.share.map_or_else(|| "-".to_owned(), shares)),
];

/// The design, marked if the cell was cut off.
fn design(cell: &Cell) -> String {
    let mark = if cell.cut { " *" } else { "" };
    let mix = if cell.mix.is_some() { " (mixed)" } else { "" };
    format!("{}{mix}{mark}", cell.design)
}

/// A figure with as many digits as it deserves.
pub(super) fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Microseconds as milliseconds.
pub(super) fn millis(micros: Option<f64>) -> String {
    micros.map_or_else(|| "-".to_owned(), |micros| figure(micros / 1000.0))
}

fn shares(share: Share) -> String {
    let Share { view, decision, claim, messages, idle } = share;
    [view, decision, claim, messages, idle].map(|part| format!("{part:.0}")).join("+")
}

/// The rows side by side.
pub fn table(comparison: &Comparison) -> String {
    let mut rows: Vec<Vec<String>> = vec![COLUMNS.map(|(name, _)| name.to_owned()).to_vec()];
    rows.extend(comparison.cells.iter().map(|cell| COLUMNS.map(|(_, of)| of(cell)).to_vec()));
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut text = String::new();
    let mut last: Option<&Cell> = None;
    for (place, row) in rows.iter().enumerate() {
        let cell = place.checked_sub(1).map(|place| &comparison.cells[place]);
        if cell.zip(last).is_some_and(|(cell, last)| group(cell) != group(last)) {
            text.push('\n');
        }
        last = cell.or(last);
        let mut line = String::new();
        for (column, (value, width)) in row.iter().zip(&widths).enumerate() {
            let left = matches!(column, 0 | 3 | 4);
            let _ = if left {
                write!(line, "{value:<width$}  ")
            } else {
                write!(line, "{value:>width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if comparison.cells.iter().any(|cell| cell.cut) {
        text.push_str("\n* cut off at its time limit, on emptier nodes than a whole run\n");
    }
    text.push_str(&findings(comparison));
    text
}

/// Rows of one group stand together.
fn group(cell: &Cell) -> (&str, u32, &str, u32, bool) {
    let alone = if cell.mix.is_some() { 0 } else { cell.schedulers };
    (cell.setting.name(), cell.nodes, &cell.strategy, alone, cell.mix.is_some())
}

/// What the cells say together, in words.
fn findings(comparison: &Comparison) -> String {
    let mut text = String::new();
    let found = &comparison.findings;
    for (what, ratios) in std::iter::once(("shared for one of filter", &found.shared_for_filter))
        .chain(found.counterfoil_for.iter().map(|(design, ratios)| (design.as_str(), ratios)))
    {
        let what = match what {
            "shared for one of filter" => what.to_owned(),
            design => format!("counterfoil for one of {design}"),
        };
        for ratio in ratios {
            let mark = if ratio.cut { " *" } else { "" };
            let _ = writeln!(
                text,
                "{what}, 1000 nodes, {} schedulers, {}, {}: {} times{mark}",
                ratio.schedulers,
                ratio.strategy,
                ratio.setting.name(),
                figure(ratio.times)
            );
        }
    }
    let compared = found.retries.fewer + found.retries.not_fewer.len() as u64;
    if compared > 0 {
        let _ = writeln!(
            text,
            "fewer retries than shared (2016), or none: in {} of {compared} cells",
            found.retries.fewer
        );
        for key in &found.retries.not_fewer {
            let _ = writeln!(text, "  not in {key}");
        }
    }
    for key in &found.overcommitted {
        let _ = writeln!(text, "overcommitted: {key}");
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// The rows, separated by commas, with all that a cell has but its time line.
pub fn csv(comparison: &Comparison) -> String {
    let mut text = String::new();
    for cell in &comparison.cells {
        let row = flat(cell);
        if text.is_empty() {
            let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            text.push_str(&names.join(","));
            text.push('\n');
        }
        let values: Vec<&str> = row.iter().map(|(_, value)| value.as_str()).collect();
        text.push_str(&values.join(","));
        text.push('\n');
    }
    text
}

/// The fields of a cell and of what is in it, in the order of the cell. Every cell has the same.
fn flat(cell: &Cell) -> Vec<(String, String)> {
    let (quantiles, share) = (Some(Quantiles::default()), Some(Share::default()));
    let full = Cell {
        on_the_way: cell.on_the_way.or(quantiles),
        staleness: cell.staleness.or(quantiles),
        share: cell.share.or(share),
        nodes_share: cell.nodes_share.or(share),
        ..cell.clone()
    };
    let (form, own) = (form(&full), form(cell));
    let mut flat = Vec::new();
    for (name, value) in form.as_object().expect("a cell has fields") {
        if let Some(fields) = value.as_object() {
            let word = |field: &String| (format!("{name}_{field}"), word(&own[name][field]));
            flat.extend(fields.keys().map(word));
        } else if !value.is_array() {
            flat.push((name.clone(), word(&own[name])));
        }
    }
    flat
}

fn form(cell: &Cell) -> serde_json::Value {
    serde_json::to_value(cell).expect("a cell has a form")
}

/// A value as a field of a row: no name that is ever in one has a comma.
fn word(value: &serde_json::Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| if value.is_null() { String::new() } else { value.to_string() })
}

#[cfg(test)]
pub(super) mod tests;
