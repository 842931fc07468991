//! The fake API server of `envoy-test` answers as the real one: discovery, JWKS, and TokenReview with all that can happen to a token.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cluster_test::{Kubectl, claims, until};
use envoy_test::{ApiServer, ApiServerOptions, Token};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// A server that is asked, real or fake.
struct Server {
    /// `host:port`
    address: String,
    ca: NamedTempFile,
}

/// A request, with a name for messages.
struct Question<'a> {
    method: &'a str,
    path: &'a str,
    token: Option<String>,
    accept: Option<&'a str>,
    body: Option<Value>,
}

/// What is compared: status, headers, body. Ids, times and lengths differ.
#[derive(Debug, PartialEq)]
struct Seen {
    status: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

// === impl Server ===

impl Server {
    fn new(address: String, ca: &[u8]) -> Result<Self> {
        let mut file = NamedTempFile::new()?;
        file.write_all(ca)?;
        Ok(Self { address, ca: file })
    }

    fn ask(&self, question: &Question) -> Result<Seen> {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "-i",
            "-m",
            "20",
            "--http1.1",
            "-A",
            "",
            "-X",
            question.method,
            "--cacert",
        ]);
        curl.arg(self.ca.path()).args(["--connect-to", &format!("::{}", self.address)]);
        curl.arg(format!("https://kubernetes.default.svc{}", question.path));
        if let Some(token) = &question.token {
            curl.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        curl.args([
            "-H",
            &question.accept.map_or("Accept:".to_owned(), |accept| format!("Accept: {accept}")),
        ]);
        if let Some(body) = &question.body {
            curl.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        }
        let output = curl.output().context("curl")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (head, body) = text.split_once("\r\n\r\n").with_context(|| {
            format!("{}: {}", question.path, String::from_utf8_lossy(&output.stderr))
        })?;
        let (status, headers) = head.split_once("\r\n").context(head.to_owned())?;
        let headers = headers.lines().filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let mut headers: BTreeMap<_, _> = headers.collect();
        for varies in
            ["audit-id", "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"]
        {
            headers.entry(varies.to_owned()).and_modify(|value| *value = "an id".to_owned());
        }
        headers.remove("date");
        headers.remove("content-length");
        let body = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
        Ok(Seen { status: status.to_owned(), headers, body })
    }
}

/// The real API server, and its administrator.
fn real() -> Result<(Server, Kubectl)> {
    let kubectl = Kubectl::admin();
    let config = kubectl.json(["config", "view", "--raw", "--minify", "-o", "json"])?;
    let cluster = &config["clusters"][0]["cluster"];
    let url = cluster["server"].as_str().context("a server")?;
    let address = url.trim_start_matches("https://").to_owned();
    let ca = kubectl.run([
        "-n",
        "default",
        "get",
        "configmap",
        "kube-root-ca.crt",
        "-o",
        r"jsonpath={.data.ca\.crt}",
    ])?;
    Ok((Server::new(address, ca.as_bytes())?, kubectl))
}

/// Removes from an answer what differs between two API servers: ids, names, times, and the key itself.
fn normalized(mut seen: Seen) -> Seen {
    replace(&mut seen.body);
    seen
}

