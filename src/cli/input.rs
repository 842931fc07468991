//! A file's name, or `-` for stdin -> its text.

use super::{Failure, terminal};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Reads a file whole; `-` is stdin.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let outcome = if is_stdin(file) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    outcome.map_err(|error| unreadable(file, &error))
}

/// The same for what must be UTF-8.
pub fn read_text(file: &Path) -> Result<String, Failure> {
    let not_text = |_| Failure(format!("{}: not UTF-8", name(file)));
    String::from_utf8(read(file)?).map_err(not_text)
}

/// How messages call a file.
pub fn name(file: &Path) -> String {
    if is_stdin(file) { "<stdin>".to_owned() } else { file.display().to_string() }
}

/// Some give the token itself, as in `inspect "$(cat token)"`: it must not be printed.
fn unreadable(file: &Path, error: &io::Error) -> Failure {
    if is_stdin(file) {
        return Failure(format!("{}: {error}", name(file)));
    }
    match terminal::has_token(&file.to_string_lossy()) {
        true => Failure(TOKEN.to_owned()),
        false => Failure(format!("{}: {error}", terminal::shortened(file))),
    }
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

const TOKEN: &str = "FILE looks like a token, and must be a file: write the token to a file, or give it on stdin as `-`";
