//! The forged, modified and malformed tokens of the recording, minted again with test keys.

use super::{FILTER, ISSUER, MINTED, config, parse, read};
use crate::support::{Core, get};
use envoy_test::vectors::{self, Attacker};
use envoy_test::{KeyKind, SigningKey, Token, jwks};
use serde_json::json;
use std::collections::BTreeSet;

const REVIEWS: &str = include_str!("../testdata/tokenreview.json");

/// Tokens that only a review can reject: their signature is genuine and their claims are consistent.
const LEFT_TO_REVIEWS: [&str; 2] = ["forged.sa_missing", "forged.wrong_uid"];

struct Forge {
    key: SigningKey,
    another: SigningKey,
}

#[test]
fn every_forged_token_has_the_expected_verdict() {
    let forge = Forge::new();
    let mut core = forge.core();
    for (case, token, expected) in forge.cases() {
        assert_eq!(read(core.judge(&get("/", &token))), expected, "{case}");
    }
}

#[test]
fn table_covers_every_forged_token_of_the_recording() {
    let cases = Forge::new().cases();
    let named: BTreeSet<_> = cases.iter().map(|(case, ..)| *case).collect();
    let recorded = parse(REVIEWS);
    let forged = |case: &&String| {
        ["forged.", "tampered.", "garbage.", "whitespace."].iter().any(|of| case.starts_with(of))
    };
    assert_eq!(named, recorded.keys().filter(forged).map(String::as_str).collect());
}

#[test]
fn tokens_rejected_by_the_api_server_pass_only_if_a_review_is_required_to_reject_them() {
    let recorded = parse(REVIEWS);
    let refused = |case: &str| recorded[case]["status"]["authenticated"] != json!(true);
    let passing = Forge::new().cases().into_iter().filter(|row| row.2.starts_with("demo/"));
    let beyond: Vec<_> = passing.map(|row| row.0).filter(|case| refused(case)).collect();
    assert_eq!(BTreeSet::from_iter(beyond), BTreeSet::from(LEFT_TO_REVIEWS));
}

// === impl Forge ===

impl Forge {
    fn new() -> Self {
        let generate = || SigningKey::generate(KeyKind::Rsa2048);
        Self { key: generate(), another: generate() }
    }

    fn core(&self) -> Core {
        Core::at(MINTED, &config(&[FILTER], &jwks(&[&self.key])))
    }

    /// Case of the recording, token, and expected verdict.
    fn cases(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut cases = Vec::new();
        for (case, token, expected) in [times(), claims()].concat() {
            cases.push((case, token.sign(&self.key), expected));
        }
        cases.extend(self.vectors());
        cases.extend(self.spellings());
        cases
    }

    /// Cases of the recording that are rejected before their times are compared: rows of the table of vectors.
    fn vectors(&self) -> Vec<(&'static str, String, &'static str)> {
        let attacker = Attacker { key: &self.key, own: &self.another, account: ("demo", "app") };
        let rows = [
            ("forged.other_rsa_key_same_kid", "another key under a known kid"),
            ("forged.HS256_with_public_pem", "HS256 with the public key"),
            ("forged.alg_none", "alg \"none\", no signature"),
            ("forged.alg_RS384", "alg \"RS384\" by the key"),
            ("forged.alg_RS512", "alg \"RS512\" by the key"),
            ("forged.alg_PS256", "alg \"PS256\" by the key"),
            ("forged.no_kid", "no kid"),
            ("forged.unknown_kid", "an unknown key"),
            ("forged.typ_at+jwt", "typ \"at+jwt\""),
            ("forged.crit", "crit [\"exp\"]"),
            ("forged.jwk_in_header_unrelated", "jwk with a valid signature"),
            ("forged.exp_float", "exp 1.9e9"),
            ("forged.exp_string", "exp \"1\""),
            ("forged.iss_other", "another issuer"),
            ("tampered.signature", "a bit of the signature flipped"),
            ("tampered.payload", "claims exchanged"),
            ("tampered.padding_added", "padding, twice"),
            ("tampered.noncanonical_trailing_bits", "stray bits in the signature"),
            ("garbage.abc", "abc"),
            ("garbage.4parts", "four parts"),
        ];
        let row = |(case, name)| {
            let vector = vectors::named(name);
            (case, vector.token(&attacker), vector.reason)
        };
        rows.map(row).into()
    }

