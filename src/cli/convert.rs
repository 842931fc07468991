//! `sa-authn convert`: turns the configuration of another system into the plugin's configuration.
//!
//! What cannot be expressed is left out so that the result denies more, or nothing is converted. Each omission is listed
//! with the reason.

mod cover;
mod draft;
#[allow(clippy::indexing_slicing, reason = "indexing an object by name does not panic")]
mod istio;
mod jwt_authn;
#[allow(clippy::indexing_slicing, reason = "indexing an object by name does not panic")]
mod jwt_rule;
mod keys;
#[allow(clippy::indexing_slicing, reason = "indexing an object by name does not panic")]
mod kube_rbac_proxy;
#[allow(clippy::indexing_slicing, reason = "indexing an object by name does not panic")]
mod provider;
mod rbac;

use super::check::text::{Place, Text};
use super::check::yaml::{self, Node};
use super::{Answer, Failure, Report, input};
use draft::Draft;
use std::path::PathBuf;

/// The arguments of `convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Options {
    /// File with the configuration of `jwt_authn` (also in a bootstrap, with the RBAC filter after it), a
    /// RequestAuthentication with its AuthorizationPolicies, or a manifest with a kube-rbac-proxy; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// The documents of a file.
struct Source {
    name: String,
    text: Text,
    documents: Vec<Node>,
}

const EXIT_CODES: &str = "\
The configuration is printed to stdout, and what it cannot express to stderr. Exit codes: 0 everything was converted, 1 \
something was left out, 2 nothing was converted.";

/// Converts the files.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = String::new();
    let mut configuration = None;
    let sources =
        options.files.iter().map(|file| Source::read(file)).collect::<Result<Vec<_>, _>>()?;
    let all: Vec<_> = sources.iter().flat_map(|source| &source.documents).collect();
    for source in &sources {
        let mut draft = Draft::default();
        if configuration.is_some() || !convert(source, &all, &mut draft)? {
            continue;
        }
        for lost in &draft.lost {
            let Place { line, column } = source.text.place(lost.at);
            report += &format!(
                "{}:{line}:{column}: not converted: {}: {}\n",
                source.name, lost.what, lost.why
            );
        }
        configuration = Some(draft.to_json());
    }
    let Some(mut configuration) = configuration else {
        return Err(Failure(
            "found nothing to convert. Searched for an Envoy filter of type JwtAuthentication (or an object with \
             `providers`), for a RequestAuthentication, and for a container with the image kube-rbac-proxy"
                .to_owned(),
        ));
    };
    configuration.sort_all_objects();
    let answer = if report.is_empty() { Answer::Yes } else { Answer::No };
    let mut printed = Report::of(format!("{configuration:#}\n"), answer, Vec::new());
    printed.notes = report;
    Ok(printed)
}

/// Converts a file; `false` if there is nothing in it.
fn convert(source: &Source, all: &[&Node], draft: &mut Draft) -> Result<bool, Failure> {
    for document in &source.documents {
        if let Some((filter, after)) = jwt_filter(document) {
            jwt_authn::convert(filter, after, draft)?;
            return Ok(true);
        }
        if let Some(arguments) = kube_rbac_proxy::container(document) {
            let authorization = all.iter().find(|document| document.get("authorization").is_some());
            kube_rbac_proxy::convert(arguments, authorization.copied(), draft);
            return Ok(true);
        }
    }
    let is_jwt =
        |node: &&Node| node.get("kind").and_then(Node::text) == Some("RequestAuthentication");
    if source.documents.iter().any(|node| is_jwt(&node)) {
        istio::convert(all, draft)?;
        return Ok(true);
    }
    Ok(false)
}

/// The configuration of jwt_authn, and of the RBAC filter after it.
fn jwt_filter(node: &Node) -> Option<(&Node, Option<&Node>)> {
    if let Some(filters) = node.field("http_filters") {
        let config = |kind: &'static str| {
            filters.items().iter().filter_map(|filter| filter.field("typed_config")).find(
                move |config| {
                    config
                        .get("@type")
                        .and_then(Node::text)
                        .is_some_and(|found| found.ends_with(kind))
                },
            )
        };
        if let Some(filter) = config("JwtAuthentication") {
            return Some((filter, config("http.rbac.v3.RBAC")));
        }
    }
    let is_filter = |node: &Node| {
        let kind = node.get("@type").and_then(Node::text).unwrap_or_default();
        let has = |name: &str| node.field(name).is_some_and(|value| !value.members().is_empty());
        kind.ends_with("JwtAuthentication") || has("providers")
    };
    if is_filter(node) {
        return Some((node, None));
    }
    let members = node.members().iter().map(|(_, value)| value);
    members.chain(node.items()).find_map(jwt_filter)
}

// === impl Source ===

impl Source {
    fn read(file: &std::path::Path) -> Result<Self, Failure> {
        let name = input::name(file);
        let text = Text::of_file(input::read_text(file)?);
        let mut documents = yaml::parse(&text).map_err(|unreadable| {
            let Place { line, column } = text.place(unreadable.at);
            Failure(format!("{name}:{line}:{column}: not YAML: {}", unreadable.why))
        })?;
        documents.iter_mut().for_each(Node::merge_keys);
        Ok(Self { name, text, documents })
    }
}
