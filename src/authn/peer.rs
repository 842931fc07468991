//! Comparison of the mTLS peer with the token's service account (`matchPeer`).
//!
//! A stolen token is useless on connections of other service accounts. The listener must validate the client
//! certificate: Envoy provides the URI of any certificate that its validation accepts.

use super::issuer::PeerPattern;
use super::service_account::ServiceAccount;
use crate::account_name::{is_dns_label, is_dns_subdomain};
use crate::denial::{Denial, Reason};

// === impl PeerPattern ===

impl PeerPattern {
    /// Compares the peer's SPIFFE ID with the token's service account. A connection without a SPIFFE ID, such as a
    /// waypoint's, does not match.
    pub fn check_peer(
        &self,
        peer_uri: Option<&str>,
        account: &ServiceAccount,
    ) -> Result<(), Denial> {
        let wrong = |what: String| Reason::WrongPeer.because(what);
        let uri = peer_uri.ok_or_else(|| wrong("no peer certificate with a URI".to_owned()))?;
        let (domain, namespace, name) = spiffe_id(uri).ok_or_else(|| {
            wrong(format!("peer {uri:?} is not a SPIFFE ID of a service account"))
        })?;
        if self.trust_domain.as_deref().is_some_and(|wanted| wanted != domain) {
            return Err(wrong(format!(
                "peer of trust domain {domain:?}, expected {:?}",
                self.trust_domain.as_deref().unwrap_or_default()
            )));
        }
        if (namespace, name) != (account.namespace(), account.name()) {
            let token = format!("{}/{}", account.namespace(), account.name());
            return Err(wrong(format!("peer {namespace}/{name}, token of {token}")));
        }
        Ok(())
    }
}

/// The trust domain, namespace and name in `spiffe://<trust domain>/ns/<namespace>/sa/<name>`, the format of Istio.
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
    fn only_spiffe_ids_of_service_accounts_are_parsed() {
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
