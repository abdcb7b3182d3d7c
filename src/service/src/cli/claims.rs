//! The subcommands `confirm`, `release` and `get`: what becomes of a claim.

use super::api::ApiArgs;
use super::{Failure, Format};
use crate::remote::{Method, Reply, path_of};
use clap::Args;
use counterfoil_protocol::{ClaimId, ClaimIdError};
use serde_json::{Value, json};
use std::process::ExitCode;

/// How often a node that does not answer is asked. A scheduler asks it for 5 s each time.
const TIMES: usize = 3;

#[derive(Args)]
pub(super) struct ClaimArgs {
    /// The claims, as `counterfoil place` printed them: s1.1:n3#0
    #[arg(value_name = "CLAIM", required = true, value_parser = claim)]
    claims: Vec<ClaimId>,
    #[command(flatten)]
    api: ApiArgs,
}

fn claim(text: &str) -> Result<ClaimId, String> {
    text.parse().map_err(|error: ClaimIdError| error.to_string())
}

impl ClaimArgs {
    pub(super) fn confirm(&self) -> Result<ExitCode, Failure> {
        self.each(Method::Put)
    }

    pub(super) fn release(&self) -> Result<ExitCode, Failure> {
        self.each(Method::Delete)
    }

    pub(super) fn get(&self) -> Result<ExitCode, Failure> {
        self.each(Method::Get)
    }

    /// Asks of each claim in turn. 1 if one of them is gone, though it was not to be.
    fn each(&self, method: Method) -> Result<ExitCode, Failure> {
        let remote = self.api.remote()?;
        let mut code = ExitCode::SUCCESS;
        for claim in &self.claims {
            let mut tries = 0;
            let (url, reply) = loop {
                tries += 1;
                let (url, reply) = remote.ask_any(method, &path_of(*claim), None)?;
                if reply.status != 504 || tries == TIMES {
                    break (url, reply);
                }
                tracing::warn!(%claim, "its node does not answer; asking again");
            };
            match reply.status {
                200 => print(self.api.format, *claim, &reply),
                404 | 410 => {
                    code = ExitCode::from(1);
                    let body = json!({"claim": claim.to_string(), "state": "gone"});
                    print(self.api.format, *claim, &Reply { status: reply.status, body });
                }
                _ => return Err(reply.refused_by(&url).into()),
            }
        }
        Ok(code)
    }
}

fn print(format: Format, claim: ClaimId, reply: &Reply) {
    match format {
        Format::Json => println!("{}", reply.body),
        Format::Human => {
            let state = reply.body["state"].as_str().unwrap_or("?");
            let amounts = reply.body["resources"].as_object().into_iter().flatten();
            let amounts: Vec<String> =
                amounts.map(|(class, amount): (_, &Value)| format!("{class}={amount}")).collect();
            println!("{}", format!("{claim}  {state}  {}", amounts.join(" ")).trim_end());
        }
    }
}
