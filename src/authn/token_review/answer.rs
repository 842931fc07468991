//! Evaluates the API server's response to a TokenReview.

use crate::account_name::split_username;
use crate::authn::claims::{Claims, ObjectRef};
use crate::authn::issuer::IssuerIdentity;
use crate::authn::json::{Object, Strict};
use crate::authn::token_review::{
    API_VERSION, AcceptedReview, Cause, KIND, NotAccepted, rejection,
};
use crate::callout::what_is;
use crate::denial::{Denial, Reason};
use serde::de::MapAccess;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;

/// The service account that the API server confirmed. Only `read` makes one.
#[derive(Clone, Debug)]
pub struct ReviewedUser {
    issuer: Rc<IssuerIdentity>,
    user: User,
    /// The configured audiences that the API server confirmed; the first is the one that the filter names.
    audience: Rc<str>,
    others: Vec<Rc<str>>,
    pod: Option<NameAndUid>,
    node: Option<NameAndUid>,
}

/// Of an object.
type NameAndUid = (String, Option<String>);

#[derive(Default)]
struct TokenReview {
    api_version: String,
    kind: String,
    status: Option<Status>,
}

#[derive(Default)]
struct Status {
    authenticated: bool,
    user: User,
    audiences: Vec<String>,
    error: String,
}

#[derive(Clone, Debug, Default)]
struct User {
    username: String,
    uid: String,
    groups: Vec<String>,
    extra: Extra,
}

/// By their names, which say who put them there.
#[derive(Clone, Debug, Default)]
struct Extra(HashMap<String, Vec<String>>);

/// Reads the answer: only 200 and 201 are answers about the token.
pub(super) fn read(
    status: u16,
    body: &[u8],
    issuer: &Rc<IssuerIdentity>,
) -> Result<ReviewedUser, NotAccepted> {
    if !matches!(status, 200 | 201) {
        return Err(NotAccepted::unavailable(Cause::of_status(status), refused(status, KIND)));
    }
    let no_review = |why: String| {
        let why = what_is(body).map_or(why, str::to_owned);
        let why = format!("the answer is not a TokenReview: {why}");
        NotAccepted::unavailable(Cause::Misconfiguration, why)
    };
    let Strict(TokenReview { api_version, kind, status }) =
        serde_json::from_slice(body).map_err(|error| no_review(error.to_string()))?;
    if (api_version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
        return Err(no_review(format!("it is a {kind:?} of {api_version:?}")));
    }
    let status = status.ok_or_else(|| no_review("it has no status".to_owned()))?;
    if !status.authenticated {
        return Err(rejection::of(status.error));
    }
    user(status, issuer).map_err(NotAccepted::Rejected)
}

fn user(status: Status, issuer: &Rc<IssuerIdentity>) -> Result<ReviewedUser, Denial> {
    let (namespace, _) = split_username(&status.user.username)
        .ok_or_else(|| mismatch(format!("reviewed as {:?}", status.user.username)))?;
    // A user of an identity provider can have the name of a service account, but is not in this group.
    let group = format!("system:serviceaccounts:{namespace}");
    if !status.user.groups.contains(&group) {
        return Err(mismatch(format!("reviewed as no member of {group:?}")));
    }
    let confirmed =
        |wanted: &&Rc<str>| status.audiences.iter().any(|audience| **audience == ***wanted);
    let mut confirmed = issuer.audiences.iter().filter(confirmed).map(Rc::clone);
    let audience = confirmed.next();
    let others = confirmed.collect();
    let audience = audience
        .ok_or_else(|| mismatch(format!("reviewed for audiences {:?}", status.audiences)))?;
    let user = status.user;
    let (pod, node) = (user.object("pod"), user.object("node"));
    Ok(ReviewedUser { issuer: Rc::clone(issuer), user, audience, others, pod, node })
}

/// Why the API server answers without a review of this kind, and what to change.
pub(crate) fn refused(status: u16, kind: &str) -> String {
    let remedy = match status {
        401 => {
            "the credential that Envoy injects is missing, expired or not for the API server's audience; \
             check the cluster's credential_injector and its token file"
                .to_owned()
        }
        403 => format!(
            "this proxy's service account is not allowed to create {kind}s; bind it to ClusterRole \
             system:auth-delegator with a ClusterRoleBinding"
        ),
        404 => format!(
            "there is no {kind} API at this address; check that the cluster is an API server"
        ),
        429 => "too many requests".to_owned(),
        _ => "unexpected status".to_owned(),
    };
    format!("the API server answered {status}: {remedy}")
}

fn mismatch(what: String) -> Denial {
    Reason::ReviewMismatch.because(what)
}

// === impl ReviewedUser ===

impl ReviewedUser {
    /// Compares the API server's reading of the token with the filter's. They must not differ.
    pub(super) fn named_by(self, claims: &Rc<Claims>) -> Result<AcceptedReview, Denial> {
        let agree = |what: &str, reviewed: Option<&str>, claimed: Option<&str>| {
            if reviewed == claimed {
                return Ok(());
            }
            let [reviewed, claimed] = [reviewed, claimed]
                .map(|text| text.map_or("nothing".to_owned(), |text| format!("{text:?}")));
            Err(mismatch(format!("{what} reviewed as {reviewed}, claimed as {claimed}")))
        };
        agree("sub", Some(&self.user.username), claims.subject())?;
        let account = claims.service_account();
        agree("uid", Some(self.uid()), account.and_then(|account| account.uid))?;
        let (reviewed, claimed) = (self.pod(), claims.pod());
        agree("pod", reviewed.map(|pod| pod.name), claimed.map(|pod| pod.name))?;
        let (reviewed, claimed) = (reviewed.map(|pod| pod.uid), claimed.map(|pod| pod.uid));
        agree("pod uid", reviewed.flatten(), claimed.flatten())?;
        Ok(AcceptedReview { user: self, claims: Rc::clone(claims) })
    }

