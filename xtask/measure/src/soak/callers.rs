//! Callers that send one request after another, and check each response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use envoy_test::client::{Connection, is_unsent};
use envoy_test::{Request, Response};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use super::expected::{Conditions, expected_responses};
use super::kind::{Case, Kind};
use super::random::Random;
use super::stage::Stage;

/// A caller's connection, reopened whenever Envoy closes it.
#[derive(Debug)]
struct Line {
    port: u16,
    http2: bool,
    /// Whether it is kept for the next request.
    kept: bool,
    open: Option<Open>,
    reopened: u64,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    opening: Instant,
    /// The time of the first response: Envoy accepts a connection later than the kernel.
    opened: Option<Instant>,
}

/// An answer, and when its connection was opened.
struct Answered {
    response: Response,
    opening: Instant,
    opened: Instant,
}

/// Runs all callers until the stage ends.
pub fn start(stage: &Arc<Stage>) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for (seed, (http2, kept, period)) in (1..).zip(CALLERS) {
        let line = Line::new(stage.envoy.port(), http2, kept);
        tasks.push(tokio::spawn(call(stage.clone(), line, period, seed, Kind::any)));
    }
    let line = Line::new(stage.envoy.port(), false, false);
    let unknown =
        |random: &mut Random| if random.below(2) == 0 { Kind::UnknownKey } else { Kind::Withdrawn };
    tasks.push(tokio::spawn(call(stage.clone(), line, UNKNOWN_KEYS, 1000, unknown)));
    tasks
}

/// The status with the identity at the upstream, or with the filter's reason.
pub fn told(response: &Response) -> String {
    let status = response.status;
    if let Some(reason) = response.reason() {
        return format!("{status} {reason}");
    }
    let Ok(echo) = response.json() else { return format!("{status} {}", response.text()) };
    let values = |name: &str| -> Vec<String> {
        let headers = echo["headers"].as_array().into_iter().flatten();
        let of = headers
            .filter(|header| header[0].as_str().is_some_and(|n| n.replace('_', "-") == name));
        of.map(|header| header[1].as_str().unwrap_or_default().to_owned()).collect()
    };
    let mut told = format!("{status} {}", values("x-sa-namespace").join("+"));
    let names = values("x-sa-name");
    if !names.is_empty() {
        told += &format!("/{}", names.join("+"));
    }
    if !values("authorization").is_empty() {
        told += " and the token";
    }
    if echo["body"].as_str().is_some_and(|body| !body.is_empty() && body.len() != 20_000) {
        told += " and another body";
    }
    told
}

/// Checks a response.
pub fn judge(stage: &Stage, case: &Case, under: &Conditions, response: &Response) {
    let answer = told(response);
    let expected = expected_responses(case, under, &stage.events);
    match expected.contains(&answer) {
        true => {
            let which = answer.split_once(' ').filter(|(status, _)| *status == "200");
            let counted = which.map_or(answer.clone(), |(status, _)| status.to_owned());
            stage.tally.right(case.kind, counted, under.answered - under.sent);
        }
        false => stage.tally.wrong(case.kind, &answer, &expected),
    }
}

// === impl Line ===

impl Line {
    fn new(port: u16, http2: bool, kept: bool) -> Self {
        Self { port, http2, kept, open: None, reopened: 0 }
    }

    /// Sends it once: on another connection only if no byte was sent on the first.
    async fn send(&mut self, request: &Request) -> Result<Answered> {
        loop {
            let mut open = match self.open.take().filter(|open| open.connection.is_open()) {
                Some(open) => open,
                None => self.opened().await?,
            };
            match open.connection.send(request).await {
                Ok(response) => {
                    let (opening, opened) =
                        (open.opening, *open.opened.get_or_insert_with(Instant::now));
                    let last = response.header("connection").is_some_and(|value| value == "close");
                    self.open = (self.kept && !last).then_some(open);
                    return Ok(Answered { response, opening, opened });
                }
                // Only a connection that was open before may have been closed unnoticed.
                Err(error) if open.opened.is_some() && is_unsent(&error) => self.reopened += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn opened(&self) -> Result<Open> {
        let opening = Instant::now();
        let connection = match self.http2 {
            true => Connection::http2(self.port).await?,
            false => Connection::http1(self.port).await?,
        };
        Ok(Open { connection, opening, opened: None })
    }
}

// === private ===

async fn call(
    stage: Arc<Stage>,
    mut line: Line,
    period: Duration,
    seed: u64,
    next: impl Fn(&mut Random) -> Kind + Send,
) {
    let (mut random, mut pace) = (Random::new(seed), interval(period));
    while !stage.is_over() {
        pace.tick().await;
        let page = stage.tokens.page();
        let case = next(&mut random).case(&stage.tokens, &page, &mut random);
        let sent = Instant::now();
        let before = line.reopened;
        match timeout(DEADLINE, line.send(&case.request)).await {
            Err(_) => stage.tally.stuck(case.kind, DEADLINE),
            Ok(Err(error)) => stage.tally.lost(case.kind, &error),
            Ok(Ok(Answered { response, opening, opened })) => {
                let under = Conditions { opening, opened, sent, answered: Instant::now() };
                judge(&stage, &case, &under, &response);
            }
        }
        (before..line.reopened).for_each(|_| stage.tally.reopened());
        drop(page);
    }
}

/// No request is paused longer than `waitTimeout`, which is 3 s.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Below the rate limit of refetches.
const UNKNOWN_KEYS: Duration = Duration::from_millis(2500);

/// HTTP/2 or HTTP/1.1, one connection or many, and the interval.
const CALLERS: [(bool, bool, Duration); 12] = [
    (false, true, Duration::from_millis(30)),
    (false, true, Duration::from_millis(30)),
    (false, true, Duration::from_millis(30)),
    (false, true, Duration::from_millis(30)),
    (false, true, Duration::from_millis(60)),
    (true, true, Duration::from_millis(30)),
    (true, true, Duration::from_millis(30)),
    (true, true, Duration::from_millis(60)),
    (false, false, Duration::from_millis(60)),
    (false, false, Duration::from_millis(60)),
    (false, false, Duration::from_millis(120)),
    (true, false, Duration::from_millis(120)),
];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn answer(status: u16, body: Value) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: body.to_string().into(),
            trailers: Vec::new(),
        }
    }

    #[test]
    fn answer_is_summarized_by_reason_or_identity() {
        let refused = answer(401, serde_json::json!({ "reason": "expired", "message": "..." }));
        assert_eq!(told(&refused), "401 expired");
        let echo =
            |headers: Value| answer(200, serde_json::json!({ "headers": headers, "body": "" }));
        let named = echo(serde_json::json!([["x-sa-namespace", "api"], ["x-sa-name", "a"]]));
        assert_eq!(told(&named), "200 api/a");
        assert_eq!(told(&echo(serde_json::json!([]))), "200 ");
        let masked = echo(serde_json::json!([["x_sa_name", "admin"], ["authorization", "x"]]));
        assert_eq!(told(&masked), "200 /admin and the token");
    }
}
