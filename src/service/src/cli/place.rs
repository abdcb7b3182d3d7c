//! The subcommands `place` and `resume`.

mod batch;
mod runs;

use super::api::ApiArgs;
use super::{Failure, Format};
use crate::remote::{Method, demand_form, group};
use crate::settings::{Interval, name};
use batch::{Ended, Failed};
use clap::Args;
use counterfoil_protocol::{ClaimId, Demand, Name, ResourceClass, Resources};
pub(super) use runs::RunError;
use runs::{INSTANCES_MAX, Run};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct PlaceArgs {
    #[command(flatten)]
    demand: DemandArgs,
    /// How many of it to place, 1 to 64: all, or none
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(INSTANCES_MAX)))]
    instances: u32,
    /// Only hold it, and print the claim: it lapses, unless `counterfoil confirm` comes in time
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    patience: PatienceArgs,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Args)]
pub(super) struct ResumeArgs {
    /// Release what was placed, instead of finishing it
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    patience: PatienceArgs,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Args)]
struct PatienceArgs {
    /// How long to try
    #[arg(long, value_name = "TIME", default_value = "30s")]
    timeout: Interval,
    /// The folder to keep what is not finished yet [default: counterfoil in $XDG_STATE_HOME, or
    /// else ~/.local/state/counterfoil]
    #[arg(long, value_name = "FOLDER", env = "COUNTERFOIL_STATE")]
    data: Option<PathBuf>,
}

/// What is asked for.
#[derive(Args)]
#[command(next_help_heading = "What is asked for")]
struct DemandArgs {
    /// Virtual processors (VCPU)
    #[arg(long, value_name = "N")]
    vcpu: Option<u64>,
    /// Memory (MEMORY_MB), in MiB
    #[arg(long, value_name = "MIB")]
    memory_mb: Option<u64>,
    /// Disk (DISK_GB), in GiB
    #[arg(long, value_name = "GIB")]
    disk_gb: Option<u64>,
    /// So much of any resource class. More than once for more
    #[arg(long = "resource", value_name = "CLASS=AMOUNT", value_parser = resource)]
    resources: Vec<(ResourceClass, u64)>,
    /// A trait that the node must have. More than once for more
    #[arg(long = "trait", value_name = "NAME", value_parser = name)]
    required: Vec<Name>,
    /// A trait that the node must not have. More than once for more
    #[arg(long = "forbid", value_name = "NAME", value_parser = name)]
    forbidden: Vec<Name>,
    /// The availability zone that the node must be in
    #[arg(long, value_name = "NAME", value_parser = name)]
    zone: Option<Name>,
    /// An aggregate of which the node must be a member; of several, at least one
    #[arg(long = "aggregate", value_name = "NAME", value_parser = name)]
    aggregates: Vec<Name>,
    /// A group that it joins, any name. More than once for more
    #[arg(long = "group", value_name = "GROUP")]
    join: Vec<String>,
    /// A group of which a member must be on the node already. More than once for more
    #[arg(long, value_name = "GROUP")]
    near: Vec<String>,
    /// A group of which no member may be on the node already, or at most MAX. More than once for
    /// more
    #[arg(long, value_name = "GROUP[=MAX]", value_parser = apart)]
    apart: Vec<(String, u32)>,
}

fn resource(text: &str) -> Result<(ResourceClass, u64), String> {
    let (class, amount) = text.split_once('=').ok_or("write CLASS=AMOUNT")?;
    let amount = amount.parse().map_err(|_| format!("{amount:?} is no amount"))?;
    Ok((ResourceClass::from(name(class)?), amount))
}

fn apart(text: &str) -> Result<(String, u32), String> {
    match text.rsplit_once('=') {
        Some((group, max)) => {
            let max = max.parse().map_err(|_| format!("{max:?} is no number of members"))?;
            Ok((group.to_owned(), max))
        }
        None => Ok((text.to_owned(), 0)),
    }
}

impl DemandArgs {
    /// # Errors
    /// If nothing is asked for.
    fn demand(&self) -> Result<Demand, Failure> {
        let mut resources = Resources::default();
        let usual = [
            (ResourceClass::Vcpu, self.vcpu),
            (ResourceClass::MemoryMb, self.memory_mb),
            (ResourceClass::DiskGb, self.disk_gb),
        ];
        let usual = usual.into_iter().filter_map(|(class, amount)| Some((class, amount?)));
        for (class, amount) in usual.chain(self.resources.iter().cloned()) {
            resources.set(class, amount);
        }
        if resources.is_empty() {
            return Err(Failure::NothingAsked);
        }
        for joined in &self.join {
            resources.set(ResourceClass::Group(group(joined)), 1);
        }
        Ok(Demand {
            resources,
            required: self.required.iter().cloned().collect(),
            forbidden: self.forbidden.iter().cloned().collect(),
            zone: self.zone.clone(),
            aggregates: self.aggregates.iter().cloned().collect(),
            near: self.near.iter().map(|name| group(name)).collect(),
            apart: self.apart.iter().map(|(name, max)| (group(name), *max)).collect(),
        })
    }
}

