//! Two services, each an application with its own Envoy, as separate processes.
//!
//! ```text
//! client-app ─► Envoy (caller/envoy.yaml) ══ TLS, token ══► Envoy (envoy.yaml, the filter) ─► server-app
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use envoy_test::apps::{ClientApp, LoadApp, ServerApp};
use envoy_test::envoy::caller::{ORDERS, SECRET_STORE, TELEMETRY};
use envoy_test::{
    ApiServer, ApiServerOptions, CallerSetup, Envoy, EnvoySetup, Request, Response, WorkloadCa,
    poll,
};
use serde_json::Value;

/// The called service and its cluster.
pub struct Service {
    version: String,
    pub api_server: ApiServer,
    pub envoy: Envoy,
    pub app: ServerApp,
    ca: WorkloadCa,
}

/// A calling service.
pub struct Caller {
    pub envoy: Envoy,
    app: ClientApp,
    how: How,
    last: Option<String>,
}

/// How the caller's Envoy sends the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `Authorization: Bearer <token>`
    Bearer,
    /// `X-Client-Id: <token>`
    ClientId,
    /// Without a token.
    NotAtAll,
}

/// A configuration of `filter-config/`.
pub fn shipped(name: &str) -> Result<Value> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../filter-config"));
    let text = fs::read(folder.join(format!("{name}.json"))).with_context(|| name.to_owned())?;
    Ok(serde_json::from_slice(&text)?)
}

// === impl Service ===

impl Service {
    /// A service with this filter configuration, in a cluster without anonymous access.
    pub async fn start(version: &str, config: Value) -> Result<Self> {
        Self::start_in(version, cluster().await?, config).await
    }

    /// The same in an existing cluster.
    pub async fn start_in(version: &str, api_server: ApiServer, config: Value) -> Result<Self> {
        // The RBAC permission for TokenReviews; other configurations do not need it.
        api_server.grant_auth_delegator("envoy-system", "sa-authn");
        let app = ServerApp::start(env!("CARGO_BIN_EXE_server-app")).await?;
        let ca = WorkloadCa::new()?;
        let envoy = EnvoySetup::new()
            .version(version)
            .api_server(&api_server)
            .upstream_port(app.port())
            .plugin_config(config)
            .patch(serving(&ca, &NAMES)?)
            .start()
            .await?;
        Ok(Self { version: version.to_owned(), api_server, envoy, app, ca })
    }

    /// A service that calls this one with a token.
    pub async fn caller(&self, how: How, token: &str) -> Result<Caller> {
        Caller::start(self.calling(how, token), how).await
    }

    /// The Envoy of such a service.
    pub fn calling(&self, how: How, token: &str) -> CallerSetup {
        let setup = [ORDERS, SECRET_STORE, TELEMETRY]
            .into_iter()
            .fold(CallerSetup::new(&self.ca).version(&self.version), |setup, service| {
                setup.destination(service, self.envoy.port())
            });
        let setup = setup.patch(telemetry_with_tls);
        if how == How::NotAtAll { setup } else { setup.token(how.service(), token) }
    }
}

// === impl Caller ===

impl Caller {
    /// Starts its Envoy and its application.
    pub async fn start(setup: CallerSetup, how: How) -> Result<Self> {
        let envoy = setup.start().await?;
        let app = ClientApp::start(CLIENT_APP, envoy.port())?;
        Ok(Self { envoy, app, how, last: None })
    }

    /// Has the application request this path.
    pub async fn get(&mut self, path: &str) -> Result<Response> {
        self.app.send(&self.how.request(path)).await
    }

    /// Replaces the token as the kubelet does.
    pub fn rotate(&self, token: &str) -> Result<()> {
        self.envoy.credential("tokens").update(&[(self.how.service(), token)])
    }

    /// An application that sends continuously through the same Envoy.
    pub async fn load(&self) -> Result<LoadApp> {
        LoadApp::start(CLIENT_APP, self.envoy.port(), &self.how.request("/")).await
    }

    /// Rotates to another token; requests keep their outcome until then, and have `expected` afterwards.
    pub async fn becomes(&mut self, token: &str, expected: &str) -> Result<Response> {
        self.rotate(token)?;
        poll::until(expected, async || {
            let response = self.get("/").await?;
            let outcome = outcome(&response);
            if outcome == expected {
                self.last = Some(outcome);
                return Ok(Some(response));
            }
            match &self.last {
                Some(last) if *last == outcome => Ok(None),
                last => {
                    bail!("{outcome} instead of {expected}, after {last:?}: {}", response.text())
                }
            }
        })
        .await
    }
}

// === impl How ===

impl How {
    /// The name of the service in the caller's Envoy.
    pub fn service(self) -> &'static str {
        match self {
            Self::Bearer => ORDERS,
            Self::ClientId => SECRET_STORE,
            Self::NotAtAll => TELEMETRY,
        }
    }

    /// A request as the application makes it: without a token.
    pub fn request(self, path: &str) -> Request {
        Request::get(path).header("host", format!("{}.shop.svc", self.service()))
    }
}

/// Status and reason: `200`, `403 forbidden`.
pub fn outcome(response: &Response) -> String {
    let reason = response.reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!("{}{reason}", response.status)
}

/// Fails unless the server application answered, received these identity headers, and received no token.
pub fn check_identity(response: &Response, expected: &[(&str, &str)]) -> Result<()> {
    ensure!(response.status == 200, "{} {}", response.status, response.text());
    let headers: Vec<(String, String)> =
        serde_json::from_value(response.json()?["headers"].take())?;
    let told: BTreeMap<&str, &str> = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-sa-"))
        .map(|(name, value)| (&**name, &**value))
        .collect();
    ensure!(told == expected.iter().copied().collect(), "{told:?}");
    let tokens =
        headers.iter().find(|(_, value)| value.split('.').count() == 3 && value.len() > 99);
    ensure!(tokens.is_none(), "the server application got a token: {tokens:?}");
    Ok(())
}

/// A cluster without anonymous access.
pub async fn cluster() -> Result<ApiServer> {
    let options = ApiServerOptions { anonymous_auth: false, ..ApiServerOptions::default() };
    ApiServer::start(options).await
}

/// Gives an Envoy's listener a certificate with these names.
pub fn serving(ca: &WorkloadCa, names: &[&str]) -> Result<impl FnOnce(&mut Value) + Send + use<>> {
    let tls = ca.downstream(&ca.issue_for(names)?, false);
    Ok(move |tree: &mut Value| {
        tree["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = tls;
    })
}

// === private ===

/// A route to the service without a token.
fn telemetry_with_tls(tree: &mut Value) {
    let clusters = &mut tree["static_resources"]["clusters"];
    assert_eq!(clusters[2]["name"], TELEMETRY);
    clusters[2]["transport_socket"] = clusters[0]["transport_socket"].clone();
}

const NAMES: [&str; 2] = ["orders.shop.svc", "secret-store.shop.svc"];
const CLIENT_APP: &str = env!("CARGO_BIN_EXE_client-app");
