//! The plugin configurations in the Istio manifests and in the rendered chart are valid.

use std::error::Error;
use std::fs;
use std::path::Path;

use sa_authn::config::Config;
use serde_json::Value;

/// The file of a configuration, and its JSON.
type Found = (String, String);

/// The configurations of every file of a folder, in WasmPlugins and TrafficExtensions.
fn plugin_configs(folder: &str) -> Result<Vec<Found>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        for document in serde_saphyr::from_multiple::<Value>(&fs::read_to_string(&path)?)? {
            let places = ["/spec/pluginConfig", "/spec/wasm/pluginConfig"];
            let configs = places.iter().filter_map(|place| document.pointer(place));
            found.extend(configs.map(|config| (path.display().to_string(), config.to_string())));
        }
    }
    Ok(found)
}

fn problems(json: &str) -> Vec<String> {
    let problems = Config::parse(json.as_bytes()).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_plugin_config_is_valid() -> Result<(), Box<dyn Error>> {
    let configs = plugin_configs("istio")?;
    assert_eq!(configs.len(), 6, "sidecars, gateways and waypoints, each in two kinds");
    for (file, json) in configs {
        assert_eq!(problems(&json), Vec::<String>::new(), "{file}");
    }
    Ok(())
}

#[test]
fn every_plugin_config_that_the_chart_renders_is_valid() -> Result<(), Box<dyn Error>> {
    let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("install/kustomize/overlays");
    let mut configs = Vec::new();
    for entry in fs::read_dir(overlays)? {
        configs.extend(plugin_configs(&entry?.path().display().to_string())?);
    }
    assert_eq!(configs.len(), 8, "two proxies, two sources of authentication, two kinds");
    for (file, json) in configs {
        assert_eq!(problems(&json), Vec::<String>::new(), "{file}");
    }
    Ok(())
}

#[test]
fn misspelled_field_of_a_plugin_config_is_reported() -> Result<(), Box<dyn Error>> {
    for (file, json) in plugin_configs("istio")? {
        let wrong = problems(&json.replacen("\"audiences\"", "\"audience\"", 1));
        let first = wrong.first().map(String::as_str).unwrap_or_default();
        assert!(
            first.starts_with("issuers[0].audience: unknown field `audience`"),
            "{file}: {wrong:?}"
        );
    }
    Ok(())
}
