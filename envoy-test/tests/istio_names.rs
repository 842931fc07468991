//! Every name in the manifests of istio/ is defined by another manifest, Istio or Kubernetes.

use std::collections::BTreeMap;

use crate::support::istio::{Document, bootstrap, documents, list, of_kind, rendered, text};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A mounted volume: its path and its files.
type Mounts = BTreeMap<String, Vec<String>>;

/// The defined names, and the missing ones.
struct Names {
    documents: Vec<Document>,
    missing: Vec<String>,
    looked_up: usize,
}

impl Names {
    fn read() -> Result<Self> {
        Ok(Self { documents: documents()?, missing: Vec::new(), looked_up: 0 })
    }

    fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Document> {
        let found = of_kind(&self.documents, kind).into_iter();
        found
            .into_iter()
            .find(|document| document.name() == name && document.namespace() == namespace)
    }

    fn has(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.find(kind, namespace, name).is_some()
    }

    fn expect(&mut self, there: bool, from: &Document, what: &str) {
        self.looked_up += 1;
        if !there {
            self.missing.push(format!("{}: {what}", from.whereabouts()));
        }
    }

    /// Fails if a name is missing, or if fewer names were looked up than expected.
    fn check(&self, at_least: usize) {
        assert_eq!(self.missing, [""; 0]);
        assert!(self.looked_up >= at_least, "only {} names", self.looked_up);
    }

    /// The pod of a Deployment, or the patch of the pod that Istio creates for a Gateway.
    fn pods(&self) -> Result<Vec<(&Document, Value)>> {
        let mut pods = Vec::new();
        for document in &self.documents {
            if document.kind() == "Deployment" {
                pods.push((document, document.value["spec"]["template"].clone()));
            }
            if document.value["data"]["deployment"].is_string() {
                pods.push((document, document.inner("deployment")?["spec"]["template"].clone()));
            }
        }
        Ok(pods)
    }
}

/// Whether `labels` contains all `wanted` labels.
fn labelled(labels: &Value, wanted: &Value) -> bool {
    let Some(wanted) = wanted.as_object().filter(|wanted| !wanted.is_empty()) else { return false };
    wanted.iter().all(|(name, value)| labels[name] == *value)
}

/// The volumes of a pod, and the one that Istio adds for the annotation `bootstrapOverride`.
fn volumes(pod: &Value) -> Vec<Value> {
    let mut volumes = list(&pod["spec"]["volumes"]).to_vec();
    let annotation = &pod["metadata"]["annotations"]["sidecar.istio.io/bootstrapOverride"];
    if annotation.is_string() {
        volumes.push(json!({ "name": CUSTOM_BOOTSTRAP, "configMap": { "name": annotation } }));
    }
    volumes
}

/// The mounts of a pod's containers by volume name, including the sidecar that Istio injects.
fn mounted(pod: &Value) -> Result<Vec<(String, String)>> {
    let containers = list(&pod["spec"]["containers"]).iter();
    let of_containers = containers.flat_map(|container| list(&container["volumeMounts"]));
    let pair =
        |mount: &Value| (text(&mount["name"]).to_owned(), text(&mount["mountPath"]).to_owned());
    let mut mounted: Vec<_> = of_containers.map(pair).collect();
    let annotations = &pod["metadata"]["annotations"];
    if let Some(annotation) = annotations["sidecar.istio.io/userVolumeMount"].as_str() {
        let all: BTreeMap<String, Value> = serde_json::from_str(annotation)?;
        mounted.extend(
            all.iter().map(|(name, mount)| (name.clone(), text(&mount["mountPath"]).to_owned())),
        );
    }
    if annotations["sidecar.istio.io/bootstrapOverride"].is_string() {
        mounted.push((CUSTOM_BOOTSTRAP.to_owned(), "/etc/istio/custom-bootstrap".to_owned()));
    }
    Ok(mounted)
}

#[test]
fn namespaces_accounts_and_volumes_of_pods_exist() -> Result<()> {
    let mut names = Names::read()?;
    for document in names.documents.clone() {
        let namespace = document.namespace();
        // Created by Istio.
        if !namespace.is_empty() && namespace != "istio-system" {
            let there = names.has("Namespace", "", namespace);
            names.expect(there, &document, &format!("namespace {namespace}"));
        }
    }
    let pods: Vec<_> = names.pods()?.into_iter().map(|(from, pod)| (from.clone(), pod)).collect();
    assert!(pods.len() >= 6, "{}", pods.len());
    for (from, pod) in &pods {
        let namespace = from.namespace();
        if from.kind() == "Deployment" {
            let account = text(&pod["spec"]["serviceAccountName"]);
            let there = names.has("ServiceAccount", namespace, account);
            names.expect(there, from, &format!("service account {account}"));
        }
        let volumes = volumes(pod);
        for (volume, path) in mounted(pod)? {
            let there = volumes.iter().any(|there| there["name"] == volume.as_str());
            names.expect(there, from, &format!("volume {volume} at {path}"));
        }
        for source in volumes.iter().flat_map(sources) {
            let Some(map) = source["configMap"]["name"].as_str() else { continue };
            // Kubernetes creates it in every namespace.
            let there = map == "kube-root-ca.crt" || names.has("ConfigMap", namespace, map);
            names.expect(there, from, &format!("ConfigMap {map}"));
        }
    }
    names.check(40);
    Ok(())
}

