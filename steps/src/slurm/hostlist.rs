//! Folded lists of hosts: `gpu-[01-03,07],login1`, `rack[1-2]n[01-04]`: pure.
//!
//! Slurm unfolds them itself (`scontrol show hostnames`), and where it can be asked it is. This is for lists inside other
//! answers, of which only membership matters. Syntax: `hostlist.c` of SchedMD/slurm and the manual page of `scontrol`
//! ("hostnames"): ranges with equal padding, several brackets in one name, nothing after the last.

/// Hosts that one list may stand for; Slurm's own limit on a range is 64 Ki (`MAX_RANGE`).
const MOST: usize = 65_536;

/// All hosts of a list in their order; `None` if it is no list, or one of too many.
pub(crate) fn unfold(list: &str) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    for name in split(list)? {
        let mut made = vec![String::new()];
        for part in parts(name)? {
            made = match part {
                Part::Text(text) => made.into_iter().map(|host| host + text).collect(),
                Part::Ranges(numbers) => {
                    if made.len().checked_mul(numbers.len())?.checked_add(hosts.len())? > MOST {
                        return None;
                    }
                    made.iter().flat_map(|host| numbers.iter().map(move |n| format!("{host}{n}"))).collect()
                }
            };
        }
        hosts.append(&mut made);
        if hosts.len() > MOST {
            return None;
        }
    }
    Some(hosts)
}

/// Whether a host is in a list, by its name up to the first dot; `None` if the list cannot be read.
pub(crate) fn contains(list: &str, host: &str) -> Option<bool> {
    let short = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let host = short(host);
    Some(unfold(list)?.iter().any(|name| short(name) == host))
}

enum Part<'a> {
    Text(&'a str),
    Ranges(Vec<String>),
}

/// The names of a list: commas inside brackets part nothing.
fn split(list: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0u32, 0);
    for (at, c) in list.char_indices() {
        match c {
            '[' if depth == 0 => depth = 1,
            ']' if depth == 1 => depth = 0,
            '[' | ']' => return None,
            ',' if depth == 0 => {
                names.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    names.push(&list[start..]);
    (depth == 0 && names.iter().all(|name| !name.is_empty())).then_some(names)
}

fn parts(name: &str) -> Option<Vec<Part<'_>>> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, after) = after.split_once(']')?;
        if !plain(before) {
            return None;
        }
        parts.push(Part::Text(before));
        parts.push(Part::Ranges(ranges(inside)?));
        rest = after;
    }
    if parts.is_empty() {
        parts.push(Part::Text(rest));
        return plain(rest).then_some(parts);
    }
    rest.is_empty().then_some(parts)
}

/// `01-03,07` as `01`, `02`, `03`, `07`.
fn ranges(text: &str) -> Option<Vec<String>> {
    let number = |digits: &str| {
        let fits = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| digits.parse::<u32>().ok())?
    };
    let mut all = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (low, high) = (number(from)?, number(to)?);
        if low > high || (high - low) as usize >= MOST || all.len() > MOST {
            return None;
        }
        let width = from.len();
        all.extend((low..=high).map(|n| format!("{n:0width$}")));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_scontrol_unfolds_them() {
        for (list, hosts) in [
            ("gpu-20", "gpu-20"),
            ("gpu-[20-21]", "gpu-20 gpu-21"),
            ("gpu-[08-10,12],login1", "gpu-08 gpu-09 gpu-10 gpu-12 login1"),
            ("rack[1-2]n[01-02]", "rack1n01 rack1n02 rack2n01 rack2n02"),
            ("n[9-11]", "n9 n10 n11"),
            ("n[099-101]", "n099 n100 n101"),
        ] {
            assert_eq!(unfold(list).map(|hosts| hosts.join(" ")).as_deref(), Some(hosts), "{list}");
        }
    }

    #[test]
    fn what_is_no_list_is_none() {
        for list in [
            "",
            "a,",
            "n[1-2]-ib",
            "n[",
            "n]",
            "n[1-",
            "n[3-1]",
            "n[a]",
            "n[[1]]",
            "n[1-99999999]",
            "n 1",
            "(null)",
            "n[1-300]x[1-300]",
        ] {
            assert_eq!(unfold(list), None, "{list}");
        }
    }

    #[test]
    fn membership_goes_by_the_short_name() {
        assert_eq!(contains("gpu-[20-21,25]", "gpu-25.cluster"), Some(true));
        assert_eq!(contains("gpu-[20-21,25]", "gpu-22"), Some(false));
        assert_eq!(contains("gpu-[20", "gpu-20"), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_bounded(text in "[a-z0-9\\[\\],.-]{0,40}|\\PC{0,40}") {
            prop_assert!(unfold(&text).is_none_or(|hosts| hosts.len() <= MOST));
        }

        #[test]
        fn what_is_folded_comes_back(low in 0u32..500, more in 0u32..40, width in 1usize..5) {
            let hosts: Vec<String> = (low..=low + more).map(|n| format!("n{n:0width$}")).collect();
            let list = format!("n[{low:0width$}-{:0width$}]", low + more);
            prop_assert_eq!(unfold(&list), Some(hosts));
        }
    }
}
