//! The form of what goes to and fro.

use crate::api::demand::{GROUP_MAX, INSTANCES_MAX};
use crate::api::lines::MADE_UP;
use crate::wire::CLASSES_MAX;
use serde_json::{Map, Value, json};

/// All, by name.
pub(super) fn schemas() -> Value {
    let of_request = of_request();
    let (of_nodes, of_claims) = (of_nodes(), of_claims());
    let all = [of_request, of_nodes, of_claims].into_iter().filter_map(|part| match part {
        Value::Object(schemas) => Some(schemas),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    });
    Value::Object(all.flatten().collect())
}

/// That it has the form of this name.
pub(super) fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// An object whose fields are all there.
fn object(properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn list(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn text_of(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

fn of_request() -> Value {
    let names = json!({ "type": "array", "items": reference("Name"), "maxItems": 64 });
    let groups = json!({ "type": "array", "items": reference("Group"), "maxItems": CLASSES_MAX });
    let some = json!({ "type": "integer", "minimum": 1, "maximum": u64::MAX });
    let number = |bits: u32, max: u64, what: &str| {
        let about = "For clients of the protocol, which give all four of client, connection, \
                     request and attempt";
        json!({
            "type": "integer", "minimum": 0, "maximum": max, "format": format!("uint{bits}"),
            "description": format!("{about}: {what}"),
        })
    };
    json!({
        "Any": { "type": "object" },
        "Name": { "type": "string", "pattern": "^[A-Z0-9_]{1,64}$" },
        "Group": { "type": "string", "minLength": 1, "maxLength": GROUP_MAX },
        "Resources": {
            "type": "object",
            "propertyNames": reference("Name"),
            "additionalProperties": count(),
            "description": "An amount of each class: VCPU, MEMORY_MB (MiB), DISK_GB (GiB), or any \
                            other that nodes have. GROUP_ with a number counts members of a group.",
        },
        "Request": {
            "type": "object",
            "required": ["resources"],
            "additionalProperties": false,
            "properties": {
                "resources": {
                    "allOf": [reference("Resources")],
                    "minProperties": 1,
                    "maxProperties": CLASSES_MAX,
                    "properties": { "VCPU": some, "MEMORY_MB": some, "DISK_GB": some },
                    "additionalProperties": some,
                    "examples": [{ "VCPU": 2, "MEMORY_MB": 4096 }],
                },
                "required_traits": names,
                "forbidden_traits": names,
                "zone": { "anyOf": [reference("Name"), { "type": "null" }] },
                "aggregates": names,
                "groups": {
                    "type": "object",
                    "additionalProperties": false,
                    "description": "Groups by name. The number of GROUP_7 is 7; of any other it is \
                                    the first 8 bytes of the BLAKE3 hash of its name, the \
                                    lowest first.",
                    "properties": {
                        "join": groups,
                        "near": groups,
                        "apart": {
                            "type": "object",
                            "propertyNames": reference("Group"),
                            "maxProperties": CLASSES_MAX,
                            "additionalProperties": {
                                "type": "integer", "minimum": 0, "maximum": u32::MAX,
                            },
                            "description": "How many members are borne on the same node.",
                        },
                    },
                },
                "instances": {
                    "type": "integer", "minimum": 1, "maximum": INSTANCES_MAX, "default": 1,
                    "description": "All have a place, or none has.",
                },
                "client": number(32, (MADE_UP - 1).into(), "who calls, below 2^31."),
                "connection": number(
                    64, u64::MAX, "which of its connections; a higher number ends others."
                ),
                "request": number(64, u64::MAX, "which request."),
                "attempt": number(32, u32::MAX.into(), "which attempt of it."),
            },
            "dependentRequired": {
                "client": ["connection", "request", "attempt"],
                "connection": ["client", "request", "attempt"],
                "request": ["client", "connection", "attempt"],
                "attempt": ["client", "connection", "request"],
            },
            "if": { "required": ["client"] },
            "then": { "properties": { "instances": { "maximum": 1 } } },
        },
        "Placed": object(json!({
            "request": count(),
            "placed": list("Place"),
            "lapses_in_ms": {
                "type": "integer", "minimum": 0,
                "description": "After this long nodes take back what is not confirmed.",
            },
        })),
        "Place": object(json!({
            "claim": reference("Claim"), "node": reference("NodeNumber"), "request": count(),
        })),
        "Problem": object(json!({
            "error": { "type": "string" }, "message": { "type": "string" },
        })),
        "NoValidHost": object(json!({
            "error": { "const": "no_valid_host" },
            "message": { "type": "string" },
            "excluded": list("Excluded"),
            "nodes": count(),
            "oldest_view_ms": {
                "type": ["integer", "null"],
                "description": "How long ago the node was heard that was silent for longest.",
            },
        })),
        "Excluded": object(json!({
            "filter": { "type": "string", "description": "The name of Nova's that comes closest." },
            "nodes": count(),
            "reason": { "type": "string" },
            "most_free": { "type": ["integer", "null"] },
        })),
    })
}

fn of_nodes() -> Value {
    let amounts = json!({ "type": "object", "additionalProperties": count() });
    let names = list("Name");
    let name = json!({ "anyOf": [reference("Name"), { "type": "null" }] });
    let status = json!({ "type": ["string", "null"], "enum": ["up", "draining", null] });
    json!({
        "NodeNumber": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
        "Nodes": list("Node"),
        "Node": object(json!({
            "node": reference("NodeNumber"),
            "status": status,
            "presence": text_of(&["present", "suspected", "departed"]),
            "stamp": {
                "type": ["string", "null"],
                "description": "Life and version of the node that the rest is of; null before its \
                                first word.",
            },
            "heard_ms": { "type": ["integer", "null"], "description": "How long ago." },
            "address": { "type": ["string", "null"] },
            "inventory": { "type": "object", "additionalProperties": reference("Class") },
            "used": amounts,
            "free": {
                "type": "object", "additionalProperties": count(),
                "description": "The capacity, without what is used or set aside.",
            },
            "set_aside": {
                "type": "object", "additionalProperties": count(),
                "description": "What this scheduler has claimed that is not in `used` yet.",
            },
            "traits": names,
            "zone": name,
            "aggregates": names,
        })),
        "Class": object(json!({
            "total": count(),
            "reserved": count(),
            "allocation_ratio": { "type": "number" },
            "min_unit": count(),
            "max_unit": { "type": ["integer", "null"] },
            "step_unit": count(),
            "capacity": {
                "type": "integer", "minimum": 0,
                "description": "(total - reserved) * allocation_ratio, rounded down.",
            },
        })),
        "Ordered": object(json!({
            "node": reference("NodeNumber"), "status": text_of(&["up", "draining"]),
        })),
        "Live": object(json!({ "live": { "const": true } })),
        "Ready": object(json!({ "ready": { "const": true }, "nodes": count() })),
    })
}

fn of_claims() -> Value {
    let text = json!({ "type": ["string", "null"] });
    let (small, large) = ("(0|[1-9][0-9]{0,9})", "(0|[1-9][0-9]{0,19})");
    let results = ["placed", "no_valid_host", "unavailable", "exhausted", "overloaded"];
    json!({
        "Claim": {
            "type": "string",
            "pattern": format!("^s{small}\\.{large}:n{small}#{large}$"),
            "description": "Scheduler, its life, the node, and a number: the first and third below \
                            2^32, the others below 2^64.",
        },
        "Allocation": object(json!({
            "claim": reference("Claim"),
            "node": reference("NodeNumber"),
            "state": text_of(&["held", "confirmed"]),
            "at": reference("Stamp"),
            "request": count(),
            "resources": reference("Resources"),
        })),
        "Stamp": {
            "type": "string",
            "pattern": "^[0-9]+\\.[0-9]+$",
            "description": "A life of a node, and a version in it.",
        },
        "Confirmed": object(json!({
            "claim": reference("Claim"),
            "state": { "const": "confirmed" },
            "at": reference("Stamp"),
        })),
        "Released": object(json!({
            "claim": reference("Claim"), "state": { "const": "gone" },
        })),
        "Decisions": list("Decision"),
        "Decision": object(json!({
            "request": count(),
            "attempt": count(),
            "result": text_of(&results),
            "node": { "anyOf": [reference("NodeNumber"), { "type": "null" }] },
            "claim": { "anyOf": [reference("Claim"), { "type": "null" }] },
            "why": text,
            "excluded": { "anyOf": [list("Excluded"), { "type": "null" }] },
            "retries": { "type": "integer", "minimum": 0, "description": "Nodes that refused." },
            "microseconds": {
                "type": "integer", "minimum": 0,
                "description": "From the call to the answer, in the scheduler.",
            },
        })),
    })
}
