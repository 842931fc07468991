//! Signatures as numbers and bytes: out of range, of another length, and equal to the right one but not it.

use num_bigint::BigUint;

use super::Suite;
use crate::conformance::{BAD_SIGNATURE, PASSES, Table, encode, join, signing_input};
use crate::der::{OCTET_STRING, tlv};

pub(super) fn add(suite: &Suite<'_>, table: &mut Table) {
    let (input, genuine) = signed(suite);
    for (what, signature) in numbers(suite, &genuine).into_iter().chain(lengths(&genuine)) {
        table.add(suite.name(what), join(&input, &signature), BAD_SIGNATURE);
    }
    table.add(suite.name("no signature"), join(&input, &[]), "malformed_token");
    too_large_by_the_modulus(suite, table);
    leading_zeros(suite, table);
}

fn signed(suite: &Suite<'_>) -> (String, Vec<u8>) {
    let input = signing_input(suite.hash.alg, suite.hash.alg);
    let signature = suite.key.sign_as(suite.hash.alg, input.as_bytes());
    (input, signature)
}

fn numbers(suite: &Suite<'_>, genuine: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (n, one) = (&suite.n, BigUint::from(1u8));
    let fixed = |number: BigUint| fixed(&number).expect("as long as the modulus, or shorter");
    let genuine = BigUint::from_bytes_be(genuine);
    vec![
        ("the signature 0", fixed(BigUint::ZERO)),
        ("the signature 1", fixed(one.clone())),
        ("the signature 2", fixed(BigUint::from(2u8))),
        ("the signature n - 1", fixed(n - &one)),
        ("the signature n", fixed(n.clone())),
        ("the signature n + 1", fixed(n + &one)),
        ("the largest number of that length", vec![0xff; BYTES]),
        ("n minus the signature", fixed(n - &genuine)),
        ("the signature's square", fixed(genuine.modpow(&BigUint::from(2u8), n))),
        ("the signature, plus 1", fixed((&genuine + &one) % n)),
        ("the signature, verified", fixed(genuine.modpow(&BigUint::from(65537u32), n))),
    ]
}

fn lengths(genuine: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = genuine.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("a zero in front of the signature", [&[0], genuine].concat()),
        ("a hundred zeros in front of the signature", [&[0; 100], genuine].concat()),
        ("a zero behind the signature", [genuine, &[0]].concat()),
        ("the first byte is missing", genuine[1..].to_vec()),
        ("the last byte is missing", genuine[..BYTES - 1].to_vec()),
        ("a quarter of the signature", genuine[..BYTES / 4].to_vec()),
        ("the signature twice", [genuine, genuine].concat()),
        ("a signature of one byte", vec![0]),
        ("the signature backwards", genuine.iter().rev().copied().collect()),
        ("the signature as an OCTET STRING", tlv(OCTET_STRING, genuine)),
        ("the signature in hexadecimal", hex.into_bytes()),
        ("the signature in base64url, twice", encode(genuine).into_bytes()),
    ]
}

/// RFC 8017 section 5.2.2: a representative that is not below the modulus is out of range.
fn too_large_by_the_modulus(suite: &Suite<'_>, table: &mut Table) {
    let (input, sum) = std::iter::repeat_with(|| signed(suite))
        .find_map(|(input, genuine)| {
            Some((input, fixed(&(BigUint::from_bytes_be(&genuine) + &suite.n))?))
        })
        .expect("the modulus leaves room");
    table.add(suite.name("the signature plus n"), join(&input, &sum), BAD_SIGNATURE);
}

/// RFC 8017 section 8.2.1: a signature is as long as the modulus, zeros in front included.
fn leading_zeros(suite: &Suite<'_>, table: &mut Table) {
    let (input, genuine) = std::iter::repeat_with(|| signed(suite))
        .find(|(_, signature)| signature[0] == 0)
        .expect("one in two hundred");
    table.add(suite.name("a signature that begins with a zero"), join(&input, &genuine), PASSES);
    let stripped = join(&input, &genuine[1..]);
    table.add(suite.name("a signature without its zero in front"), stripped, BAD_SIGNATURE);
}

/// `None` where it has more bytes than the modulus.
fn fixed(number: &BigUint) -> Option<Vec<u8>> {
    let bytes = number.to_bytes_be();
    let zeros = BYTES.checked_sub(bytes.len())?;
    Some([vec![0; zeros], bytes].concat())
}

const BYTES: usize = 256;
