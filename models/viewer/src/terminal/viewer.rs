//! The viewer: what it shows, and what keys do to that.

mod asking;
mod branching;

use super::compare::Comparison;
use super::fields::{Field, fields};
use super::keys::{Command, command};
use super::palette::Palette;
use super::rows::lives;
use super::run::{Branch, Run, names};
use super::thinker::Thinker;
use super::told::{Item, flights};
use counterfoil_protocol::Actor;
use counterfoil_world::choices::Choice;
use counterfoil_world::why::Why;
use counterfoil_world::{Outcome, Protocol, Trace};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::{BTreeMap, BTreeSet};

/// A part of the screen that can have the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pane {
    Diagram,
    State,
    Why,
    Next,
    Flight,
}

impl Pane {
    pub(crate) const ALL: [Pane; 5] =
        [Pane::Diagram, Pane::State, Pane::Why, Pane::Next, Pane::Flight];

    /// What it is called where there is room for a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Pane::Diagram => "run",
            Pane::State => "state",
            Pane::Why => "why",
            Pane::Next => "next",
            Pane::Flight => "flight",
        }
    }
}

/// What lies over the panes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Nothing,
    Help(usize),
    Actors(usize),
    Prompt(Prompt, String),
    Comparison(Box<Comparison>),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    Search,
    Save,
    Compare,
}

/// Whether the viewer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It waits for the next key.
    On,
    /// It was told to quit.
    Quit,
    /// It was interrupted.
    Interrupted,
}

/// What happened to a text that is told at the foot of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) bad: bool,
}

/// Shows a run, and takes keys.
pub struct Viewer<P: Protocol> {
    pub(crate) run: Run<P>,
    other: Option<Run<P>>,
    pub(crate) palette: Palette,
    pub(crate) step: usize,
    pub(crate) pane: Pane,
    /// The pane that is shown where there is room for one beside the diagram.
    pub(crate) panel: Pane,
    /// The actor whose state is shown; whoever acts, if none is chosen.
    chosen: Option<Actor>,
    pub(crate) actor: Actor,
    pub(crate) field: Option<Vec<String>>,
    turned: BTreeSet<Vec<String>>,
    pub(crate) cursors: BTreeMap<Pane, usize>,
    pub(crate) over: Over,
    pub(crate) hidden: BTreeSet<Actor>,
    searched: String,
    pub(crate) note: Option<Note>,
    undo: Vec<(Option<Branch<P>>, usize)>,
    thinker: Thinker<P>,
    why: Option<Box<Why>>,
    why_asked: Option<usize>,
    choices: BTreeMap<usize, (Vec<Choice<P>>, bool)>,
    choices_edition: usize,
    choices_asked: Option<usize>,
    /// How many lines each pane had room for when it was drawn last.
    pub(crate) pages: BTreeMap<Pane, usize>,
}

impl<P: Protocol> Viewer<P> {
    /// Shows a trace, by the name of its file.
    pub fn new(name: &str, trace: Trace<P>, palette: Palette) -> Self {
        let run = Run::new(name.to_owned(), trace);
        let actor = run.lanes.first().copied();
        let mut viewer = Viewer {
            step: run.violation().unwrap_or(run.last()),
            choices_edition: run.edition,
            run,
            other: None,
            palette,
            pane: Pane::Diagram,
            panel: Pane::State,
            chosen: None,
            actor: actor.unwrap_or(Actor::Node(counterfoil_protocol::NodeId(1))),
            field: None,
            turned: BTreeSet::new(),
            cursors: BTreeMap::new(),
            over: Over::Nothing,
            hidden: BTreeSet::new(),
            searched: String::new(),
            note: None,
            undo: Vec::new(),
            thinker: Thinker::start(),
            why: None,
            why_asked: None,
            choices: BTreeMap::new(),
            choices_asked: None,
            pages: BTreeMap::new(),
        };
        viewer.go(viewer.step);
        viewer
    }

    /// Compares with another trace from the start.
    pub fn compare_with(&mut self, name: &str, trace: Trace<P>) {
        self.other = Some(Run::new(name.to_owned(), trace));
        self.compare();
    }

    /// What came of the run of the file, whatever branch is shown.
    pub fn outcome(&self) -> &Outcome {
        self.run.file_outcome()
    }

    /// The step that is shown.
    pub fn step(&self) -> usize {
        self.step
    }

    /// The step at which the run that is shown violates the property.
    pub fn violation(&self) -> Option<usize> {
        self.run.violation()
    }

    /// After which step the branch that is shown leaves the run of the file.
    pub fn branched(&self) -> Option<usize> {
        self.run.branched()
    }

    /// What is told at the foot of the screen.
    pub fn note(&self) -> Option<&str> {
        self.note.as_ref().map(|note| note.text.as_str())
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Flow {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Flow::Interrupted;
        }
        self.note = None;
        if let Over::Prompt(prompt, text) = &mut self.over {
            let prompt = *prompt;
            let text = std::mem::take(text);
            self.typed(prompt, text, key);
            return Flow::On;
        }
        match command(key) {
            Some(Command::Quit) if self.over == Over::Nothing => return Flow::Quit,
            Some(Command::Interrupt) => return Flow::Interrupted,
            Some(command) => self.obey(command),
            None => {}
        }
        Flow::On
    }

