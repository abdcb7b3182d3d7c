//! Checks the update/claim protocol.
//!
//! Exit codes: 0 everything as expected, expected violations included · 1 a finding · 2 usage ·
//! 3 inconclusive: the budget ended first · 4 a replay diverged · 5 unreadable input ·
//! 130 interrupted, with a partial report.

mod arguments;
mod recordings;

use arguments::{Arguments, Command, Format, On, Run, Search};
use clap::Parser;
use counterfoil_check::checker::WorldModel;
use counterfoil_check::cluster::{Driven, drive};
use counterfoil_check::progress::{INTERRUPTED, Limit, Watch};
use counterfoil_check::report::{Summary, TraceCounts, Verdict, trace_name};
use counterfoil_check::run::{self, Found, Options, Report};
use counterfoil_check::suite::Suite;
use counterfoil_check::walks::command::Telling;
use counterfoil_check::{suite, walks};
use counterfoil_protocol::Rule;
use counterfoil_world::calmest::actors_of;
use counterfoil_world::emit::emit;
use counterfoil_world::minimise::{Budget, Refused};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{
    Counterfoil, Expect, Expected, Outcome, Plain, Replay, Scenario, Style, Trace, Why, World,
    diagram, draw, explain, minimise, replay,
};
use stateright::Model;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether only letters and signs of ASCII are printed.
static ASCII: AtomicBool = AtomicBool::new(false);

/// Something is not as it should be.
const FINDING: u8 = 1;
const USAGE: u8 = 2;
const INCONCLUSIVE: u8 = 3;
const DIVERGED: u8 = 4;
const UNREADABLE: u8 = 5;
const INTERRUPT: u8 = 130;

fn main() -> ExitCode {
    if let Err(error) =
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&INTERRUPTED))
    {
        eprintln!("check: SIGINT will end the search without a report: {error}");
    }
    let arguments = Arguments::parse();
    ASCII.store(arguments.ascii, Ordering::Relaxed);
    let run = || Run::parse_default();
    let code = match arguments.command.unwrap_or_else(|| Command::Run(run())) {
        Command::Run(options) if options.search == Search::Walk => take_walks(&options),
        Command::Run(options) => run_scenarios(&options),
        Command::List => list(),
        Command::Explain { trace, format } => {
            with_trace(&trace, |trace| explain_one(trace, format))
        }
        Command::Replay { trace, on, emit_test } => with_trace(&trace, |trace| match &emit_test {
            Some(to) => emit_one(trace, to.as_deref()),
            None => replay_one(trace, on),
        }),
        Command::Minimise { trace, out, states } => recordings::minimise_any(&trace, out, states),
        Command::Validate { recordings, format, save } => {
            recordings::validate_all(&recordings, format, save.as_deref())
        }
        Command::Explore { scenario, web } => explore(&scenario, web),
    };
    ExitCode::from(code)
}

fn run_scenarios(options: &Run) -> u8 {
    let started = Instant::now();
    let keeps = options.checkpoint().is_some();
    let can_be_kept = |makes: &[run::Make]| makes.len() == 1 && makes != [run::Make::Plain];
    if keeps && (options.scenarios.len() != 1 || !can_be_kept(&options.makes())) {
        let what =
            "--checkpoint and --resume: one scenario, in one world of states that are numbers";
        return complain(&what, USAGE);
    }
    let scenarios = match chosen(options) {
        Ok(scenarios) => scenarios,
        Err(error) => return complain(&error, USAGE),
    };
    let whole_suite = options.scenarios.is_empty();
    let traces = match whole_suite.then(saved_traces).transpose() {
        Ok(traces) => traces,
        Err(error) => return complain(&*error, UNREADABLE),
    };
    let changed =
        !options.without.is_empty() || options.property.is_some() || options.depth.is_some();
    let how = Options {
        seed: options.seed,
        time: Some(options.time()),
        memory_bytes_max: Some(options.memory.0),
        makes: options.makes(),
        reduced: options.reductions != arguments::Switch::Off,
        checkpoint: options.checkpoint(),
        depth: options.depth,
        threads: usize::from(options.threads),
        as_declared: !changed,
    };
    let mut reports: Vec<Report> = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        let mut report = match run::run(scenario, &how) {
            Ok(report) => report,
            Err(error) => return complain(&error, UNREADABLE),
        };
        if let Some(Found { trace, .. }) = &mut report.answer.trace {
            let named = options.scenarios.get(index).unwrap_or(&scenario.name);
            trace.command = again(named, &options.without, &trace.property);
        }
        // A count that changed says that something did; what it is, a violation says, so go on to one.
        let found = !report.is_expected() && !report.answer.violated.is_empty();
        let stop = INTERRUPTED.load(Ordering::Relaxed) || (found && !options.keep_going);
        if let Err(error) = save(&report, options) {
            return complain(&error, USAGE);
        }
        if options.format == Format::Human && !report.is_expected() {
            print_violation(&report, options.save.as_deref());
        }
        reports.push(report);
        if stop {
            break;
        }
    }
    // What must be covered is covered by the suite quick.
    let quick = options.suite == Suite::Quick;
    let whole_suite = whole_suite && quick && !changed && reports.len() == scenarios.len();
    let time = started.elapsed();
    let summary = Summary { reports, traces, whole_suite, time, no_timing: options.no_timing };
    print_summary(&summary, options.format);
    let violated =
        summary.reports.iter().any(|r| !r.is_expected() && !r.answer.violated.is_empty());
    let diverged = summary.traces.as_ref().is_some_and(|traces| traces.diverged);
    match code(summary.verdict()) {
        // A violation says more than a saved run that goes another way because of it.
        FINDING if diverged && !violated => DIVERGED,
        code => code,
    }
}

