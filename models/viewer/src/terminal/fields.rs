//! The state of one process as a tree of values, each with the step that last wrote it.

use super::run::Run;
use counterfoil_world::Protocol;
use counterfoil_world::changes::{brief, children};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// The way to it, beginning with the process.
    pub(crate) path: Vec<String>,
    pub(crate) depth: usize,
    pub(crate) mark: Mark,
    /// The value, or what became of it.
    pub(crate) text: String,
    /// Whether what is in it is shown below; `None` if there is nothing in it.
    pub(crate) open: Option<bool>,
    /// The step that last wrote it.
    pub(crate) written: usize,
}

/// What a step did to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Same,
    Changed,
    Added,
    Removed,
}

impl Mark {
    pub(crate) fn sign(self) -> char {
        match self {
            Mark::Same => ' ',
            Mark::Changed => '~',
            Mark::Added => '+',
            Mark::Removed => '-',
        }
    }
}

/// The tree of a process after `step`. Values that the step changed in part are open, and so are
/// those not so in `turned`; those in it are the other way round.
pub(crate) fn fields<P: Protocol>(
    run: &Run<P>,
    name: &str,
    step: usize,
    turned: &BTreeSet<Vec<String>>,
) -> Vec<Field> {
    let before = step.checked_sub(1).and_then(|before| run.replay.process(before, name));
    let after = run.replay.process(step, name);
    let mut tree = Tree { run, step, turned, fields: Vec::new() };
    let path = vec![name.to_owned()];
    // At the start, nothing is new.
    let before = if step == 0 { after.as_ref() } else { before.as_ref() };
    tree.inside(&path, 0, before, after.as_ref());
    tree.fields
}

struct Tree<'a, P: Protocol> {
    run: &'a Run<P>,
    step: usize,
    turned: &'a BTreeSet<Vec<String>>,
    fields: Vec<Field>,
}

impl<P: Protocol> Tree<'_, P> {
    /// Lists what is in a value.
    fn inside(
        &mut self,
        path: &[String],
        depth: usize,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        let parts = |value: Option<&Value>| value.and_then(children).unwrap_or_default();
        let (old, new) = (parts(before), parts(after));
        let order: BTreeMap<&String, usize> =
            new.iter().enumerate().map(|(index, (key, _))| (key, index)).collect();
        let gone = old.iter().filter(|(key, _)| !order.contains_key(key));
        let olds: BTreeMap<&String, &Value> = old.iter().map(|(key, value)| (key, value)).collect();
        for (key, value) in &new {
            self.field(
                &[path, std::slice::from_ref(key)].concat(),
                depth,
                olds.get(key).copied(),
                Some(value),
            );
        }
        for (key, value) in gone {
            self.field(&[path, std::slice::from_ref(key)].concat(), depth, Some(value), None);
        }
    }

    fn field(
        &mut self,
        path: &[String],
        depth: usize,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        let mark = match (before, after) {
            (None, _) => Mark::Added,
            (_, None) => Mark::Removed,
            (Some(old), Some(new)) if old == new => Mark::Same,
            (Some(_), Some(_)) => Mark::Changed,
        };
        let has_parts =
            |value: Option<&Value>| value.and_then(children).is_some_and(|parts| !parts.is_empty());
        let in_part = mark == Mark::Changed
            && before.and_then(children).is_some()
            && after.and_then(children).is_some();
        let inside = has_parts(after) || (in_part && has_parts(before));
        let open = inside.then(|| in_part != self.turned.contains(path));
        let told = |value: Option<&Value>| value.map_or_else(String::new, brief);
        let text = match mark {
            Mark::Changed if in_part => told(after),
            Mark::Changed => format!("{}→{}", told(before), told(after)),
            Mark::Removed => told(before),
            Mark::Same | Mark::Added => told(after),
        };
        let written = self.run.writes.last(path, self.step);
        self.fields.push(Field { path: path.to_vec(), depth, mark, text, open, written });
        if open == Some(true) {
            // In what is new, everything is.
            self.inside(path, depth + 1, before, after);
        }
    }
}
