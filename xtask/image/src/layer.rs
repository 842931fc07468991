//! The reproducible tar archive of a module, plain and compressed.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// The archive that a registry keeps compressed.
pub struct Layer {
    /// As it is: the image's configuration names its digest.
    pub tar: Vec<u8>,
    /// As a registry has it.
    pub gzip: Vec<u8>,
}

/// Makes the layer.
pub fn layer(module: &[u8]) -> io::Result<Layer> {
    let tar = archive(module)?;
    // No file name, no time: both would be this machine's.
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(&tar)?;
    Ok(Layer { tar, gzip: gzip.finish()? })
}

fn archive(module: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(module.len().try_into().map_err(io::Error::other)?);
    // Readable for every user, without an owner or a time, so that the bytes are reproducible.
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut archive = Builder::new(Vec::new());
    // Names in a layer are relative to the root.
    archive.append_data(&mut header, MODULE, module)?;
    archive.into_inner()
}

/// The name by which Istio finds it.
const MODULE: &str = "plugin.wasm";
