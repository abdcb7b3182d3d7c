//! What a scheduler and a node are told.

use super::ids::Ids;
use super::inventory::InventorySettings;
use super::layers::{Layers, SettingsError};
use super::protocol::{IntervalSettings, LimitSettings, config};
use crate::monitor::{OnViolation, Watch};
use crate::node::check_inventory;
use crate::recorder::Extent;
use crate::serve::{Common, ServeError};
use crate::{api, node, scheduler};
use clap::Args;
use counterfoil_placement::{Policy, PolicyName};
use counterfoil_protocol::{Config, Inventory, NodeId, SchedulerId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// What a scheduler is told.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchedulerSettings {
    /// The number of this scheduler, the same in all its lives; `auto` draws one at the first start
    /// and keeps it in the data folder
    #[arg(long, value_name = "N|auto")]
    pub id: Option<Ids>,
    /// How to pick one of the nodes that fit: spread, pack or random [default: spread]
    #[arg(long, value_parser = policy)]
    pub policy: Option<String>,
    /// Whether nodes of its own share come first, however good the others are. The schedulers that are
    /// there have equal shares: each meets another only where one is full, so fewer claims are refused.
    /// Right if requests are dealt out evenly over the schedulers [default: true with pack, else false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub own_first: Option<bool>,
    /// Where random choices start, 0 to 2^63 - 1 [default: 1]
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// What to log; for a flag see --log
    #[arg(skip)]
    pub log: Option<String>,
    /// How to log; for a flag see --log-format
    #[arg(skip)]
    pub log_format: Option<String>,
    /// See [`Network`].
    #[command(flatten)]
    pub network: Network,
    /// See [`Api`].
    #[command(flatten)]
    pub api: Api,
    /// See [`Storage`].
    #[command(flatten)]
    pub storage: Storage,
    /// See [`Monitor`].
    #[command(flatten)]
    pub monitor: Monitor,
    /// See [`LimitSettings`].
    #[command(flatten)]
    pub limits: LimitSettings,
    /// See [`IntervalSettings`].
    #[command(flatten)]
    pub intervals: IntervalSettings,
}

/// What a process of nodes is told.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// The number of this node, the same in all its lives, or a range as 1-1000 for a process with
    /// many; `auto` draws one at the first start and keeps it in the data folder, so that a node
    /// that lost its disk comes back under a new one, as it must
    #[arg(long, value_name = "N|A-B|auto")]
    pub id: Option<Ids>,
    /// What to log; for a flag see --log
    #[arg(skip)]
    pub log: Option<String>,
    /// How to log; for a flag see --log-format
    #[arg(skip)]
    pub log_format: Option<String>,
    /// Where to answer GET /metrics and /health/live, IP:PORT; port 0 takes a free one. Plain HTTP for
    /// everyone who reaches it: keep it on loopback or on a network of operators. Not given: nowhere
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// See [`Network`].
    #[command(flatten)]
    pub network: Network,
    /// See [`Storage`].
    #[command(flatten)]
    pub storage: Storage,
    /// See [`InventorySettings`].
    #[arg(skip)]
    pub inventory: InventorySettings,
    /// See [`Monitor`].
    #[command(flatten)]
    pub monitor: Monitor,
    /// See [`LimitSettings`].
    #[command(flatten)]
    pub limits: LimitSettings,
    /// See [`IntervalSettings`].
    #[command(flatten)]
    pub intervals: IntervalSettings,
}

/// How others are found, and who is trusted.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// Where to listen for packets, IP:PORT; port 0 takes a free one
    /// [default: 127.0.0.1:7400, of a node 127.0.0.1:7410]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where others find it, IP:PORT, if that is not where it listens
    #[arg(long, value_name = "ADDRESS")]
    pub advertise: Option<SocketAddr>,
    /// A process of the cluster, as HOST:PORT: any, for each knows others. More than once for more
    #[arg(long = "peer", id = "peers", value_name = "HOST:PORT", value_delimiter = ',')]
    pub peers: Option<Vec<String>>,
    /// The file with the key of the cluster; `counterfoil key` makes one. Without one it listens on
    /// loopback only. Read again on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// Where clients are served.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "API")]
pub struct Api {
    /// Where to listen for clients (HTTP), IP:PORT; port 0 takes a free one
    /// [default: 127.0.0.1:7480]
    #[arg(long = "api", id = "api_listen", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The file with the tokens: lines ROLE TOKEN, the roles read, place and admin. Without one it
    /// listens on loopback only. Read again on SIGHUP
    #[arg(long, id = "api_token_file", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The certificate, in PEM form. Without one it listens on loopback only. Read again on SIGHUP
    #[arg(long, id = "api_tls_cert", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM form
    #[arg(long, id = "api_tls_key", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Send tokens over a network without TLS [default: false]
    #[arg(long = "api-insecure", id = "api_insecure", value_name = "BOOL", num_args = 0..=1,
          default_missing_value = "true", require_equals = true)]
    pub insecure: Option<bool>,
}

