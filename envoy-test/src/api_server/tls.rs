//! HTTP over TLS with a test CA.

use std::sync::Arc;

use anyhow::Result;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::cluster::Cluster;
use super::route;

/// The TLS configuration of the server, and its CA.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    ca_pem: String,
}

// === impl Tls ===

impl Tls {
    pub(super) fn new() -> Result<Self> {
        let ca_key = KeyPair::generate()?;
        let ca = ca_params()?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(NAMES.map(str::to_owned))?
            .signed_by(&key, &Issuer::new(ca, ca_key))?;
        let config = server_config(certificate.der().clone(), &key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem })
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Serves one connection until either side ends it.
pub(super) async fn serve(mut stream: TcpStream, tls: &Tls, cluster: Arc<Cluster>) {
    let mut first = [0];
    if matches!(stream.peek(&mut first).await, Ok(1)) && first != [TLS_HANDSHAKE] {
        let _ = stream.write_all(PLAIN_HTTP).await;
        return;
    }
    let Ok(stream) = tls.acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let cluster = cluster.clone();
        async move { route::answer(request, &cluster).await }
    });
    // Faults and clients may close connections, which is not an error.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

// === private ===

fn ca_params() -> Result<CertificateParams> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "kubernetes-ca");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(ca)
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> Result<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

const NAMES: [&str; 3] =
    ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "127.0.0.1"];

/// The first byte of a TLS connection: a record of type handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// The response of Go's HTTP server to plain HTTP on a TLS port.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
