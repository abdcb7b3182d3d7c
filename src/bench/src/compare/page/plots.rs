//! Which charts a page has.

use super::chart::{Axis, Curve, Scale, chart};
use crate::baselines::Design;
use crate::compare::cell::Cell;
use crate::compare::kept::Comparison;
use crate::compare::tally::STEP;
use maud::{Markup, html};

/// What a chart shows of a cell; nothing if there is nothing to show.
type Value = fn(&Cell) -> Option<f64>;

/// The charts over the number of schedulers: what they are about, their axis, and what they show.
const OVER_SCHEDULERS: [(&str, &str, Scale, Value); 5] = [
    ("Throughput", "accepted claims/s", Scale::Log, |cell| Some(cell.accepted_per_s)),
    ("Retries", "failed claims, % of requests", Scale::Linear, |cell| Some(cell.retried_percent)),
    ("Staleness", "p99 of age of what was wrong, ms", Scale::Log, |cell| {
        cell.staleness.map(|of| of.p99_us / 1000.0).filter(|ms| *ms > 0.0)
    }),
    ("Latency, half of all", "p50, ms", Scale::Log, |cell| Some(cell.latency.p50_us / 1000.0)),
    ("Latency, all but one of a hundred", "p99, ms", Scale::Log, |cell| {
        Some(cell.latency.p99_us / 1000.0)
    }),
];

/// A place in the grid: everything but schedulers and design.
type Place<'a> = (&'static str, u32, &'a str);

fn place(cell: &Cell) -> Place<'_> {
    (cell.setting.name(), cell.nodes, &cell.strategy)
}

/// The class of a design's colour.
fn class(design: &str) -> String {
    let place = Design::ALL.iter().position(|of| of.name() == design);
    place.map_or_else(String::new, |place| format!("d{place}"))
}

/// All charts.
pub(super) fn all(comparison: &Comparison) -> Markup {
    let cells: Vec<&Cell> = comparison.cells.iter().filter(|cell| cell.mix.is_none()).collect();
    let mut places: Vec<Place> = Vec::new();
    for cell in &cells {
        if !places.contains(&place(cell)) {
            places.push(place(cell));
        }
    }
    html! {
        @for (what, axis, scale, value) in OVER_SCHEDULERS {
            h2 { (what) }
            div.plots {
                @for of in &places { (over_schedulers(&cells, *of, (axis, scale), value)) }
            }
        }
        h2 { "Time lines" }
        div.plots { @for of in &places { (time_line(&cells, *of)) } }
        h2 { "Conflicts, beside the formula of ParSync" }
        p.note {
            "The formula is for N schedulers that each place K requests in the time in which views are "
            "out of date, on S free places: (N K - S + S (1 - K/S)" sup { "N" } ") / (N K). Here K is a "
            "scheduler's attempts in the median time from view to verdict, and S half of all places. It "
            "takes a place for free or not, at random; what differs from it is how a design chooses, how "
            "full the nodes are, and what a failed claim teaches."
        }
        div.plots { (parsync(&cells, "random")) (parsync(&cells, "spread")) (parsync(&cells, "pack")) }
    }
}

fn over_schedulers(
    cells: &[&Cell],
    of: Place,
    (axis, scale): (&'static str, Scale),
    value: Value,
) -> Markup {
    let here = cells.iter().filter(|cell| place(cell) == of);
    let mut counts: Vec<f64> = here.clone().map(|cell| f64::from(cell.schedulers)).collect();
    counts.sort_by(f64::total_cmp);
    counts.dedup();
    let curve = |design: &Design| {
        let of_design = here.clone().filter(|cell| cell.design == design.name());
        let point = |cell: &&Cell| Some((f64::from(cell.schedulers), value(cell)?));
        let mut points: Vec<(f64, f64)> = of_design.filter_map(point).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Curve { class: class(design.name()), points, line: true, dots: true }
    };
    let curves: Vec<Curve> = Design::ALL.iter().map(curve).collect();
    let axes = (Axis { name: "schedulers", scale: Scale::Log }, Axis { name: axis, scale });
    chart(&title(of), axes, &curves, &counts)
}

fn title((setting, nodes, strategy): Place) -> String {
    format!("{strategy}, {nodes} nodes, {setting}")
}

/// Accepted claims in each step of the run, of the cells with two schedulers.
fn time_line(cells: &[&Cell], of: Place) -> Markup {
    let here = cells.iter().filter(|cell| place(cell) == of && cell.schedulers == 2);
    let step = STEP.as_secs_f64();
    let curve = |cell: &&Cell| {
        let points = (0..).zip(&cell.timeline);
        let points =
            points.map(|(n, count)| (f64::from(n) * step + step, f64::from(*count) / step));
        let points = points.filter(|(_, rate)| *rate > 0.0).collect();
        Curve { class: class(&cell.design), points, line: true, dots: cell.timeline.len() < 3 }
    };
    let curves: Vec<Curve> = here.map(curve).collect();
    let axes = (
        Axis { name: "seconds", scale: Scale::Log },
        Axis { name: "accepted claims/s, 2 schedulers", scale: Scale::Log },
    );
    chart(&title(of), axes, &curves, &[])
}

/// The conflict fraction of every cell with one strategy, over the formula.
fn parsync(cells: &[&Cell], strategy: &str) -> Markup {
    let of_strategy = cells.iter().filter(|cell| cell.strategy == strategy && cell.schedulers > 1);
    let shown = |cell: &&&Cell| cell.parsync_percent > 0.0 && cell.conflict_percent > 0.0;
    let shown: Vec<&&Cell> = of_strategy.filter(shown).collect();
    let curve = |design: &Design| {
        let of_design = shown.iter().filter(|cell| cell.design == design.name());
        let points = of_design.map(|cell| (cell.parsync_percent, cell.conflict_percent)).collect();
        Curve { class: class(design.name()), points, line: false, dots: true }
    };
    let mut curves: Vec<Curve> = Design::ALL.iter().map(curve).collect();
    let values = shown.iter().flat_map(|cell| [cell.parsync_percent, cell.conflict_percent]);
    let (least, most) = values.fold((f64::MAX, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    if most > 0.0 {
        let points = vec![(least, least), (most, most)];
        curves.push(Curve { class: "dashed".to_owned(), points, line: true, dots: false });
    }
    let axes = (
        Axis { name: "formula, %", scale: Scale::Log },
        Axis { name: "measured conflicts, %", scale: Scale::Log },
    );
    chart(&format!("{strategy}, all sizes"), axes, &curves, &[])
}
