//! Keys that must be rejected (RFC 7517, RFC 7518 section 6), each with a token that they would verify.

use num_bigint::BigUint;
use serde_json::{Value, json};

use super::curve::{CURVES, Curve};
use super::rsa::{Forger, modulus, roomy_key};
use super::{BAD_SIGNATURE, PASSES, Table, UNKNOWN_KEY, decode, encode, token, with};
use crate::keys::{KeyKind, SigningKey};
use crate::token::hs256;

/// The table, and what it publishes.
struct Keys {
    table: Table,
    jwks: Vec<Value>,
}

pub(super) fn table() -> Table {
    let mut keys = Keys { table: Table::new("keys"), jwks: Vec::new() };
    keys.rsa();
    keys.exponents();
    for curve in &CURVES {
        keys.points(curve);
    }
    keys.curves();
    keys.uses();
    keys.symmetric();
    keys.table.publish(&keys.jwks);
    keys.table
}

// === impl Keys ===

impl Keys {
    /// Publishes a key, and signs with `key` under its name.
    fn add(&mut self, what: &str, key: &SigningKey, jwk: Value, expected: &'static str) {
        let signed = token(key.alg(), what, |input| key.sign(input));
        self.publish(what, jwk, signed, expected);
    }

    fn publish(&mut self, what: &str, jwk: Value, token: String, expected: &'static str) {
        self.jwks.push(with(jwk, &[("kid", json!(what))]));
        self.table.add(what, token, expected);
    }

    fn rsa(&mut self) {
        let key = SigningKey::generate(KeyKind::Rsa2048);
        let n = modulus(&key);
        let of = |n: &[u8]| with(key.jwk(), &[("n", json!(encode(n)))]);
        let bytes = n.to_bytes_be();
        let even = (&n - 1u8).to_bytes_be();
        let padded = base64::engine::Engine::encode(&base64::prelude::BASE64_URL_SAFE, &bytes);
        self.add("an RSA key", &key, key.jwk(), PASSES);
        self.add("an RSA key without alg", &key, without(key.jwk(), "alg"), PASSES);
        self.add(
            "a modulus with a zero in front",
            &key,
            of(&[&[0], &bytes[..]].concat()),
            UNKNOWN_KEY,
        );
        for (what, n) in [
            ("an even modulus", even),
            ("a modulus of 0", vec![0]),
            ("a modulus of 1024 bits", bytes[128..].to_vec()),
            ("a modulus of 2040 bits", bytes[1..].to_vec()),
            ("a modulus of 4104 bits", [&bytes[..], &bytes, &[1]].concat()),
            ("a modulus of 16384 bits", bytes.repeat(8)),
        ] {
            self.add(what, &key, of(&n), UNKNOWN_KEY);
        }
        for (what, n) in [
            ("a modulus with padding", json!(padded)),
            ("a modulus as a number", json!(65537)),
            ("an empty modulus", json!("")),
        ] {
            self.add(what, &key, with(key.jwk(), &[("n", n)]), UNKNOWN_KEY);
        }
        self.add("no modulus", &key, without(key.jwk(), "n"), UNKNOWN_KEY);
        let other = with(key.jwk(), &[("n", json!(encode((&n + 2u8).to_bytes_be())))]);
        self.add("another modulus", &key, other, BAD_SIGNATURE);
    }

    /// With a small exponent anyone can forge signatures: only 65537 is accepted.
    fn exponents(&mut self) {
        let key = roomy_key();
        let forger = Forger::of(&key);
        let of = |e: &[u8]| with(key.jwk(), &[("e", json!(encode(e)))]);
        for (what, e) in [("the exponent 1", 1), ("the exponent 3", 3)] {
            let forged = token("RS256", what, |input| forger.sign(input, e));
            assert!(forger.would_fool(e), "the forgery must be valid for this exponent");
            self.publish(what, of(&[e as u8]), forged, UNKNOWN_KEY);
        }
        for (what, e) in [
            ("the exponent 0", vec![0]),
            ("the exponent 2", vec![2]),
            ("the exponent 65536", vec![1, 0, 0]),
            ("the exponent 65539", vec![1, 0, 3]),
            ("the exponent 2^32 + 65537", vec![1, 0, 1, 0, 1]),
            ("an exponent as long as the modulus", modulus(&key).to_bytes_be()),
        ] {
            self.add(what, &key, of(&e), UNKNOWN_KEY);
        }
        self.add("an exponent with a zero in front", &key, of(&[0, 1, 0, 1]), UNKNOWN_KEY);
        self.add("no exponent", &key, without(key.jwk(), "e"), UNKNOWN_KEY);
    }

