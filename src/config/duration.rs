//! The duration format of the configuration: `30s`, `5m`, `24h`, `250ms`.

use super::reader::{Read, Reader};
use serde_json::Value;
use std::time::Duration;

/// A duration in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireDuration(pub(crate) Duration);

impl Read for WireDuration {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let duration = parse(reader.text(value, EXPECTED)?);
        duration.map(Self).or_else(|| reader.invalid(value, EXPECTED))
    }
}

fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let millis = match unit {
        "ms" => 1,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    };
    let duration = number.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)?;
    (duration <= LONGEST).then_some(duration)
}

/// As it is written in a configuration: `100ms`, `60s`, `10m`, `24h`.
pub(super) fn text(millis: u64) -> String {
    let (unit, name) = match millis {
        1.. if millis.is_multiple_of(HOUR) => (HOUR, "h"),
        _ if millis > MINUTE && millis.is_multiple_of(MINUTE) => (MINUTE, "m"),
        _ if millis.is_multiple_of(SECOND) => (SECOND, "s"),
        _ => (1, "ms"),
    };
    format!("{}{name}", millis / unit)
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The format, for error messages.
const EXPECTED: &str = r#"a duration such as "30s", "5m", "24h" or "250ms""#;

/// A leap year. A longer duration is most likely a wrong unit.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_a_number_and_one_unit() {
        for (text, millis) in [("0s", 0), ("250ms", 250), ("30s", 30_000), ("24h", 86_400_000)] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn duration_is_written_with_the_greatest_unit_but_a_minute_in_seconds() {
        for written in ["0s", "1ms", "1500ms", "1s", "60s", "90s", "2m", "1h", "24h"] {
            let millis = parse(written).unwrap().as_millis();
            assert_eq!(text(u64::try_from(millis).unwrap()), written);
        }
    }

    #[test]
    fn invalid_durations_are_rejected() {
        for text in
            ["", "30", "s", "-1s", "1.5s", "1h30m", "1d", "30 s", "99999999999999999999s", "9999h"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
