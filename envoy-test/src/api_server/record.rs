//! Requests come in; who asked for what goes out, and which fault waits for the next.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::lock::lock;

use super::fault::Fault;

/// What the filter may ask an API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/openid/v1/jwks`
    Jwks,
    /// `/apis/authentication.k8s.io/v1/tokenreviews`
    TokenReview,
    /// Anything else.
    Other,
}

/// One request to the API server.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The caller's username; None if its credential was no good.
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
}

// === impl Endpoint ===

impl Endpoint {
    pub(super) fn of(path: &str) -> Self {
        // The default role names both forms, with a slash at the end and without.
        match path.strip_suffix('/').unwrap_or(path) {
            "/.well-known/openid-configuration" => Self::Discovery,
            "/openid/v1/jwks" => Self::Jwks,
            "/apis/authentication.k8s.io/v1/tokenreviews" => Self::TokenReview,
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

    fn fault(&self, endpoint: Endpoint) -> Option<Fault> {
        lock(&self.faults).get(&endpoint).cloned()
    }

    /// The endpoint's fault, once it is not [`Fault::UntilMended`] any more.
    pub(super) async fn settled_fault(&self, endpoint: Endpoint) -> Option<Fault> {
        loop {
            let changed = self.faults_changed.notified();
            match self.fault(endpoint) {
                Some(Fault::UntilMended) => changed.await,
                fault => return fault,
            }
        }
    }
}
