//! Strict JSON parsing: duplicate members and deep nesting are errors.
//!
//! Parsers differ in which of two duplicate members they use (RFC 8259 section 4). If the API server used the first and
//! the filter the last, a caller would have two identities.
//!
//! Not derived: after a separate pass that finds duplicates, a derived `Deserialize` reads each text again. For the claims of
//! `pod_node1_filter_aud_3607s` (tests/testdata/tokens_raw.json) both passes take 20,231 instructions, this code 9,595
//! (`valgrind --tool=callgrind`, 1,000 parses of the same text, opt-level "s"), of some 78,000 of a new token; the Wasm code
//! of the derived form has 5.3 KB more.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// A type that is read from a JSON object, member by member.
pub(super) trait Object<'de> {
    /// A known member.
    type Member: Copy + 'static;

    /// The names of the known members, at most 32.
    const MEMBERS: &'static [(&'static str, Self::Member)];

    /// Reads the value of a known member.
    fn set<A: MapAccess<'de>>(&mut self, member: Self::Member, map: &mut A)
    -> Result<(), A::Error>;

    /// Reads the value of an unknown member.
    fn set_other<A: MapAccess<'de>>(&mut self, _name: &str, map: &mut A) -> Result<(), A::Error> {
        pass_over(map)
    }
}

/// Checks a value and drops it.
pub(super) fn pass_over<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<Checked>().map(|_| ())
}

/// Reads a JSON text, which must be an object.
pub(super) fn read<'de, T: Object<'de>>(
    json: &'de str,
    object: &mut T,
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Fill(object).deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Checks a JSON text for syntax errors, deep nesting and duplicate members.
pub(crate) fn check_members(json: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Checked>(json).map(|_| ())
}

/// Reads into an [`Object`]. A derived `Deserialize` would not report duplicates of unknown members.
pub(super) struct Fill<'a, T>(pub(super) &'a mut T);

/// An [`Object`] that is read into its default.
pub(super) struct Strict<T>(pub(super) T);

/// The names of an object's members that were read so far.
#[derive(Default)]
struct Members<'de>(BTreeSet<Cow<'de, str>>);

/// A string, borrowed from the JSON unless it has escapes.
pub(super) struct Text<'de>(pub(super) Cow<'de, str>);

/// A value that is checked and dropped.
struct Checked;

/// A value with at most `depth` levels.
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
        // A bit mask detects duplicates of known members. A genuine token has no others, so it needs no set of names.
        let Self(object) = self;
        let (mut seen, mut others) = (0u32, Members::default());
        while let Some(Text(name)) = map.next_key()? {
            let mut known = T::MEMBERS.iter().enumerate();
            match known.find(|(_, (known, _))| *known == name) {
                Some((at, _)) if seen & (1 << at) != 0 => return Err(duplicate_member(&name)),
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
    /// Adds a name; a duplicate is an error.
    fn add<E: Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        self.0.replace(name).map_or(Ok(()), |name| Err(duplicate_member(&name)))
    }
}

/// The name comes from the caller, so it is escaped and cut.
#[cold]
fn duplicate_member<E: Error>(name: &str) -> E {
    let name: String = name.chars().take(MAX_SHOWN).collect();
    E::custom(format_args!("duplicate member `{}`", name.escape_debug()))
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
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom(format_args!("nested more than {MAX_DEPTH} levels deep")))?;
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

/// The claims of a ServiceAccount token have three levels.
const MAX_DEPTH: usize = 16;

/// The maximum number of characters of a name in an error message.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        serde_json::from_str::<Checked>(text).map(|_| ()).map_err(|e| e.to_string())
    }

    #[test]
    fn duplicate_member_is_rejected_at_any_depth_and_in_any_spelling() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"a":2}}]"#, r#"{"a":1,"\u0061":2}"#] {
            let error = check(text).unwrap_err();
            assert!(error.starts_with("duplicate member `a`"), "{text}: {error}");
        }
        assert_eq!(check(r#"[{"a":1},{"a":1.5e3,"b":[null,true,-1]}]"#), Ok(()));
    }

    #[test]
    fn name_of_a_duplicate_member_is_escaped_and_cut() {
        let name = format!("\\n{}", "x".repeat(1000));
        let error = check(&format!(r#"{{"{name}":1,"{name}":2}}"#)).unwrap_err();
        assert!(
            error.starts_with(&format!(r"duplicate member `\n{}` at", "x".repeat(63))),
            "{error}"
        );
    }

    #[test]
    fn deep_nesting_is_rejected_long_before_the_stack_overflows() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
        for depth in [MAX_DEPTH + 1, 10_000] {
            let error = check(&nested(depth)).unwrap_err();
            assert!(error.starts_with("nested more than 16 levels deep"), "{error}");
        }
    }
}
