//! The request in `--request`: method and path, a URL, or a curl command line.

use std::str::FromStr;

/// A request, as far as `--request` describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestLine {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The host, with its port if the URL has one.
    pub host: Option<String>,
    /// The headers of a curl command line.
    pub headers: Vec<String>,
    /// What was taken from the argument, if it is not method and path.
    pub took: Option<String>,
}

// === impl RequestLine ===

impl FromStr for RequestLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(arguments) = text.strip_prefix("curl ") {
            return curl(arguments);
        }
        if is_url(text) {
            return Ok(of_url(text, "GET", "the URL"));
        }
        match text.split_once(' ') {
            Some((method, url)) if is_url(url) => Ok(of_url(url, method, "the URL")),
            Some((method, path)) => {
                let (method, path) = (method.to_owned(), path.to_owned());
                Ok(Self { method, path, ..Self::default() })
            }
            None => {
                Err("expected method and path, for example 'GET /', a URL or a curl command line"
                    .to_owned())
            }
        }
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| text.to_ascii_lowercase().starts_with(scheme))
}

fn of_url(url: &str, method: &str, source: &str) -> RequestLine {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    // User information is not part of the host (RFC 3986 section 3.2).
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    RequestLine {
        took: Some(format!("{method}, host and path from {source}")),
        method: method.to_owned(),
        path,
        host: Some(host.to_owned()),
        headers: Vec::new(),
    }
}

fn curl(arguments: &str) -> Result<RequestLine, String> {
    let mut words = words(arguments)?.into_iter();
    let (mut url, mut method, mut has_body, mut is_get) = (None, None, false, false);
    let (mut headers, mut dropped) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        let (name, attached) = option(&word);
        let mut value = || attached.clone().or_else(|| words.next()).unwrap_or_default();
        match name {
            "-X" | "--request" => method = Some(value()),
            "-H" | "--header" => {
                let header = value();
                match header.contains("$(") || header.contains('`') || header.contains("${") {
                    true => dropped.push(header.split(':').next().unwrap_or_default().to_owned()),
                    false => headers.push(header),
                }
            }
            "-I" | "--head" => method = method.or_else(|| Some("HEAD".to_owned())),
            "-G" | "--get" => is_get = true,
            "--url" => url = Some(value()),
            _ if DATA.contains(&name) => {
                value();
                has_body = true;
            }
            _ if WITH_VALUE.contains(&name) => drop(value()),
            _ if name.starts_with('-') => {}
            _ => url = Some(word.clone()),
        }
    }
    let url = url.ok_or("the curl command line has no URL")?;
    let url = if is_url(&url) { url } else { format!("http://{url}") };
    let default = if has_body && !is_get { "POST" } else { "GET" };
    let method = method.unwrap_or_else(|| default.to_owned());
    let mut line = of_url(&url, &method, "the curl command line");
    let is_host = |header: &String| header.to_ascii_lowercase().starts_with("host:");
    if let Some(header) = headers.iter().find(|header| is_host(header)) {
        line.host = header.split_once(':').map(|(_, host)| host.trim().to_owned());
    }
    headers.retain(|header| !is_host(header));
    let mut took = line.took.take().unwrap_or_default();
    let names = |headers: &[String]| -> String {
        let names = headers.iter().map(|header| header.split(':').next().unwrap_or_default());
        names.collect::<Vec<_>>().join(", ")
    };
    if !headers.is_empty() {
        took += &format!("; headers {}", names(&headers));
    }
    if !dropped.is_empty() {
        took += &format!(
            "; not {}, which the shell has not expanded: pass a token with --token",
            dropped.join(", ")
        );
    }
    Ok(RequestLine { headers, took: Some(took), ..line })
}

/// The name of an option, and the value that is attached to it (`-XPOST`, `--request=POST`).
fn option(word: &str) -> (&str, Option<String>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
    }
    match word.split_at_checked(2) {
        Some((name, value)) if ["-X", "-H", "-d"].contains(&name) && !value.is_empty() => {
            (name, Some(value.to_owned()))
        }
        _ => (word, None),
    }
}

/// Splits a command line as a shell does, without expansions.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => match characters.next() {
                Some('\n') | None => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// Options of curl with a body, which make the method POST.
const DATA: [&str; 9] = [
    "-d",
    "--data",
    "--data-raw",
    "--data-binary",
    "--data-ascii",
    "--data-urlencode",
    "--json",
    "-F",
    "--form",
];

/// Other options of curl with a value.
const WITH_VALUE: [&str; 27] = [
    "-o",
    "--output",
    "-w",
    "--write-out",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--cacert",
    "--capath",
    "-E",
    "--cert",
    "--key",
    "-A",
    "--user-agent",
    "-e",
    "--referer",
    "-b",
    "--cookie",
    "-u",
    "--user",
    "-x",
    "--proxy",
    "--resolve",
    "--connect-to",
    "-T",
    "--retry",
    "--unix-socket",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_curl_lines_are_read() {
        for (text, method, host, path, headers) in [
            ("GET /a?b", "GET", None, "/a?b", vec![]),
            ("https://a.b:8443/c/d?e#f", "GET", Some("a.b:8443"), "/c/d?e", vec![]),
            ("DELETE http://u:p@a.b", "DELETE", Some("a.b"), "/", vec![]),
            ("curl https://a.b?c=d", "GET", Some("a.b"), "/?c=d", vec![]),
            ("curl -s -o /dev/null -XPUT a.b/c", "PUT", Some("a.b"), "/c", vec![]),
            (
                "curl -H 'x-a: 1' \\\n  -H \"Authorization: Bearer t\" --data '{\"a\": 1}' http://a/b",
                "POST",
                Some("a"),
                "/b",
                vec!["x-a: 1", "Authorization: Bearer t"],
            ),
            (
                "curl -H \"Authorization: Bearer $(cat t)\" http://a/b",
                "GET",
                Some("a"),
                "/b",
                vec![],
            ),
        ] {
            let line: RequestLine = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
            let found = (line.method.as_str(), line.host.as_deref(), line.path.as_str());
            assert_eq!(found, (method, host, path), "{text}");
            assert_eq!(line.headers, headers, "{text}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in ["", "GET", "/a", "curl", "curl -s", "curl 'http://a"] {
            assert!(text.parse::<RequestLine>().is_err(), "{text}");
        }
    }
}
