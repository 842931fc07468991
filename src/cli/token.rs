//! Reading of token files.

use super::{Failure, input};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, Write};
use std::path::Path;

/// Reads a token, without line ends after it. Error messages do not contain the token. `Bearer ` before the token and
/// base64 around it are removed, with a note on stderr.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = input::read(file)?;
    let (token, removed) = unwrapped(&bytes);
    for what in removed {
        // Errors are ignored; there is nowhere to report them.
        let _ = writeln!(io::stderr(), "note: {}: removed {what}", input::name(file));
    }
    Ok(token)
}

/// The token, and what was around it.
fn unwrapped(bytes: &[u8]) -> (Vec<u8>, Vec<&'static str>) {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    let mut token = bytes.get(..end).unwrap_or_default();
    let mut removed = Vec::new();
    for (prefix, what) in [(&b"authorization:"[..], "`Authorization:`"), (b"bearer ", "`Bearer `")]
    {
        let begin = token.get(..prefix.len()).unwrap_or_default();
        if begin.eq_ignore_ascii_case(prefix) {
            token = token.get(prefix.len()..).unwrap_or_default().trim_ascii_start();
            removed.push(what);
        }
    }
    // `kubectl get secret -o jsonpath={.data.token}` prints base64.
    let plain: Vec<u8> = token.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !token.contains(&b'.')
        && let Ok(decoded) = STANDARD.decode(plain)
        && decoded.starts_with(b"eyJ")
        && decoded.iter().filter(|byte| **byte == b'.').count() == 2
    {
        removed.push("the base64 around the token");
        return (decoded.trim_ascii_end().to_vec(), removed);
    }
    (token.to_vec(), removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_around_a_token_is_removed() {
        let wrapped = STANDARD.encode("eyJh.eyJi.c\n");
        for (text, token, removed) in [
            ("eyJh.eyJi.c\r\n", "eyJh.eyJi.c", vec![]),
            ("Bearer eyJh.eyJi.c\n", "eyJh.eyJi.c", vec!["`Bearer `"]),
            ("Authorization: bearer a.b.c", "a.b.c", vec!["`Authorization:`", "`Bearer `"]),
            (wrapped.as_str(), "eyJh.eyJi.c", vec!["the base64 around the token"]),
            (" a.b.c", " a.b.c", vec![]),
            ("YWJj", "YWJj", vec![]),
            ("", "", vec![]),
        ] {
            assert_eq!(unwrapped(text.as_bytes()), (token.as_bytes().to_vec(), removed), "{text}");
        }
    }
}
