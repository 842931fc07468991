//! Envoy's RBAC filter, as it is used after jwt_authn.

use super::cover::{Allowed, Callers, Cover, Entry, add, covers};
use super::draft::{Draft, Paths, account, prefix, with_paths};
use crate::cli::Failure;
use crate::cli::check::yaml::Node;

/// The rules that also fulfil the RBAC filter.
pub fn restrict(
    filter: &Node,
    rules: Vec<Allowed>,
    draft: &mut Draft,
) -> Result<Vec<Allowed>, Failure> {
    if let Some(shadow) = filter.field("shadow_rules") {
        draft.lose(
            shadow,
            "rbac.shadow_rules",
            "shadow rules are not converted; use `mode: shadow` of a rule",
        );
    }
    let Some(node) = filter.get("rules") else { return Ok(rules) };
    let action = node.get("action").and_then(Node::text).unwrap_or("ALLOW");
    if action != "ALLOW" && action != "0" {
        return Err(Failure(format!(
            "the RBAC filter has the action {action}; only ALLOW can be converted, and without this filter the \
             result would allow more"
        )));
    }
    let mut allowed = Vec::new();
    for (key, policy) in node.get("policies").map(Node::members).unwrap_or_default() {
        let name = key.name.clone();
        match (permissions(policy), principals(policy)) {
            (Ok(covers), Ok(callers)) if policy.get("condition").is_none() => {
                for cover in covers {
                    add(
                        &mut allowed,
                        Allowed { name: name.clone(), cover, callers: callers.clone() },
                    );
                }
            }
            (covers, callers) => {
                let why =
                    covers.err().or(callers.err()).unwrap_or_else(|| "conditions (CEL)".to_owned());
                let why = format!(
                    "the plugin has no equivalent of {why}; the policy is left out, which denies more"
                );
                draft.lose(policy, format!("rbac.policies.{name}"), why);
            }
        }
    }
    let mut restricted = Vec::new();
    for rule in &rules {
        for policy in &allowed {
            let Some(cover) = rule.cover.intersect(&policy.cover) else { continue };
            let callers = rule.callers.intersect(&policy.callers);
            let name = match rules.len() {
                1 => policy.name.clone(),
                _ => format!("{} and {}", rule.name, policy.name),
            };
            if callers.is_empty() {
                let why =
                    "the callers of the rule and of the RBAC policy exclude each other; denied";
                draft.lose(filter, name, why);
                continue;
            }
            // The first rule that covers a request decides, so a rule below one that covers more has no effect.
            if !covers(&restricted, &cover) {
                restricted.push(Allowed { name, cover, callers });
            }
        }
    }
    Ok(restricted)
}

/// The requests of a policy: any of these.
fn permissions(policy: &Node) -> Result<Vec<Cover>, String> {
    let list = policy.get("permissions").map(Node::items).unwrap_or_default();
    list.iter().map(permission).collect::<Result<Vec<_>, _>>().map(|covers| covers.concat())
}

