//! Deep, invalid and ambiguous JSON.

use super::{Forge, MALFORMED, claims, claims_but};
use sa_authn::denial::Reason;

const LEVELS: usize = 100_000;

#[test]
fn claims_with_100_000_nested_levels_are_malformed() {
    let mut forge = Forge::limited_to(1024 * 1024);
    for nested in [arrays(LEVELS), objects(LEVELS)] {
        for claims in [
            nested.clone(),
            claims(&format!(r#""x":{nested}"#)),
            claims(&format!(r#""nonce":{nested}"#)),
            claims(&format!(r#""jti":{nested}"#)),
            claims(&format!(r#""nbf":{nested}"#)),
            claims_but("iss", &format!(r#""iss":{nested}"#)),
            claims_but("aud", &format!(r#""aud":{nested}"#)),
            claims_but("exp", &format!(r#""exp":{nested}"#)),
            claims_but("kubernetes.io", &format!(r#""kubernetes.io":{nested}"#)),
            claims_but("kubernetes.io", &format!(r#""kubernetes.io":{{"pod":{nested}}}"#)),
            claims_but("kubernetes.io", &format!(r#""kubernetes.io":{{"x":{nested}}}"#)),
        ] {
            assert_eq!(forge.with_claims(&claims), MALFORMED, "{}", &claims[..40]);
        }
    }
}

#[test]
fn jose_header_with_100_000_nested_levels_is_malformed() {
    let mut forge = Forge::limited_to(1024 * 1024);
    for nested in [arrays(LEVELS), objects(LEVELS)] {
        for member in ["x", "alg", "kid", "typ", "jwk", "crit"] {
            let header = format!(r#"{{"alg":"ES256","{member}":{nested}}}"#);
            assert_eq!(forge.with_header(&header), MALFORMED, "{member}");
        }
        assert_eq!(forge.with_header(&nested), MALFORMED);
    }
}

#[test]
fn unknown_claim_may_have_at_most_16_levels() {
    let mut forge = Forge::new();
    for nested in [arrays, objects] {
        assert!(forge.with_claims(&claims(&format!(r#""x":{}"#, nested(16)))).passes());
        let (reason, detail) = forge.refusal(&claims(&format!(r#""x":{}"#, nested(17))));
        assert_eq!(reason, Reason::MalformedToken);
        assert!(detail.starts_with("claims: nested more than 16 levels deep"), "{detail}");
    }
}

#[test]
fn duplicate_claim_is_malformed_even_with_equal_values() {
    let mut forge = Forge::new();
    let account = r#"{"name":"api","uid":"u1"}"#;
    let kubernetes = format!(r#"{{"namespace":"api","serviceaccount":{account}}}"#);
    for more in [
        format!(r#""iss":"{}""#, envoy_test::token::DEFAULT_ISSUER),
        r#""sub":"system:serviceaccount:api:api""#.to_owned(),
        r#""sub":"system:serviceaccount:kube-system:admin""#.to_owned(),
        r#""aud":["secret-store"]"#.to_owned(),
        r#""exp":9007199254740992"#.to_owned(),
        r#""iat":1"#.to_owned(),
        r#""nbf":1,"nbf":1"#.to_owned(),
        r#""jti":"a","jti":"a""#.to_owned(),
        format!(r#""kubernetes.io":{kubernetes}"#),
        r#""x":1,"x":1"#.to_owned(),
        r#""x":{"y":[{"z":1,"z":1}]}"#.to_owned(),
        r#""\u0069ss":"https://other.example""#.to_owned(),
        r#""s\u0075b":"system:serviceaccount:kube-system:admin""#.to_owned(),
        r#""":1,"":1"#.to_owned(),
    ] {
        let (reason, detail) = forge.refusal(&claims(&more));
        assert_eq!(reason, Reason::MalformedToken, "{more}");
        assert!(detail.contains("duplicate member"), "{more}: {detail}");
    }
}

#[test]
fn duplicate_member_in_kubernetes_io_is_malformed() {
    let mut forge = Forge::new();
    let account = r#""serviceaccount":{"name":"api","uid":"u1"}"#;
    for inside in [
        format!(r#""namespace":"api","namespace":"kube-system",{account}"#),
        format!(r#""namespace":"api",{account},{account}"#),
        r#""namespace":"api","serviceaccount":{"name":"api","name":"b","uid":"u1"}"#.to_owned(),
        r#""namespace":"api","serviceaccount":{"name":"api","uid":"u1","uid":"u1"}"#.to_owned(),
        format!(r#""namespace":"api",{account},"pod":{{"name":"a","name":"b"}}"#),
        format!(r#""namespace":"api",{account},"node":{{"x":1,"x":2}}"#),
        format!(r#""namespace":"api",{account},"warnafter":1,"warnafter":1"#),
        format!(r#""namespace":"api",{account},"new":{{"x":1,"x":2}}"#),
    ] {
        let claims = claims_but("kubernetes.io", &format!(r#""kubernetes.io":{{{inside}}}"#));
        let (reason, detail) = forge.refusal(&claims);
        assert_eq!(reason, Reason::MalformedToken, "{inside}");
        assert!(detail.contains("duplicate member"), "{inside}: {detail}");
    }
}

#[test]
fn duplicate_member_in_the_jose_header_is_malformed() {
    let mut forge = Forge::new();
    let kid = forge.key.kid().to_owned();
    for header in [
        format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","kid":"x","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","k\u0069d":"x","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT","typ":"JWT"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","x":1,"x":1}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","x":[{{"y":1,"y":1}}]}}"#),
    ] {
        assert_eq!(forge.with_header(&header), MALFORMED, "{header}");
    }
}

#[test]
fn text_other_than_a_json_object_is_malformed() {
    let mut forge = Forge::new();
    for text in [
        "",
        " ",
        "null",
        "true",
        "5",
        "\"text\"",
        "[]",
        "[{}]",
        "{",
        "{}}",
        "{}{}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{/**/}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":0x1}",
        "{\"a\":\"\\x\"}",
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\u{0}\"}",
        "{\"a\":\"\\ud800\"}",
    ] {
        assert_eq!(forge.with_claims(text), MALFORMED, "claims {text:?}");
        assert_eq!(forge.with_header(text), MALFORMED, "JOSE header {text:?}");
    }
}

#[test]
fn invalid_json_after_valid_claims_is_malformed() {
    let mut forge = Forge::new();
    for more in ["x", "\"x\":\"\\ud800\"", "\"x\":\"\\udc00\\ud800\"", "\"x\":1,", "\"\\ud800\":1"]
    {
        assert_eq!(forge.with_claims(&claims(more)), MALFORMED, "{more}");
    }
    assert_eq!(forge.with_claims(&format!("{}{{}}", claims(""))), MALFORMED);
    assert_eq!(forge.with_claims(&format!("{}\0", claims(""))), MALFORMED);
}

#[test]
fn claim_of_the_wrong_type_is_malformed() {
    let mut forge = Forge::new();
    let cases = [
        ("iss", &["null", "5", "[]", "[\"a\"]", "{}", "true"][..]),
        ("sub", &["null", "5", "[]", "{}"]),
        ("aud", &["null", "5", "{}", "[null]", "[5]", "[[\"secret-store\"]]", "true"]),
        ("exp", &["null", "\"9999999999\"", "[]", "{}", "true"]),
        ("iat", &["null", "\"1\"", "[]", "false"]),
        ("kubernetes.io", &["null", "5", "[]", "\"x\"", "[[\"api\",{\"name\":\"api\"}]]"]),
    ];
    for (claim, values) in cases {
        for value in values {
            let claims = claims_but(claim, &format!(r#""{claim}":{value}"#));
            assert_eq!(forge.with_claims(&claims), MALFORMED, "{claim}: {value}");
        }
    }
    for more in ["\"nbf\":null", "\"jti\":null", "\"jti\":5", "\"nonce\":5", "\"nonce\":null"] {
        assert_eq!(forge.with_claims(&claims(more)), MALFORMED, "{more}");
    }
}

fn arrays(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

fn objects(levels: usize) -> String {
    r#"{"a":"#.repeat(levels) + "1" + &"}".repeat(levels)
}
