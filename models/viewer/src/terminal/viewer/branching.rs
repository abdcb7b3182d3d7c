//! What else could happen, and the branches that it makes.

use super::{Over, Pane, Prompt, Run, Viewer};
use counterfoil_world::choices::{Choice, Leads};
use counterfoil_world::replay::describe;
use counterfoil_world::{Expected, Protocol};
use std::path::Path;

/// With more schedulers and nodes than this, too many states can follow to tell what an action
/// leads to: only whether it violates at once is told.
const JUDGED_MAX: u32 = 6;

impl<P: Protocol> Viewer<P> {
    /// What else could happen after the step that is shown, and whether it is judged in full.
    pub(crate) fn choices(&mut self) -> &(Vec<Choice<P>>, bool) {
        if self.choices_edition != self.run.edition {
            self.choices.clear();
            self.choices_edition = self.run.edition;
            self.choices_asked = None;
        }
        let (run, step) = (&self.run, self.step);
        let scenario = &run.trace.scenario;
        let is_large = scenario.schedulers + scenario.nodes_at_start > JUDGED_MAX;
        self.choices.entry(step).or_insert_with(|| (at_once(run, step), is_large))
    }

    pub(super) fn take_choice(&mut self) {
        let at = self.cursor(Pane::Next);
        let Some(choice) = self.choices().0.get(at).cloned() else { return };
        if choice.is_taken && self.step < self.run.last() {
            self.go(self.step + 1);
            return;
        }
        self.undo.push((self.run.branch(), self.step));
        self.run.go_on(self.step, &choice.action);
        self.go(self.step + 1);
        self.judge_branch();
    }

    /// Says what the branch has come to.
    pub(super) fn judge_branch(&mut self) {
        let property = self.run.trace.property.clone();
        match self.run.violation() {
            Some(step) => {
                self.warn(format!("✗ {property} is violated on this branch, at step {step}"))
            }
            None => {
                let now = self.run.last();
                self.say(format!("✓ {property} is not violated on this branch, up to step {now}"));
            }
        }
    }

    pub(super) fn undo(&mut self) {
        let Some((branch, step)) = self.undo.pop() else {
            self.say("there is nothing to undo: b and Enter take another action");
            return;
        };
        self.run.show(branch.as_ref());
        self.go(step);
        match branch {
            Some(_) => self.judge_branch(),
            None => self.say("this is the run of the file again"),
        }
    }

    pub(super) fn leave(&mut self) {
        let Some(from) = self.run.branched() else {
            self.say("this is no branch");
            return;
        };
        self.undo.push((self.run.branch(), self.step));
        self.run.show(None);
        self.go(from);
        self.say("this is the run of the file again; u goes back to the branch");
    }

    pub(super) fn ask_save(&mut self) {
        if self.run.branched().is_none() {
            self.say("there is no branch to save: b and Enter take another action");
            return;
        }
        let path = Path::new(&self.run.name);
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let stem = name.trim_end_matches(".json").trim_end_matches(".itf").to_owned();
        let names = (1..).map(|number| format!("{stem}.branch-{number}.itf.json"));
        let free = names.into_iter().find(|name| !Path::new(name).exists());
        self.over = Over::Prompt(Prompt::Save, free.unwrap_or_default());
    }

    /// Saves the branch that is shown, so that it can be replayed.
    pub(super) fn save(&mut self, path: &Path) {
        if path.as_os_str().is_empty() {
            return;
        }
        if path.exists() {
            self.warn(format!("{} is there already: not saved", path.display()));
            return;
        }
        let from = self.run.branched().unwrap_or_default();
        let mut trace = self.run.trace.clone();
        trace.engine = format!("a branch of {}, after step {from}", self.run.name);
        trace.command = format!("check replay {}", path.display());
        trace.expect = match self.run.violation() {
            Some(_) => Expected::Witness,
            None => Expected::Regression,
        };
        match trace.save(path) {
            Ok(()) => self.say(format!("saved; check replay {}", path.display())),
            Err(error) => self.warn(error.to_string()),
        }
    }
}

/// What could happen after a step, of which only is known whether it violates at once.
fn at_once<P: Protocol>(run: &Run<P>, step: usize) -> Vec<Choice<P>> {
    let (world, state) = (&run.replay.world, &run.replay.states[step]);
    let taken = run.next_action(step);
    let choices = world.enabled(state).into_iter().enumerate().map(|(index, action)| {
        let next = world.apply(state, &action);
        let violates = run.violates(&next);
        Choice {
            number: index + 1,
            text: describe(world, &action),
            kind: action.kind(),
            actor: action.actor().map(|actor| actor.to_string()),
            is_fair: world.is_fair(state, &action),
            is_taken: taken == Some(&action),
            leads: if violates { Leads::Violates } else { Leads::Unknown },
            action,
        }
    });
    choices.collect()
}
