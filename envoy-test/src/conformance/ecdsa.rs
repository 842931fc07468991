//! ECDSA on P-256, P-384 and P-521 (FIPS 186-5, RFC 7518 section 3.4): numbers at and beyond the edge.

mod edges;

use num_bigint::BigUint;
use serde_json::json;

use super::curve::{CURVES, Curve};
use super::{BAD_SIGNATURE, PASSES, Table, join, signing_input, token, with};
use crate::der::{integer, long, sequence};
use crate::keys::SigningKey;

pub(super) fn table() -> Table {
    let mut table = Table::new("ECDSA");
    let mut jwks = Vec::new();
    for curve in &CURVES {
        let key = SigningKey::generate(curve.kind);
        jwks.push(with(key.jwk(), &[("kid", json!(curve.alg))]));
        genuine(curve, &key, &mut table);
        changed(curve, &key, &mut table);
        others(curve, &key, &mut table);
        leading_zeros(curve, &key, &mut table);
        jwks.extend(edges::add(curve, &mut table));
    }
    table.publish(&jwks);
    table
}

fn named(curve: &Curve, what: &str) -> String {
    format!("{}: {what}", curve.alg)
}

fn genuine(curve: &Curve, key: &SigningKey, table: &mut Table) {
    let genuine = token(curve.alg, curve.alg, |input| key.sign(input));
    table.add(named(curve, "signed by a library"), genuine, PASSES);
}

fn changed(curve: &Curve, key: &SigningKey, table: &mut Table) {
    let input = signing_input(curve.alg, curve.alg);
    let signature = key.sign(input.as_bytes());
    let (r, s) = signature.split_at(curve.bytes);
    let [r, s] = [r, s].map(BigUint::from_bytes_be);
    for (what, r, s) in numbers(curve, &r, &s) {
        let signature = curve.signature(&r, &s).expect("both are below 2 to the coordinate's bits");
        table.add(named(curve, &what), join(&input, &signature), BAD_SIGNATURE);
    }
    for (what, signature) in forms(curve, &signature) {
        table.add(named(curve, what), join(&input, &signature), BAD_SIGNATURE);
    }
    table.add(named(curve, "no signature"), join(&input, &[]), "malformed_token");
}

/// Other numbers for those of a genuine signature.
fn numbers(curve: &Curve, r: &BigUint, s: &BigUint) -> Vec<(String, BigUint, BigUint)> {
    let (n, p, one) = (curve.order(), curve.prime(), BigUint::from(1u8));
    let largest = BigUint::from_bytes_be(&vec![0xff; curve.bytes]);
    let odd = [
        ("0", BigUint::ZERO),
        ("1", one.clone()),
        ("n - 1", &n - &one),
        ("n", n.clone()),
        ("n + 1", &n + &one),
        ("p", p.clone()),
        ("p + 1", &p + &one),
        ("all ones", largest),
    ];
    let mut numbers = Vec::new();
    for (name, number) in &odd {
        numbers.push((format!("r is {name}"), number.clone(), s.clone()));
        numbers.push((format!("s is {name}"), r.clone(), number.clone()));
        numbers.push((format!("r and s are {name}"), number.clone(), number.clone()));
    }
    for (name, other_r, other_s) in [
        ("r is 0 and s is 1", BigUint::ZERO, one.clone()),
        ("r is 1 and s is 0", one, BigUint::ZERO),
        ("r and s in the other order", s.clone(), r.clone()),
        ("r for both", r.clone(), r.clone()),
        ("s for both", s.clone(), s.clone()),
        ("n minus r", &n - r, s.clone()),
        ("n minus s", r.clone(), &n - s),
        ("n minus r, and n minus s", &n - r, &n - s),
    ] {
        numbers.push((name.to_owned(), other_r, other_s));
    }
    numbers
}

/// The same numbers, written otherwise.
fn forms(curve: &Curve, signature: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (r, s) = signature.split_at(curve.bytes);
    let both = [integer(r), integer(s)].concat();
    let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let backwards = |number: &[u8]| number.iter().rev().copied().collect::<Vec<_>>();
    vec![
        ("DER", sequence(&[&both])),
        ("DER with a byte behind it", [sequence(&[&both]), vec![0]].concat()),
        ("BER", long(0x30, 2, &both)),
        ("a zero in front of r and of s", [&[0], r, &[0], s].concat()),
        ("a zero in front of r", [&[0], signature].concat()),
        ("a zero behind s", [signature, &[0]].concat()),
        ("the first byte is missing", signature[1..].to_vec()),
        ("the last byte is missing", signature[..signature.len() - 1].to_vec()),
        ("r alone", r.to_vec()),
        ("the signature twice", [signature, signature].concat()),
        ("a signature of one byte", vec![0]),
        ("r and s backwards", [backwards(r), backwards(s)].concat()),
        ("the signature in hexadecimal", hex.into_bytes()),
    ]
}

/// Genuine signatures, of something else.
fn others(curve: &Curve, key: &SigningKey, table: &mut Table) {
    let another = SigningKey::generate(curve.kind);
    let signed = token(curve.alg, curve.alg, |input| another.sign(input));
    table.add(named(curve, "signed by another key"), signed, BAD_SIGNATURE);
    let signed = token(curve.alg, curve.alg, |_| key.sign(b"another text"));
    table.add(named(curve, "a signature of another text"), signed, BAD_SIGNATURE);
    for other in CURVES.iter().filter(|other| other.alg != curve.alg) {
        let another = SigningKey::generate(other.kind);
        let name = named(curve, &format!("signed on {}", other.crv));
        let signed = token(curve.alg, curve.alg, |input| another.sign(input));
        table.add(name, signed, BAD_SIGNATURE);
    }
}

/// Numbers have as many bytes as the order, zeros in front included.
fn leading_zeros(curve: &Curve, key: &SigningKey, table: &mut Table) {
    for (number, at) in [("r", 0), ("s", curve.bytes)] {
        let (input, genuine) = std::iter::repeat_with(|| {
            let input = signing_input(curve.alg, curve.alg);
            let signature = key.sign(input.as_bytes());
            (input, signature)
        })
        .find(|(_, signature)| signature[at] == 0)
        .expect("one in a few hundred");
        let name = named(curve, &format!("{number} begins with a zero"));
        table.add(name, join(&input, &genuine), PASSES);
        let mut stripped = genuine;
        stripped.remove(at);
        let name = named(curve, &format!("{number} without its zero in front"));
        table.add(name, join(&input, &stripped), BAD_SIGNATURE);
    }
}
