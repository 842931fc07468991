//! The examples of RFC 7515 appendix A, as tokens of an issuer "joe" whose keys are configured.
//!
//! They expired in 2011. The filter checks expiry after the signature, so `expired` means that the signature is
//! valid.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{BAD_SIGNATURE, Table, decode, join};
use crate::der::{BIT_STRING, NULL, OID, integer, sequence, tlv};
use crate::keys::pem;

/// The examples' compact forms and public keys.
#[derive(Deserialize)]
struct Examples {
    a1: String,
    a2: String,
    a2_key: RsaKey,
    a3: String,
    a3_key: EcKey,
    a4: String,
    a5: String,
    a6: Value,
    a7: Value,
}

#[derive(Deserialize)]
struct RsaKey {
    n: String,
    e: String,
}

#[derive(Deserialize)]
struct EcKey {
    x: String,
    y: String,
}

pub(super) fn table() -> Table {
    let examples: Examples =
        serde_json::from_str(include_str!("rfc7515.json")).expect("the examples");
    let mut table = Table::new("RFC 7515");
    let pem = json!({ "pem": [examples.a2_key.pem(), examples.a3_key.pem()] });
    table.config = json!({ "issuers": [{ "issuer": "joe", "audiences": ["any"], "keys": pem }] });
    table.publish(&[]);
    for (what, token, expected) in [
        ("A.1: HS256", &examples.a1, "unsupported_algorithm"),
        ("A.2: RS256", &examples.a2, "expired"),
        ("A.3: ES256", &examples.a3, "expired"),
        ("A.4: ES512, whose payload is no JSON", &examples.a4, "malformed_token"),
        ("A.5: none", &examples.a5, "malformed_token"),
        ("A.6: JSON serialization", &examples.a6.to_string(), "malformed_token"),
        ("A.7: flattened JSON serialization", &examples.a7.to_string(), "malformed_token"),
    ] {
        table.add(format!("RFC 7515 {what}"), token.clone(), expected);
    }
    changed(&examples, &mut table);
    table
}

fn changed(examples: &Examples, table: &mut Table) {
    for (name, token, other) in
        [("A.2", &examples.a2, &examples.a3), ("A.3", &examples.a3, &examples.a2)]
    {
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let genuine = decode(signature);
        let (_, foreign) = other.rsplit_once('.').expect("three parts");
        let flipped = |at: usize| {
            let mut signature = genuine.clone();
            signature[at] ^= 1;
            signature
        };
        for (what, signature) in [
            ("its first byte is another", flipped(0)),
            ("its last byte is another", flipped(genuine.len() - 1)),
            ("it is the other example's", decode(foreign)),
        ] {
            let name = format!("RFC 7515 {name}, the signature: {what}");
            table.add(name, join(input, &signature), BAD_SIGNATURE);
        }
        let (header, _) = input.split_once('.').expect("two parts");
        // {"iss":"joe"}
        let input = format!("{header}.eyJpc3MiOiJqb2UifQ");
        table.add(format!("RFC 7515 {name}, other claims"), join(&input, &genuine), BAD_SIGNATURE);
    }
}

// === impl RsaKey ===

impl RsaKey {
    /// RFC 8017 appendix A.1.1 in RFC 5280 section 4.1.2.7.
    fn pem(&self) -> String {
        let key = sequence(&[&integer(&decode(&self.n)), &integer(&decode(&self.e))]);
        spki(&[&tlv(OID, RSA), NULL].concat(), &key)
    }
}

// === impl EcKey ===

impl EcKey {
    /// RFC 5480 section 2.
    fn pem(&self) -> String {
        let point = [vec![4], decode(&self.x), decode(&self.y)].concat();
        spki(&[tlv(OID, EC), tlv(OID, P256)].concat(), &point)
    }
}

fn spki(algorithm: &[u8], key: &[u8]) -> String {
    let bits = tlv(BIT_STRING, &[&[0], key].concat());
    pem("PUBLIC KEY", &sequence(&[&sequence(&[algorithm]), &bits]))
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
