//! One question to Kubernetes RBAC: the spec of a SubjectAccessReview.

use super::{API_VERSION, AccessTarget, KIND};
use crate::authn::{ServiceAccount, user_info};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// Whether a caller may do something.
#[derive(Clone, Debug)]
pub struct AccessQuestion<'q> {
    caller: &'q ServiceAccount,
    member: &'static str,
    attributes: Vec<(&'static str, Cow<'q, str>)>,
    key: Vec<u8>,
}

// === impl AccessQuestion ===

impl<'q> AccessQuestion<'q> {
    pub(super) fn of(caller: &'q ServiceAccount, target: &AccessTarget) -> Self {
        let member = match target {
            AccessTarget::NonResource => "nonResourceAttributes",
            AccessTarget::Resource(_) => "resourceAttributes",
        };
        let mut key = Vec::with_capacity(128);
        key.extend_from_slice(caller.user_digest());
        key.extend_from_slice(member.as_bytes());
        Self { caller, member, attributes: Vec::new(), key }
    }

    pub(super) fn add(&mut self, name: &'static str, value: Cow<'q, str>) {
        // No value has a line end.
        for part in ["\n", name, "=", &value] {
            self.key.extend_from_slice(part.as_bytes());
        }
        self.attributes.push((name, value));
    }

    /// Stands for the issuer and the whole spec: issuer and user by a digest, then every attribute.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The service account whose access is reviewed.
    pub fn caller(&self) -> &'q ServiceAccount {
        self.caller
    }

    /// The body of the SubjectAccessReview.
    pub fn body(&self) -> Vec<u8> {
        // Not collected: that would sort, and the module would have the sorting code for this alone.
        let mut attributes = Map::new();
        for (name, value) in &self.attributes {
            attributes.insert((*name).to_owned(), Value::String(value.to_string()));
        }
        let (attributes, member) = (Value::Object(attributes), self.member);
        let user = user_info::members(self.caller);
        let spec = format!("{{\"{member}\":{attributes},{user}}}");
        format!(r#"{{"apiVersion":"{API_VERSION}","kind":"{KIND}","spec":{spec}}}"#).into_bytes()
    }
}

/// Such as `verb=get path=/metrics`.
impl fmt::Display for AccessQuestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.attributes.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}
