//! Detection of JWTs in a header value, in any form that an upstream might accept.
//!
//! A token in another form than the configured one (`Bearer<TAB>T`, `Token T`, `"T"`) does not authenticate the caller,
//! but an upstream may read and use it. So this module accepts more than [`super::jwt`]: padding, the standard base64
//! alphabet, trailing bits, and adjacent characters.

use super::claims::Claims;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};

/// The parts of an item that may be a JWT's claims: the middle ones of three consecutive, non-empty parts with dots
/// between them. The parts do not overlap, so the cost of decoding all of them is linear.
pub fn claims_parts(item: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = item.split(|byte| !is_of_token(*byte));
    words.flat_map(|word| {
        let parts = || word.split(|byte| *byte == b'.');
        let followed = parts().zip(parts().skip(1)).zip(parts().skip(2));
        followed.filter_map(|((before, part), behind)| {
            let whole = !before.is_empty() && !behind.is_empty() && may_be_json(part);
            whole.then_some(part)
        })
    })
}

/// Parses such a part; `None` if it is not a claims object.
pub fn claims(part: &[u8]) -> Option<Claims> {
    let json = String::from_utf8(decode(part).ok()?).ok()?;
    Claims::parse(json).ok()
}

fn decode(part: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let unpadded = part.iter().filter(|byte| **byte != b'=');
    let letters: Vec<u8> = unpadded.map(|byte| url_safe(*byte)).collect();
    LENIENT.decode(letters)
}

/// Whether the first decoded byte may begin a JSON object: `{` or white space.
fn may_be_json(part: &[u8]) -> bool {
    let Some([first, second]) = part.first_chunk() else { return false };
    let (letters, mut decoded) = ([url_safe(*first), url_safe(*second)], [0; 3]);
    let length = LENIENT.decode_slice(letters, &mut decoded);
    length.is_ok() && matches!(decoded, [b'{' | b' ' | b'\t' | b'\r' | b'\n', ..])
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/' | b'=' | b'.')
}

/// Converts a character of RFC 4648 section 4 to section 5 (base64url).
fn url_safe(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        byte => byte,
    }
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"iss":"a>?"}`, whose base64url differs from its base64.
    const PART: &str = "eyJpc3MiOiJhPj8ifQ";

    fn issuers(item: &str) -> Vec<String> {
        let parts = claims_parts(item.as_bytes());
        parts.filter_map(|part| Some(claims(part)?.issuer()?.to_owned())).collect()
    }

    #[test]
    fn jwt_is_found_between_any_other_characters() {
        for item in [
            "h.P.s",
            "Bearer h.P.s",
            "\"h.P.s\"",
            "a=h.P.s==",
            "x.h.P.s.y",
            "h=.P=.s=",
            "<h.P.s>\t",
            "h.P+.s",
            "h.P .s h.P.s",
        ] {
            let item = item.replace('P', PART);
            let expected = if item.contains('+') { vec![] } else { vec!["a>?".to_owned()] };
            assert_eq!(issuers(&item), expected, "{item}");
        }
        let other_alphabet =
            base64::engine::general_purpose::STANDARD.encode("{\"iss\":\"\u{3ff}\u{fff}?>\"}");
        assert!(other_alphabet.contains(['+', '/']), "{other_alphabet}");
        assert_eq!(issuers(&format!("h.{other_alphabet}.s")), ["\u{3ff}\u{fff}?>"]);
    }

    #[test]
    fn other_texts_have_no_claims() {
        for item in [
            "",
            "P",
            "h.P",
            "P.s",
            "h.P.",
            ".P.s",
            "h..s",
            "h.P .s",
            "www.example.com",
            "h.e30.s",
            "h.e.s",
            "h.=.s",
            "..",
            "a.b.c",
        ] {
            assert_eq!(issuers(&item.replace('P', PART)), [] as [String; 0], "{item}");
        }
    }

    #[test]
    fn each_part_is_decoded_once() {
        let item = format!("h{}.s", format!(".{PART}").repeat(100));
        assert_eq!(claims_parts(item.as_bytes()).count(), 100);
        assert_eq!(claims_parts("a.".repeat(100_000).as_bytes()).count(), 0);
    }
}
