//! A file -> the token in it, without the line end behind it.

use super::{Failure, input};
use std::path::Path;

/// Reads it; a token is never a part of an error's text.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = input::read(file)?;
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    Ok(bytes.get(..end).unwrap_or_default().to_vec())
}
