//! Mistakes in `issuers`, each alone and against each other.

use super::{check, good, put, set, without};
use envoy_test::{KeyKind, SigningKey, jwks};
use serde_json::{Value, json};

const AUDIENCES: &str = "must name what callers' tokens are minted for";
const ISS: &str = "must be the tokens' iss";

#[test]
fn an_issuer_without_what_makes_one_is_refused() {
    check(vec![
        (without("/issuers"), vec![("issuers", "must name at least one issuer")]),
        (set("/issuers", json!([])), vec![("issuers", "must name at least one issuer")]),
        (without("/issuers/0/issuer"), vec![("issuers[0].issuer", ISS)]),
        (set("/issuers/0/issuer", json!("")), vec![("issuers[0].issuer", ISS)]),
        (set("/issuers/0/name", json!("")), vec![("issuers[0].name", "must be visible ASCII")]),
        (without("/issuers/0/audiences"), vec![("issuers[0].audiences", AUDIENCES)]),
        (set("/issuers/0/audiences", json!([])), vec![("issuers[0].audiences", AUDIENCES)]),
        (set("/issuers/0/audiences", json!([""])), vec![("issuers[0].audiences", AUDIENCES)]),
        (set("/issuers/0/audiences", json!(["a", ""])), vec![("issuers[0].audiences", AUDIENCES)]),
        (
            set("/issuers/0/leeway", json!("601s")),
            vec![("issuers[0].leeway", "at most 10m: it lengthens every token's life")],
        ),
    ]);
}

#[test]
fn a_review_that_cannot_be_had_or_would_be_worth_nothing_is_refused() {
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
        (review(json!({ "authority": "" })), at("issuers[0].tokenReview.authority", "is called")),
        (
            review(json!({ "use": "instead" })),
            at("issuers[0].keys", "is of no use with tokenReview.use \"instead\""),
        ),
        (
            review(json!({ "use": "first" })),
            at("issuers[0].tokenReview.use", "expected `afterVerification` or `instead`"),
        ),
        (review(json!({ "timeout": "0s" })), at("issuers[0].tokenReview.timeout", "more than 0s")),
        (
            review(json!({ "cacheTtl": "61m" })),
            at("issuers[0].tokenReview.cacheTtl", "at most 1h: for so long a deleted pod's"),
        ),
        (
            review(json!({ "cacheTtl": "10s", "refreshAhead": "10s" })),
            at("issuers[0].tokenReview.refreshAhead", "must be shorter than cacheTtl"),
        ),
    ]);
    let mut instead = review(json!({ "use": "instead", "onOutage": "acceptVerified" }));
    instead["issuers"][0].as_object_mut().unwrap().remove("keys");
    check(vec![(instead, at("issuers[0].tokenReview.onOutage", "must be \"deny\""))]);
    // The good configuration has `waitTimeout: "5s"`.
    let slow = review(json!({ "onOutage": "acceptVerified", "timeout": "5s" }));
    let fault = "must be shorter than limits.waitTimeout (5000 ms)";
    check(vec![(slow, at("issuers[0].tokenReview.timeout", fault))]);
}

#[test]
fn two_issuers_of_one_iss_are_not_told_apart_by_reviews() {
    let mut config = set("/issuers/0/name", json!("local"));
    let mut other = config["issuers"][0].clone();
    other["name"] = json!("other");
    other.as_object_mut().unwrap().remove("keys");
    other["tokenReview"] = json!({ "cluster": "api", "authority": "a.example", "use": "instead" });
    config["issuers"].as_array_mut().unwrap().push(other);
    let fault = "has the same iss, and without keys nothing tells them apart";
    check(vec![(config, vec![("issuers[1].tokenReview.use", fault)])]);
}

