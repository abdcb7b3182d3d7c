//! Where the actors of a diagram stand, and how messages are drawn between them.

use crate::messages::Message;
use crate::protocol::Protocol;
use crate::replay::Replay;
use counterfoil_protocol::Actor;

/// How wide a diagram is, for up to eight actors.
pub(crate) const WIDTH: usize = 100;
/// How much of the width belongs to what is said beside the lanes.
pub(crate) const WORDS_MIN: usize = 46;
/// Where the first lane stands.
const FIRST_LANE: usize = 10;

/// Where the actors stand.
pub(crate) struct Lanes {
    pub(crate) actors: Vec<Actor>,
    pitch: usize,
}

/// The signs of a line, by what became of the message.
pub(crate) struct Line {
    stroke: char,
    /// At the end: rightwards, leftwards.
    head: (char, char),
    arrives: bool,
}

impl Line {
    pub(crate) const DELIVERED: Line = Line { stroke: '─', head: ('▶', '◀'), arrives: true };
    pub(crate) const OVERTAKING: Line = Line { stroke: '≈', head: ('▶', '◀'), arrives: true };
    pub(crate) const COPY: Line = Line { stroke: '═', head: ('▶', '◀'), arrives: true };
    pub(crate) const LOST: Line = Line { stroke: '─', head: ('✗', '✗'), arrives: false };
    pub(crate) const IN_FLIGHT: Line = Line { stroke: '╌', head: ('▷', '◁'), arrives: false };
}

impl Lanes {
    pub(crate) fn of<P: Protocol>(replay: &Replay<P>) -> Self {
        let actors = order(replay);
        let room = (WIDTH - WORDS_MIN - FIRST_LANE) / actors.len().max(1);
        Lanes { pitch: room.clamp(8, 15), actors }
    }

    pub(crate) fn place(&self, actor: Actor) -> usize {
        let lane = self.actors.iter().position(|other| *other == actor).unwrap_or(0);
        FIRST_LANE + lane * self.pitch
    }

    /// Where the words begin.
    pub(crate) fn words(&self) -> usize {
        FIRST_LANE + self.actors.len().saturating_sub(1) * self.pitch + 5
    }

    /// The lanes of those who live.
    pub(crate) fn row(&self, lives: impl Fn(Actor) -> bool) -> Vec<char> {
        let mut row = vec![' '; self.words()];
        for actor in self.actors.iter().filter(|actor| lives(**actor)) {
            row[self.place(*actor)] = '│';
        }
        row
    }

    pub(crate) fn arrow(&self, row: &mut [char], message: &Message, line: &Line) {
        let (src, dst) = (self.place(message.src), self.place(message.dst));
        let is_lane = |at: usize| (at - FIRST_LANE).is_multiple_of(self.pitch);
        if src == dst {
            row[dst] = '●';
            return;
        }
        let rightwards = src < dst;
        let (low, high) = (src.min(dst), src.max(dst));
        for (at, sign) in row.iter_mut().enumerate().take(high).skip(low + 1) {
            *sign = if is_lane(at) && *sign == '│' { '┼' } else { line.stroke };
        }
        row[src] = if rightwards { '├' } else { '┤' };
        row[if rightwards { dst - 1 } else { dst + 1 }] =
            if rightwards { line.head.0 } else { line.head.1 };
        if line.arrives {
            row[dst] = '●';
        }
        let label: Vec<char> = message.name().chars().collect();
        let space = (self.pitch - 1).saturating_sub(label.len()) / 2;
        let start = if rightwards { src + 1 + space } else { src - self.pitch + 1 + space };
        row[start..start + label.len()].copy_from_slice(&label);
    }
}

/// The actors of a run, in the order in which their messages go the shortest ways.
pub fn order<P: Protocol>(replay: &Replay<P>) -> Vec<Actor> {
    /// More orders than those of this many are not tried.
    const ORDERED_MAX: usize = 6;
    let mut best = replay.actors();
    let distance = |order: &[Actor]| -> usize {
        let place = |actor| order.iter().position(|other| *other == actor).unwrap_or(0);
        replay.messages.iter().map(|m| place(m.src).abs_diff(place(m.dst))).sum()
    };
    if best.len() <= ORDERED_MAX {
        let mut orders = Vec::new();
        permute(&mut Vec::new(), &best, &mut orders);
        best = orders.into_iter().min_by_key(|order| distance(order)).unwrap_or(best);
    }
    best
}

fn permute(chosen: &mut Vec<Actor>, rest: &[Actor], orders: &mut Vec<Vec<Actor>>) {
    if rest.is_empty() {
        orders.push(chosen.clone());
    }
    for (index, actor) in rest.iter().enumerate() {
        let mut others = rest.to_vec();
        others.remove(index);
        chosen.push(*actor);
        permute(chosen, &others, orders);
        chosen.pop();
    }
}
