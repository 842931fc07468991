//! `matchPeer` with mTLS between two Envoys: a token passes only over connections of its workload.

use crate::support::{api, check_refused, config, get};
use anyhow::Result;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{
    Envoy, EnvoySetup, Identity, KeyKind, Response, SigningKey, Token, Upstream, WorkloadCa, jwks,
};
use serde_json::{Value, json};

const API: &str = "spiffe://cluster.local/ns/api/sa/api";

/// The signing key of tokens, and the CA of workload certificates.
struct Mesh {
    version: String,
    key: SigningKey,
    ca: WorkloadCa,
    upstream: Upstream,
}

impl Mesh {
    async fn new(version: String) -> Result<Self> {
        let (key, ca) = (SigningKey::generate(KeyKind::P256), WorkloadCa::new()?);
        Ok(Self { version, key, ca, upstream: Upstream::start().await? })
    }

    fn setup(&self) -> EnvoySetup {
        EnvoySetup::new().version(&self.version)
    }

    /// The filter in front of the upstream, on a plain listener.
    fn filter(&self, match_peer: Value) -> EnvoySetup {
        let mut config = config(json!({ "inline": jwks(&[&self.key]) }));
        config["issuers"][0]["matchPeer"] = match_peer;
        self.setup().upstream(&self.upstream).plugin_config(config)
    }

    /// The same on a listener with TLS.
    async fn server(&self, match_peer: Value, client_certificate: bool) -> Result<Envoy> {
        let own = self.ca.issue(&["spiffe://cluster.local/ns/store/sa/store"])?;
        let tls = self.ca.downstream(&own, client_certificate);
        let listen = move |tree: &mut Value| {
            tree["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = tls;
        };
        self.filter(match_peer).patch(listen).start().await
    }

    /// The client's Envoy: it accepts plain requests, and connects to the server as `identity`.
    async fn client(&self, server: &Envoy, identity: Option<&Identity>) -> Result<Envoy> {
        let (tls, port) = (self.ca.upstream(identity), server.port());
        let originate = move |tree: &mut Value| {
            let cluster = &mut tree["static_resources"]["clusters"][0];
            let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0];
            endpoint["endpoint"]["address"]["socket_address"]["port_value"] = json!(port);
            cluster["transport_socket"] = tls;
        };
        self.setup().without_filter().patch(originate).start().await
    }

    /// The response to a token over a connection with these URIs in the certificate.
    async fn answer(&self, server: &Envoy, uris: &[&str], token: &str) -> Result<Response> {
        let client = self.client(server, Some(&self.ca.issue(uris)?)).await?;
        get(token).send(client.port()).await
    }

    fn token(&self, account: &Token) -> String {
        account.sign(&self.key)
    }

    fn check_wrong_peer(&self, response: &Response, case: &str) -> Result<()> {
        let version = &self.version;
        check_refused(response, 401, "wrong_peer")
            .map_err(|error| error.context(format!("{case}, Envoy {version}")))
    }
}

