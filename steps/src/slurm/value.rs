//! Values as Slurm prints them.

use jiff::Timestamp;

/// A value as Slurm prints it, unless it is one of Slurm's words for "nothing there".
pub(crate) fn known(value: &str) -> Option<&str> {
    let value = value.trim();
    let nothing = ["", "(null)", "N/A", "None", "Unknown", "None assigned", "UNKNOWN"].contains(&value);
    (!nothing).then_some(value)
}

/// A time as Slurm prints it under `SLURM_TIME_FORMAT=%s TZ=UTC`: seconds since 1970, or, where a release does not
/// heed the format, `2026-11-24T02:04:35` in UTC.
pub(crate) fn time(value: &str) -> Option<Timestamp> {
    let value = known(value)?;
    if let Ok(seconds) = value.parse::<i64>() {
        return Timestamp::from_second(seconds).ok().filter(|_| seconds > 0);
    }
    let local: jiff::civil::DateTime = value.parse().ok()?;
    jiff::tz::Offset::UTC.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let expected: Timestamp = "2026-11-24T02:04:35Z".parse().unwrap();
        assert_eq!(time("1795485875"), Some(expected));
        assert_eq!(time("2026-11-24T02:04:35"), Some(expected));
        for nothing in ["Unknown", "N/A", "None", "", "0", "yesterday"] {
            assert_eq!(time(nothing), None, "{nothing}");
        }
    }
}
