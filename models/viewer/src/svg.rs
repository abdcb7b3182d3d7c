//! The space-time diagram as a drawing: every actor has a lane, time goes down, a message is a line
//! from where it was sent to where it arrived. The fate of a message is told by its line.

mod line;

use crate::story::{Lane, Message, Sort, Story, Verdict};
use counterfoil_world::explain::wrap;
use line::Point;
use maud::{Markup, PreEscaped, html};

/// What the classes in a drawing look like.
pub(crate) const STYLE: &str = include_str!("svg.css");

/// How high a line of words is.
pub(crate) const LINE: u32 = 18;
/// How much more than its words a row is high.
pub(crate) const ROOM: u32 = 12;
/// How many lines of words a row has at most.
pub(crate) const LINES_MAX: usize = 7;
/// Where the first lane stands, beside the numbers of the steps and the rail of a loop.
const FIRST_LANE: u32 = 84;
/// How far from a crash the life before it ends, and the next begins.
const GAP: u32 = 11;
/// How high the names of the actors are.
const HEADS: u32 = 42;
/// What is left below the last row for what is still in flight.
const FOOT: u32 = 40;
/// How wide a letter is, about.
const LETTER: f64 = 7.3;
/// How wide a diagram is, words included, for up to eight actors.
const WIDTH: u32 = 760;
/// How wide the words are at least.
const WORDS_MIN: u32 = 270;

/// Where everything stands.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// By actor: its lane.
    pub(crate) lanes: Vec<u32>,
    /// By state: its row; and one more for what is said of the end, if anything is.
    pub(crate) rows: Vec<Row>,
    /// How wide the lanes are.
    pub(crate) width: u32,
    /// How high the rows are.
    pub(crate) height: u32,
    /// Whether the names of messages stand beside their lines.
    named: bool,
}

/// What a step takes of the height.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Where it begins.
    pub(crate) top: u32,
    /// Where its event is.
    pub(crate) y: u32,
    /// How many lines of words it has room for.
    pub(crate) lines: usize,
    /// What is said of it first.
    pub(crate) title: String,
    /// What else is said, one line each.
    pub(crate) more: Vec<More>,
}

/// A line of words below the first.
#[derive(Clone, Debug)]
pub(crate) struct More {
    /// What it is: a note, or a change.
    pub(crate) class: &'static str,
    /// What it says.
    pub(crate) text: String,
    /// How many more of its kind there are that are not told.
    pub(crate) rest: usize,
}

impl Layout {
    /// With room for words beside each row.
    pub(crate) fn of(story: &Story) -> Layout {
        let actors = story.actors.len() as u32;
        let pitch = match actors {
            0..=3 => 84,
            4 => 76,
            5 => 68,
            6..=8 => 58,
            9.. => 36,
        };
        let lanes: Vec<u32> = (0..actors).map(|lane| FIRST_LANE + lane * pitch).collect();
        let width = lanes.last().map_or(FIRST_LANE, |last| last + pitch / 2);
        let columns = f64::from(WIDTH.saturating_sub(width).max(WORDS_MIN)) / LETTER;
        let columns = columns as usize;
        let mut rows = Vec::new();
        let mut top = 0;
        for state in 0..=story.steps.len() {
            rows.push(Row::of(story, state, top, columns));
            top += rows[state].height();
        }
        if let Some(title) = ending(story) {
            let lines = wrap(&title, columns).len().clamp(2, LINES_MAX);
            rows.push(Row { top, y: top + 16, lines, title, more: Vec::new() });
            top += rows[rows.len() - 1].height();
        }
        Layout { lanes, rows, width, height: top + FOOT, named: true }
    }

    /// Small, and without words.
    pub(crate) fn small(story: &Story) -> Layout {
        let lanes: Vec<u32> = (0..story.actors.len() as u32).map(|lane| 20 + lane * 60).collect();
        let width = lanes.last().map_or(40, |last| last + 20);
        let row = |state: usize| {
            let top = state as u32 * 26;
            Row { top, y: top + 13, lines: 1, title: String::new(), more: Vec::new() }
        };
        let rows: Vec<Row> = (0..=story.steps.len()).map(row).collect();
        let height = rows.last().map_or(26, |row| row.top + 36);
        Layout { lanes, rows, width, height, named: false }
    }

