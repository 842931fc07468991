//! The image of `cargo xtask image`: its contents, reproducibility, and the module in Envoy.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use envoy_test::envoy::default_module;
use envoy_test::{ApiServer, ApiServerOptions, EnvoySetup, Request, Token, Upstream};
use flate2::read::GzDecoder;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use serde_json::json;
use sha2::{Digest, Sha256};

/// What the command says and makes of the release module.
fn image(folder: &Path) -> Result<String> {
    let command = Command::new(env!("CARGO_BIN_EXE_image"))
        .arg("--module")
        .arg(default_module())
        .arg("--output")
        .arg(folder)
        .output()?;
    ensure!(command.status.success(), "{}", String::from_utf8_lossy(&command.stderr));
    Ok(String::from_utf8(command.stdout)?)
}

/// A blob, if it is what its descriptor says.
fn blob(folder: &Path, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let digest = descriptor.as_digest_sha256().context("a sha256")?;
    let bytes = fs::read(folder.join("blobs/sha256").join(digest))?;
    assert_eq!(hex(&bytes), digest);
    assert_eq!(u64::try_from(bytes.len())?, descriptor.size());
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The manifest by the tag, as a registry finds it.
fn manifest(folder: &Path) -> Result<ImageManifest> {
    let index = ImageIndex::from_file(folder.join("index.json"))?;
    let [entry] = index.manifests().as_slice() else { panic!("{index:?}") };
    let tag = entry.annotations().as_ref().and_then(|all| all.get(REF_NAME));
    assert_eq!(tag.map(String::as_str), Some(env!("CARGO_PKG_VERSION")));
    Ok(ImageManifest::from_reader(blob(folder, entry)?.as_slice())?)
}

/// What Istio loads (`extractOCIStandardImage` of istio/istio, `pkg/wasm/imagefetcher.go`): of the last layer, which
/// must be tar+gzip, the first file whose base name is `plugin.wasm`.
fn as_istio_finds_it(folder: &Path) -> Result<Vec<u8>> {
    let manifest = manifest(folder)?;
    let last = manifest.layers().last().context("a layer")?;
    ensure!(last.media_type() == &MediaType::ImageLayerGzip, "{last:?}");
    let layer = blob(folder, last)?;
    let mut archive = tar::Archive::new(GzDecoder::new(layer.as_slice()));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.file_name().is_some_and(|name| name == "plugin.wasm") {
            let mut module = Vec::new();
            entry.read_to_end(&mut module)?;
            return Ok(module);
        }
    }
    anyhow::bail!("plugin.wasm not found in the archive")
}

fn files(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push((path.clone(), fs::read(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

#[tokio::test]
async fn module_from_the_image_runs_in_envoy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    image(&folder.path().join("image"))?;
    let module = as_istio_finds_it(&folder.path().join("image"))?;
    assert_eq!(hex(&module), hex(&fs::read(default_module())?));

    let plugin = folder.path().join("plugin.wasm");
    fs::write(&plugin, module)?;
    let api_server = ApiServer::start(ApiServerOptions::default()).await?;
    let upstream = Upstream::start().await?;
    let setup = EnvoySetup::new().api_server(&api_server).upstream(&upstream);
    let envoy = setup.module(plugin).start().await?;
    let token = api_server.mint(Token::for_service_account("api", "api"));
    let allowed = Request::get("/secrets/1").bearer(&token).send(envoy.port()).await?;
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    let refused = Request::get("/secrets/1").send(envoy.port()).await?;
    assert_eq!(refused.reason().as_deref(), Some("missing_token"));
    Ok(())
}

#[test]
fn layer_contains_only_the_module() -> Result<()> {
    let folder = tempfile::tempdir()?;
    image(folder.path())?;
    let manifest = manifest(folder.path())?;
    let [layer] = manifest.layers().as_slice() else { panic!("{manifest:?}") };
    let mut tar = Vec::new();
    let gzip = blob(folder.path(), layer)?;
    GzDecoder::new(gzip.as_slice()).read_to_end(&mut tar)?;
    let mut archive = tar::Archive::new(tar.as_slice());
    let facts: Vec<_> = archive
        .entries()?
        .map(|entry| {
            let entry = entry?;
            let (path, header) = (entry.path()?.into_owned(), entry.header());
            Ok((path, header.mode()?, header.uid()?, header.gid()?, header.mtime()?))
        })
        .collect::<Result<_>>()?;
    assert_eq!(facts, [(PathBuf::from("plugin.wasm"), 0o644, 0, 0, 0)]);

    let config =
        ImageConfiguration::from_reader(blob(folder.path(), manifest.config())?.as_slice())?;
    assert_eq!(config.rootfs().diff_ids(), &[format!("sha256:{}", hex(&tar))]);
    assert_eq!(
        serde_json::to_value(manifest.annotations())?,
        json!({
            "org.opencontainers.image.title": "sa-authn",
            "org.opencontainers.image.description":
                "Authenticates service-to-service requests by Kubernetes ServiceAccount tokens, inside Envoy",
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.licenses": "Apache-2.0",
        })
    );
    Ok(())
}

#[test]
fn image_is_reproducible_and_its_digest_is_printed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let told = image(&one)?;
    image(&other)?;
    let inside = |folder: &Path| -> Result<Vec<_>> {
        let relative = |(path, bytes): (PathBuf, _)| Ok((path.strip_prefix(folder)?.into(), bytes));
        files(folder)?.into_iter().map(relative).collect::<Result<Vec<(PathBuf, Vec<u8>)>>>()
    };
    assert_eq!(inside(&one)?, inside(&other)?);
    assert_eq!(inside(&one)?.len(), 5, "two documents, and three blobs");

    // A second time into the same folder leaves nothing of the first.
    fs::write(one.join("blobs/sha256/old"), "old")?;
    assert_eq!(image(&one)?, told);
    assert_eq!(inside(&one)?, inside(&other)?);

    let index = ImageIndex::from_file(one.join("index.json"))?;
    let digest = index.manifests().first().context("a manifest")?.digest().to_string();
    assert!(told.contains(&format!("image   {digest}\n")), "{told}");
    assert!(
        told.contains(&format!("module  sha256:{}", hex(&fs::read(default_module())?))),
        "{told}"
    );
    Ok(())
}

const REF_NAME: &str = "org.opencontainers.image.ref.name";
