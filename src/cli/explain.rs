//! `sa-authn explain`: shows each step of the decision on a request, and the verdict.
//!
//! The filter's core evaluates the request, and its trace has the steps and their results, so that they cannot differ from
//! the verdict.

mod assume;
mod judge;
mod keys;
mod page;
mod record;
mod request;
mod rules;
mod steps;
mod verdict;

use super::{Answer, Failure, Report, check, dates, input};
use judge::{Judged, Recorded, Request};
use keys::KeyFile;
use page::Page;
use request::RequestOptions;
use sa_authn::config::{Config, Problem};
use sa_authn::time::UnixTime;
use std::path::PathBuf;

/// The arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Options {
    /// File with the plugin's configuration: plugin JSON or YAML, or another file that `sa-authn check` accepts, such as an
    /// Envoy bootstrap
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// File with the token, which is sent in the first header of `tokenFrom`; `-` is stdin
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,

    #[command(flatten)]
    request: RequestOptions,

    /// File with the keys (JWKS or PEM) of issuers that fetch their keys at run time. `NAME=FILE` is for the issuer
    /// with that name. `kubectl get --raw /openid/v1/jwks` prints the keys of a cluster
    #[arg(long, value_name = "FILE")]
    jwks: Vec<KeyFile>,

    /// File with the API server's response to a TokenReview of the token, as JSON
    #[arg(long, value_name = "FILE")]
    review: Option<PathBuf>,

    /// File with the API server's response to a SubjectAccessReview, as JSON
    #[arg(long, value_name = "FILE")]
    access_review: Option<PathBuf>,

    /// Time of the request (RFC 3339 or Unix seconds); default: now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// A request, with everything that the decision depends on.
struct Case {
    /// The configuration for the steps. The verdict uses a second copy.
    config: Config,
    map: Vec<u8>,
    now: UnixTime,
    judged: Judged,
}

const EXIT_CODES: &str = "\
Exit codes: 0 allowed, 1 denied, 2 indeterminate. A token on the command line is visible to every process on the \
machine: pass it as a file.";

/// Explains the request.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let now = dates::at(options.at.as_deref())?;
    let text = check::only_configuration(&options.config)?;
    let name = input::name(&options.config);
    let config = |text: &str| {
        let mut config =
            Config::parse(text.as_bytes()).map_err(|problems| broken(&name, &problems))?;
        keys::provide(&mut config, &options.jwks)?;
        Ok::<_, Failure>(config)
    };
    let (for_steps, for_verdict) = (config(&text)?, config(&text)?);
    let token = options.token.as_ref().map(|file| super::token::read(file)).transpose()?;
    let sources = &for_steps.settings.token_sources;
    let map = options.request.map(sources, token.as_deref())?;
    let connection = options.request.connection();
    let read = |file: &Option<PathBuf>| file.as_ref().map(|file| input::read(file)).transpose();
    let (token_review, access_review) = (read(&options.review)?, read(&options.access_review)?);
    let recorded = Recorded { token: token_review.as_deref(), access: access_review.as_deref() };
    let request = Request { map: &map, connection: &connection, now };
    let mut judged = judge::judge(for_verdict, &request, recorded);
    if let Some(lack) = judged.lacks {
        let of = |text: &str| config(text).ok();
        judged = assume::decided(lack, &text, of, &request).unwrap_or(judged);
    }
    let case = Case { config: for_steps, map, now, judged };
    let mut page = Page::default();
    page.note("request", format!("{}, at {}", options.request.line(), dates::date(now)));
    steps::add(&case, &connection, &mut page);
    rules::add(&case, &connection, &mut page);
    let (answer, failures) = verdict::add(&case, &mut page);
    Ok(Report::of(page.text(), answer, failures))
}

fn broken(name: &str, problems: &[Problem]) -> Failure {
    let said: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    Failure(format!(
        "{name} has problems (`sa-authn check` prints their locations):{}",
        said.concat()
    ))
}
