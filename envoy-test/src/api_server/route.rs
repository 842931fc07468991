//! Authenticates, records, authorizes and answers HTTP requests.

use std::io;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde_json::json;

use crate::headers::text;
use crate::lock::lock;

use super::answer::Answer;
use super::authenticate::{User, authenticate};
use super::bearer::bearer;
use super::cluster::Cluster;
use super::fault::{self, Body};
use super::record::{Endpoint, LoggedRequest};
use super::{access, discovery, review};

pub(super) async fn answer(
    request: Request<Incoming>,
    cluster: &Cluster,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let header = |name: &str| parts.headers.get(name).map(|value| text(value.as_bytes()));
    let caller = caller(cluster, header("authorization").as_deref());
    let asked = LoggedRequest {
        at: Instant::now(),
        endpoint: Endpoint::of(parts.uri.path(), &cluster.options),
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or("", |path| path.as_str()).to_owned(),
        caller: caller.as_ref().map(|user| user.username.clone()),
        accept: header("accept"),
        user_agent: header("user-agent"),
        body: text(&body),
    };
    cluster.record.add(asked.clone());
    let _going = cluster.record.begin(asked.endpoint);
    let fault = cluster.record.settled_fault(asked.endpoint).await;
    let answer = match caller {
        None => Answer::unauthorized(),
        Some(user) => respond(cluster, &user, &parts.method, &asked, &body),
    };
    fault::befall(answer, fault).await
}

// === private ===

/// The caller; `None` for an invalid credential, and for an anonymous caller without anonymous access.
fn caller(cluster: &Cluster, authorization: Option<&str>) -> Option<User> {
    match authorization.and_then(bearer) {
        Some(token) => {
            let own = cluster.options.own_audiences();
            authenticate(cluster, token, &own).ok().map(|authenticated| authenticated.user)
        }
        None => cluster.options.anonymous_auth.then(User::anonymous),
    }
}

fn respond(
    cluster: &Cluster,
    user: &User,
    method: &Method,
    asked: &LoggedRequest,
    body: &[u8],
) -> Answer {
    let document = matches!(asked.endpoint, Endpoint::Discovery | Endpoint::Jwks);
    let is_public = cluster.options.anonymous_discovery;
    // The default ClusterRole system:service-account-issuer-discovery allows only `get`.
    let may = *method == Method::GET || lock(&cluster.admins).contains(&user.username);
    if document && may && (is_public || user.username != "system:anonymous") {
        return match (method, asked.endpoint) {
            (&Method::GET, Endpoint::Jwks) => discovery::jwks(cluster, asked.accept.as_deref()),
            (&Method::GET, _) => discovery::document(cluster, asked.accept.as_deref()),
            _ => Answer::method_not_allowed(),
        };
    }
    match (method, asked.endpoint) {
        (&Method::POST, Endpoint::TokenReview) => review::review(cluster, user, body),
        (&Method::POST, Endpoint::SubjectAccessReview) => access::review(cluster, user, body),
        (_, Endpoint::TokenReview | Endpoint::SubjectAccessReview) => Answer::method_not_allowed(),
        _ => forbidden_path(user, method, asked),
    }
}

fn forbidden_path(user: &User, method: &Method, asked: &LoggedRequest) -> Answer {
    let verb = method.as_str().to_lowercase();
    let path = asked.path.split('?').next().unwrap_or_default();
    let user = &user.username;
    Answer::forbidden(&format!("forbidden: User {user:?} cannot {verb} path {path:?}"), json!({}))
}
