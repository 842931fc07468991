//! Istio's RequestAuthentication and AuthorizationPolicy.

use super::cover::{Allowed, Callers, Cover, Entry, add};
use super::draft::{Draft, account, texts};
use super::jwt_rule::issuer;
use crate::cli::Failure;
use crate::cli::check::yaml::Node;
use serde_json::Value;

/// Converts the objects, which must be those of one workload.
pub fn convert(objects: &[&Node], draft: &mut Draft) -> Result<(), Failure> {
    let of_kind = |kind: &'static str| {
        let objects = objects.iter().copied();
        objects.filter(move |object| object.get("kind").and_then(Node::text) == Some(kind))
    };
    for object in of_kind("RequestAuthentication") {
        let rules = object.get("spec").and_then(|spec| spec.get("jwtRules"));
        for (at, rule) in rules.map(Node::items).unwrap_or_default().iter().enumerate() {
            issuer(rule, &format!("jwtRules[{at}]"), draft);
        }
    }
    let mut allowed = Vec::new();
    let mut is_restricted = false;
    let mut denied = Vec::new();
    for policy in of_kind("AuthorizationPolicy") {
        let spec = policy.get("spec").cloned().unwrap_or_else(Node::empty);
        let name = name(policy);
        match spec.get("action").and_then(Node::text).unwrap_or("ALLOW") {
            "ALLOW" => {
                is_restricted = true;
                allow(&spec, &name, draft, &mut allowed);
            }
            "DENY" if is_tcp_policy(&spec) => {
                draft.lose(
                    policy,
                    name,
                    "it denies TCP connections, which the plugin does not see: keep the policy",
                );
            }
            "DENY" => denied.extend(without_token(&spec, &name)?),
            action => draft.lose(
                policy,
                name,
                format!("the action {action} is not converted: keep the policy"),
            ),
        }
        let annotations = policy.get("metadata").and_then(|metadata| metadata.get("annotations"));
        if let Some(dry_run) =
            annotations.and_then(|annotations| annotations.get("istio.io/dry-run"))
        {
            draft.lose(
                dry_run,
                "istio.io/dry-run",
                "the rules are enforced; set `mode: shadow` for these rules",
            );
        }
    }
    rules(draft, is_restricted, allowed, denied)?;
    let is_open = |rule: &Value| rule["allow"] == "anyone";
    if let Some(object) = of_kind("RequestAuthentication").next()
        && draft.rules.iter().flatten().any(is_open)
    {
        draft.lose(
            object,
            "invalid tokens on open paths",
            "Istio rejects them; the plugin treats such a request as one without a token, and sets no identity \
             headers",
        );
    }
    Ok(())
}

