//! Walks as they are asked for on the command line: how many, and what becomes of what they find.

use super::{Options, Report, run};
use crate::progress::INTERRUPTED;
use crate::report::Verdict;
use crate::suite;
use counterfoil_world::{Protocol, Scenario};
use serde_json::Value;
use std::error::Error;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// How many walks, and how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Amount {
    /// How many walks to take.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub walks: u64,
    /// Take this walk only, by its number.
    #[arg(long, value_name = "I", conflicts_with = "walks")]
    pub walk: Option<u64>,
    /// How many actions a walk takes at most, before it is healed.
    #[arg(long, value_name = "N", default_value_t = Options::STEPS_MAX)]
    pub steps: usize,
}

impl Amount {
    /// Which walks, by number.
    pub fn numbers(&self) -> RangeInclusive<u64> {
        self.walk.map_or(1..=self.walks, |number| number..=number)
    }
}

/// What becomes of what walks find.
#[derive(Clone, Debug)]
pub struct Telling {
    /// JSON for programs, or a text for people.
    pub json: bool,
    /// What is violated in red.
    pub colour: bool,
    /// Go on after a scenario with a violation that was not expected.
    pub keep_going: bool,
    /// Where to save traces; only unexpected ones, in traces/found, if not given.
    pub save: Option<PathBuf>,
}

impl Telling {
    /// Takes walks in every scenario, which goes with how a command names it; in random clusters if
    /// there is none. Prints and saves what comes of them.
    pub fn take<P: Protocol>(
        &self,
        scenarios: Vec<(Scenario, String)>,
        how: &Options,
        print: impl Fn(&str),
    ) -> Result<Verdict, Box<dyn Error>> {
        let mut verdict = Verdict::Pass;
        let mut reports = Vec::new();
        let places = scenarios.iter().map(Some);
        let nowhere = scenarios.is_empty().then_some(None);
        for place in places.chain(nowhere) {
            let report = run::<P>(place.map(|(scenario, named)| (scenario, named.as_str())), how);
            self.save(&report)?;
            if !self.json {
                if let (Some(found), Verdict::Fail) = (&report.found, report.verdict()) {
                    let file = format!("traces/found/{}", report.file());
                    print(&format!("{}\n", found.drawn(self.colour, &file)));
                }
                print(&report.human());
            }
            reports.push(report.json());
            verdict = worse(verdict, report.verdict());
            let is_found = verdict == Verdict::Fail && !self.keep_going;
            if is_found || INTERRUPTED.load(Ordering::Relaxed) {
                break;
            }
        }
        if self.json {
            print(&format!("{:#}\n", Value::Array(reports)));
        }
        Ok(verdict)
    }

    fn save<P: Protocol>(&self, report: &Report<P>) -> Result<(), Box<dyn Error>> {
        let Some(found) = &report.found else { return Ok(()) };
        let folder = match (&self.save, report.verdict()) {
            (Some(folder), _) => folder.clone(),
            (None, Verdict::Fail) => suite::traces_folder().join("found"),
            (None, Verdict::Pass | Verdict::Inconclusive) => return Ok(()),
        };
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(report.file());
        found.trace.save(&path)?;
        eprintln!("saved {}", path.display());
        Ok(())
    }
}

fn worse(one: Verdict, two: Verdict) -> Verdict {
    match (one, two) {
        (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
        (Verdict::Inconclusive, _) | (_, Verdict::Inconclusive) => Verdict::Inconclusive,
        (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
    }
}
