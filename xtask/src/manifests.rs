//! `cargo xtask manifests`: renders the manifests of install/kustomize from the chart in install/chart.
//!
//! Each overlay is a folder with a values.yaml, which is the only file there that is written by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use programs::go::GoProgram;
use xtask::{process, repository};

/// The subcommand.
pub fn command() -> clap::Command {
    clap::Command::new("manifests").about(
        "Render install/kustomize from the chart in install/chart; needs Go, which builds Helm",
    )
}

/// Renders the base, the overlays and the admission policy.
pub fn run() -> Result<()> {
    let install = repository::root().join("install");
    let (chart, kustomize) = (install.join("chart"), install.join("kustomize"));
    for (reader, file) in
        [("helm-values", "values.schema.json"), ("admission-policy", "files/admission-policy.yaml")]
    {
        let mut schema = repository::cargo("run");
        schema.args(["--quiet", "--bin", "sa-authn", "--", "schema", "--for", reader]);
        fs::write(chart.join(file), process::output(&mut schema)? + "\n")?;
    }
    let policy = fs::read_to_string(chart.join("files/admission-policy.yaml"))?;
    write(
        &kustomize.join("admission-policy"),
        &[("admission-policy.yaml".to_owned(), policy)],
        "",
    )?;
    let mut overlays = fs::read_dir(kustomize.join("overlays"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    overlays.sort();
    let helm = GoProgram::HELM
        .program()?
        .context("helm is built from its Go module, and there is no go")?;
    for overlay in overlays {
        let values = [kustomize.join("values.yaml"), overlay.join("values.yaml")];
        let rendered = render(&helm, &chart, &values)?;
        let mut own = Vec::new();
        for (name, text) in rendered {
            match name.as_str() {
                "bootstrap.yaml" => write(&kustomize.join("base"), &[(name, text)], "")?,
                "test.yaml" => write(&kustomize.join("verify"), &[(name, text)], "")?,
                _ => own.push((name, text)),
            }
        }
        write(&overlay, &own, "- ../../base\n")?;
    }
    Ok(())
}

/// The files that the chart's templates render, without the comments that Helm adds.
fn render(helm: &Path, chart: &Path, values: &[PathBuf]) -> Result<Vec<(String, String)>> {
    let folder = repository::target().join("manifests");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut template = Command::new(helm);
    template.arg("template").args(["sa-authn".as_ref(), chart]);
    for file in values {
        template.arg("--values").arg(file);
    }
    template.args(["--namespace", NAMESPACE, "--output-dir"]).arg(&folder);
    process::output(&mut template)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.join("sa-authn/templates"))? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())?;
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("# Source: ")).collect();
        let text = kept.join("\n").trim_start_matches("---\n").to_owned() + "\n";
        files.push((entry.file_name().to_string_lossy().into_owned(), text));
    }
    files.sort();
    Ok(files)
}

/// Writes the files and a kustomization that lists them.
fn write(folder: &Path, files: &[(String, String)], bases: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut list = GENERATED.to_owned() + bases;
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
        list += &format!("- {name}\n");
    }
    Ok(fs::write(folder.join("kustomization.yaml"), list)?)
}

/// The namespace of the example. The `namespace` of a kustomization replaces it.
const NAMESPACE: &str = "secrets";

const GENERATED: &str = "# Generated from install/chart: cargo xtask manifests
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
";
