//! The native tests: the core, the command line, the shipped files and the texts.
//!
//! They are one program, because each program would link all of the core. nextest runs each test in a process of its own.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod access;
mod admission_policy;
mod architecture;
mod attack_catalogue;
mod command_line;
mod configuration;
mod conformance;
mod filter_config;
mod hostile;
mod istio;
mod keys_over_time;
mod language;
mod links;
mod misconfigured;
mod policy;
mod properties;
mod recordings;
mod reviews_over_time;
mod scenarios;
mod support;
mod tampering;
mod troubleshooting;
