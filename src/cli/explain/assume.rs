//! Outcomes that a missing key or review cannot change.
//!
//! The request is evaluated twice: as if the API server had accepted the token, and as if it had rejected it. Missing keys are
//! replaced by a review, because a test signature needs the key of the cluster.

use super::judge::{Judged, Lack, Question, Request, run};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sa_authn::authn::issuer::KeySource;
use sa_authn::config::Config;
use sa_authn::denial::Reason;
use sa_authn::verdict::Verdict;
use serde_json::{Value, json};

/// The outcome with an accepted token, if the request is denied in both cases. `config` parses a configuration.
pub fn decided(
    lack: Lack,
    json: &str,
    config: impl Fn(&str) -> Option<Config>,
    request: &Request<'_>,
) -> Option<Judged> {
    let json = match lack {
        Lack::Keys => reviewed(json, &config(json)?)?,
        Lack::Review => json.to_owned(),
        // What RBAC answers decides.
        Lack::Access | Lack::HostCrypto => return None,
    };
    let evaluate = |accepts| {
        let answer = |question, body: &[u8]| match question {
            Question::Token => response(body, accepts),
            Question::Access => None,
        };
        Some(run(config(&json)?, request, &answer))
    };
    let (accepted, rejected): (Judged, Judged) = (evaluate(true)?, evaluate(false)?);
    let class = Class::of(&accepted)?;
    (Class::of(&rejected) == Some(class) && is_definite(&accepted)).then(|| Judged {
        lacks: None,
        assumed: Some(lack),
        reviewed: false,
        ..accepted
    })
}

/// A denial, enforced or in shadow mode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Denied,
    Shadow,
}

impl Class {
    fn of(judged: &Judged) -> Option<Self> {
        match judged.finished.as_ref()?.verdict {
            Verdict::Deny(_) => Some(Self::Denied),
            Verdict::Shadow(..) => Some(Self::Shadow),
            Verdict::Allow(..) => None,
        }
    }
}

/// Whether the denial follows from the token's claims and the rules, and not from the assumed review.
fn is_definite(judged: &Judged) -> bool {
    let denial = judged.finished.as_ref().and_then(|finished| match &finished.verdict {
        Verdict::Deny(denial) => Some(denial),
        Verdict::Shadow(permit, _) => Some(permit.denial()),
        Verdict::Allow(..) => None,
    });
    denial.is_some_and(|denial| DEFINITE.contains(&denial.reason()))
}

/// The configuration with a review in place of the keys that issuers fetch.
fn reviewed(json: &str, config: &Config) -> Option<String> {
    let mut document: Value = serde_json::from_str(json).ok()?;
    let issuers = document.get_mut("issuers")?.as_array_mut()?;
    for (issuer, (_, source)) in issuers.iter_mut().zip(&config.issuers) {
        if matches!(source, KeySource::Fetched(..)) {
            let issuer = issuer.as_object_mut()?;
            issuer.remove("keys");
            let review = json!({ "cluster": "assumed", "authority": "assumed", "use": "instead" });
            issuer.insert("tokenReview".to_owned(), review);
        }
    }
    Some(document.to_string())
}

/// The API server's response to a TokenReview. It names what the token's claims name.
fn response(request: &[u8], accepts: bool) -> Option<Vec<u8>> {
    let mut review: Value = serde_json::from_slice(request).ok()?;
    let spec = review.get("spec")?;
    let claims = spec.get("token")?.as_str()?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let text = |pointer: &str| claims.pointer(pointer).and_then(Value::as_str);
    let mut extra = serde_json::Map::new();
    for object in ["pod", "node"] {
        for part in ["name", "uid"] {
            if let Some(value) = text(&format!("/kubernetes.io/{object}/{part}")) {
                extra.insert(
                    format!("authentication.kubernetes.io/{object}-{part}"),
                    json!([value]),
                );
            }
        }
    }
    let namespace = text("/kubernetes.io/namespace").unwrap_or_default();
    let user = json!({
        "username": text("/sub"),
        "uid": text("/kubernetes.io/serviceaccount/uid"),
        "groups": [format!("system:serviceaccounts:{namespace}")],
        "extra": extra,
    });
    let audiences: Vec<_> = items(spec.get("audiences"))
        .into_iter()
        .filter(|audience| items(claims.get("aud")).contains(audience))
        .collect();
    let status = match accepts {
        true => json!({ "authenticated": true, "user": user, "audiences": audiences }),
        false => json!({ "authenticated": false }),
    };
    review.as_object_mut()?.insert("status".to_owned(), status);
    Some(review.to_string().into_bytes())
}

/// The items of a list, or a single value.
fn items(value: Option<&Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items.clone(),
        Some(value) => vec![value.clone()],
        None => Vec::new(),
    }
}

/// Reasons that a review cannot cause.
const DEFINITE: [Reason; 12] = [
    Reason::LegacyToken,
    Reason::MissingClaim,
    Reason::Expired,
    Reason::NotYetValid,
    Reason::LifetimeTooLong,
    Reason::WrongAudience,
    Reason::NotAServiceAccount,
    Reason::NotBound,
    Reason::WrongPeer,
    Reason::AmbiguousPath,
    Reason::UnknownMethod,
    Reason::Forbidden,
];
