//! The command `trace view`: opens the viewer on a terminal, and prints the run anywhere else.

use crate::terminal::{Palette, Viewer, open};
use clap::{Args, ValueEnum};
use counterfoil_seed::{Task, with};
use counterfoil_world::trace::protocol_of;
use counterfoil_world::{Outcome, Protocol, Style, Trace, TraceError, draw, replay};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// What to show, and how.
#[derive(Args, Clone, Debug)]
pub struct View {
    /// The trace: NAME.itf.json
    pub file: PathBuf,
    /// Compare it with another trace.
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    pub compare: Option<PathBuf>,
    /// Print the run, also on a terminal.
    #[arg(long)]
    pub plain: bool,
    /// Use only letters and signs of ASCII.
    #[arg(long)]
    pub ascii: bool,
    /// Whether to use hues; by itself on a terminal, unless NO_COLOR is set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    pub color: When,
    /// What the background of the terminal is like; by itself what COLORFGBG says, or dark.
    #[arg(long, value_enum, value_name = "THEME", default_value_t = Theme::Auto)]
    pub theme: Theme,
}

/// When to use hues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never: every fact has a sign or a word, too.
    Never,
}

/// What the background of a terminal is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// What COLORFGBG says; dark, if it is not set.
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// Why a run was not shown to the end.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// A trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Two runs cannot be compared where they are only printed.
    #[error("--compare needs a terminal: stdout is none")]
    NoTerminal,
    /// The terminal cannot be used.
    #[error("the terminal cannot be used: {0}; print the run with --plain")]
    Terminal(#[from] std::io::Error),
    /// The run no longer goes as it is written. That was shown.
    #[error("{0}")]
    Diverged(String),
    /// The viewer was interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl View {
    /// Shows the run.
    pub fn run(&self) -> Result<(), ViewError> {
        struct Showing<'a>(&'a View);
        impl Task for Showing<'_> {
            type Outcome = Result<(), ViewError>;

            fn with<P: Protocol>(self) -> Self::Outcome {
                self.0.of::<P>()
            }
        }
        with(protocol_of(&self.file)?, Showing(self))
    }

    fn of<P: Protocol>(&self) -> Result<(), ViewError> {
        let is_terminal = std::io::stdout().is_terminal();
        let trace: Trace<P> = Trace::load(&self.file)?;
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        let colour = match self.color {
            When::Auto => is_terminal && !no_color,
            When::Always => true,
            When::Never => false,
        };
        if is_terminal && !self.plain {
            self.open(trace, colour)
        } else if self.compare.is_some() {
            Err(ViewError::NoTerminal)
        } else {
            self.print(&trace, colour)
        }
    }

    fn print<P: Protocol>(&self, trace: &Trace<P>, colour: bool) -> Result<(), ViewError> {
        let replay = replay(trace);
        let file = Some(name(&self.file));
        let style = Style { ascii: self.ascii, colour, file, ..Style::default() };
        // Whoever reads may have seen enough: a closed pipe is no error.
        let _ = std::io::stdout().write_all(draw(trace, &replay, &style).as_bytes());
        judged(&replay.outcome)
    }

    fn open<P: Protocol>(&self, trace: Trace<P>, colour: bool) -> Result<(), ViewError> {
        let palette = Palette {
            colour,
            light: self.is_light(),
            rich: std::env::var("COLORTERM").is_ok_and(|of| of == "truecolor" || of == "24bit"),
            ascii: self.ascii,
        };
        let other = self.compare.as_ref().map(|file| Trace::load(file)).transpose()?;
        let mut viewer = Viewer::new(&name(&self.file), trace, palette);
        if let (Some(file), Some(other)) = (&self.compare, other) {
            viewer.compare_with(&name(file), other);
        }
        if open(&mut viewer)? {
            return Err(ViewError::Interrupted);
        }
        judged(viewer.outcome())
    }

    fn is_light(&self) -> bool {
        match self.theme {
            Theme::Light => true,
            Theme::Dark => false,
            // Foreground;background: 7 and 9 to 15 are light.
            Theme::Auto => std::env::var("COLORFGBG").is_ok_and(|of| {
                let background = of.rsplit(';').next().and_then(|number| number.parse().ok());
                background.is_some_and(|number: u8| number == 7 || (9..=15).contains(&number))
            }),
        }
    }
}

fn name(file: &Path) -> String {
    file.display().to_string()
}

fn judged(outcome: &Outcome) -> Result<(), ViewError> {
    match outcome {
        Outcome::Diverged(divergence) => Err(ViewError::Diverged(divergence.to_string())),
        Outcome::Holds { .. } | Outcome::Violated { .. } => Ok(()),
    }
}
