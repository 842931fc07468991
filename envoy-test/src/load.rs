//! A caller that sends one request after another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::client::{Connection, Request};

/// One caller with valid requests on one connection.
#[derive(Debug)]
pub struct Steady {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    task: JoinHandle<Result<Report>>,
}

/// The outcome of a caller's requests.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Report {
    /// How many were sent.
    pub sent: usize,
    /// Every response except 200: status and body.
    pub refused: Vec<String>,
    /// How long the slowest took.
    pub slowest: Duration,
}

// === impl Steady ===

impl Steady {
    /// Starts sending 200 requests a second at most, each with this token. Without a pause, a caller and Envoy would use
    /// a core and a half, which other tests need.
    pub fn start(port: u16, token: String) -> Self {
        Self::paced(port, Request::get("/").bearer(&token), Duration::from_millis(5))
    }

    /// Starts sending this request again and again.
    pub fn sending(port: u16, request: Request) -> Self {
        Self::paced(port, request, Duration::ZERO)
    }

    /// Starts sending this request once in each period, or again and again where that is zero.
    pub fn paced(port: u16, request: Request, period: Duration) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(send(port, request, period, stop.clone(), sent.clone()));
        Self { stop, sent, task }
    }

    /// How many were sent so far.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops, and returns the report.
    pub async fn stop(self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

async fn send(
    port: u16,
    request: Request,
    period: Duration,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
) -> Result<Report> {
    let mut connection = Connection::http1(port).await?;
    let mut report = Report::default();
    let mut pace = (!period.is_zero()).then(|| tokio::time::interval(period));
    while !stop.load(Ordering::Relaxed) {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let start = Instant::now();
        let response = connection.send(&request).await?;
        report.slowest = report.slowest.max(start.elapsed());
        report.sent += 1;
        sent.fetch_add(1, Ordering::Relaxed);
        if response.status != 200 {
            report.refused.push(format!("{} {}", response.status, response.text()));
        }
    }
    Ok(report)
}
