//! What the policy says about each broken configuration, as tests/testdata/broken/README.md documents it.

use super::{create, judge, root, wasm_plugin};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;

/// The objects in a broken file that the policy judges: a WasmPlugin with the plugin's JSON, or the objects of a manifest.
fn objects(name: &str) -> Result<Vec<Value>> {
    let text = fs::read_to_string(root().join("tests/testdata/broken").join(name))?;
    if name.ends_with(".json") {
        // What is not JSON cannot be a `pluginConfig`.
        let config = serde_json::from_str::<Value>(&text).ok();
        return Ok(config.iter().map(wasm_plugin).collect());
    }
    let documents = serde_saphyr::from_multiple::<Value>(&text).unwrap_or_default();
    let is_judged = |document: &Value| {
        let kinds = ["WasmPlugin", "TrafficExtension", "EnvoyExtensionPolicy"];
        kinds.iter().any(|kind| document["kind"] == *kind)
    };
    Ok(documents.into_iter().filter(is_judged).collect())
}

/// The documented message for each object of each file.
fn documented() -> Result<Vec<(String, Vec<String>)>> {
    let readme = fs::read_to_string(root().join("tests/testdata/broken/README.md"))?;
    let mut files = Vec::new();
    for section in readme.split("\n## ").skip(1) {
        let (name, rest) = section.split_once('\n').context("a name")?;
        let block = rest.split_once("`kubectl apply`:\n\n```text\n").map(|(_, rest)| rest);
        let lines = block.and_then(|rest| rest.split("```").next()).unwrap_or_default();
        files.push((name.to_owned(), lines.lines().map(str::to_owned).collect()));
    }
    Ok(files)
}

/// Messages with the problems of each in alphabetical order: CEL has no order for the members of an object.
fn sorted(messages: &[String]) -> Vec<String> {
    let sorted = |message: &String| {
        let mut problems: Vec<_> = message.split("; ").collect();
        problems.sort_unstable();
        problems.join("; ")
    };
    messages.iter().map(sorted).collect()
}

#[test]
fn answer_to_each_broken_configuration_is_documented() -> Result<()> {
    let files = documented()?;
    let objects: Vec<Vec<Value>> =
        files.iter().map(|(name, _)| objects(name)).collect::<Result<_>>()?;
    let requests: Vec<Value> = objects.iter().flatten().cloned().map(create).collect();
    assert!(requests.len() >= 40, "{}", requests.len());
    let test = "answer_to_each_broken_configuration_is_documented: the answers of `kubectl apply` are not verified";
    let Some(judgements) = judge(test, &requests)? else { return Ok(()) };
    let mut judgements = judgements.into_iter();
    let mut differences = Vec::new();
    for ((name, documented), objects) in files.iter().zip(&objects) {
        let judged: Vec<_> = judgements.by_ref().take(objects.len()).collect();
        let said: Vec<_> = judged
            .iter()
            .map(|judgement| match (judgement.matched, judgement.admitted) {
                (false, _) => "not judged: the policy does not recognize the filter".to_owned(),
                (true, true) => "admitted".to_owned(),
                (true, false) => judgement.message.replace('\n', " "),
            })
            .collect();
        let (said, documented) = (sorted(&said), sorted(documented));
        if said != documented {
            differences.push(format!("{name}\n{}", said.join("\n")));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    Ok(())
}
