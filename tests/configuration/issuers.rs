//! Errors in `issuers`.

use super::{check, good, put, set, without};
use envoy_test::{KeyKind, SigningKey, jwks};
use serde_json::{Value, json};

const AUDIENCES: &str = "list the audience your callers request";
const ISS: &str = "must not be empty; set the `iss`";

#[test]
fn issuer_without_required_fields_is_rejected() {
    check(vec![
        (without("/issuers"), vec![("issuers", "must not be empty; add the issuer")]),
        (set("/issuers", json!([])), vec![("issuers", "must not be empty; add the issuer")]),
        (without("/issuers/0/issuer"), vec![("issuers[0].issuer", ISS)]),
        (set("/issuers/0/issuer", json!("")), vec![("issuers[0].issuer", ISS)]),
        (
            set("/issuers/0/name", json!("")),
            vec![("issuers[0].name", "must be visible ASCII and not empty")],
        ),
        (without("/issuers/0/audiences"), vec![("issuers[0].audiences", AUDIENCES)]),
        (set("/issuers/0/audiences", json!([])), vec![("issuers[0].audiences", AUDIENCES)]),
        (set("/issuers/0/audiences", json!([""])), vec![("issuers[0].audiences", AUDIENCES)]),
        (set("/issuers/0/audiences", json!(["a", ""])), vec![("issuers[0].audiences", AUDIENCES)]),
        (
            set("/issuers/0/leeway", json!("601s")),
            vec![("issuers[0].leeway", "must be at most 10m, found 601s")],
        ),
    ]);
}

#[test]
fn issuers_and_audiences_that_no_token_has_are_rejected() {
    let space = "must not begin or end with white space";
    for (iss, fault) in [
        (" https://kubernetes.default.svc ", space),
        ("https://kubernetes.default.svc\n", space),
        ("https://kubernetes default", "must not contain white space"),
        ("https://", "must have a host"),
        ("https:///id/1", "must have a host"),
        ("https://h?x=1", "must not have a query"),
        ("https://h/#x", "must not have a query or a fragment"),
    ] {
        check(vec![
            (set("/issuers/0/issuer", json!(iss)), vec![("issuers[0].issuer", fault)]),
            (set("/issuers/0/aliases", json!([iss])), vec![("issuers[0].aliases[0]", fault)]),
        ]);
    }
    for iss in
        ["local", "urn:example:a", "https://h:6443/id/X/", "spiffe://td", "kubernetes.default.svc"]
    {
        check(vec![(set("/issuers/0/issuer", json!(iss)), vec![])]);
    }
    check(vec![
        (
            set("/issuers/0/audiences", json!(["a", "secret-store "])),
            vec![("issuers[0].audiences[1]", space)],
        ),
        // Kubernetes issues tokens for such audiences.
        (set("/issuers/0/audiences", json!(["a b", "\u{fc}"])), vec![]),
    ]);
}

#[test]
fn invalid_token_review_settings_are_rejected() {
    let review = |fields: Value| {
        let mut review = json!({ "cluster": "api", "authority": "kubernetes.default.svc" });
        review.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        set("/issuers/0/tokenReview", review)
    };
    let at = |field: &'static str, fault: &'static str| vec![(field, fault)];
    check(vec![
        (
            review(json!({ "cluster": "" })),
            at("issuers[0].tokenReview.cluster", "an Envoy cluster"),
        ),
        (review(json!({ "authority": "" })), at("issuers[0].tokenReview.authority", "host name")),
        (
            review(json!({ "use": "instead" })),
            at("issuers[0].keys", "not used if tokenReview.use is \"instead\""),
        ),
        (
            review(json!({ "use": "first" })),
            at("issuers[0].tokenReview.use", "expected `afterVerification` or `instead`"),
        ),
        (
            review(json!({ "timeout": "0s" })),
            at("issuers[0].tokenReview.timeout", "from 1ms to 60s, found 0s"),
        ),
        (
            review(json!({ "cacheTtl": "61m" })),
            at("issuers[0].tokenReview.cacheTtl", "at most 1h, found 61m; deleted pods' tokens"),
        ),
        (
            review(json!({ "cacheTtl": "10s", "refreshAhead": "10s" })),
            at(
                "issuers[0].tokenReview.refreshAhead",
                "must be shorter than cacheTtl (10s), found 10s",
            ),
        ),
    ]);
    let mut instead = review(json!({ "use": "instead", "onOutage": "acceptVerified" }));
    instead["issuers"][0].as_object_mut().unwrap().remove("keys");
    check(vec![(instead, at("issuers[0].tokenReview.onOutage", "must be \"deny\""))]);
    // The valid configuration has `waitTimeout: "5s"`.
    let slow = review(json!({ "onOutage": "acceptVerified", "timeout": "5s" }));
    let fault = "must be shorter than limits.waitTimeout (5s)";
    check(vec![(slow, at("issuers[0].tokenReview.timeout", fault))]);
}

