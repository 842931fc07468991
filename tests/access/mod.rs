//! Kubernetes RBAC as the decision of a rule: what is asked, how answers are read and cached, limits and outages.

mod answers;
mod attacks;
mod bounds;
mod caching;
mod metrics;
mod modes;
mod questions;
mod with_token_review;

use crate::support::{self, Core, Outcome, Request, pairs, seconds, with};
use envoy_test::{KeyKind, Pairs, SigningKey, Token};
use sa_authn::callout::{Callout, Reply};
use sa_authn::denial::Reason;
use serde_json::{Value, json};
use std::time::Duration;

/// The start time of every test.
const START: u64 = 1_800_000_000;

const HELD: Outcome = Outcome::Held;
const FORBIDDEN: Outcome = Outcome::Refused(Reason::Forbidden);
const UNAVAILABLE: Outcome = Outcome::Refused(Reason::AuthorizationUnavailable);
const OVERLOADED: Outcome = Outcome::Refused(Reason::Overloaded);
const AMBIGUOUS: Outcome = Outcome::Refused(Reason::AmbiguousAttributes);

/// A cluster's key, and a core whose rules ask its API server.
struct World {
    core: Core,
    key: SigningKey,
}

// === configurations ===

/// One rule for every path, which asks about the path.
fn non_resource() -> Value {
    json!({ "nonResource": {} })
}

/// `kubernetesRBAC` of the example of kube-rbac-proxy's README.
fn service_proxy() -> Value {
    json!({
        "resource": {
            "apiVersion": "v1", "namespace": "default", "resource": "services", "subresource": "proxy",
            "name": "kube-rbac-proxy",
        },
        "verbs": "kubeRbacProxy",
    })
}

fn plan() -> Value {
    json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" })
}

fn rule(rbac: &Value) -> Value {
    json!({ "name": "rbac", "allow": { "kubernetesRBAC": rbac } })
}

/// A core with this rule, and further members of `subjectAccessReview` and of the configuration.
fn world_of(rbac: &Value, access: Value, more: Value) -> World {
    configured(SigningKey::generate(KeyKind::P256), rbac, access, more)
}

fn configured(key: SigningKey, rbac: &Value, access: Value, more: Value) -> World {
    let mut config = support::inline(&[&key]);
    config["issuers"][0]["subjectAccessReview"] = with(plan(), access);
    let config = with(config, json!({ "rules": [rule(rbac)] }));
    World { core: Core::at(START, &with(config, more)), key }
}

/// A core that trusts this key.
fn world_with(key: &SigningKey, rbac: &Value) -> World {
    configured(key.clone(), rbac, json!({}), json!({}))
}

fn world(rbac: &Value) -> World {
    world_of(rbac, json!({}), json!({}))
}

// === responses of the API server ===

fn answered(status: u16, body: &Value) -> Reply {
    support::answered(status, body.to_string())
}

/// The response to a created SubjectAccessReview.
fn created(status: &Value) -> Reply {
    answered(
        201,
        &json!({
            "kind": "SubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": { "managedFields": [{ "manager": "unknown" }] },
            "spec": { "user": "the caller" },
            "status": status,
        }),
    )
}

fn allowed() -> Reply {
    let reason = "RBAC: allowed by ClusterRoleBinding \"metrics\" of ClusterRole \"metrics\"";
    created(&json!({ "allowed": true, "reason": reason }))
}

fn denied() -> Reply {
    created(&json!({ "allowed": false }))
}

/// `spec` of the SubjectAccessReview in a call.
fn spec(call: &Callout) -> Value {
    assert_eq!(call.path, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
    assert_eq!(
        (call.cluster.as_str(), call.authority.as_str()),
        ("kube-apiserver", "kubernetes.default.svc")
    );
    let review: Value = serde_json::from_slice(call.body.as_ref().unwrap()).unwrap();
    assert_eq!(review["kind"], "SubjectAccessReview");
    assert_eq!(review["apiVersion"], "authorization.k8s.io/v1");
    review["spec"].clone()
}

// === impl World ===

impl World {
    /// A token of `api/<name>` that outlives every test.
    fn token(&self, name: &str) -> String {
        self.sign(Token::for_service_account("api", name).pod("api-1").node("node-1"))
    }

    fn sign(&self, token: Token) -> String {
        token.issued_at(START).lifetime(24 * 3600).sign(&self.key)
    }

    fn outcome(&mut self, method: &str, path: &str, token: &str) -> Outcome {
        self.core.outcome(&request(method, path, token))
    }

    fn get(&mut self, path: &str, token: &str) -> Outcome {
        self.outcome("GET", path, token)
    }

    /// A request that must be paused.
    fn held(&mut self, method: &str, path: &str, token: &str) -> Request {
        let mut request = self.core.request(&request(method, path, token));
        assert_eq!(request.arrives(&mut self.core), HELD, "{method} {path}");
        request
    }

    fn call(&mut self) -> Callout {
        self.core.call()
    }

    fn is_quiet(&mut self) -> bool {
        self.core.is_quiet()
    }

    /// What a request asks.
    fn asked(&mut self, method: &str, path: &str, token: &str) -> Value {
        self.held(method, path, token);
        spec(&self.call())
    }

    /// The outcome of a request whose only review is answered with this reply.
    fn answered(&mut self, path: &str, token: &str, reply: Reply) -> Outcome {
        let mut request = self.held("GET", path, token);
        let call = self.call();
        self.core.answer_access(&call, reply).expect("a review in flight");
        request.wakes(&mut self.core)
    }

    /// The denial of a request whose only review is answered with this reply: reason and detail.
    fn denial(&mut self, path: &str, token: &str, reply: Reply) -> (Reason, String) {
        self.log();
        let outcome = self.answered(path, token, reply);
        let Outcome::Refused(reason) = outcome else { panic!("{outcome:?}") };
        let lines = self.log();
        let line = lines.iter().find(|line| line.starts_with('{')).expect("a line");
        let line: Value = serde_json::from_str(line).unwrap();
        (reason, line["detail"].as_str().unwrap().to_owned())
    }

    /// The log lines since the last call.
    fn log(&mut self) -> Vec<String> {
        self.core.log().into_iter().map(|(_, line)| line).collect()
    }

    fn wait(&mut self, duration: Duration) {
        self.core.wait(duration);
    }
}

fn request(method: &str, path: &str, token: &str) -> Pairs {
    let bearer = format!("Bearer {token}");
    pairs(&[(":method", method), (":path", path), ("authorization", &bearer)])
}
