//! ECDSA signatures in other forms, of other lengths, and with numbers that no signature has.

use super::{BAD_SIGNATURE, Parts, Signer, Way};
use der::asn1::UintRef;
use der::{Encode, Sequence};

const CURVES: [&str; 2] = ["ES256", "ES384"];
const WAYS: [Way; 2] = [Way::Native, Way::Host];

#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

#[test]
fn a_number_that_is_zero_or_the_order_or_beyond_makes_a_bad_signature() {
    for (alg, order) in [("ES256", P256_ORDER), ("ES384", P384_ORDER)] {
        let order = bytes(order);
        let half = order.len();
        for number in [vec![0; half], order, vec![0xff; half]] {
            each(alg, |parts| {
                let (r, s) = parts.signature.split_at(half);
                let both = [number.clone(), number.clone()].concat();
                vec![[&number, s].concat(), [r, &number].concat(), both]
            });
        }
    }
}

#[test]
fn one_for_both_numbers_makes_a_bad_signature() {
    for alg in CURVES {
        each(alg, |parts| {
            let mut ones = vec![0; parts.signature.len()];
            ones[parts.signature.len() / 2 - 1] = 1;
            ones[parts.signature.len() - 1] = 1;
            vec![ones]
        });
    }
}

#[test]
fn der_is_a_bad_signature() {
    for alg in CURVES {
        each(alg, |parts| {
            let (r, s) = parts.signature.split_at(parts.signature.len() / 2);
            let value = EcdsaSigValue { r: UintRef::new(r).unwrap(), s: UintRef::new(s).unwrap() };
            vec![value.to_der().unwrap()]
        });
    }
}

#[test]
fn numbers_in_the_other_order_make_a_bad_signature() {
    for alg in CURVES {
        each(alg, |parts| {
            let (r, s) = parts.signature.split_at(parts.signature.len() / 2);
            vec![[s, r].concat()]
        });
    }
}

#[test]
fn a_signature_of_another_length_is_bad() {
    for alg in CURVES {
        each(alg, |Parts { signature, .. }| {
            let half = signature.len() / 2;
            let (r, s) = signature.split_at(half);
            vec![
                signature[1..].to_vec(),
                signature[..signature.len() - 1].to_vec(),
                [signature, &[0][..]].concat(),
                [&[0], signature.as_slice()].concat(),
                [&[0], r, &[0], s].concat(),
                r.to_vec(),
                [signature.as_slice(), signature].concat(),
                vec![0; half],
            ]
        });
    }
}

#[test]
fn leading_zeros_belong_to_the_numbers() {
    for (alg, zeros) in [("ES256", 1), ("ES384", 1)] {
        let signer = Signer::new(alg);
        for at_half in [false, true] {
            let parts = with_zeros(&signer, at_half, zeros);
            let at = if at_half { parts.signature.len() / 2 } else { 0 };
            let mut stripped = parts.signature.clone();
            stripped.drain(at..at + zeros);
            for way in WAYS {
                let mut core = signer.core(way);
                assert!(core.bearer(&parts.join()).passes(), "{alg} {way:?}");
                let outcome = core.bearer(&parts.with_signature(&stripped));
                assert_eq!(outcome, BAD_SIGNATURE, "{alg} {way:?}");
            }
        }
    }
}

/// P-521's numbers have 521 bits in 66 bytes, so that nearly all begin with seven zero bits or more.
#[test]
fn the_host_takes_es512_numbers_with_any_number_of_leading_zeros() {
    let signer = Signer::new("ES512");
    let mut core = signer.core(Way::Host);
    for at_half in [false, true] {
        for zeros in [1, 2] {
            let parts = with_zeros(&signer, at_half, zeros);
            assert!(core.bearer(&parts.join()).passes(), "{zeros} zero bytes");
        }
    }
}

/// Checks that each of the signatures that `make` makes of a genuine token's is bad.
fn each(alg: &'static str, make: impl Fn(&Parts) -> Vec<Vec<u8>>) {
    let signer = Signer::new(alg);
    for way in WAYS {
        let mut core = signer.core(way);
        let parts = signer.parts();
        for (at, signature) in make(&parts).into_iter().enumerate() {
            let outcome = core.bearer(&parts.with_signature(&signature));
            assert_eq!(outcome, BAD_SIGNATURE, "{alg} {way:?}, the signature at {at}");
        }
    }
}

/// A token whose r (or s) begins with so many zero bytes.
fn with_zeros(signer: &Signer, in_s: bool, zeros: usize) -> Parts {
    let found = std::iter::repeat_with(|| signer.parts()).find(|parts| {
        let (r, s) = parts.signature.split_at(parts.signature.len() / 2);
        let number = if in_s { s } else { r };
        number.iter().take_while(|byte| **byte == 0).count() >= zeros
    });
    found.expect("one in a few hundred")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// SEC 2 sections 2.4.2 and 2.5.1.
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_ORDER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffff
                          c7634d81f4372ddf581a0db248b0a77aecec196accc52973";
