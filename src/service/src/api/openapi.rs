//! The description of the API, for programs: OpenAPI 3.1.

mod schemas;

use super::access::Role;
use super::nodes::PAGE;
use super::routes::{BODY_MAX, Route};
use schemas::{reference, schemas};
use serde_json::{Map, Value, json};

/// The description.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in Route::ALL {
        let path = paths.entry(route.path()).or_insert_with(|| json!({}));
        path[route.method().as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Counterfoil: the API of a scheduler",
            "version": "1",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": format!(
                "Finds places for workloads, as OpenStack Placement names things. Bodies are JSON \
                 of up to {BODY_MAX} bytes; what is not known in them is refused. Every problem is \
                 an object with `error`, a word for programs, and `message`, which says what, \
                 where, and how to mend it. 503 comes with Retry-After."
            ),
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas(),
        },
    })
}

fn operation(route: Route) -> Value {
    let mut operation = json!({
        "operationId": id(route),
        "summary": summary(route),
        "parameters": parameters(route),
        "responses": responses(route),
    });
    operation["security"] = match route.role() {
        Some(role) => {
            operation["description"] =
                json!(format!("Needs the role `{role}`, if there are tokens."));
            let greater = Role::ALL.into_iter().filter(|other| *other >= role);
            operation["x-roles"] = greater.map(Role::name).collect();
            json!([{ "token": [] }])
        }
        None => json!([]),
    };
    if route == Route::Place {
        operation["requestBody"] = json!({ "required": true, "content": content("Request") });
    }
    operation
}

fn id(route: Route) -> &'static str {
    match route {
        Route::Place => "place",
        Route::Recent => "recent",
        Route::Allocation => "allocation",
        Route::Confirm => "confirm",
        Route::Release => "release",
        Route::Nodes => "nodes",
        Route::Node => "node",
        Route::Drain => "drain",
        Route::Undrain => "undrain",
        Route::Live => "live",
        Route::Ready => "ready",
        Route::OpenApi => "openapi",
    }
}

fn summary(route: Route) -> &'static str {
    match route {
        Route::Place => "Find a place for each instance, or for none",
        Route::Recent => "The last 100 decisions of this scheduler, the latest first",
        Route::Allocation => "What the node of a claim has for it",
        Route::Confirm => "Confirm what is held: it stays until it is released",
        Route::Release => "Release what is held or confirmed",
        Route::Nodes => "The nodes that this scheduler knows, by number",
        Route::Node => "One node",
        Route::Drain => "Have a node take no new claims",
        Route::Undrain => "Have a node take new claims again",
        Route::Live => "Whether the process lives",
        Route::Ready => {
            "Whether the scheduler has started, and knows a node or has waited 5 s for one"
        }
        Route::OpenApi => "This description",
    }
}

fn parameters(route: Route) -> Value {
    let named = |place: &str, name: &str, required: bool, schema: Value, description: &str| {
        json!({
            "name": name, "in": place, "required": required, "schema": schema,
            "description": description,
        })
    };
    match route {
        Route::Allocation | Route::Confirm | Route::Release => {
            let description = "The claim, with its # as %23.";
            json!([named("path", "claim", true, reference("Claim"), description)])
        }
        Route::Node | Route::Drain | Route::Undrain => {
            json!([named("path", "id", true, reference("NodeNumber"), "The number of the node.")])
        }
        Route::Nodes => {
            let limit =
                json!({ "type": "integer", "minimum": 1, "maximum": PAGE, "default": PAGE });
            json!([
                named(
                    "query",
                    "after",
                    false,
                    reference("NodeNumber"),
                    "Only nodes after this one."
                ),
                named("query", "limit", false, limit, "No more nodes than that."),
            ])
        }
        Route::Place | Route::Recent | Route::Live | Route::Ready | Route::OpenApi => json!([]),
    }
}

fn content(schema: &str) -> Value {
    json!({ "application/json": { "schema": reference(schema) } })
}

