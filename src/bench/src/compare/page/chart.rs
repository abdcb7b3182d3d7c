//! A chart: curves over two axes.

use maud::{Markup, html};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 34.0;

/// How an axis divides its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly, from 0.
    Linear,
    /// Each factor as long as the same factor elsewhere.
    Log,
}

/// An axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) name: &'static str,
    pub(super) scale: Scale,
}

/// A curve, and whether there is a dot at each point.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Classes of the style.
    pub(super) class: String,
    /// In the order of the first axis.
    pub(super) points: Vec<(f64, f64)>,
    pub(super) line: bool,
    pub(super) dots: bool,
}

/// From the smallest to the largest value that an axis shows.
#[derive(Clone, Copy, Debug)]
struct Extent {
    from: f64,
    to: f64,
    scale: Scale,
}

impl Extent {
    fn of(values: impl Iterator<Item = f64>, scale: Scale) -> Extent {
        let shown =
            values.filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0));
        let (least, most) = shown.fold((f64::MAX, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
        match scale {
            Scale::Linear => {
                Extent { from: 0.0, to: if most > 0.0 { most * 1.05 } else { 1.0 }, scale }
            }
            Scale::Log if most > 0.0 => Extent { from: least / 1.3, to: most * 1.3, scale },
            Scale::Log => Extent { from: 1.0, to: 10.0, scale },
        }
    }

    /// Where a value is, from 0 to 1.
    fn place(self, value: f64) -> f64 {
        let Extent { from, to, scale } = self;
        let place = match scale {
            Scale::Linear => (value - from) / (to - from),
            Scale::Log => (value.max(from) / from).ln() / (to / from).ln(),
        };
        place.clamp(0.0, 1.0)
    }

    /// Values that are named at the axis: round ones.
    fn ticks(self) -> Vec<f64> {
        let Extent { from, to, scale } = self;
        match scale {
            Scale::Linear => {
                let rough = to / 5.0;
                let decade = 10_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|of| of * decade);
                let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
                (0..).map(|count| f64::from(count) * step).take_while(|tick| *tick <= to).collect()
            }
            Scale::Log => {
                let decades = (from.log10().floor() as i32)..=(to.log10().ceil() as i32);
                let few = decades.clone().count() <= 3;
                let of = if few { &[1.0, 2.0, 5.0][..] } else { &[1.0][..] };
                let ticks =
                    decades.flat_map(|decade| of.iter().map(move |n| n * 10_f64.powi(decade)));
                ticks.filter(|tick| (from..=to).contains(tick)).collect()
            }
        }
    }
}

/// A value, short.
fn label(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", trim(v / 1e6)),
        v if v >= 1e3 => format!("{}k", trim(v / 1e3)),
        v => trim(v),
    }
}

fn trim(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The chart, with what it is about above it. `named` are the values that the first axis names, if not
/// round ones.
pub(super) fn chart(title: &str, (x, y): (Axis, Axis), curves: &[Curve], named: &[f64]) -> Markup {
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    let across = Extent::of(points().map(|point| point.0), x.scale);
    let up = Extent::of(points().map(|point| point.1), y.scale);
    let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let at = |(a, b): (f64, f64)| (LEFT + wide * across.place(a), TOP + high * (1.0 - up.place(b)));
    let path = |curve: &Curve| {
        let points = curve.points.iter().map(|point| {
            let (a, b) = at(*point);
            format!("{a:.1},{b:.1}")
        });
        points.collect::<Vec<_>>().join(" ")
    };
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let ticks = if named.is_empty() { across.ticks() } else { named.to_vec() };
    html! {
        figure {
            h3 { (title) }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
                @for tick in up.ticks() {
                    @let (_, height) = at((0.0, tick));
                    line.grid x1=(LEFT) x2=(right) y1=(format!("{height:.1}")) y2=(format!("{height:.1}")) {}
                    text x=(LEFT - 5.0) y=(format!("{:.1}", height + 3.5)) text-anchor="end" { (label(tick)) }
                }
                @for tick in ticks {
                    @let (along, _) = at((tick, 0.0));
                    text x=(format!("{along:.1}")) y=(bottom + 14.0) text-anchor="middle" { (label(tick)) }
                }
                line.axis x1=(LEFT) x2=(right) y1=(bottom) y2=(bottom) {}
                text x=(right) y=(HEIGHT - 6.0) text-anchor="end" { (x.name) }
                text x=(LEFT) y=(TOP - 9.0) { (y.name) }
                @for curve in curves {
                    @if curve.line {
                        polyline class={ "curve " (curve.class) } points=(path(curve)) {}
                    }
                    @if curve.dots {
                        @for point in &curve.points {
                            @let (along, height) = at(*point);
                            circle class={ "dot " (curve.class) } r="3.2"
                                cx=(format!("{along:.1}")) cy=(format!("{height:.1}")) {
                                title { (label(point.0)) ", " (label(point.1)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_name_round_values_within_what_they_show() {
        let linear = Extent::of([3.0, 97.0].into_iter(), Scale::Linear);
        assert_eq!(linear.ticks(), [0.0, 50.0, 100.0]);
        let log = Extent::of([30.0, 9000.0].into_iter(), Scale::Log);
        assert_eq!(log.ticks(), [100.0, 1000.0, 10_000.0]);
        assert!(log.place(30.0) < log.place(300.0) && log.place(9000.0) <= 1.0);
    }

    #[test]
    fn values_are_named_shortly() {
        assert_eq!([0.05, 1.0, 1500.0, 2e6].map(label), ["0.05", "1", "1.5k", "2M"]);
    }
}
