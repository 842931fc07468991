//! Checks nbf, exp and iat as the API server does.

use serde_json::Value;

use super::Refusal;

/// Whether the three times, if they are there, can be read at all.
pub(super) fn are_numbers(claims: &Value) -> Result<(), Refusal> {
    let readable = |name| claims.get(name).is_none_or(Value::is_number);
    if ["nbf", "exp", "iat"].into_iter().all(readable) {
        return Ok(());
    }
    Err("go-jose/go-jose/jwt: expected number value to unmarshal NumericDate".to_owned())
}

/// The three checks, in the order in which the API server makes them.
pub(super) fn check(claims: &Value, now: u64) -> Result<(), Refusal> {
    // Fractions are cut off, as the API server does.
    let time = |name| claims.get(name).and_then(Value::as_f64).map(f64::trunc);
    let now = now as f64;
    if time("nbf").is_some_and(|nbf| now + LEEWAY < nbf) {
        return Err("service account token is not valid yet".to_owned());
    }
    if time("exp").is_some_and(|exp| now - LEEWAY > exp) {
        return Err("service account token has expired".to_owned());
    }
    if time("iat").is_some_and(|iat| now + LEEWAY < iat) {
        return Err("service account token is issued in the future".to_owned());
    }
    Ok(())
}

/// go-jose's default.
const LEEWAY: f64 = 60.0;
