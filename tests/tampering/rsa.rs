//! RSA signatures of other lengths, and numbers that are equal to the genuine one but not it.

use super::{BAD_SIGNATURE, MALFORMED, Parts, Signer, Way};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const ALGORITHMS: [&str; 3] = ["RS256", "RS384", "RS512"];
const WAYS: [Way; 2] = [Way::Native, Way::Host];

#[test]
fn a_signature_of_another_length_is_bad() {
    for alg in ALGORITHMS {
        each(alg, |Parts { signature, .. }| {
            vec![
                signature[1..].to_vec(),
                signature[..255].to_vec(),
                [signature, &[0][..]].concat(),
                [&[0], signature.as_slice()].concat(),
                signature[..64].to_vec(),
                [signature.as_slice(), signature].concat(),
                vec![0],
            ]
        });
    }
}

#[test]
fn no_signature_at_all_is_malformed() {
    let signer = Signer::new("RS256");
    let token = signer.parts().with_signature(&[]);
    assert_eq!(signer.core(Way::Native).bearer(&token), MALFORMED);
}

#[test]
fn numbers_that_say_nothing_are_bad_signatures() {
    for alg in ALGORITHMS {
        each(alg, |_| {
            let mut one = vec![0; 256];
            one[255] = 1;
            vec![vec![0; 256], one, vec![0xff; 256]]
        });
    }
}

#[test]
fn the_modulus_and_its_neighbours_are_bad_signatures() {
    let signer = Signer::new("RS256");
    let modulus = modulus(&signer);
    let (mut below, mut above) = (modulus.clone(), modulus.clone());
    below[255] -= 1;
    above[255] ^= 2;
    for way in WAYS {
        for number in [&modulus, &below, &above] {
            let token = signer.parts().with_signature(number);
            assert_eq!(signer.core(way).bearer(&token), BAD_SIGNATURE, "{way:?}");
        }
    }
}

/// RFC 8017 section 5.2.2: a representative that is not below the modulus is out of range.
#[test]
fn a_signature_with_the_modulus_added_is_bad() {
    let (signer, parts, sum) = std::iter::repeat_with(|| Signer::new("RS256"))
        .find_map(|signer| {
            let modulus = modulus(&signer);
            let mut tokens = std::iter::repeat_with(|| signer.parts()).take(50);
            let fits = tokens.find_map(|parts| Some((add(&parts.signature, &modulus)?, parts)));
            fits.map(|(sum, parts)| (signer, parts, sum))
        })
        .expect("a sum that fits");
    for way in WAYS {
        let mut core = signer.core(way);
        assert!(core.bearer(&parts.join()).passes(), "{way:?}");
        assert_eq!(core.bearer(&parts.with_signature(&sum)), BAD_SIGNATURE, "{way:?}");
    }
}

#[test]
fn leading_zeros_belong_to_the_signature() {
    let signer = Signer::new("RS256");
    let zero = |parts: &Parts| parts.signature[0] == 0;
    let parts = std::iter::repeat_with(|| signer.parts()).find(zero).expect("one in 256");
    for way in WAYS {
        let mut core = signer.core(way);
        assert!(core.bearer(&parts.join()).passes(), "{way:?}");
        let stripped = parts.with_signature(&parts.signature[1..]);
        assert_eq!(core.bearer(&stripped), BAD_SIGNATURE, "{way:?}");
    }
}

/// Checks that each of the signatures that `make` makes of a genuine token's is bad.
fn each(alg: &'static str, make: impl Fn(&Parts) -> Vec<Vec<u8>>) {
    let signer = Signer::new(alg);
    let parts = signer.parts();
    for way in WAYS {
        let mut core = signer.core(way);
        for (at, signature) in make(&parts).into_iter().enumerate() {
            let outcome = core.bearer(&parts.with_signature(&signature));
            assert_eq!(outcome, BAD_SIGNATURE, "{alg} {way:?}, the signature at {at}");
        }
    }
}

fn modulus(signer: &Signer) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(signer.key.jwk()["n"].as_str().unwrap()).unwrap()
}

/// The sum of two numbers, if it has no more bytes than they have.
fn add(one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let (mut sum, mut carry) = (vec![0; one.len()], 0);
    for at in (0..one.len()).rev() {
        let digit = u16::from(one[at]) + u16::from(other[at]) + carry;
        (sum[at], carry) = ((digit & 0xff) as u8, digit >> 8);
    }
    (carry == 0).then_some(sum)
}