fn replace(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let is_id = ["uid", "time", "token", "kid", "n", "jwks_uri", "x", "y"]
                    .contains(&name.as_str())
                    || name.starts_with("authentication.kubernetes.io/");
                if is_id && !member.is_null() {
                    *member = json!("varies");
                } else {
                    replace(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(replace),
        Value::String(text) => {
            // serviceaccounts "app" not found, and texts with times.
            if let Some((before, _)) = text.split_once("current time") {
                *text = before.to_owned();
            }
        }
        _ => {}
    }
}

const NAMESPACE: &str = "sa-authn-fake";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

#[tokio::test(flavor = "multi_thread")]
async fn fake_api_server_answers_as_the_real_one() -> Result<()> {
    let (real, kubectl) = real()?;
    kubectl.apply(&objects())?;
    let options = ApiServerOptions { anonymous_auth: false, ..ApiServerOptions::default() };
    let fake = ApiServer::start(options).await?;
    fake.grant_auth_delegator(NAMESPACE, "reviewer");
    let fake_server = Server::new(format!("127.0.0.1:{}", fake.port()), fake.ca_pem().as_bytes())?;

    // A token of the same account for the same audience, from each.
    let pair = |account: &str, audience: &str| -> Result<[String; 2]> {
        let token = Token::for_service_account(NAMESPACE, account).audience(audience);
        Ok([kubectl.token(NAMESPACE, account, audience)?, fake.mint(token)])
    };
    let (app, reviewer) = (pair("app", ISSUER)?, pair("reviewer", ISSUER)?);
    let (service, gone) = (pair("app", "svc")?, pair("gone", "svc")?);
    kubectl.run(["-n", NAMESPACE, "delete", "serviceaccount", "gone"])?;
    fake.delete_service_account(NAMESPACE, "gone");
    until("the permission", || {
        let tokens = Kubectl::with_token(Some(&reviewer[0]))?;
        let answer = tokens.run(["auth", "can-i", "create", "tokenreviews.authentication.k8s.io"]);
        Ok((answer.as_deref().unwrap_or_default() != "yes").then(|| format!("{answer:?}")))
    })?;

    let mut different = Vec::new();
    let mut compared = 0;
    let mut compare = |name: &str, questions: [Question; 2]| -> Result<()> {
        let [to_real, to_fake] = &questions;
        let (real, fake) = (normalized(real.ask(to_real)?), normalized(fake_server.ask(to_fake)?));
        compared += 1;
        if real != fake {
            different.push(format!("{name}:\n real {real:?}\n fake {fake:?}"));
        }
        Ok(())
    };
    for path in ["/.well-known/openid-configuration", "/openid/v1/jwks"] {
        for (name, tokens) in
            [("own", Some(&app)), ("another audience", Some(&service)), ("anonymous", None)]
        {
            for (method, accept) in [
                ("GET", None),
                ("POST", None),
                ("GET", Some("application/json")),
                ("GET", Some("text/html")),
            ] {
                let question = |at: usize| Question {
                    method,
                    path,
                    token: tokens.map(|tokens| tokens[at].clone()),
                    accept,
                    body: None,
                };
                compare(&format!("{method} {path} {name} {accept:?}"), [question(0), question(1)])?;
            }
        }
    }
    let tampered = service.clone().map(|token| format!("{}AAAA", &token[..token.len() - 4]));
    let reviewed = [
        ("valid", &service, json!(["svc"])),
        ("one of two audiences", &service, json!(["other", "svc"])),
        ("another audience", &service, json!(["other"])),
        ("the API server's audience", &app, json!([])),
        ("not for the API server", &service, json!([])),
        ("a deleted account", &gone, json!(["svc"])),
        ("a bad signature", &tampered, json!(["svc"])),
        ("no token", &[String::new(), String::new()], json!(["svc"])),
        ("garbage", &["x.y.z".to_owned(), "x.y.z".to_owned()], json!(["svc"])),
        ("not a JWT", &["hello".to_owned(), "hello".to_owned()], json!(["svc"])),
    ];
    for (name, tokens, audiences) in reviewed {
        for (by, caller) in [("reviewer", &reviewer), ("app", &app)] {
            let question = |at: usize| Question {
                method: "POST",
                path: "/apis/authentication.k8s.io/v1/tokenreviews",
                token: Some(caller[at].clone()),
                accept: Some("application/json"),
                body: Some(json!({
                    "apiVersion": "authentication.k8s.io/v1",
                    "kind": "TokenReview",
                    "spec": { "token": tokens[at], "audiences": audiences },
                })),
            };
            compare(&format!("TokenReview of {name} by {by}"), [question(0), question(1)])?;
        }
    }
    println!("{compared} answers compared");
    ensure!(
        different.is_empty(),
        "{} of {compared} differ:\n{}",
        different.len(),
        different.join("\n")
    );
    // The claims of both have the same names.
    let [real_claims, fake_claims] =
        service.map(|token| claims(&token).map(|claims| names(&claims)));
    assert_eq!(real_claims?, fake_claims?);
    Ok(())
}

/// The names of all members, at every depth.
fn names(value: &Value) -> Vec<String> {
    let Some(members) = value.as_object() else { return Vec::new() };
    let mut all = Vec::new();
    for (name, member) in members {
        all.push(name.clone());
        all.extend(names(member).into_iter().map(|inner| format!("{name}/{inner}")));
    }
    all.sort();
    all
}

/// The namespace, three accounts, and the permission of one of them to review tokens.
fn objects() -> String {
    let account = |name: &str| {
        let metadata = json!({ "name": name, "namespace": NAMESPACE });
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata })
    };
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    let items = [namespace, account("app"), account("reviewer"), account("gone"), binding()];
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

fn binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "sa-authn-fake" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator" },
        "subjects": [{ "kind": "ServiceAccount", "name": "reviewer", "namespace": NAMESPACE }],
    })
}
