//! A `jwks_uri` on another server, path prefixes, and the server of the keys.

use super::{HELD, START, core, is_about, key, seconds, set, status};
use crate::support::{Core, ok, with};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::authn::keys::Settled;
use sa_authn::callout::Callout;
use serde_json::{Value, json};

const BUCKET: &str = "https://bucket.s3.us-east-1.amazonaws.com/oidc/openid/v1/jwks";

fn document(jwks_uri: &str) -> String {
    json!({ "issuer": DEFAULT_ISSUER, "jwks_uri": jwks_uri }).to_string()
}

/// A core with these members of `keys.discovery`.
fn with_discovery(members: Value) -> Core {
    let mut config = super::discovered(json!({}));
    let discovery = config["issuers"][0]["keys"]["discovery"].take();
    config["issuers"][0]["keys"]["discovery"] = with(discovery, members);
    Core::at(START, &config)
}

/// Answers the discovery with this `jwks_uri`, and returns the next call.
fn discover(core: &mut Core, jwks_uri: &str) -> Callout {
    let discovery = core.call();
    assert!(discovery.path.ends_with("/.well-known/openid-configuration"), "{}", discovery.path);
    core.reply(&discovery, ok(document(jwks_uri)));
    core.call()
}

fn failure(core: &mut Core, call: &Callout, code: u16) -> Option<String> {
    match core.reply(call, status(code)).expect("a call in flight").outcome {
        Settled::Failed(failure) => Some(failure.to_string()),
        Settled::Continues => None,
        other => panic!("{other:?}"),
    }
}

/// kops, Gardener, self-hosted IRSA: the API server serves the keys at its own path, too.
#[test]
fn keys_of_a_document_that_names_another_server_come_from_the_api_server() {
    for code in [401, 403, 404] {
        let (mut core, key) = (core(json!({})), key());
        let mut request = core.held_by(&key);
        let first = discover(&mut core, BUCKET);
        assert_eq!(first.path, "/oidc/openid/v1/jwks");
        assert_eq!(first.authority, "kubernetes.default.svc");
        assert_eq!(failure(&mut core, &first, code), None, "{code}");
        let second = core.call();
        assert_eq!(
            (second.path.as_str(), second.cluster.as_str()),
            ("/openid/v1/jwks", "kube-apiserver")
        );
        core.reply(&second, ok(set(&[&key])));
        assert!(request.wakes(&mut core).passes(), "{code}");
        // The path that worked is remembered.
        core.wait_for_next();
        assert_eq!(core.call().path, "/openid/v1/jwks");
    }
}

#[test]
fn path_of_the_document_is_kept_if_it_works() {
    let (mut core, key) = (core(json!({})), key());
    let call = discover(&mut core, "https://10.0.0.1:6443/keys");
    core.reply(&call, ok(set(&[&key])));
    assert!(core.by(&key).passes());
    core.wait_for_next();
    assert_eq!(core.call().path, "/keys");
}

#[test]
fn other_failures_cause_no_second_path() {
    for code in [400, 429, 500, 503] {
        let mut core = core(json!({}));
        let call = discover(&mut core, BUCKET);
        assert!(failure(&mut core, &call, code).is_some(), "{code}");
    }
}

#[test]
fn path_of_the_configured_server_has_no_fallback() {
    for uri in ["https://kubernetes.default.svc/keys", "https://KUBERNETES.default.svc:443/keys"] {
        let mut core = core(json!({}));
        let call = discover(&mut core, uri);
        let text = failure(&mut core, &call, 403).expect("a failure");
        assert!(text.starts_with("GET /keys: status 403: "), "{text}");
        assert!(!text.contains("discovery names"), "{text}");
    }
}

#[test]
fn failure_names_the_uri_the_path_and_the_field() {
    for code in [401, 403, 404] {
        let mut core = core(json!({}));
        let first = discover(&mut core, BUCKET);
        assert_eq!(failure(&mut core, &first, code), None);
        let second = core.call();
        let text = failure(&mut core, &second, code).expect("a failure");
        let start = format!("GET /openid/v1/jwks: status {code}: ");
        let end = format!(
            "; discovery names {BUCKET:?}, on another server: set keys.discovery.jwksServer to its \
             cluster and authority, or use keys.jwks"
        );
        assert!(text.starts_with(&start) && text.ends_with(&end), "{text}");
        assert!(is_about(core.until_next(), seconds(1)));
    }
}

