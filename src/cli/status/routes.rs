//! Routes that do not run a filter of their filter chain: a route can turn a filter on or off (`typed_per_filter_config`).

use super::observed::{is_type, list, text};
use serde_json::Value;

/// The routes of a config dump.
pub struct Routes<'d> {
    delivered: Vec<&'d Value>,
}

/// A filter of a filter chain.
pub struct Named<'d> {
    /// Its name in the filter chain, to which routes refer.
    pub name: &'d str,
    /// Whether it runs only for routes that enable it.
    pub is_disabled: bool,
}

// === impl Routes ===

impl<'d> Routes<'d> {
    /// Reads the sections of a config dump.
    pub fn read(sections: &'d [Value]) -> Self {
        let dumps = sections.iter().filter(|section| is_type(section, "RoutesConfigDump"));
        let configs = dumps.flat_map(|dump| {
            let kinds = [&dump["static_route_configs"], &dump["dynamic_route_configs"]];
            kinds.into_iter().flat_map(list).map(|config| &config["route_config"])
        });
        Self { delivered: configs.collect() }
    }

    /// The routes of a connection manager. `None` if the dump does not have them.
    pub fn of<'v>(&self, http: &'v Value) -> Option<&'v Value>
    where
        'd: 'v,
    {
        match &http["route_config"] {
            Value::Null => {
                let name = text(&http["rds"]["route_config_name"]);
                self.delivered.iter().copied().find(|config| text(&config["name"]) == name)
            }
            config => Some(config),
        }
    }
}

/// The routes to an upstream for which none of these filters runs.
pub fn without(config: &Value, filters: &[Named<'_>]) -> Vec<String> {
    let mut without = Vec::new();
    for host in list(&config["virtual_hosts"]) {
        for route in list(&host["routes"]) {
            let action = &route["route"];
            if action.is_null() {
                // A redirect or a response of Envoy's own.
                continue;
            }
            // Each of these clusters has settings of its own.
            let clusters = list(&action["weighted_clusters"]["clusters"]);
            let runs = |levels: &[&Value]| filters.iter().any(|filter| filter.runs(levels));
            let is_protected = match clusters {
                [] => runs(&[route, host, config]),
                clusters => clusters.iter().all(|cluster| runs(&[cluster, route, host, config])),
            };
            if !is_protected {
                let host = text(&host["name"]);
                let name = match text(&route["name"]) {
                    "" => route["match"].to_string(),
                    name => name.to_owned(),
                };
                without.push(format!("virtual host {host:?}, route {name:?}"));
            }
        }
    }
    without
}

// === impl Named ===

impl Named<'_> {
    /// Whether the filter runs with the settings of these levels, of which the most specific one comes first.
    fn runs(&self, levels: &[&Value]) -> bool {
        let mut settings =
            levels.iter().filter_map(|level| level["typed_per_filter_config"].get(self.name));
        match settings.next() {
            Some(setting) => {
                !(is_type(setting, "route.v3.FilterConfig") && setting["disabled"] == true)
            }
            None => !self.is_disabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn setting(disabled: bool) -> Value {
        json!({ "sa-authn": {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": disabled, "config": {},
        } })
    }

    /// The routes that do not run the filter, of a configuration with one route `r`.
    fn routes_without(is_disabled: bool, route: &Value, host: &Value) -> Vec<String> {
        let mut host = host.clone();
        host["name"] = json!("h");
        host["routes"] = json!([route]);
        let named = [Named { name: "sa-authn", is_disabled }];
        without(&json!({ "virtual_hosts": [host] }), &named)
    }

    #[test]
    fn most_specific_setting_decides_whether_a_route_runs_the_filter() {
        let to = json!({ "cluster": "app" });
        let found = [r#"virtual host "h", route "r""#];
        let plain = json!({ "name": "r", "route": to });
        let on = json!({ "name": "r", "route": to, "typed_per_filter_config": setting(false) });
        let off = json!({ "name": "r", "route": to, "typed_per_filter_config": setting(true) });
        let host_on = json!({ "typed_per_filter_config": setting(false) });
        let host_off = json!({ "typed_per_filter_config": setting(true) });
        let nothing = json!({});
        assert_eq!(routes_without(false, &plain, &nothing), [""; 0]);
        assert_eq!(routes_without(true, &plain, &nothing), found);
        assert_eq!(routes_without(true, &on, &nothing), [""; 0]);
        assert_eq!(routes_without(false, &off, &nothing), found);
        assert_eq!(routes_without(true, &plain, &host_on), [""; 0]);
        assert_eq!(routes_without(false, &plain, &host_off), found);
        assert_eq!(routes_without(false, &on, &host_off), [""; 0]);
        assert_eq!(routes_without(true, &off, &host_on), found);
    }

    #[test]
    fn route_without_an_upstream_needs_no_filter() {
        let redirect = json!({ "name": "r", "redirect": {} });
        assert_eq!(routes_without(true, &redirect, &json!({})), [""; 0]);
    }

    #[test]
    fn every_weighted_cluster_must_run_the_filter() {
        let route = |second: &Value| {
            let first = json!({ "name": "a", "typed_per_filter_config": setting(false) });
            json!({ "match": { "prefix": "/" }, "route": { "weighted_clusters": { "clusters": [first, second] } } })
        };
        let on = json!({ "name": "b", "typed_per_filter_config": setting(false) });
        assert_eq!(routes_without(true, &route(&on), &json!({})), [""; 0]);
        let plain = json!({ "name": "b" });
        assert_eq!(
            routes_without(true, &route(&plain), &json!({})),
            [r#"virtual host "h", route "{\"prefix\":\"/\"}""#]
        );
    }

    #[test]
    fn delivered_routes_are_found_by_the_name_in_the_listener() {
        let sections = [json!({
            "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
            "dynamic_route_configs": [{ "route_config": { "name": "other" } }, { "route_config": { "name": "http" } }],
        })];
        let routes = Routes::read(&sections);
        let rds = |name: &str| json!({ "rds": { "route_config_name": name } });
        assert_eq!(routes.of(&rds("http")), Some(&json!({ "name": "http" })));
        assert_eq!(routes.of(&rds("unknown")), None);
        let own = json!({ "route_config": { "name": "own" } });
        assert_eq!(routes.of(&own), Some(&json!({ "name": "own" })));
    }
}
