//! Responses to a TokenReview: approvals, rejections, mismatches and invalid responses.

use super::{Caller, UNAVAILABLE, World, answered, created, review, reviewing, verifying};
use crate::support::Outcome;
use sa_authn::callout::Reply;
use sa_authn::denial::Reason;
use serde_json::{Value, json};

/// A change of a valid response: JSON pointer, new value, and the expected detail.
type Change = (&'static str, Value, &'static str);

const POD_NAME: &str = "/status/user/extra/authentication.kubernetes.io~1pod-name";
const POD_UID: &str = "/status/user/extra/authentication.kubernetes.io~1pod-uid";

fn worlds() -> [World; 2] {
    [verifying(json!({})), reviewing(json!({}), json!({}))]
}

/// The reason and the detail of the denial that this response causes.
fn denial(world: &mut World, caller: &Caller, reply: Reply) -> (Reason, String) {
    let mut request = world.held(caller);
    let settled = world.answer(reply);
    let denial = settled.settled.reviewed.outcome().expect_err("a denial").clone();
    let outcome = request.reviewed(&mut world.core, &settled);
    assert_eq!(outcome, Outcome::Refused(denial.reason()));
    (denial.reason(), denial.detail().to_owned())
}

fn check(changes: &[Change], reason: Reason) {
    for mut world in worlds() {
        for (number, (place, value, expected)) in changes.iter().enumerate() {
            let caller = world.caller(&format!("caller-{number}"));
            let mut body = review(&caller.status());
            set(&mut body, place, value.clone());
            let (why, detail) = denial(&mut world, &caller, created(&body));
            assert_eq!(why, reason, "{place} as {value}: {detail}");
            assert!(detail.contains(expected), "{place} as {value}: {detail}");
        }
    }
}

/// Sets the member at a JSON pointer; `null` removes it.
fn set(body: &mut Value, place: &str, value: Value) {
    let (parent, member) = place.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    let member = member.replace("~1", "/");
    match value {
        Value::Null => parent.remove(&member),
        value => parent.insert(member, value),
    };
}

#[test]
fn only_status_200_and_201_are_accepted() {
    for status in [200, 201] {
        for mut world in worlds() {
            let caller = world.caller("api");
            let reply = answered(status, &review(&caller.status()));
            assert!(world.answered(&caller, reply).passes(), "{status}");
        }
    }
    for status in [100, 202, 204, 206, 299, 301, 400, 418, 501] {
        for mut world in worlds() {
            let caller = world.caller("api");
            let reply = answered(status, &review(&caller.status()));
            assert_eq!(world.answered(&caller, reply), UNAVAILABLE, "{status}");
        }
    }
}

#[test]
fn response_of_another_kind_or_type_is_unavailable() {
    check(
        &[
            ("/kind", json!("SubjectAccessReview"), "it is a \"SubjectAccessReview\""),
            ("/kind", json!("Status"), "the body is a Status object of Kubernetes"),
            ("/kind", Value::Null, "it is a \"\""),
            ("/apiVersion", json!("v1"), "of \"v1\""),
            ("/status", Value::Null, "it has no status"),
            ("/status", json!("Failure"), "invalid type"),
            ("/status", json!([true]), "invalid type"),
            ("/status/authenticated", json!("true"), "invalid type: string"),
            ("/status/authenticated", json!(1), "invalid type: integer"),
            ("/status/authenticated", json!([true]), "invalid type: sequence"),
            ("/status/user", json!([]), "invalid type: sequence"),
            ("/status/user", json!("system:admin"), "invalid type: string"),
            ("/status/user/username", json!(["system:serviceaccount:api:api"]), "invalid type"),
            ("/status/user/uid", json!(7), "invalid type: integer"),
            ("/status/user/groups", json!("system:serviceaccounts:api"), "invalid type: string"),
            ("/status/user/groups", json!({}), "invalid type: map"),
            ("/status/user/extra", json!([]), "invalid type: sequence"),
            ("/status/user/extra/x", json!("y"), "invalid type: string"),
            ("/status/audiences", json!("secret-store"), "invalid type: string"),
        ],
        Reason::ReviewUnavailable,
    );
}

#[test]
fn response_that_is_not_json_is_unavailable() {
    let whole = |world: &World| review(&world.caller("api").status()).to_string();
    for mut world in worlds() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = whole(&world);
        let half = &text[..text.len() / 2];
        for body in [
            "",
            "null",
            "[]",
            "true",
            "<html>",
            "\u{feff}{}",
            &deep,
            half,
            &format!("{text}{text}"),
        ] {
            let caller = world.caller("api");
            let body = Some(body.as_bytes().to_vec());
            let reply =
                Reply::Response { status: 201, cache_control: None, retry_after: None, body };
            let (reason, detail) = denial(&mut world, &caller, reply);
            assert_eq!(reason, Reason::ReviewUnavailable, "{detail}");
            assert!(detail.starts_with("the answer is not a TokenReview: "), "{detail}");
        }
    }
}

