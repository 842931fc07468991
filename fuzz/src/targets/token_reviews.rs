//! Any response to a TokenReview: a caller is approved only if the response says so.

use std::rc::Rc;

use sa_authn::authn::claims::Claims;
use sa_authn::authn::issuer::IssuerIdentity;
use sa_authn::authn::token_review::AcceptedReview;
use sa_authn::config::Config;
use serde_json::{Map, Value, json};

use super::Target;
use crate::genuine::{FILTER, ISSUER};
use crate::world::{config, inline, ok};

thread_local! {
    static ISSUERS: Rc<IssuerIdentity> = {
        let mut config = config(inline(), json!({}));
        config["issuers"][0]["tokenReview"] =
            json!({ "cluster": "api", "authority": "kubernetes.default.svc" });
        let mut issuers = Config::parse(config.to_string().as_bytes()).expect("a configuration").issuers;
        Rc::new(issuers.remove(0).0)
    };
}

/// Reads the answer, for a token that says what the answer says of it.
fn read(bytes: &[u8], status: &Value) -> Option<AcceptedReview> {
    let user = &status["user"];
    let extra = |key: &str| user["extra"][format!("authentication.kubernetes.io/{key}")][0].clone();
    let username = user["username"].as_str()?;
    let (namespace, name) = username.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let mut private = json!({
        "namespace": namespace, "serviceaccount": { "name": name, "uid": user["uid"] },
    });
    if let Some(pod) = extra("pod-name").as_str() {
        private["pod"] = json!({ "name": pod, "uid": extra("pod-uid") });
    }
    let claims = json!({ "sub": username, "kubernetes.io": private }).to_string();
    let claims = Rc::new(Claims::parse(claims).ok()?);
    ISSUERS.with(|issuer| issuer.review.as_ref()?.read(ok(bytes), issuer, &claims).ok())
}

/// The target.
pub const TARGET: Target = Target { name: "token_reviews", check, seeds };

fn check(bytes: &[u8]) {
    let review = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let status = &review["status"];
    let Some(accepted) = read(bytes, status) else { return };
    let accepted = accepted.user();
    assert_eq!(status["authenticated"], json!(true));
    let username = format!("system:serviceaccount:{}:{}", accepted.namespace(), accepted.name());
    assert_eq!(status["user"]["username"], json!(username));
    assert!(!accepted.namespace().is_empty() && !accepted.name().is_empty());
    let audiences = status["audiences"].as_array().expect("the core found audiences");
    assert!(audiences.contains(&json!(accepted.audience())));
    assert!([FILTER, ISSUER].contains(&accepted.audience()));
}

fn seeds() -> Vec<Vec<u8>> {
    let recorded: Map<String, Value> = serde_json::from_str(RECORDED).expect("the recording");
    let review = |recorded: &Value| {
        json!({
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "status": recorded["status"],
        })
    };
    recorded.values().map(|recorded| review(recorded).to_string().into_bytes()).collect()
}

const RECORDED: &str = include_str!("../../../tests/testdata/tokenreview.json");
