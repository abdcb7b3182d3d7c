//! How the commands that speak to schedulers find them.

use super::Format;
use crate::remote::{Remote, RemoteError};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "API")]
pub(super) struct ApiArgs {
    /// Where a scheduler serves clients. More than once, or with commas, for more: one that is down
    /// is passed over
    #[arg(
        long = "api",
        id = "url",
        value_name = "URL",
        value_delimiter = ',',
        env = "COUNTERFOIL_API",
        default_value = "http://127.0.0.1:7480"
    )]
    urls: Vec<String>,
    /// The file with the token: alone, or a line of the schedulers' file, ROLE TOKEN
    #[arg(long, value_name = "FILE", env = "COUNTERFOIL_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The file with the certificates (PEM) of those who may vouch for schedulers [default: those
    /// that browsers trust]
    #[arg(long, value_name = "FILE", env = "COUNTERFOIL_CA")]
    ca: Option<PathBuf>,
    /// The form of the result
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(super) format: Format,
}

impl ApiArgs {
    pub(super) fn remote(&self) -> Result<Remote, RemoteError> {
        Remote::new(&self.urls, self.token_file.as_deref(), self.ca.as_deref())
    }
}
