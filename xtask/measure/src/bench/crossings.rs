//! `--crossings`: the cost of each call between the VM and the host.

use serde_json::json;

use super::capabilities::{NOT_OURS, without};
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
    /// How often that call is made.
    times: usize,
}

/// Every row.
pub fn crossings(modules: &Modules) -> Vec<Crossing> {
    let mut rows =
        vec![Crossing { contender: Contender::no_filter(), beyond: NO_FILTER, times: 1 }];
    let floor = |program: &str| Filter::wasm(&modules.floor, program.replace(';', "\n"));
    rows.push(row("empty", "nothing", floor(NOTHING), NO_FILTER));
    rows.extend(CALLS.iter().map(|(key, label, call, beyond)| {
        let calls: String = (0..TIMES).map(|n| call.replace('%', &n.to_string()) + ";").collect();
        Crossing { times: TIMES, ..row(key, label, floor(&calls), beyond) }
    }));
    rows.extend(
        PROGRAMS
            .iter()
            .map(|(key, label, program, beyond)| row(key, label, floor(program), beyond)),
    );
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
        "| for each request | us over no filter | quartiles | compared with | us for each call |\n\
                     |---|---:|---|---|---:|\n"
            .to_owned();
    for (row, cost) in rows.iter().zip(costs).skip(1) {
        let from = costs.iter().find(|from| from.key == row.beyond);
        let (from, step) = from
            .map_or(("", 0.0), |from| (from.label.as_str(), cost.over.median - from.over.median));
        let times = if row.times > 1 { format!("{} times: ", row.times) } else { String::new() };
        let (label, over, each) = (&cost.label, cost.over, step / row.times as f64);
        let (median, low, high) = (over.median, over.low, over.high);
        table += &format!(
            "| {times}{label} | {median:.1} | {low:.1} to {high:.1} | {from} | {each:+.2} |\n"
        );
    }
    table
}

// === private ===

fn row(key: &str, label: &str, filter: Filter, beyond: &'static str) -> Crossing {
    Crossing { contender: Contender::new(key, label, filter).without_edits(), beyond, times: 1 }
}

fn ours(modules: &Modules) -> [Crossing; 2] {
    let config = filters::ours().to_string();
    let mut silent = filters::ours();
    silent["filterState"] = json!([]);
    let silent = Filter::wasm(&modules.ours, silent.to_string());
    [
        row("ours", "sa-authn, warm", Filter::wasm(&modules.ours, config.as_str()), "floor"),
        row("ours_silent", "sa-authn without filter state", silent, "ours"),
    ]
}

/// An empty configuration cannot be read: the host has no buffer to hand over.
const NOTHING: &str = "\n";

/// Key, label, the call, and the key of the row that it goes beyond. Each is made [`TIMES`] times, `%` being
/// the number of the time: one call alone would drown in the noise.
#[rustfmt::skip]
const CALLS: &[(&str, &str, &str, &str)] = &[
    ("clock", "clock", "clock", "empty"),
    ("map", "all headers", "map", "empty"),
    ("get", "one header, 1 KB", "get authorization", "empty"),
    ("get_short", "one header, 30 bytes", "get :authority", "empty"),
    ("set", "set a header", "set x-sa-% api", "empty"),
    ("add", "add a header", "add x-sa-% api", "empty"),
    ("absent", "remove a header that is not there", "remove x-sa-%", "empty"),
    ("set_remove", "set a header, remove it", "set x-sa-% api;remove x-sa-%", "empty"),
    ("replace", "write all headers back (and read them)", "map;replace x-sa-name api", "map"),
    ("property", "attribute connection.mtls", "property connection.mtls", "empty"),
    ("state", "filter state", "filter-state sa_authn.% system:serviceaccount:api:api", "empty"),
    ("count", "count up", "count sa_authn_bench", "empty"),
    ("log", "log at a level that is off", "log nothing", "empty"),
];

/// Key, label, the floor's program, and the key of the row that it goes beyond.
#[rustfmt::skip]
const PROGRAMS: &[(&str, &str, &str, &str)] = &[
    ("edits", "all headers, 2 sets", "map;set x-sa-namespace api;set x-sa-name api", "empty"),
    ("floor", "the floor: all headers, 2 sets, remove the token", filters::FLOOR, "edits"),
    ("floor_one_call", "the same edits in one call", "map;replace x-sa-name api", "floor"),
    ("floor_more", "the floor, clock, filter state", FLOOR_MORE, "floor"),
];

const FLOOR_MORE: &str = "map;clock;set x-sa-namespace api;set x-sa-name api;remove authorization;\
                          filter-state sa_authn.subject system:serviceaccount:api:api";

const TIMES: usize = 20;

/// Key, label, and which of its callbacks Envoy does not see.
#[rustfmt::skip]
const HIDDEN: &[(&str, &str, &[&str])] = &[
    ("wide_response", "all but those of the response", RESPONSE),
    ("wide_log", "all but log", &["proxy_on_log"]),
    ("wide_done", "all but done", &["proxy_on_done"]),
    ("wide_delete", "all but delete", &["proxy_on_delete"]),
    ("wide_create", "all but context_create", &["proxy_on_context_create"]),
    ("wide_body", "all but the request's body and trailers", &["proxy_on_request_body", "proxy_on_request_trailers"]),
    ("wide_idle", "all but those that sa-authn does nothing in", NOT_OURS),
];

const RESPONSE: &[&str] =
    &["proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers"];