/// How closely a process watches itself.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Monitor")]
pub struct Monitor {
    /// What to do when a step violates a property: off (do not look), count, log, or abort before
    /// anything of it is told [default: log]
    #[arg(long, value_parser = on_violation)]
    pub on_violation: Option<String>,
    /// One step of so many is judged, 1 to 1000000 [default: 1]
    #[arg(long, value_name = "N")]
    pub judge_one_of: Option<u32>,
}

/// What is kept on disk.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Storage and process")]
pub struct Storage {
    /// The folder to keep what must survive a restart; made if there is none. Must be said
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Record this life: in a file, which must not be there, or in a folder, which must be there
    #[arg(long, value_name = "PATH")]
    pub recording: Option<PathBuf>,
    /// MiB after which a recording goes on in the next file, 1 to 1048576 [default: 256]
    #[arg(long, value_name = "MIB")]
    pub recording_file_mb: Option<u64>,
    /// Files of a life that are kept, the last ones, 0 to 1000000; 0 keeps all, and only all can be
    /// judged from the start [default: 0]
    #[arg(long, value_name = "N")]
    pub recording_files_max: Option<u64>,
    /// Stop when standard input ends, too [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pub until_stdin_closes: Option<bool>,
}

fn on_violation(text: &str) -> Result<String, String> {
    let known: Result<OnViolation, _> = text.parse();
    known.map(|known| known.as_str().to_owned()).map_err(|error| error.to_string())
}

fn policy(text: &str) -> Result<String, String> {
    let known: Result<PolicyName, _> = text.parse();
    known.map(|policy| policy.as_str().to_owned()).map_err(|error| error.to_string())
}

impl Network {
    fn defaults(listen: &str) -> Self {
        let listen = listen.parse().expect("it is an address");
        Network { listen: Some(listen), peers: Some(Vec::new()), ..Network::default() }
    }
}

impl Storage {
    fn defaults() -> Self {
        Storage {
            recording_file_mb: Some(256),
            recording_files_max: Some(0),
            until_stdin_closes: Some(false),
            ..Storage::default()
        }
    }

    /// How much is recorded.
    fn extent(&self, layers: &Layers) -> Result<Extent, SettingsError> {
        let file_mb = self.recording_file_mb.expect("it has a default");
        let files_max = self.recording_files_max.expect("it has a default");
        if !(1..=1 << 20).contains(&file_mb) {
            let problem = format!("{file_mb} is not a number from 1 to 1048576");
            return Err(layers.fault("storage.recording_file_mb", problem));
        }
        let files_max = usize::try_from(files_max).ok().filter(|max| *max <= 1_000_000);
        let problem = "is not a number from 0 to 1000000";
        let too_many = || layers.fault("storage.recording_files_max", problem);
        Ok(Extent { file_bytes_max: file_mb << 20, files_max: files_max.ok_or_else(too_many)? })
    }
}

impl Monitor {
    fn defaults() -> Self {
        let on_violation = Some(OnViolation::default().as_str().to_owned());
        Monitor { on_violation, judge_one_of: Some(1) }
    }

    fn watch(&self, layers: &Layers) -> Result<Watch, SettingsError> {
        let on_violation = self.on_violation.as_deref().expect("it has a default");
        let on_violation = on_violation.parse();
        let one_of = self.judge_one_of.filter(|one_of| *one_of <= 1_000_000);
        let problem = "is not a number from 1 to 1000000";
        Ok(Watch {
            on_violation: on_violation
                .map_err(|error| layers.fault("monitor.on_violation", format!("{error}")))?,
            one_of: one_of
                .and_then(NonZeroU32::new)
                .ok_or_else(|| layers.fault("monitor.judge_one_of", problem))?,
        })
    }
}

impl Api {
    fn defaults() -> Self {
        let listen = Some("127.0.0.1:7480".parse().expect("it is an address"));
        Api { listen, insecure: Some(false), ..Api::default() }
    }

    fn settings(&self, layers: &Layers) -> Result<api::Settings, SettingsError> {
        let tls = match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => Some(api::TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(layers.fault("api.tls_cert", "its tls_key is missing")),
            (None, Some(_)) => return Err(layers.fault("api.tls_key", "its tls_cert is missing")),
        };
        let settings = api::Settings {
            token_file: self.token_file.clone(),
            tls,
            insecure: self.insecure == Some(true),
            ..api::Settings::at(self.listen.expect("it has a default"))
        };
        let check = settings.check();
        check.map_err(|error| layers.fault("api.listen", error.to_string()))?;
        Ok(settings)
    }
}

