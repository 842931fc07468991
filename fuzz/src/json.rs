//! An independent parser for documents.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::genuine::JWKS;

/// Whether a JWKS holds the key that the recorded tokens were signed with.
pub fn holds_the_recorded_key(jwks: &[u8]) -> bool {
    let recorded: Value = serde_json::from_str(JWKS).expect("the recording");
    let recorded = modulus(&recorded["keys"][0]).expect("an RSA key");
    let Ok(set) = serde_json::from_slice::<Value>(jwks) else { return false };
    let keys = set["keys"].as_array();
    keys.into_iter().flatten().any(|key| modulus(key).as_ref() == Some(&recorded))
}

fn modulus(key: &Value) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(key["n"].as_str()?).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes[zeros..].to_vec())
}
