//! Starts the applications as processes, killed on drop.
//!
//! The applications of two services, `client-app` and `server-app`, are separate processes, as in a
//! cluster. They read requests from stdin and write responses to stdout, as JSON lines, and do not handle tokens.

use std::io::{BufRead, Write, stdin, stdout};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::client::{Request, Response};
use crate::load::Report;
use crate::poll::LIMIT;
use crate::upstream::Received;

/// The application behind the filter: it echoes and records requests.
#[derive(Debug)]
pub struct ServerApp {
    app: App,
    port: u16,
}

/// The calling application: it sends each request through its Envoy.
#[derive(Debug)]
pub struct ClientApp(App);

/// The same, sending continuously until it is stopped.
#[derive(Debug)]
pub struct LoadApp(App);

#[derive(Debug)]
struct App {
    // Held for its kill on drop.
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

// === impl ServerApp ===

impl ServerApp {
    /// Starts it on a port of its own.
    pub async fn start(binary: &str) -> Result<Self> {
        let mut app = App::start(binary, &[])?;
        let port = app.answer().await?;
        Ok(Self { app, port })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every request that reached it so far.
    pub async fn received(&mut self) -> Result<Vec<Received>> {
        self.app.ask(&()).await
    }
}

// === impl ClientApp ===

impl ClientApp {
    /// Starts it; its requests go to this port of 127.0.0.1.
    pub fn start(binary: &str, port: u16) -> Result<Self> {
        Ok(Self(App::start(binary, &[&port.to_string()])?))
    }

    /// Has it send a request.
    pub async fn send(&mut self, request: &Request) -> Result<Response> {
        let answer: Result<Response, String> = self.0.ask(request).await?;
        answer.map_err(|error| anyhow!("the client application: {error}"))
    }
}

// === impl LoadApp ===

impl LoadApp {
    /// Has it send this request again and again, on one connection to this port of 127.0.0.1.
    pub async fn start(binary: &str, port: u16, request: &Request) -> Result<Self> {
        let mut app = App::start(binary, &[&port.to_string(), "load"])?;
        app.tell(request).await?;
        Ok(Self(app))
    }

    /// How many were sent so far.
    pub async fn sent(&mut self) -> Result<usize> {
        self.0.ask("sent").await
    }

    /// Stops it, and returns the outcome of its requests.
    pub async fn stop(mut self) -> Result<Report> {
        let report: Result<Report, String> = self.0.ask("stop").await?;
        report.map_err(|error| anyhow!("the client application: {error}"))
    }
}

// === impl App ===

impl App {
    fn start(binary: &str, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {binary}"))?;
        let stdin = child.stdin.take().context("its stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("its stdout")?).lines();
        Ok(Self { _child: child, stdin, stdout })
    }

    async fn ask<A: DeserializeOwned>(
        &mut self,
        question: &(impl Serialize + ?Sized),
    ) -> Result<A> {
        self.tell(question).await?;
        self.answer().await
    }

    async fn tell(&mut self, what: &(impl Serialize + ?Sized)) -> Result<()> {
        let line = serde_json::to_string(what)? + "\n";
        self.stdin.write_all(line.as_bytes()).await.context("an application has ended")
    }

    async fn answer<A: DeserializeOwned>(&mut self) -> Result<A> {
        let line = timeout(LIMIT, self.stdout.next_line()).await;
        let line =
            line.with_context(|| format!("no response of an application in {LIMIT:?}"))??;
        Ok(serde_json::from_str(&line.context("an application has ended")?)?)
    }
}

/// For the binaries: the next request; `None` if the test has ended and the application must exit.
pub fn question<Q: DeserializeOwned>() -> Result<Option<Q>> {
    let Some(line) = stdin().lock().lines().next() else { return Ok(None) };
    Ok(Some(serde_json::from_str(&line?)?))
}

/// For the binaries: sends this response.
pub fn reply(answer: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(stdout().flush()?)
}
