//! Compares the expected and the actual outcome of a request.

use envoy_test::Response;
use envoy_test::upstream::Received;

use super::case::Expected;
use super::cases::SPOOFED;

/// The response to a request, and what reached the upstream.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The response.
    pub answer: Response,
    /// The requests that reached the upstream.
    pub reached: Vec<Received>,
}

/// The differences; empty if there are none.
pub fn faults(expected: Expected, seen: &Seen) -> Vec<String> {
    let mut faults = Vec::new();
    let mut equal = |what: &str, must: String, is: String| {
        if must != is {
            faults.push(format!("{what}: expected {must}, found {is}"));
        }
    };
    equal("status", expected.status().to_string(), seen.answer.status.to_string());
    equal("reason", text(expected.reason()), text(seen.reason().as_deref()));
    equal("WWW-Authenticate", challenge(expected), text(seen.challenge().as_deref()));
    equal("request at the upstream", at_upstream(expected), seen.at_upstream());
    if seen.values().any(|value| value == SPOOFED.as_bytes()) {
        faults.push(format!("the upstream must not see the spoofed value `{SPOOFED}`"));
    }
    faults
}

/// RFC 6750 section 3: which 401 names an error.
fn challenge(expected: Expected) -> String {
    text(match expected {
        Expected::Refused(401, "missing_token") => Some("Bearer"),
        Expected::Refused(401, _) => Some("Bearer error=\"invalid_token\""),
        _ => None,
    })
}

fn at_upstream(expected: Expected) -> String {
    match expected {
        Expected::Passes(caller) => told(caller.unwrap_or(NO_CALLER), false),
        Expected::Refused(..) => NOTHING.to_owned(),
    }
}

// === impl Seen ===

impl Seen {
    /// The reason in the body of the response.
    pub fn reason(&self) -> Option<String> {
        self.answer.reason()
    }

    /// The request at the upstream, as in the table: the caller, and whether it has a token.
    pub fn at_upstream(&self) -> String {
        match self.reached.as_slice() {
            [] => NOTHING.to_owned(),
            [one] => told(&caller(one), has_token(one)),
            several => format!("{} requests", several.len()),
        }
    }

    /// `WWW-Authenticate` without its description.
    fn challenge(&self) -> Option<String> {
        let challenge = self.answer.header("www-authenticate")?;
        let parameters = challenge.strip_prefix("Bearer realm=\"")?;
        let error = parameters.split(", ").find(|parameter| parameter.starts_with("error="));
        Some(error.map_or("Bearer".to_owned(), |error| format!("Bearer {error}")))
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.reached.iter().flat_map(|request| &request.headers).map(|(_, value)| value.as_slice())
    }
}

fn told(caller: &str, token: bool) -> String {
    format!("{caller}, {}", if token { "TOKEN" } else { "no token" })
}

