//! Actions that mean the same in runs that differ.
//!
//! Where an earlier action is left out, later datagrams carry other versions and claims: the same
//! thing happens by another action. So an action that cannot happen at its turn may be taken by one
//! that is alike: of the same kind, at the same actor, and told by the same words, but for numbers.

use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use crate::replay::describe;

/// What may be taken for an action that cannot happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// Nothing.
    Nothing,
    /// The first that is alike.
    Alike,
}

/// The action that happens at the turn of `action`, if one does.
pub(super) fn turn<P: Protocol>(
    world: &World<P>,
    now: &Cluster<P>,
    action: &Action<P>,
    instead: Instead,
) -> Option<Action<P>> {
    let enabled = world.enabled(now);
    if enabled.contains(action) {
        return Some(action.clone());
    }
    match instead {
        Instead::Nothing => None,
        Instead::Alike => {
            let words = words(world, action);
            enabled.into_iter().find(|other| {
                other.kind() == action.kind()
                    && other.actor() == action.actor()
                    && self::words(world, other) == words
            })
        }
    }
}

/// What happens, without the numbers that are no part of the name of an actor.
fn words<P: Protocol>(world: &World<P>, action: &Action<P>) -> String {
    let text = describe(world, action);
    let of = |word: &str| {
        let number = word.strip_prefix(['c', 's', 'n']);
        let is_actor = number.is_some_and(|number| number.parse::<u32>().is_ok());
        if is_actor { word.to_owned() } else { word.replace(|c: char| c.is_ascii_digit(), "") }
    };
    text.split(' ').map(of).collect::<Vec<String>>().join(" ")
}
