//! `bench compare`.

use clap::{ArgAction, Args, ValueEnum};
use counterfoil_bench::baselines::Design;
use counterfoil_bench::baselines::database::Place;
use counterfoil_bench::compare::grid::Grid;
use counterfoil_bench::compare::kept::Comparison;
use counterfoil_bench::compare::preloaded::Preloaded;
use counterfoil_bench::compare::spec::Setting;
use counterfoil_bench::compare::{CompareError, measure, mixes, page, report};
use counterfoil_bench::workload::read_nodes;
use counterfoil_placement::PolicyName;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// Measure fewer and shorter cells, within five minutes on two cores.
    #[arg(long)]
    quick: bool,
    /// Where the parts run [default: model,udp; with --quick: model].
    #[arg(long, value_enum, value_delimiter = ',')]
    setting: Vec<Setting>,
    /// Which designs [default: all].
    #[arg(long, value_enum, value_delimiter = ',')]
    designs: Vec<Design>,
    /// How many nodes [default: 300,1000].
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: Vec<u32>,
    /// How many schedulers [default: 1,2,4,8; with --quick: 2,4].
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=64))]
    schedulers: Vec<u32>,
    /// How schedulers choose [default: spread,pack,random].
    #[arg(long, value_delimiter = ',')]
    strategies: Vec<PolicyName>,
    /// Whether counterfoil's schedulers take nodes of their own share first, with every strategy: requests
    /// are dealt out evenly here.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    own_first: bool,
    /// Requests that are open at each scheduler at once [default: 32].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=2000))]
    window: Option<u64>,
    /// Attempts of one request, at most [default: 5].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts_max: Option<u32>,
    /// How old the view of the caching scheduler becomes, in seconds [default: 60].
    #[arg(long)]
    refresh: Option<u64>,
    /// After so many seconds a cell is cut off [default: 60; with --quick: 4].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Where everything random begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The database of the designs that have one: `sqlite:FILE`, or the URL of a PostgreSQL, which
    /// `src/bench/postgres start` prints [default: SQLite, in a file that is removed].
    #[arg(long, value_name = "URL")]
    database: Option<Place>,
    /// Ask for what this file has instead of the flavors, in its order, and let nothing go: VCPU,
    /// MEMORY_MB and DISK_GB alone, which every design counts.
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// Place on the nodes of this file instead, as many of them as --nodes says at most; in the
    /// setting `model`.
    #[arg(long, value_name = "FILE")]
    nodes_from: Option<PathBuf>,
    /// Schedulers of several designs on the same nodes instead: `filter=1,caching=1,counterfoil=2`.
    #[arg(long, value_delimiter = ',', value_name = "DESIGN=COUNT", value_parser = part_of_mix)]
    mix: Vec<(Design, u32)>,
    /// Run the preloaded case instead: 50 requests at once on exactly 49 places.
    #[arg(long, conflicts_with_all = ["mix", "resume", "out", "quick", "workload", "nodes_from"])]
    preloaded: bool,
    /// How often, with --preloaded.
    #[arg(long, default_value_t = 1, requires = "preloaded")]
    repeat: u64,
    /// Go on with the comparison in this file, if it is there, and keep it there after every cell.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Also write comparison.json, comparison.csv and comparison.html to this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Form::Human)]
    format: Form,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Form {
    /// A table, for people.
    #[value(alias = "text")]
    Human,
    /// For programs.
    Json,
    /// Rows, separated by commas.
    Csv,
}

fn part_of_mix(text: &str) -> Result<(Design, u32), String> {
    let (design, count) = text.split_once('=').ok_or("write DESIGN=COUNT")?;
    let count = count.parse().ok().filter(|count| (1..=64).contains(count));
    Ok((Design::from_str(design, true)?, count.ok_or("the count is from 1 to 64")?))
}

/// What `given` says, or else `default`.
fn or<T>(given: &[T], default: Vec<T>) -> Vec<T>
where
    T: Clone,
{
    if given.is_empty() { default } else { given.to_vec() }
}

