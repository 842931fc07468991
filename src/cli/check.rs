//! `sa-authn check`: finds problems in configurations, also inside Envoy and Kubernetes manifests.

mod find;
mod locate;
mod report;
mod text;
mod yaml;

use super::{Answer, Failure, Report, input};
use find::{Body, Found, find};
use report::{Checked, Fault, Format};
use sa_authn::config::{self, Config, Problem};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use text::{Place, Text};
use yaml::Node;

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = IDENTIFICATION)]
pub struct Options {
    /// Plugin configuration (JSON or YAML), or a file that contains one: an Envoy bootstrap, WasmPlugin,
    /// TrafficExtension, EnvoyFilter, EnvoyExtensionPolicy or ConfigMap; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Output format
    #[arg(long, default_value = "text")]
    format: Format,
}

const IDENTIFICATION: &str = "A Wasm filter is checked if its name, plugin name, root_id, vm_id, or \
                              module file or address contains sa-authn or sa_authn, or if its \
                              configuration has `issuers`. Other Wasm filters are listed as skipped.";

/// Checks every file. An unreadable file does not stop the check of the other files.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let mut checked = Vec::new();
    let mut failures = Vec::new();
    for file in &options.files {
        let name = input::name(file);
        match input::read_text(file).and_then(|content| check_file(&name, content)) {
            Ok(of_file) => checked.extend(of_file),
            Err(Failure(why)) => failures.push(why),
        }
    }
    let good = checked.iter().all(|checked| checked.faults.is_empty());
    let answer = if good { Answer::Yes } else { Answer::No };
    Ok(Report { text: options.format.print(&checked), answer, failures })
}

/// The configuration in a file, as JSON. The file must contain exactly one.
pub fn only_configuration(file: &Path) -> Result<String, Failure> {
    let name = input::name(file);
    let text = Rc::new(Text::of_file(input::read_text(file)?));
    let found = search(&name, &text)?;
    let mut ours = Vec::new();
    for one in &found {
        let Place { line, column } = one.text.place(one.at);
        let place = format!("{name}:{line}:{column}: {}", one.what);
        match &one.body {
            Body::Json => ours.push((place, one.text.content().to_owned())),
            Body::Tree(tree) => {
                let mut repeated = Vec::new();
                locate::repeated("", tree, &mut repeated);
                if let Some((path, _)) = repeated.first() {
                    return Err(Failure(format!("{place}: duplicate field {path}")));
                }
                ours.push((place, tree.to_json().to_string()));
            }
            Body::Missing(why) => return Err(Failure(format!("{place}: {why}"))),
            Body::Foreign => {}
        }
    }
    match ours.as_slice() {
        [] => Err(Failure(nothing_found(&name, &found))),
        [(_, json)] => Ok(json.clone()),
        several => {
            let places: Vec<_> = several.iter().map(|(place, _)| format!("\n  {place}")).collect();
            let count = several.len();
            let places = places.concat();
            Err(Failure(format!("{name} contains {count} configurations, expected one:{places}")))
        }
    }
}

fn check_file(name: &str, content: String) -> Result<Vec<Checked>, Failure> {
    let text = Rc::new(Text::of_file(content));
    let found = search(name, &text)?;
    if found.iter().all(|found| matches!(found.body, Body::Foreign)) {
        return Err(Failure(nothing_found(name, &found)));
    }
    let schema = config::schema();
    Ok(found.into_iter().map(|found| check(name, found, &schema)).collect())
}

fn search(name: &str, text: &Rc<Text>) -> Result<Vec<Found>, Failure> {
    let content = text.content();
    let whole = || {
        let what = "plugin configuration".to_owned();
        vec![Found { what, text: Rc::clone(text), at: 0, body: Body::Json }]
    };
    if content.trim().is_empty() {
        return Ok(whole());
    }
    let is_json = content.trim_start().starts_with('{');
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        // The filter's JSON parser has better error messages.
        Err(_) if is_json => return Ok(whole()),
        Err(unreadable) => {
            let Place { line, column } = text.place(unreadable.at);
            return Err(Failure(format!("{name}:{line}:{column}: not YAML: {}", unreadable.why)));
        }
    };
    let found: Vec<_> = documents.iter().flat_map(|document| find(text, document)).collect();
    let alone = |found: &Found| found.what == "plugin configuration";
    if is_json && found.iter().any(alone) { Ok(whole()) } else { Ok(found) }
}

