//! A run as a space-time diagram in text, with why and what to do next.
//!
//! Every actor has a lane, time goes down, a message is an arrow. The fate of a message is told by
//! the line: `─▶` it arrived, `═▶` a copy of it arrived, `≈▶` it arrived and overtook another, `─✗`
//! it was lost, `╌▷` it is in flight at the end.

use crate::changes::{Change, brief, way};
use crate::cluster::Action;
use crate::explain::{text_width, why, wrap};
use crate::lanes::{Lanes, Line, WIDTH, WORDS_MIN};
use crate::messages::{Fate, Message, name};
use crate::protocol::Protocol;
use crate::replay::{Outcome, Replay, replay};
use crate::scenario::{Scenario, Start};
use crate::trace::{Kind, Trace};
use counterfoil_protocol::Actor;

/// How a run is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Only letters and signs of ASCII.
    pub ascii: bool,
    /// What is violated in red, beside its sign.
    pub colour: bool,
    /// What is known of the length of the run: the shortest, the calmest.
    pub length: Option<String>,
    /// The file of the trace, for the commands.
    pub file: Option<String>,
}

/// How many changes are told of one step.
const CHANGES_MAX: usize = 3;

/// A space at which a line is not broken, until it is.
const GLUE: char = '\u{a0}';

/// Draws a run: the diagram, why, and the commands to view it, replay it and find it again.
pub fn render<P: Protocol>(trace: &Trace<P>, options: &Style) -> String {
    draw(trace, &replay(trace), options)
}

