//! Keys that the filter skips, and keys that share a key ID.

use super::{UNKNOWN_KEY, core, key, seconds, set};
use crate::support::{Core, get, ok};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::authn::keys::Settled;
use sa_authn::denial::Reason;
use serde_json::{Value, json};

/// Answers every call with these keys; returns the remarks.
fn publish(core: &mut Core, keys: &[Value]) -> String {
    core.publish_document();
    let call = core.call();
    let body = json!({ "keys": keys }).to_string();
    match core.reply(&call, ok(body)).expect("a call in flight").outcome {
        Settled::Renewed { remarks, .. } => remarks,
        other => panic!("{other:?}"),
    }
}

fn changed(key: &SigningKey, member: &str, value: Value) -> Value {
    let mut jwk = key.jwk();
    jwk[member] = value;
    jwk
}

#[test]
fn kid_of_a_skipped_key_is_named_with_its_reason_and_causes_no_fetch() {
    let (good, rsa) = (key(), SigningKey::generate(KeyKind::Rsa2048));
    let n = rsa.jwk()["n"].as_str().unwrap().to_owned();
    for (member, value, why) in [
        ("use", json!("enc"), "use \"enc\", expected \"sig\""),
        ("n", json!(format!("{n}==")), "n has padding (=), which RFC 7515 does not allow"),
        ("n", json!(n.repeat(4)), "RSA key of 8208 bits, expected 2048 to 4096"),
        ("alg", json!("HS256"), "alg \"HS256\" does not fit kty \"RSA\""),
    ] {
        let mut core = core(json!({}));
        let remarks = publish(&mut core, &[good.jwk(), changed(&rsa, member, value)]);
        assert_eq!(remarks, format!("key {:?}: {why}", rsa.kid()));
        core.wait(seconds(60));
        let denial = core.denial_of(&rsa);
        assert_eq!(denial.reason(), Reason::UnknownKey);
        let detail = format!("kid {:?} is published, but not usable: {why}", rsa.kid());
        assert_eq!(denial.detail(), detail);
        assert!(core.is_quiet(), "{why}");
        // Another kid still causes a fetch.
        assert!(core.holds(&key()));
    }
}

#[test]
fn both_keys_with_one_kid_verify_tokens_of_their_algorithm() {
    for kinds in [[KeyKind::P256, KeyKind::P256], [KeyKind::P256, KeyKind::Rsa2048]] {
        let [one, two] = kinds.map(SigningKey::generate);
        let mut core = core(json!({}));
        let remarks = publish(&mut core, &[one.jwk(), changed(&two, "kid", json!(one.kid()))]);
        assert_eq!(remarks, format!("two keys have kid {:?}, both are used", one.kid()));
        let signed = |key: &SigningKey| {
            let token = crate::support::good().issued_at(super::START).lifetime(3600);
            token.header("kid", json!(one.kid())).sign(key)
        };
        assert!(core.bearer(&signed(&one)).passes());
        assert!(core.bearer(&signed(&two)).passes());
        let forged = core.denial(&get("/", &signed(&key())));
        assert_eq!(forged.reason(), Reason::BadSignature);
    }
}

#[test]
fn third_key_with_one_kid_is_skipped() {
    let [one, two, three] = [key(), key(), key()];
    let named = |key: &SigningKey| changed(key, "kid", json!("same"));
    let mut core = core(json!({}));
    let remarks = publish(&mut core, &[named(&one), named(&two), named(&three)]);
    let expected =
        "key \"same\": third key with this kid; two keys have kid \"same\", both are used";
    assert_eq!(remarks, expected);
}

#[test]
fn withdrawn_second_key_with_one_kid_verifies_no_token() {
    let (one, two) = (key(), key());
    let token = crate::support::good().issued_at(super::START).lifetime(3600);
    let token = token.header("kid", json!(one.kid())).sign(&two);
    let mut core = core(json!({}));
    publish(&mut core, &[one.jwk(), changed(&two, "kid", json!(one.kid()))]);
    assert!(core.bearer(&token).passes());
    core.wait_for_next();
    core.publish(&set(&[&one]));
    assert_eq!(core.denial(&get("/", &token)).reason(), Reason::BadSignature);
    assert_eq!(core.by(&two), UNKNOWN_KEY);
}
