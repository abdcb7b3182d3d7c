//! Two runs side by side: what they have in common, where they differ first, and how their states
//! differ.

use super::keys::Command;
use super::run::{Run, Side, names};
use counterfoil_protocol::Actor;
use counterfoil_world::changes::{Change, changes};
use counterfoil_world::replay::process;
use counterfoil_world::{Action, Counterfoil};
use serde_json::Value;

/// More pairs of steps than this are not tried to be matched.
const PAIRS_MAX: usize = 4_000_000;

/// A step of each run, side by side; `None` where only the other has one.
pub(crate) type Row = (Option<usize>, Option<usize>);

/// Two runs side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// The steps that stand side by side, from 1; one of two that is the same on both sides
    /// stands beside it.
    pub(crate) rows: Vec<Row>,
    /// How many steps both have in common from the start.
    pub(crate) common: usize,
    pub(crate) at: usize,
    pub(crate) actor: Option<Actor>,
    actors: Vec<Actor>,
}

/// The two sides: the run, or the run of the file beside a branch of it, and the other.
pub(crate) fn sides<'a>(run: &'a Run, other: Option<&'a Run>) -> (Side<'a>, Side<'a>) {
    match other {
        Some(other) => (run.side(), other.side()),
        None => (run.file(), run.side()),
    }
}

impl Comparison {
    pub(crate) fn new(run: &Run, other: Option<&Run>) -> Self {
        let (one, two) = sides(run, other);
        let rows = aligned(one.actions, two.actions);
        let same = |row: &&(Option<usize>, Option<usize>)| row.0.is_some() && row.0 == row.1;
        let common = rows.iter().take_while(same).count();
        let mut actors = run.lanes.clone();
        let more = other.into_iter().flat_map(|other| other.lanes.iter().copied());
        let more: Vec<Actor> = more.filter(|actor| !actors.contains(actor)).collect();
        actors.extend(more);
        Comparison { at: (common + 1).min(rows.len()), rows, common, actor: None, actors }
    }

    /// Does what a key asks for. Whether the comparison goes on.
    pub(crate) fn obey(&mut self, command: Command, run: &Run, other: Option<&Run>) -> bool {
        let last = self.rows.len();
        #[expect(clippy::wildcard_enum_match_arm, reason = "other keys do nothing here")]
        match command {
            Command::Back | Command::Up => self.at = self.at.saturating_sub(1),
            Command::On | Command::Down => self.at = (self.at + 1).min(last),
            Command::PageUp => self.at = self.at.saturating_sub(10),
            Command::PageDown => self.at = (self.at + 10).min(last),
            Command::First => self.at = 0,
            Command::Last => self.at = last,
            Command::SearchOn => self.at = self.difference(true).unwrap_or(self.at),
            Command::SearchBack => self.at = self.difference(false).unwrap_or(self.at),
            Command::Violation => {
                let violation = sides(run, other).1.states.iter().position(|s| run.violates(s));
                let violation = violation.or(run.violation());
                let row = |step| self.rows.iter().position(|row| row.1 == step || row.0 == step);
                self.at = violation.and_then(|step| row(Some(step))).map_or(self.at, |at| at + 1);
            }
            Command::NextActor => self.turn(1),
            Command::PreviousActor => self.turn(self.actors.len()),
            Command::Follow => self.actor = None,
            Command::Escape | Command::Compare | Command::Quit => return false,
            _ => {}
        }
        true
    }

    /// The next, or last, row at which the runs differ.
    fn difference(&self, on: bool) -> Option<usize> {
        let differs = |row: &usize| {
            let (one, two) = self.rows[*row - 1];
            one.is_none() || two.is_none()
        };
        match on {
            true => (self.at + 1..=self.rows.len()).find(differs),
            false => (1..self.at).rev().find(differs),
        }
    }

    /// Shows the next of: all actors, each alone.
    fn turn(&mut self, by: usize) {
        let at = self.actor.and_then(|actor| self.actors.iter().position(|other| *other == actor));
        let at = at.map_or(0, |at| at + 1);
        let at = (at + by) % (self.actors.len() + 1);
        self.actor = at.checked_sub(1).map(|at| self.actors[at]);
    }

    /// The steps after which the states stand side by side.
    pub(crate) fn steps(&self) -> (usize, usize) {
        let rows = &self.rows[..self.at];
        let last = |side: fn(&Row) -> Option<usize>| rows.iter().rev().find_map(side).unwrap_or(0);
        (last(|row| row.0), last(|row| row.1))
    }

    /// What differs between the states.
    pub(crate) fn differences(&self, run: &Run, other: Option<&Run>) -> Vec<Change> {
        let (one, two) = sides(run, other);
        let steps = self.steps();
        let (before, after) = (one.states[steps.0], two.states[steps.1]);
        let shown = self.actors.iter().filter(|actor| self.actor.is_none_or(|a| a == **actor));
        let mut all = Vec::new();
        for actor in shown {
            let mut lives = names(before, *actor);
            let more = names(after, *actor).into_iter();
            let more: Vec<String> = more.filter(|name| !lives.contains(name)).collect();
            lives.extend(more);
            for name in lives {
                let (old, new) = (process(before, &name), process(after, &name));
                all.extend(of_process(name, old, new));
            }
        }
        all
    }
}

fn of_process(name: String, old: Option<Value>, new: Option<Value>) -> Vec<Change> {
    match (old, new) {
        (Some(old), Some(new)) => {
            let mut found = changes(&old, &new);
            found.iter_mut().for_each(|change| change.path.insert(0, name.clone()));
            found
        }
        (before, after) => vec![Change { path: vec![name], before, after }],
    }
}

/// The steps of both, the same beside the same, as many as can be.
fn aligned(one: &[Action<Counterfoil>], two: &[Action<Counterfoil>]) -> Vec<Row> {
    let common = one.iter().zip(two).take_while(|(one, two)| one == two).count();
    let mut rows: Vec<_> = (1..=common).map(|step| (Some(step), Some(step))).collect();
    let (left, right) = (&one[common..], &two[common..]);
    let width = right.len() + 1;
    // By the rest of both: how many steps can be matched.
    let mut most =
        vec![0u32; if left.len() * right.len() > PAIRS_MAX { 0 } else { (left.len() + 1) * width }];
    if !most.is_empty() {
        for i in (0..left.len()).rev() {
            for j in (0..right.len()).rev() {
                most[i * width + j] = if left[i] == right[j] {
                    most[(i + 1) * width + j + 1] + 1
                } else {
                    most[(i + 1) * width + j].max(most[i * width + j + 1])
                };
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        let matched = i < left.len() && j < right.len() && left[i] == right[j];
        if matched {
            rows.push((Some(common + i + 1), Some(common + j + 1)));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len()
            || (i < left.len()
                && (most.is_empty() || most[(i + 1) * width + j] >= most[i * width + j + 1]))
        {
            rows.push((Some(common + i + 1), None));
            i += 1;
        } else {
            rows.push((None, Some(common + j + 1)));
            j += 1;
        }
    }
    rows
}
