//! The state of an API server: options, keys, objects, grants and recorded requests.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::keys::SigningKey;

use super::authenticate::Authenticated;
use super::objects::Objects;
use super::options::{ApiServerOptions, Rotation};
use super::rbac::Rbac;
use super::record::Record;

/// The state behind all connections of one API server.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) options: ApiServerOptions,
    pub(super) keys: Mutex<Keys>,
    pub(super) objects: Mutex<Objects>,
    pub(super) delegators: Mutex<HashSet<String>>,
    pub(super) admins: Mutex<HashSet<String>>,
    pub(super) rbac: Mutex<Rbac>,
    pub(super) successes: Mutex<Successes>,
    pub(super) record: Record,
    port: OnceLock<u16>,
}

#[derive(Debug)]
pub(super) struct Keys {
    pub(super) signing: SigningKey,
    pub(super) published: Vec<SigningKey>,
    /// What tokens are verified with. A lagging JWKS doesn't change it: verification reads the files.
    pub(super) verifying: Vec<SigningKey>,
}

/// The API server's own cache of genuine tokens.
#[derive(Debug)]
pub(super) struct Successes {
    enabled: bool,
    until: HashMap<(String, Vec<String>), (Instant, Authenticated)>,
}

// === impl Cluster ===

impl Cluster {
    pub(super) fn new(options: ApiServerOptions) -> Self {
        let signing = SigningKey::generate(options.key_kind);
        let keys = vec![signing.clone()];
        Self {
            options,
            keys: Mutex::new(Keys { signing, published: keys.clone(), verifying: keys }),
            objects: Mutex::default(),
            delegators: Mutex::default(),
            admins: Mutex::default(),
            rbac: Mutex::new(Rbac::new()),
            successes: Mutex::new(Successes { enabled: true, until: HashMap::new() }),
            record: Record::default(),
            port: OnceLock::new(),
        }
    }

    /// Set once, when the first socket has its port.
    pub(super) fn listens_on(&self, port: u16) {
        self.port.get_or_init(|| port);
    }

    pub(super) fn port(&self) -> u16 {
        self.port.get().copied().unwrap_or_default()
    }
}

// === impl Keys ===

impl Keys {
    pub(super) fn rotate(&mut self, key: SigningKey, rotation: Rotation) {
        if rotation == Rotation::RemoveOld {
            self.published.clear();
            self.verifying.clear();
        }
        self.published.insert(0, key.clone());
        self.verifying.insert(0, key.clone());
        self.signing = key;
    }
}

// === impl Successes ===

impl Successes {
    pub(super) fn set_enabled(&mut self, on: bool) {
        self.enabled = on;
        self.until.clear();
    }

    pub(super) fn get(&self, token: &str, audiences: &[String]) -> Option<Authenticated> {
        let (until, success) = self.until.get(&(token.to_owned(), audiences.to_vec()))?;
        (Instant::now() < *until).then(|| success.clone())
    }

    pub(super) fn put(&mut self, token: &str, audiences: &[String], success: &Authenticated) {
        if self.enabled {
            let key = (token.to_owned(), audiences.to_vec());
            self.until.insert(key, (Instant::now() + SUCCESS_TTL, success.clone()));
        }
    }
}

/// `--authentication-token-webhook-cache-ttl` has nothing to do with it: this one is built in.
const SUCCESS_TTL: Duration = Duration::from_secs(10);
