//! Warnings that depend on several objects of a mesh: plugins, AuthorizationPolicies and Services.

mod workload;

use super::kind::Kind;
use super::report::{Checked, Fault};
use super::text::{Place, Text};
use super::yaml::Node;
use workload::Workload;

/// The workloads that an object selects.
#[derive(Clone, Debug)]
pub struct Selected {
    namespace: String,
    labels: Vec<(String, String)>,
    /// Of a plugin: whether it calls the API server through a cluster of the bootstrap.
    calls_api_server: bool,
}

/// The objects in all checked files.
#[derive(Debug, Default)]
pub struct Mesh {
    /// Plugins in sidecars, each with the index of its [`Checked`].
    plugins: Vec<(usize, Selected)>,
    /// EnvoyExtensionPolicies, by the index of their [`Checked`].
    extensions: Vec<usize>,
    /// Whether a SecurityPolicy of Envoy Gateway denies what it does not allow (docs/envoy-gateway.md).
    has_guard: bool,
    workloads: Vec<Workload>,
    /// Policies that deny every TCP connection.
    policies: Vec<Selected>,
    services: Vec<Service>,
}

/// A Service with the ports that are not declared as HTTP.
#[derive(Debug)]
struct Service {
    file: String,
    what: String,
    place: Place,
    selected: Selected,
    ports: Vec<(Place, String)>,
}

// === impl Selected ===

impl Selected {
    /// The sidecars in which Istio runs a plugin for inbound traffic; `None` for gateways and waypoints.
    pub fn by_plugin(object: &Node, spec: &Node) -> Option<Self> {
        let modes = spec.get("match").map(Node::items).unwrap_or_default();
        let is_inbound = |mode: &Node| mode.get("mode").and_then(Node::text) != Some("CLIENT");
        let is_gateway = ["targetRefs", "targetRef"].iter().any(|name| spec.get(name).is_some());
        let inbound = modes.is_empty() || modes.iter().any(is_inbound);
        let labels = spec.get("selector").and_then(match_labels);
        (inbound && !is_gateway).then(|| Self {
            calls_api_server: names_bootstrap_cluster(spec),
            ..Self::of(object, labels)
        })
    }

    fn of(object: &Node, labels: Option<&Node>) -> Self {
        let metadata = object.get("metadata");
        let namespace = metadata.and_then(|metadata| metadata.get("namespace"));
        let labels = labels.map(Node::members).unwrap_or_default().iter();
        let text = |node: &Node| node.text().unwrap_or_default().to_owned();
        Self {
            namespace: namespace.map(text).unwrap_or_default(),
            labels: labels.map(|(key, value)| (key.name.clone(), text(value))).collect(),
            calls_api_server: false,
        }
    }

    /// Whether this selects every workload that `other` selects.
    fn covers(&self, other: &Self) -> bool {
        let is_root = self.namespace == ROOT_NAMESPACE;
        (is_root || self.namespace == other.namespace)
            && self.labels.iter().all(|label| other.labels.contains(label))
    }
}

/// Whether a configuration has a `cluster` that is not one of istiod's.
fn names_bootstrap_cluster(node: &Node) -> bool {
    let is_it = |name: &str| !name.contains('|');
    node.items().iter().any(names_bootstrap_cluster)
        || node.members().iter().any(|(key, value)| {
            (key.name == "cluster" && value.text().is_some_and(is_it))
                || names_bootstrap_cluster(value)
        })
}

fn match_labels(selector: &Node) -> Option<&Node> {
    selector.get("matchLabels")
}

// === impl Mesh ===

impl Mesh {
    /// Adds a plugin; `checked` is the index of its result.
    pub fn add_plugin(&mut self, checked: usize, selected: Selected) {
        self.plugins.push((checked, selected));
    }

    /// Adds an EnvoyExtensionPolicy; `checked` is the index of its result.
    pub fn add_extension(&mut self, checked: usize) {
        self.extensions.push(checked);
    }

    /// Adds the policies, Services and workloads of a document. Returns whether it has a workload.
    pub fn add(&mut self, file: &str, text: &Text, object: &Node, is_named: bool) -> bool {
        let mut has_workload = false;
        for item in object.get("items").map(Node::items).unwrap_or_default() {
            has_workload |= self.add(file, text, item, is_named);
        }
        if let Some(workload) = Workload::read(file, text, object, is_named) {
            self.workloads.push(workload);
            has_workload = true;
        }
        self.add_policy(file, text, object);
        has_workload
    }

    fn add_policy(&mut self, file: &str, text: &Text, object: &Node) {
        let Some(spec) = object.get("spec") else { return };
        match object.get("kind").and_then(Node::text) {
            Some("AuthorizationPolicy") if denies_tcp(spec) => {
                self.policies
                    .push(Selected::of(object, spec.get("selector").and_then(match_labels)));
            }
            Some("SecurityPolicy") => {
                let action = spec.get("authorization").and_then(|of| of.get("defaultAction"));
                self.has_guard |= action.and_then(Node::text) == Some("Deny");
            }
            Some("Service") if spec.get("selector").is_some() => {
                let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
                let ports = spec.get("ports").map(Node::items).unwrap_or_default();
                self.services.push(Service {
                    file: file.to_owned(),
                    what: format!("Service {:?}", name.and_then(Node::text).unwrap_or_default()),
                    place: text.place(object.at),
                    selected: Selected::of(object, spec.get("selector")),
                    ports: ports
                        .iter()
                        .filter_map(|port| Some((text.place(port.at), not_http(port)?)))
                        .collect(),
                });
            }
            _ => {}
        }
    }

