//! The lines of messages. Each fate has a line of its own, so that none is told by colour alone:
//! plain, a wave, double, ending in a cross, dashed with a hollow head.

use maud::{Markup, html};

/// How far from the middle of a lane a head ends.
const TIP: f64 = 6.0;

/// A place in a drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    x: f64,
    y: f64,
}

/// The name of a message beside its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label<'a> {
    /// The name, if it is told.
    pub(super) text: Option<&'a str>,
    /// Whether it is told at the start of a long line, too.
    pub(super) twice: bool,
}

impl Point {
    /// On a lane, at the height of a row.
    pub(super) fn at(x: u32, y: u32) -> Point {
        Point { x: f64::from(x), y: f64::from(y) }
    }

    /// The way from here to there: its length, and how far it goes right and down in each unit.
    fn way(self, to: Point) -> (f64, f64, f64) {
        let (x, y) = (to.x - self.x, to.y - self.y);
        let length = x.hypot(y).max(1.0);
        (length, x / length, y / length)
    }

    /// A place so far along the way to `to`, and so far beside it.
    fn along(self, to: Point, far: f64, beside: f64) -> Point {
        let (_, x, y) = self.way(to);
        Point { x: self.x + x * far - y * beside, y: self.y + y * far + x * beside }
    }
}

/// The head of an arrow that ends at `tip`.
fn head(from: Point, tip: Point, class: &str) -> Markup {
    let length = from.way(tip).0;
    let (one, other) = (from.along(tip, length - 9.0, 4.5), from.along(tip, length - 9.0, -4.5));
    let d = format!(
        "M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}z",
        tip.x, tip.y, one.x, one.y, other.x, other.y
    );
    html! { path class=(class) d=(d) {} }
}

/// The name of a message beside its line: near the end, with what arrives there, and near the start of
/// a long one.
fn names(from: Point, to: Point, name: Label<'_>, what: &str) -> Markup {
    const LONG: f64 = 260.0;
    let length = from.way(to).0;
    let side = if to.x > from.x { -10.0 } else { 10.0 };
    let near_end = from.along(to, (length - 30.0).max(length / 2.0), side);
    let near_start = from.along(to, 40.0, side);
    html! {
        @if let Some(text) = name.text {
            text x=(format!("{:.1}", near_end.x)) y=(format!("{:.1}", near_end.y + 4.0)) {
                (text) @if !what.is_empty() { " " (what) }
            }
            @if name.twice && length > LONG {
                text x=(format!("{:.1}", near_start.x))
                    y=(format!("{:.1}", near_start.y + 4.0)) { (text) }
            }
        }
    }
}

fn straight(class: &str, from: Point, to: Point) -> Markup {
    html! {
        line class=(class) x1=(format!("{:.1}", from.x)) y1=(format!("{:.1}", from.y))
            x2=(format!("{:.1}", to.x)) y2=(format!("{:.1}", to.y)) {}
    }
}

/// The end of a line that reaches a lane.
fn tip(from: Point, to: Point) -> Point {
    let length = from.way(to).0;
    from.along(to, length - TIP, 0.0)
}

/// It arrived.
pub(super) fn delivered(from: Point, to: Point, name: Label<'_>) -> Markup {
    let end = tip(from, to);
    html! {
        g.delivered { (straight("stroke", from, end)) (head(from, end, "tip")) (names(from, to, name, "")) }
    }
}

/// It arrived before one that was sent earlier: a wave.
pub(super) fn overtook(from: Point, to: Point, name: Label<'_>) -> Markup {
    /// More waves than these a long line need not have.
    const WAVES_MAX: f64 = 90.0;
    let end = tip(from, to);
    let length = from.way(end).0 - 8.0;
    let wave = (length / WAVES_MAX).max(7.0);
    let waves = (length / wave).floor() as usize;
    let mut d = format!("M{:.1} {:.1}", from.x, from.y);
    for nth in 0..waves {
        let side = if nth % 2 == 0 { 5.0 } else { -5.0 };
        let middle = from.along(end, (nth as f64 + 0.5) * wave, side);
        let next = from.along(end, (nth as f64 + 1.0) * wave, 0.0);
        d += &format!("Q{:.1} {:.1} {:.1} {:.1}", middle.x, middle.y, next.x, next.y);
    }
    d += &format!("L{:.1} {:.1}", end.x, end.y);
    html! {
        g.overtook { path.stroke d=(d) {} (head(from, end, "tip")) (names(from, to, name, "")) }
    }
}

/// A copy of it arrived: a double line.
pub(super) fn copy(from: Point, to: Point, name: Label<'_>) -> Markup {
    let end = tip(from, to);
    let length = from.way(end).0;
    let side = |beside: f64| {
        straight("stroke", from.along(end, 0.0, beside), from.along(end, length - 7.0, beside))
    };
    html! {
        g.copy { (side(2.0)) (side(-2.0)) (head(from, end, "tip")) (names(from, to, name, "copy")) }
    }
}

/// It was lost: the line ends in a cross, short of where it should have gone.
pub(super) fn lost(from: Point, to: Point, name: Label<'_>) -> Markup {
    let end = Point { x: from.x + (to.x - from.x) * 0.72, y: to.y };
    let cross = format!("M{:.1} {:.1}l10 10m0 -10l-10 10", end.x - 5.0, end.y - 5.0);
    html! {
        g.lost { (straight("stroke", from, end)) path.cross d=(cross) {} (names(from, end, name, "")) }
    }
}

/// It is still under way at the end: a short dashed line with a hollow head, and to whom it goes.
pub(super) fn in_flight(from: Point, dst: u32, nth: usize, name: Option<(&str, &str)>) -> Markup {
    const REACH: f64 = 32.0;
    let rightwards = f64::from(dst) >= from.x;
    let (reach, class) = if rightwards { (REACH, "after") } else { (-REACH, "before") };
    let end = Point { x: from.x + reach, y: from.y + 11.0 + nth as f64 * 15.0 };
    html! {
        g.flying {
            (straight("stroke", from, end)) (head(from, end, "hollow"))
            @if let Some((name, to)) = name {
                text class=(class) x=(format!("{:.1}", end.x + reach.signum() * 4.0))
                    y=(format!("{:.1}", end.y + 5.0)) { (name) " → " (to) }
            }
        }
    }
}
