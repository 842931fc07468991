//! `tokenFrom` and `identityHeaders`: header names that may be used, and for what.

use super::problems::Problems;
use super::wire::{self, Object};
use crate::authn::bearer::TokenSource;
use crate::identity::{IdentityField, IdentityHeader};
use crate::verdict::Mode;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Where tokens are found; `Authorization: Bearer` unless said otherwise.
pub(super) fn token_sources(
    wire: Option<Vec<Object<wire::TokenSource>>>,
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
    for (at, Object(source)) in wire.into_iter().enumerate() {
        let path = format!("tokenFrom[{at}]");
        let header = source.header.unwrap_or_default().to_ascii_lowercase();
        let credentials = ["authorization", "proxy-authorization"].contains(&header.as_str());
        if let Err(fault) = check_name(&header) {
            problems.add(format!("{path}.header"), fault);
        } else if is_reserved(&header) && !credentials && !header.ends_with("-token") {
            problems
                .add(format!("{path}.header"), "HTTP and Envoy use this header for other things");
        } else if sources.iter().any(|other| *other.header == *header) {
            problems.add(format!("{path}.header"), "stands in tokenFrom twice");
        }
        if source.prefix.as_deref().is_some_and(|prefix| !is_scheme(prefix)) {
            problems.add(
                format!("{path}.prefix"),
                r#"must be a scheme and one space, such as "Bearer ""#,
            );
        }
        sources.push(TokenSource { header: header.into(), prefix: source.prefix });
    }
    sources
}

/// What the upstream is told; namespace and name unless said otherwise.
pub(super) fn identity_headers(
    wire: Option<BTreeMap<String, String>>,
    token_sources: &[TokenSource],
    problems: &mut Problems,
) -> Vec<IdentityHeader> {
    let wire = wire.unwrap_or_else(|| {
        DEFAULT_IDENTITY.map(|(name, field)| (name.to_owned(), field.to_owned())).into()
    });
    let mut headers: Vec<IdentityHeader> = Vec::new();
    for (name, field) in wire {
        let path = format!("identityHeaders.{name}");
        let name = name.to_ascii_lowercase();
        if let Err(fault) = check_name(&name) {
            problems.add(&path, fault);
        } else if is_reserved(&name) {
            problems.add(
                &path,
                "HTTP and Envoy give this header another meaning: choose one like x-sa-name",
            );
        } else if token_sources.iter().any(|source| *source.header == *name) {
            problems.add(&path, "tokenFrom reads the token from this header");
        } else if headers.iter().any(|header| *header.name == *name) {
            problems.add(&path, "stands in identityHeaders twice");
        }
        headers.extend(
            field_named(path, &field, problems)
                .map(|field| IdentityHeader { name: name.into(), field }),
        );
    }
    headers
}

/// What access logs and other filters are told; the subject unless said otherwise.
pub(super) fn filter_state(
    wire: Option<Vec<String>>,
    problems: &mut Problems,
) -> Vec<(Rc<str>, IdentityField)> {
    let names = wire.unwrap_or_else(|| vec!["subject".to_owned()]);
    let mut fields: Vec<(Rc<str>, IdentityField)> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let path = format!("filterState[{at}]");
        let full: Rc<str> = format!("sa_authn.{name}").into();
        if fields.iter().any(|(other, _)| *other == full) {
            problems.add(&path, "stands in filterState twice");
        }
        fields.extend(field_named(path, name, problems).map(|field| (full, field)));
    }
    fields
}

/// `enforce` unless said otherwise.
pub(super) fn mode(wire: Option<wire::Mode>) -> Mode {
    match wire {
        None | Some(wire::Mode::Enforce) => Mode::Enforce,
        Some(wire::Mode::Shadow) => Mode::Shadow,
    }
}

fn field_named(path: String, name: &str, problems: &mut Problems) -> Option<IdentityField> {
    let field = IdentityField::named(name);
    if field.is_none() {
        problems.add(path, format!("{name:?} is none of {}", field_names()));
    }
    field
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

const DEFAULT_IDENTITY: [(&str, &str); 2] =
    [("x-sa-namespace", "namespace"), ("x-sa-name", "name")];

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Written by us, these would change where a request goes, how it is framed, or what it proves; read by
/// us as tokens, they would not be what others take them for.
const RESERVED: [&str; 26] = [
    "accept",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "grpc-timeout",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-real-ip",
    "x-request-id",
];
const RESERVED_PREFIXES: [&str; 3] = ["access-control-", "x-envoy-", "x-forwarded-"];
