//! `30s`, `5m`, `2h`, `1h30m`, `500ms`.

use std::time::Duration;

/// Reads a duration such as `1h30m`: whole numbers with units, the largest unit first, each at most once.
pub fn parse(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = text;
    let mut total = 0u64;
    let mut next = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit =
            UNITS.iter().position(|(name, _)| *name == &rest[..letters]).filter(|unit| *unit >= next)?;
        next = unit + 1;
        total = total.checked_add(number.checked_mul(UNITS[unit].1)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let millis = |text| parse(text).map(|duration| duration.as_millis());
        assert_eq!(millis("30s"), Some(30_000));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("1d"), Some(86_400_000));
        for wrong in [
            "",
            "30",
            "s",
            "1.5h",
            "30m1h",
            "1s1s",
            "-1s",
            "1 h",
            "99999999999999999999h",
            "9999999999999999h",
        ] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
