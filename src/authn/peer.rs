//! The mTLS peer -> whether it is the workload that the token belongs to.
//!
//! A bearer token can be stolen; a private key that never leaves its proxy cannot so easily. With
//! `matchPeer` a token is good only on connections of its own service account. That the certificate is
//! genuine is for the listener to see to: Envoy shows the URI of whatever its validation accepts.

use super::service_account::{ServiceAccount, is_dns_label, is_dns_subdomain};
use crate::verdict::{Denial, Reason};

/// Which peers `matchPeer` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPattern {
    /// The trust domain that the peer must belong to; `None` takes any that Envoy has verified.
    pub trust_domain: Option<String>,
}

// === impl PeerPattern ===

impl PeerPattern {
    /// Compares the peer's SPIFFE id with the token's service account. A connection without one, such
    /// as a waypoint's, is another workload's.
    pub fn check(&self, peer_uri: Option<&str>, account: &ServiceAccount) -> Result<(), Denial> {
        let wrong = |what: String| Reason::WrongPeer.because(what);
        let uri = peer_uri.ok_or_else(|| wrong("no URI in a peer certificate".to_owned()))?;
        let (domain, namespace, name) =
            spiffe_id(uri).ok_or_else(|| wrong(format!("{uri:?} is no service account's id")))?;
        if self.trust_domain.as_deref().is_some_and(|wanted| wanted != domain) {
            return Err(wrong(format!("peer of trust domain {domain:?}")));
        }
        if (namespace, name) != (account.namespace(), account.name()) {
            let token = format!("{}/{}", account.namespace(), account.name());
            return Err(wrong(format!("peer {namespace}/{name}, token of {token}")));
        }
        Ok(())
    }
}

/// Trust domain, namespace and name of `spiffe://<trust domain>/ns/<namespace>/sa/<name>`, as Istio
/// writes it, and nothing else.
fn spiffe_id(uri: &str) -> Option<(&str, &str, &str)> {
    let (domain, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
    let (namespace, name) = path.strip_prefix("ns/")?.split_once("/sa/")?;
    let fits = is_dns_subdomain(domain) && is_dns_label(namespace) && is_dns_subdomain(name);
    fits.then_some((domain, namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_is_exactly_a_service_accounts() {
        assert_eq!(
            spiffe_id("spiffe://cluster.local/ns/api/sa/api.v1"),
            Some(("cluster.local", "api", "api.v1"))
        );
        for uri in [
            "spiffe://cluster.local/ns/api/sa/",
            "spiffe://cluster.local/ns/api/sa/api/x",
            "spiffe://cluster.local/ns/a/b/sa/api",
            "spiffe://cluster.local/ns/api/sa/api,spiffe://cluster.local/ns/b/sa/b",
            "spiffe://Cluster.local/ns/api/sa/api",
            "spiffe:///ns/api/sa/api",
            "https://cluster.local/ns/api/sa/api",
            "spiffe://cluster.local/sa/api/ns/api",
            " spiffe://cluster.local/ns/api/sa/api",
        ] {
            assert_eq!(spiffe_id(uri), None, "{uri}");
        }
    }
}
