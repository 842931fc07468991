//! The filter in the configuration that an Envoy runs with, from its config dump.

use super::routes::{self, Named, Routes};
use serde_json::Value;

/// What a config dump says about the filter.
#[derive(Debug, Default)]
pub struct Observed {
    /// The filter in each filter chain that has it.
    pub filters: Vec<Filter>,
    /// How many filter chains have the module.
    pub chains: usize,
    /// Filter chains that lead to an upstream without the filter.
    pub open: Vec<Open>,
    /// Routes that do not run the filter of their filter chain.
    pub routes: Vec<String>,
    /// Filter chains without the filter in which a network RBAC filter denies every connection.
    pub denied_chains: usize,
    /// Newer configurations that Envoy rejected.
    pub refused: Vec<String>,
    /// Listeners that wait for something before they are active.
    pub warming: Vec<String>,
    /// Former versions of listeners that still have connections.
    pub draining: Vec<Draining>,
}

/// A former version of a listener, which keeps its connections until Envoy has drained them.
#[derive(Debug, PartialEq, Eq)]
pub struct Draining {
    /// The name of the listener.
    pub listener: String,
    /// Whether each of its filter chains that lead to an upstream has the filter.
    pub had_filter: bool,
}

/// The filter in a filter chain.
#[derive(Debug)]
pub struct Filter {
    /// Listener and filter chain.
    pub chain: String,
    /// What Envoy runs.
    pub body: Body,
    /// Whether requests pass if the filter fails.
    pub fails_open: bool,
    /// Whether Envoy loads a crashed VM again.
    pub reloads: bool,
    /// Whether the filter is disabled unless a route enables it, and the routes are not known.
    pub disabled: bool,
}

/// What Envoy runs in place of the filter.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// The module, with this configuration.
    Wasm(String),
    /// The module was not delivered. Contains the filter that the control plane put in its place, or why there is none.
    Missing(String),
}

/// What Envoy received apart from the listeners.
struct Delivered<'d> {
    ecds: Vec<&'d Value>,
    routes: Routes<'d>,
}

/// A filter chain without the filter.
#[derive(Debug)]
pub struct Open {
    /// Listener and filter chain.
    pub chain: String,
    /// Whether the chain is for HTTP.
    pub is_http: bool,
}

// === impl Observed ===

impl Observed {
    /// Reads a config dump.
    pub fn read(dump: &Value) -> Self {
        let sections = list(&dump["configs"]);
        let section = |kind: &str| sections.iter().find(|section| is_type(section, kind));
        let ecds: Vec<&Value> = sections
            .iter()
            .filter(|section| is_type(section, "EcdsConfigDump"))
            .flat_map(|section| list(&section["ecds_filters"]))
            .collect();
        let node = section("BootstrapConfigDump").map(|dump| &dump["bootstrap"]["node"]["id"]);
        let is_sidecar = node.and_then(Value::as_str).is_some_and(|id| id.starts_with("sidecar~"));
        let delivered = Delivered { ecds, routes: Routes::read(sections) };
        let mut observed = Self::default();
        let listeners = section("ListenersConfigDump").unwrap_or(&Value::Null);
        for listener in list(&listeners["dynamic_listeners"]) {
            let name = text(&listener["name"]);
            let error = &listener["error_state"];
            if !error.is_null() {
                observed.refused.push(format!("listener {name:?}: {}", text(&error["details"])));
            }
            if !listener["warming_state"].is_null() {
                observed.warming.push(name.to_owned());
            }
            let former = &listener["draining_state"]["listener"];
            if !former.is_null() && (!is_sidecar || text(&former["traffic_direction"]) == "INBOUND")
            {
                let mut state = Self::default();
                state.add_listener(former, &delivered);
                let had_filter = state.open.is_empty();
                observed.draining.push(Draining { listener: name.to_owned(), had_filter });
            }
        }
        for filter in &delivered.ecds {
            let error = &filter["error_state"];
            if !error.is_null() {
                let name = text(&filter["ecds_filter"]["name"]);
                observed.refused.push(format!("filter {name:?}: {}", text(&error["details"])));
            }
        }
        let active = list(&listeners["dynamic_listeners"]).iter();
        let active = active.map(|listener| &listener["active_state"]["listener"]);
        let fixed =
            list(&listeners["static_listeners"]).iter().map(|listener| &listener["listener"]);
        let active: Vec<_> = active.chain(fixed).filter(|listener| !listener.is_null()).collect();
        for listener in active {
            // The other listeners of a sidecar are for requests that the application sends.
            if !is_sidecar || text(&listener["traffic_direction"]) == "INBOUND" {
                observed.add_listener(listener, &delivered);
            }
        }
        observed
    }