#[test]
fn issuers_with_the_same_iss_need_keys() {
    let mut config = set("/issuers/0/name", json!("local"));
    let mut other = config["issuers"][0].clone();
    other["name"] = json!("other");
    other.as_object_mut().unwrap().remove("keys");
    other["tokenReview"] = json!({ "cluster": "api", "authority": "a.example", "use": "instead" });
    config["issuers"].as_array_mut().unwrap().push(other);
    let fault = "issuer \"local\" has the same `iss`, so keys are needed to tell the two apart";
    check(vec![(config, vec![("issuers[1].tokenReview.use", fault)])]);
}

#[test]
fn requirements_that_no_token_or_peer_can_meet_are_rejected() {
    let domain = ("issuers[0].matchPeer.trustDomain", "must be a trust domain");
    let peer = |value| set("/issuers/0/matchPeer", value);
    check(vec![
        (
            set("/issuers/0/maxLifetime", json!("0s")),
            vec![(
                "issuers[0].maxLifetime",
                "must be at least 1ms, found 0s; Kubernetes issues tokens",
            )],
        ),
        (
            set("/issuers/0/requireBound", json!("node")),
            vec![("issuers[0].requireBound", "unknown variant `node`")],
        ),
        (
            set("/issuers/0/honorWarnAfter", json!("yes")),
            vec![("issuers[0].honorWarnAfter", "expected a boolean")],
        ),
        (peer(json!("cluster.local")), vec![("issuers[0].matchPeer", "true, false or")]),
        (peer(json!({})), vec![domain]),
        (peer(json!({ "trustDomain": "" })), vec![domain]),
        (peer(json!({ "trustDomain": "Cluster.local" })), vec![domain]),
        (peer(json!({ "trustDomain": "spiffe://cluster.local" })), vec![domain]),
        (
            peer(json!({ "trustDomain": "a", "domain": "a" })),
            vec![("issuers[0].matchPeer.domain", "unknown field")],
        ),
    ]);
}

#[test]
fn aliases_must_be_unique_and_not_empty() {
    let iss = "https://kubernetes.default.svc.cluster.local";
    let another = "is already the issuer or an earlier alias";
    check(vec![
        (
            set("/issuers/0/aliases", json!([""])),
            vec![("issuers[0].aliases[0]", "must not be empty")],
        ),
        (set("/issuers/0/aliases", json!([iss])), vec![("issuers[0].aliases[0]", another)]),
        (
            set("/issuers/0/aliases", json!(["a", "b", "a", iss])),
            vec![("issuers[0].aliases[2]", another), ("issuers[0].aliases[3]", another)],
        ),
    ]);
}

#[test]
fn issuer_of_tokens_from_secrets_is_rejected() {
    let legacy = "is the issuer of tokens from Secrets";
    check(vec![
        (
            set("/issuers/0/issuer", json!("kubernetes/serviceaccount")),
            vec![("issuers[0].issuer", legacy)],
        ),
        (
            set("/issuers/0/aliases", json!(["kubernetes/serviceaccount"])),
            vec![("issuers[0].issuer", legacy)],
        ),
    ]);
}

