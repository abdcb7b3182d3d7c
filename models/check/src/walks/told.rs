//! What walks came to: a text for people, JSON for programs.

use super::{Found, Report, bounds};
use crate::report::{Verdict, trace_name};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::replay::describe;
use counterfoil_world::walk::plan::FAULTS;
use counterfoil_world::walk::{Ending, HEALING_MAX, Wrong};
use counterfoil_world::{Action, Expect, Outcome, Style, World, draw, replay};
use serde_json::{Value, json};
use std::fmt::Write;

impl<P: Protocol> Report<P> {
    /// What is said of all walks together.
    pub fn verdict(&self) -> Verdict {
        match (&self.found, &self.expect) {
            (Some(_), Expect::Holds) => Verdict::Fail,
            (Some(_), Expect::Violates(_)) => Verdict::Pass,
            // That walks miss something says little.
            (None, Expect::Violates(_)) => Verdict::Inconclusive,
            (None, Expect::Holds) if self.stopped.is_some() => Verdict::Inconclusive,
            (None, Expect::Holds) => Verdict::Pass,
        }
    }

    /// The name of the file for what was found.
    pub fn file(&self) -> String {
        let seed = self.options.seed;
        let (property, number) = match &self.found {
            Some(found) => (found.wrong.property::<P>().unwrap_or("panic"), found.number),
            None => ("nothing", 0),
        };
        match &self.scenario {
            Some(scenario) => {
                trace_name(property, &format!("{}__walk_{seed}_{number}", scenario.name))
            }
            None => trace_name(property, &format!("walk_{seed}_{number}")),
        }
    }

    /// As a text.
    pub fn human(&self) -> String {
        let tally = &self.tally;
        let mut text = String::new();
        let (name, bounds) = match &self.scenario {
            Some(scenario) => (scenario.name.as_str(), scenario.bounds()),
            None => ("random clusters", bounds()),
        };
        let without: Vec<&str> = match &self.scenario {
            Some(scenario) => scenario.without.iter().map(|rule| rule.name()).collect(),
            None => self.options.without.iter().map(|rule| rule.name()).collect(),
        };
        let off = if without.is_empty() {
            String::new()
        } else {
            format!(", without {}", without.join(", "))
        };
        let _ = writeln!(text, "{name}{off} · seed {}", self.options.seed);
        let _ = writeln!(text, "  {bounds}");
        let _ = writeln!(
            text,
            "  {} walks of up to {} actions and the fair steps to heal: {} steps, {} of them healing; \
             the longest {}",
            tally.walks, self.options.steps_max, tally.steps, tally.healing, tally.steps_max
        );
        let _ = writeln!(
            text,
            "  {} walks healed, in at most {} fair steps",
            tally.healed, tally.healing_max
        );
        for (what, sizes) in ["schedulers", "nodes", "requests"].iter().zip(&tally.sizes) {
            let sizes: Vec<String> =
                sizes.iter().map(|(size, walks)| format!("{size}: {walks}")).collect();
            let _ = writeln!(text, "  walks by {what}   {}", sizes.join("  "));
        }
        self.write_counts(&mut text);
        self.write_verdict(&mut text);
        text
    }

    fn write_counts(&self, text: &mut String) {
        let tally = &self.tally;
        let mut table = |head: &str, rows: Vec<(&str, u64)>| {
            let _ = writeln!(text, "  {head}");
            for pair in rows.chunks(2) {
                let cells: Vec<String> =
                    pair.iter().map(|(name, count)| format!("{name:<32}{count:>10}")).collect();
                let _ = writeln!(text, "    {}", cells.join("    "));
            }
        };
        let actions = self.actions();
        table("ACTION, and how often it happened", actions);
        let faults = FAULTS.map(|fault| (fault.name(), self.fault(fault)));
        table("FAULT, and how often it happened", faults.to_vec());
        let seen = P::witnesses().iter().copied();
        let seen = seen.zip(tally.coverage.witnesses.iter().copied());
        table("WITNESS, and how often it was seen", seen.collect());
        let safety = P::safety().iter().map(|property| property.name);
        let premises = safety.zip(tally.coverage.premises.iter().copied());
        let head = format!(
            "PROPERTY, and at how many of {} steps of machines its premise was true",
            tally.coverage.steps
        );
        table(&head, premises.collect());
    }

    fn actions(&self) -> Vec<(&'static str, u64)> {
        let fired = &self.tally.coverage.actions;
        let kinds = Action::<P>::KINDS.into_iter();
        kinds.map(|kind| (kind, fired.get(kind).copied().unwrap_or(0))).collect()
    }

    fn fault(&self, fault: counterfoil_world::Fault) -> u64 {
        self.tally.faults.get(&fault).copied().unwrap_or(0)
    }

