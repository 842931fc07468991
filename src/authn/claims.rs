//! Parsing of the claims of ServiceAccount tokens. The claims are not verified here.
//!
//! The registered claims are those of RFC 7519 section 4.1; for `kubernetes.io`, see
//! kubernetes/pkg/serviceaccount/claims.go. Unknown claims are ignored, so that a newer Kubernetes does not cause an
//! outage.

mod reading;

use super::json::read;
use crate::denial::{Denial, Reason};
use crate::time::UnixTime;
use reading::Reading;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

/// The claims of a token. An absent claim is `None`; a claim of the wrong type is an error.
///
/// Names are spans of the JSON text. To allocate and free a dozen strings for each new token would cost more than the
/// checks of the claims.
#[derive(Clone)]
pub struct Claims {
    /// The JSON, followed by the unescaped form of the strings with escapes.
    text: String,
    names: [Option<Span>; NAMES],
    audience: Option<SmallVec<[Span; 1]>>,
    times: Times,
    in_kubernetes: bool,
    legacy: bool,
}

/// The times of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// `exp`.
    pub expires: Option<UnixTime>,
    /// `nbf`.
    pub not_before: Option<UnixTime>,
    /// `iat`.
    pub issued_at: Option<UnixTime>,
    /// `kubernetes.io.warnafter`: the time by which the kubelet replaces a token with an extended lifetime.
    pub warn_after: Option<UnixTime>,
}

/// A reference to a Kubernetes object in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRef<'c> {
    /// The name of the object.
    pub name: &'c str,
    /// The uid of the object; some tokens lack the uid of the node.
    pub uid: Option<&'c str>,
}

/// The claims that are strings.
#[derive(Clone, Copy)]
enum Name {
    Issuer,
    Subject,
    TokenId,
    Namespace,
    Account,
    AccountUid,
    Pod,
    PodUid,
    Node,
    NodeUid,
    Secret,
    SecretUid,
}

/// A range of the text of [`Claims`].
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    length: usize,
}

/// Converts strings that were read from a JSON text to spans.
struct Spans<'j> {
    json: &'j str,
    unescaped: String,
}

// === impl Claims ===

impl Claims {
    /// Parses the decoded second part of a token.
    pub fn parse(json: String) -> Result<Self, Denial> {
        let (claims, unescaped) = Self::spans(&json)
            .map_err(|error| Reason::MalformedToken.because(format!("claims: {error}")))?;
        let mut text = json;
        text.reserve_exact(unescaped.len());
        text.push_str(&unescaped);
        Ok(Self { text, ..claims })
    }

    /// The claims without their text, and the unescaped strings to append to it.
    fn spans(json: &str) -> Result<(Self, String), serde_json::Error> {
        let mut reading = Reading::default();
        read(json, &mut reading)?;
        let mut spans = Spans { json, unescaped: String::new() };
        let mut names = [None; NAMES];
        for (name, text) in names.iter_mut().zip(reading.texts.0) {
            *name = text.map(|text| spans.of(text));
        }
        let audience = reading.audience;
        let audience = audience.map(|all| all.into_iter().map(|text| spans.of(text)).collect());
        let (in_kubernetes, legacy) = (reading.in_kubernetes, reading.legacy);
        let (text, times) = (String::new(), reading.times);
        Ok((Self { text, names, audience, times, in_kubernetes, legacy }, spans.unescaped))
    }

    /// `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.name(Name::Issuer)
    }

    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.name(Name::Subject)
    }

    /// `aud`, one string or several.
    pub fn audience(&self) -> Option<impl Iterator<Item = &str> + Clone> {
        Some(self.audience.as_ref()?.iter().map(|span| self.text(*span)))
    }

    /// The times of the token.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// `jti`, which Kubernetes sets since 1.29.
    pub fn token_id(&self) -> Option<&str> {
        self.name(Name::TokenId)
    }

    /// Whether the token has the claim `kubernetes.io`, which contains the names below.
    pub fn in_kubernetes(&self) -> bool {
        self.in_kubernetes
    }

    /// The service account's namespace.
    pub fn namespace(&self) -> Option<&str> {
        self.name(Name::Namespace)
    }

    /// The service account.
    pub fn service_account(&self) -> Option<ObjectRef<'_>> {
        self.object(Name::Account, Name::AccountUid)
    }

    /// The pod that the token is bound to.
    pub fn pod(&self) -> Option<ObjectRef<'_>> {
        self.object(Name::Pod, Name::PodUid)
    }

    /// The node that the pod runs on, or that the token is bound to.
    pub fn node(&self) -> Option<ObjectRef<'_>> {
        self.object(Name::Node, Name::NodeUid)
    }

    /// The Secret that the token is bound to.
    pub fn secret(&self) -> Option<ObjectRef<'_>> {
        self.object(Name::Secret, Name::SecretUid)
    }

    /// Whether the token has a claim `kubernetes.io/serviceaccount/...`, as tokens from Secrets do.
    pub fn is_legacy(&self) -> bool {
        self.legacy
    }

    fn object(&self, name: Name, uid: Name) -> Option<ObjectRef<'_>> {
        Some(ObjectRef { name: self.name(name)?, uid: self.name(uid) })
    }

    fn name(&self, name: Name) -> Option<&str> {
        let span = *self.names.get(name as usize)?;
        Some(self.text(span?))
    }

    fn text(&self, Span { start, length }: Span) -> &str {
        self.text.get(start..start + length).unwrap_or_default()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .field("audience", &self.audience().map(|all| all.collect::<Vec<_>>()))
            .field("times", &self.times)
            .field("token_id", &self.token_id())
            .field("namespace", &self.namespace())
            .field("service_account", &self.service_account())
            .field("in_kubernetes", &self.in_kubernetes)
            .field("pod", &self.pod())
            .field("node", &self.node())
            .field("secret", &self.secret())
            .field("legacy", &self.legacy)
            .finish()
    }
}

