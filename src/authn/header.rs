//! The first part of a token -> the JOSE header (RFC 7515 section 4): `alg`, `kid`, `typ`.
//!
//! Kubernetes writes `alg` and `kid`; an external signer may add `typ`. Members that bring keys along,
//! name others, or change how the rest is to be read are refused: whoever verifies by them verifies
//! whatever an attacker signed.

use super::json::{Object, pass_over, read};
use crate::verdict::{Denial, Reason};
use serde::de::{Error, MapAccess};

/// What a token says of its signature. The key decides; this is only compared with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JoseHeader {
    /// The algorithm that the token claims.
    pub alg: String,
    /// Which of the issuer's keys signed it.
    pub kid: Option<String>,
}

/// What is read of it.
#[derive(Clone, Copy)]
pub(super) enum Member {
    Alg,
    Kid,
    Typ,
}

// === impl JoseHeader ===

impl JoseHeader {
    /// Parses the decoded first part.
    pub fn parse(json: &str) -> Result<Self, Denial> {
        let malformed = |what| Reason::MalformedToken.because(format!("JOSE header: {what}"));
        let mut header = Self::default();
        read(json, &mut header).map_err(|error| malformed(error.to_string()))?;
        if header.alg.is_empty() {
            return Err(malformed("alg is missing".to_owned()));
        }
        Ok(header)
    }
}

impl<'de> Object<'de> for JoseHeader {
    type Member = Member;
    const MEMBERS: &'static [(&'static str, Member)] =
        &[("alg", Member::Alg), ("kid", Member::Kid), ("typ", Member::Typ)];

    fn set<A: MapAccess<'de>>(&mut self, member: Member, map: &mut A) -> Result<(), A::Error> {
        match member {
            Member::Alg => self.alg = map.next_value()?,
            Member::Kid => self.kid = Some(map.next_value()?),
            Member::Typ if map.next_value::<String>()? != "JWT" => {
                return Err(A::Error::custom("typ is not JWT"));
            }
            Member::Typ => {}
        }
        Ok(())
    }

    fn set_other<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if REFUSED.contains(&name) {
            return Err(A::Error::custom(format_args!("{name} is not accepted")));
        }
        pass_over(map)
    }
}

/// RFC 7515 section 4.1 (keys that the sender chose; extensions that must be understood), RFC 7516
/// (encryption, compression), RFC 7797 (`b64`), and what jwt-simple would read besides.
const REFUSED: [&str; 12] =
    ["crit", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "cty", "zip", "enc", "b64", "salt"];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        let denial = JoseHeader::parse(json).unwrap_err();
        assert_eq!(denial.reason(), Reason::MalformedToken, "{json}");
        denial.detail().to_owned()
    }

    #[test]
    fn the_header_that_kubernetes_writes_is_read() {
        let header = JoseHeader::parse(r#"{"alg":"RS256","kid":"k1"}"#).unwrap();
        assert_eq!(header, JoseHeader { alg: "RS256".into(), kid: Some("k1".into()) });
        JoseHeader::parse(r#"{"typ":"JWT","alg":"RS256","x-new":{"a":[1]}}"#).unwrap();
    }

    #[test]
    fn members_that_bring_keys_or_extensions_are_refused() {
        for name in REFUSED {
            let detail = refusal(&format!(r#"{{"alg":"RS256","{name}":[]}}"#));
            assert!(detail.contains(&format!("{name} is not accepted")), "{detail}");
        }
    }

    #[test]
    fn a_header_that_means_two_things_is_refused() {
        assert!(refusal(r#"{"alg":"none","alg":"RS256"}"#).contains("a member stands twice"));
        assert!(refusal(r#"{"alg":"RS256","x":{"y":1,"y":2}}"#).contains("a member stands twice"));
    }

    #[test]
    fn another_kind_of_token_is_refused() {
        assert!(refusal(r#"{"alg":"RS256","typ":"at+jwt"}"#).contains("typ is not JWT"));
        assert!(refusal(r#"{"kid":"k1"}"#).contains("alg is missing"));
        assert!(refusal(r#"{"alg":"RS256","kid":5}"#).contains("invalid type: integer `5`"));
        assert!(refusal(r#"["alg"]"#).contains("expected an object"));
    }
}
