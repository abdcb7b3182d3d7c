//! Shows saved traces.
//!
//! Exit codes: 0 shown · 2 usage · 4 the run no longer goes as it is written · 5 unreadable.

use clap::{Parser, Subcommand};
use counterfoil_viewer::export::{Export, ExportError};
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
    /// Write the run in the form of another tool.
    Export(Export),
}

/// A file cannot be written.
const USAGE: u8 = 2;
/// The run no longer goes as it is written.
const DIVERGED: u8 = 4;
/// The file cannot be read, or is no trace.
const UNREADABLE: u8 = 5;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::View { file, ascii, plain } => {
            let no_colour = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
            let colour = !plain && !no_colour && std::io::stdout().is_terminal();
            let name = Some(file.display().to_string());
            view(&file, &Style { ascii, colour, file: name, ..Style::default() })
        }
        Command::Export(what) => export(&what),
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

fn export(what: &Export) -> ExitCode {
    let Err(error) = what.run() else { return ExitCode::SUCCESS };
    eprintln!("trace: {error}");
    ExitCode::from(match error {
        ExportError::Trace(_) => UNREADABLE,
        ExportError::Diverged { .. } => DIVERGED,
        ExportError::Write { .. } => USAGE,
    })
}
