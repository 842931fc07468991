//! The problems of a configuration, with their locations.

use super::find::{Body, Found};
use super::kind::Kind;
use super::report::{Checked, Fault};
use super::text::Text;
use super::yaml::{self, Node};
use super::{is_json, locate};
use sa_authn::config::{Config, Problem};

/// Checks what was found in a file.
pub fn check(file: &str, found: Found) -> Checked {
    let Found { what, text, at, body, remarks, .. } = found;
    let place = text.place(at);
    let mut faults = match &body {
        Body::Foreign | Body::None => Vec::new(),
        Body::Missing(why) => {
            let (path, message, remedy) = (String::new(), (*why).to_owned(), None);
            vec![Fault { place, path, message, remedy, kind: Kind::ConfigurationForm }]
        }
        Body::Json => check_json(&text),
        Body::Tree(tree) => check_tree(&text, tree),
    };
    let is_ours = !matches!(body, Body::Foreign);
    if is_ours {
        faults.extend(remarks.into_iter().map(|remark| Fault {
            place: remark.place,
            path: String::new(),
            message: remark.message,
            remedy: None,
            kind: remark.kind,
        }));
    }
    Checked { file: file.to_owned(), what, place, is_ours, faults }
}

/// Checks JSON text with the filter's parser. The YAML parser only provides the locations.
fn check_json(text: &Text) -> Vec<Fault> {
    let trees = yaml::parse(text).unwrap_or_default();
    let tree = trees.first();
    if !is_json(text.content()) && tree.is_some_and(|tree| !tree.members().is_empty()) {
        return vec![Fault {
            place: text.place(0),
            path: String::new(),
            message: "the filter reads JSON, and this text is YAML".to_owned(),
            remedy: Some(
                "use google.protobuf.Struct in place of google.protobuf.StringValue, or convert the \
                 text: `yq -o json`"
                    .to_owned(),
            ),
            kind: Kind::ConfigurationForm,
        }];
    }
    check_text(text, tree, text.content())
}

fn check_tree(text: &Text, tree: &Node) -> Vec<Fault> {
    check_text(text, Some(tree), &tree.to_json().to_string())
}

fn check_text(text: &Text, tree: Option<&Node>, json: &str) -> Vec<Fault> {
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
        kind: Kind::DuplicateField,
    });
    let others = problems.into_iter().map(|problem| fault(text, tree, problem));
    let mut faults: Vec<_> = twice.chain(others).collect();
    faults.extend(tree.into_iter().flat_map(|tree| without_scheme(text, tree)));
    faults.sort_by(|one, other| (one.place, &one.path).cmp(&(other.place, &other.path)));
    faults
}

fn fault(text: &Text, tree: Option<&Node>, problem: Problem) -> Fault {
    let remedy = locate::remedy(&problem);
    let kind = match &remedy {
        Some(remedy) if remedy.starts_with("this is a field of ") => Kind::PastedConfiguration,
        _ => Kind::of(&problem),
    };
    if problem.path.is_empty()
        && let Some((message, line, column)) = with_position(&problem.message)
    {
        let (place, message) = (text.place_of(line, column), message.to_owned());
        return Fault { place, path: String::new(), message, remedy, kind };
    }
    let at = tree.map_or(0, |tree| locate::locate(tree, &problem));
    Fault { place: text.place(at), path: problem.path, message: problem.message, remedy, kind }
}

/// Warnings for issuers that are not URLs. The API server accepts such an issuer, but OpenID Connect does not.
fn without_scheme(text: &Text, tree: &Node) -> Vec<Fault> {
    let issuers = tree.get("issuers").map(Node::items).unwrap_or_default().iter().enumerate();
    let issuers = issuers.filter_map(|(at, issuer)| Some((at, issuer.get("issuer")?)));
    let bare = issuers.filter_map(|(at, issuer)| {
        let name = issuer.text().filter(|name| !name.contains("://") && !name.contains('{'))?;
        (!name.is_empty() && name != "kubernetes/serviceaccount").then_some((at, name, issuer.at))
    });
    bare.map(|(at, name, place)| Fault {
        place: text.place(place),
        path: format!("issuers[{at}].issuer"),
        message: format!(
            "{name:?} has no scheme; the filter compares it with `iss` byte for byte, and `iss` is \
             usually a URL"
        ),
        remedy: Some(
            "`kubectl get --raw /.well-known/openid-configuration` prints the issuer of a cluster"
                .to_owned(),
        ),
        kind: Kind::IssuerWithoutScheme,
    })
    .collect()
}

/// Splits the location off an error message of serde_json.
fn with_position(message: &str) -> Option<(&str, usize, usize)> {
    let (message, place) = message.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some((message, line.parse().ok()?, column.parse().ok()?))
}
