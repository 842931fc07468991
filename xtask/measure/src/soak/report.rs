//! The report of a soak: tables, summary.json and the exit code.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use envoy_test::Endpoint;
use serde_json::{Value, json};

use super::events::Event;
use super::memory_growth::{MOST_GROWTH, Trend, WARM_UP};
use super::samples::Sample;
use super::stage::Stage;
use super::tally::Counts;

/// The results of a soak.
#[derive(Debug)]
pub struct Report {
    /// How long it went.
    pub took: Duration,
    /// Every few seconds.
    pub samples: Vec<Sample>,
    /// The events with their start and end.
    pub events: Vec<(Event, Duration, Duration)>,
    workers: u32,
    envoy: String,
    counts: Counts,
    resident: Trend,
    wasm: Trend,
    /// Requests that the upstream saw and must not have seen.
    intruders: usize,
    /// Signs of crashed VMs.
    vm_failures: Vec<String>,
    /// Lines of Envoy's log with anything that looks like a token.
    leaks: usize,
    calls: Vec<(&'static str, usize)>,
}

// === impl Report ===

impl Report {
    /// Collects everything that must not occur.
    pub async fn of(stage: &Stage, samples: Vec<Sample>) -> Result<Self> {
        let info = envoy_test::Request::get("/server_info").send(stage.envoy.admin_port()).await?;
        // `9e558093…/1.40.0/Clean/RELEASE/BoringSSL`
        let version = info.json()?["version"].as_str().unwrap_or_default().to_owned();
        let envoy = version.split('/').nth(1).unwrap_or_default().to_owned();
        let log = stage.envoy.log();
        let [east, west] = [&stage.east, &stage.west].map(|server| server.requests());
        let calls = |requests: &[envoy_test::api_server::LoggedRequest], endpoint| {
            requests.iter().filter(|request| request.endpoint == endpoint).count()
        };
        Ok(Self {
            took: stage.events.age(),
            events: stage.events.since_start(),
            workers: stage.workers,
            envoy,
            counts: stage.tally.sample(),
            resident: Trend::of(&samples, |sample| sample.resident),
            wasm: Trend::of(&samples, |sample| sample.wasm),
            intruders: stage.upstream.received().len(),
            vm_failures: stage.envoy.vm_failures().await?,
            // Each token's header begins so: `{"` in base64url.
            leaks: log.lines().filter(|line| line.contains("eyJ")).count(),
            calls: vec![
                ("key fetches of east", calls(&east, Endpoint::Jwks)),
                ("key fetches of west", calls(&west, Endpoint::Jwks)),
                ("TokenReviews", calls(&west, Endpoint::TokenReview)),
            ],
            samples,
        })
    }

    /// The complaints; empty if the soak succeeded.
    pub fn exit_code(&self) -> ExitCode {
        match self.complaints().is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.counts.faults.clone();
        if !self.counts.is_clean() {
            let Counts { wrong, lost, stuck, other, .. } = self.counts;
            complaints.push(format!("{wrong} wrong, {lost} lost, {stuck} stuck, {other} others"));
        }
        complaints
            .extend(self.vm_failures.iter().map(|failure| format!("a VM crashed: {failure}")));
        if self.intruders > 0 {
            complaints
                .push(format!("{} requests reached the upstream, but must not", self.intruders));
        }
        if self.leaks > 0 {
            complaints.push(format!("{} lines of the log may hold a token", self.leaks));
        }
        for (name, trend) in [("Envoy's memory", self.resident), ("the VMs' memory", self.wasm)] {
            if trend.early == 0.0 {
                complaints.push(format!("{name} was not measured"));
            }
            if trend.grows() {
                let (early, late) = (mb(trend.early), mb(trend.late));
                complaints.push(format!("{name} grew from {early} to {late}"));
            }
        }
        complaints
    }

