//! A CA for workload certificates, and Envoy's TLS contexts.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};

/// A CA for workloads, as in a mesh.
#[derive(Debug)]
pub struct WorkloadCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its private key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    certificate: String,
    key: String,
}

// === impl WorkloadCa ===

impl WorkloadCa {
    /// A CA with a key of its own.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "workload-ca");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = ca.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(ca, key), pem })
    }

    /// The CA's certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a certificate with these URIs, in this order, and with a DNS name.
    pub fn issue(&self, uris: &[&str]) -> Result<Identity> {
        self.sign(&["workload.test"], uris)
    }

    /// Signs a certificate for a server of these names.
    pub fn issue_for(&self, names: &[&str]) -> Result<Identity> {
        self.sign(names, &[])
    }

    fn sign(&self, names: &[&str], uris: &[&str]) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(
            names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        )?;
        for uri in uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into()?));
        }
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    /// A listener's `transport_socket` with the certificate `own`; it accepts clients with certificates of this CA
    /// (or, unless they are required, without any).
    pub fn downstream(&self, own: &Identity, required: bool) -> Value {
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": required,
            "common_tls_context": self.common(Some(own)),
        } })
    }

    /// A cluster's `transport_socket` with the certificate `own`, if any; it accepts servers of this CA.
    pub fn upstream(&self, own: Option<&Identity>) -> Value {
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": "workload.test",
            "common_tls_context": self.common(own),
        } })
    }

    fn common(&self, own: Option<&Identity>) -> Value {
        let own = own.map(|own| {
            json!({
                "certificate_chain": { "inline_string": own.certificate },
                "private_key": { "inline_string": own.key },
            })
        });
        json!({
            "tls_certificates": own.into_iter().collect::<Vec<_>>(),
            "validation_context": { "trusted_ca": { "inline_string": self.pem } },
        })
    }
}
