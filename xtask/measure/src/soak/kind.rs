//! The kinds of requests of the soak.

use envoy_test::token::DEFAULT_AUDIENCE;
use envoy_test::vectors::{self, Attacker, Vector};
use envoy_test::{KeyKind, Request, SigningKey, Token};
use serde_json::json;

use super::random::Random;
use super::tokens::{Page, TokenSet, WEST};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A token of `east` that was sent before.
    EastSteady,
    /// A token of `east` that was never sent before.
    EastFresh,
    /// A token of `west`, which is reviewed, that was sent before.
    WestSteady,
    /// One that was never sent before.
    WestFresh,
    /// A body of 20 KB.
    Body,
    /// No token, where anyone may call.
    Open,
    /// The same with forged identity headers.
    Masked,
    /// `web/web`, which one configuration allows and the other denies.
    Toggled,
    /// No token, where one is needed.
    Missing,
    /// Letters and dots.
    Malformed,
    /// A genuine token that has expired.
    Expired,
    /// A genuine token for another service.
    WrongAudience,
    /// A genuine token of an account without permission.
    Forbidden,
    /// Signed by a key of the caller's own, under the kid of the issuer's.
    BadSignature,
    /// Signed by a key of the caller's own, under its own kid.
    UnknownKey,
    /// Signed by a key that the issuer has withdrawn.
    Withdrawn,
    /// Another issuer's.
    UnknownIssuer,
    /// HMAC by the public key.
    Hs256,
    /// No algorithm.
    AlgNone,
    /// From a Secret.
    Legacy,
    /// `sub` and `kubernetes.io` differ.
    Contradicting,
    /// Two tokens.
    Conflicting,
    /// An ambiguous path.
    AmbiguousPath,
    /// A token of `west` whose pod is gone.
    Revoked,
}

/// A request that is to be sent.
#[derive(Debug)]
pub struct Case {
    /// Of which kind.
    pub kind: Kind,
    /// The request.
    pub request: Request,
    /// The caller as `namespace/name`; `None` if unauthenticated.
    pub caller: String,
}

// === impl Kind ===

impl Kind {
    /// A random kind, with weights.
    pub fn any(random: &mut Random) -> Self {
        let mut left = random.below(OFTEN.iter().map(|(_, often)| often).sum());
        for (kind, often) in OFTEN {
            match left.checked_sub(*often) {
                Some(rest) => left = rest,
                None => return *kind,
            }
        }
        Self::EastSteady
    }

    /// Whether a request of this kind must never reach the upstream, during any event.
    pub fn never_passes(self) -> bool {
        use Kind::*;
        !matches!(
            self,
            EastSteady
                | EastFresh
                | WestSteady
                | WestFresh
                | Body
                | Open
                | Masked
                | Toggled
                | Withdrawn
        )
    }

    /// A request of this kind.
    pub fn case(self, tokens: &TokenSet, page: &Page, random: &mut Random) -> Case {
        let account = random.below(page.accounts()) as usize;
        let request = self.request(tokens, page, account, random);
        let request = match self.never_passes() {
            true => request.header(NEVER_PASSES, "yes"),
            false => request,
        };
        let caller = match self {
            Self::Open | Self::Masked => String::new(),
            Self::Toggled => "web/web".to_owned(),
            Self::Withdrawn => "api/withdrawn".to_owned(),
            _ => format!("api/api-{account}"),
        };
        Case { kind: self, request, caller }
    }

    fn request(
        self,
        tokens: &TokenSet,
        page: &Page,
        account: usize,
        random: &mut Random,
    ) -> Request {
        let get = |token: &str| Request::get("/secrets/1").bearer(token);
        let key = &page.east_key;
        let east = || Token::for_service_account("api", &format!("api-{account}"));
        if let Some(vector) = self.vector() {
            let account = format!("api-{account}");
            let attacker = Attacker { key, own: &tokens.foreign, account: ("api", &account) };
            return get(&vector.token(&attacker));
        }
        match self {
            Self::EastSteady => get(&page.east[account]),
            Self::EastFresh => get(&east().sign(key)),
            Self::WestSteady => get(&page.west[account]),
            Self::WestFresh => get(&east().issuer(WEST).sign(&page.west_key)),
            Self::Body => {
                let post = Request::post("/secrets/1").bearer(&page.east[account]);
                post.body(vec![b'b'; BODY_BYTES])
            }
            Self::Open => Request::get("/public/1"),
            Self::Masked => {
                Request::get("/public/1").header("x-sa-name", "admin").header("x_sa_name", "admin")
            }
            Self::Toggled => Request::get("/toggle/1").bearer(&page.web),
            Self::Missing => Request::get("/secrets/1"),
            Self::Malformed => {
                get(&format!("{}.{}.x", random.below(1 << 60), random.below(1 << 60)))
            }
            Self::Forbidden => get(&Token::for_service_account("shop", "shop").sign(key)),
            Self::UnknownKey => get(&east()
                .header("kid", json!(format!("k{}", random.below(1 << 60))))
                .sign(&tokens.foreign)),
            Self::Withdrawn => get(&page.withdrawn),
            Self::Conflicting => {
                get(&page.east[account]).bearer(&east().audience(DEFAULT_AUDIENCE).sign(key))
            }
            Self::AmbiguousPath => {
                Request::get("/public/..%2fsecrets/1").bearer(&page.east[account])
            }
            Self::Revoked => get(&page.revoked),
            // The rest is in the table of vectors.
            _ => unreachable!("{self:?} has a vector"),
        }
    }

    /// The row of the table of vectors that requests of this kind send.
    pub fn vector(self) -> Option<&'static Vector> {
        let name = match self {
            Self::Expired => "expired an hour ago",
            Self::WrongAudience => "another audience",
            Self::BadSignature => "another key under a known kid",
            Self::UnknownIssuer => "another issuer",
            Self::Hs256 => "HS256 with the public key",
            Self::AlgNone => "alg \"none\"",
            Self::Legacy => "a legacy token from a Secret",
            Self::Contradicting => "a subject that contradicts the claims",
            _ => return None,
        };
        Some(vectors::named(name))
    }
}

/// A key that no issuer publishes.
pub fn foreign_key() -> SigningKey {
    SigningKey::generate(KeyKind::P256)
}

/// A header on requests that must not reach the upstream; the upstream records requests with it.
pub const NEVER_PASSES: &str = "x-never-passes";

const BODY_BYTES: usize = 20_000;

/// Without unknown keys: the filter limits the fetches that they cause, so they have a separate caller.
const OFTEN: &[(Kind, u64)] = &[
    (Kind::EastSteady, 30),
    (Kind::EastFresh, 12),
    (Kind::WestSteady, 20),
    (Kind::WestFresh, 6),
    (Kind::Body, 4),
    (Kind::Open, 4),
    (Kind::Masked, 2),
    (Kind::Toggled, 6),
    (Kind::Missing, 2),
    (Kind::Malformed, 2),
    (Kind::Expired, 2),
    (Kind::WrongAudience, 2),
    (Kind::Forbidden, 2),
    (Kind::BadSignature, 2),
    (Kind::UnknownIssuer, 1),
    (Kind::Hs256, 1),
    (Kind::AlgNone, 1),
    (Kind::Legacy, 1),
    (Kind::Contradicting, 1),
    (Kind::Conflicting, 1),
    (Kind::AmbiguousPath, 1),
    (Kind::Revoked, 2),
];
