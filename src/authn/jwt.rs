//! Parses bearer tokens (RFC 7515 section 7.1) without verifying them.
//!
//! Each token has one encoding: only the base64url alphabet and dots, no padding, no stray bits in the last character. The
//! API server's TokenReview could read other encodings differently.

use super::bearer::BearerToken;
use super::claims::Claims;
use super::header::JoseHeader;
use super::json::check_members;
use crate::denial::{Denial, Reason};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine};
use serde_json::Value;
use std::fmt;
use std::rc::Rc;

/// A token that is well-formed. Nothing in it is verified yet. Its parts cannot be exchanged, so the claims are those that
/// the signature signs.
///
/// ```compile_fail
/// use sa_authn::authn::{claims::Claims, jwt::Jwt};
/// fn exchange(jwt: &mut Jwt<'_>, other: std::rc::Rc<Claims>) {
///     jwt.claims = other;
/// }
/// ```
///
/// ```
/// use sa_authn::authn::{claims::Claims, jwt::Jwt};
/// fn read<'j>(jwt: &'j Jwt<'_>) -> &'j Claims {
///     jwt.claims()
/// }
/// ```
pub struct Jwt<'t> {
    header: JoseHeader,
    claims: Rc<Claims>,
    text: &'t str,
    signing_input: &'t str,
    signature: Vec<u8>,
}

// === impl Jwt ===

impl<'t> Jwt<'t> {
    /// Parses a token; `max_bytes` is `limits.maxTokenBytes`.
    pub fn parse(token: BearerToken<'t>, max_bytes: usize) -> Result<Self, Denial> {
        let bytes = token.bytes();
        if bytes.len() > max_bytes {
            let detail = format!("the token has {} bytes, the limit is {max_bytes}", bytes.len());
            return Err(Reason::TokenTooLarge.because(detail));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("not ASCII"))?;
        let (signing_input, signature) = text.rsplit_once('.').ok_or_else(not_three_parts)?;
        let (header, claims) = signing_input.split_once('.').ok_or_else(not_three_parts)?;
        if header.is_empty() || claims.is_empty() || signature.is_empty() {
            return Err(not_three_parts());
        }
        Ok(Self {
            header: JoseHeader::parse(&decode_text("JOSE header", header)?)?,
            claims: Rc::new(Claims::parse(decode_text("claims", claims)?)?),
            text,
            signing_input,
            signature: decode("signature", signature)?,
        })
    }

    /// The JOSE header.
    pub fn header(&self) -> &JoseHeader {
        &self.header
    }

    /// The claims.
    pub fn claims(&self) -> &Rc<Claims> {
        &self.claims
    }

    /// The whole token, which is ASCII.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// What the signature signs: the first two parts and the dot between them.
    pub fn signing_input(&self) -> &'t str {
        self.signing_input
    }

    /// The decoded third part.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The second part as it was sent, base64url.
    pub fn payload(&self) -> &'t str {
        self.signing_input.split_once('.').map_or("", |(_, payload)| payload)
    }
}

impl fmt::Debug for Jwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwt {{ {:?}, {:?} }}", self.header, self.claims)
    }
}

/// The `iss` of a token that [`Jwt::parse`] rejects, if the token is a JWT. Strict rules for headers and claims are for
/// tokens of configured issuers.
pub fn issuer_of(token: BearerToken<'_>) -> Option<String> {
    let text = std::str::from_utf8(token.bytes()).ok()?;
    let (signing_input, signature) = text.rsplit_once('.')?;
    let (header, claims) = signing_input.split_once('.')?;
    let object = |part| {
        let json = decode_text("", part).ok()?;
        check_members(json.as_bytes()).ok()?;
        serde_json::from_str::<Value>(&json).ok().filter(Value::is_object)
    };
    object(header)?;
    let iss = object(claims)?.get("iss")?.as_str()?.to_owned();
    (!decode("", signature).ok()?.is_empty()).then_some(iss)
}

