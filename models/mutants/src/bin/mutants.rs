//! Makes the protocol wrong, in one place at a time, and asks the checker to find it out.
//!
//! Exit codes: 0 every mutant was killed · 1 some survive · 2 usage · 3 the copy could not be made,
//! built or run.

use clap::{Parser, ValueEnum};
use counterfoil_mutants::finding::{self, Finding};
use counterfoil_mutants::report::{Judged, json, markdown};
use counterfoil_mutants::table::{Mutant, Table};
use counterfoil_mutants::trial::{Trial, run};
use counterfoil_mutants::{copy, report};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Makes the protocol wrong, in one place at a time, and asks the checker to find it out.
#[derive(Parser)]
#[command(name = "mutants", version)]
struct Arguments {
    /// Only these mutants.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// List the mutants and end.
    #[arg(long)]
    list: bool,
    /// Explore these scenarios, by name or file, instead of the whole suite.
    #[arg(long, value_name = "SCENARIO", num_args = 1..)]
    scenarios: Vec<String>,
    /// How long the checker may take with one mutant, e.g. 90s, 10m, 1h.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    time: Duration,
    /// How many random walks a mutant must survive that the exploration does not kill; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    walks: u64,
    /// The seed of the walks.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many mutants to check side by side.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Where the copy of the sources is kept, and built. None: target/mutants of the workspace.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// How to report.
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Markdown,
    Json,
}

const SURVIVORS: u8 = 1;
const USAGE: u8 = 2;
const FAILED: u8 = 3;

/// A scenario that must hold in the copy while no mutant is on.
const PLAIN: &str = "last_slot_race";

fn duration(text: &str) -> Result<Duration, String> {
    let seconds =
        |unit: &str, factor: u64| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(factor);
    let found = seconds("s", 1).or_else(|| seconds("m", 60)).or_else(|| seconds("h", 3600));
    found.map(Duration::from_secs).ok_or_else(|| "use a number and s, m or h".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let table = match Table::load() {
        Ok(table) => table,
        Err(error) => return complain(&error, FAILED),
    };
    let mutants = match table.named(&arguments.only) {
        Ok(mutants) => mutants,
        Err(error) => return complain(&error, USAGE),
    };
    if arguments.list {
        for (_, Mutant { name, file, says, .. }) in mutants {
            println!("{name:<42} {file}: {says}");
        }
        return ExitCode::SUCCESS;
    }
    let bench = match Bench::set_up(&arguments, &table) {
        Ok(bench) => bench,
        Err(error) => return complain(&*error, FAILED),
    };
    let judged = match bench.judge_all(&mutants, arguments.jobs) {
        Ok(judged) => judged,
        Err(error) => return complain(&error, FAILED),
    };
    match arguments.format {
        Format::Markdown => print!("{}", markdown(&judged)),
        Format::Json => println!("{:#}", json(&judged)),
    }
    let all_killed = judged.iter().all(Judged::is_killed);
    if all_killed { ExitCode::SUCCESS } else { ExitCode::from(SURVIVORS) }
}

fn complain(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("mutants: {error}");
    ExitCode::from(code)
}

/// The checker of the copy, and how it is asked.
struct Bench<'a> {
    arguments: &'a Arguments,
    check: PathBuf,
    folder: PathBuf,
}

