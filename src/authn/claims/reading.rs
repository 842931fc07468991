//! Deserialization of the claims, with strings borrowed from the JSON.

use super::{NAMES, Name, Times};
use crate::authn::json::{Fill, Object, Text, pass_over};
use crate::time::UnixTime;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::fmt;

/// The claims that were read.
#[derive(Default)]
pub(super) struct Reading<'de> {
    pub(super) texts: Texts<'de>,
    pub(super) audience: Option<SmallVec<[Cow<'de, str>; 1]>>,
    pub(super) times: Times,
    pub(super) in_kubernetes: bool,
    pub(super) legacy: bool,
}

/// Strings, indexed by [`Name`].
#[derive(Default)]
pub(super) struct Texts<'de>(pub(super) [Option<Cow<'de, str>>; NAMES]);

/// A claim.
#[derive(Clone, Copy)]
pub(in crate::authn) enum Claim {
    Text(Name),
    Audience,
    Expires,
    NotBefore,
    IssuedAt,
    Kubernetes,
    Nonce,
}

/// A member of the `kubernetes.io` claim.
#[derive(Clone, Copy)]
enum KubernetesClaim {
    Namespace,
    /// An object, with its name and uid.
    Object(Name, Name),
    WarnAfter,
}

/// A member of an object in `kubernetes.io`.
#[derive(Clone, Copy)]
enum ObjectClaim {
    Name,
    Uid,
}

/// The `kubernetes.io` claim.
struct InKubernetes<'a, 'de>(&'a mut Reading<'de>);

/// An object in `kubernetes.io`, and the claims for its name and uid.
struct InObject<'a, 'de> {
    texts: &'a mut Texts<'de>,
    name: Name,
    uid: Name,
}

/// A NumericDate: whole seconds from 0 to 2^53.
struct NumericDate(UnixTime);

/// One string, or several.
struct OneOrMany<'de>(SmallVec<[Cow<'de, str>; 1]>);

// === impl Reading ===

impl<'de> Object<'de> for Reading<'de> {
    type Member = Claim;
    const MEMBERS: &'static [(&'static str, Claim)] = &[
        ("iss", Claim::Text(Name::Issuer)),
        ("sub", Claim::Text(Name::Subject)),
        ("aud", Claim::Audience),
        ("exp", Claim::Expires),
        ("nbf", Claim::NotBefore),
        ("iat", Claim::IssuedAt),
        ("jti", Claim::Text(Name::TokenId)),
        ("kubernetes.io", Claim::Kubernetes),
        ("nonce", Claim::Nonce),
    ];

    fn set<A: MapAccess<'de>>(&mut self, claim: Claim, map: &mut A) -> Result<(), A::Error> {
        match claim {
            Claim::Text(name) => self.texts.put(name, text(map)?),
            Claim::Audience => self.audience = Some(map.next_value::<OneOrMany<'_>>()?.0),
            Claim::Expires => self.times.expires = Some(date(map)?),
            Claim::NotBefore => self.times.not_before = Some(date(map)?),
            Claim::IssuedAt => self.times.issued_at = Some(date(map)?),
            Claim::Kubernetes => {
                self.in_kubernetes = true;
                map.next_value_seed(Fill(&mut InKubernetes(self)))?;
            }
            // jwt-simple requires `nonce` to be a string. The same check here makes both signature verifiers
            // (jwt-simple and Envoy's) accept the same tokens.
            Claim::Nonce => drop(map.next_value::<String>()?),
        }
        Ok(())
    }

    fn set_other<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        self.legacy |= name.starts_with(LEGACY_PREFIX);
        pass_over(map)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Cow<'de, str>, A::Error> {
    map.next_value::<Text<'de>>().map(|Text(text)| text)
}

fn date<'de, A: MapAccess<'de>>(map: &mut A) -> Result<UnixTime, A::Error> {
    map.next_value::<NumericDate>().map(|NumericDate(time)| time)
}

// === impl Texts ===

impl<'de> Texts<'de> {
    fn put(&mut self, name: Name, text: Cow<'de, str>) {
        if let Some(slot) = self.0.get_mut(name as usize) {
            *slot = Some(text);
        }
    }
}

// === impl InKubernetes ===

impl<'de> InKubernetes<'_, 'de> {
    fn object<A: MapAccess<'de>>(
        &mut self,
        name: Name,
        uid: Name,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let texts = &mut self.0.texts;
        // An object without a name is present, too.
        texts.put(name, Cow::Borrowed(""));
        map.next_value_seed(Fill(&mut InObject { texts, name, uid }))
    }
}

impl<'de> Object<'de> for InKubernetes<'_, 'de> {
    type Member = KubernetesClaim;
    const MEMBERS: &'static [(&'static str, KubernetesClaim)] = &[
        ("namespace", KubernetesClaim::Namespace),
        ("serviceaccount", KubernetesClaim::Object(Name::Account, Name::AccountUid)),
        ("pod", KubernetesClaim::Object(Name::Pod, Name::PodUid)),
        ("node", KubernetesClaim::Object(Name::Node, Name::NodeUid)),
        ("secret", KubernetesClaim::Object(Name::Secret, Name::SecretUid)),
        ("warnafter", KubernetesClaim::WarnAfter),
    ];

    fn set<A: MapAccess<'de>>(
        &mut self,
        claim: KubernetesClaim,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match claim {
            KubernetesClaim::Namespace => self.0.texts.put(Name::Namespace, text(map)?),
            KubernetesClaim::Object(name, uid) => self.object(name, uid, map)?,
            KubernetesClaim::WarnAfter => self.0.times.warn_after = Some(date(map)?),
        }
        Ok(())
    }
}

// === impl InObject ===

impl<'de> Object<'de> for InObject<'_, 'de> {
    type Member = ObjectClaim;
    const MEMBERS: &'static [(&'static str, ObjectClaim)] =
        &[("name", ObjectClaim::Name), ("uid", ObjectClaim::Uid)];

    fn set<A: MapAccess<'de>>(&mut self, claim: ObjectClaim, map: &mut A) -> Result<(), A::Error> {
        let name = match claim {
            ObjectClaim::Name => self.name,
            ObjectClaim::Uid => self.uid,
        };
        self.texts.put(name, text(map)?);
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
                f.write_str("an integer from 0 to 2^53 (seconds since 1970)")
            }
            fn visit_u64<E: Error>(self, secs: u64) -> Result<NumericDate, E> {
                if secs > MAX_NUMERIC_DATE {
                    return Err(E::custom("date is greater than 2^53"));
                }
                Ok(NumericDate(UnixTime::from_secs(secs)))
            }
        }
        deserializer.deserialize_u64(DateVisitor)
    }
}

// === impl OneOrMany ===

impl<'de> Deserialize<'de> for OneOrMany<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor;
        impl<'de> Visitor<'de> for OneOrManyVisitor {
            type Value = OneOrMany<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(OneOrMany(smallvec![Cow::Borrowed(text)]))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(smallvec![Cow::Owned(text.to_owned())]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut texts = SmallVec::new();
                while let Some(Text(text)) = items.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

/// kubernetes/pkg/serviceaccount/legacy.go
const LEGACY_PREFIX: &str = "kubernetes.io/serviceaccount/";

/// Parsers that store numbers as doubles read greater numbers as another date (RFC 8259 section 6).
const MAX_NUMERIC_DATE: u64 = 1 << 53;
