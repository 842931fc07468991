//! The step `cluster`: the tests in a real Kubernetes with Istio, if there is one.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use xtask::{process, repository};

use super::session::with_tools;
use crate::cluster::{running, tools};
use crate::separate;

/// A cluster: the variables of `envoy-test/cluster`.
#[derive(Debug)]
pub struct Cluster {
    /// What the tests read.
    pub variables: BTreeMap<String, String>,
}

/// A group of tests, and the variables without which it is not run.
struct Group {
    /// The files of the tests, without `.rs` and separated by `|`.
    tests: &'static str,
    needs: &'static [Need],
}

/// A variable, and what the cluster lacks without it.
struct Need {
    variable: &'static str,
    lack: &'static str,
}

// === impl Cluster ===

impl Cluster {
    /// The one of `KUBECONFIG`, or the one that `cargo xtask cluster up` has started.
    pub fn find() -> Result<Option<Self>> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(kubeconfig) = set("KUBECONFIG") {
            let names = [
                "CLUSTER_REGISTRY",
                "CLUSTER_PULL_REGISTRY",
                "CLUSTER_CONTROL_PLANE",
                "CLUSTER_PROXIES",
                "CLUSTER_AMBIENT",
                "CLUSTER_ENVOY_GATEWAY",
                "CLUSTER_ENVOY_GATEWAY_PROXY",
            ];
            let mut variables: BTreeMap<_, _> =
                names.into_iter().filter_map(|name| Some((name.to_owned(), set(name)?))).collect();
            variables.insert("KUBECONFIG".to_owned(), kubeconfig);
            return Ok(Some(Self { variables }.with_kinds()?));
        }
        let Some(run) = running() else { return Ok(None) };
        let file = run.join("environment");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let variables = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Some(Self { variables }.with_kinds()?))
    }

    /// Adds a variable for a kind of objects that only some versions of Istio have.
    fn with_kinds(mut self) -> Result<Self> {
        let mut kubectl = Command::new("kubectl");
        kubectl.args(["get", "customresourcedefinition", "trafficextensions.extensions.istio.io"]);
        kubectl.args(["--ignore-not-found", "--output", "name"]);
        kubectl.env("PATH", with_tools([tools()])).envs(&self.variables);
        if !process::output(&mut kubectl)?.trim().is_empty() {
            self.variables.insert(TRAFFIC_EXTENSION.variable.to_owned(), "yes".to_owned());
        }
        Ok(self)
    }

    /// nextest's filter for the tests that this cluster can run, and the lines about those that it cannot.
    pub fn tests(&self) -> (String, Vec<String>) {
        let mut filter = "package(cluster-test) and kind(test)".to_owned();
        let mut not_run = Vec::new();
        for Group { tests, needs } in GROUPS {
            let missing = needs.iter().find(|need| !self.variables.contains_key(need.variable));
            if let Some(Need { variable, lack }) = missing {
                filter += &format!(" and not test(/^({tests})::/)");
                let tests = tests.replace('|', ", ");
                not_run.push(format!("not run: {tests}: {lack} ({variable})"));
            }
        }
        (filter, not_run)
    }
}

/// Two images of the module with different digests, as OCI layouts: the second has an additional empty custom section.
pub fn images(module: &Path) -> Result<PathBuf> {
    let folder = repository::target().join("cluster-images");
    fs::create_dir_all(&folder)?;
    separate::image(module, &folder.join("1"))?;
    let mut other = fs::read(module)?;
    other.extend(CUSTOM_SECTION);
    let second = folder.join("2.wasm");
    fs::write(&second, other)?;
    separate::image(&second, &folder.join("2"))?;
    Ok(folder)
}

/// Section 0 with five bytes: the length of its name, and the name `test`.
const CUSTOM_SECTION: [u8; 7] = *b"\0\x05\x04test";

const REGISTRY: Need =
    Need { variable: "CLUSTER_REGISTRY", lack: "no registry that the proxies can pull from" };
