//! `sa-authn check`: finds problems in configurations, also inside Envoy and Kubernetes manifests.

mod around;
mod chains;
mod find;
mod kind;
mod locate;
mod mesh;
mod pasted;
mod problems;
mod report;
mod sarif;
pub mod text;
mod walk;
pub mod yaml;

use super::{Answer, Failure, Report, input};
use find::{Body, Found, find};
use kind::{Kind, Severity};
use mesh::Mesh;
use problems::check;
use report::{Checked, Fault, Format, Results};
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
    /// TrafficExtension, EnvoyFilter, EnvoyExtensionPolicy or ConfigMap; or a folder with such files; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Output format
    #[arg(long, default_value = "text")]
    format: Format,

    /// The severity from which problems cause exit code 1
    #[arg(long, default_value = "error")]
    fail_on: FailOn,
}

/// When problems cause exit code 1.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FailOn {
    Error,
    Warning,
    Never,
}

/// The results so far.
struct Check {
    results: Results,
    failures: Vec<String>,
    mesh: Mesh,
}

/// A file with its documents, and what was found in them.
struct Searched {
    text: Rc<Text>,
    documents: Vec<Node>,
    found: Vec<Found>,
}

const IDENTIFICATION: &str = "A Wasm filter is checked if its name, plugin name, root_id, vm_id, or \
                              module file or address contains sa-authn or sa_authn, or if its \
                              configuration has `issuers`. Other Wasm filters are listed as skipped. \
                              docs/check.md explains the code of each problem.";

/// Checks every file. An unreadable file does not stop the check of the other files.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let mut check =
        Check { results: Results::default(), failures: Vec::new(), mesh: Mesh::default() };
    check.results.summarize = options.files.len() > 1;
    for argument in &options.files {
        check.argument(argument);
    }
    let Check { mut results, failures, mesh, .. } = check;
    mesh.warn(&mut results.checked);
    let [errors, warnings] = [Severity::Error, Severity::Warning].map(|one| results.count(one));
    let fails = match options.fail_on {
        FailOn::Error => errors > 0,
        FailOn::Warning => errors + warnings > 0,
        FailOn::Never => false,
    };
    let answer = if fails { Answer::No } else { Answer::Yes };
    let text = options.format.print(&results);
    Ok(Report { colored: options.format == Format::Text, ..Report::of(text, answer, failures) })
}

// === impl Check ===

impl Check {
    fn argument(&mut self, argument: &Path) {
        if !argument.is_dir() {
            return self.file(argument, false);
        }
        self.results.summarize = true;
        match walk::files(argument) {
            Ok(files) => files.iter().for_each(|file| self.file(file, true)),
            Err(Failure(why)) => self.failures.push(why),
        }
    }

    fn file(&mut self, file: &Path, in_folder: bool) {
        let name = input::name(file);
        let searched =
            input::read_text(file).and_then(|content| self.add(&name, content, in_folder));
        match searched {
            Ok(()) => self.results.files += 1,
            Err(Failure(why)) => self.failures.push(why),
        }
    }

