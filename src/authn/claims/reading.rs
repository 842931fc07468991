//! JSON -> what it says, member by member, borrowed from it where nothing is escaped.

use super::{NAMES, Name, Times};
use crate::authn::json::{Fill, Object, Text, pass_over};
use crate::time::UnixTime;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::fmt;

/// All claims.
#[derive(Default)]
pub(super) struct Reading<'de> {
    pub(super) texts: Texts<'de>,
    pub(super) audience: Option<SmallVec<[Cow<'de, str>; 1]>>,
    pub(super) times: Times,
    pub(super) in_kubernetes: bool,
    pub(super) legacy: bool,
}

/// By [`Name`].
#[derive(Default)]
pub(super) struct Texts<'de>(pub(super) [Option<Cow<'de, str>>; NAMES]);

/// The `kubernetes.io` claim.
struct InKubernetes<'a, 'de>(&'a mut Reading<'de>);

/// An object in it, and where its name and its uid go.
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
    const MEMBERS: &'static [&'static str] =
        &["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "kubernetes.io", "nonce"];

    fn set<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "iss" => self.texts.put(Name::Issuer, text(map)?),
            "sub" => self.texts.put(Name::Subject, text(map)?),
            "aud" => self.audience = Some(map.next_value::<OneOrMany<'_>>()?.0),
            "exp" => self.times.expires = Some(date(map)?),
            "nbf" => self.times.not_before = Some(date(map)?),
            "iat" => self.times.issued_at = Some(date(map)?),
            "jti" => self.texts.put(Name::TokenId, text(map)?),
            "kubernetes.io" => {
                self.in_kubernetes = true;
                map.next_value_seed(Fill(&mut InKubernetes(self)))?;
            }
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
        // It is there, be it without a name.
        texts.put(name, Cow::Borrowed(""));
        map.next_value_seed(Fill(&mut InObject { texts, name, uid }))
    }
}

impl<'de> Object<'de> for InKubernetes<'_, 'de> {
    const MEMBERS: &'static [&'static str] =
        &["namespace", "serviceaccount", "pod", "node", "secret", "warnafter"];

    fn set<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "namespace" => self.0.texts.put(Name::Namespace, text(map)?),
            "serviceaccount" => self.object(Name::Account, Name::AccountUid, map)?,
            "pod" => self.object(Name::Pod, Name::PodUid, map)?,
            "node" => self.object(Name::Node, Name::NodeUid, map)?,
            "secret" => self.object(Name::Secret, Name::SecretUid, map)?,
            "warnafter" => self.0.times.warn_after = Some(date(map)?),
            _ => {}
        }
        Ok(())
    }
}

// === impl InObject ===

impl<'de> Object<'de> for InObject<'_, 'de> {
    const MEMBERS: &'static [&'static str] = &["name", "uid"];

    fn set<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "name" => self.texts.put(self.name, text(map)?),
            "uid" => self.texts.put(self.uid, text(map)?),
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

/// kubernetes:pkg/serviceaccount/legacy.go
const LEGACY_PREFIX: &str = "kubernetes.io/serviceaccount/";

/// Beyond it, readers that keep numbers as doubles (RFC 8259 section 6) see another date than we do.
const MAX_NUMERIC_DATE: u64 = 1 << 53;
