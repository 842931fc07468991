//! Key rotation with random tokens: every accepted token has a signature that another library verifies with a
//! currently published key.

use super::Dice;
use crate::support::{Core, discovered, get, good};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_test::{KeyKind, SigningKey, jwks};
use serde_json::{Value, json};
use std::time::Duration;

/// A token signed by any current or former key, modified or unmodified.
fn token(keys: &[SigningKey], dice: &mut Dice) -> String {
    let key = &keys[dice.below(keys.len())];
    let mut token = good().claim("jti", json!(format!("{}", dice.below(40))));
    if dice.below(5) == 0 {
        token = token.header("kid", json!(keys[dice.below(keys.len())].kid()));
    }
    let signed = token.sign(key);
    match dice.below(4) {
        0 => flipped(&signed, dice),
        1 => spliced(&signed, &good().sign(&keys[dice.below(keys.len())]), dice),
        _ => signed,
    }
}

/// The token with one random character replaced.
fn flipped(token: &str, dice: &mut Dice) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = dice.below(bytes.len());
    bytes[at] = b"ABCDwxyz0189-_"[dice.below(14)];
    String::from_utf8(bytes).unwrap()
}

/// The token with one part of another token.
fn spliced(token: &str, other: &str, dice: &mut Dice) -> String {
    let mut parts: Vec<_> = token.split('.').collect();
    let others: Vec<_> = other.split('.').collect();
    let at = dice.below(3);
    parts[at] = others[at];
    parts.join(".")
}

/// Whether one of these keys has signed it; verified with ring, independently of the filter.
fn is_genuine(token: &str, keys: &[SigningKey]) -> bool {
    let Some((input, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    let header = input.split('.').next().map(|header| URL_SAFE_NO_PAD.decode(header));
    let Some(Ok(header)) = header else { return false };
    let Ok(header) = serde_json::from_slice::<Value>(&header) else { return false };
    let alg = header["alg"].as_str().unwrap_or_default();
    keys.iter().any(|key| key.alg() == alg && key.verify(alg, input.as_bytes(), &signature))
}

#[test]
fn every_accepted_token_is_signed_by_a_currently_published_key() {
    let kinds = [KeyKind::P256, KeyKind::Rsa2048, KeyKind::P384, KeyKind::P256];
    let mut keys: Vec<_> = kinds.map(SigningKey::generate).to_vec();
    let mut config = discovered();
    config["issuers"][0]["keys"]["refreshInterval"] = json!("10s");
    let (mut core, mut dice) = (Core::new(&config), Dice(11));
    let mut published = vec![keys[0].clone()];
    let (mut passed, mut refused, mut changes) = (0, 0, 0);
    core.publish(&jwks(&published.iter().collect::<Vec<_>>()).to_string());
    for step in 0..1500 {
        if step % 50 == 49 {
            if step % 300 == 299 {
                keys.push(SigningKey::generate(KeyKind::P256));
            }
            published = keys.iter().filter(|_| dice.below(2) == 0).cloned().collect();
            if published.is_empty() {
                published.push(keys[dice.below(keys.len())].clone());
            }
            // After the refresh interval, so that the new set replaces the old one.
            core.wait(Duration::from_secs(12));
            core.publish(&jwks(&published.iter().collect::<Vec<_>>()).to_string());
            changes += 1;
        }
        let token = token(&keys, &mut dice);
        let passes = core.outcome(&get("/", &token)).passes();
        assert!(!passes || is_genuine(&token, &published), "step {step}: {token}");
        match passes {
            true => passed += 1,
            false => refused += 1,
        }
    }
    assert!(passed > 200 && refused > 300 && changes == 30, "{passed} passed, {refused} refused");
}
