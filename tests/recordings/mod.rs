//! Tokens, documents and reviews recorded from a real kube-apiserver (v1.36.2).

mod documents;
mod forged;
mod reviews;
mod tokens;

use sa_authn::authn::ServiceAccount;
use sa_authn::authn::claims::ObjectRef;
use sa_authn::exchange::Finished;
use sa_authn::verdict::Verdict;
use serde_json::{Map, Value, json};

/// When the recorded tokens were minted.
const MINTED: u64 = 1_795_302_068;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The audience of tokens that were requested for the filter.
const FILTER: &str = "https://filter.example";

/// The audience of tokens requested without an audience: the API server's own.
const API: &str = ISSUER;

const JWKS: &str = include_str!("../testdata/jwks.json");

/// The recorded issuer with these audiences and keys.
fn config(audiences: &[&str], keys: &Value) -> Value {
    let issuer = json!({
        "name": "recorded", "issuer": ISSUER, "audiences": audiences, "keys": { "inline": keys },
    });
    json!({ "issuers": [issuer] })
}

fn parse(recording: &str) -> Map<String, Value> {
    serde_json::from_str(recording).expect("a recording is a JSON object")
}

/// The accepted caller, or the reason of the denial.
fn read(finished: Option<Finished>) -> String {
    let Some(Finished { verdict, caller, .. }) = finished else { return "held".to_owned() };
    match (verdict, caller) {
        (Verdict::Allow(..), Ok(caller)) => named(&caller),
        (Verdict::Deny(denial), _) => denial.reason().code().to_owned(),
        (verdict, _) => format!("{verdict:?}"),
    }
}

/// Such as `demo/app in app-1 on node1`.
fn named(caller: &ServiceAccount) -> String {
    named_as(caller.namespace(), caller.name(), caller.pod(), caller.node())
}

fn named_as(
    namespace: &str,
    name: &str,
    pod: Option<ObjectRef<'_>>,
    node: Option<ObjectRef<'_>>,
) -> String {
    let mut text = format!("{namespace}/{name}");
    for (word, object) in [("in", pod), ("on", node)] {
        if let Some(object) = object {
            text += &format!(" {word} {}", object.name);
        }
    }
    text
}