    /// The tables of docs/endurance.md.
    pub fn markdown(&self) -> String {
        let counts = &self.counts;
        let mut out = format!(
            "Envoy {}, {} workers, {:.1} minutes.\n\n| | |\n|---|---|\n",
            self.envoy,
            self.workers,
            self.took.as_secs_f64() / 60.0
        );
        let mut row = |name: &str, value: String| {
            let _ = writeln!(out, "| {name} | {value} |");
        };
        row("requests with the expected response", counts.right().to_string());
        row("unexpected responses", counts.wrong.to_string());
        row("lost", counts.lost.to_string());
        row("stuck", counts.stuck.to_string());
        row("callers that hung up", counts.gone.to_string());
        row("connections closed by Envoy before a request", counts.reopened.to_string());
        row("denied requests at the upstream", self.intruders.to_string());
        row("crashed VMs", self.vm_failures.len().to_string());
        row("lines of the log with a token", self.leaks.to_string());
        for (name, count) in &self.calls {
            row(name, count.to_string());
        }
        for (name, trend) in
            [("memory of Envoy (RSS)", self.resident), ("memory of its VMs", self.wasm)]
        {
            let (early, late) = (mb(trend.early), mb(trend.late));
            let hourly = trend.slope * 3600.0 / 1e6;
            row(name, format!("{early}, at the end {late} ({hourly:+.1} MB an hour)"));
        }
        let first = self.samples.first().map_or(0, |sample| sample.vms);
        let last = self.samples.last().map_or(0, |sample| sample.vms);
        row("VMs", format!("{first}, at the end {last}"));
        let _ = writeln!(
            out,
            "\nMemory: medians of the first and the last third of the time after a warm-up of {:.0} %, and Theil and \
             Sen's slope; {:.0} % more is a failure.\n",
            WARM_UP * 100.0,
            MOST_GROWTH * 100.0
        );
        out += &self.disturbances();
        out += &self.answers();
        for complaint in self.complaints() {
            let _ = writeln!(out, "FAILED: {complaint}");
        }
        out
    }

    fn disturbances(&self) -> String {
        let mut out = "| event | count | total seconds |\n|---|---|---|\n".to_owned();
        for (what, name) in DISTURBANCES {
            let spans = self.events.iter().filter(|(which, _, _)| which == what);
            let (count, seconds) = spans.fold((0, 0.0), |(count, seconds), (_, from, to)| {
                (count + 1, seconds + to.saturating_sub(*from).as_secs_f64())
            });
            let _ = writeln!(out, "| {name} | {count} | {seconds:.0} |");
        }
        out + "\n"
    }

    fn answers(&self) -> String {
        let mut out = "| request | answers |\n|---|---|\n".to_owned();
        for (kind, answers) in &self.counts.answers {
            let list: Vec<_> =
                answers.iter().map(|(answer, count)| format!("{answer}: {count}")).collect();
            let _ = writeln!(out, "| {kind:?} | {} |", list.join(", "));
        }
        out + "\n"
    }

    /// summary.json.
    pub fn summary(&self) -> Value {
        let trend = |trend: Trend| json!({ "early": trend.early, "late": trend.late, "slope_per_second": trend.slope });
        let counts = &self.counts;
        json!({
            "envoy": self.envoy,
            "workers": self.workers,
            "seconds": self.took.as_secs(),
            "right": counts.right(),
            "wrong": counts.wrong,
            "lost": counts.lost,
            "stuck": counts.stuck,
            "gone": counts.gone,
            "complaints": self.complaints(),
            "resident_bytes": trend(self.resident),
            "wasm_bytes": trend(self.wasm),
            "samples": self.samples.iter().map(Sample::json).collect::<Vec<_>>(),
        })
    }
}

/// With a decimal.
pub fn mb(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

const DISTURBANCES: &[(Event, &str)] = &[
    (
        Event::EastRotates,
        "a key of the first issuer is published and used, and the old one is removed",
    ),
    (Event::EastTrouble, "the first API server fails, or is down"),
    (Event::WestTrouble, "the second API server, which reviews, fails, or is down"),
    (Event::WestKeysTrouble, "the second API server fails only key fetches"),
    (Event::WebIsIn, "the configuration is replaced, and later restored"),
];
