//! The subcommands `nodes`, `drain` and `undrain`.

use super::api::ApiArgs;
use super::table;
use super::{Failure, Format};
use crate::remote::Method;
use clap::Args;
use counterfoil_protocol::NodeId;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct NodesArgs {
    /// This node alone, and all that is known of it, in JSON
    #[arg(value_name = "NODE", value_parser = node)]
    node: Option<NodeId>,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Args)]
pub(super) struct DrainArgs {
    /// The nodes: 3 or n3
    #[arg(value_name = "NODE", required = true, value_parser = node)]
    nodes: Vec<NodeId>,
    #[command(flatten)]
    api: ApiArgs,
}

/// A node as people write it.
fn node(text: &str) -> Result<NodeId, String> {
    let number = text.strip_prefix('n').unwrap_or(text).parse();
    number.map(NodeId).map_err(|_| format!("{text:?} is no node: write 3 or n3"))
}

impl NodesArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let remote = self.api.remote()?;
        let Some(node) = self.node else {
            let (_, nodes) = remote.nodes()?;
            match self.api.format {
                Format::Human => table::nodes(&nodes).iter().for_each(|line| println!("{line}")),
                Format::Json => println!("{}", Value::Array(nodes)),
            }
            return Ok(ExitCode::SUCCESS);
        };
        let path = format!("/v1/nodes/{}", node.0);
        let (url, reply) = remote.ask_any(Method::Get, &path, None)?;
        match (reply.status, self.api.format) {
            (200, Format::Human) => println!("{:#}", reply.body),
            (200, Format::Json) => println!("{}", reply.body),
            (404, _) => {
                eprintln!("counterfoil: {url} knows no {node}");
                return Ok(ExitCode::from(1));
            }
            (_, _) => return Err(reply.refused_by(&url).into()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl DrainArgs {
    pub(super) fn drain(&self) -> Result<ExitCode, Failure> {
        self.order("drain")
    }

    pub(super) fn undrain(&self) -> Result<ExitCode, Failure> {
        self.order("undrain")
    }

    fn order(&self, order: &str) -> Result<ExitCode, Failure> {
        let remote = self.api.remote()?;
        let mut code = ExitCode::SUCCESS;
        for node in &self.nodes {
            let path = format!("/v1/nodes/{}/{order}", node.0);
            let (url, reply) = remote.ask_any(Method::Post, &path, None)?;
            match (reply.status, self.api.format) {
                (200, Format::Json) => println!("{}", reply.body),
                (200, Format::Human) => {
                    println!("{node}  {}", reply.body["status"].as_str().unwrap_or("?"));
                }
                (404, _) => {
                    eprintln!("counterfoil: {url} knows no {node}");
                    code = ExitCode::from(1);
                }
                (_, _) => return Err(reply.refused_by(&url).into()),
            }
        }
        Ok(code)
    }
}
