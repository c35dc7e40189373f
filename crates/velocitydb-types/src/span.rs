//! Spans of time as people write them: `100ms`, `30s`, `5min`, `1h`, `7d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, in µs. Written with its unit; a number alone is seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(pub u64);

/// A text that is no span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a span of time: a whole number with us, ms, s, min, h or d, such as 30s or 7d")]
pub struct TimeSpanError;

/// Units in µs; the first that divides a span shows it.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

impl TimeSpan {
    /// So many days.
    pub const fn days(days: u32) -> TimeSpan {
        TimeSpan(days as u64 * UNITS[0].1)
    }
}

impl FromStr for TimeSpan {
    type Err = TimeSpanError;

    fn from_str(text: &str) -> Result<TimeSpan, TimeSpanError> {
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" => 1_000_000,
            "m" => 60_000_000,
            unit => {
                let row = UNITS.iter().find(|(name, _)| *name == unit);
                row.ok_or(TimeSpanError)?.1
            }
        };
        let count = digits.trim().replace('_', "").parse::<u64>();
        let count = count.map_err(|_| TimeSpanError)?;
        count.checked_mul(factor).map(TimeSpan).ok_or(TimeSpanError)
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = UNITS.iter();
        match units.find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => f.write_str("0"),
        }
    }
}

impl From<TimeSpan> for Duration {
    fn from(span: TimeSpan) -> Duration {
        Duration::from_micros(span.0)
    }
}

impl From<Duration> for TimeSpan {
    /// Without what is less than a microsecond; as long as can be for what is longer.
    fn from(duration: Duration) -> TimeSpan {
        TimeSpan(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimeSpan, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown() {
        for (text, micros, shown) in [
            ("0", 0, "0"),
            ("30", 30_000_000, "30s"),
            ("100ms", 100_000, "100ms"),
            ("90 s", 90_000_000, "90s"),
            ("5min", 300_000_000, "5min"),
            ("5m", 300_000_000, "5min"),
            ("24h", 86_400_000_000, "1d"),
            ("36h", 129_600_000_000, "36h"),
            ("7d", 604_800_000_000, "7d"),
            ("1500us", 1_500, "1500us"),
        ] {
            let span: TimeSpan = text.parse().unwrap();
            assert_eq!(span, TimeSpan(micros), "{text}");
            assert_eq!(span.to_string(), shown);
            assert_eq!(shown.parse(), Ok(span));
        }
        for text in ["", "s", "-1s", "1.5s", "1 day", "99999999999999999h"] {
            assert_eq!(text.parse::<TimeSpan>(), Err(TimeSpanError), "{text}");
        }
    }
}