fn print_summary(summary: &Summary, format: Format) {
    match format {
        Format::Human => {
            print(&summary.human());
            // The last line finds again what was found, however long the table above it is.
            let wrong = summary.reports.iter().filter(|report| !report.is_expected());
            let found = wrong.filter_map(|report| report.answer.trace.as_ref());
            found.for_each(|found| print(&format!("again   {}\n", found.trace.command)));
        }
        Format::Json => print(&format!("{:#}\n", summary.json())),
    }
}

fn code(verdict: Verdict) -> u8 {
    match verdict {
        _ if INTERRUPTED.load(Ordering::Relaxed) => INTERRUPT,
        Verdict::Fail => FINDING,
        Verdict::Inconclusive => INCONCLUSIVE,
        Verdict::Pass => 0,
    }
}

/// Takes walks in every scenario that is named, or in random clusters.
fn take_walks(options: &Run) -> u8 {
    let started = Instant::now();
    if options.depth.is_some() {
        return complain(&"walks have no --depth: use --steps", USAGE);
    }
    let all = if options.scenarios.is_empty() { Ok(Vec::new()) } else { chosen(options) };
    let places = match all {
        Ok(all) => all.into_iter().zip(options.scenarios.iter().cloned()).collect(),
        Err(error) => return complain(&error, USAGE),
    };
    let limit = Limit::default();
    let deadline = Some(started + options.time());
    let _watch = Watch::over(vec![limit.clone()], deadline, Some(options.memory.0));
    let how = walks::Options {
        seed: options.seed,
        numbers: options.amount.numbers(),
        steps_max: options.amount.steps,
        without: options.without.clone(),
        property: options.property.clone(),
        threads: usize::from(options.threads),
        limit,
    };
    let telling = Telling {
        json: options.format == Format::Json,
        colour: colour(),
        keep_going: options.keep_going,
        save: options.save.clone(),
    };
    let verdict = match telling.take(places, &how, print) {
        Ok(verdict) => verdict,
        Err(error) => return complain(&*error, USAGE),
    };
    if !options.no_timing {
        eprintln!("{:.1}s", started.elapsed().as_secs_f64());
    }
    code(verdict)
}

/// The scenarios that were asked for, changed as was asked.
fn chosen(options: &Run) -> Result<Vec<Scenario>, suite::SuiteError> {
    let mut scenarios = if options.scenarios.is_empty() {
        options.suite.scenarios()?
    } else {
        options.scenarios.iter().map(|name| suite::find(name)).collect::<Result<_, _>>()?
    };
    for scenario in &mut scenarios {
        scenario.without.extend(&options.without);
        if let Some(property) = &options.property {
            scenario.expect = Expect::Violates(property.clone());
        } else if !options.without.is_empty() {
            scenario.expect = Expect::Holds;
        }
    }
    Ok(scenarios)
}