/// `namespace/name`, with all values of every spelling that a server may treat as the header.
fn caller(received: &Received) -> String {
    let values = |wanted: &str| {
        let named = received.headers.iter().filter(|(name, _)| name.replace('_', "-") == wanted);
        let values: Vec<_> = named.map(|(_, value)| String::from_utf8_lossy(value)).collect();
        values.join("+")
    };
    match (values("x-sa-namespace"), values("x-sa-name")) {
        (namespace, name) if namespace.is_empty() && name.is_empty() => NO_CALLER.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

/// Whether any header has a token: every JWT begins with these characters, which encode `{"`.
fn has_token(received: &Received) -> bool {
    received.headers.iter().any(|(name, value)| {
        matches!(name.as_str(), "authorization" | "x-client-id")
            || value.windows(3).any(|bytes| bytes == b"eyJ")
    })
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or(NOTHING).to_owned()
}

const NOTHING: &str = "-";
const NO_CALLER: &str = "no caller";

#[cfg(test)]
impl Seen {
    /// A request that passes as expected.
    pub fn as_it_must_be(expected: Expected) -> Self {
        match expected {
            Expected::Passes(caller) => {
                let (namespace, name) = caller.and_then(|c| c.split_once('/')).unwrap_or_default();
                let told = [("x-sa-namespace", namespace), ("x-sa-name", name)];
                let told: Vec<_> =
                    told.into_iter().filter(|(_, value)| !value.is_empty()).collect();
                Self::passed(&told)
            }
            Expected::Refused(status, reason) => {
                let error =
                    if reason == "missing_token" { "" } else { r#", error="invalid_token""# };
                let challenge = format!(r#"Bearer realm="sa-authn"{error}"#);
                Self::refused(status, reason, (status == 401).then_some(challenge.as_str()))
            }
        }
    }

    fn passed(headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        let reached = Received {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            authority: "a".to_owned(),
            headers: headers.collect(),
            body: Vec::new(),
            trailers: Vec::new(),
        };
        Self { reached: vec![reached], ..Self::refused(200, "", None) }
    }

    fn refused(status: u16, reason: &str, challenge: Option<&str>) -> Self {
        let header = |value: &str| ("www-authenticate".to_owned(), value.into());
        let body =
            if reason.is_empty() { "{}".to_owned() } else { format!(r#"{{"reason":"{reason}"}}"#) };
        let answer = Response {
            status,
            headers: challenge.map(header).into_iter().collect(),
            body: body.into_bytes(),
            trailers: Vec::new(),
        };
        Self { answer, reached: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRED: Expected = Expected::Refused(401, "expired");
    const API: [(&str, &str); 2] = [("x-sa-namespace", "api"), ("x-sa-name", "api")];

    #[test]
    fn every_fault_of_a_wrongly_passed_request_is_listed() {
        assert_eq!(
            faults(EXPIRED, &Seen::passed(&API)),
            [
                "status: expected 401, found 200",
                "reason: expected expired, found -",
                "WWW-Authenticate: expected Bearer error=\"invalid_token\", found -",
                "request at the upstream: expected -, found api/api, no token",
            ]
        );
    }

    #[test]
    fn denied_request_at_the_upstream_is_a_fault() {
        let reached = Seen::passed(&[]).reached;
        let seen = Seen { reached, ..Seen::as_it_must_be(EXPIRED) };
        assert_eq!(
            faults(EXPIRED, &seen),
            ["request at the upstream: expected -, found no caller, no token"]
        );
    }

    #[test]
    fn challenge_has_an_error_only_if_a_token_was_sent() {
        let with_description =
            r#"Bearer realm="sa-authn", error="invalid_token", error_description="a, b""#;
        let seen = Seen::refused(401, "expired", Some(with_description));
        assert_eq!(faults(EXPIRED, &seen), [""; 0]);
        for challenge in [None, Some(r#"Bearer realm="sa-authn""#), Some("Basic realm=\"x\"")] {
            assert_eq!(faults(EXPIRED, &Seen::refused(401, "expired", challenge)).len(), 1);
        }
        let missing = Expected::Refused(401, "missing_token");
        let seen = Seen::refused(401, "missing_token", Some(with_description));
        assert_eq!(faults(missing, &seen).len(), 1);
    }

    #[test]
    fn spoofed_header_is_detected_in_every_spelling_and_place() {
        for name in ["x-sa-name", "x_sa_name", "x-sa_name"] {
            let seen = Seen::passed(&[API[0], API[1], (name, SPOOFED)]);
            let faults = faults(Expected::Passes(Some("api/api")), &seen);
            assert_eq!(faults.len(), 2, "{faults:?}");
            assert!(faults[0].contains("found api/api+admin, no token"), "{faults:?}");
        }
        let elsewhere = Seen::passed(&[("x-other", SPOOFED)]);
        assert_eq!(faults(Expected::Passes(None), &elsewhere).len(), 1);
    }

    #[test]
    fn forwarded_token_is_detected_in_every_header() {
        for header in [("authorization", "x"), ("x-client-id", "x"), ("x-other", "b eyJh.e30.x")] {
            let faults = faults(Expected::Passes(None), &Seen::passed(&[header]));
            assert_eq!(
                faults,
                ["request at the upstream: expected no caller, no token, found no caller, TOKEN"]
            );
        }
    }
}