/// The sources of a volume: itself, or those of a projected volume.
fn sources(volume: &Value) -> Vec<&Value> {
    match list(&volume["projected"]["sources"]) {
        [] => vec![volume],
        sources => sources.iter().collect(),
    }
}

#[test]
fn selectors_and_references_have_targets() -> Result<()> {
    let mut names = Names::read()?;
    for document in names.documents.clone() {
        let (namespace, spec) = (document.namespace(), &document.value["spec"]);
        let selectors = [
            &spec["selector"]["matchLabels"],
            &spec["workloadSelector"]["labels"],
            if document.kind() == "Service" { &spec["selector"] } else { &Value::Null },
        ];
        for selector in selectors.into_iter().filter(|selector| selector.is_object()) {
            let there = selected(&names, namespace, selector);
            names.expect(there, &document, &format!("pods with {selector}"));
        }
        for reference in list(&spec["targetRefs"]) {
            let there = names.has(text(&reference["kind"]), namespace, text(&reference["name"]));
            names.expect(there, &document, &format!("{reference}"));
        }
        let parameters = &spec["infrastructure"]["parametersRef"];
        if parameters.is_object() {
            let map = names.find(text(&parameters["kind"]), namespace, text(&parameters["name"]));
            let there = map.is_some_and(|map| map.value["data"]["deployment"].is_string());
            names.expect(there, &document, &format!("{parameters}"));
        }
        if document.kind() == "ClusterRoleBinding" {
            let role = text(&document.value["roleRef"]["name"]);
            let there = role.starts_with("system:") || names.has("ClusterRole", "", role);
            names.expect(there, &document, &format!("ClusterRole {role}"));
            for subject in list(&document.value["subjects"]) {
                let (namespace, name) = (text(&subject["namespace"]), text(&subject["name"]));
                let there = names.has(text(&subject["kind"]), namespace, name);
                names.expect(there, &document, &format!("{subject}"));
            }
        }
    }
    names.check(20);
    Ok(())
}

fn selected(names: &Names, namespace: &str, selector: &Value) -> bool {
    let gateway = selector["gateway.networking.k8s.io/gateway-name"].as_str();
    if let Some(gateway) = gateway {
        return names.has("Gateway", namespace, gateway);
    }
    let deployments = of_kind(&names.documents, "Deployment").into_iter();
    deployments.filter(|deployment| deployment.namespace() == namespace).any(|deployment| {
        labelled(&deployment.value["spec"]["template"]["metadata"]["labels"], selector)
    })
}

#[test]
fn clusters_called_by_plugins_exist_with_their_files() -> Result<()> {
    let mut names = Names::read()?;
    let mut clusters = BTreeMap::new();
    for document in &names.documents {
        if let Some(bootstrap) = bootstrap(document)? {
            let cluster = bootstrap["static_resources"]["clusters"][0].clone();
            clusters.insert(document.namespace().to_owned(), (document.clone(), cluster));
        }
    }
    assert_eq!(clusters.len(), 3);
    for document in names.documents.clone() {
        for config in [
            &document.value["spec"]["pluginConfig"],
            &document.value["spec"]["wasm"]["pluginConfig"],
        ] {
            for cluster in called(config) {
                let added = clusters.get(document.namespace());
                let there = added.is_some_and(|(_, added)| added["name"] == cluster);
                names.expect(there, &document, &format!("cluster {cluster}"));
            }
        }
    }
    for (namespace, (document, cluster)) in &clusters {
        let mounts = mounts(&names, namespace)?;
        let files = paths(cluster);
        assert_eq!(files.len(), 3, "{files:?}");
        for path in files {
            names.expect(holds(&mounts, &path), document, &path);
        }
        let sds = document.inner("kube-apiserver-token.yaml")?;
        let token = text(&sds["resources"][0]["generic_secret"]["secret"]["filename"]);
        names.expect(holds(&mounts, token), document, token);
    }
    names.check(6 + 3 * 4);
    Ok(())
}

