//! The panes: the diagram and what is beside it.

use super::diagram::{Lanes, View, fitted, put};
use super::fields::{Field, Mark};
use super::list::{Line, list};
use super::told::{Item, Tone};
use super::viewer::{Pane, Viewer};
use counterfoil_world::Protocol;
use counterfoil_world::changes::way;
use counterfoil_world::choices::{Choice, Leads};
use counterfoil_world::explain::wrap;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, BorderType, Widget};

/// How wide the column is that says which step wrote a value.
const WRITTEN: usize = 5;

impl<P: Protocol> Viewer<P> {
    /// Draws a pane with its frame.
    pub(crate) fn draw_pane(&mut self, pane: Pane, title: Line, area: Rect, buffer: &mut Buffer) {
        let focused = self.pane == pane;
        let frame = self.palette.frame(focused);
        let kind = if focused { BorderType::Thick } else { BorderType::Rounded };
        let block = Block::bordered().border_type(kind).border_style(frame);
        let inner = block.inner(area);
        block.render(area, buffer);
        let top = Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area };
        let mut at = 1;
        for (text, style) in &title {
            put(buffer, top, at, text, *style);
            at += text.chars().count();
        }
        if pane == Pane::State {
            let word = " written ";
            let end = usize::from(top.width).saturating_sub(word.len() + 1);
            if end > at {
                put(buffer, top, end, word, self.palette.dim());
            }
        }
        let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
        let lines = match pane {
            Pane::Diagram => self.draw_diagram(inner, buffer),
            Pane::State => self.draw_state(inner, buffer),
            Pane::Why => {
                let items = self.whys();
                self.draw_items(pane, &items, inner, buffer)
            }
            Pane::Next => self.draw_next(inner, buffer),
            Pane::Flight => {
                let items = self.flights();
                if items.is_empty() {
                    put(buffer, inner, 0, "nothing is in flight", self.palette.dim());
                }
                self.draw_items(pane, &items, inner, buffer)
            }
        };
        self.pages.insert(pane, lines);
    }

    /// What stands in the frame of a pane.
    pub(crate) fn title(&mut self, pane: Pane) -> Line {
        let strong = self.palette.strong();
        let dim = self.palette.dim();
        match pane {
            Pane::Diagram => vec![(" run ".to_owned(), strong)],
            Pane::State => {
                let follows = if self.is_chosen() { "" } else { "· whoever acts " };
                vec![(format!(" state of {} ", self.actor), strong), (follows.to_owned(), dim)]
            }
            Pane::Why => vec![(" why ".to_owned(), strong)],
            Pane::Next => {
                let (choices, judged) = self.choices();
                let kept = choices.iter().filter(|choice| choice.leads == Leads::Safe).count();
                let count = choices.len();
                let bad = choices.iter().filter(|choice| choice.leads == Leads::Violates).count();
                let is_open = |choice: &Choice<P>| choice.leads == Leads::Unknown;
                let text = match judged {
                    true if choices.iter().any(is_open) && kept == 0 => {
                        format!(" next: {count} actions, {bad} violate at once ")
                    }
                    true => format!(" next: {count} actions, {kept} safe "),
                    false => format!(" next: {count} actions … "),
                };
                vec![(text, strong)]
            }
            Pane::Flight => vec![(" in flight ".to_owned(), strong)],
        }
    }

    fn draw_diagram(&mut self, area: Rect, buffer: &mut Buffer) -> usize {
        let actors = self.run.drawn();
        let width = usize::from(area.width);
        let lanes = Lanes::new(&actors, width, self.run.last(), Some(self.actor));
        let view = View {
            run: &self.run,
            lanes,
            step: self.step,
            palette: self.palette,
            actor: Some(self.actor),
        };
        view.draw(area, buffer);
        usize::from(area.height).saturating_sub(1)
    }

    fn draw_state(&mut self, area: Rect, buffer: &mut Buffer) -> usize {
        let fields = self.fields();
        if fields.is_empty() {
            let text = if self.actor_lives() { "nothing" } else { "does not live now" };
            put(buffer, area, 0, &format!("{} {text}", self.actor), self.palette.dim());
            return usize::from(area.height);
        }
        let focused = self.pane == Pane::State;
        let at = self.field_at(&fields);
        let chosen = at.and_then(|at| fields.get(at)).filter(|_| focused);
        let told = chosen.map(|field| self.whole(field, usize::from(area.width)));
        let below = told.as_ref().map_or(0, |lines| lines.len() as u16 + 1);
        let upper = Rect { height: area.height.saturating_sub(below), ..area };
        let width = usize::from(area.width);
        let lines: Vec<Vec<Line>> =
            fields.iter().map(|field| vec![self.field_line(field, width)]).collect();
        let changed = fields.iter().position(|field| field.mark != Mark::Same);
        let cursor = match (at, focused) {
            (Some(at), true) => Some((at, self.palette.chosen())),
            (Some(at), false) => Some((at, Style::new())),
            (None, _) => changed.map(|at| (at, Style::new())),
        };
        let page = list(&lines, cursor, upper, buffer);
        if let Some(told) = told {
            let line = "─".repeat(width);
            let rule = Rect { y: upper.bottom(), height: 1, ..area };
            put(buffer, rule, 0, &line, self.palette.dim());
            for (index, text) in told.iter().enumerate() {
                let row = Rect { y: rule.y + 1 + index as u16, height: 1, ..area };
                put(buffer, row, 0, text, Style::new());
            }
        }
        page
    }

    /// A value in full, as far as there is room.
    fn whole(&self, field: &Field, width: usize) -> Vec<String> {
        const LINES_MAX: usize = 4;
        let when = match field.written {
            0 => "as at the start".to_owned(),
            step => format!("written at step {step}"),
        };
        let text = format!("{}, {when}: {}", way(&field.path), field.text);
        let mut lines = wrap(&text, width.max(8));
        if lines.len() > LINES_MAX {
            lines.truncate(LINES_MAX);
            lines[LINES_MAX - 1] = fitted(&format!("{} …", lines[LINES_MAX - 1]), width);
        }
        lines
    }

    fn field_line(&self, field: &Field, width: usize) -> Line {
        let palette = self.palette;
        let style = match field.mark {
            Mark::Same => Style::new(),
            Mark::Changed => palette.changed().add_modifier(Modifier::BOLD),
            Mark::Added => palette.good().add_modifier(Modifier::BOLD),
            Mark::Removed => palette.bad(),
        };
        let sign = match field.open {
            Some(true) => '▾',
            Some(false) => '▸',
            None => ' ',
        };
        let key = field.path.last().map_or("", String::as_str);
        let head = format!("{} {}{sign}{key}", field.mark.sign(), "  ".repeat(field.depth));
        let room = width.saturating_sub(WRITTEN);
        let value = if field.open == Some(true) { String::new() } else { field.text.clone() };
        let left = room.saturating_sub(head.chars().count() + 1);
        let value = if left < 2 { String::new() } else { fitted(&value, left) };
        let text = fitted(&format!("{head} {value}"), room);
        let pad = " ".repeat(room.saturating_sub(text.chars().count()));
        let written = match field.written {
            0 => format!("{:>WRITTEN$}", "·"),
            step => format!("{step:>WRITTEN$}"),
        };
        vec![(text, style), (pad, Style::new()), (written, palette.dim())]
    }

    fn draw_items(&self, pane: Pane, items: &[Item], area: Rect, buffer: &mut Buffer) -> usize {
        let entries: Vec<Vec<Line>> =
            items.iter().map(|item| self.item_lines(item, usize::from(area.width))).collect();
        let focused = self.pane == pane;
        let at = self.cursor(pane).min(items.len().saturating_sub(1));
        let style = if focused { self.palette.chosen() } else { Style::new() };
        list(&entries, (!items.is_empty()).then_some((at, style)), area, buffer)
    }

    fn item_lines(&self, item: &Item, width: usize) -> Vec<Line> {
        let palette = self.palette;
        let style = match item.tone {
            Tone::Plain => Style::new(),
            Tone::Strong => palette.strong(),
            Tone::Good => palette.good(),
            Tone::Bad => palette.bad(),
            Tone::Dim => palette.dim(),
        };
        let room = width.saturating_sub(item.indent + 1).max(8);
        let lines = wrap(&item.text, room.saturating_sub(2)).into_iter().enumerate();
        let told = lines.map(|(index, line)| {
            let more = if index == 0 { 0 } else { 2 };
            vec![(format!("{}{line}", " ".repeat(item.indent + more)), style)]
        });
        told.collect()
    }

    fn draw_next(&mut self, area: Rect, buffer: &mut Buffer) -> usize {
        let focused = self.pane == Pane::Next;
        let width = usize::from(area.width);
        let palette = self.palette;
        let cursor = self.cursors.get(&Pane::Next).copied();
        let (choices, judged) = self.choices();
        let taken = choices.iter().position(|choice| choice.is_taken);
        let count = choices.len();
        let entries: Vec<Vec<Line>> =
            choices.iter().map(|choice| choice_lines(choice, *judged, width, palette)).collect();
        if entries.is_empty() {
            put(buffer, area, 0, "nothing can happen any more", palette.dim());
        }
        let at = cursor.or(taken).unwrap_or(0).min(count.saturating_sub(1));
        if focused {
            self.cursors.insert(Pane::Next, at);
        }
        let style = if focused { palette.chosen() } else { Style::new() };
        list(&entries, (count > 0).then_some((at, style)), area, buffer)
    }
}

/// An action that may happen: what it leads to, whether the run takes it, what it is.
fn choice_lines<P: Protocol>(
    choice: &Choice<P>,
    judged: bool,
    width: usize,
    palette: super::palette::Palette,
) -> Vec<Line> {
    let (sign, style) = match choice.leads {
        Leads::Violates => ("✗", palette.bad()),
        Leads::Doomed => ("✗…", palette.bad()),
        Leads::Safe => ("✓", palette.good()),
        Leads::Unknown if judged => ("?", palette.dim()),
        Leads::Unknown => ("…", palette.dim()),
    };
    let taken = if choice.is_taken { "▸" } else { " " };
    let fault = if choice.is_fair { "" } else { "! " };
    let lines = wrap(&format!("{fault}{}", choice.text), width.saturating_sub(6).max(8));
    let words = if choice.is_fair { Style::new() } else { palette.fault() };
    let told = lines.into_iter().enumerate().map(|(index, line)| match index {
        0 => {
            vec![(taken.to_owned(), palette.strong()), (format!("{sign:<3}"), style), (line, words)]
        }
        _ => vec![(format!("      {line}"), words)],
    });
    told.collect()
}
