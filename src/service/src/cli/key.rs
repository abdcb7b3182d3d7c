//! The subcommand `key`.

use super::Failure;
use crate::key::Key;
use clap::Args;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct KeyArgs {
    /// Write it to this file, which must not be there, for its owner alone to read. Without this it
    /// is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl KeyArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let key = Key::generate()?;
        match &self.out {
            None => println!("{}", key.to_hex()),
            Some(path) => {
                let written = write_secret(path, &format!("{}\n", key.to_hex()));
                written.map_err(|source| {
                    let path = path.clone();
                    if source.kind() == io::ErrorKind::AlreadyExists {
                        return Failure::KeyThere { path };
                    }
                    Failure::Unwritable { path, source }
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a new file that its owner alone may read.
///
/// # Errors
/// If it is there, or cannot be written.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
