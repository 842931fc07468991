//! `tokenFrom` and `identityHeaders`: header names that may be used, and for what.

use super::problems::Problems;
use super::wire;
use crate::authn::bearer::TokenSource;
use crate::identity::{IdentityField, IdentityHeader};
use std::collections::BTreeMap;

/// Where tokens are found; `Authorization: Bearer` unless said otherwise.
pub(super) fn token_sources(
    wire: Option<Vec<wire::TokenSource>>,
    problems: &mut Problems,
) -> Vec<TokenSource> {
    let Some(wire) = wire else {
        return vec![TokenSource {
            header: "authorization".into(),
            prefix: Some("Bearer ".into()),
        }];
    };
    if wire.is_empty() {
        problems.add("tokenFrom", "must not be empty: name a header, or leave it out");
    }
    let mut sources: Vec<TokenSource> = Vec::new();
    for (at, source) in wire.into_iter().enumerate() {
        let path = format!("tokenFrom[{at}]");
        let header = source.header.unwrap_or_default().to_ascii_lowercase();
        if let Err(fault) = check_name(&header) {
            problems.add(format!("{path}.header"), fault);
        }
        if sources.iter().any(|other| other.header == header) {
            problems.add(format!("{path}.header"), "stands in tokenFrom twice");
        }
        if let Some(prefix) = &source.prefix
            && !is_scheme(prefix)
        {
            problems.add(
                format!("{path}.prefix"),
                r#"must be a scheme and one space, such as "Bearer ""#,
            );
        }
        sources.push(TokenSource { header, prefix: source.prefix });
    }
    sources
}

/// What the upstream is told; namespace and name unless said otherwise.
pub(super) fn identity_headers(
    wire: Option<BTreeMap<String, String>>,
    token_sources: &[TokenSource],
    problems: &mut Problems,
) -> Vec<IdentityHeader> {
    let Some(wire) = wire else {
        return DEFAULT_IDENTITY
            .map(|(name, field)| IdentityHeader { name: name.to_owned(), field })
            .to_vec();
    };
    let mut headers: Vec<IdentityHeader> = Vec::new();
    for (name, field) in wire {
        let path = format!("identityHeaders.{name}");
        let name = name.to_ascii_lowercase();
        if let Err(fault) = check_name(&name) {
            problems.add(&path, fault);
        } else if RESERVED.contains(&name.as_str()) {
            problems
                .add(&path, "HTTP gives this header another meaning: choose a name like x-sa-name");
        } else if token_sources.iter().any(|source| source.header == name) {
            problems.add(&path, "tokenFrom reads the token from this header");
        } else if headers.iter().any(|header| header.name == name) {
            problems.add(&path, "stands in identityHeaders twice");
        }
        match IdentityField::named(&field) {
            Some(field) => headers.push(IdentityHeader { name, field }),
            None => problems.add(path, format!("{field:?} is none of {}", field_names())),
        }
    }
    headers
}

fn field_names() -> String {
    IdentityField::NAMES.map(|(name, _)| name).join(", ")
}

/// RFC 9110 section 5.1, without the characters that servers disagree about.
fn check_name(name: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 64 {
        return Err("must be a header's name, such as \"x-client-id\"");
    }
    if name.starts_with(':') {
        return Err("is a pseudo-header, which carries the request itself");
    }
    if !name.bytes().all(fits) {
        return Err("must be letters, digits and dashes (servers take `_` for a dash)");
    }
    Ok(())
}

fn is_scheme(prefix: &str) -> bool {
    prefix.strip_suffix(' ').is_some_and(|word| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

const DEFAULT_IDENTITY: [(&str, IdentityField); 2] =
    [("x-sa-namespace", IdentityField::Namespace), ("x-sa-name", IdentityField::Name)];

/// Written by us, these would change where a request goes, how it is framed, or what it proves.
const RESERVED: [&str; 20] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-envoy-original-path",
    "x-forwarded-for",
];