#[test]
fn keys_come_from_the_jwks_server() {
    let server = json!({ "cluster": "oidc", "authority": "bucket.s3.us-east-1.amazonaws.com" });
    let (mut core, key) = (with_discovery(json!({ "jwksServer": server })), key());
    let call = discover(&mut core, BUCKET);
    let asked = (call.cluster.as_str(), call.authority.as_str(), call.path.as_str());
    assert_eq!(asked, ("oidc", "bucket.s3.us-east-1.amazonaws.com", "/oidc/openid/v1/jwks"));
    core.reply(&call, ok(set(&[&key])));
    assert!(core.by(&key).passes());
    core.wait_for_next();
    assert_eq!(core.call().cluster, "oidc");
}

/// Its keys could be those of another issuer.
#[test]
fn jwks_server_has_no_fallback_to_the_api_server() {
    let server = json!({ "cluster": "oidc", "authority": "bucket.s3.us-east-1.amazonaws.com" });
    let mut core = with_discovery(json!({ "jwksServer": server }));
    let call = discover(&mut core, BUCKET);
    assert!(failure(&mut core, &call, 404).expect("a failure").starts_with("GET /oidc/openid"));
    assert_eq!(core.by(&key()), HELD);
}

#[test]
fn path_prefix_precedes_discovery_and_keys_of_an_api_server_behind_a_proxy() {
    let (mut core, key) = (with_discovery(json!({ "pathPrefix": "/k8s/clusters/c-1" })), key());
    let discovery = core.call();
    assert_eq!(discovery.path, "/k8s/clusters/c-1/.well-known/openid-configuration");
    core.reply(&discovery, ok(document("https://10.0.0.1:6443/openid/v1/jwks")));
    let call = core.call();
    assert_eq!(call.path, "/k8s/clusters/c-1/openid/v1/jwks");
    core.reply(&call, ok(set(&[&key])));
    assert!(core.by(&key).passes());
}

#[test]
fn fallback_has_the_path_prefix() {
    let mut core = with_discovery(json!({ "pathPrefix": "/k8s/clusters/c-1" }));
    let call = discover(&mut core, BUCKET);
    assert_eq!(call.path, "/k8s/clusters/c-1/oidc/openid/v1/jwks");
    assert_eq!(failure(&mut core, &call, 404), None);
    assert_eq!(core.call().path, "/k8s/clusters/c-1/openid/v1/jwks");
}

/// EKS, GKE, AKS: the document and the keys are below the path of the issuer.
#[test]
fn document_of_an_issuer_with_a_path_is_asked_below_that_path() {
    for (prefix, host, jwks) in [
        ("/id/8EBD00BAE", "oidc.eks.us-west-2.amazonaws.com", "/id/8EBD00BAE/keys"),
        (
            "/v1/projects/p/locations/l/clusters/c",
            "container.googleapis.com",
            "/v1/projects/p/locations/l/clusters/c/jwks",
        ),
        ("/tenant/uuid", "westus3.oic.prod-aks.azure.com", "/tenant/uuid/openid/v1/jwks"),
    ] {
        let members = json!({ "pathPrefix": prefix, "authority": host, "cluster": "oidc" });
        let (mut core, key) = (with_discovery(members), key());
        let call = discover(&mut core, &format!("https://{host}{jwks}"));
        assert_eq!((call.path.as_str(), call.authority.as_str()), (jwks, host));
        core.reply(&call, ok(set(&[&key])));
        assert!(core.by(&key).passes(), "{host}");
    }
}

#[test]
fn change_of_prefix_or_jwks_server_takes_over_no_keys() {
    let server = json!({ "cluster": "oidc", "authority": "oidc.example" });
    for members in [json!({ "pathPrefix": "/other" }), json!({ "jwksServer": server })] {
        let (mut old, key) = (core(json!({})), key());
        old.publish(&set(&[&key]));
        let mut new = with_discovery(members);
        new.now = old.now;
        new.takes_over(&mut old);
        assert_eq!(new.by(&key), HELD);
    }
}
