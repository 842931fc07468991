//! A fake kube-apiserver: mints tokens, deletes objects, and injects faults.
//!
//! It responds as recorded from kube-apiserver v1.36: status, headers, texts, and peculiarities.
//! Its parts are `discovery` (the two documents), `review`
//! (TokenReview), `access` (SubjectAccessReview) with `rbac` (roles and bindings), `authenticate` (which tokens are genuine), `objects` (what exists), `fault`.

mod access;
mod answer;
mod authenticate;
mod bearer;
mod cluster;
mod discovery;
mod fault;
mod objects;
mod options;
mod rbac;
mod record;
mod review;
mod route;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};

use crate::keys::SigningKey;
use crate::lock::lock;
use crate::poll;
use crate::serve::Server;
use crate::token::Token;

use cluster::Cluster;
use objects::Kind;
use tls::Tls;

pub use fault::Fault;
pub use options::{ApiServerOptions, Rotation};
pub use record::{Endpoint, LoggedRequest};

/// A kube-apiserver of its own: CA, port, signing keys and objects.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    tls: Arc<Tls>,
    cluster: Arc<Cluster>,
    server: Mutex<Option<Server>>,
}

// === impl ApiServer ===

impl ApiServer {
    /// Starts on a free port.
    pub async fn start(options: ApiServerOptions) -> Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), options).await
    }

    /// Starts at an address that other machines can reach.
    pub async fn start_at(address: SocketAddr, options: ApiServerOptions) -> Result<Self> {
        let tls = Arc::new(Tls::new()?);
        let cluster = Arc::new(Cluster::new(options));
        let server = serve(address, &tls, &cluster).await?;
        let address = SocketAddr::new(address.ip(), server.port());
        cluster.listens_on(address.port());
        Ok(Self { address, tls, cluster, server: Mutex::new(Some(server)) })
    }

    /// Its port, on 127.0.0.1 unless it was started elsewhere.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its CA's certificate, as PEM: `ca.crt` of a pod.
    pub fn ca_pem(&self) -> &str {
        self.tls.ca_pem()
    }

    /// The issuer of its tokens.
    pub fn issuer(&self) -> &str {
        &self.cluster.options.issuer
    }

    /// The audience of tokens for the API server itself.
    pub fn audience(&self) -> String {
        self.cluster.options.own_audiences().swap_remove(0)
    }

    /// The key that it signs with.
    pub fn signing_key(&self) -> SigningKey {
        lock(&self.cluster.keys).signing.clone()
    }

    /// The keys in its JWKS.
    pub fn published_keys(&self) -> Vec<SigningKey> {
        lock(&self.cluster.keys).published.clone()
    }

    /// Signs with a new key of the same kind from now on, and returns it.
    pub fn rotate(&self, rotation: Rotation) -> SigningKey {
        let key = SigningKey::generate(self.signing_key().kind());
        self.rotate_to(key.clone(), rotation);
        key
    }

    /// Signs with this key from now on.
    pub fn rotate_to(&self, key: SigningKey, rotation: Rotation) {
        lock(&self.cluster.keys).rotate(key, rotation);
    }

    /// Publishes exactly these keys, independent of the signing key, as an outdated replica would.
    pub fn publish(&self, keys: &[SigningKey]) {
        lock(&self.cluster.keys).published = keys.to_vec();
    }

    /// Issues a token: it gets the cluster's issuer and key, and what it is bound to exists from now on.
    pub fn mint(&self, token: Token) -> String {
        let bound = lock(&self.cluster.objects).bind(token);
        let issued = if bound.is_legacy() { bound } else { bound.issuer(self.issuer()) };
        issued.sign(&self.signing_key())
    }

    /// Deletes a service account and invalidates its tokens. A new one of this name has another uid.
    pub fn delete_service_account(&self, namespace: &str, name: &str) {
        lock(&self.cluster.objects).delete(Kind::ServiceAccount, namespace, name);
    }

    /// Deletes a pod at once, as `kubectl delete --force` does.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        lock(&self.cluster.objects).delete(Kind::Pod, namespace, name);
    }

    /// Deletes a secret.
    pub fn delete_secret(&self, namespace: &str, name: &str) {
        lock(&self.cluster.objects).delete(Kind::Secret, namespace, name);
    }

    /// Deletes a node; tokens of pods remain valid.
    pub fn delete_node(&self, name: &str) {
        lock(&self.cluster.objects).delete(Kind::Node, "", name);
    }

    /// Creates or replaces the RBAC objects of a manifest (YAML), and returns how many. Other objects are ignored.
    pub fn apply_rbac(&self, manifest: &str) -> Result<usize> {
        lock(&self.cluster.rbac).apply(manifest)
    }

    /// Deletes a Role, ClusterRole, RoleBinding or ClusterRoleBinding; whether it existed. Those of the cluster have the
    /// namespace `""`.
    pub fn delete_rbac(&self, kind: &str, namespace: &str, name: &str) -> bool {
        lock(&self.cluster.rbac).delete(kind, namespace, name)
    }

    /// Binds `system:auth-delegator` to a service account: it may ask for TokenReviews and SubjectAccessReviews.
    pub fn grant_auth_delegator(&self, namespace: &str, name: &str) {
        lock(&self.cluster.delegators).insert(format!("system:serviceaccount:{namespace}:{name}"));
    }

    /// Binds `cluster-admin` to a service account: it may send every method to every path.
    pub fn grant_cluster_admin(&self, namespace: &str, name: &str) {
        lock(&self.cluster.admins).insert(format!("system:serviceaccount:{namespace}:{name}"));
    }

    /// Whether successful authentications are cached for 10 s, as in a real API server (the default).
    pub fn set_success_cache(&self, on: bool) {
        lock(&self.cluster.successes).set_enabled(on);
    }

    /// Sets the fault of an endpoint; `None` clears it.
    pub fn set_fault(&self, endpoint: Endpoint, fault: Option<Fault>) {
        self.cluster.record.set_fault(endpoint, fault);
    }

    /// How many requests an endpoint got so far, answered or not.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.requests().iter().filter(|request| request.endpoint == endpoint).count()
    }

    /// How many requests to an endpoint are in flight.
    pub fn under_way(&self, endpoint: Endpoint) -> usize {
        self.cluster.record.under_way(endpoint)
    }

    /// The most requests to an endpoint in flight at once.
    pub fn most_under_way(&self, endpoint: Endpoint) -> usize {
        self.cluster.record.most_under_way(endpoint)
    }

    /// Waits until an endpoint got so many requests, and returns how many it has.
    pub async fn wait_count(&self, endpoint: Endpoint, at_least: usize) -> Result<usize> {
        let what = format!("{at_least} requests to {endpoint:?}");
        let enough = async || Ok(Some(self.count(endpoint)).filter(|count| *count >= at_least));
        poll::until(&what, enough).await
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.cluster.record.requests()
    }

    /// Stops: closes connections, and refuses new ones.
    pub async fn stop(&self) {
        let server = lock(&self.server).take();
        if let Some(server) = server {
            server.stop().await;
        }
    }

    /// Restarts on the same port.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await;
        let server = poll::until("the API server's port to be free", async || {
            Ok(serve(self.address, &self.tls, &self.cluster).await.ok())
        });
        let server = server.await.context("restarting the API server")?;
        *lock(&self.server) = Some(server);
        Ok(())
    }
}

// === private ===

async fn serve(
    address: SocketAddr,
    tls: &Arc<Tls>,
    cluster: &Arc<Cluster>,
) -> std::io::Result<Server> {
    let (tls, cluster) = (tls.clone(), cluster.clone());
    Server::start_at(address, move |stream| {
        let (tls, cluster) = (tls.clone(), cluster.clone());
        async move { tls::serve(stream, &tls, cluster).await }
    })
    .await
}

#[cfg(test)]
mod tests;
