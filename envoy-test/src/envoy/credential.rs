//! Configures a cluster's credential injector with a rotating token file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::projected::ProjectedVolume;

use super::bootstrap::template;
use super::process::Version;
use super::setup::ApiCluster;

/// A token as Envoy finds it: a file of a volume, named by a template for an SDS file.
pub(super) struct Credential<'a> {
    pub(super) volume: &'a ProjectedVolume,
    pub(super) file: &'a str,
    pub(super) sds: &'static str,
}

/// Mounts an API server's CA and the token for it under `folder`, and points the cluster to them.
pub(super) fn install(
    cluster: &mut Value,
    api_server: &ApiCluster,
    version: Version,
    folder: &Path,
) -> Result<ProjectedVolume> {
    let mut files = vec![("ca.crt", api_server.ca_pem.as_str())];
    files.extend(api_server.token.as_deref().map(|token| ("token", token)));
    let volume =
        ProjectedVolume::create(folder.join(format!("{}-credential", api_server.name)), &files)?;
    trust(cluster, &volume.file("ca.crt"));
    let credential = Credential { volume: &volume, file: "token", sds: SDS };
    inject(cluster, &credential, version, folder)?;
    Ok(volume)
}

/// Names the CA of a cluster's servers.
pub(super) fn trust(cluster: &mut Value, ca: &Path) {
    let tls = &mut cluster["transport_socket"]["typed_config"]["common_tls_context"];
    tls["validation_context"]["trusted_ca"]["filename"] = json!(ca);
}

/// Points the cluster's injector to the token.
pub(super) fn inject(
    cluster: &mut Value,
    credential: &Credential<'_>,
    version: Version,
    folder: &Path,
) -> Result<()> {
    let mut sds = template(credential.sds)?;
    sds["resources"][0]["generic_secret"]["secret"]["filename"] =
        json!(credential.volume.file(credential.file));
    let name = cluster["name"].as_str().context("the cluster has a name")?;
    let sds_file = folder.join(format!("{name}-token.json"));
    fs::write(&sds_file, sds.to_string())?;

    let filters = cluster
        .pointer_mut(UPSTREAM_FILTERS)
        .and_then(Value::as_array_mut)
        .context("the template's cluster has upstream filters")?;
    let injector = &mut filters[0]["typed_config"]["credential"]["typed_config"];
    injector["credential"]["sds_config"]["path_config_source"] = json!({
        "path": sds_file,
        "watched_directory": { "path": credential.volume.path() },
    });
    if version < VALUE_PREFIX_SINCE && injector["header_value_prefix"].is_string() {
        injector["header"] = json!("x-api-token");
        injector.as_object_mut().map(|injector| injector.remove("header_value_prefix"));
        filters.insert(1, template(WITHOUT_VALUE_PREFIX)?);
    }
    Ok(())
}

const UPSTREAM_FILTERS: &str = "/typed_extension_protocol_options/\
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
const SDS: &str = include_str!("../../kube-apiserver-token.yaml");
const WITHOUT_VALUE_PREFIX: &str = include_str!("../../without-value-prefix.yaml");
const VALUE_PREFIX_SINCE: Version = Version(1, 37);
