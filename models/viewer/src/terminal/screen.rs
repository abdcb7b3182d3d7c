//! The screen: where the panes are, and what is over and under them.

use super::diagram::{Lanes, fitted, put};
use super::keys::HELP;
use super::list::{Line, list};
use super::palette::Palette;
use super::viewer::{Over, Pane, Prompt, Viewer};
use counterfoil_world::explain::wrap;
use counterfoil_world::trace::Kind;
use counterfoil_world::{Outcome, Protocol};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

/// The smallest terminal on which there is room.
pub const SIZE_MIN: (u16, u16) = (80, 24);
/// From this size on every pane is to be seen at once.
const SIZE_ALL: (u16, u16) = (116, 34);

/// What the lines and signs of the diagram mean.
const SIGNS: [(&str, &str); 11] = [
    ("─▶", "arrived"),
    ("≈▶", "arrived, and overtook another"),
    ("═▶", "a copy of it arrived"),
    ("─✗", "lost, or nobody was left to have it"),
    ("╌▷", "in flight at the end, or without effect"),
    ("●", "here something happened"),
    ("◆ ║", "sent here, and under way, what arrives at this step"),
    ("~ + -", "changed, added, removed by the step"),
    ("✓ ✗", "keeps the property; violates it at once"),
    ("✗… ?", "cannot keep it any more without a fault; not known"),
    ("!", "a fault, or from outside"),
];

