//! What is asked for, in the words of OpenStack Placement.

use super::lines::MADE_UP;
use super::problem::Problem;
use crate::wire::Limited;
use counterfoil_protocol::{
    AttemptId, AttemptNumber, ClientId, Demand, GroupId, Map, Name, RequestId, ResourceClass,
    Resources, Set,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Instances that one request may ask for.
pub(super) const INSTANCES_MAX: u32 = 64;

/// The longest name of a group, in bytes.
pub(super) const GROUP_MAX: usize = 128;

/// The body of `POST /v1/requests`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceBody {
    resources: Resources,
    #[serde(default)]
    required_traits: Set<Name>,
    #[serde(default)]
    forbidden_traits: Set<Name>,
    #[serde(default)]
    zone: Option<Name>,
    #[serde(default)]
    aggregates: Set<Name>,
    #[serde(default)]
    groups: Groups,
    #[serde(default = "one")]
    instances: u32,
    client: Option<u32>,
    connection: Option<u64>,
    request: Option<u64>,
    attempt: Option<u32>,
}

/// Groups, by name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Groups {
    /// To become a member of.
    #[serde(default)]
    join: BTreeSet<String>,
    /// To be where there is a member of.
    #[serde(default)]
    near: BTreeSet<String>,
    /// To be where there are no more members than that.
    #[serde(default)]
    apart: BTreeMap<String, u32>,
}

fn one() -> u32 {
    1
}

/// What a request is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// For each instance.
    pub(super) demand: Demand,
    /// How many, from 1 to [`INSTANCES_MAX`].
    pub(super) instances: u32,
    /// Who calls, if it is a client of the protocol.
    pub(super) caller: Option<Caller>,
}

/// A client of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Who.
    pub(super) client: ClientId,
    /// What it calls its connection.
    pub(super) connection: u64,
    /// Which attempt it makes.
    pub(super) attempt: AttemptId,
}

/// The group of this name: of `GROUP_7` it is 7; else the first 8 bytes of the BLAKE3 hash of the
/// name, the lowest first.
pub(super) fn group(name: &str) -> Result<GroupId, Problem> {
    if name.is_empty() || name.len() > GROUP_MAX {
        let message = format!("groups: {name:?} is no name of a group: use 1 to {GROUP_MAX} bytes");
        return Err(Problem::bad_request(message));
    }
    if let Ok(numbered) = name.parse() {
        return Ok(numbered);
    }
    let hash = blake3::hash(name.as_bytes());
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    Ok(GroupId(u64::from_le_bytes(*first)))
}

impl PlaceBody {
    /// What it asks for.
    ///
    /// # Errors
    /// If it makes no sense.
    pub(super) fn wish(self) -> Result<Wish, Problem> {
        let bad = |message: String| Err(Problem::bad_request(message));
        let caller = self.caller()?;
        let instances = self.instances;
        if !(1..=INSTANCES_MAX).contains(&instances) {
            return bad(format!("instances is {instances}: ask for 1 to {INSTANCES_MAX}"));
        }
        if caller.is_some() && instances > 1 {
            return bad("instances: a client of the protocol asks for one at a time".to_owned());
        }
        if self.resources.is_empty() {
            return bad("resources is empty: name a class, as in {\"VCPU\": 1}".to_owned());
        }
        if let Some((class, _)) = self.resources.iter().find(|(_, amount)| *amount == 0) {
            return bad(format!("resources.{class} is 0: ask for more, or leave it out"));
        }
        let mut resources = self.resources;
        for name in &self.groups.join {
            resources.set(ResourceClass::Group(group(name)?), 1);
        }
        let near = self.groups.near.iter().map(|name| group(name)).collect::<Result<_, _>>()?;
        let apart = self.groups.apart.iter().map(|(name, bears)| Ok((group(name)?, *bears)));
        let apart = apart.collect::<Result<Map<GroupId, u32>, Problem>>()?;
        let demand = Demand {
            resources,
            required: self.required_traits,
            forbidden: self.forbidden_traits,
            zone: self.zone,
            aggregates: self.aggregates,
            near,
            apart,
        };
        demand.limited().map_err(|error| Problem::bad_request(format!("the request {error}")))?;
        Ok(Wish { demand, instances, caller })
    }

    fn caller(&self) -> Result<Option<Caller>, Problem> {
        match (self.client, self.connection, self.request, self.attempt) {
            (None, None, None, None) => Ok(None),
            (Some(client), Some(connection), Some(request), Some(attempt)) => {
                if client >= MADE_UP {
                    let message = format!("client is {client}: use a number below {MADE_UP}");
                    return Err(Problem::bad_request(message));
                }
                let (request, number) = (RequestId(request), AttemptNumber(attempt));
                let attempt = AttemptId { request, number };
                Ok(Some(Caller { client: ClientId(client), connection, attempt }))
            }
            (_, _, _, _) => Err(Problem::bad_request(
                "client, connection, request and attempt: give all four, or none",
            )),
        }
    }
}
