//! A run in the forms of other tools: `trace export FILE --to FORM`.
//!
//! | form | for |
//! |---|---|
//! | `itf` | readers of the Informal Trace Format; the file as it would be saved now |
//! | `mermaid` | a sequence diagram in a page or an issue |
//! | `shiviz` | ShiViz: a log with vector clocks |
//! | `perfetto` | Perfetto and the tracing page of Chromium: trace events as JSON |
//! | `dot` | Graphviz: a space-time diagram |
//! | `svg` | a drawing of the space-time diagram |
//! | `text` | people: what `trace view --plain` prints |
//! | `json` | programs: steps, changes and messages as plain JSON |

mod dot;
mod events;
mod json;
mod mermaid;
mod perfetto;
mod shiviz;

use crate::story::Story;
use crate::svg;
use clap::ValueEnum;
use counterfoil_seed::{Task, with};
use counterfoil_world::trace::protocol_of;
use counterfoil_world::{Outcome, Protocol, Replay, Style, Trace, draw, replay};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A form of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The Informal Trace Format, in its portable profile.
    Itf,
    /// A sequence diagram of Mermaid.
    Mermaid,
    /// A log with vector clocks for ShiViz, with the expression that reads it in its first line.
    Shiviz,
    /// Trace events for Perfetto, as Chromium writes them.
    Perfetto,
    /// A space-time diagram for Graphviz.
    Dot,
    /// A drawing of the space-time diagram.
    Svg,
    /// What `trace view --plain` prints.
    Text,
    /// Plain JSON: steps, changes, messages, why.
    Json,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 8] = [
        Form::Itf,
        Form::Mermaid,
        Form::Shiviz,
        Form::Perfetto,
        Form::Dot,
        Form::Svg,
        Form::Text,
        Form::Json,
    ];
}

/// What is to be exported, in which form, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct Export {
    /// The trace: NAME.itf.json
    pub file: PathBuf,
    /// The form.
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: Form,
    /// Where to write it. Standard output if not given.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] counterfoil_world::TraceError),
    /// The run no longer goes as it is written, so it has no further states to show.
    #[error("{path}: {divergence}; `trace view` shows it up to there")]
    Diverged {
        /// Which trace.
        path: PathBuf,
        /// Where, and how.
        divergence: counterfoil_world::Divergence,
    },
    /// The file cannot be written.
    #[error("{path}: cannot be written: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Export {
    /// Reads the trace and writes it in its new form.
    ///
    /// # Errors
    /// If it cannot be read, diverges, or cannot be written.
    pub fn run(&self) -> Result<(), ExportError> {
        struct Exporting<'a>(&'a Export);
        impl Task for Exporting<'_> {
            type Outcome = Result<(), ExportError>;

            fn with<P: Protocol>(self) -> Self::Outcome {
                self.0.of::<P>()
            }
        }
        with(protocol_of(&self.file)?, Exporting(self))
    }

    fn of<P: Protocol>(&self) -> Result<(), ExportError> {
        let trace: Trace<P> = Trace::load(&self.file)?;
        let replay = replay(&trace);
        if let Outcome::Diverged(divergence) = replay.outcome {
            return Err(ExportError::Diverged { path: self.file.clone(), divergence });
        }
        let text = export(&trace, &replay, self.to, &self.file);
        match &self.out {
            Some(path) => std::fs::write(path, text)
                .map_err(|source| ExportError::Write { path: path.clone(), source }),
            None => {
                // Whoever reads may have seen enough: a closed pipe is no error.
                let _ = std::io::stdout().write_all(text.as_bytes());
                Ok(())
            }
        }
    }
}

/// A run that was replayed, in another form. `file` is where its trace is, for commands in it.
pub fn export<P: Protocol>(
    trace: &Trace<P>,
    replay: &Replay<P>,
    form: Form,
    file: &Path,
) -> String {
    match form {
        Form::Itf => trace.written(replay),
        Form::Mermaid => mermaid::mermaid(trace, replay),
        Form::Shiviz => shiviz::shiviz(trace, replay),
        Form::Perfetto => perfetto::perfetto(trace, replay),
        Form::Dot => dot::dot(trace, replay),
        Form::Svg => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            svg::file(&Story::of(&name, trace, replay))
        }
        Form::Text => {
            let file = Some(file.display().to_string());
            draw(trace, replay, &Style { file, ..Style::default() })
        }
        Form::Json => json::json(trace, replay),
    }
}
