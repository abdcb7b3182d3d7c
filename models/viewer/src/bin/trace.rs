//! Shows saved traces.
//!
//! Exit codes: 0 shown · 2 usage · 3 it cannot be carried out: the terminal cannot be used, a file
//! cannot be written · 4 the run no longer goes as it is written · 5 unreadable · 130 interrupted.

use clap::{Parser, Subcommand};
use counterfoil_viewer::export::{Export, ExportError};
use counterfoil_viewer::html::Place;
use counterfoil_viewer::view::{View, ViewError};
use counterfoil_viewer::{Trouble, gallery, html, tell};
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
    /// Show the run as a space-time diagram, and why the property is violated: in a viewer on a
    /// terminal, as text anywhere else.
    View(View),
    /// Write one offline page: the diagram, why, every step, and a way through them.
    Html {
        /// The trace: NAME.itf.json
        file: PathBuf,
        /// Where to write the page.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write one offline site of all traces in folders.
    Gallery {
        /// Where the traces are: folders.
        #[arg(value_name = "FOLDER", default_values = ["traces", "traces/seed"])]
        folders: Vec<PathBuf>,
        /// Where to write the site: a folder.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write the run in the form of another tool.
    Export(Export),
}

/// What was asked for cannot be done here.
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
        Command::Html { file, out } => ended(page(&file, &out)),
        Command::Gallery { folders, out } => ended(gallery::save(&folders, &out)),
        Command::Export(what) => export(&what),
    }
}

fn view(what: &View) -> ExitCode {
    let Err(error) = what.run() else { return ExitCode::SUCCESS };
    let code = match error {
        ViewError::Trace(_) => UNREADABLE,
        ViewError::NoTerminal => USAGE,
        ViewError::Terminal(_) => NOT_DONE,
        ViewError::Diverged(_) => DIVERGED,
        ViewError::Interrupted => INTERRUPTED,
    };
    complain(&error, code)
}

fn export(what: &Export) -> ExitCode {
    let Err(error) = what.run() else { return ExitCode::SUCCESS };
    let code = match error {
        ExportError::Trace(_) => UNREADABLE,
        ExportError::Diverged { .. } => DIVERGED,
        ExportError::Write { .. } => NOT_DONE,
    };
    complain(&error, code)
}

/// Writes the page of a trace. Gives the traces that diverged, with how.
fn page(file: &Path, out: &Path) -> Result<Vec<String>, Trouble> {
    let told = tell(file)?;
    html::save(&told.story, &Place::default(), out)?;
    Ok(told.diverged.into_iter().map(|how| format!("{}: {how}", file.display())).collect())
}

/// What came of writing pages.
fn ended(came: Result<Vec<String>, Trouble>) -> ExitCode {
    match came {
        Ok(diverged) if diverged.is_empty() => ExitCode::SUCCESS,
        Ok(diverged) => {
            diverged.iter().for_each(|how| eprintln!("trace: {how}"));
            ExitCode::from(DIVERGED)
        }
        Err(trouble) => {
            let code = if trouble.is_about_input() { UNREADABLE } else { NOT_DONE };
            complain(&trouble, code)
        }
    }
}

fn complain(why: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("trace: {why}");
    ExitCode::from(code)
}
