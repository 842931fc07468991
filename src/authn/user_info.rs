//! The user of a service account, as the API server derives it from a ServiceAccount token
//! (kubernetes/apiserver:pkg/authentication/serviceaccount/util.go).

use super::proof::Proof;
use super::service_account::ServiceAccount;
use super::signature::sha256;
use serde_json::{Map, Value, json};

/// The members of a SubjectAccessReview's spec that name the user, without braces. Equal users have equal texts.
pub fn members(account: &ServiceAccount) -> String {
    let (groups, extra) = match account.proof() {
        Proof::Review(review) => {
            // Not collected: that would sort, and the module would have the sorting code for this alone.
            let mut extra = Map::new();
            extra.extend(review.user().extra());
            (Value::from(review.user().groups()), extra)
        }
        Proof::Signature(_) => (groups(account.namespace()), extra(account)),
    };
    let mut text = format!("\"groups\":{groups},\"user\":{}", json!(account.subject()));
    if let Some(uid) = account.uid() {
        text += &format!(",\"uid\":{}", json!(uid));
    }
    if !extra.is_empty() {
        // Sorted, whatever map `serde_json` is built with.
        let mut extra = Value::Object(extra);
        extra.sort_all_objects();
        text += &format!(",\"extra\":{extra}");
    }
    text
}

impl ServiceAccount {
    /// Names the user of its SubjectAccessReviews: no two users have the same digest, nor do the users of two issuers, whose
    /// API servers may disagree about an account of the same name and uid. Computed once for each token.
    pub fn user_digest(&self) -> &[u8; 32] {
        self.user_digest
            .get_or_init(|| sha256(format!("{}\n{}", self.issuer().name, members(self)).as_bytes()))
    }
}

fn groups(namespace: &str) -> Value {
    let of_namespace = format!("system:serviceaccounts:{namespace}");
    json!(["system:serviceaccounts", of_namespace, "system:authenticated"])
}

fn extra(account: &ServiceAccount) -> Map<String, Value> {
    let mut extra = Map::new();
    let mut add = |key: &str, value: &str| {
        extra.insert(format!("authentication.kubernetes.io/{key}"), json!([value]));
    };
    if let Some(id) = account.token_id().filter(|id| !id.is_empty()) {
        add("credential-id", &format!("JTI={id}"));
    }
    // The API server sets the pod's name and uid together, and the node's uid only with the node's name.
    if let Some(pod) = account.pod()
        && let Some(uid) = pod.uid.filter(|uid| !uid.is_empty() && !pod.name.is_empty())
    {
        add("pod-name", pod.name);
        add("pod-uid", uid);
    }
    if let Some(node) = account.node().filter(|node| !node.name.is_empty()) {
        add("node-name", node.name);
        if let Some(uid) = node.uid.filter(|uid| !uid.is_empty()) {
            add("node-uid", uid);
        }
    }
    extra
}