    /// Whether there are so many lanes that their roles are not told.
    pub(crate) fn is_crowded(&self) -> bool {
        self.lanes.len() > 8
    }

    fn y(&self, state: usize) -> u32 {
        self.rows.get(state).map_or(self.height, |row| row.y)
    }
}

/// What is said of the end of a run that goes on for ever.
fn ending(story: &Story) -> Option<String> {
    let violated = matches!(story.verdict, Verdict::Violated { .. });
    match (story.kind, story.back_to) {
        (counterfoil_world::trace::Kind::Liveness, Some(back)) if violated => {
            let (first, last) = (back + 1, story.steps.len());
            Some(format!(
                "↺ back to the state after step {back}: steps {first} to {last} repeat for ever"
            ))
        }
        (counterfoil_world::trace::Kind::Liveness, None) if violated => {
            Some("■ from here on nothing happens by itself any more".to_owned())
        }
        (_, _) => None,
    }
}

impl Row {
    fn of(story: &Story, state: usize, top: u32, columns: usize) -> Row {
        let (title, more) = match state.checked_sub(1).map(|index| &story.steps[index]) {
            None => (format!("at the start: {}", story.start), Vec::new()),
            Some(step) => {
                let changes_max = if story.steps.len() > 100 { 1 } else { 3 };
                let mut title = step.what.clone();
                if !step.decisions.is_empty() {
                    title += &format!(": {}", step.decisions.join(", "));
                }
                let note = |text: &String| More { class: "note", text: text.clone(), rest: 0 };
                let mut more: Vec<More> = step.notes.iter().take(2).map(note).collect();
                let telling = step.changes.iter().filter(|c| c.named || !c.bookkeeping);
                more.extend(telling.take(changes_max).map(|change| More {
                    class: if change.named { "change named" } else { "change" },
                    text: change.short(),
                    rest: 0,
                }));
                let told = more.iter().filter(|more| more.class != "note").count();
                if let Some(last) = more.last_mut() {
                    last.rest = step.changes.len() - told;
                }
                (title, more)
            }
        };
        let titles = wrap(&title, columns).len();
        let lines = (titles + more.len()).clamp(2, LINES_MAX);
        Row { top, y: top + 16, lines, title, more }
    }

    /// How high it is.
    pub(crate) fn height(&self) -> u32 {
        self.lines as u32 * LINE + ROOM
    }
}

/// As much of a text as there is room for beside so many letters.
fn shorten(text: &str, columns: usize, beside: usize) -> String {
    let room = columns.saturating_sub(beside);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

impl crate::story::Change {
    /// In a line, as short as it can be told.
    fn short(&self) -> String {
        let crate::story::Change { mark, way, before, short, .. } = self;
        match (before, short) {
            (Some(before), Some(after)) => format!("{mark} {way} {before} → {after}"),
            (None, Some(after)) => format!("{mark} {way} {after}"),
            (Some(_) | None, None) => format!("{mark} {way}"),
        }
    }
}

impl std::fmt::Display for crate::story::Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.mark, self.way)?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, " {before} → {after}"),
            (None, Some(after)) => write!(f, " {after}"),
            (Some(before), None) => write!(f, " (was {before})"),
            (None, None) => Ok(()),
        }
    }
}

/// The names of the actors, above their lanes.
pub(crate) fn heads(story: &Story, layout: &Layout) -> Markup {
    html! {
        @for (lane, x) in story.actors.iter().zip(&layout.lanes) {
            g.head data-actor=(lane.name) {
                text.name x=(x) y="17" { (lane.name) }
                @if !layout.is_crowded() { text.role x=(x) y="33" { (lane.role) } }
            }
        }
    }
}

/// How high the names of the actors are.
pub(crate) const fn heads_height() -> u32 {
    HEADS
}

