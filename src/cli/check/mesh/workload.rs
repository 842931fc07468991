//! What the pod template of a workload lacks for the filter in its sidecar (docs/install.md).

use super::Selected;
use crate::cli::check::kind::Kind;
use crate::cli::check::report::{Checked, Fault};
use crate::cli::check::text::{Place, Text};
use crate::cli::check::yaml::Node;

/// A workload, with the labels of its pods.
#[derive(Debug)]
pub struct Workload {
    file: String,
    what: String,
    place: Place,
    pods: Selected,
    /// Whether the pods have the annotation that adds the API server to the bootstrap of the sidecar.
    has_annotation: bool,
    /// Whether Istio does not inject a sidecar.
    has_no_sidecar: bool,
    /// Whether the user named the file, and not only its folder.
    is_named: bool,
}

// === impl Workload ===

impl Workload {
    /// `None` for other objects.
    pub fn read(file: &str, text: &Text, object: &Node, is_named: bool) -> Option<Self> {
        let kind = object.get("kind").and_then(Node::text)?;
        let path: &[&str] = match kind {
            "Pod" => &[],
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => {
                &["spec", "template"]
            }
            "CronJob" => &["spec", "jobTemplate", "spec", "template"],
            _ => return None,
        };
        let template = path.iter().try_fold(object, |node, name| node.get(name))?;
        let metadata = template.get("metadata");
        let of = |part: &str| metadata.and_then(|metadata| metadata.get(part));
        let text_of = |part: &str, name: &str| of(part)?.get(name)?.text();
        let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
        let inject = INJECT;
        let refuses = |part: &str| text_of(part, inject) == Some("false");
        Some(Self {
            file: file.to_owned(),
            what: format!("{kind} {:?}", name.and_then(Node::text).unwrap_or("without a name")),
            place: text.place(metadata.unwrap_or(template).at),
            pods: Selected::of(object, of("labels")),
            has_annotation: text_of("annotations", OVERRIDE).is_some(),
            has_no_sidecar: refuses("labels") || refuses("annotations"),
            is_named,
        })
    }

    /// The problems of a workload that is meant to have the filter; `None` for other workloads. `plugins` are the sidecars in
    /// which the checked plugins run, each with whether the plugin calls the API server through the bootstrap.
    pub fn check(self, plugins: &[(&Selected, bool)]) -> Option<Checked> {
        let selecting = plugins.iter().filter(|(plugin, _)| plugin.covers(&self.pods));
        let selecting: Vec<_> = selecting.collect();
        let has_label = self.pods.labels.contains(&default_label());
        let is_meant = !selecting.is_empty()
            || self.has_annotation
            || has_label
            || (self.is_named && plugins.is_empty());
        if !is_meant {
            return None;
        }
        let mut faults = Vec::new();
        let mut add = |message: &str, remedy: String| {
            faults.push(Fault {
                place: self.place,
                path: String::new(),
                message: message.to_owned(),
                remedy: Some(remedy),
                kind: Kind::WorkloadNotEnrolled,
            });
        };
        let is_selected = !selecting.is_empty() || (plugins.is_empty() && has_label);
        if !is_selected {
            add(
                "the filter does not run in the sidecars of these pods: no plugin in the checked files selects their labels",
                self.label(plugins),
            );
        }
        let needs_bootstrap = selecting.is_empty() || selecting.iter().any(|(_, calls)| *calls);
        if !self.has_annotation && needs_bootstrap {
            add(
                "the sidecars of these pods cannot reach the API server, and the filter denies every request that needs keys or a \
                 review",
                format!("add the annotation `{OVERRIDE}: sa-authn` to the pod template"),
            );
        }
        if self.has_no_sidecar {
            add(
                "these pods have no sidecar, in which the filter could run",
                format!("remove `{INJECT}: \"false\"`"),
            );
        }
        let Self { file, what, place, .. } = self;
        Some(Checked { file, what, place, is_ours: true, faults })
    }

    /// How a plugin would select the pods.
    fn label(&self, plugins: &[(&Selected, bool)]) -> String {
        let near = plugins.iter().find(|(plugin, _)| plugin.namespace == self.pods.namespace);
        let labels = match near {
            Some((plugin, _)) => plugin.labels.clone(),
            None => vec![default_label()],
        };
        let missing = labels.iter().filter(|label| !self.pods.labels.contains(label));
        let missing: Vec<_> = missing.map(|(key, value)| format!("`{key}: {value}`")).collect();
        format!(
            "add the label {} to the pod template, or pass the file of the plugin that selects the pods",
            missing.join(" and ")
        )
    }
}

/// The label that the plugin of the chart selects (install/chart/values.yaml).
fn default_label() -> (String, String) {
    ("sa-authn".to_owned(), "enabled".to_owned())
}

const OVERRIDE: &str = "sidecar.istio.io/bootstrapOverride";

const INJECT: &str = "sidecar.istio.io/inject";
