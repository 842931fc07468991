//! Every recorded TokenReview: approved or rejected, and the caller it names.

use super::{API, FILTER, JWKS, config, named_as, parse};
use sa_authn::authn::claims::Claims;
use sa_authn::authn::issuer::IssuerIdentity;
use sa_authn::authn::token_review::{AcceptedReview, ReviewedUser};
use sa_authn::callout::Reply;
use sa_authn::config::Config;
use sa_authn::denial::{Denial, Reason};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::rc::Rc;

const AFTER_DELETE: &str = include_str!("../testdata/tokenreview_after_delete.json");
const RECORDED: &str = include_str!("../testdata/tokenreview.json");

/// With the filter's audience: approved cases and their callers.
const ACCEPTED: [(&str, &str); 34] = [
    ("_verbatim_pod_node1", "demo/app in app-1 on node1"),
    ("aud_api_and_filter.aud_filter", "demo/app"),
    ("aud_one_600s.aud_filter", "demo/app"),
    ("aud_two.aud_filter", "demo/app"),
    ("aud_two.request_three", "demo/app"),
    ("forged.alg_PS256", "demo/app"),
    ("forged.alg_RS384", "demo/app"),
    ("forged.alg_RS512", "demo/app"),
    ("forged.aud_string_not_list", "demo/app"),
    ("forged.exp_float", "demo/app"),
    ("forged.expired_30s_ago", "demo/app"),
    ("forged.expired_58s_ago", "demo/app"),
    ("forged.iat_in_30s", "demo/app"),
    ("forged.jwk_in_header_unrelated", "demo/app"),
    ("forged.nbf_in_30s", "demo/app"),
    ("forged.no_exp", "demo/app"),
    ("forged.no_jti", "demo/app"),
    ("forged.no_kid", "demo/app"),
    ("forged.no_nbf_iat", "demo/app"),
    ("forged.no_sub", "demo/app"),
    ("forged.same_claims_resigned_ok", "demo/app"),
    ("forged.sub_differs_from_claims", "demo/app"),
    ("forged.typ_JWT", "demo/app"),
    ("forged.typ_at+jwt", "demo/app"),
    ("node_bound.aud_filter", "demo/app on node1"),
    ("other.aud_filter", "demo/other"),
    ("pod_missing_node.aud_filter", "demo/app in app-ghost on ghost-node"),
    ("pod_no_node.aud_filter", "demo/app in app-nonode"),
    ("pod_node1.aud_filter", "demo/app in app-1 on node1"),
    ("pod_node1_filter_aud_3607s.aud_filter", "demo/app in app-1 on node1"),
    ("reviewer.sa_with_auth_delegator", "demo/app"),
    ("secret_bound.aud_filter", "demo/app"),
    ("tampered.noncanonical_trailing_bits", "demo/app"),
    ("ten_years.aud_filter", "demo/app"),
];

