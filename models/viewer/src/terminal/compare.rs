//! Two runs side by side: what they have in common, where they differ first, and how their states
//! differ.

use super::keys::Command;
use super::run::{Run, Side, names};
use counterfoil_protocol::Actor;
use counterfoil_world::changes::{Change, changes};
use counterfoil_world::replay::process;
use counterfoil_world::{Action, Protocol};
use serde_json::Value;

/// More pairs of steps than this are not tried to be matched.
const PAIRS_MAX: usize = 4_000_000;

/// A step of each run, side by side; `None` where only the other has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) one: Option<usize>,
    pub(crate) two: Option<usize>,
    /// Whether both are the same action.
    pub(crate) same: bool,
}

/// Two runs side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// The steps that stand side by side, from 1.
    pub(crate) rows: Vec<Row>,
    /// How many steps both have in common from the start.
    pub(crate) common: usize,
    pub(crate) at: usize,
    pub(crate) actor: Option<Actor>,
    actors: Vec<Actor>,
}

/// The two sides: the run, or the run of the file beside a branch of it, and the other.
pub(crate) fn sides<'a, P: Protocol>(
    run: &'a Run<P>,
    other: Option<&'a Run<P>>,
) -> (Side<'a, P>, Side<'a, P>) {
    match other {
        Some(other) => (run.side(), other.side()),
        None => (run.file(), run.side()),
    }
}

impl Comparison {
    pub(crate) fn new<P: Protocol>(run: &Run<P>, other: Option<&Run<P>>) -> Self {
        let (one, two) = sides(run, other);
        let rows = aligned(one.actions, two.actions);
        let common = rows.iter().take_while(|row| row.same).count();
        let mut actors = run.lanes.clone();
        let more = other.into_iter().flat_map(|other| other.lanes.iter().copied());
        let more: Vec<Actor> = more.filter(|actor| !actors.contains(actor)).collect();
        actors.extend(more);
        Comparison { at: (common + 1).min(rows.len()), rows, common, actor: None, actors }
    }

    /// Does what a key asks for. Whether the comparison goes on.
    pub(crate) fn obey<P: Protocol>(
        &mut self,
        command: Command,
        run: &Run<P>,
        other: Option<&Run<P>>,
    ) -> bool {
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
                let (one, two) = sides(run, other);
                let violates = |row: &Row| {
                    (row.one.is_some() && row.one == one.violation)
                        || (row.two.is_some() && row.two == two.violation)
                };
                self.at = self.rows.iter().position(violates).map_or(self.at, |at| at + 1);
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
        let differs = |row: &usize| !self.rows[*row - 1].same;
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
        (last(|row| row.one), last(|row| row.two))
    }

    /// What differs between the states.
    pub(crate) fn differences<P: Protocol>(
        &self,
        run: &Run<P>,
        other: Option<&Run<P>>,
    ) -> Vec<Change> {
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

/// The steps of both, the same beside the same, as many as can be; what differs in between stands
/// side by side as it comes.
fn aligned<P: Protocol>(one: &[Action<P>], two: &[Action<P>]) -> Vec<Row> {
    let common = one.iter().zip(two).take_while(|(one, two)| one == two).count();
    let (left, right) = (&one[common..], &two[common..]);
    let most = matches(left, right);
    let width = right.len() + 1;
    let same = |one: usize, two: usize| Row { one: Some(one), two: Some(two), same: true };
    let mut rows: Vec<Row> = (1..=common).map(|at| same(at, at)).collect();
    let (mut i, mut j) = (0, 0);
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            pair_up(&mut ones, &mut twos, &mut rows);
            rows.push(same(common + i + 1, common + j + 1));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len()
            || (i < left.len()
                && (most.is_empty() || most[(i + 1) * width + j] >= most[i * width + j + 1]))
        {
            ones.push(common + i + 1);
            i += 1;
        } else {
            twos.push(common + j + 1);
            j += 1;
        }
    }
    pair_up(&mut ones, &mut twos, &mut rows);
    rows
}

/// By how much of both is left: how many steps of it can be matched. Nothing, if it would take too
/// long to tell.
fn matches<P: Protocol>(left: &[Action<P>], right: &[Action<P>]) -> Vec<u32> {
    if left.len() * right.len() > PAIRS_MAX {
        return Vec::new();
    }
    let width = right.len() + 1;
    let mut most = vec![0u32; (left.len() + 1) * width];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            most[i * width + j] = if left[i] == right[j] {
                most[(i + 1) * width + j + 1] + 1
            } else {
                most[(i + 1) * width + j].max(most[i * width + j + 1])
            };
        }
    }
    most
}

/// Steps that differ, side by side.
fn pair_up(ones: &mut Vec<usize>, twos: &mut Vec<usize>, rows: &mut Vec<Row>) {
    for index in 0..ones.len().max(twos.len()) {
        let (one, two) = (ones.get(index).copied(), twos.get(index).copied());
        rows.push(Row { one, two, same: false });
    }
    ones.clear();
    twos.clear();
}
