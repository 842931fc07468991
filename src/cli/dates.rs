//! Parsing and formatting of dates and durations.

use super::Failure;
use jiff::Timestamp;
use sa_authn::time::UnixTime;
use std::time::Duration;

/// Parses Unix seconds or an RFC 3339 date; `None` is the current time.
pub fn at(text: Option<&str>) -> Result<UnixTime, Failure> {
    let Some(text) = text else { return Ok(of(Timestamp::now())) };
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(UnixTime::from_secs(seconds));
    }
    let wrong = |_| {
        Failure(format!(
            "--at {text}: expected Unix seconds or an RFC 3339 date, for example 2026-01-31T12:00:00Z"
        ))
    };
    text.parse::<Timestamp>().map(of).map_err(wrong)
}

fn of(timestamp: Timestamp) -> UnixTime {
    UnixTime::from_millis(u64::try_from(timestamp.as_millisecond()).unwrap_or_default())
}

/// `2026-01-31T12:00:00Z`
pub fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    match seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        Some(timestamp) => timestamp.to_string(),
        None => format!("{} s since 1970 (after the year 9999)", time.as_secs()),
    }
}

/// The date, with the difference to `now`: `(in 58m 12s)`, `(1h 2m ago)`.
pub fn date_from(time: UnixTime, now: UnixTime) -> String {
    let away = match time >= now {
        true => format!("in {}", duration(time.since(now))),
        false => format!("{} ago", duration(now.since(time))),
    };
    format!("{} ({away})", date(time))
}

/// The two largest units of a duration: `1h 2m`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [
        ("d", seconds / 86_400),
        ("h", seconds / 3600 % 24),
        ("m", seconds / 60 % 60),
        ("s", seconds % 60),
    ];
    let said: Vec<_> = units
        .iter()
        .skip_while(|(_, count)| *count == 0)
        .take(2)
        .filter(|(_, count)| *count > 0)
        .map(|(unit, count)| format!("{count}{unit}"))
        .collect();
    if said.is_empty() { "0s".to_owned() } else { said.join(" ") }
}

/// Parses a duration with one unit, such as `30s` or `2m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and a unit, for example 30s, 2m or 1h".to_owned();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let (number, unit) = text.split_at_checked(unit_at).ok_or_else(expected)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(expected()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    seconds.filter(|seconds| *seconds <= LONGEST).map(Duration::from_secs).ok_or_else(expected)
}

/// A day.
const LONGEST: u64 = 24 * 60 * 60;
