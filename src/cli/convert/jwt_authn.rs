//! Envoy's `jwt_authn` filter, and the RBAC filter after it.

use super::cover::{Allowed, Callers, Cover, Entry};
use super::draft::{Draft, Paths, prefix, texts, with_paths};
use super::provider::{Provider, flag, provider};
use super::rbac;
use crate::cli::Failure;
use crate::cli::check::yaml::Node;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The audiences and accounts of each provider.
type Providers = BTreeMap<String, Provider>;

/// The requests of a rule, as far as the plugin can express them.
enum Match {
    Same(Cover),
    Fewer(Cover, String),
    Unsupported(String),
}

/// Converts the filter. `after` is the RBAC filter.
pub fn convert(filter: &Node, after: Option<&Node>, draft: &mut Draft) -> Result<(), Failure> {
    let mut providers = Providers::new();
    let nodes = filter.field("providers").map(Node::members).unwrap_or_default();
    for (key, node) in nodes {
        let provider = provider(&key.name, node, draft);
        providers.insert(key.name.clone(), provider);
    }
    add_rule_audiences(filter, &mut providers, draft);
    let mut rules = Rules::default();
    if flag(filter, "bypass_cors_preflight") {
        draft.rules.get_or_insert_default().push(json!({
            "name": "cors-preflight", "corsPreflight": true, "allow": "anyone",
        }));
    }
    if flag(filter, "strip_failure_response") {
        draft.members.insert("answers".to_owned(), json!({ "hideReason": true }));
    }
    let nodes = filter.field("rules").map(Node::items).unwrap_or_default();
    let mut is_complete = true;
    for (at, node) in nodes.iter().enumerate() {
        let path = format!("rules[{at}]");
        if let Err(why) = add(node, &path, filter, &providers, draft, &mut rules) {
            let rest =
                "this rule and the rules after it are not converted, and their requests are denied";
            draft.lose(node, path, format!("{why}; {rest}"));
            is_complete = false;
            break;
        }
    }
    if let Some(states) = filter.field("filter_state_rules") {
        draft.lose(
            states,
            "filter_state_rules",
            "the plugin does not read the filter state of other filters",
        );
        is_complete = false;
    }
    let has_rest = rules.allowed.iter().any(|rule| rule.cover == Cover::default());
    if is_complete && !has_rest {
        // jwt_authn requires nothing for requests that no rule matches.
        let (name, cover) = ("rest".to_owned(), Cover::default());
        rules.add(filter, Allowed { name, cover, callers: Callers::Anyone }, draft);
    }
    let allowed = match after {
        Some(after) => rbac::restrict(after, rules.allowed, draft)?,
        None => rules.allowed,
    };
    for rule in &allowed {
        draft.add_rule(rule);
    }
    Ok(())
}

/// The rules so far, in order.
#[derive(Default)]
struct Rules {
    allowed: Vec<Allowed>,
    /// Prefixes that patterns cannot express, with the callers that may send paths such as `/apix`.
    narrowed: Vec<(String, Callers)>,
}

impl Rules {
    /// Adds a rule, unless it would open paths that jwt_authn protects with a rule before it.
    fn add(&mut self, node: &Node, rule: Allowed, draft: &mut Draft) {
        let is_wider = |(prefix, callers): &&(String, Callers)| {
            let paths = rule.cover.paths.as_ref();
            paths.is_none_or(|paths| paths.iter().any(|path| continues(path, prefix)))
                && rule.callers.intersect(callers) != rule.callers
        };
        match self.narrowed.iter().find(is_wider) {
            None => self.allowed.push(rule),
            Some((prefix, _)) => {
                let why = format!(
                    "the rule would also apply to \"{prefix}x\", for which jwt_authn requires more, so it is left \
                     out and its requests are denied; to add it nevertheless: {}",
                    rule.to_json()
                );
                draft.lose(node, rule.name, why);
            }
        }
    }
}

