//! How fast the checker is: on the largest quick scenario, and to the first counterexample of each
//! rule that is switched off. Prints Markdown.
//!
//! `cargo run --release -p counterfoil-check --example speed`

use counterfoil_check::progress::Limit;
use counterfoil_check::run::{Answer, Make, Options, run};
use counterfoil_check::suite::{Suite, find};
use counterfoil_check::walks;
use counterfoil_protocol::Rule;
use counterfoil_world::{Expect, Scenario};
use std::error::Error;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each search is repeated.
const REPEATED: usize = 3;
/// How many walks are taken at most for a counterexample.
const WALKS_MAX: u64 = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let quick = Suite::Quick.scenarios()?;
    let largest = quick.into_iter().max_by_key(|scenario| scenario.distinct);
    let largest = largest.ok_or("the suite is empty")?;
    searches(&largest)?;
    counterexamples()
}

fn options(make: Make, threads: usize) -> Options {
    Options {
        seed: 0,
        time: None,
        memory_bytes_max: None,
        depth: None,
        threads,
        makes: vec![make],
        reduced: true,
        checkpoint: None,
        as_declared: true,
    }
}

fn searches(scenario: &Scenario) -> Result<(), Box<dyn Error>> {
    println!("{}: {}, {REPEATED} times each\n", scenario.name, scenario.bounds());
    println!(
        "| world | engine | threads | distinct | transitions | s (range) | M transitions/s | bytes/distinct |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for threads in [1, 2] {
        for make in [Make::Plain, Make::Interned, Make::Symmetric] {
            let mut answers = Vec::new();
            for _ in 0..REPEATED {
                let report = run(scenario, &options(make, threads))?;
                assert!(report.is_expected(), "{:?}", report.findings);
                answers.push(report.answer);
            }
            let row = |engine: &str, of: &dyn Fn(&Answer) -> (Duration, u64, u64)| {
                let times: Vec<f64> = answers.iter().map(|a| of(a).0.as_secs_f64()).collect();
                let (states, bytes) = (of(&answers[0]).1, of(&answers[0]).2);
                let distinct = answers[0].distinct;
                let (best, median, worst) = spread(times);
                // Side by side, memory is of both.
                let bytes = match threads {
                    1 => format!("{:.0}", bytes as f64 / distinct as f64),
                    _ => "–".to_owned(),
                };
                println!(
                    "| {} | {engine} | {threads} | {distinct} | {states} | {median:.2} ({best:.2} to {worst:.2}) | {:.2} | {bytes} |",
                    make.name(),
                    states as f64 / median / 1e6,
                );
            };
            row("ours, with liveness", &|a| (a.time, a.states, a.grown_bytes));
            row("stateright, with healing", &|a| {
                (a.stateright.time, a.stateright.states, a.stateright.grown_bytes)
            });
        }
    }
    println!();
    Ok(())
}

fn counterexamples() -> Result<(), Box<dyn Error>> {
    println!(
        "| rule off | property | ours, s | stateright, s | states | walk | steps of all walks | s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for rule in Rule::ALL {
        let scenario = find(&format!("without_{rule}"))?;
        let Expect::Violates(property) = &scenario.expect else {
            return Err(format!("{}: expects no violation", scenario.name).into());
        };
        let answer = run(&scenario, &options(Make::Interned, 1))?.answer;
        let how = walks::Options {
            seed: 1,
            numbers: 1..=WALKS_MAX,
            steps_max: walks::Options::STEPS_MAX,
            without: Vec::new(),
            property: Some(property.clone()),
            threads: 1,
            limit: Limit::default(),
        };
        let started = Instant::now();
        let report = walks::run(Some((&scenario, &scenario.name)), &how);
        let walk = report.found.map_or("not found".to_owned(), |found| found.number.to_string());
        println!(
            "| {rule} | {property} | {:.3} | {:.3} | {} | {walk} | {} | {:.2} |",
            answer.time.as_secs_f64(),
            answer.stateright.time.as_secs_f64(),
            answer.states,
            report.tally.steps,
            started.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// The least, the median and the most.
fn spread(mut of: Vec<f64>) -> (f64, f64, f64) {
    of.sort_by(f64::total_cmp);
    (of[0], of[of.len() / 2], of[of.len() - 1])
}
