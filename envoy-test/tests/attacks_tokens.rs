//! Forged tokens: signed with the attacker's key, or derived from a genuine token of another account.
//!
//! Each is sent to a path that only `ops/admin` may call; the filter rejects each with its reason.

mod support;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use envoy_test::envoy::versions;
use envoy_test::token::{DEFAULT_ISSUER, assemble, hs256};
use envoy_test::{EnvoySetup, KeyKind, Request, SigningKey, Token, jwks};
use serde_json::{Value, json};
use support::{Gate, config, discovery};

/// The name of the attack, the token, and the expected reason.
type Case = (String, String, &'static str);

struct Attacker {
    /// The cluster's key; the attacker has its public half.
    key: SigningKey,
    /// The attacker's key.
    own: SigningKey,
    /// A genuine token of `web/web`.
    web: String,
}

fn admin() -> Token {
    Token::for_service_account("ops", "admin")
}

fn case(name: &str, token: impl Into<String>, reason: &'static str) -> Case {
    (name.to_owned(), token.into(), reason)
}

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

// === impl Attacker ===

impl Attacker {
    fn new(kind: KeyKind) -> Self {
        let key = SigningKey::generate(kind);
        let web = Token::for_service_account("web", "web").sign(&key);
        Self { web, own: SigningKey::generate(kind), key }
    }

    fn cases(&self) -> Vec<Case> {
        [self.headers(), self.wrapped(), self.malleable(), self.members()].concat()
    }

    /// Headers that refer to the attacker's key.
    fn headers(&self) -> Vec<Case> {
        let (kid, own, claims) = (self.key.kid(), &self.own, admin().claims().to_string());
        let known = |name: &str, value: Value| {
            admin().header("kid", json!(kid)).header(name, value).sign(own)
        };
        let unknown = |name: &str, value: Value| admin().header(name, value).sign(own);
        let alg = |alg: &str| json!({ "alg": alg, "kid": kid }).to_string();
        let spki = STANDARD.encode(self.own.spki_der());
        let mut cases = vec![
            case("jwk", known("jwk", own.jwk()), "malformed_token"),
            case("jwk under its own kid", unknown("jwk", own.jwk()), "malformed_token"),
            case("jku", known("jku", json!("https://evil.example/jwks")), "malformed_token"),
            case("x5u", known("x5u", json!("https://evil.example/cert")), "malformed_token"),
            case("x5c", known("x5c", json!([spki])), "malformed_token"),
            case("crit", known("crit", json!(["exp"])), "malformed_token"),
            case("an empty crit", known("crit", json!([])), "malformed_token"),
            case("no kid", admin().without_header("kid").sign(own), "unknown_key"),
            case("an empty kid", unknown("kid", json!("")), "unknown_key"),
            case("a kid that is a path", unknown("kid", json!("../../../dev/null")), "unknown_key"),
            case("a kid that is SQL", unknown("kid", json!("x' UNION SELECT 'k")), "unknown_key"),
            case(
                "a kid with a line end",
                unknown("kid", json!("a\r\nx-sa-name: b")),
                "unknown_key",
            ),
            case("a kid that is no text", unknown("kid", json!([kid])), "malformed_token"),
            case("another typ", known("typ", json!("at+jwt")), "malformed_token"),
        ];
        for none in ["none", "None", "NONE", "nOnE", "null", "RS256 ", "es256"] {
            let token = assemble(&alg(none), &claims, |_| vec![0; 64]);
            cases.push(case(&format!("alg {none:?}"), token, "unsupported_algorithm"));
        }
        for secret in [self.key.pem().into_bytes(), self.key.spki_der().to_vec(), Vec::new()] {
            let name = format!("HS256 by {} public bytes", secret.len());
            let token = hs256(&alg("HS256"), &claims, &secret);
            cases.push(case(&name, token, "unsupported_algorithm"));
        }
        cases
    }

    /// A genuine token, nested, compressed or in another JOSE serialization.
    fn wrapped(&self) -> Vec<Case> {
        let (kid, key, web) = (self.key.kid(), &self.key, &self.web);
        let sign = |header: Value, payload: &str| {
            assemble(&header.to_string(), payload, |text| key.sign(text))
        };
        let header = || json!({ "alg": key.alg(), "kid": kid });
        let claims = admin().claims().to_string();
        let parts: Vec<_> = web.split('.').collect();
        let jws = json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] });
        let unencoded = json!({ "alg": key.alg(), "kid": kid, "b64": false, "crit": ["b64"] });
        vec![
            case("a token for claims", sign(header(), web), "malformed_token"),
            case("JSON serialization", encoded(&jws.to_string()), "malformed_token"),
            case("five parts, as JWE", [web.as_str(), "x", "y"].join("."), "malformed_token"),
            case("four parts", format!("{web}.x"), "malformed_token"),
            case("two parts", parts[..2].join("."), "malformed_token"),
            case(
                "compressed",
                assemble(
                    &json!({ "alg": key.alg(), "kid": kid, "zip": "DEF" }).to_string(),
                    &claims,
                    |_| vec![1; 64],
                ),
                "malformed_token",
            ),
            case("claims that are not encoded", sign(unencoded, &claims), "malformed_token"),
            case("claims that are a list", sign(header(), "[]"), "malformed_token"),
            case("claims that are a string", sign(header(), "\"admin\""), "malformed_token"),
        ]
    }

    /// Other encodings that some decoders accept as the same token.
    fn malleable(&self) -> Vec<Case> {
        let web = &self.web;
        let parts: Vec<&str> = web.split('.').collect();
        let join = |parts: [&str; 3]| parts.join(".");
        let forged = encoded(&admin().claims().to_string());
        let padded = |part: &str| URL_SAFE.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
        let mut cases = vec![
            case(
                "other claims, the same signature",
                join([parts[0], &forged, parts[2]]),
                "bad_signature",
            ),
            case("a cut signature", join([parts[0], parts[1], &parts[2][4..]]), "bad_signature"),
            case("a longer signature", format!("{web}AAAA"), "bad_signature"),
            case("no signature", format!("{}.{}.", parts[0], parts[1]), "malformed_token"),
            case(
                "a padded signature",
                join([parts[0], parts[1], &format!("{}==", parts[2])]),
                "malformed_token",
            ),
            case(
                "padded claims",
                join([parts[0], &format!("{}=", padded(parts[1])), parts[2]]),
                "malformed_token",
            ),
            case("the other alphabet", format!("{web}+/"), "malformed_token"),
            case(
                "an escape",
                format!("{}%2E{}.{}", parts[0], parts[1], parts[2]),
                "malformed_token",
            ),
        ];
        // The last character of a part whose length is not a multiple of four has unused bits.
        for (at, part) in parts.iter().enumerate().filter(|(_, part)| part.len() % 4 != 0) {
            let mut other = parts.clone();
            let stray = with_stray_bits(part);
            other[at] = &stray;
            cases.push(case(
                &format!("stray bits in part {at}"),
                other.join("."),
                "malformed_token",
            ));
        }
        cases
    }

    /// Duplicate members and look-alike names, signed with the cluster's key.
    fn members(&self) -> Vec<Case> {
        let (kid, key) = (self.key.kid(), &self.key);
        let header = json!({ "alg": key.alg(), "kid": kid }).to_string();
        let sign = |header: &str, claims: &str| assemble(header, claims, |text| key.sign(text));
        let web = Token::for_service_account("web", "web").claims().to_string();
        let twice = |member: &str| sign(&header, &web.replacen('{', &format!("{{{member},"), 1));
        let named =
            |namespace: &str, name: &str| Token::for_service_account(namespace, name).sign(key);
        let account = "not_a_service_account";
        let mut cases = vec![
            case(
                "sub twice",
                twice(r#""sub":"system:serviceaccount:ops:admin""#),
                "malformed_token",
            ),
            case(
                "sub twice, escaped",
                twice(r#""\u0073ub":"system:serviceaccount:ops:admin""#),
                "malformed_token",
            ),
            case("iss twice", twice(&format!(r#""iss":"{DEFAULT_ISSUER}""#)), "malformed_token"),
            case(
                "alg twice",
                sign(&header.replacen('{', r#"{"alg":"none","#, 1), &web),
                "malformed_token",
            ),
            case(
                "kid twice",
                sign(&header.replacen('{', r#"{"kid":"x","#, 1), &web),
                "malformed_token",
            ),
            case(
                "SUB beside sub",
                twice(r#""SUB":"system:serviceaccount:ops:admin""#),
                "forbidden",
            ),
        ];
        for (namespace, name) in [
            ("OPS", "admin"),
            ("ops", "Admin"),
            ("\u{ff4f}ps", "admin"),
            ("op\u{455}", "admin"),
            ("ops\u{200b}", "admin"),
            ("ops", "admin\0"),
            ("ops", "admin "),
            ("ops ", "admin"),
            ("ops", "admin\n"),
            ("ops", ""),
            ("", "admin"),
            ("ops:admin", "x"),
            ("ops", "admin:x"),
            ("ops/admin", "x"),
            ("*", "*"),
            ("ops", "*"),
            ("..", "admin"),
            ("ops", "admin\u{301}"),
        ] {
            cases.push(case(&format!("{namespace:?} / {name:?}"), named(namespace, name), account));
        }
        for issuer in [
            format!("{DEFAULT_ISSUER}/"),
            DEFAULT_ISSUER.to_uppercase(),
            format!(" {DEFAULT_ISSUER}"),
            DEFAULT_ISSUER.replace("https", "http"),
            DEFAULT_ISSUER.replace('k', "\u{212a}"),
            format!("{DEFAULT_ISSUER}."),
            DEFAULT_ISSUER.replace("default", "d\u{435}fault"),
            String::new(),
        ] {
            let token = admin().issuer(&issuer).sign(key);
            cases.push(case(&format!("issuer {issuer:?}"), token, "unknown_issuer"));
        }
        cases
    }
}

fn with_stray_bits(part: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = part.split_at(part.len() - 1);
    let value = ALPHABET.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{start}{}", char::from(ALPHABET[value ^ 1]))
}

#[tokio::test]
async fn forged_tokens_are_rejected_with_their_reason() -> Result<()> {
    for version in versions() {
        for kind in [KeyKind::Rsa2048, KeyKind::P256] {
            let attacker = Attacker::new(kind);
            let mut config = config(json!({ "inline": jwks(&[&attacker.key]) }));
            config["rules"] = json!([{ "paths": ["/admin/*"], "allow": ["ops/admin"] }]);
            let setup = EnvoySetup::new().version(&version).plugin_config(config);
            let gate = Gate::start(setup).await?;
            let cases = attacker.cases();
            let mut failures = Vec::new();
            for (name, token, reason) in &cases {
                let request = Request::get("/admin/keys").http2().bearer(token);
                let response = request.send(gate.envoy.port()).await.context(name.clone())?;
                if response.reason().as_deref() != Some(reason) {
                    failures.push(format!("{name}: {} {}", response.status, response.text()));
                }
            }
            ensure!(failures.is_empty(), "Envoy {version}, {kind:?}:\n{}", failures.join("\n"));
            assert_eq!(gate.upstream.count(), 0, "Envoy {version}, {kind:?}");
            let good = Request::get("/admin/keys").bearer(&admin().sign(&attacker.key));
            assert_eq!(good.send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
            assert_eq!(gate.envoy.vm_failures().await?, [""; 0], "Envoy {version}");
            println!("Envoy {version}, {kind:?}: {} tokens, all rejected", cases.len());
        }
    }
    Ok(())
}

/// ECDSA has two valid signatures for each message: (r, s) and (r, n - s).
#[tokio::test]
async fn second_ecdsa_signature_passes_as_the_same_account() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let web = Token::for_service_account("web", "web").sign(&key);
    let (input, signature) = web.rsplit_once('.').context("a signature")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let other = p256::ecdsa::Signature::from_slice(&signature)?;
    let negated =
        p256::ecdsa::Signature::from_scalars(other.r().to_bytes(), (-*other.s()).to_bytes())?;
    let twin = format!("{input}.{}", URL_SAFE_NO_PAD.encode(negated.to_bytes()));
    ensure!(twin != web, "the same signature");
    let der = format!("{input}.{}", URL_SAFE_NO_PAD.encode(other.to_der().as_bytes()));
    for version in versions() {
        let setup = EnvoySetup::new().version(&version);
        let inline = config(json!({ "inline": jwks(&[&key]) }));
        let gate = Gate::start(setup.plugin_config(inline)).await?;
        for token in [&web, &twin] {
            let response = support::get(token).send(gate.envoy.port()).await?;
            assert_eq!(response.status, 200, "Envoy {version}");
            let received = gate.upstream.last().context("a request")?;
            assert_eq!(received.header("x-sa-name").as_deref(), Some("web"), "Envoy {version}");
        }
        let response = support::get(&der).send(gate.envoy.port()).await?;
        support::check_refused(&response, 401, "bad_signature")?;
    }
    Ok(())
}

/// A key of another cluster with the same account names and the same issuer.
#[tokio::test]
async fn token_of_another_cluster_with_equal_names_is_rejected() -> Result<()> {
    for version in versions() {
        let (ours, theirs) = (support::stalled().await?, support::stalled().await?);
        support::clear_fault(&ours);
        let mut config = config(discovery(json!({})));
        config["rules"] = json!([{ "paths": ["/secrets/*"], "allow": ["api/api"] }]);
        let setup = EnvoySetup::new().version(&version).api_server(&ours).plugin_config(config);
        let gate = Gate::start(setup).await?;
        let known = json!(ours.signing_key().kid());
        let foreign = support::api().sign(&theirs.signing_key());
        let renamed = support::api().header("kid", known).sign(&theirs.signing_key());
        for (token, reason) in [(&foreign, "unknown_key"), (&renamed, "bad_signature")] {
            let response = support::get(token).send(gate.envoy.port()).await?;
            support::check_refused(&response, 401, reason)?;
        }
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        gate.check_alive(&ours.mint(support::api())).await?;
    }
    Ok(())
}
