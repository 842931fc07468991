//! JSON that means one thing: no member twice, wherever it stands, and no more than a few levels deep.
//!
//! Parsers differ in which of two equal members counts. Where the API server reads the first and we
//! the last, a caller has two identities.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// What is read from a JSON object, member by member.
pub(super) trait Object<'de> {
    /// A member that it takes the value of.
    type Member: Copy + 'static;

    /// All of them by their names, 32 at most.
    const MEMBERS: &'static [(&'static str, Self::Member)];

    /// Takes the value of one.
    fn set<A: MapAccess<'de>>(&mut self, member: Self::Member, map: &mut A)
    -> Result<(), A::Error>;

    /// Takes the value of any other.
    fn set_other<A: MapAccess<'de>>(&mut self, _name: &str, map: &mut A) -> Result<(), A::Error> {
        pass_over(map)
    }
}

/// Drops a value that nobody needs, checked all the same.
pub(super) fn pass_over<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<Checked>().map(|_| ())
}

/// Reads a whole JSON text, which must be an object.
pub(super) fn read<'de, T: Object<'de>>(
    json: &'de str,
    object: &mut T,
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Fill(object).deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Checks a whole JSON text: syntax, depth, and that no member stands twice.
pub(crate) fn check_members(json: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Checked>(json).map(|_| ())
}

/// Reads an [`Object`] into its place; stands in for what `derive` cannot do, to see a member that stands twice.
pub(super) struct Fill<'a, T>(pub(super) &'a mut T);

/// An [`Object`] that begins with nothing.
pub(super) struct Strict<T>(pub(super) T);

/// The names of an object's members, so far.
#[derive(Default)]
struct Members<'de>(BTreeSet<Cow<'de, str>>);

/// A string; borrowed from the JSON where it has no escapes.
pub(super) struct Text<'de>(pub(super) Cow<'de, str>);

/// A value that nobody needs, checked all the same.
struct Checked;

/// A value within `depth` more levels.
struct Within {
    depth: usize,
}

// === impl Strict ===

impl<'de, T: Object<'de> + Default> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = T::default();
        Fill(&mut object).deserialize(deserializer)?;
        Ok(Self(object))
    }
}

// === impl Fill ===

impl<'de, T: Object<'de>> DeserializeSeed<'de> for Fill<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for Fill<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Those that are known, which in a genuine token are all, are told apart without a set of names.
        let Self(object) = self;
        let (mut seen, mut others) = (0u32, Members::default());
        while let Some(Text(name)) = map.next_key()? {
            let mut known = T::MEMBERS.iter().enumerate();
            match known.find(|(_, (known, _))| *known == name) {
                Some((at, _)) if seen & (1 << at) != 0 => return Err(stands_twice()),
                Some((at, (_, member))) => {
                    seen |= 1 << at;
                    object.set(*member, &mut map)?;
                }
                None => {
                    object.set_other(&name, &mut map)?;
                    others.add(name)?;
                }
            }
        }
        Ok(())
    }
}

// === impl Members ===

impl<'de> Members<'de> {
    /// Notes a name, and refuses it the second time.
    fn add<E: Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        if self.0.insert(name) { Ok(()) } else { Err(stands_twice()) }
    }
}

#[cold]
fn stands_twice<E: Error>() -> E {
    E::custom("a member stands twice")
}

// === impl Text ===

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

// === impl Checked ===

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Within { depth: MAX_DEPTH }.deserialize(deserializer)?;
        Ok(Self)
    }
}

// === impl Within ===

impl<'de> DeserializeSeed<'de> for Within {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Within {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> Visitor<'de> for Within {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut members = Members::default();
        while let Some(Text(name)) = map.next_key()? {
            members.add(name)?;
            map.next_value_seed(self.deeper()?)?;
        }
        Ok(())
    }
}

/// The claims of a ServiceAccount token are three levels deep.
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        serde_json::from_str::<Checked>(text).map(|_| ()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_at_any_depth_and_in_any_spelling() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"a":2}}]"#, r#"{"a":1,"\u0061":2}"#] {
            let error = check(text).unwrap_err();
            assert!(error.starts_with("a member stands twice"), "{text}: {error}");
        }
        assert_eq!(check(r#"[{"a":1},{"a":1.5e3,"b":[null,true,-1]}]"#), Ok(()));
    }

    #[test]
    fn depth_is_limited_long_before_the_stack_is() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
        for depth in [MAX_DEPTH + 1, 10_000] {
            let error = check(&nested(depth)).unwrap_err();
            assert!(error.starts_with("nested too deep"), "{error}");
        }
    }
}
