//! The tests in a real Kubernetes with Istio.
//!
//! They are one program, because each program would link all of the driver.

mod caller;
mod changes;
mod control_plane;
mod envoy_gateway;
mod example;
mod fake;
mod fake_access;
mod faults;
mod gateway;
mod install;
mod login;
mod plain_envoy;
mod policies;
mod prometheus;
mod proxies;
mod raw_tcp;
mod reviews;
mod status;
mod traffic_extension;
mod waypoint;