/// Whether a path pattern matches a path that begins with a prefix and continues its last segment.
fn continues(pattern: &str, prefix: &str) -> bool {
    let mut segments = pattern.split('/').skip(1).peekable();
    let mut parts = prefix.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let Some(segment) = segments.next() else { return false };
        let is_last = parts.peek().is_none();
        match segment {
            "*" if is_last || segments.peek().is_none() => return true,
            "*" => {}
            segment if is_last => return segment.starts_with(part) && segment != part,
            segment if segment != part => return false,
            _ => {}
        }
    }
    false
}

/// Adds the audiences of `provider_and_audiences` to the issuers. The rules name the audiences that they permit.
fn add_rule_audiences(filter: &Node, providers: &mut Providers, draft: &mut Draft) {
    let mut wanted = Vec::new();
    provider_audiences(filter, &mut wanted);
    for (name, audiences) in wanted {
        let issuers = draft.issuers.iter_mut();
        let named = issuers
            .filter_map(Value::as_object_mut)
            .find(|issuer| issuer.get("name") == Some(&json!(name)));
        let list =
            named.and_then(|issuer| issuer.get_mut("audiences")).and_then(Value::as_array_mut);
        let (Some(list), Some(provider)) = (list, providers.get_mut(&name)) else { continue };
        for audience in audiences.into_iter().map(Value::String) {
            if !list.contains(&audience) {
                provider.is_widened = true;
                list.push(audience);
            }
        }
    }
}

fn provider_audiences(node: &Node, found: &mut Vec<(String, Vec<String>)>) {
    if let Some(both) = node.field("provider_and_audiences")
        && let Some(name) = both.field("provider_name").and_then(Node::text)
    {
        found.push((name.to_owned(), texts(both.field("audiences"))));
    }
    node.items().iter().for_each(|item| provider_audiences(item, found));
    node.members().iter().for_each(|(_, value)| provider_audiences(value, found));
}

/// Adds a rule. `Err` if it protects requests and cannot be expressed.
fn add(
    rule: &Node,
    path: &str,
    filter: &Node,
    providers: &Providers,
    draft: &mut Draft,
    rules: &mut Rules,
) -> Result<(), String> {
    let empty = Node::empty();
    let callers = callers(rule, path, filter, providers, draft)?;
    let name = path.to_owned();
    match matching(rule.get("match").unwrap_or(&empty)) {
        Match::Same(cover) => rules.add(rule, Allowed { name, cover, callers }, draft),
        Match::Fewer(cover, prefix) => {
            let why = format!(
                "a prefix without a slash at its end also matches \"{prefix}x\", which patterns cannot express; \
                 such paths are denied, unless another rule allows them"
            );
            draft.lose(rule, format!("{path}.match.prefix"), why);
            rules.add(rule, Allowed { name, cover, callers: callers.clone() }, draft);
            rules.narrowed.push((prefix, callers));
        }
        Match::Unsupported(why) if callers == Callers::Anyone => {
            draft.lose(
                rule,
                format!("{path}.match"),
                format!("{why}; the rule requires no token and is left out"),
            );
        }
        Match::Unsupported(why) => return Err(why),
    }
    Ok(())
}

fn matching(node: &Node) -> Match {
    let mut cover = Cover::default();
    let mut fewer = None;
    for (key, value) in node.members() {
        let text = value.text().unwrap_or_default();
        match key.name.as_str() {
            "prefix" => match prefix(text) {
                Paths::All => {}
                Paths::Same(paths) => cover.paths = Some(paths),
                Paths::Fewer(paths) => {
                    cover.paths = Some(paths);
                    fewer = Some(text.to_owned());
                }
            },
            "path" => cover = Cover { paths: Some(vec![text.to_owned()]), ..cover },
            "path_separated_prefix" | "pathSeparatedPrefix" => {
                cover.paths = with_paths(vec![text.to_owned(), format!("{text}/*")]).paths;
            }
            "headers" => match method(value) {
                Some(methods) => cover.methods = Some(methods),
                None => {
                    return Match::Unsupported(
                        "rules cannot match headers other than `:method`".to_owned(),
                    );
                }
            },
            other => return Match::Unsupported(format!("rules have no equivalent of `{other}`")),
        }
    }
    match fewer {
        None => Match::Same(cover),
        Some(prefix) => Match::Fewer(cover, prefix),
    }
}