/// The command that finds a violation again.
fn again(scenario: &str, without: &[Rule], property: &str) -> String {
    let without: String = without.iter().map(|rule| format!(" --without {rule}")).collect();
    format!("check run {scenario}{without} --property {property}")
}

/// Replays every saved trace.
fn saved_traces() -> Result<TraceCounts, Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut counts = TraceCounts::default();
    for path in suite::files(&suite::traces_folder(), ".itf.json")? {
        let trace: Trace<Counterfoil> = Trace::load(&path)?;
        let replayed = replay(&trace);
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        match (&replayed.outcome, trace.expect) {
            (Outcome::Violated { .. }, Expected::Witness) => counts.witnesses += 1,
            (Outcome::Holds { .. }, Expected::Regression) => counts.regressions += 1,
            (Outcome::Diverged(divergence), _) => {
                counts.diverged = true;
                counts.findings.push(format!("traces/{name}: {divergence}"));
            }
            (Outcome::Violated { violation, .. }, Expected::Regression) => {
                let (property, clause) = (&trace.property, &violation.clause);
                counts
                    .findings
                    .push(format!("traces/{name}: {property} is violated again: {clause}"));
            }
            (Outcome::Holds { because }, Expected::Witness) => {
                let property = &trace.property;
                counts
                    .findings
                    .push(format!("traces/{name}: no longer violates {property}: {because}"));
            }
        }
    }
    counts.time = started.elapsed();
    Ok(counts)
}

/// Saves the trace of a violation: where it was asked to, or in traces/found if it is unexpected.
fn save(report: &Report, options: &Run) -> Result<(), Box<dyn std::error::Error>> {
    let Some(Found { trace, .. }) = &report.answer.trace else { return Ok(()) };
    let folder = match (&options.save, report.is_expected()) {
        (Some(folder), _) => folder.clone(),
        (None, false) => suite::traces_folder().join("found"),
        (None, true) => return Ok(()),
    };
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(trace_name(&trace.property, &report.scenario.name));
    trace.save(&path)?;
    eprintln!("saved {}", path.display());
    Ok(())
}

fn print_violation(report: &Report, saved: Option<&Path>) {
    let Some(Found { trace, changes }) = &report.answer.trace else { return };
    // Of a loop only the way to it was chosen.
    let actors = actors_of(&trace.steps[..trace.back_to.unwrap_or(trace.steps.len())]);
    let length = format!(
        "{} steps: the shortest; {actors} actors, {changes} changes of actor: the fewest among the \
         shortest",
        trace.steps.len()
    );
    let name = trace_name(&trace.property, &report.scenario.name);
    let folder = saved.unwrap_or_else(|| Path::new("traces/found"));
    let file = Some(folder.join(name).display().to_string());
    let style = Style { colour: colour(), length: Some(length), file, ..Style::default() };
    print(&draw(trace, &replay(trace), &style));
    print("\n");
}

fn colour() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    !no_colour && std::io::stdout().is_terminal()
}

fn list() -> u8 {
    let scenarios = match Suite::Quick.scenarios() {
        Ok(scenarios) => scenarios,
        Err(error) => return complain(&error, USAGE),
    };
    let mut text = String::from("SCENARIOS\n");
    for scenario in scenarios {
        text += &format!("  {}: {}\n", scenario.name, scenario.expect);
        text += &format!("    {}\n    {}\n", scenario.question, scenario.bounds());
    }
    text += "RULES\n";
    Rule::ALL.iter().for_each(|rule| text += &format!("  {rule}\n"));
    text += "PROPERTIES\n";
    for property in Counterfoil::safety().iter().chain(Counterfoil::liveness()) {
        text += &format!("  {}: {}\n", property.name, property.statement);
    }
    print(&text);
    0
}

fn with_trace(path: &Path, show: impl Fn(&Trace<Counterfoil>) -> u8) -> u8 {
    match Trace::load(path) {
        Ok(trace) => show(&trace),
        Err(error) => complain(&error, UNREADABLE),
    }
}

fn explain_one(trace: &Trace<Counterfoil>, format: Format) -> u8 {
    let replayed = replay(trace);
    let why = Why::of(trace, &replayed);
    match format {
        Format::Json => print(&format!("{:#}\n", serde_json::json!(why))),
        Format::Human => print(&explain::text(&why)),
    }
    match replayed.outcome {
        Outcome::Diverged(_) => DIVERGED,
        Outcome::Holds { .. } | Outcome::Violated { .. } => 0,
    }
}

