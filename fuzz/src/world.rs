//! Cores that trust only the recorded key, at the time its tokens were minted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sa_authn::callout::Reply;
use sa_authn::config::Config;
use sa_authn::connection::Connection;
use sa_authn::core::{Environment, Event, NativeDriver};
use sa_authn::exchange::Finished;
use sa_authn::headers::to_map;
use sa_authn::time::UnixTime;
use serde_json::{Value, json};
use std::time::Duration;

use crate::genuine::{FILTER, ISSUER, JWKS, MINTED};

/// The time of all targets.
pub fn now() -> UnixTime {
    UnixTime::from_secs(MINTED)
}

/// A core under this configuration.
pub fn under(config: &Value) -> NativeDriver {
    let config = Config::parse(config.to_string().as_bytes()).expect("a configuration");
    NativeDriver::new(config, Environment::default())
}

/// One issuer with these keys, and the members of `more`.
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

/// The verdict on a request, which gets no answer if it is paused for one.
pub fn judge(core: &mut NativeDriver, map: &[u8]) -> Finished {
    core.discard();
    match core.request(1, map, &Connection::default(), now()) {
        Some(finished) => finished,
        None => past_deadline(core),
    }
}

/// The verdict on a paused request when its deadline has passed.
pub fn past_deadline(core: &mut NativeDriver) -> Finished {
    core.handle(Event::Tick, now().plus(LONGEST_WAIT));
    core.take_finished(1).expect("a verdict at the deadline")
}

const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The authenticated caller, such as `demo/app`.
pub fn proven(finished: &Finished) -> Option<String> {
    let caller = finished.caller.as_ref().ok()?;
    Some(format!("{}/{}", caller.namespace(), caller.name()))
}

/// An answer of status 200.
pub fn ok(body: &[u8]) -> Reply {
    Reply::Response {
        status: 200,
        cache_control: None,
        retry_after: None,
        body: Some(body.to_vec()),
    }
}

/// `text` in base64url.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
