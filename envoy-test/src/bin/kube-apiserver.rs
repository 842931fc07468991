//! The fake kube-apiserver as a process for docker-compose, which also rotates the tokens of pods as a kubelet does.
//!
//! `kube-apiserver ADDRESS [NAMESPACE/NAME[@AUDIENCE]=FILE]...` serves at ADDRESS. Each FILE is the projected token of a
//! service account, for the audience or else for the API server itself, in a volume with `ca.crt` beside it; all are
//! replaced every ten seconds. A new start is a new cluster: other keys, another CA.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use envoy_test::{ApiServer, ApiServerOptions, ProjectedVolume, Token};

/// A token that a pod is to find in a file.
struct Mount {
    namespace: String,
    name: String,
    audience: Option<String>,
    folder: PathBuf,
    file: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().context("the address to listen at, as 0.0.0.0:443")?;
    let mounts =
        arguments.map(|text| mount(&text).with_context(|| text)).collect::<Result<Vec<_>>>();
    // Without anonymous access.
    let options = ApiServerOptions { anonymous_auth: false, ..ApiServerOptions::default() };
    let api_server = ApiServer::start_at(address.parse()?, options).await?;
    println!("serving at {address}");
    let volumes = mounts?
        .into_iter()
        .map(|mount| {
            let volume = ProjectedVolume::create(&mount.folder, &[])?;
            Ok((mount, volume))
        })
        .collect::<Result<Vec<_>>>()?;
    loop {
        for (mount, volume) in &volumes {
            let token = api_server.mint(mount.token(&api_server));
            volume.update(&[("ca.crt", api_server.ca_pem()), (&mount.file, &token)])?;
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

// === impl Mount ===

impl Mount {
    fn token(&self, api_server: &ApiServer) -> Token {
        let own = api_server.audience();
        Token::for_service_account(&self.namespace, &self.name)
            .audience(self.audience.as_deref().unwrap_or(&own))
            .pod(&format!("{}-0", self.name))
            .lifetime(LIFETIME)
    }
}

fn mount(text: &str) -> Result<Mount> {
    let (who, file) = text.split_once('=').context("a file is missing")?;
    let (account, audience) = match who.split_once('@') {
        Some((account, audience)) => (account, Some(audience.to_owned())),
        None => (who, None),
    };
    let (namespace, name) = account.split_once('/').context("NAMESPACE/NAME is missing")?;
    let (folder, file) = file.rsplit_once('/').context("a file in a folder is missing")?;
    Ok(Mount {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        audience,
        folder: folder.into(),
        file: file.to_owned(),
    })
}

/// The shortest that Kubernetes gives.
const LIFETIME: u64 = 600;

/// A kubelet rotates after 80 % of the lifetime; this interval makes rotations visible.
const BETWEEN: Duration = Duration::from_secs(10);