/// Writes the run as a test, to a file or to standard output.
fn emit_one(trace: &Trace<Counterfoil>, to: Option<&Path>) -> u8 {
    let replayed = replay(trace);
    if let Outcome::Diverged(divergence) = &replayed.outcome {
        return complain(divergence, DIVERGED);
    }
    let text = emit(trace, &replayed);
    match to.map(|path| (path, std::fs::write(path, &text))) {
        None => print(&text),
        Some((path, Ok(()))) => eprintln!("saved {}", path.display()),
        Some((path, Err(error))) => {
            return complain(&format!("{}: cannot be written: {error}", path.display()), USAGE);
        }
    }
    0
}

/// Takes the run on the cluster, once it was replayed through the machines.
fn drive_one(trace: &Trace<Counterfoil>, replayed: &Replay<Counterfoil>) -> u8 {
    let driven = match drive(&trace.steps, replayed) {
        Ok(driven) => driven,
        Err(error) => return complain(&error, INCONCLUSIVE),
    };
    print(&format!("{driven}\n"));
    match driven {
        Driven::Same { .. } => 0,
        Driven::Unlike { .. } => DIVERGED,
        Driven::CannotHappen { .. } => INCONCLUSIVE,
    }
}

fn replay_one(trace: &Trace<Counterfoil>, on: On) -> u8 {
    let replayed = replay(trace);
    let steps = trace.steps.len();
    let (text, code) = match &replayed.outcome {
        Outcome::Diverged(divergence) => (format!("{divergence}\n"), DIVERGED),
        Outcome::Violated { step, violation } => (
            format!(
                "{steps} steps: {} is violated at step {step}: {}\n",
                trace.property, violation.clause
            ),
            u8::from(trace.expect == Expected::Regression),
        ),
        Outcome::Holds { because } => (
            format!("{steps} steps: {} holds: {because}\n", trace.property),
            u8::from(trace.expect == Expected::Witness),
        ),
    };
    print(&text);
    let is_replayed = !matches!(replayed.outcome, Outcome::Diverged(_));
    match on {
        On::Cluster if is_replayed => match drive_one(trace, &replayed) {
            0 => code,
            other => other,
        },
        On::Machines | On::Cluster => code,
    }
}

fn minimise_one(trace: &Trace<Counterfoil>, out: &Path, states_max: usize) -> u8 {
    let least = match minimise(trace, Budget { states_max, ..Budget::default() }) {
        Ok(least) => least,
        Err(refused @ Refused::Diverged(_)) => return complain(&refused, DIVERGED),
        Err(refused @ Refused::Holds { .. }) => return complain(&refused, USAGE),
    };
    if let Err(error) = least.trace.save(out) {
        return complain(&error, USAGE);
    }
    let file = Some(out.display().to_string());
    let length = Some(format!("{} before; {}", least.was, least.words()));
    let style = Style { colour: colour(), length, file, ..Style::default() };
    print(&draw(&least.trace, &replay(&least.trace), &style));
    eprintln!("saved {}", out.display());
    0
}

fn explore(name: &str, web: Option<std::net::SocketAddr>) -> u8 {
    let scenario = match suite::find(name) {
        Ok(scenario) => scenario,
        Err(error) => return complain(&error, USAGE),
    };
    let world: World<Counterfoil> = World::new(scenario);
    match web {
        Some(address) => {
            eprintln!("stateright's Explorer at http://{address}/");
            WorldModel::new(Plain::new(world, 0), true, Limit::default()).checker().serve(address);
            0
        }
        None => {
            match counterfoil_check::hand::explore(
                &world,
                std::io::stdin().lock(),
                std::io::stdout(),
            ) {
                Ok(()) => 0,
                Err(error) => complain(&error, FINDING),
            }
        }
    }
}

/// Prints a result. Whoever reads may have seen enough: a closed pipe is no error.
fn print(text: &str) {
    let ascii = ASCII.load(Ordering::Relaxed).then(|| diagram::ascii(text));
    let _ = std::io::stdout().write_all(ascii.as_deref().unwrap_or(text).as_bytes());
}

fn complain(error: &dyn std::fmt::Display, code: u8) -> u8 {
    eprintln!("check: {error}");
    code
}
