//! The space-time diagram: every actor has a lane, time goes down, a message is an arrow, and its
//! line says what became of it.

use super::palette::Palette;
use super::rows::{Line as Fate, Row, lives};
use super::run::Run;
use counterfoil_protocol::Actor;
use counterfoil_world::Protocol;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// The space before the number of a step: cursor, verdict, rail.
const MARGIN: usize = 3;
/// How far lanes stand apart, at least and at most.
const PITCH: (usize, usize) = (3, 10);
/// What is left for words, at least.
const WORDS_MIN: usize = 16;

/// Where the lanes stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    actors: Vec<Actor>,
    pitch: usize,
    /// Where the first lane stands: after the number of the step.
    first: usize,
    /// How many lanes there is no room for, on the left and on the right.
    beyond: (usize, usize),
}

impl Lanes {
    /// The lanes of `actors`, in a pane of this width. If not all fit, those around `centre` are
    /// there.
    pub(crate) fn new(actors: &[Actor], width: usize, last: usize, centre: Option<Actor>) -> Self {
        let first = gutter(last);
        let room = width.saturating_sub(first).max(1);
        let count = actors.len().max(1);
        let all = room / count;
        if all >= PITCH.0 || count == 1 {
            let wanted = room.saturating_sub(WORDS_MIN) / count;
            let pitch = if wanted >= 7 { wanted } else { all };
            let pitch = pitch.clamp(PITCH.0, PITCH.1);
            return Lanes { actors: actors.to_vec(), pitch, first, beyond: (0, 0) };
        }
        let shown = (room / PITCH.0).max(1);
        let at = centre.and_then(|c| actors.iter().position(|actor| *actor == c)).unwrap_or(0);
        let start = at.saturating_sub(shown / 2).min(count - shown);
        Lanes {
            actors: actors[start..start + shown].to_vec(),
            pitch: PITCH.0,
            first,
            beyond: (start, count - start - shown),
        }
    }

    /// How wide a diagram of so many actors would like to be, without words.
    pub(crate) fn width(actors: usize, last: usize) -> usize {
        let pitch = match actors {
            0..=5 => 8,
            6..=7 => 6,
            8..=10 => 4,
            _ => PITCH.0,
        };
        gutter(last) + actors.max(2) * pitch
    }

    fn place(&self, actor: Actor) -> Option<usize> {
        let lane = self.actors.iter().position(|other| *other == actor)?;
        Some(self.first + lane * self.pitch)
    }

    /// Where the words begin.
    fn words(&self) -> usize {
        self.first + self.actors.len() * self.pitch
    }
}

/// How wide the space before the lanes is, with the numbers of so many steps in it.
fn gutter(last: usize) -> usize {
    MARGIN + last.to_string().len().max(3) + 1
}

/// What of the diagram is to be seen.
pub(crate) struct View<'a, P: Protocol> {
    pub(crate) run: &'a Run<P>,
    pub(crate) lanes: Lanes,
    pub(crate) step: usize,
    pub(crate) palette: Palette,
    /// The lane whose state is shown.
    pub(crate) actor: Option<Actor>,
}

