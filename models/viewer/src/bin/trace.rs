//! Shows saved traces.
//!
//! Exit codes: 0 shown · 2 usage · 3 it cannot be written · 4 the run no longer goes as it is written · 5 unreadable.

use clap::{Parser, Subcommand, ValueEnum};
use counterfoil_viewer::html::Place;
use counterfoil_viewer::{Trouble, gallery, html, svg, tell};
use counterfoil_world::{Counterfoil, Outcome, Style, Trace, draw, replay};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Shows saved traces.
#[derive(Parser)]
#[command(name = "trace", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw the run as a space-time diagram, and say why the property is violated.
    View {
        /// The trace: NAME.itf.json
        file: PathBuf,
        /// Use only letters and signs of ASCII.
        #[arg(long)]
        ascii: bool,
        /// Use no colour, also on a terminal. So does NO_COLOR in the environment.
        #[arg(long)]
        plain: bool,
    },
    /// Write one offline page: the diagram, why, every step, and a way through them.
    Html {
        /// The trace: NAME.itf.json
        file: PathBuf,
        /// Where to write the page.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write one offline site of all traces in a folder.
    Gallery {
        /// Where the traces are.
        #[arg(default_value = "traces")]
        folder: PathBuf,
        /// Where to write the site: a folder.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write the run in another format, to a file or to stdout.
    Export {
        /// The trace: NAME.itf.json
        file: PathBuf,
        /// Which format.
        #[arg(long)]
        to: Format,
        /// Where to write it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// A format to write a run in.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// The space-time diagram as a drawing.
    Svg,
}

/// The run no longer goes as it is written.
const DIVERGED: u8 = 4;
/// The file cannot be read, or is no trace.
const UNREADABLE: u8 = 5;
/// What was asked for cannot be written.
const UNWRITABLE: u8 = 3;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::View { file, ascii, plain } => {
            let no_colour = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
            let colour = !plain && !no_colour && std::io::stdout().is_terminal();
            let name = Some(file.display().to_string());
            view(&file, &Style { ascii, colour, file: name, ..Style::default() })
        }
        Command::Html { file, out } => ended(page(&file, &out)),
        Command::Gallery { folder, out } => ended(gallery::save(&folder, &out)),
        Command::Export { file, to: Format::Svg, out } => ended(drawing(&file, out.as_deref())),
    }
}

/// Writes the page of a trace. Gives the traces that diverged, with how.
fn page(file: &Path, out: &Path) -> Result<Vec<String>, Trouble> {
    let told = tell(file)?;
    html::save(&told.story, &Place::default(), out)?;
    Ok(told.diverged.into_iter().map(|how| format!("{}: {how}", file.display())).collect())
}

fn drawing(file: &Path, out: Option<&Path>) -> Result<Vec<String>, Trouble> {
    let told = tell(file)?;
    let text = svg::file(&told.story);
    match out {
        Some(out) => std::fs::write(out, text)
            .map_err(|source| Trouble::Unwritable { path: out.to_owned(), source })?,
        None => {
            // Whoever reads may have seen enough: a closed pipe is no error.
            let _ = std::io::stdout().write_all(text.as_bytes());
        }
    }
    Ok(told.diverged.into_iter().map(|how| format!("{}: {how}", file.display())).collect())
}

/// What came of writing something to look at.
fn ended(came: Result<Vec<String>, Trouble>) -> ExitCode {
    match came {
        Ok(diverged) if diverged.is_empty() => ExitCode::SUCCESS,
        Ok(diverged) => {
            diverged.iter().for_each(|how| eprintln!("trace: {how}"));
            ExitCode::from(DIVERGED)
        }
        Err(trouble) => {
            eprintln!("trace: {trouble}");
            ExitCode::from(if trouble.is_about_input() { UNREADABLE } else { UNWRITABLE })
        }
    }
}

fn view(file: &Path, style: &Style) -> ExitCode {
    let trace: Trace<Counterfoil> = match Trace::load(file) {
        Ok(trace) => trace,
        Err(error) => {
            eprintln!("trace: {error}");
            return ExitCode::from(UNREADABLE);
        }
    };
    let replay = replay(&trace);
    // Whoever reads may have seen enough: a closed pipe is no error.
    let _ = std::io::stdout().write_all(draw(&trace, &replay, style).as_bytes());
    match replay.outcome {
        Outcome::Diverged(_) => ExitCode::from(DIVERGED),
        Outcome::Holds { .. } | Outcome::Violated { .. } => ExitCode::SUCCESS,
    }
}
