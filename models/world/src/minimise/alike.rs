//! Actions that mean the same in runs that differ.
//!
//! Where an earlier action is left out, later datagrams carry other versions and claims: the same
//! thing happens by another action. So an action that cannot happen at its turn may be taken by one
//! that is alike: of the same kind, at the same actor, and told by the same words, but for numbers.

use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use crate::replay::describe;
use counterfoil_protocol::Actor;

/// What may be taken for an action that cannot happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// Nothing.
    Nothing,
    /// The first that is alike.
    Alike,
    /// The first that is alike if the one actor were the other.
    Renamed(Actor, Actor),
}

/// The action that happens at the turn of `action`, if one does.
pub(super) fn turn<P: Protocol>(
    world: &World<P>,
    now: &Cluster<P>,
    action: &Action<P>,
    instead: Instead,
) -> Option<Action<P>> {
    let enabled = world.enabled(now);
    let is_renamed = matches!(instead, Instead::Renamed(..));
    if !is_renamed && enabled.contains(action) {
        return Some(action.clone());
    }
    if instead == Instead::Nothing {
        return None;
    }
    let actor = action.actor().map(|actor| instead.name(actor));
    let words = words(world, action, |word| instead.word(word));
    enabled.into_iter().find(|other| {
        let same = |word: &str| word.to_owned();
        let is_like = other.kind() == action.kind() && other.actor() == actor;
        is_like && self::words(world, other, same) == words
    })
}

impl Instead {
    fn name(self, actor: Actor) -> Actor {
        match self {
            Instead::Renamed(from, to) if from == actor => to,
            Instead::Renamed(..) | Instead::Nothing | Instead::Alike => actor,
        }
    }

    fn word(self, word: &str) -> String {
        match self {
            Instead::Renamed(from, to) if word == from.to_string() => to.to_string(),
            Instead::Renamed(..) | Instead::Nothing | Instead::Alike => word.to_owned(),
        }
    }
}

/// What happens, without the numbers that are no part of the name of an actor; actors by another
/// `name`.
fn words<P: Protocol>(
    world: &World<P>,
    action: &Action<P>,
    name: impl Fn(&str) -> String,
) -> String {
    let text = describe(world, action);
    let of = |word: &str| {
        let number = word.strip_prefix(['c', 's', 'n']);
        let is_actor = number.is_some_and(|number| number.parse::<u32>().is_ok());
        if is_actor { name(word) } else { word.replace(|c: char| c.is_ascii_digit(), "") }
    };
    text.split(' ').map(of).collect::<Vec<String>>().join(" ")
}
