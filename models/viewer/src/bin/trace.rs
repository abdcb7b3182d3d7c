//! Shows saved traces.
//!
//! Exit codes: 0 shown · 2 usage · 3 the terminal cannot be used · 4 the run no longer goes as it
//! is written · 5 unreadable · 130 interrupted.

use clap::{Parser, Subcommand};
use counterfoil_viewer::export::{Export, ExportError};
use counterfoil_viewer::view::{View, ViewError};
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
    /// Show the run as a space-time diagram, and why the property is violated: in a viewer on a
    /// terminal, as text anywhere else.
    View(View),
    /// Write the run in the form of another tool.
    Export(Export),
}

/// What was asked for cannot be done here, or a file cannot be written.
const USAGE: u8 = 2;
/// It could not be carried out.
const NOT_DONE: u8 = 3;
/// The run no longer goes as it is written.
const DIVERGED: u8 = 4;
/// The file cannot be read, or is no trace.
const UNREADABLE: u8 = 5;
/// It was interrupted.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::View(what) => view(&what),
        Command::Export(what) => export(&what),
    }
}

fn view(what: &View) -> ExitCode {
    let Err(error) = what.run() else { return ExitCode::SUCCESS };
    eprintln!("trace: {error}");
    ExitCode::from(match error {
        ViewError::Trace(_) => UNREADABLE,
        ViewError::NoTerminal => USAGE,
        ViewError::Terminal(_) => NOT_DONE,
        ViewError::Diverged(_) => DIVERGED,
        ViewError::Interrupted => INTERRUPTED,
    })
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
