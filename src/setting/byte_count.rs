//! A size as it is written in the configuration: a whole number with a unit, `"64KiB" "10MiB"`.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteCount(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

impl FromStr for ByteCount {
    type Err = String;

    /// The error is the rule and the remedy, to be put behind "key = value".
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        if digits.is_empty() {
            return Err("is not a size; write a whole number and a unit, like \"64KiB\" or \"10MiB\"".into());
        }
        let unit = unit.trim();
        if unit.is_empty() {
            return Err(format!("has no unit; write \"{digits}KiB\" or \"{digits}MiB\""));
        }
        let Some((_, bytes)) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
            return Err(format!("has the unknown unit \"{unit}\"; use B, KiB, MiB, GiB or TiB"));
        };
        let count: u64 = digits.parse().map_err(|_| "is too large a size".to_owned())?;
        count.checked_mul(*bytes).map(Self).ok_or_else(|| "is too large a size".to_owned())
    }
}

impl fmt::Display for ByteCount {
    /// The largest binary unit that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match binary.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_and_decimal_units_differ() {
        assert_eq!("64KiB".parse::<ByteCount>(), Ok(ByteCount(65_536)));
        assert_eq!("1MB".parse::<ByteCount>(), Ok(ByteCount(1_000_000)));
        assert_eq!(ByteCount(65_536).to_string(), "64KiB");
    }

    #[test]
    fn a_bare_number_is_refused_with_the_remedy() {
        assert!("64".parse::<ByteCount>().expect_err("no unit").contains("64KiB"));
        assert!("64 pages".parse::<ByteCount>().expect_err("unit").contains("unknown unit"));
    }
}
