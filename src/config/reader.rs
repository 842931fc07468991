//! Reads JSON values into the types of the configuration. Every value that does not fit is reported with its path, and
//! left out.
//!
//! Not derived by serde: it stops at the first error, and with the derived code the module had 56 KB more.

use super::problems::Problems;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A type of values in the configuration.
pub(crate) trait Read: Sized {
    /// `None` if the value does not fit; the reader reports it.
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self>;

    /// Reads the value of a field.
    #[inline(never)]
    fn fill(field: &mut Option<Self>, value: &Value, reader: &mut Reader<'_>) {
        *field = Self::read(value, reader);
    }
}

/// Where in the configuration the reader is, and what it found.
pub(crate) struct Reader<'p> {
    path: String,
    problems: &'p mut Problems,
}

/// Reads the value of the field with this number.
type Set<'s, 'p> = &'s mut dyn FnMut(usize, &Value, &mut Reader<'p>);

// === impl Reader ===

// Not generic, and not inlined: the module has each of them once.
impl<'p> Reader<'p> {
    /// A reader at the root.
    pub(crate) fn new(problems: &'p mut Problems) -> Self {
        Self { path: String::new(), problems }
    }

    /// Reads an object with these fields.
    #[inline(never)]
    pub(crate) fn fields(&mut self, value: &Value, names: &[&str], set: Set<'_, 'p>) -> Option<()> {
        for (name, value) in self.object(value, "an object")? {
            let end = self.path.len();
            self.enter(name);
            match names.iter().position(|known| known == name) {
                Some(field) => set(field, value, self),
                None => self.unknown("field", name, names),
            }
            self.path.truncate(end);
        }
        Some(())
    }

    /// Reads a list. A list with an item that does not fit is left out, so that the indices of other problems are correct.
    #[inline(never)]
    fn items(
        &mut self,
        value: &Value,
        add: &mut dyn FnMut(&Value, &mut Self) -> bool,
    ) -> Option<()> {
        let Value::Array(items) = value else { return self.mismatch(value, "a list") };
        let end = self.path.len();
        for (at, item) in items.iter().enumerate() {
            self.path += &format!("[{at}]");
            let fits = add(item, self);
            self.path.truncate(end);
            if !fits {
                self.problems.mark_removed(&self.path);
                return None;
            }
        }
        Some(())
    }

    /// The number of a word among those that are expected.
    #[inline(never)]
    pub(crate) fn word(&mut self, value: &Value, words: &[&str]) -> Option<usize> {
        let word = self.text(value, "a string")?;
        let found = words.iter().position(|expected| *expected == word);
        if found.is_none() {
            self.unknown("variant", word, words);
        }
        found
    }

    #[inline(never)]
    pub(crate) fn text<'v>(&mut self, value: &'v Value, expected: &str) -> Option<&'v str> {
        match value {
            Value::String(text) => Some(text),
            _ => self.mismatch(value, expected),
        }
    }

    #[inline(never)]
    fn whole(&mut self, value: &Value, most: usize, expected: &str) -> Option<usize> {
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        match number.filter(|number| *number <= most) {
            None if value.is_i64() || value.is_u64() => self.invalid(value, expected),
            None => self.mismatch(value, expected),
            number => number,
        }
    }

    fn object<'v>(&mut self, value: &'v Value, expected: &str) -> Option<&'v Map<String, Value>> {
        match value {
            Value::Object(members) => Some(members),
            _ => self.mismatch(value, expected),
        }
    }

    fn enter(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }

    /// Reports a value of another type than expected.
    pub(crate) fn mismatch<T>(&mut self, value: &Value, expected: &str) -> Option<T> {
        self.misfit("type", value, expected);
        None
    }

    /// Reports a value of the expected type that is not one of its values.
    pub(crate) fn invalid<T>(&mut self, value: &Value, expected: &str) -> Option<T> {
        self.misfit("value", value, expected);
        None
    }

    #[inline(never)]
    fn misfit(&mut self, what: &str, value: &Value, expected: &str) {
        let (kind, shown) = match value {
            Value::Null => ("null", String::new()),
            Value::Array(_) => ("list", String::new()),
            Value::Object(_) => ("object", String::new()),
            Value::Bool(_) => ("boolean", format!(" `{value}`")),
            Value::Number(number) if number.is_f64() => ("floating point", format!(" `{value}`")),
            Value::Number(_) => ("integer", format!(" `{value}`")),
            Value::String(text) => ("string", format!(" {text:?}")),
        };
        self.report(format!("invalid {what}: {kind}{shown}, expected {expected}"));
    }

    #[inline(never)]
    fn unknown(&mut self, what: &str, found: &str, expected: &[&str]) {
        let expected = match expected {
            [first, second] => format!("`{first}` or `{second}`"),
            [only] => format!("`{only}`"),
            _ => format!("one of `{}`", expected.join("`, `")),
        };
        self.report(format!("unknown {what} `{found}`, expected {expected}"));
    }

    fn report(&mut self, message: String) {
        self.problems.add_and_remove(self.path.clone(), message);
    }
}