/// The engine rejects padding, other alphabets and stray bits.
fn decode(part: &str, text: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD.decode(text).map_err(|error| {
        let what = match error {
            // base64url has no dots, so a fourth part is found here, without a check of its own.
            DecodeError::InvalidByte(_, b'.') => return not_three_parts(),
            DecodeError::InvalidByte(..) => "a character outside base64url",
            DecodeError::InvalidLength(..) => "a length that base64url cannot have",
            DecodeError::InvalidLastSymbol { .. } => "stray bits in the last character",
            DecodeError::InvalidPadding => "padding",
        };
        Reason::MalformedToken.because(format!("{part}: {what}"))
    })
}

/// JSON is UTF-8 (RFC 8259 section 8.1). Checked once for the whole text.
fn decode_text(part: &str, text: &str) -> Result<String, Denial> {
    String::from_utf8(decode(part, text)?)
        .map_err(|_| Reason::MalformedToken.because(format!("{part}: not UTF-8")))
}

fn malformed(what: &'static str) -> Denial {
    Reason::MalformedToken.because(what)
}

fn not_three_parts() -> Denial {
    malformed("not three non-empty parts with dots between them")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "eyJhbGciOiJSUzI1NiJ9"; // {"alg":"RS256"}
    const CLAIMS: &str = "e30"; // {}

    fn parse(token: &str) -> Result<Vec<u8>, Denial> {
        parse_bytes(token.as_bytes())
    }

    fn parse_bytes(token: &[u8]) -> Result<Vec<u8>, Denial> {
        let sources = [crate::authn::bearer::TokenSource { header: "x".into(), prefix: None }];
        let token = BearerToken::find(&sources, &[(0, token)], |_| true)?.expect("a token");
        Jwt::parse(token, 100).map(|jwt| jwt.signature)
    }

    fn refusal(token: &str) -> (Reason, String) {
        let denial = parse(token).unwrap_err();
        (denial.reason(), denial.detail().to_owned())
    }

    #[test]
    fn three_parts_are_taken_apart() {
        assert_eq!(parse(&format!("{HEADER}.{CLAIMS}.AQID")).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn any_other_number_of_parts_is_malformed() {
        for token in [
            "abc".to_owned(),
            HEADER.to_owned() + "." + CLAIMS,
            format!("{HEADER}.{CLAIMS}."),
            format!(".{CLAIMS}.AQID"),
            format!("{HEADER}..AQID"),
            format!("{HEADER}.{CLAIMS}.AQID.AQID"),
            format!("{HEADER}.{CLAIMS}..AQID"),
            "..".to_owned(),
        ] {
            let (reason, detail) = refusal(&token);
            assert_eq!(reason, Reason::MalformedToken, "{token}");
            assert!(detail.starts_with("not three non-empty parts"), "{token}: {detail}");
        }
    }

    #[test]
    fn base64url_has_one_spelling() {
        for (signature, what) in [
            ("AQI=", "padding"),
            ("AQ+D", "character outside"),
            ("AQ/D", "character outside"),
            ("AQID\n", "character outside"),
            (" AQID", "character outside"),
            ("AQIDA", "length that base64url cannot have"),
            ("AQJ", "stray bits"),
        ] {
            let (reason, detail) = refusal(&format!("{HEADER}.{CLAIMS}.{signature}"));
            assert_eq!(reason, Reason::MalformedToken, "{signature}");
            assert!(detail.contains(what), "{signature}: {detail}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_malformed() {
        let denial = parse_bytes(b"\xff.\xfe.\xfd").unwrap_err();
        assert_eq!((denial.reason(), denial.detail()), (Reason::MalformedToken, "not ASCII"));
    }

    #[test]
    fn the_size_is_looked_at_before_anything_else() {
        assert_eq!(refusal(&"\u{fc}".repeat(51)).0, Reason::TokenTooLarge);
    }
}