#[test]
fn a_demand_that_no_token_or_no_peer_can_fulfil_is_refused() {
    let domain = ("issuers[0].matchPeer.trustDomain", "must be a trust domain");
    let peer = |value| set("/issuers/0/matchPeer", value);
    check(vec![
        (
            set("/issuers/0/maxLifetime", json!("0s")),
            vec![("issuers[0].maxLifetime", "would refuse every token")],
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
fn an_alias_must_be_another_iss() {
    let iss = "https://kubernetes.default.svc.cluster.local";
    let another = "must be another iss than those before";
    check(vec![
        (set("/issuers/0/aliases", json!([""])), vec![("issuers[0].aliases[0]", another)]),
        (set("/issuers/0/aliases", json!([iss])), vec![("issuers[0].aliases[0]", another)]),
        (
            set("/issuers/0/aliases", json!(["a", "b", "a", iss])),
            vec![("issuers[0].aliases[2]", another), ("issuers[0].aliases[3]", another)],
        ),
    ]);
}

#[test]
fn tokens_from_secrets_can_have_no_issuer() {
    let legacy = "is that of tokens from Secrets";
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
fn two_issuers_need_two_names() {
    let again = vec![("issuers[1].name", "is an earlier issuer's name too")];
    let second = good()["issuers"][0].clone();
    let mut nameless = put(good(), "/issuers/1", second.clone());
    for at in [0, 1] {
        nameless["issuers"][at].as_object_mut().unwrap().remove("name");
    }
    check(vec![(put(good(), "/issuers/1", second), again.clone()), (nameless, again)]);
}

#[test]
fn keys_that_fit_any_token_cannot_be_told_apart_from_another_clusters() {
    let (one, two) = (SigningKey::generate(KeyKind::P256), SigningKey::generate(KeyKind::P256));
    let (pem, other) = (json!({ "pem": [one.pem()] }), json!({ "pem": [two.pem()] }));
    let inline = json!({ "inline": jwks(&[&two]) });
    let apart = vec![("issuers[1].keys", "tell them apart")];
    check(vec![
        (pair(pem.clone(), inline.clone()), apart.clone()),
        (pair(inline, pem.clone()), apart.clone()),
        (pair(pem, other), apart),
    ]);
}

/// Every token of the fetched issuer would be claimed by both, and answered 503.
#[test]
fn keys_that_fit_any_token_cannot_be_told_apart_from_fetched_ones_either() {
    let pem = json!({ "pem": [SigningKey::generate(KeyKind::P256).pem()] });
    let fetched = good()["issuers"][0]["keys"].clone();
    let apart = vec![("issuers[1].keys", "tell them apart")];
    check(vec![(pair(pem.clone(), fetched.clone()), apart.clone()), (pair(fetched, pem), apart)]);
}

#[test]
fn an_alias_that_is_anothers_iss_is_a_shared_iss() {
    let key = SigningKey::generate(KeyKind::P256);
    let keys = json!({ "inline": jwks(&[&key]) });
    let config = pair(keys.clone(), keys);
    let config = put(config, "/issuers/0/issuer", json!("https://first.example"));
    let config = put(config, "/issuers/1/issuer", json!("https://second.example"));
    let config = put(config, "/issuers/1/aliases", json!(["https://first.example"]));
    check(vec![(config, vec![("issuers[1].keys", "hold a key of \"local\"")])]);
}

#[test]
fn the_place_of_a_shared_key_is_right_though_an_issuer_before_it_is_broken() {
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
        vec![("issuers[0].keys", "exactly one of"), ("issuers[2].keys", "hold a key of \"local\"")],
    )]);
}

#[test]
fn a_name_that_stands_twice_is_told_though_the_first_issuer_is_broken() {
    let config = set("/issuers/0/keys", json!({}));
    let config = put(config, "/issuers/1", good()["issuers"][0].clone());
    check(vec![(
        config,
        vec![("issuers[0].keys", "exactly one of"), ("issuers[1].name", "is an earlier issuer's")],
    )]);
}

#[test]
fn a_rule_may_name_an_issuer_whose_keys_are_broken() {
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
