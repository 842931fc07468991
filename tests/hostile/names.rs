//! Look-alike issuers, subjects and audiences.

use super::{Forge, MALFORMED, claims_but};
use crate::support::{Core, Outcome, get, inline};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::denial::Reason;
use serde_json::json;

#[test]
fn look_alike_issuer_is_unknown() {
    let mut forge = Forge::new();
    for issuer in [
        format!("{DEFAULT_ISSUER}/"),
        format!("{DEFAULT_ISSUER} "),
        format!(" {DEFAULT_ISSUER}"),
        format!("{DEFAULT_ISSUER}\0"),
        format!("{DEFAULT_ISSUER}\n"),
        format!("{DEFAULT_ISSUER}#"),
        format!("{DEFAULT_ISSUER}\u{200b}"),
        format!("{DEFAULT_ISSUER}:443"),
        DEFAULT_ISSUER.to_uppercase(),
        DEFAULT_ISSUER.replace("https", "HTTPS"),
        DEFAULT_ISSUER.replace("https", "http"),
        DEFAULT_ISSUER.replace('e', "\u{435}"),
        DEFAULT_ISSUER.replace("local", "loca\u{ff4c}"),
        DEFAULT_ISSUER.replace("svc", "sv\u{441}"),
        DEFAULT_ISSUER[..DEFAULT_ISSUER.len() - 1].to_owned(),
        String::new(),
        "*".to_owned(),
    ] {
        let claims = claims_but("iss", &format!(r#""iss":{}"#, json!(issuer)));
        assert_eq!(
            forge.with_claims(&claims),
            Outcome::Refused(Reason::UnknownIssuer),
            "{issuer:?}"
        );
    }
}

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
fn look_alike_subject_is_not_a_service_account() {
    let mut forge = Forge::new();
    for subject in [
        "",
        "api",
        "system:serviceaccount:api",
        "system:serviceaccount:api:",
        "system:serviceaccount::api",
        "system:serviceaccount:api:api:",
        "system:serviceaccount:api:api:x",
        "system:serviceaccount:api:api ",
        " system:serviceaccount:api:api",
        "system:serviceaccount:api:api\0",
        "system:serviceaccount:api:api\n",
        "system:serviceaccount:api:\u{430}pi",
        "system:serviceaccount:\u{ff41}pi:api",
        "system:serviceaccount:api:api\u{200b}",
        "system:serviceaccount:api:API",
        "system:serviceaccount:api/x:api",
        "system:serviceaccount:*:*",
        "system:serviceaccount:api:%61pi",
        "system:serviceaccounts:api:api",
        "System:serviceaccount:api:api",
        "system:node:node-1",
        "system:anonymous",
        "system:masters",
    ] {
        let claims = claims_but("sub", &format!(r#""sub":{}"#, json!(subject)));
        let (reason, detail) = forge.refusal(&claims);
        assert_eq!(reason, Reason::NotAServiceAccount, "{subject:?}");
        assert!(detail.chars().all(|c| !c.is_control()), "{detail:?} breaks a log line");
    }
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
fn audiences_are_compared_exactly() {
    let mut forge = Forge::new();
    for audience in [
        r#""secret-store ""#,
        r#"["secret-store/"]"#,
        r#"["Secret-Store"]"#,
        r#""secret-store\u0000""#,
        r#"["secret\u2010store"]"#,
        r#"["secret-store,second"]"#,
        r#"["",""]"#,
        r#""*""#,
        "[]",
    ] {
        let claims = claims_but("aud", &format!(r#""aud":{audience}"#));
        assert_eq!(
            forge.with_claims(&claims),
            Outcome::Refused(Reason::WrongAudience),
            "{audience}"
        );
    }
    for audience in [r#""secret-store""#, r#"["a","secret-store"]"#, r#""secret\u002dstore""#] {
        let claims = claims_but("aud", &format!(r#""aud":{audience}"#));
        assert!(forge.with_claims(&claims).passes(), "{audience}");
    }
    assert_eq!(forge.with_claims(&claims_but("aud", r#""aud":{"secret-store":1}"#)), MALFORMED);
}