    fn spellings(&self) -> Vec<(&'static str, String, &'static str)> {
        let good = plain().sign(&self.key);
        let spellings = [
            ("garbage.three_dots", "a.b.c".to_owned()),
            ("garbage.empty", String::new()),
            ("garbage.space_before", format!(" {good}")),
            ("garbage.newline_after", format!("{good}\n")),
            ("whitespace.space_only", " ".to_owned()),
            ("whitespace.space_x", " x".to_owned()),
            ("whitespace.tab", "\t".to_owned()),
            ("whitespace.space_forged_alg_none", " eyJhbGciOiJub25lIn0.e30.".to_owned()),
            ("whitespace.x_space_y", "x y".to_owned()),
            ("whitespace.nul", "\0".to_owned()),
        ];
        spellings.into_iter().map(|(case, token)| (case, token, "malformed_token")).collect()
    }
}

fn times() -> Vec<(&'static str, Token, &'static str)> {
    let expired = |ago| plain().expires_at(MINTED - ago);
    let from = |claim, later| plain().claim(claim, json!(MINTED + later));
    vec![
        ("forged.same_claims_resigned_ok", plain(), "demo/app"),
        ("forged.expired_30s_ago", expired(30), "demo/app"),
        ("forged.expired_58s_ago", expired(58), "demo/app"),
        ("forged.expired_62s_ago", expired(62), "expired"),
        ("forged.expired_1h_ago", expired(3600), "expired"),
        ("forged.nbf_in_30s", from("nbf", 30), "demo/app"),
        ("forged.nbf_in_120s", from("nbf", 120), "not_yet_valid"),
        ("forged.iat_in_30s", from("iat", 30), "demo/app"),
        ("forged.iat_in_120s", from("iat", 120), "not_yet_valid"),
        ("forged.no_exp", plain().without("exp"), "missing_claim"),
        ("forged.no_nbf_iat", plain().without("nbf").without("iat"), "demo/app"),
    ]
}

fn claims() -> Vec<(&'static str, Token, &'static str)> {
    let subject = "system:serviceaccount:demo:nope";
    let missing = plain().claim("/kubernetes.io/serviceaccount/name", json!("nope"));
    let no_uid = json!("00000000-0000-0000-0000-000000000000");
    vec![
        ("forged.no_jti", plain().without("jti"), "demo/app"),
        ("forged.typ_JWT", plain().header("typ", json!("JWT")), "demo/app"),
        ("forged.no_aud_no_request", plain().without("aud"), "missing_claim"),
        ("forged.no_aud_filter_request", plain().without("aud"), "missing_claim"),
        ("forged.aud_string_not_list", plain().claim("aud", json!(FILTER)), "demo/app"),
        ("forged.no_sub", plain().without("sub"), "missing_claim"),
        (
            "forged.sub_differs_from_claims",
            plain().claim("sub", json!(subject)),
            "not_a_service_account",
        ),
        ("forged.no_private_claims", plain().without("kubernetes.io"), "not_a_service_account"),
        (
            "forged.wrong_uid",
            plain().claim("/kubernetes.io/serviceaccount/uid", no_uid),
            "demo/app",
        ),
        ("forged.sa_missing", missing.claim("sub", json!(subject)), "demo/nope"),
        ("forged.iss_trailing_slash", plain().issuer(&format!("{ISSUER}/")), "unknown_issuer"),
    ]
}

/// The token that the cases modify.
fn plain() -> Token {
    let token = Token::for_service_account("demo", "app").audience(FILTER);
    token.issued_at(MINTED).lifetime(600).claim("jti", json!("x"))
}