    /// The issuer of the configuration whose API server was asked.
    pub fn issuer(&self) -> &Rc<IssuerIdentity> {
        &self.issuer
    }

    /// The groups.
    pub fn groups(&self) -> &[String] {
        &self.user.groups
    }

    /// What else the API server says of the user.
    pub fn extra(&self) -> impl Iterator<Item = (String, Value)> {
        self.user.extra.0.iter().map(|(key, values)| (key.clone(), json!(values)))
    }

    /// `system:serviceaccount:<namespace>:<name>`.
    pub fn username(&self) -> &str {
        &self.user.username
    }

    /// The service account's namespace.
    pub fn namespace(&self) -> &str {
        split_username(&self.user.username).map_or("", |(namespace, _)| namespace)
    }

    /// The service account's name.
    pub fn name(&self) -> &str {
        split_username(&self.user.username).map_or("", |(_, name)| name)
    }

    /// The service account's uid.
    pub fn uid(&self) -> &str {
        &self.user.uid
    }

    /// The first configured audience that the API server confirmed.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Whether the API server confirmed this audience, and the issuer's configuration accepts it.
    pub fn has_audience(&self, audience: &str) -> bool {
        *self.audience == *audience || self.others.iter().any(|other| **other == *audience)
    }

    /// The pod that the token is bound to.
    pub fn pod(&self) -> Option<ObjectRef<'_>> {
        object(self.pod.as_ref())
    }

    /// The node that the pod runs on.
    pub fn node(&self) -> Option<ObjectRef<'_>> {
        object(self.node.as_ref())
    }

    /// The token's `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.user.extra("credential-id")?.strip_prefix("JTI=")
    }
}

fn object(object: Option<&NameAndUid>) -> Option<ObjectRef<'_>> {
    object.map(|(name, uid)| ObjectRef { name, uid: uid.as_deref() })
}

// === impl User ===

impl User {
    fn object(&self, kind: &str) -> Option<NameAndUid> {
        let name = self.extra(&format!("{kind}-name"))?.to_owned();
        Some((name, self.extra(&format!("{kind}-uid")).map(str::to_owned)))
    }

    fn extra(&self, key: &str) -> Option<&str> {
        let values = self.extra.0.get(&format!("authentication.kubernetes.io/{key}"))?;
        values.first().map(String::as_str)
    }
}

// === impl Object: what is read of the answer ===

#[derive(Clone, Copy)]
enum ReviewMember {
    ApiVersion,
    Kind,
    Status,
}

impl<'de> Object<'de> for TokenReview {
    type Member = ReviewMember;
    const MEMBERS: &'static [(&'static str, ReviewMember)] = &[
        ("apiVersion", ReviewMember::ApiVersion),
        ("kind", ReviewMember::Kind),
        ("status", ReviewMember::Status),
    ];

    fn set<A: MapAccess<'de>>(
        &mut self,
        member: ReviewMember,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match member {
            ReviewMember::ApiVersion => self.api_version = map.next_value()?,
            ReviewMember::Kind => self.kind = map.next_value()?,
            ReviewMember::Status => self.status = Some(map.next_value::<Strict<_>>()?.0),
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum StatusMember {
    Authenticated,
    User,
    Audiences,
    Error,
}

impl<'de> Object<'de> for Status {
    type Member = StatusMember;
    const MEMBERS: &'static [(&'static str, StatusMember)] = &[
        ("authenticated", StatusMember::Authenticated),
        ("user", StatusMember::User),
        ("audiences", StatusMember::Audiences),
        ("error", StatusMember::Error),
    ];

    fn set<A: MapAccess<'de>>(
        &mut self,
        member: StatusMember,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match member {
            StatusMember::Authenticated => self.authenticated = map.next_value()?,
            StatusMember::User => self.user = map.next_value::<Strict<_>>()?.0,
            StatusMember::Audiences => self.audiences = map.next_value()?,
            StatusMember::Error => self.error = map.next_value()?,
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum UserMember {
    Username,
    Uid,
    Groups,
    Extra,
}

impl<'de> Object<'de> for User {
    type Member = UserMember;
    const MEMBERS: &'static [(&'static str, UserMember)] = &[
        ("username", UserMember::Username),
        ("uid", UserMember::Uid),
        ("groups", UserMember::Groups),
        ("extra", UserMember::Extra),
    ];

    fn set<A: MapAccess<'de>>(&mut self, member: UserMember, map: &mut A) -> Result<(), A::Error> {
        match member {
            UserMember::Username => self.username = map.next_value()?,
            UserMember::Uid => self.uid = map.next_value()?,
            UserMember::Groups => self.groups = map.next_value()?,
            UserMember::Extra => self.extra = map.next_value::<Strict<_>>()?.0,
        }
        Ok(())
    }
}

impl<'de> Object<'de> for Extra {
    type Member = Infallible;
    const MEMBERS: &'static [(&'static str, Infallible)] = &[];

    fn set<A: MapAccess<'de>>(&mut self, none: Infallible, _: &mut A) -> Result<(), A::Error> {
        match none {}
    }

    fn set_other<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        self.0.insert(name.to_owned(), map.next_value()?);
        Ok(())
    }
}
