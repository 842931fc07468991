//! Look-alike issuers, subjects and audiences.

use super::{Forge, MALFORMED, claims_but};
use crate::support::{Core, Outcome, get, inline};
use sa_authn::denial::Reason;
use serde_json::json;

#[test]
fn issuer_in_another_unicode_form_is_unknown() {
    let forge = Forge::new();
    let mut config = inline(&[&forge.key]);
    config["issuers"][0]["issuer"] = json!("https://z\u{fc}rich.example");
    let mut core = Core::new(&config);
    let mut judge = |issuer: &str| {
        let claims = claims_but("iss", &format!(r#""iss":{}"#, json!(issuer)));
        core.outcome(&get("/", &forge.sign(&forge.header(), &claims)))
    };
    assert!(judge("https://z\u{fc}rich.example").passes());
    let unknown = Outcome::Refused(Reason::UnknownIssuer);
    assert_eq!(judge("https://zu\u{308}rich.example"), unknown);
    assert_eq!(judge("https://xn--zrich-kva.example"), unknown);
}

#[test]
fn subject_must_equal_the_kubernetes_claims() {
    let mut forge = Forge::new();
    for (namespace, name, uid) in [
        ("api", "other", "u1"),
        ("other", "api", "u1"),
        ("api ", "api", "u1"),
        ("API", "api", "u1"),
        ("api", "\u{430}pi", "u1"),
        ("", "api", "u1"),
        ("api", "", "u1"),
        ("api", "api", ""),
    ] {
        let kubernetes = json!({
            "namespace": namespace, "serviceaccount": { "name": name, "uid": uid },
        });
        let claims = claims_but("kubernetes.io", &format!(r#""kubernetes.io":{kubernetes}"#));
        let expected = Outcome::Refused(Reason::NotAServiceAccount);
        assert_eq!(forge.with_claims(&claims), expected, "{namespace:?} {name:?} {uid:?}");
    }
    for inside in ["{}", r#"{"namespace":"api"}"#, r#"{"serviceaccount":{"name":"api","uid":"u"}}"#]
    {
        let claims = claims_but("kubernetes.io", &format!(r#""kubernetes.io":{inside}"#));
        let expected = Outcome::Refused(Reason::NotAServiceAccount);
        assert_eq!(forge.with_claims(&claims), expected, "{inside}");
    }
}

#[test]
fn account_names_have_the_limits_of_kubernetes() {
    let mut forge = Forge::new();
    let mut judge = |namespace: &str, name: &str| {
        let sub = format!("system:serviceaccount:{namespace}:{name}");
        let mut claims: serde_json::Value = serde_json::from_str(&super::claims("")).unwrap();
        claims["sub"] = json!(sub);
        claims["kubernetes.io"]["namespace"] = json!(namespace);
        claims["kubernetes.io"]["serviceaccount"]["name"] = json!(name);
        forge.with_claims(&claims.to_string())
    };
    assert!(judge(&"n".repeat(63), &"a".repeat(253)).passes());
    assert!(judge("n", "a.b-c.1").passes());
    let none = Outcome::Refused(Reason::NotAServiceAccount);
    assert_eq!(judge(&"n".repeat(64), "a"), none);
    assert_eq!(judge("n", &"a".repeat(254)), none);
    assert_eq!(judge("n.m", "a"), none);
    assert_eq!(judge("-n", "a"), none);
    assert_eq!(judge("n", "a..b"), none);
    assert_eq!(judge("n", "a_b"), none);
}

#[test]
fn audience_may_be_a_string_a_list_or_escaped() {
    let mut forge = Forge::new();
    for audience in [r#""secret-store""#, r#"["a","secret-store"]"#, r#""secret\u002dstore""#] {
        let claims = claims_but("aud", &format!(r#""aud":{audience}"#));
        assert!(forge.with_claims(&claims).passes(), "{audience}");
    }
    let empty = claims_but("aud", r#""aud":["",""]"#);
    assert_eq!(forge.with_claims(&empty), Outcome::Refused(Reason::WrongAudience));
    assert_eq!(forge.with_claims(&claims_but("aud", r#""aud":{"secret-store":1}"#)), MALFORMED);
}
