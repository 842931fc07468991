//! Drives a real Kubernetes with Istio and Envoy Gateway: `kubectl`, the registry, the API server's process, and the examples of `istio/` and `envoy-gateway/`.
//!
//! `cargo xtask test --only cluster` runs the tests, one at a time. These environment variables name the cluster:
//!
//! | variable | meaning |
//! |---|---|
//! | `KUBECONFIG` | the cluster, with Istio installed |
//! | `CLUSTER_REGISTRY` | a registry, by the address that this machine uses |
//! | `CLUSTER_PULL_REGISTRY` | the same registry, by the address that the proxies use |
//! | `CLUSTER_IMAGES` | the folder with two OCI layouts of the module, `1` and `2` |
//! | `CLUSTER_CONTROL_PLANE` | the run directory of the cluster of `cargo xtask cluster up`, whose API server can be stopped |
//! | `CLUSTER_ENVOY_GATEWAY` | set if Envoy Gateway runs: the same registry by its IP address, from which Envoy Gateway pulls without TLS |
//! | `CLUSTER_ENVOY_GATEWAY_PROXY` | the image of Envoy Gateway's proxies, if the nodes cannot pull the default |
//! | `CLUSTER_AMBIENT` | set if Istio is in ambient mode, with its own proxy |
//! | `CLUSTER_PROXIES` | images of the proxy with other Envoys, which the nodes can run, separated by commas |

mod control_plane;
mod example;
mod gateway;
pub mod guide;
mod kubectl;
mod load;
mod poll;
mod registry;
pub mod shop;

pub use control_plane::ControlPlane;
pub use example::{Answer, Caller, Example, SERVICE, token_review};
pub use gateway::Gateway;
pub use guide::Guide;
pub use kubectl::{Forwarded, Kubectl, claims};
pub use load::Load;
pub use poll::{until, until_within};
pub use registry::Image;

use std::env;

use anyhow::{Context, Result};

/// The value of a variable that `cargo xtask test` sets.
pub(crate) fn variable(name: &str) -> Result<String> {
    let value = env::var(name).ok().filter(|value| !value.is_empty());
    value.with_context(|| format!("{name} is not set: run `cargo xtask test --only cluster`"))
}