/// The methods of header matchers; `None` if they match anything else.
fn method(headers: &Node) -> Option<Vec<String>> {
    let [header] = headers.items() else { return None };
    let is_method = header.get("name").and_then(Node::text) == Some(":method");
    let exact = header.field("string_match").and_then(|matcher| matcher.get("exact"));
    let exact = exact.or_else(|| header.field("exact_match"))?.text()?;
    (is_method && header.members().len() == 2).then(|| vec![exact.to_owned()])
}

/// The callers that fulfil the requirement of a rule. `Err` if it cannot be expressed.
fn callers(
    rule: &Node,
    path: &str,
    filter: &Node,
    providers: &Providers,
    draft: &mut Draft,
) -> Result<Callers, String> {
    if let Some(name) = rule.field("requirement_name").and_then(Node::text) {
        let named = filter.field("requirement_map").and_then(|map| map.get(name));
        return required(named.ok_or("unknown requirement_name")?, path, providers, draft);
    }
    match rule.get("requires") {
        Some(requires) => required(requires, path, providers, draft),
        None => Ok(Callers::Anyone),
    }
}

fn required(
    node: &Node,
    path: &str,
    providers: &Providers,
    draft: &mut Draft,
) -> Result<Callers, String> {
    let Some((key, value)) = node.members().first() else { return Ok(Callers::Anyone) };
    let of = |name: Option<&str>, audiences: Option<Vec<String>>| {
        let name = name.unwrap_or_default();
        let provider = providers.get(name).ok_or(format!("unknown provider {name:?}"))?;
        Ok(entries(name, provider, audiences, providers.len() > 1))
    };
    match key.name.replace('_', "").to_lowercase().as_str() {
        "providername" => of(value.text(), None),
        "providerandaudiences" => {
            let audiences = Some(texts(value.field("audiences"))).filter(|list| !list.is_empty());
            of(value.field("provider_name").and_then(Node::text), audiences)
        }
        "requiresany" => {
            let mut callers = Callers::Listed(Vec::new());
            for one in value.get("requirements").map(Node::items).unwrap_or_default() {
                callers = callers.unite(&required(one, path, providers, draft)?);
            }
            Ok(callers)
        }
        "allowmissing" => {
            let why = "jwt_authn rejects an invalid token here; the plugin treats it as a missing token, \
                       and sets no identity headers";
            draft.lose(node, format!("{path}.requires.allow_missing"), why);
            Ok(Callers::Anyone)
        }
        "allowmissingorfailed" => Ok(Callers::Anyone),
        "extractonlywithoutvalidation" => {
            let why = "the plugin never reads claims of a token that it did not verify";
            draft.lose(node, format!("{path}.requires.{}", key.name), why);
            Ok(Callers::Anyone)
        }
        _ => Err(format!("the plugin has no equivalent of `{}`", key.name)),
    }
}

/// The callers of a provider. `several`: there are other providers.
fn entries(
    name: &str,
    provider: &Provider,
    audiences: Option<Vec<String>>,
    several: bool,
) -> Callers {
    let own = &provider.audiences;
    let audiences = match audiences {
        Some(audiences) if audiences != *own => audiences,
        _ if provider.is_widened => own.clone(),
        _ => Vec::new(),
    };
    let audiences: Vec<_> = match audiences.is_empty() {
        true => vec![None],
        false => audiences.into_iter().map(Some).collect(),
    };
    let accounts = match &provider.accounts {
        Some(accounts) => accounts.iter().map(Some).collect(),
        None => vec![None],
    };
    let mut entries = Vec::new();
    for account in accounts {
        for audience in &audiences {
            let mut entry = Entry::new();
            let account = account.filter(|account: &&String| *account != "*/*");
            entry.extend(account.map(|account| ("serviceAccount", account.clone())));
            entry.extend(audience.clone().map(|audience| ("audience", audience)));
            if several {
                entry.insert("issuerName", name.to_owned());
            }
            entries.push(entry);
        }
    }
    Callers::Listed(entries)
}
