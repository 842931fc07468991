//! `--crossings`: what each call across the border between the VM and the host costs a request.

use serde_json::json;

use super::capabilities::without;
use super::contender::{Contender, Filter, NO_FILTER};
use super::contest::Cost;
use super::filters;
use super::modules::Modules;

/// A row of the table.
pub struct Crossing {
    /// What is measured.
    pub contender: Contender,
    /// The key of the row from which it differs by the call in question.
    beyond: &'static str,
}

/// Every row.
pub fn crossings(modules: &Modules) -> Vec<Crossing> {
    let mut rows = vec![Crossing { contender: Contender::no_filter(), beyond: NO_FILTER }];
    rows.extend(PROGRAMS.iter().map(|(key, label, program, beyond)| {
        row(key, label, Filter::wasm(&modules.floor, program.replace(';', "\n")), beyond)
    }));
    let wide = &modules.floor_with_every_callback;
    rows.push(row("wide", "every callback exported", Filter::wasm(wide, NOTHING), "empty"));
    rows.extend(HIDDEN.iter().map(|(key, label, hidden)| {
        row(key, label, Filter::wasm_with(wide, NOTHING, without(hidden)), "wide")
    }));
    rows.extend(ours(modules));
    rows
}

/// The table, in Markdown.
pub fn table(rows: &[Crossing], costs: &[Cost]) -> String {
    let mut table =
        "| for each request | us over no filter | quartiles | beyond | us beyond that |\n\
                     |---|---:|---|---|---:|\n"
            .to_owned();
    for (row, cost) in rows.iter().zip(costs).skip(1) {
        let from = costs.iter().find(|from| from.key == row.beyond);
        let (from, step) = from
            .map_or(("", 0.0), |from| (from.label.as_str(), cost.over.median - from.over.median));
        let (label, over) = (&cost.label, cost.over);
        let (median, low, high) = (over.median, over.low, over.high);
        table +=
            &format!("| {label} | {median:.1} | {low:.1} to {high:.1} | {from} | {step:+.1} |\n");
    }
    table
}

// === private ===

fn row(key: &str, label: &str, filter: Filter, beyond: &'static str) -> Crossing {
    Crossing { contender: Contender::new(key, label, filter).without_edits(), beyond }
}

fn ours(modules: &Modules) -> [Crossing; 3] {
    let config = filters::ours().to_string();
    let mut silent = filters::ours();
    silent["filterState"] = json!([]);
    let hidden = Filter::wasm_with(&modules.ours, config.as_str(), without(IDLE));
    let silent = Filter::wasm(&modules.ours, silent.to_string());
    [
        row("ours", "sa-authn, warm", Filter::wasm(&modules.ours, config.as_str()), "floor"),
        row("ours_hidden", "sa-authn without the callbacks it does nothing in", hidden, "ours"),
        row("ours_silent", "sa-authn without filter state", silent, "ours"),
    ]
}

/// An empty configuration cannot be read: the host has no buffer to hand over.
const NOTHING: &str = "\n";

/// Key, label, the floor's program, and the key of the row that it goes beyond.
#[rustfmt::skip]
const PROGRAMS: &[(&str, &str, &str, &str)] = &[
    ("empty", "nothing", ";", NO_FILTER),
    ("get", "read one header, 1 KB", "get authorization", "empty"),
    ("get_short", "read one header, 30 bytes", "get :authority", "empty"),
    ("clock", "clock", "clock", "empty"),
    ("property", "attribute connection.mtls", "property connection.mtls", "empty"),
    ("state", "filter state", "filter-state sa_authn.subject system:serviceaccount:api:api", "empty"),
    ("shared", "shared data that is not there", "shared sa_authn.nothing", "empty"),
    ("count", "count up", "count sa_authn_bench", "empty"),
    ("log", "log at a level that is off", "log nothing", "empty"),
    ("map", "all headers", "map", "empty"),
    ("map_twice", "all headers, twice", "map;map", "map"),
    ("map_clock", "all headers, clock", "map;clock", "map"),
    ("map_set", "all headers, 1 set", "map;set x-sa-namespace api", "map"),
    ("map_sets", "all headers, 2 sets", "map;set x-sa-namespace api;set x-sa-name api", "map_set"),
    ("map_add", "all headers, 1 add", "map;add x-sa-namespace api", "map"),
    ("map_remove", "all headers, remove", "map;remove authorization", "map"),
    ("map_absent", "all headers, remove one that is not there", "map;remove x-sa-none", "map"),
    ("map_replace", "all headers, written back in one call", "map;replace x-sa-name api", "map"),
    ("floor", "the floor: all headers, 2 sets, remove", "map;set x-sa-namespace api;set x-sa-name api;remove authorization", "map_sets"),
    ("floor_clock", "the floor, clock", "map;clock;set x-sa-namespace api;set x-sa-name api;remove authorization", "floor"),
    ("floor_state", "the floor, clock, filter state", "map;clock;set x-sa-namespace api;set x-sa-name api;remove authorization;filter-state sa_authn.subject system:serviceaccount:api:api", "floor_clock"),
];

/// Key, label, and which of its callbacks Envoy does not see.
#[rustfmt::skip]
const HIDDEN: &[(&str, &str, &[&str])] = &[
    ("wide_response", "all but those of the response", RESPONSE),
    ("wide_log", "all but log", &["proxy_on_log"]),
    ("wide_done", "all but done", &["proxy_on_done"]),
    ("wide_delete", "all but delete", &["proxy_on_delete"]),
    ("wide_create", "all but context_create", &["proxy_on_context_create"]),
    ("wide_body", "all but the request's body and trailers", &["proxy_on_request_body", "proxy_on_request_trailers"]),
    ("wide_idle", "all but those that sa-authn does nothing in", IDLE),
];

const RESPONSE: &[&str] =
    &["proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers"];

/// What sa-authn has from its SDK, and does nothing in.
const IDLE: &[&str] = &[
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_log",
    "proxy_on_new_connection",
    "proxy_on_downstream_data",
    "proxy_on_upstream_data",
    "proxy_on_downstream_connection_close",
    "proxy_on_upstream_connection_close",
    "proxy_on_queue_ready",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
    "proxy_on_foreign_function",
];
