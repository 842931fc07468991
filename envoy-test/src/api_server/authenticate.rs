//! Authenticates a token for audiences: the user, or the error text of Kubernetes.

mod jws;
mod times;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::lock::lock;
use crate::token::{LEGACY_ISSUER, unix_now};

use super::cluster::Cluster;
use super::objects::{Kind, Objects, legacy_claim};
use jws::Jws;

/// `UserInfo` of a TokenReview.
#[derive(Clone, Debug, Serialize)]
pub(super) struct User {
    pub(super) username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<String>,
    pub(super) groups: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) extra: Map<String, Value>,
}

/// A user, and those of the requested audiences that the token is for.
#[derive(Clone, Debug)]
pub(super) struct Authenticated {
    pub(super) user: User,
    pub(super) audiences: Vec<String>,
}

/// `status.error` of a TokenReview.
pub(super) type Refusal = String;

// === impl User ===

impl User {
    pub(super) fn anonymous() -> Self {
        Self {
            username: "system:anonymous".to_owned(),
            uid: None,
            groups: vec!["system:unauthenticated".to_owned()],
            extra: Map::new(),
        }
    }

    fn service_account(namespace: &str, name: &str, uid: &str, extra: Map<String, Value>) -> Self {
        Self {
            username: format!("system:serviceaccount:{namespace}:{name}"),
            uid: Some(uid.to_owned()),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            extra,
        }
    }
}

/// Authenticates a token, with the API server's cache.
pub(super) fn authenticate(
    cluster: &Cluster,
    token: &str,
    audiences: &[String],
) -> Result<Authenticated, Refusal> {
    if let Some(remembered) = lock(&cluster.successes).get(token, audiences) {
        return Ok(remembered);
    }
    let fresh = judge(cluster, token, audiences)?;
    lock(&cluster.successes).put(token, audiences, &fresh);
    Ok(fresh)
}

// === private ===

fn judge(cluster: &Cluster, token: &str, requested: &[String]) -> Result<Authenticated, Refusal> {
    let jws = Jws::parse(token).ok_or("invalid bearer token")?;
    let legacy = jws.issuer() == Some(LEGACY_ISSUER);
    if !legacy && !jws.issuer().is_some_and(|issuer| cluster.options.accepts_issuer(issuer)) {
        return Err("invalid bearer token".to_owned());
    }
    let detailed = |why: String| format!("[invalid bearer token, {why}]");
    jws.verify(&lock(&cluster.keys).verifying).map_err(detailed)?;
    times::are_numbers(&jws.claims).map_err(detailed)?;
    let audiences = audiences(cluster, &jws.claims, requested).map_err(detailed)?;
    let objects = lock(&cluster.objects);
    let user = if legacy {
        legacy_user(&jws.claims, &objects)
    } else {
        times::check(&jws.claims, unix_now()).and_then(|()| user(&jws.claims, &objects))
    };
    Ok(Authenticated { user: user.map_err(detailed)?, audiences })
}

/// The requested audiences that the token has, in the order of the request.
fn audiences(
    cluster: &Cluster,
    claims: &Value,
    requested: &[String],
) -> Result<Vec<String>, Refusal> {
    let mut own: Vec<String> = match &claims["aud"] {
        Value::String(audience) => vec![audience.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if own.is_empty() {
        own = cluster.options.own_audiences();
    }
    let both: Vec<String> = requested.iter().filter(|asked| own.contains(asked)).cloned().collect();
    if both.is_empty() {
        let (own, requested) = (quoted(&own), quoted(requested));
        return Err(format!(
            "token audiences {own} is invalid for the target audiences {requested}"
        ));
    }
    Ok(both)
}

/// As Go prints a list of strings with %q.
fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|item| json!(item).to_string()).collect();
    format!("[{}]", quoted.join(" "))
}

fn user(claims: &Value, objects: &Objects) -> Result<User, Refusal> {
    let private = &claims["kubernetes.io"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = text(&private["namespace"]);
    let (name, claimed) =
        (text(&private["serviceaccount"]["name"]), text(&private["serviceaccount"]["uid"]));
    let uid = account_uid(objects, &namespace, &name)?;
    if uid != claimed {
        return Err(format!("service account UID ({uid}) does not match claim ({claimed})"));
    }
    bound(objects, private, Kind::Secret, &namespace, "secret")?;
    bound(objects, private, Kind::Pod, &namespace, "pod")?;
    // The node in a pod's token is informational.
    if private.get("pod").is_none() {
        bound(objects, private, Kind::Node, "", "node")?;
    }
    Ok(User::service_account(&namespace, &name, &uid, extra(claims)))
}

fn legacy_user(claims: &Value, objects: &Objects) -> Result<User, Refusal> {
    let part = |name| legacy_claim(claims, name).unwrap_or_default();
    let (namespace, name) = (part("namespace"), part("service-account.name"));
    if objects.uid(Kind::Secret, namespace, part("secret.name")).is_none() {
        return Err("Token has been invalidated".to_owned());
    }
    let uid = account_uid(objects, namespace, name)?;
    Ok(User::service_account(namespace, name, &uid, Map::new()))
}

fn account_uid(objects: &Objects, namespace: &str, name: &str) -> Result<String, Refusal> {
    if name.is_empty() {
        return Err("resource name may not be empty".to_owned());
    }
    let uid = objects.uid(Kind::ServiceAccount, namespace, name);
    uid.map(str::to_owned).ok_or_else(|| format!("serviceaccounts {name:?} not found"))
}

fn bound(
    objects: &Objects,
    private: &Value,
    kind: Kind,
    namespace: &str,
    word: &str,
) -> Result<(), Refusal> {
    let Some(reference) = private.get(kind.claim()) else { return Ok(()) };
    let name = reference["name"].as_str().unwrap_or_default();
    let claimed = reference["uid"].as_str().unwrap_or_default();
    match objects.uid(kind, namespace, name) {
        None => Err("service account token has been invalidated".to_owned()),
        Some(uid) if uid != claimed => {
            let title = if kind == Kind::Node { "node" } else { word };
            Err(format!(
                "{title} UID ({uid}) does not match service account {word} ref claim ({claimed})"
            ))
        }
        Some(_) => Ok(()),
    }
}

fn extra(claims: &Value) -> Map<String, Value> {
    let private = &claims["kubernetes.io"];
    let jti = claims["jti"].as_str().map(|jti| format!("JTI={jti}"));
    let named = |object: &str, member: &str| private[object][member].as_str().map(str::to_owned);
    [
        ("credential-id", jti),
        ("node-name", named("node", "name")),
        ("node-uid", named("node", "uid")),
        ("pod-name", named("pod", "name")),
        ("pod-uid", named("pod", "uid")),
    ]
    .into_iter()
    .filter_map(|(name, value)| {
        Some((format!("authentication.kubernetes.io/{name}"), json!([value?])))
    })
    .collect()
}