fn permission(node: &Node) -> Result<Vec<Cover>, String> {
    let Some((key, value)) = node.members().first() else {
        return Err("an empty permission".to_owned());
    };
    match key.name.as_str() {
        "any" => Ok(vec![Cover::default()]),
        "url_path" | "urlPath" => {
            let path = value.get("path").ok_or("a permission without a path")?;
            let exact = path.get("exact").and_then(Node::text);
            let begin = path.get("prefix").and_then(Node::text);
            match (exact, begin.map(prefix)) {
                (Some(exact), _) => Ok(vec![with_paths(vec![exact.to_owned()])]),
                (_, Some(Paths::All)) => Ok(vec![Cover::default()]),
                // Fewer paths for a policy that allows deny more.
                (_, Some(Paths::Same(paths) | Paths::Fewer(paths))) => Ok(vec![with_paths(paths)]),
                _ => Err("this url_path".to_owned()),
            }
        }
        "header" => {
            let name = value.get("name").and_then(Node::text).unwrap_or_default();
            let exact = value.field("string_match").and_then(|matcher| matcher.get("exact"));
            let exact = exact.or_else(|| value.field("exact_match")).and_then(Node::text);
            let list =
                exact.map(|exact| vec![exact.to_owned()]).ok_or(format!("the header {name:?}"))?;
            match name {
                ":method" => Ok(vec![Cover { methods: Some(list), ..Cover::default() }]),
                ":authority" | "host" => Ok(vec![Cover { hosts: Some(list), ..Cover::default() }]),
                ":path" => Ok(vec![with_paths(list)]),
                _ => Err(format!("the header {name:?}")),
            }
        }
        "destination_port" | "destinationPort" => {
            let port = value.text().unwrap_or_default().to_owned();
            Ok(vec![Cover { ports: Some(vec![port]), ..Cover::default() }])
        }
        "or_rules" | "orRules" => {
            let rules = value.get("rules").map(Node::items).unwrap_or_default();
            rules
                .iter()
                .map(permission)
                .collect::<Result<Vec<_>, _>>()
                .map(|covers| covers.concat())
        }
        "and_rules" | "andRules" => {
            let mut all = vec![Cover::default()];
            for rule in value.get("rules").map(Node::items).unwrap_or_default() {
                let next = permission(rule)?;
                all = all
                    .iter()
                    .flat_map(|one| next.iter().filter_map(|two| one.intersect(two)))
                    .collect();
            }
            Ok(all)
        }
        other => Err(format!("`{other}`")),
    }
}

/// The callers of a policy: any of these.
fn principals(policy: &Node) -> Result<Callers, String> {
    let mut callers = Callers::Listed(Vec::new());
    for node in policy.get("principals").map(Node::items).unwrap_or_default() {
        callers = callers.unite(&principal(node)?);
    }
    Ok(callers)
}

fn principal(node: &Node) -> Result<Callers, String> {
    let Some((key, value)) = node.members().first() else {
        return Err("an empty principal".to_owned());
    };
    match key.name.as_str() {
        "any" => Ok(Callers::Anyone),
        "or_ids" | "orIds" => {
            let mut callers = Callers::Listed(Vec::new());
            for id in value.get("ids").map(Node::items).unwrap_or_default() {
                callers = callers.unite(&principal(id)?);
            }
            Ok(callers)
        }
        "and_ids" | "andIds" => {
            let ids = value.get("ids").map(Node::items).unwrap_or_default();
            ids.iter().try_fold(Callers::Anyone, |all, id| Ok(all.intersect(&principal(id)?)))
        }
        "metadata" => {
            let from_jwt =
                value.get("filter").and_then(Node::text) == Some("envoy.filters.http.jwt_authn");
            let path = value.get("path").map(Node::items).unwrap_or_default();
            let claim = path.last().and_then(|segment| segment.get("key")).and_then(Node::text);
            let matcher = value.get("value").and_then(|value| value.field("string_match"));
            match (from_jwt, claim, matcher, path.len()) {
                (true, Some("sub"), Some(matcher), 1 | 2) => subject(matcher),
                _ => Err("this metadata".to_owned()),
            }
        }
        other => Err(format!("`{other}`")),
    }
}

fn subject(matcher: &Node) -> Result<Callers, String> {
    let exact = matcher.get("exact").and_then(Node::text).and_then(account);
    let namespace = matcher.get("prefix").and_then(Node::text).and_then(|prefix| {
        let namespace = prefix.strip_prefix("system:serviceaccount:")?.strip_suffix(':')?;
        (!namespace.contains(':')).then(|| format!("{namespace}/*"))
    });
    let account = exact.or(namespace).ok_or("this matcher of `sub`")?;
    Ok(Callers::Listed(vec![Entry::from([("serviceAccount", account)])]))
}