fn common(
    network: &Network,
    storage: &Storage,
    (config, watch): (Config, Watch),
    layers: &Layers,
) -> Result<Common, SettingsError> {
    let Some(data) = &storage.data else {
        let problem = "there is no folder: say which with --data, COUNTERFOIL_DATA or the file";
        return Err(layers.fault("storage.data", problem));
    };
    let common = Common {
        listen: network.listen.expect("it has a default"),
        advertise: network.advertise,
        peers: network.peers.clone().unwrap_or_default(),
        key_file: network.key_file.clone(),
        data: Some(data.clone()),
        recording: storage.recording.clone(),
        extent: storage.extent(layers)?,
        until_stdin_closes: storage.until_stdin_closes == Some(true),
        config,
        watch,
    };
    for peer in &common.peers {
        let port = peer.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            return Err(layers.fault("network.peers", format!("{peer:?} is not HOST:PORT")));
        }
    }
    let at_fault = match common.check() {
        Ok(()) => return Ok(common),
        Err(ServeError::Keyless(_)) => ("network.listen", common.check()),
        Err(ServeError::Unspecified(_)) => ("network.advertise", common.check()),
        Err(_) => ("network.key_file", common.check()),
    };
    let (setting, problem) = at_fault;
    Err(layers.fault(setting, problem.expect_err("it was one above").to_string()))
}

fn id_of(id: Option<Ids>, layers: &Layers) -> Result<Ids, SettingsError> {
    let problem = "there is no number: say which with --id, COUNTERFOIL_ID or the file";
    id.ok_or_else(|| layers.fault("id", problem))
}

impl SchedulerSettings {
    /// Defaults, file and flags together.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn layers(file: Option<&Path>, given: &Self) -> Result<Layers, SettingsError> {
        let defaults = SchedulerSettings {
            policy: Some(PolicyName::default().as_str().to_owned()),
            seed: Some(1),
            log: Some("warn".to_owned()),
            log_format: Some("text".to_owned()),
            network: Network::defaults("127.0.0.1:7400"),
            api: Api::defaults(),
            storage: Storage::defaults(),
            monitor: Monitor::defaults(),
            limits: LimitSettings::defaults(),
            intervals: IntervalSettings::defaults(),
            ..SchedulerSettings::default()
        };
        Layers::read(&defaults, file, given)
    }

    /// What a scheduler is told by `layers`, and its number, which may still have to be drawn:
    /// until then it is 0.
    ///
    /// # Errors
    /// If something makes no sense.
    pub fn options(layers: &Layers) -> Result<(Ids, scheduler::Options), SettingsError> {
        let settings: SchedulerSettings = layers.effective();
        let SchedulerSettings {
            id, policy, own_first, seed, network, api, storage, monitor, ..
        } = settings;
        let config = config(&settings.limits, &settings.intervals, layers)?;
        let id = match id_of(id, layers)? {
            Ids::Range(first, last) if first != last => {
                return Err(layers.fault("id", "a process has one scheduler, not a range"));
            }
            id @ (Ids::Range(..) | Ids::Auto) => id,
        };
        let policy: PolicyName = policy
            .expect("it has a default")
            .parse()
            .map_err(|error| layers.fault("policy", format!("{error}")))?;
        let policy = policy.policy();
        let own_first = own_first.unwrap_or(policy.own_first);
        let options = scheduler::Options {
            id: SchedulerId(0),
            api: api.settings(layers)?,
            policy: Policy { own_first, ..policy },
            seed: seed.expect("it has a default"),
            common: common(&network, &storage, (config, monitor.watch(layers)?), layers)?,
        };
        Ok((id, options))
    }
}

impl NodeSettings {
    /// Defaults, file and flags together.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn layers(file: Option<&Path>, given: &Self) -> Result<Layers, SettingsError> {
        let mut defaults = NodeSettings {
            log: Some("warn".to_owned()),
            log_format: Some("text".to_owned()),
            network: Network::defaults("127.0.0.1:7410"),
            storage: Storage::defaults(),
            monitor: Monitor::defaults(),
            limits: LimitSettings::defaults(),
            intervals: IntervalSettings::defaults(),
            ..NodeSettings::default()
        };
        let layers = Layers::read(&defaults, file, given)?;
        if layers.file_says("inventory.classes") {
            return Ok(layers);
        }
        defaults.inventory = InventorySettings::usual();
        Layers::read(&defaults, file, given)
    }

    /// What nodes are told by `layers`, and their numbers, of which one may still have to be drawn:
    /// until then there are none.
    ///
    /// # Errors
    /// If something makes no sense.
    pub fn options(layers: &Layers) -> Result<(Ids, node::Options), SettingsError> {
        let settings: NodeSettings = layers.effective();
        let NodeSettings { id, network, storage, monitor, limits, intervals, .. } = &settings;
        let id = id_of(*id, layers)?;
        let config = config(limits, intervals, layers)?;
        let common = common(network, storage, (config, monitor.watch(layers)?), layers)?;
        let inventory = NodeSettings::inventory(layers)?;
        let metrics = settings.metrics;
        Ok((id, node::Options { ids: Vec::<NodeId>::new(), inventory, metrics, common }))
    }

    /// What nodes have by `layers`.
    ///
    /// # Errors
    /// If it makes no sense, or does not fit a packet.
    pub fn inventory(layers: &Layers) -> Result<Inventory, SettingsError> {
        let settings: NodeSettings = layers.effective();
        let inventory = settings.inventory.inventory(layers)?;
        let config = config(&settings.limits, &settings.intervals, layers)?;
        let fits = check_inventory(&inventory, config.limits.groups_max);
        fits.map_err(|error| layers.fault("inventory", error.to_string()))?;
        Ok(inventory)
    }
}
