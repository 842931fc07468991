//! Recorded requests, and the current faults of the endpoints.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use tokio::sync::Notify;

use crate::lock::lock;

use super::fault::Fault;
use super::options::ApiServerOptions;

/// The endpoints of an API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/openid/v1/jwks`
    Jwks,
    /// `/apis/authentication.k8s.io/v1/tokenreviews`
    TokenReview,
    /// `/apis/authorization.k8s.io/v1/subjectaccessreviews`
    SubjectAccessReview,
    /// Anything else.
    Other,
}

/// One request to the API server.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// When it arrived.
    pub at: Instant,
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The caller's username; `None` if its credential was invalid.
    pub caller: Option<String>,
    /// The Accept header.
    pub accept: Option<String>,
    /// The User-Agent header.
    pub user_agent: Option<String>,
    /// The body, as text.
    pub body: String,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    requests: Mutex<Vec<LoggedRequest>>,
    faults: Mutex<HashMap<Endpoint, Fault>>,
    faults_changed: Notify,
    under_way: Mutex<HashMap<Endpoint, UnderWay>>,
}

/// Requests that are not answered yet: how many now, and the most that ever were.
#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    now: usize,
    most: usize,
}

/// A request under way; it is over when this is dropped, because it was answered or its caller left.
#[derive(Debug)]
pub(super) struct Going<'r> {
    record: &'r Record,
    endpoint: Endpoint,
}

// === impl Endpoint ===

impl Endpoint {
    pub(super) fn of(path: &str, options: &ApiServerOptions) -> Self {
        let Some(path) = path.strip_prefix(&options.path_prefix) else { return Self::Other };
        // The default role names both forms, with a slash at the end and without.
        match path.strip_suffix('/').unwrap_or(path) {
            "/.well-known/openid-configuration" => Self::Discovery,
            path if path == options.jwks_path => Self::Jwks,
            "/apis/authentication.k8s.io/v1/tokenreviews" => Self::TokenReview,
            "/apis/authorization.k8s.io/v1/subjectaccessreviews" => Self::SubjectAccessReview,
            _ => Self::Other,
        }
    }
}

// === impl Record ===

impl Record {
    pub(super) fn add(&self, request: LoggedRequest) {
        lock(&self.requests).push(request);
    }

    pub(super) fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.requests).clone()
    }

    pub(super) fn set_fault(&self, endpoint: Endpoint, fault: Option<Fault>) {
        let mut faults = lock(&self.faults);
        match fault {
            Some(fault) => faults.insert(endpoint, fault),
            None => faults.remove(&endpoint),
        };
        self.faults_changed.notify_waiters();
    }

    /// A request begins.
    pub(super) fn begin(&self, endpoint: Endpoint) -> Going<'_> {
        let mut all = lock(&self.under_way);
        let under_way = all.entry(endpoint).or_default();
        under_way.now += 1;
        under_way.most = under_way.most.max(under_way.now);
        Going { record: self, endpoint }
    }

    pub(super) fn under_way(&self, endpoint: Endpoint) -> usize {
        lock(&self.under_way).get(&endpoint).map_or(0, |under_way| under_way.now)
    }

    pub(super) fn most_under_way(&self, endpoint: Endpoint) -> usize {
        lock(&self.under_way).get(&endpoint).map_or(0, |under_way| under_way.most)
    }

    fn fault(&self, endpoint: Endpoint) -> Option<Fault> {
        lock(&self.faults).get(&endpoint).cloned()
    }

    /// The endpoint's fault, once it is not [`Fault::UntilCleared`] any more.
    pub(super) async fn settled_fault(&self, endpoint: Endpoint) -> Option<Fault> {
        loop {
            let changed = self.faults_changed.notified();
            match self.fault(endpoint) {
                Some(Fault::UntilCleared) => changed.await,
                fault => return fault,
            }
        }
    }
}

// === impl Going ===

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if let Some(under_way) = lock(&self.record.under_way).get_mut(&self.endpoint) {
            under_way.now -= 1;
        }
    }
}