const CONTROL_PLANE: Need = Need {
    variable: "CLUSTER_CONTROL_PLANE",
    lack: "the API server of this cluster cannot be stopped",
};
const IMITATED: Need = Need {
    variable: "CLUSTER_CONTROL_PLANE",
    lack: "this API server may differ from the one that the fake one imitates",
};
const PROXIES: Need =
    Need { variable: "CLUSTER_PROXIES", lack: "no images of the proxy with other Envoys" };
const AMBIENT: Need = Need {
    variable: "CLUSTER_AMBIENT",
    lack: "no ambient mode, which needs Istio's own build of Envoy",
};
const ENVOY_GATEWAY: Need = Need {
    variable: "CLUSTER_ENVOY_GATEWAY",
    lack: "no Envoy Gateway; `cargo xtask cluster envoy-gateway` adds it",
};
const TRAFFIC_EXTENSION: Need =
    Need { variable: "CLUSTER_TRAFFIC_EXTENSION", lack: "this Istio does not have the kind" };

const GROUPS: [Group; 8] = [
    Group {
        tests: "caller|changes|example|faults|gateway|install|policies|prometheus|raw_tcp|reviews|status",
        needs: &[REGISTRY],
    },
    Group { tests: "control_plane|login", needs: &[REGISTRY, CONTROL_PLANE] },
    Group { tests: "envoy_gateway", needs: &[REGISTRY, ENVOY_GATEWAY] },
    Group { tests: "fake|fake_access", needs: &[IMITATED] },
    Group { tests: "plain_envoy", needs: &[PROXIES] },
    Group { tests: "proxies", needs: &[REGISTRY, PROXIES] },
    Group { tests: "traffic_extension", needs: &[REGISTRY, TRAFFIC_EXTENSION] },
    Group { tests: "waypoint", needs: &[REGISTRY, AMBIENT] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_the_cluster_cannot_run_are_listed_and_left_out() {
        let variables = BTreeMap::from([("CLUSTER_REGISTRY".to_owned(), "127.0.0.1".to_owned())]);
        let (filter, not_run) = Cluster { variables }.tests();
        assert_eq!(
            filter,
            "package(cluster-test) and kind(test) and not test(/^(control_plane|login)::/) \
             and not test(/^(envoy_gateway)::/) and not test(/^(fake|fake_access)::/) \
             and not test(/^(plain_envoy)::/) and not test(/^(proxies)::/) and not test(/^(traffic_extension)::/) \
             and not test(/^(waypoint)::/)"
        );
        assert_eq!(
            not_run,
            [
                "not run: control_plane, login: the API server of this cluster cannot be stopped \
                 (CLUSTER_CONTROL_PLANE)",
                "not run: envoy_gateway: no Envoy Gateway; `cargo xtask cluster envoy-gateway` adds it \
                 (CLUSTER_ENVOY_GATEWAY)",
                "not run: fake, fake_access: this API server may differ from the one that the fake one imitates \
                 (CLUSTER_CONTROL_PLANE)",
                "not run: plain_envoy: no images of the proxy with other Envoys (CLUSTER_PROXIES)",
                "not run: proxies: no images of the proxy with other Envoys (CLUSTER_PROXIES)",
                "not run: traffic_extension: this Istio does not have the kind \
                 (CLUSTER_TRAFFIC_EXTENSION)",
                "not run: waypoint: no ambient mode, which needs Istio's own build of Envoy (CLUSTER_AMBIENT)"
            ]
        );
    }

    #[test]
    fn every_test_of_a_cluster_belongs_to_a_group() -> Result<()> {
        let folder = repository::root().join("envoy-test/cluster/tests");
        let declared = fs::read_to_string(folder.join("main.rs"))?;
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).context("a name")?;
            if name == "main" {
                continue;
            }
            let mut tests = GROUPS.iter().flat_map(|group| group.tests.split('|'));
            assert!(tests.any(|tests| tests == name), "{name}");
            assert!(declared.contains(&format!("mod {name};\n")), "main.rs lacks {name}");
        }
        Ok(())
    }
}
