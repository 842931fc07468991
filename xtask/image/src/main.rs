//! `cargo xtask image`: writes the module as an OCI image layout, without a daemon.
//!
//! It is the "compat" form of Wasm images, the one that Istio and Envoy Gateway take from any registry: a single layer
//! of type tar+gzip with `/plugin.wasm` (istio/istio, `pkg/wasm/imagefetcher.go`). The same module gives the same bytes.

mod blobs;
mod layer;
mod layout;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use clap::Parser;
use xtask::toolchain::{Source, Toolchain};
use xtask::{repository, wasm};

use layout::Image;

/// What to make an image of, and where to.
#[derive(Parser)]
#[command(name = "cargo xtask image", bin_name = "cargo xtask image")]
struct Options {
    /// A module that is built already; without it, it is built first
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,

    /// The folder of the layout; what is in it is replaced
    #[arg(long, value_name = "FOLDER", default_value = "target/image")]
    output: PathBuf,

    /// Where the wasm32-wasip1 toolchain comes from; without it each source is tried in this order
    #[arg(long, value_name = "SOURCE", env = "SA_AUTHN_WASM_TOOLCHAIN")]
    toolchain: Option<Source>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the image, and prints its name and the commands that push it to a registry.
fn run(options: &Options) -> Result<()> {
    let path = match &options.module {
        Some(path) => path.clone(),
        None => wasm::build(&Toolchain::find(options.toolchain)?)?,
    };
    let module = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    // Without --output it is the same folder wherever the command was started.
    let folder = match &options.output {
        chosen if chosen.is_absolute() => chosen.clone(),
        default => repository::root().join(default),
    };
    let image = layout::write(&module, &folder)
        .with_context(|| format!("no image in {}", folder.display()))?;
    print!("{}", told(&image, &module, &options.output));
    Ok(())
}

fn told(image: &Image, module: &[u8], folder: &Path) -> String {
    let Image { manifest, layer, .. } = image;
    let (folder, version) = (folder.display(), layout::VERSION);
    format!(
        "\
{folder}: an OCI image of one layer, with /plugin.wasm

image   {manifest_digest}
layer   {layer_digest}  {layer_size} bytes
module  sha256:{module_digest}  {module_size} bytes

To push it, with any of these (they are not run here; put your registry for REGISTRY):
  skopeo copy --preserve-digests oci:{folder}:{version} docker://REGISTRY/sa-authn:{version}
  crane push {folder} REGISTRY/sa-authn:{version}
  oras cp --from-oci-layout {folder}:{version} REGISTRY/sa-authn:{version}

Istio's url is then: oci://REGISTRY/sa-authn@{manifest_digest}
",
        manifest_digest = manifest.digest(),
        layer_digest = layer.digest(),
        layer_size = layer.size(),
        module_digest = blobs::sha256(module),
        module_size = module.len(),
    )
}