    fn add_listener(&mut self, listener: &Value, delivered: &Delivered<'_>) {
        let name = text(&listener["name"]);
        let default = Some(&listener["default_filter_chain"]).filter(|chain| !chain.is_null());
        for (at, chain) in list(&listener["filter_chains"]).iter().chain(default).enumerate() {
            let label = match text(&chain["name"]) {
                "" => format!("{name}[{at}]"),
                chain => format!("{name}/{chain}"),
            };
            let http = list(&chain["filters"])
                .iter()
                .map(|filter| &filter["typed_config"])
                .find(|config| is_type(config, "HttpConnectionManager"));
            let filters = http.map(|http| list(&http["http_filters"])).unwrap_or_default();
            let found: Vec<_> = filters
                .iter()
                .filter_map(|filter| Some((filter, Filter::read(filter, &label, &delivered.ecds)?)))
                .collect();
            if !found.is_empty() {
                let routes = http.and_then(|http| delivered.routes.of(http));
                if let Some(routes) = routes {
                    let named = found.iter().map(|(filter, read)| Named {
                        name: text(&filter["name"]),
                        is_disabled: read.disabled,
                    });
                    let named: Vec<_> = named.collect();
                    let without = routes::without(routes, &named).into_iter();
                    self.routes.extend(without.map(|route| format!("{label}: {route}")));
                }
                let is_module = |(_, read): &(_, Filter)| matches!(read.body, Body::Wasm(_));
                self.chains += usize::from(found.iter().any(is_module));
                let is_unknown = routes.is_none();
                self.filters.extend(
                    found
                        .into_iter()
                        .map(|(_, read)| Filter { disabled: read.disabled && is_unknown, ..read }),
                );
            } else if leads_to_application(chain) {
                match http.is_none() && denies_all(chain) {
                    true => self.denied_chains += 1,
                    false => self.open.push(Open { chain: label, is_http: http.is_some() }),
                }
            }
        }
    }
}

// === impl Filter ===

impl Filter {
    /// `None` for other filters.
    fn read(filter: &Value, chain: &str, ecds: &[&Value]) -> Option<Self> {
        let name = text(&filter["name"]);
        let disabled = filter["disabled"] == true;
        let of = |body, fails_open| {
            let (chain, reloads) = (chain.to_owned(), true);
            Some(Self { chain, body, fails_open, reloads, disabled })
        };
        let config = match (&filter["typed_config"], &filter["config_discovery"]) {
            (Value::Null, Value::Null) => return None,
            (Value::Null, discovery) => {
                let delivered = ecds.iter().map(|one| &one["ecds_filter"]);
                let mut delivered = delivered.filter(|one| text(&one["name"]) == name);
                match delivered.next() {
                    Some(filter) => &filter["typed_config"],
                    None if !discovery["default_config"].is_null() => &discovery["default_config"],
                    None if is_named(name) => {
                        let why = "its configuration was not delivered yet".to_owned();
                        return of(Body::Missing(why), false);
                    }
                    None => return None,
                }
            }
            (config, _) => config,
        };
        let wasm = match text(&config["type_url"]) {
            "" => config,
            _ => &config["value"],
        };
        let is_wasm =
            is_type(config, "wasm.v3.Wasm") || text(&config["type_url"]).ends_with("wasm.v3.Wasm");
        if !is_wasm {
            let kind = text(&config["@type"]).rsplit('.').next().unwrap_or_default();
            // istiod and the agent of Istio replace a plugin that cannot be loaded by RBAC.
            let why = format!("the proxy runs {kind} in its place; the module could not be loaded");
            let opens = kind == "RBAC" && config["rules"].is_null();
            let replaced = is_named(name) && !filter["config_discovery"].is_null();
            return replaced.then(|| of(Body::Missing(why), opens)).flatten();
        }
        let plugin = &wasm["config"];
        let json = match &plugin["configuration"]["value"] {
            Value::String(json) => json.clone(),
            Value::Null => String::new(),
            fields => fields.to_string(),
        };
        let names = [name, text(&plugin["name"]), text(&plugin["root_id"])];
        let code = &plugin["vm_config"]["code"]["local"]["filename"];
        let is_ours = names.iter().any(|name| is_named(name))
            || is_named(text(code))
            || serde_json::from_str::<Value>(&json)
                .is_ok_and(|config| config["issuers"].is_array());
        let opens = text(&plugin["failure_policy"]) == "FAIL_OPEN" || plugin["fail_open"] == true;
        let reloads = text(&plugin["failure_policy"]) == "FAIL_RELOAD";
        let filter = of(Body::Wasm(json), opens).filter(|_| is_ours);
        filter.map(|filter| Self { reloads, ..filter })
    }
}

