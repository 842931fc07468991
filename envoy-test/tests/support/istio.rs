//! The manifests of istio/ and install/, as data.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The path below istio/.
    pub file: String,
    /// The contents.
    pub value: Value,
}

// === impl Document ===

impl Document {
    pub fn kind(&self) -> &str {
        text(&self.value["kind"])
    }

    pub fn name(&self) -> &str {
        text(&self.value["metadata"]["name"])
    }

    pub fn namespace(&self) -> &str {
        text(&self.value["metadata"]["namespace"])
    }

    /// For messages: `gateway.yaml: Gateway ingress/shop`.
    pub fn whereabouts(&self) -> String {
        format!("{}: {} {}/{}", self.file, self.kind(), self.namespace(), self.name())
    }

    /// A YAML document in a ConfigMap.
    pub fn inner(&self, key: &str) -> Result<Value> {
        let inner = self.value["data"][key].as_str();
        let inner = inner.with_context(|| format!("{} has no {key}", self.whereabouts()))?;
        serde_saphyr::from_str(inner).with_context(|| format!("{}, {key}", self.whereabouts()))
    }
}

/// Every document of every file.
pub fn documents() -> Result<Vec<Document>> {
    documents_of(&folder(), &files(&folder())?)
}

/// The documents that are rendered from the chart: those of install/kustomize.
pub fn rendered() -> Result<Vec<Document>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../install/kustomize");
    let mut files = files(&folder)?;
    files.retain(|path| !path.ends_with("kustomization.yaml") && !path.ends_with("values.yaml"));
    documents_of(&folder, &files)
}

/// The documents of a kind.
pub fn of_kind<'d>(documents: &'d [Document], kind: &str) -> Vec<&'d Document> {
    documents.iter().filter(|document| document.kind() == kind).collect()
}

/// The one document of this kind in this file.
pub fn one(file: &str, kind: &str) -> Result<Document> {
    let found = documents()?
        .into_iter()
        .filter(|document| document.file == file && document.kind() == kind);
    let [document] = found
        .collect::<Vec<_>>()
        .try_into()
        .ok()
        .with_context(|| format!("one {kind} in {file}"))?;
    Ok(document)
}

/// The additional bootstrap of a ConfigMap.
pub fn bootstrap(document: &Document) -> Result<Option<Value>> {
    let has_one = document.kind() == "ConfigMap" && document.value["data"][BOOTSTRAP].is_string();
    has_one.then(|| document.inner(BOOTSTRAP)).transpose()
}

/// The ConfigMap with the bootstrap in the file for this kind of proxy.
pub fn bootstrap_map(proxy: &str) -> Result<Document> {
    let file = format!("api-server-{proxy}.yaml");
    let is_it = |document: &Document| document.file == file && document.name() == "sa-authn";
    documents()?.into_iter().find(is_it).context(file)
}

/// The name that the annotation `sidecar.istio.io/bootstrapOverride` requires.
pub const BOOTSTRAP: &str = "custom_bootstrap.json";

/// The text, or an empty one.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list, or none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

// === private ===

fn documents_of(folder: &Path, files: &[PathBuf]) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for path in files {
        let text = fs::read_to_string(path)?;
        let file = path.strip_prefix(folder)?.display().to_string();
        let values: Vec<Value> =
            serde_saphyr::from_multiple(&text).with_context(|| file.clone())?;
        documents.extend(values.into_iter().map(|value| Document { file: file.clone(), value }));
    }
    Ok(documents)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../istio")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}
