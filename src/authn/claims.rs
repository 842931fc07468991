//! The second part of a token -> the claims of a ServiceAccount token, still unverified.
//!
//! RFC 7519 section 4.1 for the registered claims; `kubernetes.io` as kubernetes:pkg/serviceaccount/claims.go
//! writes it. Unknown claims are ignored, so that a newer Kubernetes is not an outage.

use super::json::{Object, Strict, pass_over};
use crate::time::UnixTime;
use crate::verdict::{Denial, Reason};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a token says. Absent is `None`; of the wrong shape is an error, never absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`, one string or several.
    pub audience: Option<Vec<String>>,
    /// `exp`.
    pub expires: Option<UnixTime>,
    /// `nbf`.
    pub not_before: Option<UnixTime>,
    /// `iat`.
    pub issued_at: Option<UnixTime>,
    /// `jti`: the token's own id, since Kubernetes 1.29.
    pub token_id: Option<String>,
    /// `kubernetes.io`.
    pub kubernetes: Option<KubernetesClaims>,
    /// Whether a flat `kubernetes.io/serviceaccount/...` claim was there: a token from a Secret.
    pub legacy: bool,
}

/// The `kubernetes.io` claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubernetesClaims {
    /// The service account's namespace.
    pub namespace: Option<String>,
    /// The service account.
    pub service_account: Option<ObjectRef>,
    /// The pod that the token is bound to.
    pub pod: Option<ObjectRef>,
    /// The node that the pod runs on, or that the token is bound to.
    pub node: Option<ObjectRef>,
    /// The Secret that the token is bound to.
    pub secret: Option<ObjectRef>,
    /// When the kubelet should have replaced a token whose expiry the API server extended.
    pub warn_after: Option<UnixTime>,
}

/// A Kubernetes object as a token names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectRef {
    /// Its name.
    pub name: String,
    /// Its uid; a node's is not always known.
    pub uid: Option<String>,
}

/// A NumericDate: whole seconds from 0 to 2^53.
struct NumericDate(UnixTime);

/// One string, or several.
struct OneOrMany(Vec<String>);

// === impl Claims ===

impl Claims {
    /// Parses the decoded second part.
    pub fn parse(json: &str) -> Result<Self, Denial> {
        serde_json::from_str(json)
            .map(|Strict(claims)| claims)
            .map_err(|error| Reason::MalformedToken.because(format!("claims: {error}")))
    }
}

impl<'de> Object<'de> for Claims {
    const MEMBERS: &'static [&'static str] =
        &["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "kubernetes.io", "nonce"];

    fn set<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "iss" => self.issuer = Some(map.next_value()?),
            "sub" => self.subject = Some(map.next_value()?),
            "aud" => self.audience = Some(map.next_value::<OneOrMany>()?.0),
            "exp" => self.expires = Some(map.next_value::<NumericDate>()?.0),
            "nbf" => self.not_before = Some(map.next_value::<NumericDate>()?.0),
            "iat" => self.issued_at = Some(map.next_value::<NumericDate>()?.0),
            "jti" => self.token_id = Some(map.next_value()?),
            "kubernetes.io" => self.kubernetes = Some(map.next_value::<Strict<_>>()?.0),
            // RFC 7519 has it of OpenID Connect, and jwt-simple reads it: a string or nothing, so that
            // both ways of verifying a signature judge a token alike.
            "nonce" => drop(map.next_value::<String>()?),
            _ => {}
        }
        Ok(())
    }

    fn set_other<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        self.legacy |= name.starts_with(LEGACY_PREFIX);
        pass_over(map)
    }
}

// === impl KubernetesClaims ===

impl<'de> Object<'de> for KubernetesClaims {
    const MEMBERS: &'static [&'static str] =
        &["namespace", "serviceaccount", "pod", "node", "secret", "warnafter"];

    fn set<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "namespace" => self.namespace = Some(map.next_value()?),
            "serviceaccount" => self.service_account = Some(map.next_value::<Strict<_>>()?.0),
            "pod" => self.pod = Some(map.next_value::<Strict<_>>()?.0),
            "node" => self.node = Some(map.next_value::<Strict<_>>()?.0),
            "secret" => self.secret = Some(map.next_value::<Strict<_>>()?.0),
            "warnafter" => self.warn_after = Some(map.next_value::<NumericDate>()?.0),
            _ => {}
        }
        Ok(())
    }
}

// === impl ObjectRef ===

impl<'de> Object<'de> for ObjectRef {
    const MEMBERS: &'static [&'static str] = &["name", "uid"];

    fn set<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "name" => self.name = map.next_value()?,
            "uid" => self.uid = Some(map.next_value()?),
            _ => {}
        }
        Ok(())
    }
}

// === impl NumericDate ===

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DateVisitor;
        impl Visitor<'_> for DateVisitor {
            type Value = NumericDate;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("whole seconds from 0 to 2^53")
            }
            fn visit_u64<E: Error>(self, secs: u64) -> Result<NumericDate, E> {
                if secs > MAX_NUMERIC_DATE {
                    return Err(E::custom("a date beyond 2^53"));
                }
                Ok(NumericDate(UnixTime::from_secs(secs)))
            }
        }
        deserializer.deserialize_u64(DateVisitor)
    }
}

// === impl OneOrMany ===

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor;
        impl<'de> Visitor<'de> for OneOrManyVisitor {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

/// kubernetes:pkg/serviceaccount/legacy.go
const LEGACY_PREFIX: &str = "kubernetes.io/serviceaccount/";

/// Beyond it, readers that keep numbers as doubles (RFC 8259 section 6) see another date than we do.
const MAX_NUMERIC_DATE: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        let denial = Claims::parse(json).unwrap_err();
        assert_eq!(denial.reason(), Reason::MalformedToken, "{json}");
        denial.detail().to_owned()
    }

    #[test]
    fn an_audience_is_one_string_or_several() {
        let audience = |json: &str| Claims::parse(json).unwrap().audience.unwrap();
        assert_eq!(audience(r#"{"aud":"a"}"#), ["a"]);
        assert_eq!(audience(r#"{"aud":["a","","b"]}"#), ["a", "", "b"]);
        assert!(refusal(r#"{"aud":{"a":1}}"#).contains("expected a string or a list of strings"));
        assert!(refusal(r#"{"aud":["a",1]}"#).contains("expected a string"));
    }

    #[test]
    fn dates_are_whole_seconds_and_never_absent_by_being_odd() {
        let latest = Claims::parse(r#"{"exp":9007199254740992}"#).unwrap();
        assert_eq!(latest.expires, Some(UnixTime::from_secs(1 << 53)));
        for odd in ["9007199254740993", "1e3", "1.0", "-1", "\"5\"", "null", "[5]", "true", "1e400"]
        {
            for claim in ["exp", "nbf", "iat"] {
                refusal(&format!(r#"{{"{claim}":{odd}}}"#));
            }
        }
    }

    #[test]
    fn what_binds_a_token_is_optional_but_never_of_another_shape() {
        let claims = Claims::parse(
            r#"{"kubernetes.io":{"namespace":"demo","node":{"name":"n"},"future":{"name":1}}}"#,
        );
        let kubernetes = claims.unwrap().kubernetes.unwrap();
        assert_eq!(kubernetes.node, Some(ObjectRef { name: "n".into(), uid: None }));
        for odd in [r#""x""#, "[]", "null", r#"{"pod":"p"}"#, r#"{"pod":{"name":null}}"#] {
            refusal(&format!(r#"{{"kubernetes.io":{odd}}}"#));
        }
    }

    #[test]
    fn a_claim_that_stands_twice_is_refused_whether_we_use_it_or_not() {
        for json in [
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"x":1,"x":1}"#,
            r#"{"kubernetes.io":{"namespace":"a","namespace":"b"}}"#,
            r#"{"kubernetes.io":{"pod":{"name":"a","n\u0061me":"b"}}}"#,
        ] {
            assert!(refusal(json).contains("a member stands twice"), "{json}");
        }
    }

    #[test]
    fn a_token_from_a_secret_is_known_by_its_flat_claims() {
        let claims = Claims::parse(r#"{"kubernetes.io/serviceaccount/namespace":"demo"}"#);
        assert!(claims.unwrap().legacy);
        assert!(!Claims::parse(r#"{"kubernetes.io":{}}"#).unwrap().legacy);
    }
}
