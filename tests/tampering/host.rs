//! A fake of Envoy's `verify_signature` with the test's keys.

use der::asn1::UintRef;
use der::{Decode, Sequence};
use envoy_test::SigningKey;
use sa_authn::authn::signature::{HostVerify, Verifier};
use std::cell::RefCell;

thread_local! {
    static KEY: RefCell<Option<SigningKey>> = const { RefCell::new(None) };
}

#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// A host that has this key, for the calling thread.
pub fn knowing(key: &SigningKey) -> HostVerify {
    KEY.set(Some(key.clone()));
    Verifier::probing(verify_signature).expect("a host that passes the probe");
    verify_signature
}

#[test]
fn host_that_fails_the_signature_probe_is_not_used() {
    const ABSENT: &str = "the host has no verify_signature";
    const WRONG: &str = "the host's verify_signature misjudges a known signature";
    let refused = |host| Verifier::probing(host).map(|_| ()).expect_err("a bad host");
    assert_eq!(refused(|_| None), ABSENT);
    assert_eq!(refused(|_| Some(b"no protobuf".to_vec())), ABSENT);
    assert_eq!(refused(|_| Some(vec![0x08, 0x01])), WRONG, "accepts everything");
    assert_eq!(refused(|_| Some(vec![0x08, 0x00])), WRONG, "rejects everything");
}

fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
    let fields = fields(arguments);
    let [(1, hash), (2, spki), (3, signature), (4, text)] = fields[..] else {
        panic!("four fields in order: {fields:?}")
    };
    let key = KEY.with_borrow(Clone::clone).filter(|key| key.spki_der() == spki);
    let genuine = match key {
        Some(key) => verify(&key, hash, signature, text),
        // The probe's key, whose private key was discarded.
        None => text == b"sa-authn",
    };
    Some(if genuine { vec![0x08, 0x01] } else { b"\x12\x03bad".to_vec() })
}

fn verify(key: &SigningKey, hash: &[u8], signature: &[u8], text: &[u8]) -> bool {
    let bits = std::str::from_utf8(hash).unwrap().strip_prefix("sha").unwrap();
    if key.kind().is_rsa() {
        return key.verify(&format!("RS{bits}"), text, signature);
    }
    let EcdsaSigValue { r, s } = EcdsaSigValue::from_der(signature).expect("strict DER");
    let bytes = match bits {
        "512" => 66,
        bits => bits.parse::<usize>().unwrap() / 8,
    };
    let fixed = [padded(r.as_bytes(), bytes), padded(s.as_bytes(), bytes)].concat();
    key.verify(&format!("ES{bits}"), text, &fixed)
}

fn padded(number: &[u8], bytes: usize) -> Vec<u8> {
    let mut fixed = vec![0; bytes - number.len()];
    fixed.extend_from_slice(number);
    fixed
}

fn fields(mut message: &[u8]) -> Vec<(u8, &[u8])> {
    let mut fields = Vec::new();
    while let Some((tag, rest)) = message.split_first() {
        assert_eq!(tag & 7, 2, "length-delimited");
        let (length, rest) = varint(rest);
        let (value, rest) = rest.split_at(length);
        fields.push((tag >> 3, value));
        message = rest;
    }
    fields
}

fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).expect("an end") + 1;
    let (number, rest) = bytes.split_at(end);
    (number.iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f)), rest)
}
