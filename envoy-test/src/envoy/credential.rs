//! A cluster and an API server's CA and token come in; the cluster gets TLS and a credential that rotates.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::projected::ProjectedVolume;

use super::bootstrap::template;
use super::process::Version;
use super::setup::ApiCluster;

/// Mounts the credential under `folder`, and points the cluster to it.
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
    let tls = &mut cluster["transport_socket"]["typed_config"]["common_tls_context"];
    tls["validation_context"]["trusted_ca"]["filename"] = json!(volume.file("ca.crt"));

    let mut sds = template(SDS)?;
    sds["resources"][0]["generic_secret"]["secret"]["filename"] = json!(volume.file("token"));
    let sds_file = folder.join(format!("{}-token.json", api_server.name));
    fs::write(&sds_file, sds.to_string())?;

    let filters = cluster
        .pointer_mut(UPSTREAM_FILTERS)
        .and_then(Value::as_array_mut)
        .context("the template's cluster has upstream filters")?;
    let injector = &mut filters[0]["typed_config"]["credential"]["typed_config"];
    injector["credential"]["sds_config"]["path_config_source"] = json!({
        "path": sds_file,
        "watched_directory": { "path": volume.path() },
    });
    if version < VALUE_PREFIX_SINCE {
        injector["header"] = json!("x-api-token");
        injector.as_object_mut().map(|injector| injector.remove("header_value_prefix"));
        filters.insert(1, template(WITHOUT_VALUE_PREFIX)?);
    }
    Ok(volume)
}

const UPSTREAM_FILTERS: &str = "/typed_extension_protocol_options/\
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
const SDS: &str = include_str!("../../kube-apiserver-token.yaml");
const WITHOUT_VALUE_PREFIX: &str = include_str!("../../without-value-prefix.yaml");
const VALUE_PREFIX_SINCE: Version = Version(1, 37);
