//! `sa-authn inspect`: decodes a token without verification, and a malformed token as far as possible.

mod kind;

use super::{Answer, Failure, Report, dates, input};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine};
use sa_authn::authn::bearer::{BearerToken, TokenSource};
use sa_authn::authn::claims::{Claims, Times};
use sa_authn::authn::jwt::Jwt;
use sa_authn::denial::Denial;
use sa_authn::printable::printable_json;
use sa_authn::time::UnixTime;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// The arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// File with the token, such as /var/run/secrets/kubernetes.io/serviceaccount/token; `-` is stdin
    #[arg(default_value = "-", value_name = "FILE")]
    token: PathBuf,

    /// Time for relative dates (RFC 3339 or Unix seconds); default: now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// Output format
    #[arg(long, default_value = "text")]
    format: Format,
}

/// The output format.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// A JSON object with `header`, `claims`, `kind`, `rejected` and `verified`, which is always false
    Json,
}

/// Decodes the token. The exit code is 2 for a text without claims, which is not a token.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let token = super::token::read(&options.token)?;
    let now = dates::at(options.at.as_deref())?;
    if token.is_empty() {
        return Err(Failure(format!("{}: contains no token", input::name(&options.token))));
    }
    let text = match options.format {
        Format::Text => describe(&token, now),
        Format::Json => printable_json(&format!("{:#}\n", json(&token))),
    };
    let claims = token.split(|byte| *byte == b'.').nth(1).and_then(|part| decoded(part).ok());
    let is_token =
        claims.is_some_and(|json| serde_json::from_slice::<Map<String, Value>>(&json).is_ok());
    let failure = || format!("{}: not a token", input::name(&options.token));
    let failures = if is_token { Vec::new() } else { vec![failure()] };
    Ok(Report::of(text, Answer::Yes, failures))
}

/// The token as JSON. Parts that cannot be decoded are null.
fn json(token: &[u8]) -> Value {
    let mut parts = token.split(|byte| *byte == b'.').map(|part| {
        let json = decoded(part).ok()?;
        serde_json::from_slice::<Value>(&json).ok().filter(Value::is_object)
    });
    let (header, claims) = (parts.next().flatten(), parts.next().flatten());
    let parsed = claims.as_ref().and_then(|claims| Claims::parse(claims.to_string()).ok());
    json!({
        "verified": false,
        "bytes": token.len(),
        "header": header,
        "claims": claims,
        "kind": parsed.as_ref().map(kind::of),
        "rejected": rejection(token).map(|denial| json!({
            "reason": denial.reason().code(), "detail": denial.detail(),
        })),
    })
}

fn describe(token: &[u8], now: UnixTime) -> String {
    let parts: Vec<_> = token.split(|byte| *byte == b'.').collect();
    let mut text = format!("{BANNER}\n{} bytes in {} parts", token.len(), parts.len());
    text += if parts.len() == 3 { "\n" } else { ", expected 3\n" };
    let header = parts.first().map(|part| decoded(part));
    let claims = parts.get(1).map(|part| decoded(part));
    text += &section("JOSE header (part 1)", header.as_ref());
    text += &section("Claims (part 2)", claims.as_ref());
    if let Some(Ok(json)) = &claims
        && let Ok(json) = std::str::from_utf8(json)
        && let Ok(claims) = Claims::parse(json.to_owned())
    {
        text += &times(claims.times(), now);
        text += &format!("\nKind\n  {}\n", kind::of(&claims).replace('\n', "\n  "));
    }
    text + &form(token)
}

/// Why the filter's own parser, which is stricter than most, rejects the token.
fn rejection(token: &[u8]) -> Option<Denial> {
    let sources = [TokenSource { header: "".into(), prefix: None }];
    match BearerToken::find(&sources, &[(0, token)], |_| true) {
        Ok(token) => Jwt::parse(token?, usize::MAX).err(),
        Err(denial) => Some(denial),
    }
}

fn form(token: &[u8]) -> String {
    match rejection(token) {
        None => "\nForm\n  accepted by the parser of the filter\n".to_owned(),
        Some(denial) => format!(
            "\nForm\n  rejected by the filter: {}: {}\n",
            denial.reason().code(),
            denial.detail()
        ),
    }
}

/// The bytes of a part, or why it cannot be decoded.
fn decoded(part: &[u8]) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(part).map_err(|error| match error {
        DecodeError::InvalidByte(at, byte) => {
            format!("character {} is {:?}, which is not base64url", at + 1, char::from(byte))
        }
        DecodeError::InvalidLastSymbol { .. } => {
            "the last character has non-zero trailing bits".to_owned()
        }
        DecodeError::InvalidLength(_) => {
            format!("{} characters is not a valid length of base64url", part.len())
        }
        DecodeError::InvalidPadding => "padding (=) is not allowed in a JWT".to_owned(),
    })
}

fn section(title: &str, part: Option<&Result<Vec<u8>, String>>) -> String {
    let body = match part {
        None => "missing".to_owned(),
        Some(Err(why)) => format!("cannot be decoded: {why}"),
        Some(Ok(json)) => match serde_json::from_slice::<Value>(json) {
            Ok(mut value) => {
                value.sort_all_objects();
                format!("{value:#}")
            }
            Err(error) => format!("not JSON: {error}"),
        },
    };
    format!("\n{title}\n  {}\n", body.replace('\n', "\n  "))
}

fn times(times: &Times, now: UnixTime) -> String {
    let mut text = format!("\nTimes, at {}\n", dates::date(now));
    let said = [
        ("issued at (iat)", times.issued_at),
        ("valid from (nbf)", times.not_before),
        ("replace by (warnafter)", times.warn_after),
        ("expires at (exp)", times.expires),
    ];
    for (name, time) in said {
        let time = time.map_or("not present".to_owned(), |time| dates::date_from(time, now));
        text += &format!("  {name:<27} {time}\n");
    }
    if let (Some(from), Some(until)) = (times.issued_at, times.expires) {
        let (life, left) = (until.since(from), until.since(now));
        text += &format!(
            "  {:<27} {}, {} left\n",
            "lifetime",
            dates::duration(life),
            dates::duration(left)
        );
    }
    text
}

const BANNER: &str = "\
NOT VERIFIED. Anyone can create a token with these contents. To verify a token, use `sa-authn explain`.
";
