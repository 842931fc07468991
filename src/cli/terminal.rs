//! Sanitizing of output: printable ASCII, without tokens.

use sa_authn::printable::{printable, printable_lines};
use std::borrow::Cow;
use std::io::IsTerminal;
use std::path::{Component, Path};

/// Sanitizes a text of several lines.
pub fn shown(text: &str) -> String {
    printable_lines(&without_tokens(text)).into_owned()
}

/// Whether a stream is a terminal with colors (<https://no-color.org>).
pub fn has_color(stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal()
        && !is_set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Colors the first `error[...]` or `warning[...]` of each line of a sanitized text.
pub fn colored(text: &str) -> String {
    let color = |line: &str| {
        let found = COLORS.iter().filter_map(|(word, color)| {
            let start = line.find(&format!(": {word}["))? + 2;
            let end = start + line.get(start..)?.find(']')? + 1;
            Some((start, end, *color))
        });
        let Some((start, end, color)) = found.min() else { return line.to_owned() };
        let part = |range: std::ops::Range<usize>| line.get(range).unwrap_or_default();
        format!(
            "{}\u{1b}[{color}m{}\u{1b}[0m{}",
            part(0..start),
            part(start..end),
            part(end..line.len())
        )
    };
    text.split_inclusive('\n').map(color).collect()
}

/// The name of an unreadable file, with each part of the path cut, because the argument may be a secret.
pub fn shortened(file: &Path) -> String {
    let parts = file.components().map(|part| match part {
        Component::RootDir => String::new(),
        part => {
            let part = part.as_os_str().to_string_lossy();
            let shown: String = part.chars().take(MAX_SHOWN).collect();
            let rest = if shown.len() < part.len() { "..." } else { "" };
            format!("{}{rest}", printable(&shown))
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Whether a text contains a JWT, or a readable part of one.
pub fn has_token(text: &str) -> bool {
    matches!(without_tokens(text), Cow::Owned(_))
}

fn without_tokens(text: &str) -> Cow<'_, str> {
    let words = || text.split_inclusive(|c| !is_of_token(c));
    let parted = |word: &'_ str| word.trim_end_matches(|c| !is_of_token(c)).len();
    if !words().any(|word| is_token(word.get(..parted(word)).unwrap_or(word))) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    for word in words() {
        let (inside, behind) = word.split_at(parted(word));
        kept.push_str(if is_token(inside) { TOKEN } else { inside });
        kept.push_str(behind);
    }
    Cow::Owned(kept)
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=')
}

/// Whether a word contains an encoded header or claims, and a dot. `=` separates parts, as in a query or after padding.
fn is_token(word: &str) -> bool {
    let is_json =
        |piece: &str| piece.len() >= SHORTEST && JSON.iter().any(|start| piece.starts_with(start));
    word.contains('.') && word.split(['.', '=']).any(is_json)
}

/// Red and yellow, both bold.
const COLORS: [(&str, &str); 2] = [("error", "1;31"), ("warning", "1;33")];

/// The maximum number of characters of each part of a path.
const MAX_SHOWN: usize = 40;

/// Headers and claims are longer: `{"alg":"ES256"}` has 20 characters.
const SHORTEST: usize = 16;

/// The beginning of a JSON object in base64url: `{"`, `{ `, `{` and a line end.
const JSON: [&str; 4] = ["eyJ", "eyI", "eyA", "ewo"];

const TOKEN: &str = "<token>";

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.AQID";

    #[test]
    fn tokens_are_hidden_in_any_context() {
        for (text, expected) in [
            (JWT.to_owned(), "<token>".to_owned()),
            (format!("'{JWT}'"), "'<token>'".to_owned()),
            (format!("/x?t={JWT}&a=b"), "/x?<token>&a=b".to_owned()),
            (format!("Bearer {JWT}, Basic x\n"), "Bearer <token>, Basic x\n".to_owned()),
            ("eyJhbGciOiJFUzI1NiJ9=.eyJpc3MiOiJhIn0=.AQID".to_owned(), "<token>".to_owned()),
        ] {
            assert_eq!(shown(&text), expected);
            assert!(has_token(&text));
        }
    }

    #[test]
    fn other_texts_are_unchanged() {
        for text in [
            "",
            "kubernetes.default.svc",
            "eyJhbGciOiJFUzI1NiJ9",
            "eyes.example-of-a-long-name.com",
            "a.b.c",
            "kid \"eyJhbGciOiJFUzI1NiJ9\".",
            "\u{1}.\n",
        ] {
            assert!(!has_token(text), "{text}");
        }
    }

    #[test]
    fn severities_are_colored_once_in_a_line() {
        let text = "a:1:1: x: 1 error\na:1:1: error[syntax]: b: error[c]\na: warning[d]: e\n";
        let expected = "a:1:1: x: 1 error\na:1:1: \u{1b}[1;31merror[syntax]\u{1b}[0m: b: error[c]\n\
                        a: \u{1b}[1;33mwarning[d]\u{1b}[0m: e\n";
        assert_eq!(colored(text), expected);
    }

    #[test]
    fn long_parts_of_a_path_are_cut() {
        for path in ["a.json", "/a/b.json", "../b", "a/b/c.yaml"] {
            assert_eq!(shortened(Path::new(path)), path);
        }
        let long = "\u{202e}".repeat(50);
        let expected = format!("/x/{}...", r"\u{202e}".repeat(40));
        assert_eq!(shortened(&Path::new("/x").join(long)), expected);
    }
}
