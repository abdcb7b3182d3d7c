//! Which steps wrote which value.

use counterfoil_world::changes::Change;
use std::collections::HashMap;

/// By way to a value, beginning with its process: the steps that changed it. Made once, so that
/// nothing has to be searched for when a state is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes {
    /// The steps that changed it, or something in it.
    within: HashMap<Vec<String>, Vec<usize>>,
    /// The steps that changed it as a whole, so that everything in it is from then.
    whole: HashMap<Vec<String>, Vec<usize>>,
}

impl Writes {
    /// Notes the changes of a step. Steps are noted in order.
    pub(crate) fn note(&mut self, step: usize, changes: &[Change]) {
        for change in changes {
            let path = &change.path;
            for length in 1..=path.len() {
                let steps = self.within.entry(path[..length].to_vec()).or_default();
                if steps.last() != Some(&step) {
                    steps.push(step);
                }
            }
            self.whole.entry(path.clone()).or_default().push(step);
        }
    }

    /// Forgets the steps after `last`.
    pub(crate) fn cut(&mut self, last: usize) {
        for steps in self.within.values_mut().chain(self.whole.values_mut()) {
            steps.truncate(steps.partition_point(|step| *step <= last));
        }
    }

    fn of(&self, path: &[String]) -> impl Iterator<Item = &Vec<usize>> {
        let around = (1..path.len()).filter_map(|length| self.whole.get(&path[..length]));
        self.within.get(path).into_iter().chain(around)
    }

    /// The last step up to `step` that wrote the value; 0 if it stood so at the start.
    pub(crate) fn last(&self, path: &[String], step: usize) -> usize {
        let last = |steps: &Vec<usize>| {
            let index = steps.partition_point(|at| *at <= step).checked_sub(1)?;
            steps.get(index).copied()
        };
        self.of(path).filter_map(last).max().unwrap_or(0)
    }

    /// The first step after `step` that wrote the value.
    pub(crate) fn next(&self, path: &[String], step: usize) -> Option<usize> {
        let next = |steps: &Vec<usize>| steps.get(steps.partition_point(|at| *at <= step)).copied();
        self.of(path).filter_map(next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(of: &str) -> Vec<String> {
        of.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_value_is_written_with_what_is_around_it_and_with_what_is_in_it() {
        let change = |of: &str| Change { path: path(of), before: None, after: None };
        let mut writes = Writes::default();
        writes.note(2, &[change("n1.disk")]);
        writes.note(5, &[change("n1.disk.used"), change("n1.version")]);
        assert_eq!(writes.last(&path("n1.disk"), 9), 5, "something in it");
        assert_eq!(writes.last(&path("n1.disk.total"), 9), 2, "all around it");
        assert_eq!(writes.last(&path("n1.disk.used"), 4), 2);
        assert_eq!(writes.last(&path("n1.id"), 9), 0, "never");
        assert_eq!(writes.next(&path("n1.disk"), 2), Some(5));
        assert_eq!(writes.next(&path("n1.disk"), 5), None);
        writes.cut(4);
        assert_eq!(writes.last(&path("n1.disk"), 9), 2);
    }
}