/// The clusters that a plugin's configuration names.
fn called(config: &Value) -> Vec<String> {
    let issuers = list(&config["issuers"]).iter();
    let places = issuers.flat_map(|issuer| {
        let keys = &issuer["keys"];
        [&keys["discovery"]["cluster"], &keys["jwks"]["cluster"], &issuer["tokenReview"]["cluster"]]
    });
    places.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The mounted files of the proxies in a namespace with a plugin.
fn mounts(names: &Names, namespace: &str) -> Result<Mounts> {
    let mut mounts = Mounts::new();
    for (from, pod) in names.pods()?.iter().filter(|(from, _)| from.namespace() == namespace) {
        let volumes = volumes(pod);
        for (name, path) in mounted(pod)? {
            let volume = volumes.iter().find(|volume| volume["name"] == name.as_str());
            let files = sources(volume.context(name)?)
                .into_iter()
                .flat_map(|source| files(names, from, source));
            mounts.insert(path, files.collect());
        }
        // Kubernetes mounts the token and the CA of the pod, if the manifest does not forbid it.
        if pod["spec"]["automountServiceAccountToken"] != false {
            let default = ["ca.crt", "token"].map(str::to_owned).to_vec();
            mounts.entry(DEFAULT_TOKEN.to_owned()).or_insert(default);
        }
    }
    Ok(mounts)
}

fn files(names: &Names, from: &Document, source: &Value) -> Vec<String> {
    if let Some(path) = source["serviceAccountToken"]["path"].as_str() {
        return vec![path.to_owned()];
    }
    let map = &source["configMap"];
    let items = list(&map["items"]).iter().map(|item| text(&item["path"]).to_owned());
    match names.find("ConfigMap", from.namespace(), text(&map["name"])) {
        Some(map) => map.value["data"]
            .as_object()
            .into_iter()
            .flat_map(|data| data.keys().cloned())
            .collect(),
        None => items.collect(),
    }
}

/// The files and the folder that a cluster names.
fn paths(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.starts_with('/') => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(paths).collect(),
        Value::Object(members) => members.values().flat_map(paths).collect(),
        _ => Vec::new(),
    }
}

fn holds(mounts: &Mounts, path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or_default();
    let in_folder = mounts.get(folder).is_some_and(|files| files.iter().any(|name| name == file));
    mounts.contains_key(path) || in_folder
}

#[test]
fn application_traffic_to_the_api_server_is_unchanged() -> Result<()> {
    // Istio's own names have four parts: `outbound|443||kubernetes.default.svc.cluster.local`.
    for document in &documents()? {
        if let Some(bootstrap) = bootstrap(document)? {
            let clusters = list(&bootstrap["static_resources"]["clusters"]);
            let names: Vec<_> = clusters.iter().map(|cluster| text(&cluster["name"])).collect();
            assert_eq!(names, ["kube-apiserver"], "{}", document.whereabouts());
        }
        for kind in ["ServiceEntry", "DestinationRule", "VirtualService", "Sidecar"] {
            assert_ne!(document.kind(), kind, "{}", document.file);
        }
        // The caller's side is the only one with an EnvoyFilter.
        assert!(document.kind() != "EnvoyFilter" || document.file == "caller.yaml");
    }
    Ok(())
}

/// The application must not receive a token for the API server.
#[test]
fn only_the_sidecar_of_the_example_mounts_its_token() -> Result<()> {
    let names = Names::read()?;
    let (_, pod) = names
        .pods()?
        .into_iter()
        .find(|(from, _)| from.namespace() == "secrets")
        .context("secret-store")?;
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    for container in list(&pod["spec"]["containers"]) {
        assert_eq!(list(&container["volumeMounts"]), [] as [Value; 0]);
    }
    let mounted = mounted(&pod)?;
    assert!(mounted.contains(&("sa-authn".to_owned(), DEFAULT_TOKEN.to_owned())), "{mounted:?}");
    Ok(())
}

/// Where Kubernetes mounts the token of a pod's service account.
const DEFAULT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The volume that Istio adds for the annotation `sidecar.istio.io/bootstrapOverride`.
const CUSTOM_BOOTSTRAP: &str = "custom-bootstrap-volume";

/// The sidecar's, the gateway's, the waypoint's and the chart's: one change must reach all of them.
#[test]
fn bootstrap_is_the_same_for_every_proxy() -> Result<()> {
    let mut documents = documents()?;
    documents.extend(rendered()?);
    let bootstraps: Vec<_> = of_kind(&documents, "ConfigMap")
        .into_iter()
        .filter(|document| document.value["data"]["custom_bootstrap.json"].is_string())
        .collect();
    assert!(bootstraps.len() > 3, "{}", bootstraps.len());
    for document in &bootstraps {
        assert_eq!(
            document.value["data"],
            bootstraps[0].value["data"],
            "{} and {}",
            document.whereabouts(),
            bootstraps[0].whereabouts()
        );
    }
    Ok(())
}
