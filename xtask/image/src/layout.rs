//! Writes a module as an OCI image layout (image-spec, `image-layout.md`).

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REF_NAME, ANNOTATION_TITLE,
    ANNOTATION_VERSION, Arch, Descriptor, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, RootFsBuilder, SCHEMA_VERSION,
};

use super::blobs::{Blobs, json, sha256};
use super::layer::{Layer, layer};

/// Where a layout's parts are.
pub struct Image {
    /// What a registry names the image by.
    pub manifest: Descriptor,
    /// The one layer.
    pub layer: Descriptor,
}

/// The image's tag.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes a layout with this module in place of what is in the folder.
pub fn write(module: &[u8], folder: &Path) -> Result<Image> {
    // Renamed when complete, so that a partial image is never pushed.
    let partial = folder.with_extension("partial");
    empty(&partial)?;
    let image = write_into(&partial, &layer(module)?)?;
    empty(folder)?;
    fs::rename(&partial, folder)?;
    Ok(image)
}

fn write_into(folder: &Path, content: &Layer) -> Result<Image> {
    let blobs = Blobs::create(folder)?;
    let layer = blobs.put(MediaType::ImageLayerGzip, &content.gzip)?;
    let config = blobs.put_json(MediaType::ImageConfig, &configuration(content)?)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(vec![layer.clone()])
        .annotations(annotations())
        .build()?;
    let manifest = blobs.put_json(MediaType::ImageManifest, &manifest)?;
    let mut entry = manifest.clone();
    entry.set_annotations(Some(HashMap::from([(ANNOTATION_REF_NAME.into(), VERSION.into())])));
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(vec![entry])
        .build()?;
    fs::write(folder.join("index.json"), json(&index)?)?;
    let version = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;
    fs::write(folder.join("oci-layout"), json(&version)?)?;
    Ok(Image { manifest, layer })
}

/// What a container runtime would read; Istio does not.
fn configuration(content: &Layer) -> Result<oci_spec::image::ImageConfiguration> {
    let files = RootFsBuilder::default()
        .typ("layers")
        .diff_ids(vec![format!("sha256:{}", sha256(&content.tar))])
        .build()?;
    ImageConfigurationBuilder::default()
        .architecture(Arch::Wasm)
        .os(Os::Other("wasip1".to_owned()))
        .rootfs(files)
        .build()
        .context("the image's configuration")
}

fn annotations() -> HashMap<String, String> {
    [
        (ANNOTATION_TITLE, "sa-authn"),
        (ANNOTATION_DESCRIPTION, DESCRIPTION),
        (ANNOTATION_VERSION, VERSION),
        (ANNOTATION_LICENSES, env!("CARGO_PKG_LICENSE")),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

const DESCRIPTION: &str =
    "Authenticates service-to-service requests by Kubernetes ServiceAccount tokens, inside Envoy";