impl CompareArgs {
    fn grid(&self) -> Grid {
        let grid = if self.quick { Grid::default().quick() } else { Grid::default() };
        let strategies: Vec<String> = self.strategies.iter().map(PolicyName::to_string).collect();
        let mix = self.mix.iter().flat_map(|(of, count)| vec![*of; *count as usize]);
        let mix: Vec<Design> = mix.collect();
        let model_only = !mix.is_empty() || self.preloaded || self.nodes_from.is_some();
        let settings = if model_only { vec![Setting::Model] } else { grid.settings };
        Grid {
            settings: or(&self.setting, settings),
            designs: or(&self.designs, grid.designs),
            nodes: or(&self.nodes, if self.preloaded { vec![1000] } else { grid.nodes }),
            schedulers: or(
                &self.schedulers,
                if self.preloaded { vec![1, 2] } else { grid.schedulers },
            ),
            strategies: or(
                &strategies,
                if self.preloaded { vec!["spread".to_owned()] } else { grid.strategies },
            ),
            mix: (!mix.is_empty()).then_some(mix),
            own_first: self.own_first,
            window: self.window.map_or(grid.window, |window| window as usize),
            attempts_max: self.attempts_max.unwrap_or(grid.attempts_max),
            refresh_s: self.refresh.unwrap_or(grid.refresh_s),
            limit_s: self.limit.unwrap_or(grid.limit_s),
            seed: self.seed,
            database: self.database.clone().unwrap_or_default().to_string(),
            workload: self.workload.clone(),
            nodes_from: self.nodes_from.clone(),
        }
    }

    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let mut grid = self.grid();
        if let Some(path) = &grid.nodes_from {
            let found = read_nodes(path).map_err(CompareError::from)?.len() as u32;
            let at_most = if self.nodes.is_empty() { vec![found] } else { self.nodes.clone() };
            grid.nodes = at_most.into_iter().map(|nodes| nodes.min(found)).collect();
            grid.nodes.dedup();
        }
        if let Some(mix) = &grid.mix
            && !mixes(mix)
        {
            eprintln!(
                "bench: only filter, caching and counterfoil schedulers work on the same nodes"
            );
            return Ok(ExitCode::from(2));
        }
        let model_only = grid.mix.is_some() || grid.nodes_from.is_some();
        if model_only && grid.settings != [Setting::Model] {
            eprintln!("bench: mixes and nodes from a file are run in the setting `model` alone");
            return Ok(ExitCode::from(2));
        }
        if let Some(place) = &self.database {
            // Told before anything is measured.
            place.check()?;
        }
        let stopped = stopped()?;
        let interrupted = || stopped.load(Ordering::Relaxed);
        if self.preloaded {
            self.preloaded(&grid, &interrupted)
        } else {
            self.compare(grid, &interrupted)
        }
    }

    fn preloaded(
        &self,
        grid: &Grid,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<ExitCode, Box<dyn Error>> {
        let mut all = Vec::new();
        let mut fine = true;
        for spec in grid.specs() {
            if interrupted() {
                break;
            }
            let mut progress = Progress::new(self.repeat);
            let what = format!("{}, {} schedulers", spec.designs[0], spec.schedulers());
            let of = Preloaded::measure(&spec, self.repeat, interrupted, |run| {
                if run.is_multiple_of(20) {
                    progress.say(run, &what);
                }
            })?;
            fine &= of.design != Design::Counterfoil.name() || of.exactly_one == of.runs;
            if self.format == Form::Human {
                println!("{}", of.line());
            }
            all.push(of);
        }
        if self.format != Form::Human {
            println!("{}", serde_json::json!({ "preloaded": all }));
        }
        Ok(match (interrupted(), fine) {
            (true, _) => ExitCode::from(130),
            (false, true) => ExitCode::SUCCESS,
            (false, false) => ExitCode::from(1),
        })
    }

    fn compare(
        &self,
        grid: Grid,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<ExitCode, Box<dyn Error>> {
        let specs = grid.specs();
        let mut comparison = match &self.resume {
            Some(path) => Comparison::resume(path, grid)?,
            None => Comparison::new(grid),
        };
        let measured = comparison.measured();
        let mut progress = Progress::new(specs.len() as u64);
        for (place, spec) in (1..).zip(&specs) {
            if measured.contains(&spec.key()) {
                progress.skip();
                continue;
            }
            let what = format!(
                "{} {} nodes, {} schedulers, {}",
                spec.setting.name(),
                spec.nodes,
                spec.schedulers(),
                spec.strategy
            );
            progress.say(place - 1, &format!("{what}: {}", spec.name()));
            let cells = measure(spec, interrupted)?;
            if interrupted() {
                return self.interrupted(&comparison);
            }
            comparison.add(cells);
            if let Some(path) = &self.resume {
                comparison.keep(path)?;
            }
        }
        comparison.complete = true;
        if let Some(path) = &self.resume {
            comparison.keep(path)?;
        }
        if let Some(folder) = &self.out {
            write(&comparison, folder)?;
        }
        self.print(&comparison)?;
        let fine = comparison.findings.overcommitted.is_empty();
        Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// Keeps what there is, and says how to go on.
    fn interrupted(&self, comparison: &Comparison) -> Result<ExitCode, Box<dyn Error>> {
        let path = match &self.resume {
            Some(path) => path.clone(),
            None => {
                let name = format!("comparison-{}.json", std::process::id());
                std::env::temp_dir().join(name)
            }
        };
        comparison.keep(&path)?;
        eprintln!(
            "bench: interrupted after {} cells; go on with the same options and --resume {}",
            comparison.cells.len(),
            path.display()
        );
        Ok(ExitCode::from(130))
    }

    fn print(&self, comparison: &Comparison) -> Result<(), Box<dyn Error>> {
        let text = match self.format {
            Form::Human => report::table(comparison),
            Form::Json => format!("{}\n", serde_json::to_string(comparison)?),
            Form::Csv => report::csv(comparison),
        };
        Ok(std::io::stdout().write_all(text.as_bytes())?)
    }
}

/// Whether someone asked to stop.
fn stopped() -> Result<Arc<AtomicBool>, std::io::Error> {
    let stopped = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stopped);
    counterfoil_service::stop::when_asked(false, move |what| {
        if matches!(what, counterfoil_service::stop::Asked::Stop) {
            asked.store(true, Ordering::Relaxed);
        }
    })?;
    Ok(stopped)
}

fn write(comparison: &Comparison, folder: &Path) -> Result<(), CompareError> {
    let keep = |path: &Path| {
        let path = path.to_owned();
        move |source| CompareError::Keep { path, source }
    };
    std::fs::create_dir_all(folder).map_err(keep(folder))?;
    comparison.keep(&folder.join("comparison.json"))?;
    for (name, text) in
        [("comparison.csv", report::csv(comparison)), ("comparison.html", page(comparison))]
    {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(keep(&path))?;
    }
    Ok(())
}

/// Tells how far it is, on stderr.
struct Progress {
    all: u64,
    skipped: u64,
    began: Instant,
}

impl Progress {
    fn new(all: u64) -> Progress {
        Progress { all, skipped: 0, began: Instant::now() }
    }

    /// One of all was measured before.
    fn skip(&mut self) {
        self.skipped += 1;
    }

    /// So many are done, and this comes now.
    fn say(&mut self, done: u64, what: &str) {
        let own = done.saturating_sub(self.skipped);
        let left = if own == 0 {
            String::new()
        } else {
            let each = self.began.elapsed().as_secs_f64() / own as f64;
            let left = Duration::from_secs_f64(each * (self.all - done) as f64).as_secs();
            format!(", about {}:{:02} left", left / 60, left % 60)
        };
        eprintln!("bench: {done} of {}{left}: {what}", self.all);
    }
}