impl PatienceArgs {
    /// The folder with the runs that are not finished.
    fn folder(&self) -> Result<PathBuf, Failure> {
        let state = || Some(PathBuf::from(std::env::var_os("XDG_STATE_HOME")?).join("counterfoil"));
        let home =
            || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state/counterfoil"));
        self.data.clone().or_else(state).or_else(home).ok_or(Failure::NoHome)
    }
}

impl PlaceArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let demand = self.demand.demand()?;
        if self.hold {
            return self.hold(&demand);
        }
        let remote = self.api.remote()?;
        let folder = self.patience.folder()?;
        hint(&folder);
        let run = Run::new(&folder)?;
        let ended = run.place(&remote, (self.instances, &demand), self.patience.timeout.0)?;
        show(&ended, self.api.format)
    }

    fn hold(&self, demand: &Demand) -> Result<ExitCode, Failure> {
        let mut body = demand_form(demand);
        body["instances"] = json!(self.instances);
        let (url, reply) = self.api.remote()?.ask_any(Method::Post, "/v1/requests", Some(&body))?;
        match (reply.status, self.api.format) {
            (200, Format::Json) => println!("{}", reply.body),
            (200, Format::Human) => {
                let seconds = reply.body["lapses_in_ms"].as_u64().unwrap_or(0) / 1000;
                for placed in reply.body["placed"].as_array().into_iter().flatten() {
                    let claim = placed["claim"].as_str().unwrap_or("?");
                    println!("{claim}  n{}  held, lapses in {seconds} s", placed["node"]);
                }
            }
            (409, format) => return Ok(no_valid_host(&reply.body, format)),
            (_, _) => return Err(reply.refused_by(&url).into()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ResumeArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let remote = self.api.remote()?;
        let mut code = ExitCode::SUCCESS;
        for run in Run::unfinished(&self.patience.folder()?)? {
            match run.resume(&remote, self.release, self.patience.timeout.0) {
                Ok(Some(ended)) => {
                    show(&ended, self.api.format)?;
                }
                // Nothing was chosen: what was held lapses.
                Ok(None) | Err(Failure::Run(RunError::InUse)) => {}
                Err(failure @ Failure::Run(RunError::Stuck)) => {
                    eprintln!("counterfoil: {failure}");
                    code = ExitCode::from(3);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(code)
    }
}

/// Says that earlier runs are not finished, if so.
fn hint(folder: &std::path::Path) {
    let unfinished = Run::unfinished(folder).map_or(0, |runs| runs.len());
    if unfinished > 0 {
        eprintln!(
            "counterfoil: {unfinished} earlier runs did not end: `counterfoil resume` finishes \
             them, `counterfoil resume --release` takes them back"
        );
    }
}

fn show(ended: &Ended, format: Format) -> Result<ExitCode, Failure> {
    match ended {
        Ended::Confirmed(claims) => {
            print(claims, "confirmed", format);
            Ok(ExitCode::SUCCESS)
        }
        Ended::Released(claims) => {
            print(claims, "gone", format);
            Ok(ExitCode::SUCCESS)
        }
        Ended::Failed(Failed::NoValidHost(body)) => Ok(no_valid_host(body, format)),
        Ended::Failed(Failed::Exhausted) => Err(Failure::Run(RunError::Exhausted)),
        Ended::Failed(Failed::TimedOut) => Err(Failure::Run(RunError::TimedOut)),
    }
}

fn print(claims: &[ClaimId], state: &str, format: Format) {
    match format {
        Format::Human => {
            claims.iter().for_each(|claim| println!("{claim}  {}  {state}", claim.node))
        }
        Format::Json => {
            let placed = claims.iter().map(
                |claim| json!({"claim": claim.to_string(), "node": claim.node.0, "state": state}),
            );
            println!("{}", json!({"placed": placed.collect::<Vec<Value>>()}));
        }
    }
}

fn no_valid_host(body: &Value, format: Format) -> ExitCode {
    match format {
        Format::Json => println!("{body}"),
        Format::Human => {
            let message = body["message"].as_str().unwrap_or("no valid host was found");
            eprintln!("counterfoil: {message}");
        }
    }
    ExitCode::from(1)
}
