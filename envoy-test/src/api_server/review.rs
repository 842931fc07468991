//! Answers TokenReviews.

use serde_json::{Value, json};

use crate::lock::lock;

use super::answer::Answer;
use super::authenticate::{Authenticated, User, authenticate};
use super::bearer::bearer;
use super::cluster::Cluster;

/// `POST /apis/authentication.k8s.io/v1/tokenreviews`
pub(super) fn review(cluster: &Cluster, reviewer: &User, body: &[u8]) -> Answer {
    if !lock(&cluster.delegators).contains(&reviewer.username) {
        return forbidden(reviewer);
    }
    let Ok(review) = serde_json::from_slice::<Value>(body) else {
        return Answer::bad_request("the object provided is unrecognized");
    };
    let spec = &written(&review["spec"]);
    let token = spec["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Answer::bad_request("token is required for TokenReview in authentication");
    }
    let status = status(cluster, token, &audiences(cluster, spec));
    let answer = json!({
        "kind": "TokenReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": { "managedFields": [managed_fields(spec)] },
        "spec": spec,
        "status": status,
    });
    Answer::new(201, "application/json", format!("{answer}\n")).flow_controlled()
}

// === private ===

fn status(cluster: &Cluster, token: &str, audiences: &[String]) -> Value {
    // The token is put behind "Bearer " and read again like a request's header. One that begins with
    // white space is then an empty token, and the result is an anonymous user with all
    // requested audiences.
    let header = format!("Bearer {token}");
    let Some(token) = bearer(&header) else {
        return yes(&Authenticated { user: User::anonymous(), audiences: audiences.to_vec() });
    };
    match authenticate(cluster, token, audiences) {
        Ok(authenticated) => yes(&authenticated),
        Err(refusal) => json!({ "user": {}, "error": refusal }),
    }
}

fn yes(authenticated: &Authenticated) -> Value {
    json!({
        "authenticated": true,
        "user": authenticated.user,
        "audiences": authenticated.audiences,
    })
}

/// The spec as the API server writes it: without an empty list, and sorted.
fn written(spec: &Value) -> Value {
    let members = spec.as_object().into_iter().flatten();
    members
        .filter(|(_, member)| *member != &json!([]))
        .map(|(name, member)| (name.clone(), member.clone()))
        .collect()
}

fn audiences(cluster: &Cluster, spec: &Value) -> Vec<String> {
    match spec["audiences"].as_array() {
        Some(list) if !list.is_empty() => {
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => cluster.options.own_audiences(),
    }
}

fn forbidden(reviewer: &User) -> Answer {
    let message = format!(
        "tokenreviews.authentication.k8s.io is forbidden: User {:?} cannot create resource \
         \"tokenreviews\" in API group \"authentication.k8s.io\" at the cluster scope",
        reviewer.username
    );
    Answer::forbidden(&message, json!({ "group": "authentication.k8s.io", "kind": "tokenreviews" }))
}

/// Real responses contain this field, with a changing time.
fn managed_fields(spec: &Value) -> Value {
    let fields: serde_json::Map<String, Value> = spec
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| (format!("f:{name}"), json!({})))
        .collect();
    json!({
        "manager": "unknown",
        "operation": "Update",
        "apiVersion": "authentication.k8s.io/v1",
        "time": "2026-11-21T23:01:11Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": { "f:spec": fields },
    })
}