#[test]
fn issuer_names_must_be_unique() {
    let again = vec![("issuers[1].name", "is also the name of issuers[0]")];
    let second = good()["issuers"][0].clone();
    let mut nameless = put(good(), "/issuers/1", second.clone());
    for at in [0, 1] {
        nameless["issuers"][at].as_object_mut().unwrap().remove("name");
    }
    check(vec![(put(good(), "/issuers/1", second), again.clone()), (nameless, again)]);
}

#[test]
fn pem_keys_are_rejected_for_issuers_with_the_same_iss() {
    let (one, two) = (SigningKey::generate(KeyKind::P256), SigningKey::generate(KeyKind::P256));
    let (pem, other) = (json!({ "pem": [one.pem()] }), json!({ "pem": [two.pem()] }));
    let inline = json!({ "inline": jwks(&[&two]) });
    let apart = vec![("issuers[1].keys", "need key IDs, which PEM does not have")];
    check(vec![
        (pair(pem.clone(), inline.clone()), apart.clone()),
        (pair(inline, pem.clone()), apart.clone()),
        (pair(pem, other), apart),
    ]);
}

/// Otherwise both issuers would match every token of the fetched issuer, and the filter would answer 503.
#[test]
fn pem_keys_are_rejected_beside_fetched_keys_of_the_same_iss() {
    let pem = json!({ "pem": [SigningKey::generate(KeyKind::P256).pem()] });
    let fetched = good()["issuers"][0]["keys"].clone();
    let apart = vec![("issuers[1].keys", "need key IDs, which PEM does not have")];
    check(vec![(pair(pem.clone(), fetched.clone()), apart.clone()), (pair(fetched, pem), apart)]);
}

#[test]
fn alias_that_is_the_iss_of_another_issuer_counts_as_the_same_iss() {
    let key = SigningKey::generate(KeyKind::P256);
    let keys = json!({ "inline": jwks(&[&key]) });
    let config = pair(keys.clone(), keys);
    let config = put(config, "/issuers/0/issuer", json!("https://first.example"));
    let config = put(config, "/issuers/1/issuer", json!("https://second.example"));
    let config = put(config, "/issuers/1/aliases", json!(["https://first.example"]));
    check(vec![(
        config,
        vec![("issuers[1].keys", "issuer \"local\" has the same `iss` and the same key")],
    )]);
}

#[test]
fn index_of_a_shared_key_is_correct_after_an_invalid_issuer() {
    let key = SigningKey::generate(KeyKind::P256);
    let keys = json!({ "inline": jwks(&[&key]) });
    let mut config = pair(keys.clone(), keys);
    let mut broken = good()["issuers"][0].clone();
    broken["name"] = json!("broken");
    broken["keys"] = json!({});
    let issuers = config["issuers"].as_array_mut().unwrap();
    issuers.insert(0, broken);
    check(vec![(
        config,
        vec![
            ("issuers[0].keys", "exactly one of"),
            ("issuers[2].keys", "issuer \"local\" has the same `iss` and the same key"),
        ],
    )]);
}

#[test]
fn duplicate_issuer_name_is_reported_even_if_the_first_issuer_is_invalid() {
    let config = set("/issuers/0/keys", json!({}));
    let config = put(config, "/issuers/1", good()["issuers"][0].clone());
    check(vec![(
        config,
        vec![
            ("issuers[0].keys", "exactly one of"),
            ("issuers[1].name", "issuer names must be unique"),
        ],
    )]);
}

#[test]
fn rule_may_refer_to_an_issuer_with_invalid_keys() {
    let config = set("/issuers/0/keys", json!({}));
    let config = put(config, "/rules/1/allow", json!([{ "issuerName": "local" }]));
    check(vec![(config, vec![("issuers[0].keys", "exactly one of")])]);
}

/// Two issuers that share the iss and differ in their names and keys.
fn pair(first: Value, second: Value) -> Value {
    let config = set("/issuers/0/keys", first);
    let mut other = good()["issuers"][0].clone();
    other["name"] = json!("other");
    other["keys"] = second;
    put(config, "/issuers/1", other)
}
