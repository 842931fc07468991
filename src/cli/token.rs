//! Reading of token files.

use super::{Failure, input};
use std::path::Path;

/// Reads a token, without line ends after it. Error messages do not contain the token.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = input::read(file)?;
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    Ok(bytes.get(..end).unwrap_or_default().to_vec())
}