fn rules(
    draft: &mut Draft,
    is_restricted: bool,
    allowed: Vec<Allowed>,
    denied: Vec<Allowed>,
) -> Result<(), Failure> {
    let anyone =
        Allowed { name: "rest".to_owned(), cover: Cover::default(), callers: Callers::Anyone };
    let rules = match (is_restricted, denied.is_empty()) {
        (true, true) => allowed,
        (false, _) => {
            let is_whole = denied.iter().any(|rule| rule.cover == Cover::default());
            denied.into_iter().chain((!is_whole).then_some(anyone)).collect()
        }
        // A token is required where a DENY policy demands one, and an ALLOW policy must allow the request too.
        (true, false) => {
            let mut rules = Vec::new();
            for rule in &allowed {
                for deny in &denied {
                    if let Some(cover) = rule.cover.intersect(&deny.cover) {
                        let callers = rule.callers.intersect(&deny.callers);
                        let name = format!("{} and {}", rule.name, deny.name);
                        rules.push(Allowed { name, cover, callers });
                    }
                }
            }
            let is_whole = denied.iter().any(|rule| rule.cover == Cover::default());
            rules.into_iter().chain(allowed.into_iter().filter(|_| !is_whole)).collect()
        }
    };
    if rules.is_empty() {
        return Err(Failure(
            "no rule of the AuthorizationPolicies can be converted, so the result would deny every request".to_owned(),
        ));
    }
    let only = match draft.issuers.as_slice() {
        [issuer] => issuer.get("issuer").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    for mut rule in rules {
        if let (Some(only), Callers::Listed(entries)) = (&only, &mut rule.callers) {
            entries.iter_mut().filter(|entry| entry.get("issuerName") == Some(only)).for_each(
                |entry| {
                    entry.remove("issuerName");
                },
            );
        }
        draft.add_rule(&rule);
    }
    Ok(())
}

/// Adds the rules of an ALLOW policy. A rule that cannot be expressed is left out, which denies more.
fn allow(spec: &Node, policy: &str, draft: &mut Draft, allowed: &mut Vec<Allowed>) {
    for (at, rule) in spec.get("rules").map(Node::items).unwrap_or_default().iter().enumerate() {
        let name = if at == 0 { policy.to_owned() } else { format!("{policy}[{at}]") };
        match (callers(rule), covers(rule)) {
            (Ok(callers), Ok((covers, narrower))) => {
                if let Some(why) = narrower {
                    draft.lose(rule, format!("{policy}.rules[{at}]"), why);
                }
                for cover in covers {
                    add(allowed, Allowed { name: name.clone(), cover, callers: callers.clone() });
                }
            }
            (callers, covers) => {
                let why = callers.err().or(covers.err()).unwrap_or_default();
                draft.lose(
                    rule,
                    format!("{policy}.rules[{at}]"),
                    format!("{why}; the rule is left out, which denies more"),
                );
            }
        }
    }
    // A rule that is used for several covers must have several names.
    for at in 0..allowed.len() {
        let name = allowed.get(at).map(|rule| rule.name.clone()).unwrap_or_default();
        let same = allowed.iter_mut().skip(at + 1).filter(|rule| rule.name == name);
        same.enumerate().for_each(|(number, rule)| rule.name = format!("{name} ({})", number + 2));
    }
}

/// The callers of a rule.
fn callers(rule: &Node) -> Result<Callers, String> {
    let mut callers = match rule.get("from") {
        None => Callers::Anyone,
        Some(from) => {
            let mut callers = Callers::Listed(Vec::new());
            for source in from.items().iter().filter_map(|from| from.get("source")) {
                for (key, value) in source.members() {
                    match key.name.as_str() {
                        "requestPrincipals" => callers = callers.unite(&principals(value)?),
                        other => {
                            return Err(format!(
                                "the plugin has no equivalent of `source.{other}`"
                            ));
                        }
                    }
                }
            }
            callers
        }
    };
    for when in rule.get("when").map(Node::items).unwrap_or_default() {
        let key = when.get("key").and_then(Node::text).unwrap_or_default();
        let values = when.get("values");
        let condition = match (key, values) {
            ("request.auth.principal", Some(values)) => principals(values)?,
            ("request.auth.claims[sub]", Some(values)) => subjects(values)?,
            _ => return Err(format!("the plugin has no equivalent of the condition {key:?}")),
        };
        callers = callers.intersect(&condition);
    }
    Ok(callers)
}

/// `ISSUER/SUBJECT`, with `*` at the beginning or at the end.
fn principals(values: &Node) -> Result<Callers, String> {
    let mut entries = Vec::new();
    for principal in texts(Some(values)) {
        let mut entry = Entry::new();
        if principal != "*" {
            let (issuer, subject) = principal
                .rsplit_once('/')
                .ok_or_else(|| format!("requestPrincipals {principal:?} is not ISSUER/SUBJECT"))?;
            if issuer != "*" {
                entry.insert("issuerName", issuer.to_owned());
            }
            if subject != "*" {
                let account = subject_account(subject);
                let account =
                    account.ok_or_else(|| format!("{subject:?} is not a service account"))?;
                entry.insert("serviceAccount", account);
            }
        }
        entries.push(entry);
    }
    Ok(Callers::Listed(entries))
}

fn subjects(values: &Node) -> Result<Callers, String> {
    let entry = |subject: String| {
        let account = subject_account(&subject)
            .ok_or_else(|| format!("{subject:?} is not a service account"))?;
        Ok(Entry::from([("serviceAccount", account)]))
    };
    texts(Some(values)).into_iter().map(entry).collect::<Result<_, String>>().map(Callers::Listed)
}

fn subject_account(subject: &str) -> Option<String> {
    match subject.strip_suffix(":*") {
        Some(namespace) => {
            let namespace = namespace.strip_prefix("system:serviceaccount:")?;
            (!namespace.contains(':')).then(|| format!("{namespace}/*"))
        }
        None => account(subject).filter(|account| !account.contains('*')),
    }
}

/// The requests of a rule, and why they are fewer than those of the original.
fn covers(rule: &Node) -> Result<(Vec<Cover>, Option<String>), String> {
    let Some(to) = rule.get("to") else { return Ok((vec![Cover::default()], None)) };
    let mut covers = Vec::new();
    let mut narrower = None;
    for operation in to.items().iter().filter_map(|to| to.get("operation")) {
        let mut cover = Cover::default();
        for (key, value) in operation.members() {
            let list = texts(Some(value));
            let is_any = list.iter().any(|item| item == "*");
            match key.name.as_str() {
                _ if is_any => {}
                "methods" => cover.methods = Some(list),
                "hosts" => cover.hosts = Some(list),
                "ports" => cover.ports = Some(list),
                "paths" => {
                    let mut paths = Vec::new();
                    for path in list {
                        paths.extend(patterns(&path, &mut narrower)?);
                    }
                    cover.paths = Some(paths);
                }
                other => {
                    return Err(format!("the plugin has no equivalent of `operation.{other}`"));
                }
            }
        }
        covers.push(cover);
    }
    Ok((covers, narrower))
}

/// Istio's paths: exact, a prefix with `*` at its end, or a template.
fn patterns(path: &str, narrower: &mut Option<String>) -> Result<Vec<String>, String> {
    if path.contains('{') {
        let pattern = path.replace("{*}", "*");
        return match pattern.strip_suffix("/{**}") {
            Some(start) if !start.contains('{') => Ok(vec![format!("{start}/*")]),
            None if !pattern.contains('{') => Ok(vec![pattern]),
            _ => Err(format!("the template {path:?} cannot be expressed")),
        };
    }
    match path.strip_suffix('*') {
        None if path.contains('*') => Err(format!("the suffix {path:?} cannot be expressed")),
        None => Ok(vec![path.to_owned()]),
        Some(start) if start.contains('*') => Err(format!("{path:?} cannot be expressed")),
        Some(start) if start.ends_with('/') => Ok(vec![path.to_owned()]),
        Some(start) => {
            *narrower = Some(format!(
                "{path:?} also matches \"{start}x\", which patterns cannot express; such paths are denied, unless \
                 another rule allows them"
            ));
            Ok(vec![start.to_owned(), format!("{start}/*")])
        }
    }
}

/// A DENY policy for requests without a token, as rules for authenticated callers.
fn without_token(spec: &Node, name: &str) -> Result<Vec<Allowed>, Failure> {
    let refuse = |why: &str| {
        Failure(format!(
            "AuthorizationPolicy {name} has the action DENY, and {why}; without it the result would allow more, so \
             nothing is converted"
        ))
    };
    let mut rules = Vec::new();
    for rule in spec.get("rules").map(Node::items).unwrap_or_default() {
        let sources: Vec<_> = rule.get("from").map(Node::items).unwrap_or_default().to_vec();
        let [from] = sources.as_slice() else {
            return Err(refuse(
                "only a rule with `notRequestPrincipals: [\"*\"]` can be converted",
            ));
        };
        let source = from.get("source").map(Node::members).unwrap_or_default();
        let is_no_token = |(key, value): &(_, Node)| {
            let key: &crate::cli::check::yaml::Key = key;
            key.name == "notRequestPrincipals" && texts(Some(value)) == ["*"]
        };
        if !matches!(source, [one] if is_no_token(one)) || rule.get("when").is_some() {
            return Err(refuse(
                "only a rule with `notRequestPrincipals: [\"*\"]` can be converted",
            ));
        }
        let (covers, narrower) = covers(rule).map_err(|why| refuse(&why))?;
        if narrower.is_some() {
            return Err(refuse(
                "a path with `*` and without a slash before it cannot be expressed",
            ));
        }
        let callers = Callers::authenticated;
        rules.extend(covers.into_iter().map(|cover| Allowed {
            name: name.to_owned(),
            cover,
            callers: callers(),
        }));
    }
    Ok(rules)
}

/// The policy of istio/wasmplugin-sidecar.yaml.
fn is_tcp_policy(spec: &Node) -> bool {
    let rules = spec.get("rules").map(Node::items).unwrap_or_default();
    let mut operations =
        rules.iter().flat_map(|rule| rule.get("to").map(Node::items).unwrap_or_default());
    operations.any(|to| {
        let operation = to.get("operation");
        let methods = operation.and_then(|operation| operation.get("notMethods"));
        texts(methods) == ["*"]
    })
}

fn name(object: &Node) -> String {
    let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
    name.and_then(Node::text).unwrap_or("policy").to_owned()
}