/// Answered `authenticated: true`, and yet not believed: what the detail says of why.
const MISMATCHED: [(&str, &str); 12] = [
    ("aud_api_and_filter.no_audiences_in_request", "reviewed for audiences"),
    ("default.no_audiences_in_request", "reviewed for audiences"),
    ("forged.no_aud_no_request", "reviewed for audiences"),
    ("garbage.newline_after", "reviewed for audiences"),
    ("garbage.space_before", r#"reviewed as "system:anonymous""#),
    ("legacy_secret.no_audiences_in_request", "reviewed for audiences"),
    ("pod_node1_api_aud_3600s.no_audiences_in_request", "reviewed for audiences"),
    ("pod_node1_api_aud_3607s_extended.no_audiences_in_request", "reviewed for audiences"),
    ("whitespace.space_forged_alg_none", r#"reviewed as "system:anonymous""#),
    ("whitespace.space_only", r#"reviewed as "system:anonymous""#),
    ("whitespace.space_x", r#"reviewed as "system:anonymous""#),
    ("whitespace.tab", r#"reviewed as "system:anonymous""#),
];

/// Cases without a review: errors of the reviewer or the filter, not of the caller.
const UNAVAILABLE: [(&str, &str); 4] = [
    ("garbage.empty", "the API server answered 400"),
    ("reviewer.anonymous", "the API server answered 403"),
    ("reviewer.own_token_has_wrong_aud", "the API server answered 401"),
    ("reviewer.sa_without_rbac", "the API server answered 403"),
];

#[test]
fn every_recorded_review_has_the_expected_result() {
    let wanted = issuer(&[FILTER]);
    for (case, recorded) in reviews() {
        match (judge(&recorded, &wanted), listed(&ACCEPTED, &case)) {
            (Ok(review), Some(expected)) => assert_eq!(caller(review.user()), expected, "{case}"),
            (Ok(review), None) => panic!("{case} is accepted for {}", caller(review.user())),
            (Err(denial), None) => check_refusal(&case, &recorded, &denial),
            (Err(denial), Some(_)) => panic!("{case}: {denial:?}"),
        }
    }
}

fn check_refusal(case: &str, recorded: &Value, denial: &Denial) {
    let (reason, detail) = if let Some(detail) = listed(&MISMATCHED, case) {
        (Reason::ReviewMismatch, detail)
    } else if let Some(detail) = listed(&UNAVAILABLE, case) {
        (Reason::ReviewUnavailable, detail)
    } else {
        let error = recorded["status"]["error"].as_str().expect("an error");
        (reason_of(error), error)
    };
    assert_eq!(denial.reason(), reason, "{case}: {}", denial.detail());
    assert!(denial.detail().starts_with(detail), "{case}: {}", denial.detail());
}

/// The reason of each recorded text.
fn reason_of(error: &str) -> Reason {
    let rejection = error.strip_prefix("[invalid bearer token, ").unwrap_or(error);
    match rejection.trim_end_matches(']') {
        "service account token has expired" => Reason::Expired,
        "service account token is issued in the future"
        | "service account token is not valid yet" => Reason::NotYetValid,
        "go-jose/go-jose: error in cryptographic primitive"
        | "invalid signature, no keys found" => Reason::BadSignature,
        text if text.starts_with("token audiences [") => Reason::WrongAudience,
        "service account token has been invalidated"
        | "Token has been invalidated"
        | "invalid bearer token"
        | "resource name may not be empty"
        | "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate" => Reason::Revoked,
        text if text.contains("not found") || text.contains("does not match") => Reason::Revoked,
        text => panic!("a text without a reason: {text}"),
    }
}

#[test]
fn rejections_after_a_deletion_are_revoked() {
    let wanted = issuer(&[FILTER]);
    let texts: BTreeSet<_> = AFTER_DELETE
        .split("\"error\":")
        .skip(1)
        .filter_map(|rest| {
            let mut text = serde_json::Deserializer::from_str(rest).into_iter::<Option<String>>();
            text.next().expect("a text").expect("a text")
        })
        .collect();
    assert!(texts.len() >= 5, "{texts:?}");
    for text in texts {
        let review = json!({ "http_status": 201, "status": { "user": {}, "error": text } });
        let denial = judge(&review, &wanted).unwrap_err();
        assert_eq!((denial.reason(), denial.detail()), (Reason::Revoked, text.as_str()));
    }
}

#[test]
fn tables_cover_every_review_except_plain_rejections() {
    let named: BTreeSet<_> =
        [&ACCEPTED[..], &MISMATCHED, &UNAVAILABLE].concat().into_iter().map(|row| row.0).collect();
    let recorded = reviews();
    let plain_no = |review: &Value| review["status"]["error"].is_string();
    let expected: BTreeSet<_> = recorded
        .iter()
        .filter(|(_, review)| !plain_no(review))
        .map(|(case, _)| case.as_str())
        .collect();
    assert_eq!(named, expected);
    assert_eq!(recorded.len() - named.len(), 41, "plain rejections");
}

#[test]
fn api_server_audience_accepts_reviews_of_api_server_tokens() {
    let wanted = issuer(&[API]);
    for (case, detail) in MISMATCHED {
        let (_, recorded) = reviews().into_iter().find(|(name, _)| name == case).unwrap();
        match judge(&recorded, &wanted) {
            Ok(review) => {
                assert_eq!(detail, "reviewed for audiences", "{case}");
                assert!(caller(review.user()).starts_with("demo/app"), "{case}");
            }
            Err(denial) => {
                assert_eq!(denial.reason(), Reason::ReviewMismatch, "{case}");
                assert!(denial.detail().contains("system:anonymous"), "{case}");
            }
        }
    }
}

#[test]
fn approved_review_contains_uid_audience_and_token_id() {
    let review = judge(&recorded("pod_node1.aud_filter"), &issuer(&[FILTER])).unwrap();
    let review = review.user();
    assert_eq!(review.uid(), "c42e1ca4-75ad-4422-adb7-763aeb1bf2d4");
    assert_eq!(review.audience(), FILTER);
    assert_eq!(review.token_id(), Some("1cb25161-47b9-47b9-90df-60265ab27779"));
    let (pod, node) = (review.pod().unwrap(), review.node().unwrap());
    assert_eq!(pod.uid, Some("e083b032-0f2f-45dd-b86d-dc80cc36065e"));
    assert_eq!(node.uid, Some("763bb867-90ea-4de7-8404-41520be7aa06"));
}

#[test]
fn missing_fields_of_a_review_are_absent_and_not_empty() {
    let wanted = issuer(&[FILTER]);
    let review = judge(&recorded("forged.no_jti"), &wanted).unwrap();
    let review = review.user();
    assert_eq!((review.token_id(), review.pod(), review.node()), (None, None, None));
    let ghost = judge(&recorded("pod_missing_node.aud_filter"), &wanted).unwrap();
    assert_eq!(ghost.user().node().unwrap().uid, None);
}

#[test]
fn audience_is_the_first_configured_audience_that_the_review_confirms() {
    let wanted = issuer(&["https://none.example", FILTER, "https://second.example"]);
    let review = judge(&recorded("aud_two.request_three"), &wanted).unwrap();
    assert_eq!(review.user().audience(), FILTER);
}

/// Every case that is a review; the recording also holds two plain requests.
fn reviews() -> Vec<(String, Value)> {
    let cases = parse(RECORDED).into_iter();
    cases.filter(|(case, _)| !case.starts_with("direct_use")).collect()
}

fn recorded(case: &str) -> Value {
    parse(RECORDED)[case].clone()
}

/// Evaluates the recorded response for a token with the claims of the response.
fn judge(recorded: &Value, wanted: &Rc<IssuerIdentity>) -> Result<AcceptedReview, Denial> {
    let status = recorded["http_status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let body = match &recorded["response_body"] {
        Value::Null => json!({
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "status": recorded["status"],
        }),
        verbatim => verbatim.clone(),
    };
    let claims = Rc::new(Claims::parse(claims_of(&body["status"]["user"]).to_string())?);
    let body = Some(body.to_string().into_bytes());
    let reply =
        Reply::Response { status: status.unwrap(), cache_control: None, retry_after: None, body };
    let plan = wanted.review.as_ref().expect("a plan");
    plan.read(reply, wanted, &claims).map_err(|not_accepted| not_accepted.denial().clone())
}

fn claims_of(user: &Value) -> Value {
    let extra = |key: &str| user["extra"][format!("authentication.kubernetes.io/{key}")][0].clone();
    let username = user["username"].as_str().unwrap_or_default();
    let mut parts = username.split(':').skip(2);
    let (namespace, name) = (parts.next(), parts.next());
    let mut private = json!({
        "namespace": namespace, "serviceaccount": { "name": name, "uid": user["uid"] },
    });
    if let Some(pod) = extra("pod-name").as_str() {
        private["pod"] = json!({ "name": pod, "uid": extra("pod-uid") });
    }
    match namespace {
        Some(_) => json!({ "sub": username, "kubernetes.io": private }),
        None => json!({ "sub": username }),
    }
}

fn issuer(audiences: &[&str]) -> Rc<IssuerIdentity> {
    let mut config = config(audiences, &serde_json::from_str(JWKS).unwrap());
    config["issuers"][0]["tokenReview"] =
        json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" });
    let mut issuers = Config::parse(config.to_string().as_bytes()).unwrap().issuers;
    Rc::new(issuers.remove(0).0)
}

fn caller(user: &ReviewedUser) -> String {
    named_as(user.namespace(), user.name(), user.pod(), user.node())
}

fn listed(table: &[(&str, &'static str)], case: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == case).map(|(_, expected)| *expected)
}
