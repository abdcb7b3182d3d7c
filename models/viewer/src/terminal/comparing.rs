//! The screen on which two runs stand side by side.

use super::compare::{Comparison, Row, sides};
use super::diagram::{fitted, put};
use super::list::{Line, list};
use super::run::Side;
use super::viewer::Viewer;
use counterfoil_world::Protocol;
use counterfoil_world::changes::{Change, brief, way};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, BorderType, Widget};

impl<P: Protocol> Viewer<P> {
    pub(crate) fn draw_comparison(&self, comparison: &Comparison, area: Rect, buffer: &mut Buffer) {
        let palette = self.palette;
        let row = |y: u16| Rect { y: area.y + y, height: 1, ..area };
        let width = usize::from(area.width);
        let is_same = comparison.rows.iter().all(|row| row.same);
        let common = comparison.common;
        let head = if is_same {
            "≡ both runs are the same".to_owned()
        } else {
            format!("≡ {common} steps in common; ≠ first difference at step {}", common + 1)
        };
        put(buffer, row(0), 1, &head, palette.strong());
        let other = self.other();
        if other.is_some_and(|o| o.trace.scenario != self.run.trace.scenario) {
            let note = "the scenarios differ";
            put(buffer, row(0), width.saturating_sub(note.len() + 1), note, palette.notice());
        }
        let steps = (area.height - 2) * 3 / 5;
        let upper = Rect { y: area.y + 1, height: steps, ..area };
        self.draw_steps(comparison, upper, buffer);
        let lower = Rect { y: upper.bottom(), height: area.height - 2 - steps, ..area };
        self.draw_differences(comparison, lower, buffer);
        let keys = "←→ step  n N difference  v violation  a actor  0 all  c back";
        put(buffer, row(area.height - 1), 1, keys, palette.dim());
    }

    /// The steps of both.
    fn draw_steps(&self, comparison: &Comparison, area: Rect, buffer: &mut Buffer) {
        let palette = self.palette;
        let (one, two) = sides(&self.run, self.other());
        let half = area.width / 2;
        let left = Rect { width: half, ..area };
        let right = Rect { x: area.x + half, width: area.width - half, ..area };
        let names = match self.other() {
            Some(other) => (self.run.name.clone(), other.name.clone()),
            None => (self.run.name.clone(), "the branch".to_owned()),
        };
        for (place, name, side) in [(left, names.0, &one), (right, names.1, &two)] {
            let block = Block::bordered().border_type(BorderType::Rounded);
            block.border_style(palette.dim()).render(place, buffer);
            let (verdict, style) = match side.violation {
                Some(step) => (format!(" ✗ at {step} "), palette.bad()),
                None => (" ✓ ".to_owned(), palette.good()),
            };
            let top = Rect { x: place.x + 1, width: place.width - 2, height: 1, ..place };
            let room = usize::from(top.width).saturating_sub(verdict.chars().count() + 4);
            // The end of a path says more than its start.
            let skipped = name.chars().count().saturating_sub(room);
            let name: String = name.chars().skip(skipped).collect();
            put(buffer, top, 1, &format!(" {name} "), palette.strong());
            let at = usize::from(top.width).saturating_sub(verdict.chars().count() + 1);
            put(buffer, top, at, &verdict, style);
        }
        let start = vec![vec![(format!("{:>4}  the start", 0), Style::new())]];
        let entries = |side: &Side<'_, P>, of: fn(&Row) -> Option<usize>| {
            let room = usize::from(half).saturating_sub(11);
            let rows = comparison.rows.iter().map(|row| {
                let sign = if row.same { ' ' } else { '≠' };
                let style = if row.same { Style::new() } else { palette.changed() };
                let text = of(row).map_or_else(
                    || "     ·".to_owned(),
                    |step| {
                        let action = fitted(&side.steps[step - 1].action, room);
                        format!("{step:>4} {sign} {action}")
                    },
                );
                vec![vec![(text, style)]]
            });
            let all: Vec<Vec<Line>> = std::iter::once(start.clone()).chain(rows).collect();
            all
        };
        let cursor = Some((comparison.at, palette.chosen()));
        let inside = |place: Rect| Rect {
            x: place.x + 1,
            y: place.y + 1,
            width: place.width.saturating_sub(3),
            height: place.height.saturating_sub(2),
        };
        list(&entries(&one, |row| row.one), cursor, inside(left), buffer);
        list(&entries(&two, |row| row.two), cursor, inside(right), buffer);
    }

    /// What differs between the states.
    fn draw_differences(&self, comparison: &Comparison, area: Rect, buffer: &mut Buffer) {
        let palette = self.palette;
        let block = Block::bordered().border_type(BorderType::Rounded);
        let inner = block.inner(area);
        block.border_style(palette.dim()).render(area, buffer);
        let (one, two) = comparison.steps();
        let who = comparison.actor.map_or_else(String::new, |actor| format!(" of {actor}"));
        let title = format!(" states{who} after step {one}, and after step {two} ");
        put(buffer, Rect { x: area.x + 2, height: 1, ..area }, 0, &title, palette.strong());
        let differences = comparison.differences(&self.run, self.other());
        let inner = Rect { width: inner.width.saturating_sub(1), ..inner };
        let width = usize::from(inner.width);
        let lines: Vec<Vec<Line>> =
            differences.iter().map(|change| vec![self.difference_line(change, width)]).collect();
        if lines.is_empty() {
            put(buffer, inner, 1, "≡ the same", palette.good());
        }
        list(&lines, None, inner, buffer);
    }

    fn difference_line(&self, change: &Change, width: usize) -> Line {
        let palette = self.palette;
        let way = way(&change.path);
        let (sign, style, text) = match (&change.before, &change.after) {
            (Some(before), Some(after)) => {
                ('~', palette.changed(), format!("{} ≠ {}", brief(before), brief(after)))
            }
            (None, Some(after)) => {
                ('+', palette.good(), format!("only on the right: {}", brief(after)))
            }
            (Some(before), None) => {
                ('-', palette.bad(), format!("only on the left: {}", brief(before)))
            }
            (None, None) => (' ', Style::new(), String::new()),
        };
        vec![(fitted(&format!(" {sign} {way}  {text}"), width.saturating_sub(1)), style)]
    }
}
