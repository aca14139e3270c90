//! Values as Slurm prints them: words for nothing, times, counts of GPUs.

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

/// GPUs of a trackable-resource list: `cpu=4,node=2,gres/gpu=8` (typed ones, `gres/gpu:h100=8`, are part of the plain
/// count and are added up only where that is missing). `None` if the list names none.
pub(crate) fn gpus(list: &str) -> Option<u64> {
    let mut plain = None;
    let mut typed = None;
    for (name, count) in list.split(',').filter_map(|item| item.split_once('=')) {
        let Ok(count) = count.trim().parse::<u64>() else { continue };
        match name.trim() {
            "gres/gpu" => plain = Some(count),
            name if name.starts_with("gres/gpu:") => {
                typed = Some(typed.unwrap_or(0u64).saturating_add(count))
            }
            _ => {}
        }
    }
    plain.or(typed)
}

/// GPUs of a request per node: `gres:gpu:4` (to 22.05), `gres/gpu:4`, `gres/gpu:h100:4`, `gpu=4`. A bare `gpu` is one.
pub(crate) fn gpus_requested(list: &str) -> Option<u64> {
    let mut sum = None;
    for item in list.split(',') {
        let item = item.trim().trim_start_matches("gres/").trim_start_matches("gres:");
        let mut parts = item.split([':', '=']);
        if parts.next() != Some("gpu") {
            continue;
        }
        let count = match parts.next_back() {
            None => 1,
            // `gpu:h100` is one of a type.
            Some(last) => last.parse::<u64>().unwrap_or(1),
        };
        sum = Some(sum.unwrap_or(0u64).saturating_add(count));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals() {
        assert_eq!(gpus("cpu=4,node=2,billing=4,gres/gpu=8"), Some(8));
        assert_eq!(gpus("cpu=4,gres/gpu=8,gres/gpu:h100=8"), Some(8));
        assert_eq!(gpus("gres/gpu:a100=2,gres/gpu:h100=6"), Some(8));
        assert_eq!(gpus("cpu=4,node=2"), None);
        assert_eq!(gpus("gres/gpumem=8"), None);
    }

    #[test]
    fn per_node() {
        for text in ["gres:gpu:4", "gres/gpu:4", "gres/gpu:h100:4", "gres:gpu:h100:4", "gres/gpu=4", "gpu:4"]
        {
            assert_eq!(gpus_requested(text), Some(4), "{text}");
        }
        assert_eq!(gpus_requested("gres/gpu"), Some(1));
        assert_eq!(gpus_requested("gres/gpu:h100"), Some(1));
        assert_eq!(gpus_requested("gres/shard:4"), None);
        assert_eq!(gpus_requested(""), None);
    }

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
