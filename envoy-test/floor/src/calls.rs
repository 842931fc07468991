//! The configuration's lines -> the calls of each request.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::host;

/// One host call.
pub(crate) enum Call {
    Map,
    Get(String),
    Set(String, String),
    Add(String, String),
    Remove(String),
    Replace(String, String),
    Clock,
    Property(String),
    FilterState(String, String),
    Count(u32),
    Log(String),
    Verify { all: Vec<Vec<u8>>, next: AtomicUsize },
}

/// Reads the configuration; a line that is no call traps, and Envoy does not start.
pub(crate) fn parse(configuration: &[u8]) -> Vec<Call> {
    let text = std::str::from_utf8(configuration).expect("the configuration is text");
    text.lines().filter(|line| !line.trim().is_empty()).map(Call::parse).collect()
}

/// Makes each call for the request of the effective context.
pub(crate) fn make(calls: &[Call]) {
    let mut map = Vec::new();
    for call in calls {
        call.make(&mut map);
    }
}

impl Call {
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let owned = |word: &str| word.to_owned();
        match words.as_slice() {
            ["map"] => Self::Map,
            ["get", name] => Self::Get(owned(name)),
            ["set", name, value] => Self::Set(owned(name), owned(value)),
            ["add", name, value] => Self::Add(owned(name), owned(value)),
            ["remove", name] => Self::Remove(owned(name)),
            ["replace", name, value] => Self::Replace(owned(name), owned(value)),
            ["clock"] => Self::Clock,
            // The parts of a path have a NUL between them.
            ["property", path] => Self::Property(path.replace('.', "\0")),
            ["filter-state", name, value] => Self::FilterState(owned(name), owned(value)),
            ["count", name] => Self::Count(host::define_counter(name)),
            ["log", text] => Self::Log(owned(text)),
            ["verify", all @ ..] if !all.is_empty() => {
                let all = all.iter().map(|arguments| bytes(arguments)).collect();
                Self::Verify { all, next: AtomicUsize::new(0) }
            }
            _ => panic!("no call: {line}"),
        }
    }

    fn make(&self, map: &mut Vec<u8>) {
        match self {
            Self::Map => *map = host::request_headers(),
            Self::Get(name) => drop(black_box(host::get(name))),
            Self::Set(name, value) => host::set(name, value),
            Self::Add(name, value) => host::add(name, value),
            Self::Remove(name) => host::remove(name),
            Self::Replace(name, value) => {
                host::set_request_headers(&edited(map, name.as_bytes(), value.as_bytes()));
            }
            Self::Clock => drop(black_box(host::now())),
            Self::Property(path) => drop(black_box(host::property(path))),
            Self::FilterState(name, value) => host::set_property(name, value),
            Self::Count(counter) => host::increment(*counter),
            Self::Log(text) => host::log_trace(text),
            Self::Verify { all, next } => {
                let next = next.fetch_add(1, Ordering::Relaxed);
                host::verify_signature(&all[next % all.len()]);
            }
        }
    }
}

/// Two hexadecimal digits for each.
fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hexadecimal digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// A map in proxy-wasm's form without `authorization` and with one pair more: a count, the sizes of each
/// name and value, then the bytes with a NUL behind each.
fn edited(map: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut pairs = pairs(map);
    pairs.retain(|(name, _)| *name != b"authorization");
    pairs.push((name, value));
    let mut out = Vec::with_capacity(map.len() + name.len() + value.len() + 16);
    let number = |out: &mut Vec<u8>, n: usize| out.extend_from_slice(&(n as u32).to_le_bytes());
    number(&mut out, pairs.len());
    for (name, value) in &pairs {
        number(&mut out, name.len());
        number(&mut out, value.len());
    }
    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(part);
        out.push(0);
    }
    out
}

fn pairs(map: &[u8]) -> Vec<(&[u8], &[u8])> {
    let number = |at: usize| {
        let bytes = map[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    let count = number(0);
    let mut at = 4 + 8 * count;
    let mut part = |size: usize| {
        let bytes = &map[at..at + size];
        at += size + 1;
        bytes
    };
    (0..count).map(|n| (part(number(4 + 8 * n)), part(number(8 + 8 * n)))).collect()
}
