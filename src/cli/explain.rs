//! `sa-authn explain`: one request through the core, each step with what was compared, and the verdict.
//!
//! The verdict is the real exchange's. The steps are told by the parts that it is made of, so that none of them
//! can say what the filter would not.

mod judge;
mod keys;
mod page;
mod request;
mod rules;
mod steps;
mod verdict;

use super::{Answer, Failure, Report, check, dates, input};
use judge::Judged;
use keys::KeyFile;
use page::Page;
use request::Sent;
use sa_authn::config::{Config, Problem};
use sa_authn::time::UnixTime;
use std::path::PathBuf;

/// What to explain.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Options {
    /// A file with the plugin's configuration, wherever `sa-authn check` finds one: plugin JSON or YAML, an Envoy
    /// bootstrap, a WasmPlugin, ...
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// A file with the token, put into the first header of `tokenFrom`; `-` is stdin
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,

    #[command(flatten)]
    sent: Sent,

    /// Keys of issuers that fetch theirs: a JWKS or PEM public keys. `NAME=FILE` is for the issuer of that
    /// name. `kubectl get --raw /openid/v1/jwks` prints a cluster's
    #[arg(long, value_name = "FILE")]
    jwks: Vec<KeyFile>,

    /// The API server's answer to a TokenReview of the token, as JSON
    #[arg(long, value_name = "FILE")]
    review: Option<PathBuf>,

    /// The time of the request, in RFC 3339 or Unix seconds; the present without it
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// A request that is to be explained, with all that it depends on.
struct Case {
    /// What the steps are told by; the exchange has another of the same text.
    config: Config,
    map: Vec<u8>,
    now: UnixTime,
    judged: Judged,
}

const EXIT_CODES: &str = "\
Exit codes: 0 the request passes, 1 it is refused, 2 it could not be told. A token on the command line is seen by \
everybody on the machine: give it as a file.";

/// Explains it.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let now = dates::at(options.at.as_deref())?;
    let text = check::only_configuration(&options.config)?;
    let name = input::name(&options.config);
    let config = || {
        let mut config =
            Config::parse(text.as_bytes()).map_err(|problems| broken(&name, &problems))?;
        keys::provide(&mut config, &options.jwks)?;
        Ok(config)
    };
    let (told_by, judged_by) = (config()?, config()?);
    let token = options.token.as_ref().map(|file| super::token::read(file)).transpose()?;
    let sources = &told_by.settings.token_sources;
    let map = options.sent.map(sources, token.as_deref())?;
    let connection = options.sent.connection();
    let review = options.review.as_ref().map(|file| input::read(file)).transpose()?;
    let judged = judge::judge(judged_by, &map, &connection, now, review.as_deref());
    let case = Case { config: told_by, map, now, judged };
    let mut page = Page::default();
    page.note("request", format!("{}, at {}", options.sent.line(), dates::date(now)));
    steps::tell(&case, &connection, &mut page);
    rules::tell(&case, &connection, &mut page);
    let (answer, failures) = verdict::tell(&case, &mut page);
    Ok(Report { text: page.text(), answer, failures })
}

fn broken(name: &str, problems: &[Problem]) -> Failure {
    let said: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    Failure(format!("{name} has problems (`sa-authn check` says where):{}", said.concat()))
}