/// The same, of a run that was replayed already.
pub fn draw<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>, options: &Style) -> String {
    let drawing = Drawing { lanes: Lanes::of(replay), trace, replay };
    let mut lines = drawing.header(options);
    lines.push(String::new());
    lines.extend(drawing.rows());
    lines.push(String::new());
    lines.extend(why(trace, replay).lines().map(str::to_owned));
    lines.push(String::new());
    let file = options.file.as_deref().unwrap_or("TRACE");
    lines.push(format!("view    trace view {file}"));
    lines.push(format!("replay  check replay {file}"));
    lines.push(format!("again   {}", trace.command));
    let mut text = String::new();
    for line in lines {
        let line = line.trim_end().replace(GLUE, " ");
        let line = if options.ascii { ascii(&line) } else { line };
        let is_bad = line.starts_with(if options.ascii { 'x' } else { '✗' });
        if options.colour && is_bad {
            text.push_str(&format!("\x1b[31m{line}\x1b[0m\n"));
        } else {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

/// The same text in signs of ASCII.
pub fn ascii(line: &str) -> String {
    let mut text = String::new();
    for letter in line.chars() {
        match letter {
            '─' => text.push('-'),
            '═' => text.push('='),
            '≈' => text.push('~'),
            '╌' => text.push('.'),
            '│' | '├' | '┤' => text.push('|'),
            '┼' | '╭' | '╰' => text.push('+'),
            '▶' | '▷' => text.push('>'),
            '◀' | '◁' => text.push('<'),
            '●' => text.push('o'),
            '✗' => text.push('x'),
            '✓' => text.push('v'),
            '·' => text.push('-'),
            '→' => text.push_str("->"),
            '…' => text.push_str("..."),
            other => text.push(if other.is_ascii() { other } else { '?' }),
        }
    }
    text
}

/// A run being drawn.
struct Drawing<'a, P: Protocol> {
    trace: &'a Trace<P>,
    replay: &'a Replay<P>,
    lanes: Lanes,
}

impl<P: Protocol> Drawing<'_, P> {
    fn header(&self, options: &Style) -> Vec<String> {
        let Trace { scenario, property, .. } = self.trace;
        let (verdict, step) = match &self.replay.outcome {
            Outcome::Violated { step, .. } => (format!("✗ {property} is violated"), *step),
            Outcome::Holds { .. } => (format!("✓ {property} holds"), self.replay.steps.len()),
            Outcome::Diverged(_) => {
                (format!("✗ the run of {property} diverged"), self.replay.steps.len())
            }
        };
        let place = format!("{} · {} · step {step}", scenario.name, cast(scenario));
        let taken = verdict.chars().count() + place.chars().count();
        let mut lines = if taken + 2 > WIDTH {
            vec![verdict, format!("  {place}")]
        } else {
            vec![format!("{verdict}{}{place}", " ".repeat(WIDTH - taken))]
        };
        let mut say = |text: &str| {
            lines.extend(wrap(text, WIDTH - 2).into_iter().map(|line| format!("  {line}")));
        };
        say(self.trace.statement());
        options.length.iter().for_each(|length| say(length));
        let off: Vec<&str> = scenario.without.iter().map(|rule| rule.name()).collect();
        let off =
            if off.is_empty() { String::new() } else { format!("; without {}", off.join(", ")) };
        say(&format!("bounds: {}{off}", scenario.bounds()));
        lines
    }

    /// The diagram.
    fn rows(&self) -> Vec<String> {
        let mut names = vec![' '; self.lanes.words()];
        for actor in &self.lanes.actors {
            let letters = actor.to_string().chars().collect::<Vec<_>>();
            let start = self.lanes.place(*actor);
            names[start..start + letters.len().min(4)]
                .copy_from_slice(&letters[..letters.len().min(4)]);
        }
        let mut rows = vec![names.into_iter().collect()];
        rows.extend(self.start());
        for step in 1..=self.replay.steps.len() {
            if self.loops() == Some(step - 1) {
                rows.push(self.rail("╭─▶", "from here on again and again:", step - 1));
            }
            rows.extend(self.step(step));
        }
        let last = self.replay.steps.len();
        if let (Kind::Liveness, Outcome::Violated { .. }) = (self.trace.kind, &self.replay.outcome)
        {
            rows.push(match self.loops() {
                Some(start) => {
                    self.rail("╰──", &format!("back to the state after step {start}"), last)
                }
                None => self.rail("", "nothing fair changes anything any more", last),
            });
        }
        for message in &self.replay.messages {
            let spent = match message.fate {
                Fate::InFlight => String::new(),
                Fate::Spent(step) => format!(", without effect from step {step} on"),
                Fate::Delivered(_) | Fate::Lost(_) | Fate::Dropped(_) => continue,
            };
            let mut row = self.lanes.row(|actor| self.lives(last, actor));
            self.lanes.arrow(&mut row, message, &Line::IN_FLIGHT);
            let by = message.overtaken_by.map(|by| format!(", overtaken by {}", name(by)));
            let by = by.unwrap_or_default();
            let words = format!("still in flight: {}{by}{spent}", message.label);
            rows.extend(self.beside(vec![row], &[words], last, "       "));
        }
        rows
    }

    /// The first step after which the run repeats itself.
    fn loops(&self) -> Option<usize> {
        let start = self.trace.back_to.filter(|start| *start < self.trace.steps.len());
        let violated = matches!(self.replay.outcome, Outcome::Violated { .. });
        start.filter(|_| self.trace.kind == Kind::Liveness && violated)
    }

    fn lives(&self, state: usize, actor: Actor) -> bool {
        let mut lives = self.replay.states[state].processes.keys();
        lives.any(|address| address.actor == actor)
    }

    fn start(&self) -> Vec<String> {
        let start = match self.trace.scenario.start {
            Start::Warm => "every scheduler has met every node",
            Start::Cold => "nothing has been said yet",
        };
        let row = self.lanes.row(|actor| self.lives(0, actor));
        let words = format!("{start}{}", self.sent(0));
        self.beside(vec![row], &[words], 0, &self.margin(0))
    }

    fn step(&self, step: usize) -> Vec<String> {
        let was = &self.replay.steps[step - 1];
        let blank = self.lanes.row(|actor| self.lives(step, actor));
        let mut rows = Vec::new();
        let mut words = Vec::new();
        for message in &self.replay.messages {
            for line in lines_at(message, step) {
                let mut row = blank.clone();
                self.lanes.arrow(&mut row, message, &line);
                rows.push(row);
            }
        }
        if rows.is_empty() {
            let mut row = blank.clone();
            if let Some(actor) = was.actor {
                row[self.lanes.place(actor)] = '●';
            }
            rows.push(row);
        }
        let torn = matches!(self.trace.steps[step - 1], Action::Torn(..));
        let arrived = self.replay.messages.iter().find_map(|message| arrival(message, step));
        let mut said = arrived.filter(|_| !torn).unwrap_or_else(|| was.action.clone());
        if !was.decisions.is_empty() {
            said.push_str(&format!(": {}", was.decisions.join(", ")));
        }
        words.push(said + &self.sent(step));
        words.extend(self.changes(&was.changes));
        let overtakes = |m: &&Message| m.arrivals().min() == Some(step) && !m.overtook.is_empty();
        for message in self.replay.messages.iter().filter(overtakes) {
            let overtook: Vec<String> = message.overtook.iter().map(|m| name(*m)).collect();
            words.push(format!("{} overtakes {}", message.name(), overtook.join(" ")));
        }
        let dropped = |m: &&Message| m.fate == Fate::Dropped(step);
        let dropped: Vec<String> =
            self.replay.messages.iter().filter(dropped).map(Message::name).collect();
        if !dropped.is_empty() {
            words.push(format!("nobody is left to have {}", dropped.join(" ")));
        }
        self.beside(rows, &words, step, &self.margin(step))
    }

    /// The messages that a step sent.
    fn sent(&self, step: usize) -> String {
        let sent = self.replay.messages.iter().filter(|message| message.sent == step);
        let names: Vec<String> = sent.map(Message::name).collect();
        if names.is_empty() {
            String::new()
        } else {
            format!("  →{GLUE}{}", names.join(&GLUE.to_string()))
        }
    }

    /// The most telling changes: first those of values that the violation names, then those of one
    /// value for another, in few words.
    fn changes(&self, changes: &[Change]) -> Vec<String> {
        let facts = match &self.replay.outcome {
            Outcome::Violated { violation, .. } => violation.facts.as_slice(),
            Outcome::Holds { .. } | Outcome::Diverged(_) => &[],
        };
        let named = |change: &Change| {
            facts.iter().any(|fact| {
                let pairs = fact.path.iter().zip(&change.path);
                !fact.path.is_empty() && pairs.into_iter().all(|(one, other)| one == other)
            })
        };
        let replaced = |change: &Change| change.before.is_some() && change.after.is_some();
        let mut order: Vec<&Change> = changes.iter().collect();
        order.sort_by_key(|change| (!named(change), !replaced(change)));
        let room = self.room() - 2;
        let mut words: Vec<String> =
            order.iter().take(CHANGES_MAX).map(|change| tell(change, room)).collect();
        if changes.len() > CHANGES_MAX {
            let more = format!(", and {} more", changes.len() - CHANGES_MAX);
            let way_width = text_width(&way(&order[CHANGES_MAX - 1].path)) + 4;
            let last = words.last_mut().expect("CHANGES_MAX is not 0");
            if way_width + more.len() <= room {
                *last = shorten(last, room - more.len()) + &more;
            } else {
                words.push(format!("  {}", &more[2..]));
            }
        }
        words
    }

    /// How wide the words beside the lanes may be; with many actors the text is wider than it
    /// should.
    fn room(&self) -> usize {
        WIDTH.saturating_sub(self.lanes.words()).max(WORDS_MIN / 2)
    }

    /// The mark of a violation, the rail of the loop, and the number of the step.
    fn margin(&self, step: usize) -> String {
        let violated =
            matches!(self.replay.outcome, Outcome::Violated { step: at, .. } if at == step);
        let mark = if violated { '✗' } else { ' ' };
        format!("{mark}{}{step:>4} ", self.rail_sign(step))
    }

    fn rail_sign(&self, step: usize) -> char {
        if self.loops().is_some_and(|start| step > start) { '│' } else { ' ' }
    }

    fn rail(&self, sign: &str, words: &str, state: usize) -> String {
        let row: String = self.lanes.row(|actor| self.lives(state, actor)).into_iter().collect();
        let skipped = 1 + sign.chars().count();
        let rest: String = row.chars().skip(skipped).collect();
        format!(" {sign}{rest}{words}")
    }

    /// Rows with words beside them; the margin stands before the first.
    fn beside(
        &self,
        mut rows: Vec<Vec<char>>,
        words: &[String],
        state: usize,
        margin: &str,
    ) -> Vec<String> {
        let room = self.room();
        let mut said = Vec::new();
        for text in words {
            let is_change = ["~ ", "+ ", "- ", "  "].iter().any(|mark| text.starts_with(mark));
            let indent = if is_change { "  " } else { "" };
            let lines = wrap(text, room - 2).into_iter().enumerate();
            said.extend(lines.map(|(n, line)| {
                format!("{}{line}", if n > 0 && !is_change { "  " } else { indent })
            }));
        }
        while rows.len() < said.len() {
            rows.push(self.lanes.row(|actor| self.lives(state, actor)));
        }
        let below = format!(" {}     ", self.rail_sign(state));
        let all = rows.into_iter().enumerate().map(|(index, row)| {
            let margin = if index == 0 { margin } else { below.as_str() };
            let row: String = row.into_iter().skip(margin.chars().count()).collect();
            format!("{margin}{row}{}", said.get(index).map_or("", String::as_str))
        });
        all.collect()
    }
}

/// What a step did to a message, as lines to draw.
fn lines_at(message: &Message, step: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    if message.copies.contains(&step) {
        lines.push(Line::COPY);
    }
    match message.fate {
        Fate::Delivered(at) if at == step && message.overtook.is_empty() => {
            lines.push(Line::DELIVERED);
        }
        Fate::Delivered(at) if at == step => lines.push(Line::OVERTAKING),
        Fate::Lost(at) | Fate::Dropped(at) if at == step => lines.push(Line::LOST),
        Fate::Delivered(_) | Fate::Lost(_) | Fate::Dropped(_) | Fate::Spent(_) | Fate::InFlight => {
        }
    }
    lines
}

/// What arrived, in few words: the arrow says from where and to whom.
fn arrival(message: &Message, step: usize) -> Option<String> {
    if message.copies.contains(&step) {
        Some(format!("copy of {}", message.label))
    } else {
        (message.fate == Fate::Delivered(step)).then(|| message.label.clone())
    }
}

/// A change in one line, or in two if both values are told.
fn tell(change: &Change, room: usize) -> String {
    let way = way(&change.path);
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            let (before, after) = (brief(before), brief(after));
            let values = format!("{before}→{after}").replace(' ', &GLUE.to_string());
            if text_width(&values) <= room {
                format!("~ {way} {values}")
            } else {
                shorten(&format!("~ {way} →{after}"), room)
            }
        }
        (None, Some(after)) => shorten(&format!("+ {way} {}", brief(after)), room),
        (Some(_), None) => shorten(&format!("- {way}"), room),
        (None, None) => way,
    }
}

/// The text, or as much of it as there is room for.
fn shorten(text: &str, room: usize) -> String {
    const MORE: &str = " …";
    if text_width(text) <= room {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while text_width(&kept) + text_width(MORE) > room && kept.pop().is_some() {}
    let whole = kept.rsplit_once([' ', ',']).map_or(kept.as_str(), |(whole, _)| whole);
    format!("{}{MORE}", whole.trim_end_matches([' ', ',', '{']))
}

/// How many there are of each role.
fn cast(scenario: &Scenario) -> String {
    let many =
        |count: u32, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let schedulers = many(scenario.schedulers, "scheduler");
    format!("{schedulers}, {}", many(scenario.nodes_at_start, "node"))
}
