//! What the API says when it does not do what it was asked.

use crate::scheduler::NotTaken;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Seconds after which one may ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request was not carried out, and how to mend it.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    error: &'static str,
    message: String,
    /// What programs want to know besides.
    more: Map<String, Value>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        error: &'static str,
        message: impl Into<String>,
    ) -> Problem {
        Problem { status, error, message: message.into(), more: Map::new() }
    }

    /// What was asked for makes no sense: `message` says what and where.
    pub(super) fn bad_request(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The node did not answer in time.
    pub(super) fn unanswered(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "unanswered", message)
    }

    /// It cannot be done now.
    pub(super) fn unavailable(error: &'static str, message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error, message)
    }

    pub(super) fn overloaded() -> Problem {
        let message = "the scheduler has too much to do: ask again later, or another scheduler";
        Problem::unavailable("overloaded", message)
    }

    pub(super) fn stopping() -> Problem {
        Problem::unavailable("stopping", "the scheduler is about to stop: ask another")
    }

    /// Adds what programs want to know.
    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Problem {
        self.more.insert(key.to_owned(), value.into());
        self
    }
}

impl From<NotTaken> for Problem {
    fn from(why: NotTaken) -> Problem {
        match why {
            NotTaken::Overloaded => Problem::overloaded(),
            NotTaken::Stopped => Problem::stopping(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem { status, error, message, mut more } = self;
        more.insert("error".to_owned(), json!(error));
        more.insert("message".to_owned(), json!(message));
        let mut response = (status, Json(more)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
