//! Parsing of the JOSE header (RFC 7515 section 4): `alg`, `kid`, `typ`.
//!
//! Kubernetes writes `alg` and `kid`; an external signer may add `typ`. Members that contain or reference keys, or
//! change the processing of the token, are rejected: with them, an attacker could choose the key (RFC 8725 section
//! 3.10).

use super::json::{Object, pass_over, read};
use crate::denial::{Denial, Reason};
use serde::de::{Error, MapAccess};

/// The JOSE header of a token. The key determines the algorithm; `alg` is only compared with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JoseHeader {
    /// The algorithm that the token claims.
    pub alg: String,
    /// The key ID of the signing key.
    pub kid: Option<String>,
}

/// A member that is read.
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
                return Err(A::Error::custom("typ must be JWT"));
            }
            Member::Typ => {}
        }
        Ok(())
    }

    fn set_other<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if REFUSED.contains(&name) {
            return Err(A::Error::custom(format_args!("member `{name}` is not allowed")));
        }
        pass_over(map)
    }
}

/// RFC 7515 section 4.1 (keys from the sender; critical extensions), RFC 7516 (encryption, compression), RFC 7797
/// (`b64`), and `salt`, which jwt-simple reads.
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
    fn header_of_a_kubernetes_token_is_accepted() {
        let header = JoseHeader::parse(r#"{"alg":"RS256","kid":"k1"}"#).unwrap();
        assert_eq!(header, JoseHeader { alg: "RS256".into(), kid: Some("k1".into()) });
        JoseHeader::parse(r#"{"typ":"JWT","alg":"RS256","x-new":{"a":[1]}}"#).unwrap();
    }

    #[test]
    fn members_with_keys_or_extensions_are_rejected() {
        for name in REFUSED {
            let detail = refusal(&format!(r#"{{"alg":"RS256","{name}":[]}}"#));
            assert!(detail.contains(&format!("member `{name}` is not allowed")), "{detail}");
        }
    }

    #[test]
    fn duplicate_members_are_rejected() {
        assert!(refusal(r#"{"alg":"none","alg":"RS256"}"#).contains("duplicate member"));
        assert!(refusal(r#"{"alg":"RS256","x":{"y":1,"y":2}}"#).contains("duplicate member"));
    }

    #[test]
    fn other_types_of_tokens_are_rejected() {
        assert!(refusal(r#"{"alg":"RS256","typ":"at+jwt"}"#).contains("typ must be JWT"));
        assert!(refusal(r#"{"kid":"k1"}"#).contains("alg is missing"));
        assert!(refusal(r#"{"alg":"RS256","kid":5}"#).contains("invalid type: integer `5`"));
        assert!(refusal(r#"["alg"]"#).contains("expected an object"));
    }
}
