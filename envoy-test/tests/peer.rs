//! `matchPeer` with mTLS between two Envoys: a token passes only over connections of its workload.

use crate::support::{api, check_refused, config, get, listeners};
use anyhow::Result;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{
    Envoy, EnvoySetup, Identity, KeyKind, Response, SigningKey, Token, Upstream, WorkloadCa, jwks,
};
use serde_json::{Value, json};

const API: &str = "spiffe://cluster.local/ns/api/sa/api";

/// How a listener is connected to.
enum Security {
    Plain,
    /// A client certificate is optional.
    Tls,
    /// A client certificate is required.
    Mutual,
}

/// The server's Envoy, and the ports of its listeners.
struct Server {
    envoy: Envoy,
    ports: Vec<u16>,
}

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

    /// The filter in front of the upstream, with listeners for several values of `matchPeer`.
    async fn server(&self, listeners: &[(Value, Security)]) -> Result<Server> {
        let own = self.ca.issue(&["spiffe://cluster.local/ns/store/sa/store"])?;
        let (mut configs, mut sockets) = (Vec::new(), Vec::new());
        for (match_peer, security) in listeners {
            let mut config = config(json!({ "inline": jwks(&[&self.key]) }));
            config["issuers"][0]["matchPeer"] = match_peer.clone();
            configs.push(config.to_string());
            sockets.push(match security {
                Security::Plain => None,
                Security::Tls => Some(self.ca.downstream(&own, false)),
                Security::Mutual => Some(self.ca.downstream(&own, true)),
            });
        }
        let listen = move |tree: &mut Value| {
            listeners::one_for_each(tree, &configs);
            for (number, socket) in sockets.into_iter().enumerate() {
                if let Some(tls) = socket {
                    let listener = &mut tree["static_resources"]["listeners"][number];
                    listener["filter_chains"][0]["transport_socket"] = tls;
                }
            }
        };
        let envoy = self.setup().upstream(&self.upstream).patch(listen).start().await?;
        let ports = listeners::ports(&envoy, listeners.len()).await?;
        Ok(Server { envoy, ports })
    }

    /// The client's Envoy: it accepts plain requests, and connects to this port of the server as `identity`.
    async fn client(&self, port: u16, identity: Option<&Identity>) -> Result<Envoy> {
        let tls = self.ca.upstream(identity);
        let originate = move |tree: &mut Value| {
            let cluster = &mut tree["static_resources"]["clusters"][0];
            let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0];
            endpoint["endpoint"]["address"]["socket_address"]["port_value"] = json!(port);
            cluster["transport_socket"] = tls;
        };
        self.setup().without_filter().patch(originate).start().await
    }

    /// The response to a token over a connection with these URIs in the certificate.
    async fn answer(&self, port: u16, uris: &[&str], token: &str) -> Result<Response> {
        let client = self.client(port, Some(&self.ca.issue(uris)?)).await?;
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
        let values = [json!(true), json!({ "trustDomain": "cluster.local" })];
        let server = mesh.server(&values.clone().map(|value| (value, Security::Mutual))).await?;
        for (match_peer, port) in values.iter().zip(&server.ports) {
            let client = mesh.client(*port, Some(&mesh.ca.issue(&[API])?)).await?;
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
        let values = [json!({ "trustDomain": "cluster.local" }), json!(true)];
        let server = mesh.server(&values.map(|value| (value, Security::Mutual))).await?;
        let refused = mesh.answer(server.ports[0], &[elsewhere], &token).await?;
        mesh.check_wrong_peer(&refused, "another trust domain")?;
        assert_eq!(mesh.upstream.count(), 0, "Envoy {version}");
        let response = mesh.answer(server.ports[1], &[elsewhere], &token).await?;
        assert_eq!(response.status, 200, "Envoy {version}: {}", response.text());
    }
    Ok(())
}

#[tokio::test]
async fn connection_without_a_service_account_spiffe_id_is_a_wrong_peer() -> Result<()> {
    for version in oldest_and_newest() {
        let mesh = Mesh::new(version.clone()).await?;
        let token = mesh.token(&api());
        let server = mesh.server(&[(json!(true), Security::Mutual)]).await?;
        for uris in [
            &[][..],
            &["https://cluster.local/ns/api/sa/api"],
            &["spiffe://cluster.local/api"],
            &["spiffe://cluster.local/ns/api/sa/api/x"],
            // Envoy provides only the first URI.
            &["https://api.test", API],
        ] {
            let refused = mesh.answer(server.ports[0], uris, &token).await?;
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
        let listeners = [(json!(true), Security::Plain), (json!(true), Security::Tls)];
        let server = mesh.server(&listeners).await?;
        let [plain, tls] = server.ports[..] else { unreachable!("two listeners") };
        let refused = get(&token).send(plain).await?;
        mesh.check_wrong_peer(&refused, "a plain connection")?;
        let client = mesh.client(tls, None).await?;
        let refused = get(&token).send(client.port()).await?;
        mesh.check_wrong_peer(&refused, "TLS without a client certificate")?;
        assert_eq!(mesh.upstream.count(), 0, "Envoy {version}");
        // With a certificate, the same listener accepts the request.
        let response = mesh.answer(tls, &[API], &token).await?;
        assert_eq!(response.status, 200, "Envoy {version}: {}", response.text());
    }
    Ok(())
}

#[tokio::test]
async fn client_certificate_of_another_ca_is_rejected() -> Result<()> {
    for version in oldest_and_newest() {
        let (mesh, rogue) = (Mesh::new(version.clone()).await?, WorkloadCa::new()?);
        let listeners = [(json!(true), Security::Mutual), (json!(true), Security::Tls)];
        let server = mesh.server(&listeners).await?;
        for port in &server.ports {
            let before = server.envoy.stat(FAILED_VERIFY).await?;
            let client = mesh.client(*port, Some(&rogue.issue(&[API])?)).await?;
            // The client's Envoy responds, because the server's Envoy ended the handshake.
            let response = get(&mesh.token(&api())).send(client.port()).await?;
            assert_eq!(response.status, 503, "Envoy {version}: {}", response.text());
            assert_eq!(response.reason(), None, "Envoy {version}");
            server.envoy.wait_stat(FAILED_VERIFY, |count| count > before).await?;
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
        let server = mesh.server(&[(json!(false), Security::Mutual)]).await?;
        let response = mesh.answer(server.ports[0], &[API], &token).await?;
        assert_eq!(response.status, 200, "Envoy {version}: {}", response.text());
    }
    Ok(())
}

/// Clients with certificates of another CA.
const FAILED_VERIFY: &str = "listener.127.0.0.1_0.ssl.fail_verify_error";
