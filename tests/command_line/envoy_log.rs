//! Envoy's log for each broken configuration of the plugin, as tests/testdata/broken/README.md documents it.
//!
//! Here the core writes the lines; envoy-test/tests/refused_config.rs compares them with the log of real Envoys.

use super::root;
use sa_authn::core::{Core, Effect, Environment, Event};
use sa_authn::time::UnixTime;
use std::fs;

/// The documented lines of each file.
fn documented() -> Vec<(String, String)> {
    let readme = fs::read_to_string(root().join("tests/testdata/broken/README.md")).unwrap();
    let section = |text: &str| {
        let (name, rest) = text.split_once('\n').expect("a name");
        let block = rest
            .split_once("Envoy's log:\n\n```text\n")
            .and_then(|(_, rest)| rest.split("```").next());
        (name.to_owned(), block.unwrap_or_default().to_owned())
    };
    readme.split("\n## ").skip(1).map(section).collect()
}

fn logged(json: &[u8]) -> String {
    let mut core = Core::new(Environment::default());
    core.handle(
        Event::ConfigurationLoaded { json: Some(json), root_id: None },
        UnixTime::from_secs(1_800_000_000),
    );
    let mut lines = String::new();
    while let Some(effect) = core.poll_effect() {
        if let Effect::Log(log::Level::Error, line) = effect {
            lines += &format!("{line}\n");
        }
    }
    lines
}

#[test]
fn envoy_log_of_each_broken_configuration_is_documented() {
    let mut count = 0;
    for (name, lines) in documented() {
        if !name.ends_with(".json") {
            assert_eq!(lines, "", "{name}: only `check` reads this form");
            continue;
        }
        let json = fs::read(root().join("tests/testdata/broken").join(&name)).unwrap();
        assert_eq!(logged(&json), lines, "{name}");
        count += 1;
    }
    assert!(count >= 40, "{count}");
}
