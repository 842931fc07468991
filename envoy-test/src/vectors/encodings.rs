//! Tokens in other serializations and encodings, with parts of other tokens, and with JSON that parsers read differently.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use super::{BAD_SIGNATURE, MALFORMED, Vector};
use crate::token::{DEFAULT_ISSUER, assemble};

pub(super) fn rows() -> Vec<Vector> {
    [serializations(), signatures(), alphabets(), members(), shapes()]
        .into_iter()
        .flatten()
        .collect()
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn serializations() -> Vec<Vector> {
    vec![
        Vector::new("abc", MALFORMED, |_| "abc".to_owned()),
        Vector::new("only dots", MALFORMED, |_| "..".to_owned()),
        Vector::new("17 KiB of token", "token_too_large", |_| "a".repeat(17 * 1024)),
        Vector::new("two parts", MALFORMED, |a| a.genuine_parts()[..2].join(".")),
        Vector::new("four parts", MALFORMED, |a| a.genuine() + ".x"),
        Vector::new("five parts, as JWE", MALFORMED, |a| a.genuine() + ".x.y"),
        Vector::new("parts in another order", MALFORMED, |a| {
            let [header, claims, signature] = a.genuine_parts();
            [claims, header, signature].join(".")
        }),
        Vector::new("an encrypted token", MALFORMED, |a| {
            let header = json!({ "alg": "dir", "enc": "A256GCM", "kid": a.key.kid() });
            [
                encoded(header.to_string()),
                String::new(),
                encoded("iv"),
                encoded("text"),
                encoded("tag"),
            ]
            .join(".")
        }),
        Vector::new("an encrypted token with a key", MALFORMED, |a| {
            let header = json!({ "alg": "dir", "enc": "A256GCM", "kid": a.key.kid() });
            [header.to_string().as_str(), "key", "iv", "text", "tag"].map(encoded).join(".")
        }),
        Vector::new("JSON serialization", MALFORMED, |a| {
            let [header, claims, signature] = a.genuine_parts();
            let jws = json!({ "protected": header, "payload": claims, "signature": signature });
            encoded(jws.to_string())
        }),
        Vector::new("a token for claims", MALFORMED, |a| a.sign_claims(&a.genuine())),
        Vector::new("claims that are not encoded (RFC 7797)", MALFORMED, |a| {
            let mut header = a.header();
            header["b64"] = json!(false);
            header["crit"] = json!(["b64"]);
            let input = format!(
                "{}.{}",
                encoded(header.to_string()),
                a.wanted_claims().replace(['.', ','], "")
            );
            format!("{input}.{}", encoded(a.key.sign(input.as_bytes())))
        }),
        Vector::new("detached claims", MALFORMED, |a| {
            let [header, _, signature] = a.genuine_parts();
            format!("{header}..{signature}")
        }),
    ]
}

/// Signatures of other tokens, and none.
fn signatures() -> Vec<Vector> {
    vec![
        Vector::new("claims exchanged", BAD_SIGNATURE, |a| {
            let [header, _, signature] = a.genuine_parts();
            [header, encoded(a.wanted_claims()), signature].join(".")
        }),
        Vector::new("claims with a space more", BAD_SIGNATURE, |a| {
            let [header, claims, signature] = a.genuine_parts();
            let mut claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
            claims.push(b' ');
            [header, encoded(claims), signature].join(".")
        }),
        Vector::new("a bit of the signature flipped", BAD_SIGNATURE, |a| {
            let [header, claims, signature] = a.genuine_parts();
            let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
            signature[10] ^= 1;
            [header, claims, encoded(signature)].join(".")
        }),
        Vector::new("a cut signature", BAD_SIGNATURE, |a| {
            let [header, claims, signature] = a.genuine_parts();
            [header.as_str(), &claims, &signature[4..]].join(".")
        }),
        Vector::new("a longer signature", BAD_SIGNATURE, |a| a.genuine() + "AAAA"),
        Vector::new("a signature of zeros", BAD_SIGNATURE, |a| {
            let length = a.key.sign(b"").len();
            assemble(&a.header().to_string(), &a.wanted_claims(), |_| vec![0; length])
        }),
        Vector::new("a signature of one byte", BAD_SIGNATURE, |a| {
            assemble(&a.header().to_string(), &a.wanted_claims(), |_| vec![1])
        }),
        Vector::new("no signature", MALFORMED, |a| {
            let [header, claims, _] = a.genuine_parts();
            format!("{header}.{claims}.")
        }),
    ]
}

/// Encodings that some decoders accept as the same token.
fn alphabets() -> Vec<Vector> {
    let mut rows = vec![
        Vector::new("padding", MALFORMED, |a| a.genuine() + "="),
        Vector::new("padding, twice", MALFORMED, |a| a.genuine() + "=="),
        Vector::new("padded claims", MALFORMED, |a| {
            let [header, claims, signature] = a.genuine_parts();
            let claims = URL_SAFE.encode(URL_SAFE_NO_PAD.decode(claims).expect("base64url"));
            [header, claims + "=", signature].join(".")
        }),
        Vector::new("the other alphabet", MALFORMED, |a| a.genuine() + "+/"),
        Vector::new("an escape", MALFORMED, |a| a.genuine().replacen('.', "%2E", 1)),
        Vector::new("an escape behind it", MALFORMED, |a| a.genuine() + "%00"),
    ];
    for (at, part) in ["header", "claims", "signature"].into_iter().enumerate() {
        rows.push(Vector::new(format!("stray bits in the {part}"), MALFORMED, move |a| {
            let mut parts = a.genuine_parts();
            parts[at] = with_stray_bits(&parts[at]);
            parts.join(".")
        }));
    }
    rows
}

/// The same bytes, with other bits in the last character, which are unused. A part without unused bits gets one byte more.
fn with_stray_bits(part: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    if bytes.len().is_multiple_of(3) {
        bytes.push(b' ');
    }
    let mut text = encoded(bytes);
    let last = text.pop().expect("a character");
    let value = ALPHABET.iter().position(|letter| char::from(*letter) == last);
    text.push(char::from(ALPHABET[value.expect("base64url") ^ 1]));
    text
}

/// Duplicate members, of which parsers use the first or the last.
fn members() -> Vec<Vector> {
    let mut rows = Vec::new();
    for (name, member) in [
        ("sub", r#""sub":"system:serviceaccount:ops:admin""#.to_owned()),
        ("sub, escaped", r#""\u0073ub":"system:serviceaccount:ops:admin""#.to_owned()),
        ("iss", format!(r#""iss":"{DEFAULT_ISSUER}""#)),
    ] {
        rows.push(Vector::new(format!("duplicate claim {name}"), MALFORMED, move |a| {
            a.sign_claims(&a.wanted_claims().replacen('{', &format!("{{{member},"), 1))
        }));
    }
    for member in [r#""alg":"none""#, r#""kid":"x""#, r#""k\u0069d":"x""#] {
        rows.push(Vector::new(format!("duplicate in the header: {member}"), MALFORMED, move |a| {
            let header = a.header().to_string().replacen('{', &format!("{{{member},"), 1);
            a.sign(&header, &a.wanted_claims())
        }));
    }
    rows
}

fn shapes() -> Vec<Vector> {
    let mut rows = vec![
        Vector::new("claims nested 5,000 deep", MALFORMED, |a| {
            let deep = format!(r#"{{"x":{}{},"#, "[".repeat(5000), "]".repeat(5000));
            a.sign_claims(&a.wanted_claims().replacen('{', &deep, 1))
        }),
        Vector::new("text after the claims", MALFORMED, |a| {
            a.sign_claims(&(a.wanted_claims() + "{}"))
        }),
        Vector::new("a byte order mark before the claims", MALFORMED, |a| {
            a.sign_claims(&format!("\u{feff}{}", a.wanted_claims()))
        }),
    ];
    for claims in ["[]", "abc", "\"admin\"", "null", "{"] {
        rows.push(Vector::new(format!("the claims are {claims}"), MALFORMED, move |a| {
            a.sign_claims(claims)
        }));
    }
    rows
}
