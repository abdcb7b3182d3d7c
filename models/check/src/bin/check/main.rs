//! Checks the update/claim protocol.
//!
//! Exit codes: 0 everything as expected, expected violations included · 1 a finding · 2 usage ·
//! 3 inconclusive: the budget ended first · 4 a replay diverged · 5 unreadable input ·
//! 130 interrupted, with a partial report.

mod arguments;
mod recordings;
mod traces;

use arguments::{Arguments, Command, Format, Run, Search};
use clap::Parser;
use counterfoil_check::checker::WorldModel;
use counterfoil_check::progress::{INTERRUPTED, Limit, Watch};
use counterfoil_check::report::{Summary, Verdict, trace_name};
use counterfoil_check::run::{self, Found, Options, Report};
use counterfoil_check::suite::Suite;
use counterfoil_check::walks::command::Telling;
use counterfoil_check::{suite, walks};
use counterfoil_protocol::Rule;
use counterfoil_seed::{Seed, Task, with};
use counterfoil_world::calmest::actors_of;
use counterfoil_world::scenario::Design;
use counterfoil_world::trace::kind_of;
use counterfoil_world::{
    Counterfoil, Expect, Plain, Protocol, Scenario, Style, World, diagram, draw, replay,
};
use stateright::Model;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use traces::Deed;

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
        Command::Run(options) => run_all(&options),
        Command::List => list(),
        Command::Explain { trace, format } => traces::take(&trace, Deed::Explain(format)),
        Command::Replay { trace, emit_test: Some(to), .. } => {
            traces::take(&trace, Deed::Emit(to.as_deref()))
        }
        Command::Replay { trace, on, emit_test: None } => traces::take(&trace, Deed::Replay(on)),
        Command::Minimise { trace, out, states } => recordings::minimise_any(&trace, out, states),
        Command::Validate { recordings, format, save } => {
            recordings::validate_all(&recordings, format, save.as_deref())
        }
        Command::Explore { scenario, web } => explore(&scenario, web),
    };
    ExitCode::from(code)
}

/// Runs scenarios or takes walks in them: all of one protocol, whichever.
fn run_all(options: &Run) -> u8 {
    struct Running<'a>(&'a Run, Vec<Scenario>);
    impl Task for Running<'_> {
        type Outcome = u8;

        fn with<P: Protocol>(self) -> u8 {
            let Running(options, scenarios) = self;
            match unfit::<P>(options, &scenarios) {
                Some(why) => complain(&why, USAGE),
                None if options.search == Search::Walk => take_walks::<P>(options, scenarios),
                None => run_scenarios::<P>(options, &scenarios),
            }
        }
    }
    let anywhere = options.search == Search::Walk && options.scenarios.is_empty();
    let scenarios = match if anywhere { Ok(Vec::new()) } else { chosen(options) } {
        Ok(scenarios) => scenarios,
        Err(error) => return complain(&error, USAGE),
    };
    let protocol = scenarios.first().map_or(Design::default(), |scenario| scenario.protocol);
    with(protocol, Running(options, scenarios))
}

/// Why options cannot be carried out with scenarios of this protocol.
fn unfit<P: Protocol>(options: &Run, scenarios: &[Scenario]) -> Option<String> {
    if let Some(other) = scenarios.iter().find(|scenario| !P::speaks(scenario.protocol)) {
        let (name, protocol) = (&other.name, other.protocol.name());
        return Some(format!("{name} is of the protocol {protocol}: run it by itself"));
    }
    if let Some(rule) = options.without.iter().find(|rule| !P::rules().contains(rule)) {
        return Some(format!("--without {rule}: the protocol has no such rule"));
    }
    let property = options.property.as_ref().filter(|name| kind_of::<P>(name).is_none())?;
    Some(format!("--property {property}: the protocol has no such property"))
}

fn run_scenarios<P: Protocol>(options: &Run, scenarios: &[Scenario]) -> u8 {
    let started = Instant::now();
    let keeps = options.checkpoint().is_some();
    let can_be_kept = |makes: &[run::Make]| makes.len() == 1 && makes != [run::Make::Plain];
    if keeps && (options.scenarios.len() != 1 || !can_be_kept(&options.makes())) {
        let what =
            "--checkpoint and --resume: one scenario, in one world of states that are numbers";
        return complain(&what, USAGE);
    }
    let whole_suite = options.scenarios.is_empty();
    let saved = || traces::saved::<P>(options.suite.traces());
    let traces = match whole_suite.then(saved).transpose() {
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
    let mut reports: Vec<Report<P>> = Vec::new();
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

fn print_summary<P: Protocol>(summary: &Summary<P>, format: Format) {
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
fn take_walks<P: Protocol>(options: &Run, scenarios: Vec<Scenario>) -> u8 {
    let started = Instant::now();
    if options.depth.is_some() {
        return complain(&"walks have no --depth: use --steps", USAGE);
    }
    let places = scenarios.into_iter().zip(options.scenarios.iter().cloned()).collect();
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
    let verdict = match telling.take::<P>(places, &how, print) {
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

/// Saves the trace of a violation: where it was asked to, or in traces/found if it is unexpected.
fn save<P: Protocol>(report: &Report<P>, options: &Run) -> Result<(), Box<dyn std::error::Error>> {
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

fn print_violation<P: Protocol>(report: &Report<P>, saved: Option<&Path>) {
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
    let mut text = String::new();
    for (suite, title) in [(Suite::Quick, "SCENARIOS"), (Suite::Seed, "SCENARIOS OF 2016")] {
        let scenarios = match suite.scenarios() {
            Ok(scenarios) => scenarios,
            Err(error) => return complain(&error, USAGE),
        };
        text += &format!("{title}\n");
        for scenario in scenarios {
            text += &format!("  {}: {}\n", scenario.name, scenario.expect);
            text += &format!("    {}\n    {}\n", scenario.question, scenario.bounds());
        }
    }
    text += "RULES\n";
    Rule::ALL.iter().for_each(|rule| text += &format!("  {rule}\n"));
    let ours = ("PROPERTIES", Counterfoil::safety(), Counterfoil::liveness());
    let theirs = ("PROPERTIES OF 2016", Seed::safety(), Seed::liveness());
    for (title, safety, liveness) in [ours, theirs] {
        text += &format!("{title}\n");
        for property in safety.iter().chain(liveness) {
            text += &format!("  {}: {}\n", property.name, property.statement);
        }
    }
    print(&text);
    0
}

fn explore(name: &str, web: Option<std::net::SocketAddr>) -> u8 {
    struct Exploring(Scenario, Option<std::net::SocketAddr>);
    impl Task for Exploring {
        type Outcome = u8;

        fn with<P: Protocol>(self) -> u8 {
            let world: World<P> = World::new(self.0);
            if let Some(address) = self.1 {
                eprintln!("stateright's Explorer at http://{address}/");
                let model = WorldModel::new(Plain::new(world, 0), true, Limit::default());
                model.checker().serve(address);
                return 0;
            }
            let (input, output) = (std::io::stdin().lock(), std::io::stdout());
            match counterfoil_check::hand::explore(&world, input, output) {
                Ok(()) => 0,
                Err(error) => complain(&error, FINDING),
            }
        }
    }
    match suite::find(name) {
        Ok(scenario) => with(scenario.protocol, Exploring(scenario, web)),
        Err(error) => complain(&error, USAGE),
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
