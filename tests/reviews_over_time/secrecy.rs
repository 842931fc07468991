//! Debug output of the core contains no token and no signature.

use super::{REVOKED, created, gone, review, verifying};
use sa_authn::callout::Reply;
use serde_json::json;

#[test]
fn debug_output_of_the_core_contains_no_token() {
    let mut world = verifying(json!({}));
    let (known, refused, waiting) =
        (world.caller("known"), world.caller("refused"), world.caller("waiting"));
    world.admit(&known);
    assert_eq!(world.answered(&refused, gone()), REVOKED);
    world.held(&waiting);
    let printed = format!("{:?}", world.core.core());
    for caller in [known, refused, waiting] {
        for part in caller.token.split('.') {
            assert!(!printed.contains(part), "{part} in {printed}");
        }
    }
    // The placeholders for tokens and keys.
    assert!(printed.contains("TokenCache(1 tokens)"), "{printed}");
    assert!(printed.contains("Token(") && printed.contains("VerifyingKey(Es256)"), "{printed}");
}

#[test]
fn debug_output_of_a_reply_contains_no_body() {
    let reply = created(&review(&json!({ "authenticated": true })));
    let Reply::Response { body: Some(body), .. } = &reply else { panic!("{reply:?}") };
    let expected = format!("Response {{ status: 201, body bytes: Some({}) }}", body.len());
    assert_eq!(format!("{reply:?}"), expected);
    for (reply, expected) in [
        (Reply::Reset, "Reset"),
        (Reply::UnknownCluster, "UnknownCluster"),
        (Reply::NotSent, "NotSent"),
    ] {
        assert_eq!(format!("{reply:?}"), expected);
    }
}
