//! Every value of every process, with the steps that wrote it.

use counterfoil_world::changes::{brief, children, way};
use counterfoil_world::{Counterfoil, Replay};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A value that stands in a process at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// The process.
    pub process: String,
    /// The way to it from there.
    pub way: String,
    /// The steps that wrote it, each with what it is from then on; `None` while it is not there.
    pub written: Vec<(usize, Option<String>)>,
}

/// By process and way: a value.
type Leaves = BTreeMap<(String, String), String>;

/// The values of a run, by process and way.
pub(super) fn fields(replay: &Replay<Counterfoil>) -> Vec<Field> {
    let mut found: BTreeMap<(String, String), Vec<(usize, Option<String>)>> = BTreeMap::new();
    let mut before: BTreeMap<String, (Value, Leaves)> = BTreeMap::new();
    for (step, state) in replay.values.iter().enumerate() {
        let processes = children(&state["processes"]).unwrap_or_default();
        let mut now = BTreeMap::new();
        for (name, value) in processes {
            let known = before.remove(&name);
            if let Some(same) = known.as_ref().filter(|(known, _)| *known == value) {
                now.insert(name, same.clone());
                continue;
            }
            let mut leaves = Leaves::new();
            gather(&mut vec![name.clone()], &value, &mut leaves);
            let old = known.map(|(_, leaves)| leaves).unwrap_or_default();
            note(step, &old, &leaves, &mut found);
            now.insert(name, (value, leaves));
        }
        for (_, (_, gone)) in std::mem::replace(&mut before, now) {
            note(step, &gone, &Leaves::new(), &mut found);
        }
    }
    let field = |((process, way), written)| Field { process, way, written };
    found.into_iter().map(field).collect()
}

/// The names that stand in the ways to the values of a run.
pub(super) fn ways(replay: &Replay<Counterfoil>) -> Vec<String> {
    let mut leaves = Leaves::new();
    for state in &replay.values {
        gather(&mut Vec::new(), &state["processes"], &mut leaves);
    }
    leaves.into_keys().map(|(_, way)| way).collect()
}

fn note(
    step: usize,
    old: &Leaves,
    new: &Leaves,
    found: &mut BTreeMap<(String, String), Vec<(usize, Option<String>)>>,
) {
    for (at, value) in new.iter().filter(|(at, value)| old.get(*at) != Some(*value)) {
        found.entry(at.clone()).or_default().push((step, Some(value.clone())));
    }
    for at in old.keys().filter(|at| !new.contains_key(*at)) {
        found.entry(at.clone()).or_default().push((step, None));
    }
}

/// The values at the ends of all ways.
fn gather(path: &mut Vec<String>, value: &Value, leaves: &mut Leaves) {
    match children(value) {
        Some(parts) => {
            for (name, part) in parts {
                path.push(name);
                gather(path, &part, leaves);
                path.pop();
            }
        }
        None => {
            let process = path.first().cloned().unwrap_or_default();
            leaves.insert((process, way(path.get(1..).unwrap_or_default())), brief(value));
        }
    }
}
