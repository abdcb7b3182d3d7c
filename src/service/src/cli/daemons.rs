//! The subcommands `scheduler` and `node`.

use super::{Cli, Failure, LogFormat, said};
use crate::api::ApiError;
use crate::settings::{
    InventoryFlags, Layers, NodeSettings, SchedulerSettings, SettingsError, life_long_ids,
};
use crate::{node, scheduler};
use clap::{Args, ValueEnum};
use counterfoil_protocol::{NodeId, SchedulerId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

#[derive(Args)]
pub(super) struct SchedulerArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    settings: SchedulerSettings,
}

#[derive(Args)]
pub(super) struct NodeArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    settings: NodeSettings,
    #[command(flatten)]
    inventory: InventoryFlags,
}

#[derive(Args)]
struct FileArgs {
    /// The file with the settings, in TOML: those of the first list stand at the top, the others in
    /// tables: [network], [api], [storage], [inventory], [monitor], [limits], [intervals]
    #[arg(long, value_name = "FILE", env = "COUNTERFOIL_CONFIG")]
    config: Option<PathBuf>,
    /// Check all settings, print those that hold as TOML, and end
    #[arg(long)]
    check_config: bool,
}

impl SchedulerArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<ExitCode, Failure> {
        let given = SchedulerSettings {
            log: cli.log.map(|level| level.to_string()),
            log_format: cli.log_format.map(LogFormat::name),
            ..self.settings.clone()
        };
        let layers = SchedulerSettings::layers(self.file.config.as_deref(), &given)?;
        let settings: SchedulerSettings = layers.effective();
        let (level, format) = logging(&layers, settings.log, settings.log_format)?;
        let (id, mut options) = SchedulerSettings::options(&layers)?;
        let at_fault = |error: &ApiError| match error {
            ApiError::Access(_) => "api.token_file",
            ApiError::Tls(_)
            | ApiError::Tokenless(_)
            | ApiError::Plain(_)
            | ApiError::Listen { .. }
            | ApiError::System(_) => "api.tls_cert",
        };
        let checked = options.api.check_files();
        checked.map_err(|error| layers.fault(at_fault(&error), said(&error)))?;
        if self.file.check_config {
            return Ok(print::<SchedulerSettings>(&layers));
        }
        cli.log(level, format);
        let data = options.common.data.as_deref().expect("a daemon has a folder");
        options.id = SchedulerId(life_long_ids(id, data)?[0]);
        scheduler::serve(&options)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl NodeArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<ExitCode, Failure> {
        let given = NodeSettings {
            log: cli.log.map(|level| level.to_string()),
            log_format: cli.log_format.map(LogFormat::name),
            inventory: self.inventory.settings(),
            ..self.settings.clone()
        };
        let layers = NodeSettings::layers(self.file.config.as_deref(), &given)?;
        let settings: NodeSettings = layers.effective();
        let (level, format) = logging(&layers, settings.log, settings.log_format)?;
        let (ids, mut options) = NodeSettings::options(&layers)?;
        if self.file.check_config {
            return Ok(print::<NodeSettings>(&layers));
        }
        cli.log(level, format);
        let data = options.common.data.as_deref().expect("a daemon has a folder");
        options.ids = life_long_ids(ids, data)?.into_iter().map(NodeId).collect();
        let file = self.file.config.clone();
        let read_again = move || {
            let layers = NodeSettings::layers(file.as_deref(), &given);
            match layers.and_then(|layers| NodeSettings::inventory(&layers)) {
                Ok(inventory) => Some(inventory),
                Err(error) => {
                    tracing::error!(%error, "the inventory stays what it was");
                    None
                }
            }
        };
        node::serve(&options, read_again)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl LogFormat {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("none is hidden");
        value.get_name().to_owned()
    }
}

/// What and how the settings say to log.
fn logging(
    layers: &Layers,
    level: Option<String>,
    format: Option<String>,
) -> Result<(Option<LevelFilter>, Option<LogFormat>), SettingsError> {
    let level = level.map(|text| {
        let levels = "it must be off, error, warn, info, debug or trace";
        text.parse().map_err(|_| layers.fault("log", format!("{text:?} is no level: {levels}")))
    });
    let format = format.map(|text| {
        let problem = format!("{text:?} is no format: it must be text or json");
        LogFormat::from_str(&text, false).map_err(|_| layers.fault("log_format", problem))
    });
    Ok((level.transpose()?, format.transpose()?))
}

fn print<S: Serialize + DeserializeOwned>(layers: &Layers) -> ExitCode {
    let settings: S = layers.effective();
    print!("{}", toml::to_string_pretty(&settings).expect("settings have a TOML form"));
    ExitCode::SUCCESS
}
