//! Reading of files and stdin (`-`).

use super::{Failure, terminal};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Reads a file, or stdin for `-`.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let outcome = if is_stdin(file) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    outcome.map_err(|error| unreadable(file, &error))
}

/// Reads a file that must be UTF-8.
pub fn read_text(file: &Path) -> Result<String, Failure> {
    let not_text = |_| Failure(format!("{}: not UTF-8", name(file)));
    String::from_utf8(read(file)?).map_err(not_text)
}

/// The name of a file in messages.
pub fn name(file: &Path) -> String {
    if is_stdin(file) { "<stdin>".to_owned() } else { file.display().to_string() }
}

/// The error for a file that cannot be read. Does not print a token that was passed in place of a file, as in
/// `inspect "$(cat token)"`.
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

const TOKEN: &str = "FILE looks like a token, expected a file name; write the token to a file, or \
                     pass it on stdin with `-`";
