//! Filter chains of an Envoy listener that lead to the application without the filter.

use super::find::{Body, Found, Remark};
use super::kind::Kind;
use super::text::Text;
use super::yaml::Node;
use std::rc::Rc;

/// A warning for each filter chain without the filter, in a listener that has the filter in another chain.
pub fn check(
    text: &Rc<Text>,
    listener: &Node,
    has_filter: impl Fn(&Node) -> bool,
) -> Option<Found> {
    let chains = listener.field("filter_chains").map(Node::items).unwrap_or_default();
    let chains: Vec<_> = chains.iter().chain(listener.field("default_filter_chain")).collect();
    let (with, without): (Vec<&Node>, Vec<&Node>) =
        chains.iter().copied().partition(|chain| has_filter(chain));
    if with.is_empty() || without.is_empty() {
        return None;
    }
    let remark = |chain: &Node| {
        let at = chains.iter().position(|other| other.at == chain.at).unwrap_or_default();
        let name = match chain.get("name").and_then(Node::text) {
            Some(name) => format!("filter chain {name:?}"),
            None => format!("filter chain {at}"),
        };
        let what = match has_http(chain) {
            true => "its requests reach the upstream without authentication",
            false => "its connections are not HTTP and bypass the filter",
        };
        let message = format!("{name} does not have the filter: {what}");
        Remark { place: text.place(chain.at), kind: Kind::FilterChainWithoutFilter, message }
    };
    let name = listener.get("name").and_then(Node::text).unwrap_or("without a name");
    Some(Found {
        what: format!("listener {name:?}"),
        text: Rc::clone(text),
        at: listener.at,
        body: Body::None,
        remarks: without.into_iter().map(remark).collect(),
        selected: None,
        is_extension: false,
    })
}

fn has_http(chain: &Node) -> bool {
    let filters = chain.get("filters").map(Node::items).unwrap_or_default();
    let kind = |filter: &Node| {
        let config = filter.field("typed_config")?.get("@type")?;
        Some(config.text()?.ends_with("HttpConnectionManager"))
    };
    filters.iter().any(|filter| kind(filter) == Some(true))
}