fn nothing_found(name: &str, others: &[Found]) -> String {
    let mut why = format!(
        "{name}: found no sa-authn configuration. Searched for plugin JSON or YAML (an object with \
         `issuers`), and for an Envoy HTTP filter of type {WASM_FILTER} (also in an EnvoyFilter or \
         a ConfigMap), a WasmPlugin, a TrafficExtension or an EnvoyExtensionPolicy whose name, \
         plugin name, root_id, vm_id or module contains sa-authn"
    );
    for other in others {
        let Place { line, column } = other.text.place(other.at);
        why += &format!("\n  {name}:{line}:{column}: {} does not look like sa-authn", other.what);
    }
    why
}

fn check(file: &str, found: Found, schema: &Value) -> Checked {
    let Found { what, text, at, body } = found;
    let place = text.place(at);
    let (is_ours, faults) = match &body {
        Body::Foreign => (false, Vec::new()),
        Body::Missing(why) => {
            let (path, message) = (String::new(), (*why).to_owned());
            (true, vec![Fault { place, path, message, remedy: None }])
        }
        Body::Json => (true, check_json(&text, schema)),
        Body::Tree(tree) => (true, check_tree(&text, tree, schema)),
    };
    Checked { file: file.to_owned(), what, place, is_ours, faults }
}

/// Checks JSON text with the filter's parser. The YAML parser only provides the locations.
fn check_json(text: &Text, schema: &Value) -> Vec<Fault> {
    let trees = yaml::parse(text).unwrap_or_default();
    check_text(text, trees.first(), text.content(), schema)
}

fn check_tree(text: &Text, tree: &Node, schema: &Value) -> Vec<Fault> {
    check_text(text, Some(tree), &tree.to_json().to_string(), schema)
}

fn check_text(text: &Text, tree: Option<&Node>, json: &str, schema: &Value) -> Vec<Fault> {
    let mut repeated = Vec::new();
    if let Some(tree) = tree {
        locate::repeated("", tree, &mut repeated);
    }
    let mut problems = Config::parse(json.as_bytes()).err().unwrap_or_default();
    if !repeated.is_empty() {
        // The JSON parser reports only the first duplicate; `repeated` has all of them, with their locations.
        problems.retain(|problem| !problem.message.starts_with("duplicate member"));
    }
    let twice = repeated.into_iter().map(|(path, at)| Fault {
        place: text.place(at),
        path,
        message: "duplicate field; remove one of them".to_owned(),
        remedy: None,
    });
    let others = problems.into_iter().map(|problem| fault(text, tree, problem, schema));
    let mut faults: Vec<_> = twice.chain(others).collect();
    faults.sort_by(|one, other| (one.place, &one.path).cmp(&(other.place, &other.path)));
    faults
}

fn fault(text: &Text, tree: Option<&Node>, problem: Problem, schema: &Value) -> Fault {
    let remedy = locate::remedy(&problem, schema);
    if problem.path.is_empty()
        && let Some((message, line, column)) = with_position(&problem.message)
    {
        let place = text.place_of(line, column);
        return Fault { place, path: String::new(), message: message.to_owned(), remedy };
    }
    let at = tree.map_or(0, |tree| locate::locate(tree, &problem));
    Fault { place: text.place(at), path: problem.path, message: problem.message, remedy }
}

/// Splits the location off an error message of serde_json.
fn with_position(message: &str) -> Option<(&str, usize, usize)> {
    let (message, place) = message.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some((message, line.parse().ok()?, column.parse().ok()?))
}

const WASM_FILTER: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