fn responses(route: Route) -> Value {
    let (schema, description) = match route {
        Route::Place => ("Placed", "Every instance has a place."),
        Route::Recent => ("Decisions", "The decisions."),
        Route::Allocation => ("Allocation", "It is held or confirmed."),
        Route::Confirm => ("Confirmed", "It is confirmed."),
        Route::Release => ("Released", "It is not there, and never will be again."),
        Route::Nodes => ("Nodes", "The nodes."),
        Route::Node => ("Node", "The node."),
        Route::Drain | Route::Undrain => ("Ordered", "The node has taken the order."),
        Route::Live => ("Live", "It lives."),
        Route::Ready => ("Ready", "It is ready."),
        Route::OpenApi => ("Any", "The description."),
    };
    let mut responses = json!({
        "200": { "description": description, "content": content(schema) },
    });
    let bad = (400, "The request makes no sense: `bad_request`.");
    let unknown = (404, "The node is not known: `not_found`.");
    let unanswered = (504, "The node did not answer in time: `unanswered`. Ask again.");
    let problems: &[(u16, &str)] = match route {
        Route::Place => &[
            bad,
            (408, "The body took too long: `too_slow`."),
            (413, "The body is too long: `too_large`."),
            (415, "The body is not said to be JSON: `unsupported_media_type`."),
        ],
        Route::Allocation => &[bad, (404, "There is no such allocation: `gone`."), unanswered],
        Route::Confirm => &[bad, (410, "It lapsed or was released before: `gone`."), unanswered],
        Route::Release => &[bad, unanswered],
        Route::Nodes => &[bad],
        Route::Node => &[bad, unknown],
        Route::Drain | Route::Undrain => &[bad, unknown, unanswered],
        Route::Recent | Route::Live | Route::Ready | Route::OpenApi => &[],
    };
    let access = [
        (401, "There is no token, or it is not known: `unauthorized`."),
        (403, "The token gives another role, or the caller is another site: `forbidden`."),
    ];
    let access = access.iter().filter(|_| route.role().is_some());
    for (status, description) in problems.iter().chain(access) {
        responses[status.to_string()] = problem(description, "Problem");
    }
    if route == Route::Place {
        let description = "No node known can take it: `no_valid_host`.";
        responses["409"] = problem(description, "NoValidHost");
    }
    let later = match route {
        Route::Place => {
            "Not now: `unavailable`, `exhausted`, `overloaded`, `stopping`, or \
                         `connection_over`."
        }
        Route::Ready => "Not yet: `starting`; or `overloaded`, `stopping`.",
        Route::Live | Route::OpenApi => return responses,
        Route::Recent
        | Route::Allocation
        | Route::Confirm
        | Route::Release
        | Route::Nodes
        | Route::Node
        | Route::Drain
        | Route::Undrain => "Not now: `overloaded` or `stopping`.",
    };
    let mut later = problem(later, "Problem");
    let seconds = json!({ "schema": { "type": "integer" }, "description": "Seconds." });
    later["headers"] = json!({ "Retry-After": seconds });
    responses["503"] = later;
    responses
}

fn problem(description: &str, schema: &str) -> Value {
    json!({ "description": description, "content": content(schema) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Write the file anew with `UPDATE_OPENAPI=1 cargo test -p counterfoil-service openapi`.
    #[test]
    fn the_document_in_the_repository_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let served = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &served).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == served, "write {path:?} anew with UPDATE_OPENAPI=1");
    }

    #[test]
    fn every_route_is_described_once_and_nothing_else_is() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let described = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (path.as_str(), method.to_ascii_uppercase()))
        });
        let routes = Route::ALL.map(|route| (route.path(), route.method().to_string()));
        assert_eq!(described.collect::<BTreeSet<_>>(), BTreeSet::from(routes.clone()));
        let ids: BTreeSet<&str> = Route::ALL.into_iter().map(id).collect();
        assert_eq!((ids.len(), BTreeSet::from(routes).len()), (Route::ALL.len(), ids.len()));
    }

    /// Every `$ref` in `value`.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                let referred = fields.get("$ref").and_then(Value::as_str);
                found.extend(referred.map(|text| text.rsplit('/').next().unwrap().to_owned()));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there_and_every_other_is_not() {
        let mut referred = BTreeSet::new();
        references(&document(), &mut referred);
        let there: BTreeSet<String> = schemas().as_object().unwrap().keys().cloned().collect();
        assert_eq!(referred, there);
    }
}
