//! How the access of an issuer's service accounts is reviewed (`subjectAccessReview` in the configuration).

use std::time::Duration;

/// Where SubjectAccessReviews are sent, and how long their answers are valid.
///
/// It belongs to the issuer, because a service account of another cluster can have the same name as one of this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPlan {
    /// The Envoy cluster of the API server.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// Precedes the path of reviews (`pathPrefix`); empty by default.
    pub path_prefix: String,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long an allowed access is valid.
    pub allowed_ttl: Duration,
    /// How long a denied access is valid.
    pub denied_ttl: Duration,
}