/// Lanes, events and messages.
pub(crate) fn drawing(story: &Story, layout: &Layout) -> Markup {
    let violated = match &story.verdict {
        Verdict::Violated { step, .. } => Some(*step),
        Verdict::Holds { .. } | Verdict::Diverged { .. } => None,
    };
    html! {
        @if let Some(row) = violated.and_then(|step| layout.rows.get(step)) {
            rect.bad x="0" y=(row.top) width="100%" height=(row.height()) {}
        }
        g.lanes {
            @for (lane, x) in story.actors.iter().zip(&layout.lanes) {
                (lifeline(story, layout, lane, *x))
                (restarts(layout, lane, *x))
            }
        }
        (rail(story, layout))
        @if layout.named {
            (numbers(story, layout, violated))
        }
        g.messages {
            @for message in &story.messages { (lines(story, layout, message)) }
        }
        g.events {
            @for (index, step) in story.steps.iter().enumerate() {
                @let lane = story.actors.iter().position(|lane| step.actor.as_ref() == Some(&lane.name));
                @if let Some(x) = lane.map(|lane| layout.lanes[lane]) {
                    (event(x, layout.y(index + 1), step.sort, violated == Some(index + 1)))
                }
            }
        }
    }
}

/// The mark of a step on the lane of who acted.
fn event(x: u32, y: u32, sort: Sort, violated: bool) -> Markup {
    html! {
        @match sort {
            Sort::Fair => circle.event cx=(x) cy=(y) r="5" {},
            Sort::Outside => circle.event.outside cx=(x) cy=(y) r="5" {},
            Sort::Fault | Sort::Early => {
                path.event.fault d=(format!("M{x} {}l7 7l-7 7l-7 -7z", y - 7)) {}
            }
        }
        @if violated { circle.ring cx=(x) cy=(y) r="10" {} }
    }
}

fn lifeline(story: &Story, layout: &Layout, lane: &Lane, x: u32) -> Markup {
    let last = story.steps.len();
    html! {
        @for (from, to) in &lane.lives {
            @let top = if *from == 0 { 0 } else { layout.y(*from) };
            @let bottom = if *to == last { layout.height } else { layout.y(*to + 1) };
            line.lane x1=(x) y1=(top) x2=(x) y2=(bottom) {}
            @if *to != last {
                line.lane.over x1=(x - 8) y1=(bottom) x2=(x + 8) y2=(bottom) {}
            }
        }
    }
}

/// Where a crash ends a life and the next begins: a gap in the lane.
fn restarts(layout: &Layout, lane: &Lane, x: u32) -> Markup {
    html! {
        @for step in &lane.restarts {
            @let (end, begin) = (layout.y(*step) - GAP, layout.y(*step) + GAP);
            line.gap x1=(x) y1=(end) x2=(x) y2=(begin) {}
            @for y in [end, begin] { line.lane.over x1=(x - 8) y1=(y) x2=(x + 8) y2=(y) {} }
            @if layout.named {
                text.life x=(x - 11) y=(begin + 4) { "new life" }
            }
        }
    }
}

/// The rail beside the steps that repeat for ever.
fn rail(story: &Story, layout: &Layout) -> Markup {
    let Some(back) = story.back_to else { return html! {} };
    let (first, last) = (layout.y(back + 1), layout.y(story.steps.len() + 1));
    html! {
        g.rail {
            title { "these steps repeat for ever" }
            path d=(format!("M24 {last}H12Q6 {last} 6 {}V{}Q6 {first} 12 {first}H18", last - 6, first + 6)) {}
            path.tip d=(format!("M24 {first}l-9 -5v10z")) {}
        }
    }
}

fn numbers(story: &Story, layout: &Layout, violated: Option<usize>) -> Markup {
    html! {
        g.numbers {
            @for state in 0..=story.steps.len() {
                @let row = &layout.rows[state];
                @if violated == Some(state) {
                    text.mark x="36" y=(row.y + 5) { "✗" }
                }
                text x="60" y=(row.y + 5) { (state) }
            }
        }
    }
}