impl<P: Protocol> Viewer<P> {
    /// Draws the screen.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let buffer = frame.buffer_mut();
        if area.width < SIZE_MIN.0 || area.height < SIZE_MIN.1 {
            too_small(area, buffer);
        } else if let Over::Comparison(comparison) = &self.over {
            let comparison = comparison.clone();
            self.draw_comparison(&comparison, area, buffer);
        } else {
            self.draw_run(area, buffer);
        }
        self.palette.spell(buffer);
    }

    fn draw_run(&mut self, area: Rect, buffer: &mut Buffer) {
        let row = |y: u16| Rect { y: area.y + y, height: 1, ..area };
        self.draw_head(row(0), row(1), buffer);
        let strips = self.draw_strips(Rect { y: area.y + 2, height: 3, ..area }, buffer);
        let top = 2 + strips;
        let body = Rect { y: area.y + top, height: area.height - top - 1, ..area };
        if area.width >= SIZE_ALL.0 && area.height >= SIZE_ALL.1 {
            self.draw_all(body, buffer);
        } else {
            self.draw_two(body, buffer);
        }
        self.draw_foot(Rect { y: area.bottom() - 1, height: 1, ..area }, buffer);
        match self.over.clone() {
            Over::Help(top) => self.draw_help(top, area, buffer),
            Over::Actors(at) => self.draw_actors(at, area, buffer),
            Over::Nothing | Over::Prompt(..) | Over::Comparison(_) => {}
        }
    }

    /// The verdict, and where we are.
    fn draw_head(&self, first: Rect, second: Rect, buffer: &mut Buffer) {
        let palette = self.palette;
        let property = &self.run.trace.property;
        let (verdict, style) = match &self.run.replay.outcome {
            Outcome::Violated { step, .. } => {
                let how = match (self.run.trace.kind, self.run.loops()) {
                    (Kind::Safety, _) => format!("is violated at step {step}"),
                    (Kind::Liveness, None) => "is never reached: nothing fair goes on".to_owned(),
                    (Kind::Liveness, Some(start)) => {
                        let last = self.run.last();
                        format!("is never reached: steps {} to {last} repeat", start + 1)
                    }
                };
                (format!("✗ {property} {how}"), palette.bad())
            }
            Outcome::Holds { .. } => {
                let so_far = if self.run.branched().is_some() { "so far" } else { "on this run" };
                (format!("✓ {property} holds {so_far}"), palette.good())
            }
            Outcome::Diverged(_) => (format!("✗ the run of {property} diverged"), palette.bad()),
        };
        put(buffer, first, 1, &verdict, style.patch(palette.strong()));
        let place = format!("step {} of {}", self.step, self.run.last());
        let at = usize::from(first.width).saturating_sub(place.chars().count() + 1);
        put(buffer, first, at, &place, palette.strong());
        let width = usize::from(second.width).saturating_sub(2);
        if let Outcome::Diverged(divergence) = &self.run.replay.outcome {
            let banner = format!(" {:<width$}", fitted(&divergence.to_string(), width));
            put(buffer, second, 0, &banner, palette.bad().patch(palette.chosen()));
            return;
        }
        if let Some(from) = self.run.branched() {
            let count = self.run.last() - from;
            let steps = if count == 1 { "step" } else { "steps" };
            let banner = format!(
                "┊ branch after step {from}, {count} {steps}: u undoes, U leaves it, S saves it, c \
                 compares"
            );
            put(buffer, second, 1, &fitted(&banner, width), palette.notice());
            return;
        }
        let scenario = &self.run.trace.scenario;
        let off = scenario.without.iter().map(|rule| rule.name());
        let off: Vec<&str> = off.filter(|rule| !scenario.name.contains(rule)).collect();
        let off =
            if off.is_empty() { String::new() } else { format!(" · without {}", off.join(", ")) };
        let context = format!("{}{off} · {}", scenario.name, scenario.bounds());
        put(buffer, second, 1, &fitted(&context, width), palette.dim());
    }

    /// A strip per property: the verdict at every step. How many there are.
    fn draw_strips(&self, area: Rect, buffer: &mut Buffer) -> u16 {
        let about = &self.run.trace.property;
        let mut strips: Vec<(&str, Option<usize>)> = vec![(about, self.run.violation())];
        let others = self.run.violated.iter();
        let others = others.map(|(index, step)| (P::safety()[*index].name, Some(*step)));
        strips.extend(others.filter(|(name, _)| name != about));
        let count = strips.len().min(usize::from(area.height));
        for (line, (name, violated)) in strips.iter().take(count).enumerate() {
            let row = Rect { y: area.y + line as u16, height: 1, ..area };
            let goals = line == 0 && self.run.trace.kind == Kind::Liveness;
            self.draw_strip(name, *violated, goals, row, buffer);
        }
        count as u16
    }

    fn draw_strip(
        &self,
        name: &str,
        violated: Option<usize>,
        goals: bool,
        area: Rect,
        buffer: &mut Buffer,
    ) {
        let palette = self.palette;
        let name = fitted(name, usize::from(area.width) / 3);
        put(buffer, area, 1, &name, palette.dim());
        let start = name.chars().count() + 2;
        let room = usize::from(area.width).saturating_sub(start + 1).max(1);
        let states = self.run.last() + 1;
        let each = states.div_ceil(room);
        for cell in 0..states.div_ceil(each) {
            let steps = cell * each..((cell + 1) * each).min(states);
            let is_bad = violated.is_some_and(|at| at < steps.end);
            let missed = goals && self.run.goals[steps.clone()].contains(&false);
            let (sign, style) = match (goals, is_bad, missed) {
                (true, _, true) => ("○", palette.notice()),
                (true, _, false) => ("●", palette.good()),
                (false, true, _) => ("✗", palette.bad()),
                (false, false, _) => ("·", palette.good()),
            };
            let here = steps.contains(&self.step);
            let style = if here { style.patch(palette.chosen()) } else { style };
            put(buffer, area, start + cell, sign, style);
        }
    }

    /// The diagram, and one of the others beside it.
    fn draw_two(&mut self, area: Rect, buffer: &mut Buffer) {
        let lanes = Lanes::width(self.run.drawn().len(), self.run.last()) as u16 + 4;
        let wide = lanes.clamp(34, area.width * 3 / 5);
        let left = Rect { width: wide, ..area };
        let right = Rect { x: area.x + wide, width: area.width - wide, ..area };
        self.draw_left(left, 5, buffer);
        let panel = self.panel;
        let mut title: Line = Vec::new();
        for pane in [Pane::State, Pane::Why, Pane::Next, Pane::Flight] {
            let style = if pane == panel { self.palette.chosen() } else { self.palette.dim() };
            let name = match pane {
                Pane::State => format!("state {}", self.actor),
                Pane::Diagram | Pane::Why | Pane::Next | Pane::Flight => pane.name().to_owned(),
            };
            title.push((format!(" {name} "), style));
        }
        self.draw_pane(panel, title, right, buffer);
    }

    /// Every pane.
    fn draw_all(&mut self, area: Rect, buffer: &mut Buffer) {
        let lanes = Lanes::width(self.run.drawn().len(), self.run.last()) as u16 + 4;
        let wide = (lanes + 26).clamp(58, area.width * 11 / 20);
        let flight = (area.height / 5).clamp(6, 12);
        let left = Rect { width: wide, height: area.height - flight, ..area };
        self.draw_left(left, 6, buffer);
        let below = Rect { y: left.bottom(), height: flight, ..left };
        let right = Rect { x: area.x + wide, width: area.width - wide, ..area };
        let state = area.height * 9 / 20;
        let why = (area.height - state) / 2;
        let upper = Rect { height: state, ..right };
        let middle = Rect { y: upper.bottom(), height: why, ..right };
        let lower = Rect { y: middle.bottom(), height: area.height - state - why, ..right };
        for (pane, place) in
            [(Pane::Flight, below), (Pane::State, upper), (Pane::Why, middle), (Pane::Next, lower)]
        {
            let title = self.title(pane);
            self.draw_pane(pane, title, place, buffer);
        }
    }

    /// The diagram, with what the step is under it.
    fn draw_left(&mut self, area: Rect, told: u16, buffer: &mut Buffer) {
        let upper = Rect { height: area.height - told, ..area };
        let title = self.title(Pane::Diagram);
        self.draw_pane(Pane::Diagram, title, upper, buffer);
        let lower = Rect { y: upper.bottom(), height: told, ..area };
        let frame = self.palette.dim();
        let block = Block::bordered().border_type(BorderType::Rounded).border_style(frame);
        let inner = block.inner(lower);
        block.render(lower, buffer);
        let title = format!(" step {} ", self.step);
        put(buffer, Rect { x: lower.x + 2, height: 1, ..lower }, 0, &title, self.palette.strong());
        let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
        let mut lines = wrap(&self.told(), usize::from(inner.width));
        let height = usize::from(inner.height);
        if lines.len() > height {
            lines.truncate(height);
            lines[height - 1] = fitted(&format!("{}  …", lines[height - 1]), inner.width.into());
        }
        for (index, line) in lines.iter().enumerate() {
            let row = Rect { y: inner.y + index as u16, height: 1, ..inner };
            put(buffer, row, 0, line, Style::new());
        }
    }

    /// What happened at the step, in words.
    fn told(&self) -> String {
        let name = |index: &usize| self.run.replay.messages[*index].name();
        let sent: Vec<String> = self.run.rows.sent(self.step).iter().map(name).collect();
        let sent =
            if sent.is_empty() { String::new() } else { format!("; sends {}", sent.join(" ")) };
        let Some(index) = self.step.checked_sub(1) else {
            return format!("The start: nothing has happened yet{sent}.");
        };
        let was = &self.run.replay.steps[index];
        let arrived: Vec<usize> = self.run.rows.arrived(self.step).collect();
        let names: Vec<String> = arrived.iter().map(name).collect();
        let names =
            if names.is_empty() { String::new() } else { format!(" ({})", names.join(" ")) };
        let mut text = format!("{}{names}", was.action);
        if !was.decisions.is_empty() {
            text += &format!(": {}", was.decisions.join(", "));
        }
        text += &sent;
        for message in arrived.iter().map(|index| &self.run.replay.messages[*index]) {
            let is_first = message.arrivals().min() == Some(self.step);
            if is_first && !message.overtook.is_empty() {
                let overtook: Vec<String> =
                    message.overtook.iter().map(|number| format!("m{number}")).collect();
                text += &format!("; {} overtakes {}", message.name(), overtook.join(" "));
            }
        }
        text
    }

    fn draw_foot(&self, area: Rect, buffer: &mut Buffer) {
        let palette = self.palette;
        let width = usize::from(area.width).saturating_sub(2);
        if let Over::Prompt(prompt, text) = &self.over {
            let asked = match prompt {
                Prompt::Search => "search for: ",
                Prompt::Save => "save the branch as: ",
                Prompt::Compare => "compare with the trace: ",
            };
            let room = width.saturating_sub(asked.chars().count() + 1);
            let skipped = text.chars().count().saturating_sub(room);
            let shown: String = text.chars().skip(skipped).collect();
            put(buffer, area, 1, asked, palette.strong());
            let at = 1 + asked.chars().count();
            put(buffer, area, at, &shown, Style::new());
            put(buffer, area, at + shown.chars().count(), " ", palette.chosen());
            return;
        }
        if let Some(note) = &self.note {
            let style = if note.bad { palette.bad() } else { palette.notice() };
            put(buffer, area, 1, &fitted(&note.text, width), style);
            return;
        }
        let keys = match self.pane {
            Pane::Diagram => "←→ step  v violation  a actor  Tab pane  w why  b branch",
            Pane::State => "↑↓ value  {} its changes  Enter opens  a actor  ←→ step  Tab pane",
            Pane::Why => "↑↓ line  Enter goes to its step  ←→ step  Tab pane",
            Pane::Next => "↑↓ action  Enter takes it  u undo  S save  ←→ step  Tab pane",
            Pane::Flight => "↑↓ message  Enter goes to its end  ←→ step  Tab pane",
        };
        put(buffer, area, 1, keys, palette.dim());
        let rest = "? help  q quit";
        let at = (width + 1).saturating_sub(rest.len());
        if at > keys.chars().count() + 2 {
            put(buffer, area, at, rest, palette.dim());
        }
    }

    fn draw_help(&self, top: usize, area: Rect, buffer: &mut Buffer) {
        let palette = self.palette;
        let entry = |(sign, words): &(&str, &str)| -> Vec<Line> {
            vec![vec![
                (format!("{sign:<16} "), palette.strong()),
                ((*words).to_owned(), Style::new()),
            ]]
        };
        let mut entries: Vec<Vec<Line>> = HELP.iter().map(entry).collect();
        entries.push(vec![vec![(String::new(), Style::new())]]);
        entries.extend(SIGNS.iter().map(entry));
        let inner = popup("keys and signs", (76, entries.len() as u16 + 2), area, palette, buffer);
        let skipped = top.min(entries.len().saturating_sub(usize::from(inner.height)));
        list(&entries[skipped..], None, inner, buffer);
        if skipped > 0 {
            let corner = Rect { x: inner.right() - 1, width: 1, height: 1, ..inner };
            put(buffer, corner, 0, "↑", Style::new());
        }
    }

    fn draw_actors(&self, at: usize, area: Rect, buffer: &mut Buffer) {
        let palette = self.palette;
        let entry = |actor: &counterfoil_protocol::Actor| -> Vec<Line> {
            let sign = if self.hidden.contains(actor) { "[ ]" } else { "[x]" };
            vec![vec![(format!("{sign} {actor}"), Style::new())]]
        };
        let mut entries: Vec<Vec<Line>> = self.run.lanes.iter().map(entry).collect();
        entries.push(vec![vec![("Enter turns, a all, f closes".to_owned(), palette.dim())]]);
        let size = (34, entries.len() as u16 + 2);
        let inner = popup("actors drawn", size, area, palette, buffer);
        list(&entries, Some((at, palette.chosen())), inner, buffer);
    }
}

/// A frame over the middle of the screen; what is inside of it.
fn popup(title: &str, size: (u16, u16), area: Rect, palette: Palette, buffer: &mut Buffer) -> Rect {
    let (width, height) = (size.0.min(area.width - 2), size.1.min(area.height - 2));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(place, buffer);
    let block = Block::bordered().border_type(BorderType::Thick).border_style(palette.frame(true));
    let inner = block.inner(place);
    block.render(place, buffer);
    let head = Rect { x: place.x + 2, width: width - 4, height: 1, ..place };
    put(buffer, head, 0, &format!(" {title} "), palette.strong());
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

fn too_small(area: Rect, buffer: &mut Buffer) {
    let (width, height) = SIZE_MIN;
    let text = format!(
        "This terminal is {} x {}; the viewer needs {width} x {height}. Make it larger, or quit with \
         q and print the run: trace view --plain FILE",
        area.width, area.height
    );
    for (index, line) in wrap(&text, usize::from(area.width).max(1)).iter().enumerate() {
        let y = area.y + index as u16;
        if y < area.bottom() {
            put(buffer, Rect { y, height: 1, ..area }, 0, line, Style::new());
        }
    }
}
