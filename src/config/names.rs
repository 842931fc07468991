//! Validation of `tokenFrom`, `identityHeaders`, `filterState` and `mode`.

use super::bounds::{HEADER_NAME_BYTES, header_name_bytes};
use super::problems::Problems;
use super::wire;
use crate::authn::bearer::TokenSource;
use crate::authz::Mode;
use crate::identity::{IdentityField, IdentityHeader};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The headers that may contain the token; `Authorization: Bearer` by default.
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
        problems.add("tokenFrom", "must not be empty; list a header, or remove `tokenFrom`");
    }
    let mut sources: Vec<TokenSource> = Vec::new();
    for (at, source) in wire.into_iter().enumerate() {
        let path = format!("tokenFrom[{at}]");
        let header = source.header.unwrap_or_default().to_ascii_lowercase();
        let credentials = ["authorization", "proxy-authorization"].contains(&header.as_str());
        if let Err(fault) = check_name(&header) {
            problems.add(format!("{path}.header"), fault);
        } else if is_reserved(&header) && !credentials && !header.ends_with("-token") {
            let fault = format!(
                "{header:?} is reserved by HTTP or Envoy; use a header such as x-client-id"
            );
            problems.add(format!("{path}.header"), fault);
        } else if sources.iter().any(|other| *other.header == *header) {
            problems
                .add(format!("{path}.header"), format!("duplicate header {header:?}; remove it"));
        }
        if source.prefix.as_deref().is_some_and(|prefix| !is_scheme(prefix)) {
            let fault = r#"must be a scheme followed by one space, for example "Bearer ""#;
            problems.add(format!("{path}.prefix"), fault);
        }
        sources.push(TokenSource { header: header.into(), prefix: source.prefix });
    }
    sources
}

/// The identity headers for the upstream; namespace and name by default.
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
                "this header is reserved by HTTP or Envoy; use a header such as x-sa-name",
            );
        } else if token_sources.iter().any(|source| *source.header == *name) {
            problems.add(&path, "this header is also in tokenFrom; use another header");
        } else if headers.iter().any(|header| *header.name == *name) {
            problems.add(
                &path,
                format!("duplicate header {name:?} (names are case-insensitive); remove it"),
            );
        }
        if IdentityField::named(&name).is_some() && IdentityField::named(&field).is_none() {
            problems.add(path, format!("the header comes first; write {field:?}: {name:?}"));
            continue;
        }
        headers.extend(
            field_named(path, &field, problems)
                .map(|field| IdentityHeader { name: name.into(), field }),
        );
    }
    headers
}

/// The filter state for access logs and other filters; the subject by default.
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
            problems.add(&path, format!("duplicate field {name:?}; remove it"));
        }
        fields.extend(field_named(path, name, problems).map(|field| (full, field)));
    }
    fields
}

/// `enforce` by default.
pub(super) fn mode(wire: Option<wire::Mode>) -> Mode {
    match wire {
        None | Some(wire::Mode::Enforce) => Mode::Enforce,
        Some(wire::Mode::Shadow) => Mode::Shadow,
    }
}

fn field_named(path: String, name: &str, problems: &mut Problems) -> Option<IdentityField> {
    let field = IdentityField::named(name);
    if field.is_none() {
        problems.add(path, format!("{name:?}: expected one of {}", field_names()));
    }
    field
}

fn field_names() -> String {
    IdentityField::NAMES.map(|(name, _)| name).join(", ")
}

/// RFC 9110 section 5.1, without the characters that servers handle differently.
fn check_name(name: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > HEADER_NAME_BYTES {
        return Err(concat!(
            "must be a header name of 1 to ",
            header_name_bytes!(),
            " characters, for example \"x-client-id\""
        ));
    }
    if name.starts_with(':') {
        return Err("must not be a pseudo-header; use a header such as x-client-id");
    }
    if !name.bytes().all(fits) {
        return Err("must contain only letters, digits and `-` (some servers treat `_` as `-`)");
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

/// Headers with a meaning in HTTP or Envoy. As an identity header, one of these would change the routing, framing or
/// credentials of the request; as a token header, it would have two meanings.
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