impl<'a> Bench<'a> {
    /// Makes and builds the copy, and makes sure that it is right while no mutant is on.
    fn set_up(
        arguments: &'a Arguments,
        table: &Table,
    ) -> Result<Bench<'a>, Box<dyn std::error::Error>> {
        let workspace = copy::workspace();
        let given = arguments.folder.clone();
        let folder =
            std::path::absolute(given.unwrap_or_else(|| workspace.join("target/mutants")))?;
        eprintln!("mutants: {} places in a copy in {}", table.mutants.len(), folder.display());
        copy::renew(&workspace, &folder, table)?;
        eprintln!("mutants: building the checker of the copy");
        let check = copy::build(&folder)?;
        let bench = Bench { arguments, check, folder };
        let asked = ["run", PLAIN].map(str::to_owned).to_vec();
        let plain = run(&bench.trial(None, "none", asked))?;
        match plain.code {
            Some(0) => Ok(bench),
            Some(_) | None => {
                Err(format!("{PLAIN} fails with no mutant on:\n{}", plain.stdout).into())
            }
        }
    }

    /// Judges all, several side by side, in order.
    fn judge_all<'m>(
        &self,
        mutants: &[(u32, &'m Mutant)],
        jobs: u16,
    ) -> std::io::Result<Vec<Judged<'m>>> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while let Some((number, mutant)) =
                        mutants.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let judged = self.judge(*number, mutant);
                        let mut done = done.lock().expect("nobody panics while it is locked");
                        done.push((*number, judged));
                        let (so_far, of) = (done.len(), mutants.len());
                        if let Some((_, Ok(judged))) = done.last() {
                            let name = &judged.mutant.name;
                            eprintln!("mutants: {so_far}/{of} {name}: {}", judged.words());
                        }
                    }
                });
            }
        });
        let mut done = done.into_inner().expect("nobody panics while it is locked");
        done.sort_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, judged)| judged).collect()
    }

    /// Explores with the mutant on and, if it survives that, walks.
    fn judge<'m>(&self, number: u32, mutant: &'m Mutant) -> std::io::Result<Judged<'m>> {
        let name = &mutant.name;
        let ending = run(&self.trial(Some(number), name, self.exploring(name)))?;
        let explored = finding::of(&ending);
        let mut time = ending.time;
        let mut walked: Option<Finding> = None;
        if !explored.is_kill() && self.arguments.walks > 0 {
            let ending = run(&self.trial(Some(number), name, self.walking(name)))?;
            walked = Some(finding::of(&ending));
            time += ending.time;
        }
        Ok(report::Judged { mutant, explored, walked, time })
    }

    fn trial(&self, mutant: Option<u32>, name: &str, arguments: Vec<String>) -> Trial {
        Trial {
            check: self.check.clone(),
            arguments,
            mutant,
            time_max: self.arguments.time,
            folder: self.results(name),
        }
    }

    /// Where what a mutant comes to is kept.
    fn results(&self, name: &str) -> PathBuf {
        self.folder.join("found").join(name)
    }

    /// How to ask for an exploration of every state.
    fn exploring(&self, name: &str) -> Vec<String> {
        let mut arguments = vec!["run".to_owned()];
        if self.arguments.scenarios.is_empty() {
            let how = ["--suite", "quick", "--world", "interned"];
            arguments.extend(how.map(str::to_owned));
        }
        arguments.extend(self.arguments.scenarios.iter().map(|given| absolute(given)));
        arguments.extend(self.options(name));
        arguments
    }

    /// How to ask for random walks.
    fn walking(&self, name: &str) -> Vec<String> {
        let (seed, walks) = (self.arguments.seed.to_string(), self.arguments.walks.to_string());
        let how = ["run", "--search", "walk", "--seed", &seed, "--walks", &walks];
        let mut arguments: Vec<String> = how.map(str::to_owned).to_vec();
        arguments.extend(self.options(name));
        arguments
    }

    fn options(&self, name: &str) -> Vec<String> {
        let save = self.results(name).join("traces").display().to_string();
        ["--format", "json", "--no-timing", "--save", &save].map(str::to_owned).to_vec()
    }
}

/// A scenario as the checker finds it from wherever it is run: a name stays one.
fn absolute(scenario: &str) -> String {
    let path = std::path::absolute(Path::new(scenario));
    match path {
        Ok(path) if scenario.contains(['/', '.']) => path.display().to_string(),
        Ok(_) | Err(_) => scenario.to_owned(),
    }
}