// === impl Read ===

impl Read for Value {
    fn read(value: &Value, _: &mut Reader<'_>) -> Option<Self> {
        Some(value.clone())
    }
}

impl Read for bool {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        value.as_bool().or_else(|| reader.mismatch(value, "a boolean"))
    }
}

impl Read for usize {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        reader.whole(value, usize::MAX, "a whole number")
    }
}

impl Read for u16 {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let number = reader.whole(value, Self::MAX.into(), "a whole number up to 65535")?;
        Self::try_from(number).ok()
    }
}

impl Read for String {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(value, "a string").map(str::to_owned)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let mut items = Self::new();
        let mut add = |value: &Value, reader: &mut Reader<'_>| {
            let item = T::read(value, reader);
            let fits = item.is_some();
            items.extend(item);
            fits
        };
        reader.items(value, &mut add)?;
        Some(items)
    }
}

impl Read for BTreeMap<String, String> {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let mut texts = Self::new();
        for (name, value) in reader.object(value, "an object")? {
            let end = reader.path.len();
            reader.enter(name);
            if let Some(text) = String::read(value, reader) {
                texts.insert(name.clone(), text);
            }
            reader.path.truncate(end);
        }
        Some(texts)
    }
}

/// An object of the configuration, with the name of each field. Every field is optional.
macro_rules! object {
    ($(#[$about:meta])* $name:ident {
        $($(#[$doc:meta])* $field:ident: $kind:ty = $key:tt,)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        #[cfg_attr(
            all(feature = "cli", not(target_arch = "wasm32")),
            derive(schemars::JsonSchema),
            schemars(deny_unknown_fields)
        )]
        pub(crate) struct $name {$(
            $(#[$doc])*
            #[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), schemars(rename = $key))]
            pub(crate) $field: Option<$kind>,
        )*}

        impl $crate::config::reader::Read for $name {
            fn read(
                value: &serde_json::Value,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                type Fill =
                    fn(&mut $name, &serde_json::Value, &mut $crate::config::reader::Reader<'_>);
                const FILL: &[Fill] = &[$(|object, value, reader| {
                    $crate::config::reader::Read::fill(&mut object.$field, value, reader);
                }),*];
                let mut object = Self::default();
                reader.fields(value, &[$($key),*], &mut |field, value, reader| {
                    if let Some(fill) = FILL.get(field) {
                        fill(&mut object, value, reader);
                    }
                })?;
                Some(object)
            }
        }
    };
}

/// A choice of words.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:tt,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(
            all(feature = "cli", not(target_arch = "wasm32")),
            derive(schemars::JsonSchema)
        )]
        pub(crate) enum $name {$(
            $(#[$doc])*
            #[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), schemars(rename = $word))]
            $variant,
        )*}

        impl $crate::config::reader::Read for $name {
            fn read(
                value: &serde_json::Value,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                let word = reader.word(value, &[$($word),*])?;
                [$(Self::$variant),*].get(word).copied()
            }
        }
    };
}

pub(super) use {object, words};
