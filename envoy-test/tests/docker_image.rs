//! The module in the image that Docker builds, as Istio finds it.

use std::fs;
use std::path::Path;
use std::process::{self, Command};

use crate::support::docker;
use anyhow::{Context, Result};
use serde_json::{Value, json};

#[test]
fn last_layer_of_the_docker_image_is_the_module() -> Result<()> {
    if !docker::answers("Dockerfile")? {
        return Ok(());
    }
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let image = docker::build(root, &format!("sa-authn-test-{}", process::id()))?;
    let folder = tempfile::tempdir()?;
    let saved = folder.path().join("image.tar");
    docker::output(Command::new("docker").args(["save", "--output"]).arg(&saved).arg(&image.0))?;
    unpack(&saved, folder.path())?;

    let manifest: Value = serde_json::from_slice(&fs::read(folder.path().join("manifest.json"))?)?;
    let layers = manifest[0]["Layers"].as_array().context("layers")?;
    assert_eq!(layers.len(), 1);
    let layer = folder.path().join(layers[0].as_str().context("a name")?);
    let listed = docker::output(Command::new("tar").arg("--list").arg("--file").arg(&layer))?;
    assert_eq!(listed, "plugin.wasm\n");
    unpack(&layer, folder.path())?;
    let module = fs::read(folder.path().join("plugin.wasm"))?;
    // Not SA_AUTHN_MODULE: the Dockerfile names the file.
    assert_eq!(module, fs::read(root.join("target/sa_authn.wasm"))?);

    let config = manifest[0]["Config"].as_str().context("a configuration")?;
    let config: Value = serde_json::from_slice(&fs::read(folder.path().join(config))?)?;
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(1));
    assert_eq!(config["rootfs"]["type"], json!("layers"));
    Ok(())
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    docker::output(tar.arg("--extract").arg("--file").arg(archive).arg("--directory").arg(folder))?;
    Ok(())
}