#[tokio::test]
async fn token_passes_only_over_the_connection_of_its_workload() -> Result<()> {
    for version in oldest_and_newest() {
        let mesh = Mesh::new(version.clone()).await?;
        let own = mesh.token(&api());
        let stolen = mesh.token(&Token::for_service_account("web", "web"));
        let same_namespace = mesh.token(&Token::for_service_account("api", "web"));
        for match_peer in [json!(true), json!({ "trustDomain": "cluster.local" })] {
            let server = mesh.server(match_peer.clone(), true).await?;
            let client = mesh.client(&server, Some(&mesh.ca.issue(&[API])?)).await?;
            let before = mesh.upstream.count();
            let response = get(&own).send(client.port()).await?;
            let text = response.text();
            assert_eq!(response.status, 200, "Envoy {version}, {match_peer}: {text}");
            let seen = mesh.upstream.last().expect("a request");
            assert_eq!(seen.header("x-sa-name").as_deref(), Some("api"), "Envoy {version}");
            mesh.check_wrong_peer(&get(&stolen).send(client.port()).await?, "a stolen token")?;
            mesh.check_wrong_peer(&get(&same_namespace).send(client.port()).await?, "api/web")?;
            // The connection still accepts the token of its workload.
            assert_eq!(get(&own).send(client.port()).await?.status, 200, "Envoy {version}");
            assert_eq!(mesh.upstream.count(), before + 2, "Envoy {version}, {match_peer}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn trust_domain_is_compared_only_if_configured() -> Result<()> {
    for version in oldest_and_newest() {
        let mesh = Mesh::new(version.clone()).await?;
        let (token, elsewhere) = (mesh.token(&api()), "spiffe://elsewhere.test/ns/api/sa/api");
        let server = mesh.server(json!({ "trustDomain": "cluster.local" }), true).await?;
        let refused = mesh.answer(&server, &[elsewhere], &token).await?;
        mesh.check_wrong_peer(&refused, "another trust domain")?;
        assert_eq!(mesh.upstream.count(), 0, "Envoy {version}");
        let server = mesh.server(json!(true), true).await?;
        let response = mesh.answer(&server, &[elsewhere], &token).await?;
        assert_eq!(response.status, 200, "Envoy {version}: {}", response.text());
    }
    Ok(())
}

#[tokio::test]
async fn connection_without_a_service_account_spiffe_id_is_a_wrong_peer() -> Result<()> {
    for version in oldest_and_newest() {
        let mesh = Mesh::new(version.clone()).await?;
        let token = mesh.token(&api());
        let server = mesh.server(json!(true), true).await?;
        for uris in [
            &[][..],
            &["https://cluster.local/ns/api/sa/api"],
            &["spiffe://cluster.local/api"],
            &["spiffe://cluster.local/ns/api/sa/api/x"],
            // Envoy provides only the first URI.
            &["https://api.test", API],
        ] {
            let refused = mesh.answer(&server, uris, &token).await?;
            mesh.check_wrong_peer(&refused, &format!("{uris:?}"))?;
        }
        assert_eq!(mesh.upstream.count(), 0, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn connection_without_a_client_certificate_is_a_wrong_peer() -> Result<()> {
    for version in oldest_and_newest() {
        let mesh = Mesh::new(version.clone()).await?;
        let token = mesh.token(&api());
        let plain = mesh.filter(json!(true)).start().await?;
        let refused = get(&token).send(plain.port()).await?;
        mesh.check_wrong_peer(&refused, "a plain connection")?;
        let server = mesh.server(json!(true), false).await?;
        let client = mesh.client(&server, None).await?;
        let refused = get(&token).send(client.port()).await?;
        mesh.check_wrong_peer(&refused, "TLS without a client certificate")?;
        assert_eq!(mesh.upstream.count(), 0, "Envoy {version}");
        // With a certificate, the same listener accepts the request.
        let response = mesh.answer(&server, &[API], &token).await?;
        assert_eq!(response.status, 200, "Envoy {version}: {}", response.text());
    }
    Ok(())
}

#[tokio::test]
async fn client_certificate_of_another_ca_is_rejected() -> Result<()> {
    for version in oldest_and_newest() {
        let (mesh, rogue) = (Mesh::new(version.clone()).await?, WorkloadCa::new()?);
        for required in [true, false] {
            let server = mesh.server(json!(true), required).await?;
            let client = mesh.client(&server, Some(&rogue.issue(&[API])?)).await?;
            // The client's Envoy responds, because the server's Envoy ended the handshake.
            let response = get(&mesh.token(&api())).send(client.port()).await?;
            assert_eq!(response.status, 503, "Envoy {version}: {}", response.text());
            assert_eq!(response.reason(), None, "Envoy {version}");
            server.wait_stat(FAILED_VERIFY, |count| count > 0).await?;
        }
        assert_eq!(mesh.upstream.count(), 0, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn token_passes_over_any_connection_without_match_peer() -> Result<()> {
    for version in oldest_and_newest() {
        let mesh = Mesh::new(version.clone()).await?;
        let token = mesh.token(&Token::for_service_account("web", "web"));
        let server = mesh.server(json!(false), true).await?;
        let response = mesh.answer(&server, &[API], &token).await?;
        assert_eq!(response.status, 200, "Envoy {version}: {}", response.text());
    }
    Ok(())
}

/// Clients with certificates of another CA.
const FAILED_VERIFY: &str = "listener.127.0.0.1_0.ssl.fail_verify_error";
