//! Authenticators that trust the recorded key alone, at the time at which its tokens were minted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sa_authn::authenticator::Authenticator;
use sa_authn::authn::signature::Verifier;
use sa_authn::callout::Reply;
use sa_authn::config::Config;
use sa_authn::exchange::{Exchange, Finished, Input, Step};
use sa_authn::headers::to_map;
use sa_authn::time::UnixTime;
use serde_json::{Value, json};

use crate::genuine::{FILTER, ISSUER, JWKS, MINTED};

/// The time of all targets.
pub fn now() -> UnixTime {
    UnixTime::from_secs(MINTED)
}

/// An authenticator under this configuration.
pub fn under(config: &Value) -> Authenticator {
    let config = Config::parse(config.to_string().as_bytes()).expect("a configuration");
    Authenticator::new(config, Verifier::default(), 1)
}

/// One issuer with these keys, and what `more` says.
pub fn config(keys: Value, more: Value) -> Value {
    let mut config = json!({
        "issuers": [{
            "name": "recorded", "issuer": ISSUER, "audiences": [FILTER, ISSUER], "keys": keys,
        }],
        "tokenFrom": [
            { "header": "authorization", "prefix": "Bearer " },
            { "header": "x-client-id" },
        ],
        "identityHeaders": { "x-sa-namespace": "namespace", "x-sa-name": "name" },
    });
    let (Value::Object(all), Value::Object(more)) = (&mut config, more) else { unreachable!() };
    all.extend(more);
    config
}

/// The recorded key, in the configuration.
pub fn inline() -> Value {
    json!({ "inline": serde_json::from_str::<Value>(JWKS).expect("the recording") })
}

/// Keys that must be fetched.
pub fn discovered() -> Value {
    json!({ "discovery": { "cluster": "api", "authority": "kubernetes.default.svc" } })
}

/// `GET /` with this bearer token, in the host's form.
pub fn bearer(token: &[u8]) -> Vec<u8> {
    let value = [b"Bearer ".as_slice(), token].concat();
    to_map([
        (b":method".as_slice(), b"GET".as_slice()),
        (b":path", b"/"),
        (b"authorization", &value),
    ])
}

/// What becomes of a request that nothing is worth waiting for.
pub fn judge(core: &mut Authenticator, map: &[u8]) -> Finished {
    let mut exchange = Exchange::new(1, now());
    match exchange.step(Input::DeadlinePassed(map), core, now()) {
        Step::Finish(finished) => finished,
        Step::Hold => panic!("held after its deadline"),
    }
}

/// Who is proven, such as `demo/app`.
pub fn proven(finished: &Finished) -> Option<String> {
    let caller = finished.caller.as_ref().ok()?;
    Some(format!("{}/{}", caller.namespace(), caller.name()))
}

/// An answer of status 200.
pub fn ok(body: &[u8]) -> Reply {
    Reply::Response { status: 200, cache_control: None, body: Some(body.to_vec()) }
}

/// `text` in base64url.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
