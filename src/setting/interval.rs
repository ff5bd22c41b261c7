//! A duration as it is written in the configuration: a whole number with a unit, `"250ms" "5s" "2m" "1h" "7d"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time with an explicit unit. Exact to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Interval(Duration);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl Interval {
    /// An interval of `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// An interval of `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The span as the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Interval {
    fn from(span: Duration) -> Self {
        Self(span)
    }
}

impl FromStr for Interval {
    type Err = String;

    /// The error is the rule and the remedy, to be put behind "key = value".
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        if digits.is_empty() {
            return Err("is not a duration; write a whole number and a unit, like \"5s\" or \"2m\"".into());
        }
        let unit = unit.trim();
        if unit.is_empty() {
            return Err(format!("has no unit; write \"{digits}s\" or \"{digits}m\""));
        }
        let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("has the unknown unit \"{unit}\"; use ms, s, m, h or d"));
        };
        let count: u64 = digits.parse().map_err(|_| "is too large a duration".to_owned())?;
        let millis = count.checked_mul(*millis).ok_or("is too large a duration")?;
        Ok(Self::from_millis(millis))
    }
}

impl fmt::Display for Interval {
    /// The largest unit that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        let (unit, size) = UNITS.iter().rev().find(|(_, size)| millis % size == 0).copied().unwrap_or(UNITS[0]);
        write!(f, "{}{unit}", millis / size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_written_back() {
        for text in ["250ms", "5s", "2m", "1h", "7d", "0s"] {
            assert_eq!(text.parse::<Interval>().expect("valid").to_string(), text);
        }
        assert_eq!("90s".parse::<Interval>().expect("valid").duration(), Duration::from_secs(90));
    }

    #[test]
    fn a_missing_or_unknown_unit_names_the_remedy() {
        assert!("5".parse::<Interval>().expect_err("no unit").contains("write \"5s\" or \"5m\""));
        assert!("5 weeks".parse::<Interval>().expect_err("unit").contains("unknown unit"));
        assert!("s".parse::<Interval>().is_err());
        assert!("99999999999999999999d".parse::<Interval>().is_err());
        assert!("-5s".parse::<Interval>().is_err());
    }
}
