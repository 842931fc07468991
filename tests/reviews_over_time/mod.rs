//! An issuer's TokenReviews over time: requests, caching, refresh, limits, and outages.

mod accept_verified;
mod answers;
mod caching;
mod in_flight;
mod instead;
mod issuers;
mod metrics;
mod outage;
mod refresh;
mod rejected_before_outage;
mod rejections;
mod requests;
mod secrecy;

use crate::support::{self, Core, Outcome, Request, ReviewEnded, get, seconds, with};
use envoy_test::{KeyKind, SigningKey, Token};
use sa_authn::callout::{Callout, Reply};
use sa_authn::denial::{Denial, Reason};
use serde_json::{Value, json};
use std::time::Duration;

/// The start time of every test.
const START: u64 = 1_800_000_000;

const HELD: Outcome = Outcome::Held;
const REVOKED: Outcome = Outcome::Refused(Reason::Revoked);
const UNAVAILABLE: Outcome = Outcome::Refused(Reason::ReviewUnavailable);
const OVERLOADED: Outcome = Outcome::Refused(Reason::Overloaded);

/// A cluster's key, and a core that sends reviews to its API server.
struct World {
    core: Core,
    key: SigningKey,
}

/// A caller's token and its claims.
struct Caller {
    token: String,
    claims: Value,
}

/// `use: "afterVerification"`, with these members of `tokenReview`.
fn verifying(review: Value) -> World {
    configured(review, json!({}))
}

/// The same, with further members of the configuration.
fn configured(review: Value, more: Value) -> World {
    configured_with(SigningKey::generate(KeyKind::P256), review, more)
}

/// The same, for this key.
fn configured_with(key: SigningKey, review: Value, more: Value) -> World {
    let mut config = support::inline(&[&key]);
    config["issuers"][0]["tokenReview"] = with(plan(), review);
    World { core: Core::at(START, &with(config, more)), key }
}

/// `use: "instead"`, without keys.
fn reviewing(review: Value, more: Value) -> World {
    let key = SigningKey::generate(KeyKind::P256);
    let mut config = support::inline(&[]);
    let issuer = config["issuers"][0].as_object_mut().unwrap();
    issuer.remove("keys");
    issuer
        .insert("tokenReview".to_owned(), with(with(plan(), review), json!({ "use": "instead" })));
    World { core: Core::at(START, &with(config, more)), key }
}

fn plan() -> Value {
    json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" })
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// === responses of the API server ===

/// The response to a created TokenReview.
fn created(review: &Value) -> Reply {
    answered(201, review)
}

fn answered(status: u16, body: &Value) -> Reply {
    support::answered(status, body.to_string())
}

fn review(status: &Value) -> Value {
    json!({
        "kind": "TokenReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": { "managedFields": [{ "manager": "unknown", "fieldsV1": { "f:spec": {} } }] },
        "spec": { "token": "the token of the request", "audiences": [envoy_test::token::DEFAULT_AUDIENCE] },
        "status": status,
    })
}

/// The response for a token whose pod was deleted.
fn gone() -> Reply {
    let error = "[invalid bearer token, service account token has been invalidated]";
    created(&review(&json!({ "user": {}, "error": error })))
}

// === impl Caller ===

impl Caller {
    /// The status of an approval of this token.
    fn status(&self) -> Value {
        let private = &self.claims["kubernetes.io"];
        let mut extra = json!({ "authentication.kubernetes.io/credential-id":
            [format!("JTI={}", self.claims["jti"].as_str().unwrap())] });
        for (kind, member) in [("pod", "name"), ("pod", "uid"), ("node", "name"), ("node", "uid")] {
            if let Some(value) = private[kind][member].as_str() {
                extra[format!("authentication.kubernetes.io/{kind}-{member}")] = json!([value]);
            }
        }
        let namespace = private["namespace"].as_str().unwrap();
        let of_namespace = format!("system:serviceaccounts:{namespace}");
        json!({
            "authenticated": true,
            "user": {
                "username": self.claims["sub"],
                "uid": private["serviceaccount"]["uid"],
                "groups": ["system:serviceaccounts", of_namespace, "system:authenticated"],
                "extra": extra,
            },
            "audiences": self.claims["aud"],
        })
    }

    /// The approval of this token.
    fn approved(&self) -> Reply {
        created(&review(&self.status()))
    }

    fn get(&self, path: &str) -> envoy_test::Pairs {
        get(path, &self.token)
    }
}

// === impl World ===

impl World {
    /// A token that outlives every test.
    fn caller(&self, name: &str) -> Caller {
        let token = Token::for_service_account("api", name).pod("api-1").node("node-1");
        self.holder(token.issued_at(START).lifetime(24 * 3600))
    }

    fn holder(&self, token: Token) -> Caller {
        Caller { token: token.sign(&self.key), claims: token.claims().clone() }
    }

    /// The outcome of a request of this caller now.
    fn by(&mut self, caller: &Caller) -> Outcome {
        self.core.outcome(&caller.get("/"))
    }

    /// The denial of a request of this caller.
    fn denial(&mut self, caller: &Caller) -> Denial {
        self.core.denial(&caller.get("/"))
    }

    /// A request of this caller, which must be paused.
    fn held(&mut self, caller: &Caller) -> Request {
        let mut request = self.core.request(&caller.get("/"));
        assert_eq!(request.arrives(&mut self.core), HELD);
        request
    }

    fn call(&mut self) -> Callout {
        self.core.call()
    }

    /// Whether no call is due.
    fn is_quiet(&mut self) -> bool {
        self.core.is_quiet()
    }

    /// Answers the only call that is due.
    fn answer(&mut self, reply: Reply) -> ReviewEnded {
        let call = self.call();
        self.core.answer_review(&call, reply)
    }

    /// The outcome of a paused request whose review is answered with this reply.
    fn answered(&mut self, caller: &Caller, reply: Reply) -> Outcome {
        let mut request = self.held(caller);
        let settled = self.answer(reply);
        request.reviewed(&mut self.core, &settled)
    }

    /// Sends a caller's first request, which the API server approves.
    fn admit(&mut self, caller: &Caller) {
        let outcome = self.answered(caller, caller.approved());
        assert!(outcome.passes(), "{outcome:?}");
    }

    /// Whether a request passes without a pause.
    fn passes(&mut self, caller: &Caller) -> bool {
        self.by(caller).passes()
    }

    fn wait(&mut self, duration: Duration) {
        self.core.wait(duration);
    }

    /// The cache lookups since the last call: accepted, refused, missed.
    fn look_ups(&mut self) -> [u64; 3] {
        let counts = self.core.counts();
        ["accepted", "refused", "miss"]
            .map(|found| Core::counted(&counts, &format!("sa_authn.review_cache.{found}")))
    }
}
