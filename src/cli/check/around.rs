//! Settings around the plugin configuration: what the proxy does if the filter fails, and which module it runs.

use super::find::Remark;
use super::kind::Kind;
use super::text::Text;
use super::yaml::Node;

/// `config` of an Envoy HTTP filter.
pub fn envoy(text: &Text, config: &Node) -> Vec<Remark> {
    let policy = config.field("failure_policy").filter(|policy| is(policy, "FAIL_OPEN"));
    let open = config.field("fail_open").filter(|open| is(open, "true"));
    let open = [policy, open].into_iter().flatten().map(|field| fails_open(text, field));
    open.chain(mode(text, config.field("root_id"))).collect()
}

/// A WasmPlugin, or the `wasm` of a TrafficExtension.
pub fn istio(text: &Text, spec: &Node) -> Vec<Remark> {
    let strategy = spec.get("failStrategy").filter(|strategy| is(strategy, "FAIL_OPEN"));
    let open = strategy.map(|field| fails_open(text, field));
    let url = spec.get("url").filter(|_| spec.get("sha256").is_none());
    let digest = url.and_then(|url| digest(text, url));
    open.into_iter().chain(mode(text, spec.get("pluginName"))).chain(digest).collect()
}

/// A Wasm extension of an EnvoyExtensionPolicy.
pub fn gateway(text: &Text, wasm: &Node) -> Vec<Remark> {
    let open = wasm.get("failOpen").filter(|open| is(open, "true"));
    let mut remarks: Vec<_> = open.map(|field| fails_open(text, field)).into_iter().collect();
    let root_id = wasm.get("rootID");
    let wrong = mode(text, root_id);
    if wrong.is_none() && !root_id.is_some_and(|id| is(id, DENY)) {
        let at = root_id.unwrap_or(wasm);
        remarks.push(remark(text, at, Kind::RouteOpens, OPENS_A_ROUTE));
    }
    remarks.extend(wrong);
    let sources = ["http", "image"].into_iter();
    let sources = sources.filter_map(|kind| wasm.get("code")?.get(kind));
    let urls = sources.filter(|source| source.get("sha256").is_none());
    remarks.extend(urls.filter_map(|source| digest(text, source.get("url")?)));
    remarks
}

fn fails_open(text: &Text, field: &Node) -> Remark {
    let message = "the proxy allows every request when the filter fails; use FAIL_RELOAD";
    remark(text, field, Kind::FailOpen, message)
}

/// A root ID that looks like a mode of the filter, but is not.
fn mode(text: &Text, root_id: Option<&Node>) -> Option<Remark> {
    let id = root_id.filter(|id| id.text().is_some_and(|id| id.starts_with(PREFIX) && id != DENY));
    let message = "unknown mode in the root ID; expected sa-authn:deny-if-misconfigured";
    Some(remark(text, id?, Kind::UnknownValue, message))
}

fn digest(text: &Text, url: &Node) -> Option<Remark> {
    let is_pinned = |url: &str| url.contains("@sha256:") || url.starts_with("file:");
    let url = url.text().is_some_and(|url| !is_pinned(url)).then_some(url)?;
    Some(remark(text, url, Kind::ModuleWithoutDigest, NO_DIGEST))
}

fn remark(text: &Text, node: &Node, kind: Kind, message: &str) -> Remark {
    Remark { place: text.place(node.at), kind, message: message.to_owned() }
}

fn is(node: &Node, expected: &str) -> bool {
    node.text().is_some_and(|text| text.eq_ignore_ascii_case(expected))
}

const PREFIX: &str = "sa-authn:";

const DENY: &str = "sa-authn:deny-if-misconfigured";

const OPENS_A_ROUTE: &str = "rootID must be sa-authn:deny-if-misconfigured; with any other value, an invalid configuration on a \
                             new route allows every request";

const NO_DIGEST: &str = "the module has no digest; set `sha256`, or write the image with @sha256:..., so that the proxy runs \
                         only this module";