    fn points(&mut self, curve: &Curve) {
        let key = SigningKey::generate(curve.kind);
        let (x, y) = (coordinate(&key, "x"), coordinate(&key, "y"));
        let of = |x: &[u8], y: &[u8]| with(curve.jwk(x, y), &[("alg", json!(curve.alg))]);
        let fixed = |number: BigUint| curve.fixed(&number).expect("in as many bytes");
        let (zero, p) = (vec![0; curve.bytes], curve.prime());
        let number = |bytes: &[u8]| BigUint::from_bytes_be(bytes);
        let named = |what: &str| format!("{}: {what}", curve.alg);
        self.add(&named("a key"), &key, of(&x, &y), PASSES);
        let mirrored = fixed(&p - number(&y));
        self.add(&named("the point on the other side"), &key, of(&x, &mirrored), BAD_SIGNATURE);
        for (what, x, y) in [
            ("no point: beside the curve", x.clone(), fixed((number(&y) + 1u8) % &p)),
            ("no point: x and y in the other order", y.clone(), x.clone()),
            ("no point: (0, 0)", zero.clone(), zero.clone()),
            ("no point: x is p", fixed(p.clone()), y.clone()),
            ("no point: y is p", x.clone(), fixed(p)),
            ("no point: all ones", vec![0xff; curve.bytes], vec![0xff; curve.bytes]),
            ("coordinates without bytes", vec![], vec![]),
            ("coordinates of one zero", vec![0], vec![0]),
            ("a compressed point", [&[2 + y[curve.bytes - 1] % 2], &x[..]].concat(), vec![]),
            ("a zero in front of x", [&[0], &x[..]].concat(), y.clone()),
            ("a zero in front of both", [&[0], &x[..]].concat(), [&[0], &y[..]].concat()),
            ("half of x in y", x[..curve.bytes - 1].to_vec(), [&x[curve.bytes - 1..], &y].concat()),
        ] {
            self.add(&named(what), &key, of(&x, &y), UNKNOWN_KEY);
        }
        self.add(&named("no y"), &key, without(of(&x, &y), "y"), UNKNOWN_KEY);
    }

    /// A point, under the name of a curve or of an algorithm that is not its own.
    fn curves(&mut self) {
        let key = SigningKey::generate(KeyKind::P256);
        let of = |name: &str, value: &str| with(key.jwk(), &[(name, json!(value))]);
        for (what, name, value) in [
            ("the curve P-384 for P-256", "crv", "P-384"),
            ("the curve secp256k1", "crv", "secp256k1"),
            ("the curve p-256", "crv", "p-256"),
            ("no curve's name", "crv", ""),
            ("ES384 on P-256", "alg", "ES384"),
            ("ES256K on P-256", "alg", "ES256K"),
            ("RS256 on P-256", "alg", "RS256"),
            ("OKP for EC", "kty", "OKP"),
            ("RSA for EC", "kty", "RSA"),
        ] {
            self.add(what, &key, of(name, value), UNKNOWN_KEY);
        }
        // A point of a weaker curve, for which keys may leak (invalid curve attack).
        let foreign = with(key.jwk(), &[("x", json!(SECP256K1_X)), ("y", json!(SECP256K1_Y))]);
        self.add("secp256k1's base point on P-256", &key, foreign, UNKNOWN_KEY);
    }

    /// Valid keys for other purposes.
    fn uses(&mut self) {
        for kind in [KeyKind::Rsa2048, KeyKind::P256] {
            let key = SigningKey::generate(kind);
            let mut add = |what: &str, name: &str, value: Value| {
                let what = format!("{kind:?}: {what}");
                self.add(&what, &key, with(key.jwk(), &[(name, value)]), UNKNOWN_KEY);
            };
            add("for encryption", "use", json!("enc"));
            add("key_ops without verify", "key_ops", json!(["sign", "encrypt"]));
            add("a private key", "d", json!("AQAB"));
            add("alg none", "alg", json!("none"));
            add("alg HS256", "alg", json!("HS256"));
            add("alg PS256", "alg", json!("PS256"));
            add("alg RSA-OAEP", "alg", json!("RSA-OAEP"));
        }
    }

    /// RFC 8725 section 2.1: a public key as the secret of an HMAC.
    fn symmetric(&mut self) {
        let secret = b"a secret that is public";
        let header = json!({ "alg": "HS256", "kid": "oct" }).to_string();
        let claims = crate::token::Token::for_service_account("api", "api").claims().to_string();
        let jwk = json!({ "kty": "oct", "k": encode(secret), "alg": "HS256" });
        let signed = hs256(&header, &claims, secret);
        self.publish("oct", jwk, signed, "unsupported_algorithm");
    }
}

// === private ===

fn coordinate(key: &SigningKey, name: &str) -> Vec<u8> {
    decode(key.jwk()[name].as_str().expect("an EC key"))
}

fn without(mut jwk: Value, name: &str) -> Value {
    jwk.as_object_mut().expect("an object").remove(name);
    jwk
}

/// SEC 2 section 2.4.1.
const SECP256K1_X: &str = "eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g";
const SECP256K1_Y: &str = "SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg";
