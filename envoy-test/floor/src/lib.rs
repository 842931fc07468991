//! A minimal Wasm filter: it makes only the host calls that the configuration lists.
//!
//! The configuration is a list of calls, one a line, made for each request in that order. What `sa-authn`
//! costs in addition is the cost of the filter; the rest is the cost of Wasm in Envoy.
//!
//! | line | call |
//! |---|---|
//! | `map` | read all request headers |
//! | `get NAME` | read one |
//! | `set NAME VALUE`, `add NAME VALUE`, `remove NAME` | change one |
//! | `replace NAME VALUE` | write back all that `map` read, without `authorization` and with one more |
//! | `clock` | read the clock |
//! | `property PATH` | read an attribute, such as `connection.mtls` |
//! | `filter-state NAME VALUE` | set one |
//! | `count NAME` | add to a counter of Envoy's |
//! | `log TEXT` | write a line at a level that is off |
//! | `verify HEX...` | have Envoy verify a signature, with one of these arguments of `verify_signature` in turn |
//!
//! It is written against the ABI itself (proxy-wasm 0.2.1), because the SDK exports every callback, and
//! Envoy calls what is exported. The feature `every-callback` does as the SDK does.

#[cfg(target_arch = "wasm32")]
mod calls;
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(all(target_arch = "wasm32", feature = "every-callback"))]
mod idle_exports;
