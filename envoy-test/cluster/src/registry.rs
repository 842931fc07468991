//! Pushes the module's image to the registry.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::variable;

/// An image in the registry, by the address that the proxies use.
#[derive(Clone, Debug)]
pub struct Image {
    /// `oci://REGISTRY/sa-authn@sha256:...`
    pub url: String,
}

// === impl Image ===

impl Image {
    /// Pushes one of the two layouts, `1` or `2`. They have the same code and different digests.
    pub fn push(layout: &str) -> Result<Self> {
        let folder = format!("{}/{layout}", variable("CLUSTER_IMAGES")?);
        let tag = fs::read_to_string(format!("{folder}/index.json")).context(folder.clone())?;
        let index: serde_json::Value = serde_json::from_str(&tag)?;
        let manifest = &index["manifests"][0];
        let digest = manifest["digest"].as_str().context("a digest")?;
        let version = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str();
        let from = format!("oci:{folder}:{}", version.context("a tag")?);
        let to = format!("docker://{}/sa-authn:test-{layout}", variable("CLUSTER_REGISTRY")?);
        let mut push = Command::new("skopeo");
        push.args(["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", &from, &to]);
        let output = push.output().context("skopeo cannot be started")?;
        ensure!(
            output.status.success(),
            "{push:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let registry = variable("CLUSTER_PULL_REGISTRY")?;
        Ok(Self { url: format!("oci://{registry}/sa-authn@{digest}") })
    }

    /// The repository without a scheme, and the digest.
    pub fn parts(&self) -> Result<(&str, &str)> {
        let reference = self.url.strip_prefix("oci://").context("a URL of an image")?;
        reference.split_once('@').context("a digest")
    }

    /// A digest that the registry does not have.
    pub fn missing() -> Result<Self> {
        let registry = variable("CLUSTER_PULL_REGISTRY")?;
        Ok(Self { url: format!("oci://{registry}/sa-authn@sha256:{}", "0".repeat(64)) })
    }

    /// A registry to which nothing connects.
    pub fn without_registry() -> Self {
        Self { url: format!("oci://127.0.0.1:1/sa-authn@sha256:{}", "1".repeat(64)) }
    }
}