/// The lines of a message: of every copy that arrived, and of itself.
fn lines(story: &Story, layout: &Layout, message: &Message) -> Markup {
    let (src, dst) = (layout.lanes[message.src], layout.lanes[message.dst]);
    let from = Point::at(src, layout.y(message.sent));
    let to = |state: usize| Point::at(dst, layout.y(state));
    let words = format!("{}. It says: {}", message.told, message.text);
    /// Where more are sent at once, the starts of their lines have no names.
    const SENT_MAX: usize = 2;
    let sent = message.sent.checked_sub(1).map_or(0, |index| story.steps[index].sent.len());
    let text = layout.named.then_some(message.name.as_str());
    let label = line::Label { text, twice: sent <= SENT_MAX };
    let to_whom = &story.actors[message.dst].name;
    html! {
        g.message data-m=(message.name) {
            title { (words) }
            @for copy in &message.copies {
                (line::copy(from, to(*copy), label))
            }
            @match (message.fate, message.at) {
                ("delivered", Some(at)) => (line::delivered(from, to(at), label)),
                ("overtook", Some(at)) => (line::overtook(from, to(at), label)),
                ("lost" | "nobody left", Some(at)) => (line::lost(from, to(at), label)),
                (_, _) => {
                    @let nth = story.messages.iter().take_while(|other| other.name != message.name)
                        .filter(|other| is_beside(message, other)).count();
                    (line::in_flight(from, dst, nth, text.map(|name| (name, to_whom.as_str()))))
                }
            }
        }
    }
}

/// Whether two messages are still in flight at the end, from one place to one side.
fn is_beside(one: &Message, other: &Message) -> bool {
    let ends_so = |message: &Message| {
        !matches!(message.fate, "delivered" | "overtook" | "lost" | "nobody left")
    };
    let side = |message: &Message| message.src < message.dst;
    (one.sent, one.src) == (other.sent, other.src) && side(one) == side(other) && ends_so(other)
}

/// The whole diagram with its words as a file of its own.
pub fn file(story: &Story) -> String {
    let layout = Layout::of(story);
    let columns = (f64::from(WIDTH.saturating_sub(layout.width).max(WORDS_MIN)) / LETTER) as usize;
    let words = layout.width + 12;
    let (width, head) = (layout.width + WIDTH.saturating_sub(layout.width).max(WORDS_MIN) + 40, 76);
    let height = layout.height + head + HEADS;
    let markup = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
            viewBox=(format!("0 0 {width} {height}")) role="img" aria-labelledby="title desc" {
            title id="title" { (story.headline()) }
            desc id="desc" { (description(story)) }
            style { (PreEscaped(STYLE)) }
            rect.paper width="100%" height="100%" {}
            text.title x="16" y="28" { (story.headline()) }
            text.sub x="16" y="50" { (shorten(&story.statement, width as usize / 7, 4)) }
            g transform=(format!("translate(0 {head})")) { (heads(story, &layout)) }
            g transform=(format!("translate(0 {})", head + HEADS)) {
                (drawing(story, &layout))
                @for row in &layout.rows {
                    @let titles = wrap(&row.title, columns);
                    @for (index, line) in titles.iter().take(row.lines).enumerate() {
                        text.words x=(words) y=(row.y + 5 + index as u32 * LINE) { (line) }
                    }
                    @for (index, more) in row.more.iter().enumerate() {
                        @let at = index + titles.len();
                        @if at < row.lines {
                            text class=(format!("words {}", more.class)) x=(words)
                                y=(row.y + 5 + at as u32 * LINE) {
                                @if more.rest > 0 {
                                    (shorten(&more.text, columns, 11)) "  +" (more.rest) " more"
                                } @else { (shorten(&more.text, columns, 0)) }
                            }
                        }
                    }
                }
            }
        }
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", clean(markup.into_string()))
}

/// What a diagram shows, for whoever does not see it.
pub(crate) fn description(story: &Story) -> String {
    let names: Vec<&str> = story.actors.iter().map(|lane| lane.name.as_str()).collect();
    format!(
        "A space-time diagram of {} steps and {} messages between {}. The table of steps says the \
         same in words.",
        story.steps.len(),
        story.messages.len(),
        names.join(", "),
    )
}

/// Control characters can stand in no document of XML, nor do they say anything in one of HTML.
pub(crate) fn clean(text: String) -> String {
    let is_bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.chars().any(is_bad) {
        text.chars().map(|c| if is_bad(c) { '\u{fffd}' } else { c }).collect()
    } else {
        text
    }
}
