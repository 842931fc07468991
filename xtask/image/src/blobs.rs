//! Writes blobs to files named by their digest, and returns descriptors.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The folder `blobs/sha256` of a layout.
pub struct Blobs(PathBuf);

// === impl Blobs ===

impl Blobs {
    /// Makes the folder.
    pub fn create(layout: &Path) -> Result<Self> {
        let folder = layout.join("blobs/sha256");
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Writes what is pointed to.
    pub fn put(&self, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
        let digest = sha256(bytes);
        fs::write(self.0.join(&digest), bytes)?;
        Ok(Descriptor::new(media_type, bytes.len().try_into()?, Sha256Digest::from_str(&digest)?))
    }

    /// Writes a document.
    pub fn put_json(&self, media_type: MediaType, document: &impl Serialize) -> Result<Descriptor> {
        self.put(media_type, &json(document)?)
    }
}

/// The same document gives the same bytes: the library keeps annotations in no order.
pub fn json(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut value = serde_json::to_value(document)?;
    value.sort_all_objects();
    Ok(serde_json::to_vec(&value)?)
}

/// The digest in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
