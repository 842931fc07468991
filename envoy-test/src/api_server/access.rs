//! Answers SubjectAccessReviews from the RBAC objects of the cluster.

use serde_json::{Map, Value, json};

use crate::lock::lock;

use super::answer::Answer;
use super::authenticate::User;
use super::cluster::Cluster;
use super::rbac::Access;

/// `POST /apis/authorization.k8s.io/v1/subjectaccessreviews`
pub(super) fn review(cluster: &Cluster, reviewer: &User, body: &[u8]) -> Answer {
    if !lock(&cluster.delegators).contains(&reviewer.username) {
        return forbidden(reviewer);
    }
    let Ok(review) = serde_json::from_slice::<Value>(body) else {
        return Answer::bad_request("the object provided is unrecognized");
    };
    let spec = &review["spec"];
    let (resource, path) = (spec.get("resourceAttributes"), spec.get("nonResourceAttributes"));
    let attributes = match (resource, path) {
        (Some(attributes), None) | (None, Some(attributes)) => attributes,
        (Some(_), Some(_)) => {
            return invalid(
                "spec.nonResourceAttributes",
                "cannot be specified in combination with resourceAttributes",
            );
        }
        (None, None) => {
            let what =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return invalid("spec.resourceAttributes", what);
        }
    };
    let user = user(spec);
    if user.username.is_empty() && user.groups.is_empty() {
        return invalid("spec.user", "at least one of user or group must be specified");
    }
    let Ok(access) = serde_json::from_value::<Access>(attributes.clone()) else {
        return Answer::bad_request("the object provided is unrecognized");
    };
    let judgement = lock(&cluster.rbac).judge(&user, &access);
    let mut status = json!({ "allowed": judgement.allowed });
    if !judgement.reason.is_empty() {
        status["reason"] = json!(judgement.reason);
    }
    let answer = json!({
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": status,
    });
    Answer::new(201, "application/json", format!("{answer}\n")).flow_controlled()
}

// === private ===

fn user(spec: &Value) -> User {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let groups = spec["groups"].as_array().into_iter().flatten().filter_map(text);
    User {
        username: text(&spec["user"]).unwrap_or_default(),
        uid: text(&spec["uid"]),
        groups: groups.collect(),
        extra: Map::new(),
    }
}

fn invalid(field: &str, what: &str) -> Answer {
    let message = format!(
        "SubjectAccessReview.authorization.k8s.io \"\" is invalid: {field}: Invalid value: {what}"
    );
    Answer::failure(422, "Invalid", &message, None).flow_controlled()
}

fn forbidden(reviewer: &User) -> Answer {
    let message = format!(
        "subjectaccessreviews.authorization.k8s.io is forbidden: User {:?} cannot create resource \
         \"subjectaccessreviews\" in API group \"authorization.k8s.io\" at the cluster scope",
        reviewer.username
    );
    let details = json!({ "group": "authorization.k8s.io", "kind": "subjectaccessreviews" });
    Answer::forbidden(&message, details)
}
