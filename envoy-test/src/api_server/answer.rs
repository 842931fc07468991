//! Responses with the status, headers and body of a real API server.

use serde::Serialize;
use serde_json::Value;

use crate::token::random_uuid;

/// A response before any fault.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// `meta/v1.Status`, its members in the order in which they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    kind: &'a str,
    api_version: &'a str,
    metadata: Empty,
    status: &'a str,
    message: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
    code: u16,
}

#[derive(Serialize)]
struct Empty {}

// === impl Answer ===

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![
            ("audit-id", random_uuid()),
            ("cache-control", "no-cache, private".to_owned()),
            ("content-type", content_type.to_owned()),
        ];
        Self { status, headers, body: body.into() }
    }

    /// One of the two public documents.
    pub(super) fn document(content_type: &str, body: String) -> Self {
        let answer = Self::new(200, content_type, body);
        answer.with_header("cache-control", "public, max-age=3600".to_owned()).flow_controlled()
    }

    pub(super) fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized", None)
    }

    pub(super) fn forbidden(message: &str, details: Value) -> Self {
        Self::failure(403, "Forbidden", message, Some(details))
            .with_header("x-content-type-options", "nosniff".to_owned())
            .flow_controlled()
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::failure(405, "MethodNotAllowed", message, Some(Value::Object(Default::default())))
            .flow_controlled()
    }

    pub(super) fn not_acceptable(available: &str) -> Self {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {available}");
        Self::failure(406, "NotAcceptable", &message, Some(Value::Object(Default::default())))
            .flow_controlled()
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::failure(400, "BadRequest", message, None).flow_controlled()
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "text/plain; charset=utf-8", "404 page not found\n")
    }

    pub(super) fn failure(code: u16, reason: &str, message: &str, details: Option<Value>) -> Self {
        let status = Status {
            kind: "Status",
            api_version: "v1",
            metadata: Empty {},
            status: "Failure",
            message,
            reason,
            details,
            code,
        };
        let text = serde_json::to_string(&status).expect("a Status is plain JSON");
        Self::new(code, "application/json", format!("{text}\n"))
    }

    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }

    /// Whatever got past authentication carries the uids of its flow schema and priority level.
    pub(super) fn flow_controlled(self) -> Self {
        self.with_header("x-kubernetes-pf-flowschema-uid", random_uuid())
            .with_header("x-kubernetes-pf-prioritylevel-uid", random_uuid())
    }
}