fn is_named(name: &str) -> bool {
    name.contains("sa-authn") || name.contains("sa_authn")
}

/// Whether a filter chain leads to an upstream that is not the proxy itself.
fn leads_to_application(chain: &Value) -> bool {
    let mut clusters = Vec::new();
    collect_clusters(chain, &mut clusters);
    // Routes that are delivered separately are assumed to lead there.
    let dynamic = chain.to_string().contains("\"rds\":");
    dynamic || clusters.iter().any(|cluster| !OWN_CLUSTERS.contains(cluster))
}

fn collect_clusters<'v>(value: &'v Value, clusters: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| match member {
            Value::String(cluster) if name == "cluster" => clusters.push(cluster),
            Value::Object(_) if name == "weighted_clusters" => {
                let names = list(&member["clusters"]).iter().map(|cluster| text(&cluster["name"]));
                clusters.extend(names);
            }
            // Telemetry and logs are not the application.
            _ if name == "access_log" || name == "tracing" => {}
            _ => collect_clusters(member, clusters),
        }),
        Value::Array(items) => items.iter().for_each(|item| collect_clusters(item, clusters)),
        _ => {}
    }
}

/// Whether a network RBAC filter of a chain denies every connection.
fn denies_all(chain: &Value) -> bool {
    let deny = |config: &Value| {
        let policies = config["rules"]["policies"].as_object();
        let mut policies = policies.into_iter().flat_map(|policies| policies.values());
        text(&config["rules"]["action"]) == "DENY"
            && policies.any(|policy| {
                list(&policy["permissions"]).iter().any(is_any)
                    && list(&policy["principals"]).iter().any(is_any)
            })
    };
    let mut configs = list(&chain["filters"]).iter().map(|filter| &filter["typed_config"]);
    configs.any(|config| is_type(config, "network.rbac.v3.RBAC") && deny(config))
}

/// Whether a permission or a principal of RBAC matches everything.
fn is_any(matcher: &Value) -> bool {
    let items = |set: &Value| [list(&set["rules"]), list(&set["ids"])].concat();
    let all = |name: &str| {
        let items = items(&matcher[name]);
        !items.is_empty() && items.iter().all(is_any)
    };
    let one = |name: &str| items(&matcher[name]).iter().any(is_any);
    matcher["any"] == true
        || ["and_rules", "and_ids"].iter().any(|name| all(name))
        || ["or_rules", "or_ids"].iter().any(|name| one(name))
}

pub(super) fn is_type(value: &Value, kind: &str) -> bool {
    text(&value["@type"]).ends_with(kind)
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Clusters of an Istio proxy that lead to the proxy itself, or nowhere.
const OWN_CLUSTERS: [&str; 5] =
    ["prometheus_stats", "agent", "sds-grpc", "BlackHoleCluster", "xds-grpc"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A listener with a route to an upstream.
    fn listener(filters: Value) -> Value {
        let http = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        let routes = json!([{ "route": { "cluster": "app" } }]);
        json!({ "name": "inbound", "filter_chains": [{ "filters": [{ "typed_config": {
            "@type": http, "http_filters": filters, "route_config": { "virtual_hosts": [{ "routes": routes }] },
        } }] }] })
    }

    #[test]
    fn draining_listener_is_one_with_or_without_the_filter() {
        let wasm = json!([{ "name": "sa-authn", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": {},
        } }]);
        for (filters, had_filter) in [(json!([]), false), (wasm.clone(), true)] {
            let dump = json!({ "configs": [{
                "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
                "dynamic_listeners": [{
                    "name": "inbound",
                    "active_state": { "listener": listener(wasm.clone()) },
                    "draining_state": { "listener": listener(filters) },
                }],
            }] });
            let observed = Observed::read(&dump);
            let expected = [Draining { listener: "inbound".to_owned(), had_filter }];
            assert_eq!(observed.draining, expected);
            assert!(observed.open.is_empty() && observed.filters.len() == 1, "{observed:?}");
        }
    }
}