    fn write_verdict(&self, text: &mut String) {
        let (walks, steps) = (self.tally.walks, self.tally.steps);
        let word = match self.verdict() {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
        };
        let stopped =
            self.stopped.map_or_else(String::new, |stop| format!(", stopped ({})", stop.name()));
        let came = match (&self.found, &self.expect) {
            (Some(found), expect) => {
                let expected = match expect {
                    Expect::Holds => "",
                    Expect::Violates(_) => " as expected",
                };
                format!("{}{expected}, on walk {}: {}", found.what(), found.number, found.length)
            }
            (None, Expect::Violates(property)) => {
                format!("{property} was not violated, which proves nothing")
            }
            (None, Expect::Holds) => "nothing went wrong; by chance, not every state".to_owned(),
        };
        let _ = writeln!(text, "{word}  {walks} walks, {steps} steps{stopped}: {came}");
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let tally = &self.tally;
        let counts = |rows: Vec<(&str, u64)>| -> Value {
            rows.into_iter().map(|(name, count)| json!({ "name": name, "count": count })).collect()
        };
        let sizes = |index: usize| -> Value {
            let sizes = tally.sizes[index].iter();
            sizes.map(|(size, walks)| json!({ "size": size, "walks": walks })).collect()
        };
        let seen = P::witnesses().iter().copied();
        let safety = P::safety().iter().map(|property| property.name);
        json!({
            "scenario": self.scenario.as_ref().map(|scenario| &scenario.name),
            "bounds": self.scenario.as_ref().map_or_else(bounds, |scenario| scenario.bounds()),
            "without": match &self.scenario {
                Some(scenario) => scenario.without.iter().map(|rule| rule.name()).collect(),
                None => self.options.without.iter().map(|rule| rule.name()).collect::<Vec<_>>(),
            },
            "seed": self.options.seed,
            "actions_max": self.options.steps_max,
            "walks": tally.walks,
            "steps": tally.steps,
            "steps_of_healing": tally.healing,
            "longest": tally.steps_max,
            "healed": tally.healed,
            "heal_steps_max": tally.healing_max,
            "schedulers": sizes(0),
            "nodes": sizes(1),
            "requests": sizes(2),
            "actions": counts(self.actions()),
            "faults": counts(FAULTS.map(|fault| (fault.name(), self.fault(fault))).to_vec()),
            "witnesses": counts(seen.zip(tally.coverage.witnesses.iter().copied()).collect()),
            "machine_steps": tally.coverage.steps,
            "premises": counts(safety.zip(tally.coverage.premises.iter().copied()).collect()),
            "stopped": self.stopped.map(|stop| stop.name()),
            "found": self.found.as_ref().map(Found::json),
            "verdict": match self.verdict() {
                Verdict::Pass => "pass",
                Verdict::Fail => "fail",
                Verdict::Inconclusive => "inconclusive",
            },
        })
    }
}

impl<P: Protocol> Found<P> {
    /// What went wrong, in a clause.
    pub fn what(&self) -> String {
        let property = self.wrong.property::<P>().unwrap_or_default();
        match &self.wrong {
            Wrong::Violated(_) => format!("{property} is violated"),
            Wrong::Unhealed(_, Ending::Stuck) => {
                format!("{property} is violated: nothing fair is left to do")
            }
            Wrong::Unhealed(_, Ending::Repeats(_)) => {
                format!("{property} is violated: fair steps repeat themselves")
            }
            Wrong::Unhealed(_, Ending::Open) => {
                format!("{property} did not come true in {HEALING_MAX} fair steps")
            }
            Wrong::Panicked(message) => format!("a machine panics: {message}"),
        }
    }

    fn json(&self) -> Value {
        json!({
            "walk": self.number,
            "property": self.wrong.property::<P>(),
            "what": self.what(),
            "steps": self.steps,
            "steps_shrunk": self.steps_shrunk,
            "steps_least": self.trace.steps.len(),
            "length": self.length,
            "command": self.trace.command,
        })
    }

    /// The least run, drawn; what no trace can show, as a list.
    pub fn drawn(&self, colour: bool, file: &str) -> String {
        let was = format!(
            "walk {}: {} steps; in a smaller cluster {}; then minimised",
            self.number, self.steps, self.steps_shrunk
        );
        let is_shown = !matches!(self.wrong, Wrong::Panicked(_) | Wrong::Unhealed(_, Ending::Open));
        if is_shown {
            let replayed = replay(&self.trace);
            if let Outcome::Violated { .. } = replayed.outcome {
                let length = Some(format!("{}; {was}", self.length));
                let style = Style { colour, length, file: Some(file.to_owned()), ascii: false };
                return draw(&self.trace, &replayed, &style);
            }
        }
        let world = World::new(self.trace.scenario.clone());
        let mut text = format!("✗ {}\n  {was}\n  {}\n", self.what(), world.scenario.bounds());
        for (index, action) in self.trace.steps.iter().enumerate() {
            let _ = writeln!(text, "{:>5} {}", index + 1, describe(&world, action));
        }
        let _ = writeln!(text, "\nreplay  check replay {file}\nagain   {}", self.trace.command);
        text
    }
}
