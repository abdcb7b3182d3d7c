//! Every value of every process, with the steps that wrote it.

use super::dress::{self, is_named};
use super::glossary::{about, one_word};
use counterfoil_world::changes::{children, way};
use counterfoil_world::{Protocol, Replay};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// A value that stands in a process at some time. What only ever comes and goes as a whole is one
/// value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// The process.
    pub process: String,
    /// The way to it from there.
    pub way: String,
    /// The steps that wrote it, each with what it is from then on; `None` while it is not there.
    pub written: Vec<(usize, Option<String>)>,
    /// Whether there is never anything in it.
    pub empty: bool,
    /// Whether the violation names it.
    pub named: bool,
    /// Whether it only serves the machines.
    pub bookkeeping: bool,
    /// What it is, if that needs to be explained.
    pub about: Option<&'static str>,
}

/// What a value is from each of these steps on.
type Series = Vec<(usize, Option<Value>)>;

/// The values of a run, process by process.
pub(super) fn fields<P: Protocol>(replay: &Replay<P>) -> Vec<Field> {
    let protocol = replay.world.scenario.protocol;
    let states = replay.values().map(|state| children(&state["processes"]));
    let mut processes: Vec<(String, Series)> = Vec::new();
    for (step, state) in states.enumerate() {
        let state = state.unwrap_or_default();
        for (name, series) in &mut processes {
            if !state.iter().any(|(known, _)| known == name) {
                push(series, step, None);
            }
        }
        for (name, value) in state {
            match processes.iter_mut().find(|(known, _)| *known == name) {
                Some((_, series)) => push(series, step, Some(value)),
                None => processes.push((name, vec![(step, Some(value))])),
            }
        }
    }
    processes.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut fields = Vec::new();
    for (process, series) in &processes {
        let told = |path: &[String]| Told {
            named: is_named(replay, &[std::slice::from_ref(process), path].concat()),
            bookkeeping: path.iter().any(|part| P::is_bookkeeping(part)),
            about: about(protocol, path),
        };
        let mut into = Gathered { process, path: Vec::new(), told: &told, fields: &mut fields };
        match parts(series) {
            Some(parts) => parts.iter().for_each(|(name, series)| into.enter(name, series)),
            None => into.gather(series),
        }
    }
    fields
}

fn push(series: &mut Series, step: usize, value: Option<Value>) {
    if series.last().is_none_or(|(_, last)| *last != value) {
        series.push((step, value));
    }
}

/// The parts of a value at all times, if it always has named parts or is not there.
fn parts(series: &Series) -> Option<Vec<(String, Series)>> {
    let split = |(step, value): &(usize, Option<Value>)| {
        let parts = match value {
            Some(value) => children(value)?,
            None => Vec::new(),
        };
        Some((*step, parts))
    };
    let split: Vec<(usize, Vec<(String, Value)>)> =
        series.iter().map(split).collect::<Option<_>>()?;
    let mut names: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    for (name, _) in split.iter().flat_map(|(_, parts)| parts) {
        if known.insert(name.clone()) {
            names.push(name.clone());
        }
    }
    let of = |name: String| {
        let mut series = Series::new();
        for (step, parts) in &split {
            let value = parts.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
            if value.is_some() || !series.is_empty() {
                push(&mut series, *step, value.cloned());
            }
        }
        (name, series)
    };
    Some(names.into_iter().map(of).collect())
}

/// What a reader is told of a value: as in [`Field`].
#[derive(Clone, Copy, Default)]
struct Told {
    named: bool,
    bookkeeping: bool,
    about: Option<&'static str>,
}

/// The values of one process.
struct Gathered<'a> {
    process: &'a str,
    path: Vec<String>,
    /// What there is to say of the value at the end of a path.
    told: &'a dyn Fn(&[String]) -> Told,
    fields: &'a mut Vec<Field>,
}

impl Gathered<'_> {
    fn enter(&mut self, name: &str, series: &Series) {
        self.path.push(name.to_owned());
        self.gather(series);
        self.path.pop();
    }

    fn gather(&mut self, series: &Series) {
        let becomes_another =
            series.windows(2).any(|pair| pair[0].1.is_some() && pair[1].1.is_some());
        match parts(series).filter(|_| becomes_another) {
            Some(parts) => parts.iter().for_each(|(name, series)| self.enter(name, series)),
            None => {
                let told = |(step, value): &(usize, Option<Value>)| {
                    (*step, value.as_ref().map(|value| dress::told(&self.path, value)))
                };
                let written: Vec<(usize, Option<String>)> = series.iter().map(told).collect();
                let is_nothing = |text: &str| ["{}", "[]", "()", "none"].contains(&text);
                let empty = written.iter().all(|(_, text)| text.as_deref().is_none_or(is_nothing));
                let Told { named, bookkeeping, about } = (self.told)(&self.path);
                self.fields.push(Field {
                    process: self.process.to_owned(),
                    way: one_word(&way(&self.path)),
                    written,
                    empty,
                    named,
                    bookkeeping,
                    about,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gathered(series: &Series) -> Vec<(String, Vec<usize>)> {
        let mut fields = Vec::new();
        let path = vec!["of".to_owned()];
        Gathered { process: "n1", path, told: &|_| Told::default(), fields: &mut fields }
            .gather(series);
        let steps = |field: Field| field.written.into_iter().map(|(step, _)| step).collect();
        fields.into_iter().map(|field| (field.way.clone(), steps(field))).collect()
    }

    #[test]
    fn what_comes_and_goes_as_a_whole_is_one_value() {
        let whole = json!({ "at": "1.1", "state": "held" });
        let series = vec![(2, Some(whole.clone())), (5, None), (7, Some(whole))];
        assert_eq!(gathered(&series), [("of".to_owned(), vec![2, 5, 7])]);
    }

    #[test]
    fn what_becomes_another_is_told_by_its_parts() {
        let held = json!({ "at": "1.1", "state": "held" });
        let confirmed = json!({ "at": "1.1", "state": "confirmed" });
        let series = vec![(2, Some(held)), (5, Some(confirmed)), (6, None)];
        let expected = [("of.at".to_owned(), vec![2, 6]), ("of.state".to_owned(), vec![2, 5, 6])];
        assert_eq!(gathered(&series), expected);
    }
}