// === impl Spans ===

impl<'j> Spans<'j> {
    fn of(&mut self, text: Cow<'j, str>) -> Span {
        let start = match &text {
            Cow::Borrowed(text) => text.as_ptr().addr().wrapping_sub(self.json.as_ptr().addr()),
            Cow::Owned(text) => {
                let start = self.json.len() + self.unescaped.len();
                self.unescaped.push_str(text);
                start
            }
        };
        Span { start, length: text.len() }
    }
}

const NAMES: usize = Name::SecretUid as usize + 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Claims {
        Claims::parse(json.to_owned()).unwrap()
    }

    fn refusal(json: &str) -> String {
        let denial = Claims::parse(json.to_owned()).unwrap_err();
        assert_eq!(denial.reason(), Reason::MalformedToken, "{json}");
        denial.detail().to_owned()
    }

    #[test]
    fn audience_is_a_string_or_a_list_of_strings() {
        let audience = |json: &str| {
            let claims = parse(json);
            claims.audience().unwrap().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(audience(r#"{"aud":"a"}"#), ["a"]);
        assert_eq!(audience(r#"{"aud":["a","","b"]}"#), ["a", "", "b"]);
        assert!(refusal(r#"{"aud":{"a":1}}"#).contains("expected a string or a list of strings"));
        assert!(refusal(r#"{"aud":["a",1]}"#).contains("expected a string"));
    }

    #[test]
    fn escaped_strings_are_unescaped() {
        let claims = parse(
            r#"{"sub":"a\u0062c","iss":"x","aud":["\"q\"","p"],"jti":"\u00e9",
               "kubernetes.io":{"pod":{"name":"n\/m","uid":"u"}}}"#,
        );
        assert_eq!((claims.subject(), claims.issuer()), (Some("abc"), Some("x")));
        assert_eq!(claims.audience().unwrap().collect::<Vec<_>>(), ["\"q\"", "p"]);
        assert_eq!(claims.token_id(), Some("\u{e9}"));
        assert_eq!(claims.pod(), Some(ObjectRef { name: "n/m", uid: Some("u") }));
    }

    #[test]
    fn invalid_dates_are_errors_and_not_treated_as_absent() {
        let latest = parse(r#"{"exp":9007199254740992}"#);
        assert_eq!(latest.times().expires, Some(UnixTime::from_secs(1 << 53)));
        for odd in ["9007199254740993", "1e3", "1.0", "-1", "\"5\"", "null", "[5]", "true", "1e400"]
        {
            for claim in ["exp", "nbf", "iat"] {
                refusal(&format!(r#"{{"{claim}":{odd}}}"#));
            }
        }
    }

    #[test]
    fn bound_objects_are_optional_but_must_have_the_right_type() {
        let claims = parse(
            r#"{"kubernetes.io":{"namespace":"demo","node":{"name":"n"},"future":{"name":1}}}"#,
        );
        assert_eq!(claims.node(), Some(ObjectRef { name: "n", uid: None }));
        for odd in [r#""x""#, "[]", "null", r#"{"pod":"p"}"#, r#"{"pod":{"name":null}}"#] {
            refusal(&format!(r#"{{"kubernetes.io":{odd}}}"#));
        }
    }

    #[test]
    fn bound_object_without_a_name_is_present() {
        let claims = parse(r#"{"kubernetes.io":{"pod":{},"node":{"uid":"u"}}}"#);
        assert_eq!(claims.pod(), Some(ObjectRef { name: "", uid: None }));
        assert_eq!(claims.node(), Some(ObjectRef { name: "", uid: Some("u") }));
        assert_eq!(claims.secret(), None);
        assert!(claims.in_kubernetes());
    }

    #[test]
    fn duplicate_claims_are_rejected_even_if_unused() {
        for json in [
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"x":1,"x":1}"#,
            r#"{"kubernetes.io":{"namespace":"a","namespace":"b"}}"#,
            r#"{"kubernetes.io":{"pod":{"name":"a","n\u0061me":"b"}}}"#,
        ] {
            assert!(refusal(json).contains("duplicate member"), "{json}");
        }
    }

    #[test]
    fn token_from_a_secret_is_recognized_by_its_flat_claims() {
        let claims = parse(r#"{"kubernetes.io/serviceaccount/namespace":"demo"}"#);
        assert!(claims.is_legacy());
        assert!(!parse(r#"{"kubernetes.io":{}}"#).is_legacy());
    }
}