    fn add(&mut self, name: &str, content: String, in_folder: bool) -> Result<(), Failure> {
        let text = Rc::new(Text::of_file(content));
        if pasted::is_helm_template(text.content()) {
            return self.template(name, &text, in_folder);
        }
        let searched = match search(name, &text) {
            Ok(searched) => searched,
            Err(_) if in_folder && !pasted::names_sa_authn(text.content()) => {
                self.results.skipped += 1;
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        let has_mesh = searched.documents.iter().any(|document| document.get("kind").is_some());
        let mut has_workload = false;
        for document in &searched.documents {
            has_workload |= self.mesh.add(name, &searched.text, document, !in_folder);
        }
        if searched.found.iter().all(|found| matches!(found.body, Body::Foreign)) {
            let is_context = has_workload || (has_mesh && self.results.summarize);
            if !in_folder && !is_context {
                return Err(Failure(nothing_found(name, &text, &searched.found)));
            }
            self.results.skipped += 1;
            return Ok(());
        }
        for mut found in searched.found {
            if let Some(selected) = found.selected.take()
                && !matches!(found.body, Body::Foreign)
            {
                self.mesh.add_plugin(self.results.checked.len(), selected);
            }
            if found.is_extension && !matches!(found.body, Body::Foreign) {
                self.mesh.add_extension(self.results.checked.len());
            }
            self.results.checked.push(check(name, found));
        }
        Ok(())
    }

    /// A Helm template is YAML only after `helm template`.
    fn template(&mut self, name: &str, text: &Text, in_folder: bool) -> Result<(), Failure> {
        if in_folder && !pasted::names_sa_authn(text.content()) {
            self.results.skipped += 1;
            return Ok(());
        }
        let before = text.content().split("{{").next().unwrap_or_default().chars().count();
        let place = text.place(before);
        let message = "a Helm template, which cannot be checked";
        let remedy = "check the rendered files: `helm template CHART | sa-authn check -`";
        if !in_folder {
            let Place { line, column } = place;
            return Err(Failure(format!("{name}:{line}:{column}: {message}; {remedy}")));
        }
        self.results.checked.push(Checked {
            file: name.to_owned(),
            what: "template".to_owned(),
            place,
            is_ours: true,
            faults: vec![Fault {
                place,
                path: String::new(),
                message: message.to_owned(),
                remedy: Some(remedy.to_owned()),
                kind: Kind::HelmTemplate,
            }],
        });
        Ok(())
    }
}

/// The configuration in a file, as JSON. The file must contain exactly one.
pub fn only_configuration(file: &Path) -> Result<String, Failure> {
    let name = input::name(file);
    let text = Rc::new(Text::of_file(input::read_text(file)?));
    let found = search(&name, &text)?.found;
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
            Body::Foreign | Body::None => {}
        }
    }
    match ours.as_slice() {
        [] => Err(Failure(nothing_found(&name, &text, &found))),
        [(_, json)] => Ok(json.clone()),
        several => {
            let places: Vec<_> = several.iter().map(|(place, _)| format!("\n  {place}")).collect();
            let count = several.len();
            let places = places.concat();
            Err(Failure(format!("{name} contains {count} configurations, expected one:{places}")))
        }
    }
}

fn search(name: &str, text: &Rc<Text>) -> Result<Searched, Failure> {
    let content = text.content();
    let whole = |documents| {
        let what = "plugin configuration".to_owned();
        let (text, body, remarks) = (Rc::clone(text), Body::Json, Vec::new());
        let found = Found {
            what,
            text: Rc::clone(&text),
            at: 0,
            body,
            remarks,
            selected: None,
            is_extension: false,
        };
        Searched { text, documents, found: vec![found] }
    };
    if content.trim().is_empty() {
        return Ok(whole(Vec::new()));
    }
    let is_json = is_json(content);
    let mut documents = match yaml::parse(text) {
        Ok(documents) => documents,
        // The filter's JSON parser has better error messages.
        Err(_) if is_json => return Ok(whole(Vec::new())),
        Err(unreadable) => {
            let Place { line, column } = text.place(unreadable.at);
            return Err(Failure(format!("{name}:{line}:{column}: not YAML: {}", unreadable.why)));
        }
    };
    // Envoy reads a bootstrap itself, and does not merge.
    let is_for_envoy = |document: &Node| document.field("static_resources").is_some();
    for document in documents.iter_mut().filter(|document| !is_for_envoy(document)) {
        document.merge_keys();
    }
    let found: Vec<_> = documents.iter().flat_map(|document| find(text, document)).collect();
    let alone = |found: &Found| found.what == "plugin configuration";
    // To YAML, JSON with comments is an object with other names.
    let is_broken_json = || found.is_empty() && serde_json::from_str::<Value>(content).is_err();
    if is_json && (found.iter().any(alone) || is_broken_json()) {
        return Ok(whole(documents));
    }
    Ok(Searched { text: Rc::clone(text), documents, found })
}

/// Whether a text is meant to be JSON, also with comments before it.
pub fn is_json(content: &str) -> bool {
    let is_comment = |line: &str| ["//", "/*", "*"].iter().any(|mark| line.starts_with(mark));
    let mut lines = content.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !is_comment(line));
    first.is_some_and(|line| line.trim_start_matches(BYTE_ORDER_MARK).starts_with('{'))
}

fn nothing_found(name: &str, text: &Text, others: &[Found]) -> String {
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
    if let Some(pasted) = pasted::file(text.content()) {
        why += &format!("\n  {pasted}");
    }
    why
}

const BYTE_ORDER_MARK: char = '\u{feff}';

const WASM_FILTER: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
