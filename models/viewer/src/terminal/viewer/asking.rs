//! What is asked of the viewer in words, and what the viewer asks to be worked out.

use super::{Over, Prompt, Viewer};
use crate::terminal::compare::Comparison;
use crate::terminal::thinker::{Answer, Place, Question};
use crate::terminal::told::{Item, whys};
use counterfoil_world::{Protocol, Trace};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::path::Path;

impl<P: Protocol> Viewer<P> {
    /// Why the property is violated, as lines.
    pub(crate) fn whys(&self) -> Vec<Item> {
        match (&self.why, self.why_asked == Some(self.run.edition)) {
            (Some(why), true) => whys(why),
            (None, _) | (_, false) => {
                vec![Item::plain(format!("{}: looking for the reason …", self.run.trace.property))]
            }
        }
    }

    pub(super) fn typed(&mut self, prompt: Prompt, mut text: String, key: KeyEvent) {
        self.over = Over::Nothing;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        #[expect(clippy::wildcard_enum_match_arm, reason = "other keys are no letters")]
        match key.code {
            KeyCode::Esc => return,
            KeyCode::Enter => return self.answered(prompt, &text),
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Char('u') if control => text.clear(),
            KeyCode::Char(letter) if !control => text.push(letter),
            _ => {}
        }
        self.over = Over::Prompt(prompt, text);
    }

    pub(super) fn answered(&mut self, prompt: Prompt, text: &str) {
        match prompt {
            Prompt::Search => {
                self.searched = text.to_lowercase();
                self.search(true);
            }
            Prompt::Save => self.save(Path::new(text)),
            Prompt::Compare => match Trace::load(Path::new(text)) {
                Ok(trace) => self.compare_with(text, trace),
                Err(error) => self.warn(error.to_string()),
            },
        }
    }

    pub(super) fn search(&mut self, on: bool) {
        if self.searched.is_empty() {
            self.say("nothing is searched for: / asks what");
            return;
        }
        let last = self.run.last();
        let steps = (1..=last + 1).map(|away| match on {
            true => (self.step + away) % (last + 1),
            false => (self.step + last + 1 - away) % (last + 1),
        });
        let found = steps.into_iter().find(|step| self.is_found(*step));
        match found {
            Some(step) => {
                self.go(step);
                let text = self.searched.clone();
                self.say(format!("{text:?} at step {step}; n next, N before"));
            }
            None => self.warn(format!("{:?} is at no step", self.searched)),
        }
    }

    pub(super) fn is_found(&self, step: usize) -> bool {
        let Some(was) = step.checked_sub(1).map(|at| &self.run.replay.steps[at]) else {
            return false;
        };
        let is_in = |text: &str| text.to_lowercase().contains(&self.searched);
        let message = |index: &usize| {
            let message = &self.run.replay.messages[*index];
            is_in(&format!("{} {} {}", message.name(), message.label, message.text))
        };
        is_in(&was.action)
            || was.decisions.iter().any(|decision| is_in(decision))
            || was
                .changes
                .iter()
                .any(|change| is_in(&counterfoil_world::changes::way(&change.path)))
            || self.run.rows.sent(step).iter().any(message)
            || self.run.rows.arrived(step).any(|index| message(&index))
    }

    pub(super) fn compare(&mut self) {
        if self.other.is_some() || self.run.branched().is_some() {
            let comparison = Comparison::new(&self.run, self.other.as_ref());
            self.over = Over::Comparison(Box::new(comparison));
        } else {
            self.over = Over::Prompt(Prompt::Compare, String::new());
        }
    }

    /// Whether something is being worked out.
    pub fn is_busy(&self) -> bool {
        self.thinker.is_busy()
    }

    /// Takes in what was worked out, and asks for what is missing. Whether there is something new.
    pub fn think(&mut self, wait: bool) -> bool {
        let mut is_new = false;
        self.ask();
        while let Some((edition, answer)) = self.thinker.answer(wait) {
            if edition == self.run.edition {
                is_new = true;
                match answer {
                    Answer::Why(why) => self.why = Some(why),
                    Answer::Choices(step, choices) => {
                        self.choices_asked = None;
                        self.choices.insert(step, (choices, true));
                    }
                }
            }
            self.ask();
        }
        is_new
    }

    pub(super) fn ask(&mut self) {
        let edition = self.run.edition;
        if self.why_asked != Some(edition) {
            self.why = None;
            self.why_asked = Some(edition);
            let run = Box::new((self.run.trace.clone(), self.run.replay.clone()));
            self.thinker.ask(edition, Question::Why(run));
        }
        let (_, judged) = self.choices();
        if !judged && self.choices_asked.is_none() {
            let place = Place {
                step: self.step,
                state: self.run.replay.states[self.step].clone(),
                taken: self.run.next_action(self.step).cloned(),
                property: self.run.trace.property.clone(),
                world: self.run.replay.world.clone(),
            };
            self.choices_asked = Some(self.step);
            self.thinker.ask(edition, Question::Choices(Box::new(place)));
        }
    }
}
