//! The routes of the API, and what stands before each: who may use it, and whether there is room.

use super::access::Role;
use super::numbers;
use super::problem::Problem;
use super::{Api, allocations, nodes, openapi, page, placing};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use counterfoil_protocol::{ClaimId, NodeId};
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// The longest body of a request, in bytes.
pub(super) const BODY_MAX: usize = 64 << 10;

/// How long the body of a request may take.
const BODY: Duration = Duration::from_secs(10);

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Find places.
    Place,
    /// What a claim has.
    Allocation,
    /// Confirm a claim.
    Confirm,
    /// Release a claim.
    Release,
    /// All nodes.
    Nodes,
    /// One node.
    Node,
    /// Have a node take no new claims.
    Drain,
    /// Have a node take new claims again.
    Undrain,
    /// The last decisions.
    Recent,
    /// Whether the process lives.
    Live,
    /// Whether it is of use.
    Ready,
    /// The description of all of them.
    OpenApi,
    /// What the process counts, for Prometheus.
    Metrics,
    /// A page for people.
    Page,
}

impl Route {
    /// All.
    pub const ALL: [Route; 14] = [
        Route::Place,
        Route::Recent,
        Route::Allocation,
        Route::Confirm,
        Route::Release,
        Route::Nodes,
        Route::Node,
        Route::Drain,
        Route::Undrain,
        Route::Live,
        Route::Ready,
        Route::OpenApi,
        Route::Metrics,
        Route::Page,
    ];

    /// The path, as in OpenAPI.
    pub fn path(self) -> &'static str {
        match self {
            Route::Place => "/v1/requests",
            Route::Recent => "/v1/requests/recent",
            Route::Allocation | Route::Confirm | Route::Release => "/v1/allocations/{claim}",
            Route::Nodes => "/v1/nodes",
            Route::Node => "/v1/nodes/{id}",
            Route::Drain => "/v1/nodes/{id}/drain",
            Route::Undrain => "/v1/nodes/{id}/undrain",
            Route::Live => "/health/live",
            Route::Ready => "/health/ready",
            Route::OpenApi => "/openapi.json",
            Route::Metrics => "/metrics",
            Route::Page => "/",
        }
    }

    /// The method.
    pub fn method(self) -> Method {
        match self {
            Route::Place | Route::Drain | Route::Undrain => Method::POST,
            Route::Confirm => Method::PUT,
            Route::Release => Method::DELETE,
            Route::Allocation
            | Route::Nodes
            | Route::Node
            | Route::Recent
            | Route::Live
            | Route::Ready
            | Route::OpenApi
            | Route::Metrics
            | Route::Page => Method::GET,
        }
    }

    /// What one must be to use it; `None` if everyone may.
    pub fn role(self) -> Option<Role> {
        match self {
            Route::Place | Route::Confirm | Route::Release => Some(Role::Place),
            Route::Allocation | Route::Nodes | Route::Node | Route::Recent | Route::Metrics => {
                Some(Role::Read)
            }
            Route::Drain | Route::Undrain => Some(Role::Admin),
            Route::Live | Route::Ready | Route::OpenApi | Route::Page => None,
        }
    }

    /// Whether it is answered however much there is to do: what anyone may use, and what says how
    /// much there is.
    fn needs_no_room(self) -> bool {
        self.role().is_none() || self == Route::Metrics
    }

    fn handler(self) -> MethodRouter<Api> {
        match self {
            Route::Place => routing::post(placing::place),
            Route::Allocation => routing::get(allocations::show),
            Route::Confirm => routing::put(allocations::confirm),
            Route::Release => routing::delete(allocations::release),
            Route::Nodes => routing::get(nodes::list),
            Route::Node => routing::get(nodes::show),
            Route::Drain => routing::post(nodes::drain),
            Route::Undrain => routing::post(nodes::undrain),
            Route::Recent => routing::get(nodes::recent),
            Route::Live => routing::get(nodes::live),
            Route::Ready => routing::get(nodes::ready),
            Route::OpenApi => routing::get(async || axum::Json(openapi::document())),
            Route::Metrics => routing::get(nodes::metrics),
            Route::Page => routing::get(async || (page::headers(), page::HTML)),
        }
    }
}

/// All routes.
pub(super) fn router(api: &Api) -> Router {
    let mut router = Router::new();
    for route in Route::ALL {
        let state = (Api::clone(api), route);
        let guarded = route.handler().layer(middleware::from_fn_with_state(state, guard));
        router = router.route(route.path(), guarded);
    }
    router
        .fallback(async || Problem::not_found("there is nothing here: see GET /openapi.json"))
        .method_not_allowed_fallback(async || {
            let message = "there is something here, but not for this method: see GET /openapi.json";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(caught))
        .with_state(Api::clone(api))
}

async fn guard(
    State((api, route)): State<(Api, Route)>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(role) = route.role() {
        api.access().allows(role, request.headers())?;
    }
    if route.needs_no_room() {
        return Ok(next.run(request).await);
    }
    let _room = api.room.try_acquire().map_err(|_| Problem::overloaded())?;
    Ok(next.run(request).await)
}

/// Answers for what panics: a fault here is one of ours, and must not be more than one answer.
pub(super) async fn caught(request: Request, next: Next) -> Response {
    let mut answer = pin!(next.run(request));
    let caught = std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    });
    caught.await.unwrap_or_else(|| {
        let message = "this is a fault of the scheduler: its log says more";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).into_response()
    })
}

/// The body of a request, from JSON.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let message = "the body must be JSON: send `Content-Type: application/json`";
            return Err(Problem::new(status, "unsupported_media_type", message));
        }
        let bytes = timeout(BODY, Bytes::from_request(request, api)).await.map_err(|_| {
            let message = format!("the body took longer than {} s", BODY.as_secs());
            Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
        })?;
        let bytes = bytes.map_err(|rejection| match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => {
                let message = format!("the body is longer than {BODY_MAX} bytes");
                Problem::new(status, "too_large", message)
            }
            _ => Problem::bad_request(format!("the body: {}", rejection.body_text())),
        })?;
        let bytes = numbers::whole(&bytes);
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let body = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let (at, why) = (error.path().to_string(), error.into_inner());
            let at = if at == "." { String::new() } else { format!("{at}: ") };
            Problem::bad_request(format!("the body: {at}{why}"))
        })?;
        reader.end().map_err(|error| Problem::bad_request(format!("the body: {error}")))?;
        Ok(Body(body))
    }
}

/// The `{claim}` of a path.
pub(super) struct Claim(pub(super) ClaimId);

impl FromRequestParts<Api> for Claim {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let text = segment(parts, api).await?;
        text.parse().map(Claim).map_err(|error| {
            let message = format!("the path: {error}, with its # as %23 in an address");
            Problem::bad_request(message)
        })
    }
}

/// The `{id}` of a path.
pub(super) struct NodeName(pub(super) NodeId);

impl FromRequestParts<Api> for NodeName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let text = segment(parts, api).await?;
        text.parse().map(|id| NodeName(NodeId(id))).map_err(|_| {
            Problem::bad_request(format!("the path: {text:?} is no node: use its number"))
        })
    }
}

async fn segment(parts: &mut Parts, api: &Api) -> Result<String, Problem> {
    let path = Path::<String>::from_request_parts(parts, api).await;
    path.map(|Path(text)| text)
        .map_err(|error| Problem::bad_request(format!("the path: {}", error.body_text())))
}
