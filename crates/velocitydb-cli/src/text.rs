//! Numbers as people write them: sizes in bytes.
//!
//! Counts and thousands are shown as the shell shows them. Tests: below.

use std::fmt;
use std::str::FromStr;

pub use velocitydb_shell::{count, thousands};

/// A number of bytes, written as `4GiB`, `512 MiB`, `1048576`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// Units, largest first; a power of 1024 each.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// Decimal units are taken at their word.
const DECIMAL_UNITS: [(&str, u64); 4] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let wrong = || format!("{text:?} is not a size such as 4GiB, 512MiB or 1048576");
        let trimmed = text.trim();
        let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = trimmed[digits.len()..].to_ascii_lowercase();
        let binary = UNITS.iter().find(|(name, _)| {
            let name = name.to_ascii_lowercase();
            unit == name || unit == name[..1]
        });
        let decimal = DECIMAL_UNITS
            .iter()
            .find(|(name, _)| unit == name.to_ascii_lowercase());
        let factor = match (unit.as_str(), binary, decimal) {
            ("" | "b", _, _) => 1,
            (_, Some((_, shift)), _) => 1 << shift,
            (_, None, Some((_, factor))) => *factor,
            (_, None, None) => return Err(wrong()),
        };
        let count: u64 = digits
            .trim()
            .replace('_', "")
            .parse()
            .map_err(|_| wrong())?;
        count.checked_mul(factor).map(Bytes).ok_or_else(wrong)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&velocitydb_shell::bytes(self.0))
    }
}

/// A size as [`Bytes`] reads it.
pub fn exact_bytes(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    unit.map_or(bytes.to_string(), |(name, shift)| {
        format!("{}{name}", bytes >> shift)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("1_000", 1000),
            ("7b", 7),
            ("4GiB", 4 << 30),
            ("512 mib", 512 << 20),
            ("2k", 2048),
            ("1TB", 1_000_000_000_000),
            ("16MB", 16_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in [
            "",
            "GiB",
            "-1",
            "1.5GiB",
            "4 parsecs",
            "99999999999TiB",
            "4GiB4",
        ] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown() {
        for (bytes, text) in [(1023, "1023 B"), (1024, "1.0 KiB"), (3 << 29, "1.5 GiB")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn exact_sizes_are_shown() {
        for (bytes, shown) in [
            (0, "0"),
            (24 << 20, "24MiB"),
            (1 << 40, "1TiB"),
            (1_025, "1025"),
        ] {
            assert_eq!(exact_bytes(bytes), shown);
        }
    }
}
