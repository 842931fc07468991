//! `sa-authn status`: whether a running Envoy enforces the filter.

mod findings;
mod forward;
#[allow(clippy::indexing_slicing, reason = "indexing a `Value` by name does not panic")]
mod observed;
mod page;
#[allow(clippy::indexing_slicing, reason = "indexing a `Value` by name does not panic")]
mod routes;
mod stats;

use super::admin::Admin;
use super::{Answer, Failure, Report, check, dates};
use findings::Subject;
use forward::Forward;
use observed::Observed;
use page::Findings;
use sa_authn::printable::printable_json;
use serde_json::Value;
use stats::Stats;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, group = clap::ArgGroup::new("proxy").required(true))]
pub struct Options {
    /// URL of Envoy's admin address, such as http://127.0.0.1:9901
    #[arg(long, value_name = "URL", group = "proxy")]
    admin: Option<String>,

    /// Pod of the proxy, which is reached with `kubectl port-forward`; or another resource that it accepts, such as
    /// deploy/secret-store
    #[arg(group = "proxy")]
    pod: Option<String>,

    /// Namespace of the pod
    #[arg(short, long, requires = "pod")]
    namespace: Option<String>,

    /// Port of Envoy's admin address in the pod
    #[arg(long, default_value_t = ISTIO_ADMIN_PORT, requires = "pod", value_name = "PORT")]
    admin_port: u16,

    /// File with the configuration that the filter should run with
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Wait until the proxy is healthy, for at most this time, such as 2m
    #[arg(long, value_name = "TIME", value_parser = dates::parse_duration)]
    wait: Option<Duration>,

    /// Output format
    #[arg(long, default_value = "text")]
    format: Format,
}

/// How the answers are printed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// A line for each answer
    Text,
    /// JSON object
    Json,
}

const EXIT_CODES: &str = "\
Exit codes: 0 the filter protects every filter chain, 1 it does not or something is wrong, 2 the proxy cannot be asked.";

/// Asks the proxy, until it is healthy or the time is up.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let wanted = options.config.as_ref().map(|file| check::only_configuration(file)).transpose()?;
    let until = options.wait.map(|wait| Ok(dates::at(None)?.plus(wait))).transpose()?;
    loop {
        let outcome = ask(options, wanted.as_deref());
        let is_healthy = matches!(&outcome, Ok(Report { answer: Answer::Yes, .. }));
        let now = dates::at(None)?;
        if is_healthy || until.is_none_or(|until| now >= until) {
            return outcome;
        }
        thread::sleep(INTERVAL);
    }
}

fn ask(options: &Options, wanted: Option<&str>) -> Result<Report, Failure> {
    let (forward, admin) = match (&options.admin, &options.pod) {
        (Some(url), _) => (None, Admin::parse(url)?),
        (None, Some(pod)) => {
            let forward = Forward::start(options.namespace.as_deref(), pod, options.admin_port)?;
            let admin = forward.admin.clone();
            (Some(forward), admin)
        }
        (None, None) => return Err(Failure("--admin URL or POD is required".to_owned())),
    };
    let server: Value = admin.get_json("/server_info")?;
    if server.get("state").and_then(Value::as_str).is_none() {
        return Err(Failure(
            "/server_info has no state; is this Envoy's admin address?".to_owned(),
        ));
    }
    let observed = Observed::read(&admin.get_json("/config_dump")?);
    let stats = Stats::parse(&admin.get("/stats")?);
    drop(forward);
    let wanted = wanted.map(serde_json::from_str::<Value>).transpose();
    let wanted = wanted.map_err(|error| Failure(format!("--config: not JSON: {error}")))?;
    let now = dates::at(None)?;
    let subject = Subject { server: &server, observed: &observed, stats: &stats, now };
    let mut findings = Findings::default();
    findings.add(&subject, wanted.as_ref());
    let text = match options.format {
        Format::Text => findings.text(),
        Format::Json => printable_json(&format!("{:#}\n", findings.json())),
    };
    Ok(Report::of(text, findings.answer(), Vec::new()))
}

/// The admin port of Istio's proxies.
const ISTIO_ADMIN_PORT: u16 = 15000;

const INTERVAL: Duration = Duration::from_secs(1);