    /// Adds the warnings to the results.
    pub fn warn(mut self, checked: &mut Vec<Checked>) {
        let workloads = std::mem::take(&mut self.workloads);
        let plugins: Vec<_> =
            self.plugins.iter().map(|(_, plugin)| (plugin, plugin.calls_api_server)).collect();
        checked.extend(workloads.into_iter().filter_map(|workload| workload.check(&plugins)));
        for at in self.extensions.iter().filter(|_| !self.has_guard) {
            let Some(checked) = checked.get_mut(*at) else { continue };
            checked.faults.push(Fault {
                place: checked.place,
                path: String::new(),
                message: "no SecurityPolicy with `defaultAction: Deny` in the checked files; without this guard, requests pass \
                          while the filter is not attached"
                    .to_owned(),
                remedy: Some(
                    "apply envoy-gateway/guard.yaml, and pass its file to this command".to_owned(),
                ),
                kind: Kind::MissingGuard,
            });
        }
        for (at, plugin) in &self.plugins {
            let Some(checked) = checked.get_mut(*at) else { continue };
            if !self.policies.iter().any(|policy| policy.covers(plugin)) {
                checked.faults.push(Fault {
                    place: checked.place,
                    path: String::new(),
                    message:
                        "no AuthorizationPolicy in the checked files denies TCP connections to \
                              the workloads of this plugin, and raw TCP bypasses the filter"
                            .to_owned(),
                    remedy: Some(
                        "apply `sa-authn-deny-tcp` of istio/wasmplugin-sidecar.yaml with the \
                         plugin's namespace and selector, and pass its file to this command"
                            .to_owned(),
                    ),
                    kind: Kind::RawTcpOpen,
                });
            }
        }
        for service in self.services {
            let is_selected = |(_, plugin): &(usize, Selected)| {
                plugin.covers(&service.selected) || service.selected.covers(plugin)
            };
            if service.ports.is_empty() || !self.plugins.iter().any(is_selected) {
                continue;
            }
            let faults = service.ports.into_iter().map(|(place, message)| Fault {
                place,
                path: String::new(),
                message,
                remedy: Some(
                    "name the port `http`, `http2` or `grpc`, or begin its name with one of them \
                     and a dash; or set `appProtocol`"
                        .to_owned(),
                ),
                kind: Kind::ServicePortNotHttp,
            });
            checked.push(Checked {
                file: service.file,
                what: service.what,
                place: service.place,
                is_ours: true,
                faults: faults.collect(),
            });
        }
    }
}

/// Whether a policy denies every TCP connection, except on ports that it exempts (istio/README.md).
fn denies_tcp(spec: &Node) -> bool {
    let is_deny = spec.get("action").and_then(Node::text) == Some("DENY");
    let rules = spec.get("rules").map(Node::items).unwrap_or_default();
    let every_method = |operation: &Node| {
        let methods = operation.get("notMethods").map(Node::items).unwrap_or_default();
        methods.iter().any(|method| method.text() == Some("*"))
    };
    let denies = |rule: &Node| {
        let to = rule.get("to").map(Node::items).unwrap_or_default();
        rule.get("from").is_none()
            && rule.get("when").is_none()
            && to.iter().filter_map(|to| to.get("operation")).any(every_method)
    };
    is_deny && rules.iter().any(denies)
}

/// Why Istio does not treat a Service port as HTTP; `None` if it does.
fn not_http(port: &Node) -> Option<String> {
    let field = |name: &str| port.get(name).and_then(Node::text);
    if field("protocol").is_some_and(|protocol| protocol != "TCP") {
        return None;
    }
    let is_http = |name: &str| {
        let name = name.to_ascii_lowercase();
        let begins = |known: &str| {
            name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        HTTP.iter().any(|known| begins(known))
    };
    let number = field("port").unwrap_or("without a number");
    match (field("appProtocol"), field("name")) {
        (Some(protocol), _) if is_http(protocol) || protocol.starts_with("kubernetes.io/") => None,
        (Some(protocol), _) => Some(format!(
            "port {number} has appProtocol {protocol:?}, which is TCP for Istio; the filter does \
             not see its requests"
        )),
        (None, Some(name)) if is_http(name) => None,
        (None, name) => Some(format!(
            "port {number} is not declared as HTTP (name {:?}); what Istio does not detect as HTTP \
             bypasses the filter",
            name.unwrap_or_default()
        )),
    }
}

/// Istio's protocols that are HTTP (`protocol.Parse` of istio/istio).
const HTTP: [&str; 4] = ["http", "http2", "grpc", "grpc-web"];

/// Istio's root namespace. A policy there applies to all namespaces.
const ROOT_NAMESPACE: &str = "istio-system";