#[test]
fn duplicate_member_is_rejected_at_any_depth() {
    for (member, duplicate) in [
        (r#""kind":"TokenReview""#, r#""kind":"x","kind":"TokenReview""#),
        (r#""status":{"#, r#""status":{},"status":{"#),
        (r#""authenticated":true"#, r#""authenticated":false,"authenticated":true"#),
        (r#""authenticated":true"#, r#""authenticated":true,"\u0061uthenticated":true"#),
        (r#""username":"#, r#""username":"system:admin","username":"#),
        (r#""extra":{"#, r#""extra":{"a":["b"],"a":["c"],"#),
        (r#""extra":{"#, r#""extra":{},"extra":{"#),
        (r#""audiences":["#, r#""audiences":[],"audiences":["#),
    ] {
        for mut world in worlds() {
            let caller = world.caller("api");
            let body = review(&caller.status()).to_string();
            assert!(body.contains(member), "{member} is not in {body}");
            let body = Some(body.replace(member, duplicate).into_bytes());
            let reply =
                Reply::Response { status: 201, cache_control: None, retry_after: None, body };
            let (reason, detail) = denial(&mut world, &caller, reply);
            assert_eq!(reason, Reason::ReviewUnavailable, "{duplicate}: {detail}");
            assert!(detail.contains("duplicate member"), "{duplicate}: {detail}");
        }
    }
}

#[test]
fn approval_of_another_identity_is_a_mismatch() {
    let other = "00000000-0000-4000-a000-000000000000";
    check(
        &[
            (
                "/status/user/username",
                json!("system:anonymous"),
                "reviewed as \"system:anonymous\"",
            ),
            ("/status/user/username", json!("system:admin"), "reviewed as \"system:admin\""),
            ("/status/user/username", json!("system:serviceaccount:api:web"), "sub reviewed as"),
            ("/status/user/username", json!("system:serviceaccount:api:api:x"), "reviewed as"),
            ("/status/user/username", Value::Null, "reviewed as \"\""),
            ("/status/user/uid", json!(other), "uid reviewed as"),
            ("/status/user/uid", Value::Null, "uid reviewed as"),
            ("/status/user/groups", json!(["system:authenticated"]), "reviewed as no member of"),
            ("/status/user/groups", Value::Null, "reviewed as no member of"),
            (POD_NAME, json!(["api-2"]), "pod reviewed as"),
            (POD_NAME, Value::Null, "pod reviewed as nothing"),
            (POD_UID, json!([other]), "pod uid reviewed as"),
            (POD_UID, Value::Null, "pod uid reviewed as nothing"),
            ("/status/user/extra", Value::Null, "pod reviewed as nothing"),
            ("/status/audiences", Value::Null, "reviewed for audiences []"),
            ("/status/audiences", json!([]), "reviewed for audiences []"),
            ("/status/audiences", json!(["another"]), "reviewed for audiences [\"another\"]"),
        ],
        Reason::ReviewMismatch,
    );
}

#[test]
fn review_without_authenticated_true_is_a_rejection() {
    check(
        &[
            ("/status/authenticated", json!(false), ""),
            ("/status/authenticated", Value::Null, ""),
            ("/status", json!({}), ""),
            (
                "/status",
                json!({ "error": "serviceaccounts \"api\" not found" }),
                "\"api\" not found",
            ),
        ],
        Reason::Revoked,
    );
}

#[test]
fn pod_missing_from_the_token_is_a_mismatch() {
    for mut world in worlds() {
        let token = envoy_test::Token::for_service_account("api", "api");
        let unbound = world.holder(token.issued_at(super::START).lifetime(3600));
        let mut body = review(&unbound.status());
        body["status"]["user"]["extra"]["authentication.kubernetes.io/pod-name"] = json!(["api-1"]);
        let (reason, detail) = denial(&mut world, &unbound, created(&body));
        assert_eq!(reason, Reason::ReviewMismatch);
        assert_eq!(detail, "pod reviewed as \"api-1\", claimed as nothing");
    }
}

#[test]
fn unknown_fields_of_a_review_are_ignored() {
    for mut world in worlds() {
        let caller = world.caller("api");
        let mut body = review(&caller.status());
        body["status"]["user"]["extra"]["example.org/clearance"] = json!(["high", "low"]);
        body["status"]["later"] = json!({ "a": [1, { "b": null }] });
        body["later"] = json!([[[]]]);
        assert!(world.answered(&caller, created(&body)).passes());
    }
}