    fn obey(&mut self, command: Command) {
        match std::mem::replace(&mut self.over, Over::Nothing) {
            Over::Nothing | Over::Prompt(..) => self.command(command),
            Over::Help(top) => self.in_help(top, command),
            Over::Actors(at) => self.in_actors(at, command),
            Over::Comparison(mut comparison) => {
                let other = self.other.as_ref();
                if comparison.obey(command, &self.run, other) {
                    self.over = Over::Comparison(comparison);
                }
            }
        }
    }

    fn in_help(&mut self, top: usize, command: Command) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "any other key closes the help")]
        let over = match command {
            Command::Down | Command::PageDown => Over::Help(top + 1),
            Command::Up | Command::PageUp => Over::Help(top.saturating_sub(1)),
            _ => Over::Nothing,
        };
        self.over = over;
    }

    fn in_actors(&mut self, at: usize, command: Command) {
        let last = self.run.lanes.len().saturating_sub(1);
        #[expect(clippy::wildcard_enum_match_arm, reason = "any other key closes the list")]
        let at = match command {
            Command::Down | Command::On => (at + 1).min(last),
            Command::Up | Command::Back => at.saturating_sub(1),
            Command::NextActor => {
                self.hidden.clear();
                at
            }
            Command::Enter => {
                let actor = self.run.lanes[at];
                if !self.hidden.remove(&actor) && self.hidden.len() < last {
                    self.hidden.insert(actor);
                }
                at
            }
            _ => return,
        };
        self.run.hide(&self.hidden);
        self.over = Over::Actors(at);
    }

    fn command(&mut self, command: Command) {
        let page = self.pages.get(&self.pane).copied().unwrap_or(10).max(2) - 1;
        match command {
            Command::Back => self.go(self.step.saturating_sub(1)),
            Command::On => self.on(),
            Command::First => self.go(0),
            Command::Last => self.go(self.run.last()),
            Command::PageUp => self.line(page, false),
            Command::PageDown => self.line(page, true),
            Command::Up => self.line(1, false),
            Command::Down => self.line(1, true),
            Command::Violation => match self.run.violation() {
                Some(step) => self.go(step),
                None => self.say("the property is not violated on this run"),
            },
            Command::Loop => self.go_to_loop(),
            Command::ActorBack => self.actor_step(false),
            Command::ActorOn => self.actor_step(true),
            Command::FieldBack => self.field_step(false),
            Command::FieldOn => self.field_step(true),
            Command::NextActor => self.choose_actor(true),
            Command::PreviousActor => self.choose_actor(false),
            Command::Follow => {
                self.chosen = None;
                self.go(self.step);
            }
            Command::NextPane => self.turn(1),
            Command::PreviousPane => self.turn(Pane::ALL.len() - 1),
            Command::Enter => self.enter(),
            Command::Why => self.focus(Pane::Why),
            Command::Branch => self.focus(Pane::Next),
            Command::Undo => self.undo(),
            Command::Leave => self.leave(),
            Command::Save => self.ask_save(),
            Command::Actors => self.over = Over::Actors(0),
            Command::Search => self.over = Over::Prompt(Prompt::Search, String::new()),
            Command::SearchOn => self.search(true),
            Command::SearchBack => self.search(false),
            Command::Compare => self.compare(),
            Command::Help => self.over = Over::Help(0),
            Command::Escape => self.focus(Pane::Diagram),
            Command::Quit | Command::Interrupt => {}
        }
    }

    fn say(&mut self, text: impl Into<String>) {
        self.note = Some(Note { text: text.into(), bad: false });
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.note = Some(Note { text: text.into(), bad: true });
    }

    /// Shows the state after a step.
    fn go(&mut self, step: usize) {
        self.step = step.min(self.run.last());
        let acts = self.step.checked_sub(1).and_then(|at| self.run.replay.steps[at].actor);
        if let Some(actor) = self.chosen.or(acts) {
            self.actor = actor;
        }
        self.cursors.remove(&Pane::Next);
        self.cursors.remove(&Pane::Flight);
    }

    fn on(&mut self) {
        match (self.step == self.run.last(), self.run.loops()) {
            (true, Some(start)) => {
                self.say(format!("here it goes back to after step {start}: L goes there"));
            }
            (true, None) => self.say("this is the end; b goes on from here"),
            (false, _) => self.go(self.step + 1),
        }
    }

    fn go_to_loop(&mut self) {
        let Some(start) = self.run.loops() else {
            self.say("this run has no loop");
            return;
        };
        self.go(if self.step == start + 1 { self.run.last() } else { start + 1 });
        self.say(format!("steps {} to {} again and again", start + 1, self.run.last()));
    }

    fn turn(&mut self, by: usize) {
        let at = Pane::ALL.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        self.focus(Pane::ALL[(at + by) % Pane::ALL.len()]);
    }

    fn focus(&mut self, pane: Pane) {
        self.pane = pane;
        if pane != Pane::Diagram {
            self.panel = pane;
        }
    }

    /// Goes `by` lines in the pane that has the keys.
    fn line(&mut self, by: usize, down: bool) {
        let moved = |at: usize| if down { at + by } else { at.saturating_sub(by) };
        match self.pane {
            Pane::Diagram if by == 1 && down => self.on(),
            Pane::Diagram => self.go(moved(self.step)),
            Pane::State => {
                let fields = self.fields();
                let at = self.field_at(&fields);
                let at = at.map_or(0, moved).min(fields.len().saturating_sub(1));
                self.field = fields.get(at).map(|field| field.path.clone());
            }
            Pane::Why | Pane::Next | Pane::Flight => {
                let last = self.length(self.pane).saturating_sub(1);
                let at = self.cursors.get(&self.pane).copied().unwrap_or(0);
                self.cursors.insert(self.pane, moved(at).min(last));
            }
        }
    }

    fn length(&mut self, pane: Pane) -> usize {
        match pane {
            Pane::Diagram => self.run.last() + 1,
            Pane::State => self.fields().len(),
            Pane::Why => self.whys().len(),
            Pane::Next => self.choices().0.len(),
            Pane::Flight => self.flights().len(),
        }
    }

    pub(crate) fn cursor(&self, pane: Pane) -> usize {
        self.cursors.get(&pane).copied().unwrap_or(0)
    }

    fn actor_step(&mut self, on: bool) {
        let acts = |step: &usize| self.run.replay.steps[*step - 1].actor == Some(self.actor);
        let found = match on {
            true => (self.step + 1..=self.run.last()).find(acts),
            false => (1..self.step).rev().find(acts),
        };
        match found {
            Some(step) => self.go(step),
            None => {
                let way = if on { "later" } else { "earlier" };
                self.say(format!("{} does nothing {way}", self.actor));
            }
        }
    }

    fn field_step(&mut self, on: bool) {
        let Some(path) = self.field.clone() else {
            self.say("choose a value first: Tab to the state, then ↑ ↓");
            return;
        };
        let step = match on {
            true => self.run.writes.next(&path, self.step),
            false => {
                let last = self.run.writes.last(&path, self.step.saturating_sub(1));
                (last > 0).then_some(last)
            }
        };
        // The value stays in sight.
        self.chosen = Some(self.actor);
        match step {
            Some(step) => self.go(step),
            None => {
                let way = if on { "later" } else { "earlier" };
                self.say(format!(
                    "{} is not written {way}",
                    counterfoil_world::changes::way(&path)
                ));
            }
        }
    }

    fn choose_actor(&mut self, on: bool) {
        let lanes = self.run.drawn();
        let at = lanes.iter().position(|actor| *actor == self.actor);
        let count = lanes.len();
        let at = match (at, on) {
            (None, _) => 0,
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
        };
        self.actor = lanes[at];
        self.chosen = Some(self.actor);
        self.field = None;
        self.say(format!("{} is shown; 0 shows whoever acts", self.actor));
    }

    /// Whether the actor was chosen, and stays whoever acts.
    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen.is_some()
    }

    /// The state of the actor that is shown, as lines.
    pub(crate) fn fields(&self) -> Vec<Field> {
        let state = &self.run.replay.states[self.step];
        let before = self.step.checked_sub(1).map(|before| &self.run.replay.states[before]);
        let mut all = names(state, self.actor);
        for name in before.into_iter().flat_map(|state| names(state, self.actor)) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all.iter().flat_map(|name| fields(&self.run, name, self.step, &self.turned)).collect()
    }

    pub(crate) fn field_at(&self, fields: &[Field]) -> Option<usize> {
        let path = self.field.as_ref()?;
        fields.iter().position(|field| field.path == *path)
    }

    /// Whether the actor that is shown lives.
    pub(crate) fn actor_lives(&self) -> bool {
        lives(&self.run, self.step, self.actor)
    }

    pub(crate) fn flights(&self) -> Vec<Item> {
        flights(&self.run, self.step)
    }

    fn enter(&mut self) {
        match self.pane {
            Pane::Diagram => self.focus(Pane::State),
            Pane::State => {
                let Some(path) = self.field.clone() else { return };
                if !self.turned.remove(&path) {
                    self.turned.insert(path);
                }
            }
            Pane::Why | Pane::Flight => {
                let items = if self.pane == Pane::Why { self.whys() } else { self.flights() };
                let target = items.get(self.cursor(self.pane)).and_then(|item| item.target);
                if let Some(step) = target {
                    self.go(step);
                }
            }
            Pane::Next => self.take_choice(),
        }
    }

    /// The trace to compare with.
    pub(crate) fn other(&self) -> Option<&Run<P>> {
        self.other.as_ref()
    }
}
