//! Escapes text from outside as printable ASCII, for log lines and terminals.
//!
//! A token, a server or a file can hold control characters (C0, C1, DEL), bidirectional overrides, line separators and
//! invisible characters. Written as they are, they forge log lines and hide text on a terminal (CVE-2021-42574).

use std::borrow::Cow;
use std::fmt::Write;

/// A text with everything that is not printable ASCII as `\u{...}`, line ends included.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_printable)
}

/// The same for text of several lines: line ends stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n' || is_printable(c))
}

/// JSON -> the same JSON in printable ASCII, so that a parser gives the original back.
///
/// serde_json escapes quotes, backslashes and C0 controls. DEL and what is beyond ASCII stands in strings only, where
/// `\uXXXX` has the same meaning (RFC 8259 section 7).
pub fn printable_json(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_printable(c) {
            line.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String does not fail.
            let _ = write!(line, "\\u{unit:04x}");
        }
    }
    line
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~')
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match stays(c) {
            true => escaped.push(c),
            false => escaped.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// C0, DEL, C1, bidirectional overrides, line separators, invisible characters, and letters of other scripts.
    const HOSTILE: &str =
        "\u{0}\n\u{1b}\u{7f}\u{85}\u{9b}\u{202e}\u{2066}\u{2028}\u{feff}\u{200b}\u{fc}\u{1f600}";

    #[test]
    fn everything_but_printable_ascii_is_escaped() {
        assert_eq!(
            printable(HOSTILE),
            "\\u{0}\\u{a}\\u{1b}\\u{7f}\\u{85}\\u{9b}\\u{202e}\\u{2066}\\u{2028}\\u{feff}\\u{200b}\\u{fc}\\u{1f600}"
        );
        let ascii: String = (' '..='~').collect();
        assert_eq!(printable(&ascii), ascii);
    }

    #[test]
    fn line_ends_stay_in_text_of_several_lines() {
        assert_eq!(printable_lines("a\nb\r\u{2028}c"), "a\nb\\u{d}\\u{2028}c");
    }

    #[test]
    fn a_json_parser_gives_the_original_back() {
        let value = Value::from(HOSTILE);
        let line = printable_json(&value.to_string());
        assert!(line.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{line}");
        assert!(line.contains(r"\u007f\u0085\u009b\u202e"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
