//! How fast the checker is: on the largest quick scenario, and to the first counterexample of each
//! rule that is switched off. Prints Markdown.
//!
//! `cargo run --release -p counterfoil-check --example speed`

use counterfoil_check::checker::Seen;
use counterfoil_check::progress::Limit;
use counterfoil_check::run::{Answer, Make, Options, run};
use counterfoil_check::suite::{Suite, find};
use counterfoil_check::walks;
use counterfoil_protocol::Rule;
use counterfoil_world::{Counterfoil, Expect, Scenario};
use std::error::Error;
use std::process::Command;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each search is repeated.
const REPEATED: usize = 3;
/// How many walks are taken at most for a counterexample.
const WALKS_MAX: u64 = 5_000;

const MAKES: [Make; 3] = [Make::Plain, Make::Interned, Make::Symmetric];

fn main() -> Result<(), Box<dyn Error>> {
    let quick = Suite::Quick.scenarios()?;
    let largest = quick.into_iter().max_by_key(|scenario| scenario.distinct);
    let largest = largest.ok_or("the suite is empty")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [make, threads] => search(&largest, make, threads.parse()?),
        _ => searches(&largest).and_then(|()| counterexamples()),
    }
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

/// One search in this process: seconds, transitions, distinct states and bytes of both engines.
fn search(scenario: &Scenario, make: &str, threads: usize) -> Result<(), Box<dyn Error>> {
    let make = MAKES.into_iter().find(|known| known.name() == make).ok_or("no such world")?;
    let report = run::<Counterfoil>(scenario, &options(make, threads))?;
    assert!(report.is_expected(), "{:?}", report.findings);
    let Answer { time, states, distinct, grown_bytes, stateright, .. } = report.answer;
    println!("{} {states} {distinct} {grown_bytes}", time.as_secs_f64());
    let Seen { states, distinct, time, grown_bytes, .. } = stateright;
    println!("{} {states} {distinct} {grown_bytes}", time.as_secs_f64());
    Ok(())
}

/// Every search in a process of its own, so that none has the memory of the last.
fn searches(scenario: &Scenario) -> Result<(), Box<dyn Error>> {
    println!("{}: {}, {REPEATED} times each\n", scenario.name, scenario.bounds());
    println!(
        "| world | engine | threads | distinct | transitions | s (range) | M transitions/s | \
         bytes/distinct |\n|---|---|---|---|---|---|---|---|"
    );
    for threads in [1, 2] {
        for make in MAKES {
            let mut engines = [Vec::new(), Vec::new()];
            for _ in 0..REPEATED {
                let mut one = Command::new(std::env::current_exe()?);
                let output = one.args([make.name(), &threads.to_string()]).output()?;
                let text = String::from_utf8(output.stdout)?;
                for (rows, line) in engines.iter_mut().zip(text.lines()) {
                    let numbers: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
                    rows.push(numbers?);
                }
            }
            for (engine, rows) in
                ["ours, with liveness", "stateright, with healing"].iter().zip(engines)
            {
                let (best, median, worst) = spread(rows.iter().map(|row| row[0]).collect());
                let [_, states, distinct, bytes] = rows[0][..] else {
                    return Err("a search failed".into());
                };
                // Side by side, memory is of both.
                let bytes =
                    if threads == 1 { format!("{:.0}", bytes / distinct) } else { "–".into() };
                println!(
                    "| {} | {engine} | {threads} | {distinct} | {states} | \
                     {median:.2} ({best:.2} to {worst:.2}) | {:.2} | {bytes} |",
                    make.name(),
                    states / median / 1e6,
                );
            }
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
        let answer = run::<Counterfoil>(&scenario, &options(Make::Interned, 1))?.answer;
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
        let report = walks::run::<Counterfoil>(Some((&scenario, &scenario.name)), &how);
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