impl<P: Protocol> View<'_, P> {
    /// Draws the diagram; the first row has the names.
    pub(crate) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        if area.height < 2 {
            return;
        }
        self.names(Rect { height: 1, ..area }, buffer);
        let height = usize::from(area.height) - 1;
        let rows = &self.run.rows.rows;
        for (line, index) in (self.top(height)..rows.len()).take(height).enumerate() {
            let row = Rect { y: area.y + 1 + line as u16, height: 1, ..area };
            self.row(rows[index], row, buffer);
        }
    }

    /// The first row to be seen: the step is in the middle, unless an end is in sight.
    fn top(&self, height: usize) -> usize {
        let of_step = self.run.rows.of_step(self.step);
        let mut end = of_step.end;
        if self.step == self.run.last() {
            end = self.run.rows.rows.len();
        }
        let middle = of_step.start.saturating_sub(height / 2);
        let lowest = self.run.rows.rows.len().saturating_sub(height);
        let shows_end = end.saturating_sub(height).min(of_step.start);
        middle.max(shows_end).min(lowest)
    }

    fn names(&self, area: Rect, buffer: &mut Buffer) {
        for actor in &self.lanes.actors {
            let Some(place) = self.lanes.place(*actor) else { continue };
            let is_chosen = self.actor == Some(*actor);
            let style = if is_chosen { self.palette.chosen() } else { self.palette.strong() };
            put(buffer, area, place, &actor.to_string(), style);
        }
        let (left, right) = self.lanes.beyond;
        if left > 0 {
            put(buffer, area, self.lanes.first - 4, &format!("‹{left}"), self.palette.notice());
        }
        if right > 0 {
            let text = format!("{right}›");
            let at = usize::from(area.width).saturating_sub(text.chars().count());
            put(buffer, area, at, &text, self.palette.notice());
        }
    }

    fn row(&self, row: Row, area: Rect, buffer: &mut Buffer) {
        let step = match row {
            Row::Arrow { step, .. } | Row::Local { step } => step,
            Row::LoopStart => self.run.loops().unwrap_or_default(),
            Row::LoopEnd | Row::Stuck | Row::Pending { .. } => self.run.last(),
        };
        for actor in &self.lanes.actors {
            if let Some(place) = self.lanes.place(*actor)
                && lives(self.run, step, *actor)
            {
                put(buffer, area, place, "│", self.palette.dim());
            }
        }
        self.flights(row, step, area, buffer);
        let rail = |sign: &str, buffer: &mut Buffer| {
            put(buffer, area, 2, sign, self.palette.notice());
        };
        let words = match row {
            Row::Arrow { step, message, line } => {
                self.margin(step, row, area, buffer);
                self.arrow(message, line, area, buffer);
                self.said(step, row)
            }
            Row::Local { step } => {
                self.margin(step, row, area, buffer);
                let actor = step.checked_sub(1).and_then(|at| self.run.replay.steps[at].actor);
                if let Some(place) = actor.and_then(|actor| self.lanes.place(actor)) {
                    put(buffer, area, place, "●", Style::new());
                }
                self.said(step, row)
            }
            Row::LoopStart => {
                rail("╭─▶", buffer);
                "again and again:".to_owned()
            }
            Row::LoopEnd => {
                rail("╰──", buffer);
                format!("back to after step {}", self.run.loops().unwrap_or_default())
            }
            Row::Stuck => "nothing fair changes anything".to_owned(),
            Row::Pending { message } => {
                self.arrow(message, Fate::InFlight, area, buffer);
                self.run.replay.messages[message].label.clone()
            }
        };
        let at = self.lanes.words();
        let room = usize::from(area.width).saturating_sub(at);
        if room >= WORDS_MIN {
            let is_now = self.is_now(row);
            let style = if is_now { self.palette.strong() } else { self.palette.dim() };
            put(buffer, area, at, &fitted(&words, room), style);
        }
    }

    fn is_now(&self, row: Row) -> bool {
        match row {
            Row::Arrow { step, .. } | Row::Local { step } => step == self.step,
            Row::LoopStart | Row::LoopEnd | Row::Stuck | Row::Pending { .. } => false,
        }
    }

    /// The messages of the step that is shown, on the lanes of their senders, from when they were
    /// sent until they arrived.
    fn flights(&self, row: Row, step: usize, area: Rect, buffer: &mut Buffer) {
        if matches!(row, Row::Pending { .. } | Row::LoopStart) || step > self.step {
            return;
        }
        for index in self.run.rows.of_step(self.step) {
            let Row::Arrow { message, .. } = self.run.rows.rows[index] else { continue };
            let message = &self.run.replay.messages[message];
            let Some(place) = self.lanes.place(message.src) else { continue };
            if step == message.sent && step < self.step {
                put(buffer, area, place, "◆", self.palette.changed());
            } else if message.sent < step && step < self.step {
                put(buffer, area, place, "║", self.palette.changed());
            }
        }
    }

    /// Cursor, verdict, rail and number.
    fn margin(&self, step: usize, row: Row, area: Rect, buffer: &mut Buffer) {
        let first = self.run.rows.of_step(step).start;
        let is_first = self.run.rows.rows.get(first) == Some(&row);
        let is_now = step == self.step;
        if is_now {
            put(buffer, area, 0, "▸", self.palette.strong());
        }
        if self.run.violation() == Some(step) && is_first {
            put(buffer, area, 1, "✗", self.palette.bad());
        }
        let branched = self.run.branched().is_some_and(|from| step > from);
        if self.run.loops().is_some_and(|start| step > start) {
            put(buffer, area, 2, "│", self.palette.notice());
        } else if branched {
            put(buffer, area, 2, "┊", self.palette.notice());
        }
        if is_first {
            let style = if is_now {
                self.palette.chosen().add_modifier(Modifier::BOLD)
            } else {
                self.palette.dim()
            };
            let width = self.lanes.first - MARGIN - 1;
            put(buffer, area, MARGIN, &format!("{step:>width$}"), style);
        }
    }

    fn said(&self, step: usize, row: Row) -> String {
        let Some(index) = step.checked_sub(1) else { return "the start".to_owned() };
        let sent = self.run.rows.sent(step).iter();
        let sent: Vec<String> = sent.map(|index| self.run.replay.messages[*index].name()).collect();
        let sent = if sent.is_empty() { String::new() } else { format!(" →{}", sent.join(" ")) };
        let what = match row {
            Row::Arrow { message, line, .. } => {
                let label = &self.run.replay.messages[message].label;
                match line {
                    Fate::Copy => format!("copy of {label}"),
                    Fate::Lost => format!("{label}, lost"),
                    Fate::Delivered | Fate::Overtaking | Fate::InFlight => label.clone(),
                }
            }
            Row::Local { .. }
            | Row::LoopStart
            | Row::LoopEnd
            | Row::Stuck
            | Row::Pending { .. } => self.run.replay.steps[index].action.clone(),
        };
        format!("{what}{sent}")
    }

    fn arrow(&self, message: usize, line: Fate, area: Rect, buffer: &mut Buffer) {
        let message = &self.run.replay.messages[message];
        let left = self.lanes.first - 1;
        let right = self.lanes.words().min(usize::from(area.width)).saturating_sub(1);
        let order = |actor: Actor| self.run.lanes.iter().position(|other| *other == actor);
        let rightwards = order(message.src) < order(message.dst);
        let (src, dst) = (self.lanes.place(message.src), self.lanes.place(message.dst));
        let is_drawn = src.is_some() || dst.is_some();
        if !is_drawn {
            return;
        }
        let style = match line {
            Fate::Delivered => self.palette.strong(),
            Fate::Overtaking => self.palette.notice(),
            Fate::Copy => self.palette.fault(),
            Fate::Lost => self.palette.bad(),
            Fate::InFlight => self.palette.changed(),
        };
        let (stroke, heads, arrives) = match line {
            Fate::Delivered => ("─", ["▶", "◀"], true),
            Fate::Overtaking => ("≈", ["▶", "◀"], true),
            Fate::Copy => ("═", ["▶", "◀"], true),
            Fate::Lost => ("─", ["✗", "✗"], false),
            Fate::InFlight => ("╌", ["▷", "◁"], false),
        };
        if message.src == message.dst {
            src.iter().for_each(|at| put(buffer, area, *at, "●", style));
            return;
        }
        let edge = |is_left: bool| if is_left { left } else { right };
        let from = src.unwrap_or(edge(rightwards));
        let to = dst.unwrap_or(edge(!rightwards));
        let (low, high) = (from.min(to), from.max(to));
        for at in low + 1..high {
            let x = area.x + at as u16;
            let crosses = at < usize::from(area.width) && buffer[(x, area.y)].symbol() == "│";
            put(buffer, area, at, if crosses { "┼" } else { stroke }, style);
        }
        let beyond = if rightwards { "›" } else { "‹" };
        if src.is_none() {
            put(buffer, area, from, beyond, style);
        } else {
            put(buffer, area, from, if rightwards { "├" } else { "┤" }, style);
        }
        if dst.is_none() {
            put(buffer, area, to, beyond, style);
        } else {
            let before = if rightwards { to - 1 } else { to + 1 };
            put(buffer, area, before, heads[usize::from(!rightwards)], style);
            if arrives {
                put(buffer, area, to, "●", style);
            }
        }
        self.label(&message.name(), from, to, style, area, buffer);
    }

    /// The name of a message, on its arrow: between the sender and the next lane, or wherever
    /// there is room.
    fn label(
        &self,
        name: &str,
        from: usize,
        to: usize,
        style: Style,
        area: Rect,
        buffer: &mut Buffer,
    ) {
        let width = name.chars().count();
        let span = from.abs_diff(to).saturating_sub(2);
        if span < width {
            return;
        }
        let near = span.min(self.lanes.pitch - 1);
        let room = if near >= width { near } else { span };
        let space = (room - width) / 2;
        let start = if from < to { from + 1 + space } else { from - room + space };
        put(buffer, area, start, name, style);
    }
}

/// Writes `text` at a column of a row, as far as there is room.
pub(crate) fn put(buffer: &mut Buffer, area: Rect, at: usize, text: &str, style: Style) {
    let width = usize::from(area.width);
    if at < width && area.height > 0 {
        buffer.set_stringn(area.x + at as u16, area.y, text, width - at, style);
    }
}

/// The text, or as much of it as there is room for.
pub(crate) fn fitted(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(room.saturating_sub(1)).collect();
    kept.push('…');
    kept
}
