//! The prefixes that launchers put before a line: who printed it.
//!
//! They stack: `07: [default3]:[rank7]: torch.OutOfMemoryError: …` is srun's label, torchrun's tee and PyTorch's hook.

use regex::Regex;

use crate::text::{Pattern, pattern};

/// Who printed a line, as far as its prefixes say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    /// Global rank (`[rank7]:`, or Open MPI's tag).
    pub(crate) rank: Option<u32>,
    /// Rank on its node (torchrun's `[default3]:`).
    pub(crate) local_rank: Option<u32>,
    /// Slurm task (srun's label).
    pub(crate) task: Option<u32>,
    /// Process id (Ray's and vLLM's prefix).
    pub(crate) pid: Option<u32>,
    /// Host (pdsh's and DeepSpeed's prefix).
    pub(crate) host: Option<String>,
}

impl Who {
    /// Whether both lines can come from one process, with what is known of each.
    pub(crate) fn is_compatible(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        agree(&self.rank, &other.rank)
            && agree(&self.local_rank, &other.local_rank)
            && agree(&self.task, &other.task)
            && agree(&self.pid, &other.pid)
            && agree(&self.host, &other.host)
    }

    /// Takes over what is unknown here.
    pub(crate) fn fill(&mut self, other: &Self) {
        self.rank = self.rank.or(other.rank);
        self.local_rank = self.local_rank.or(other.local_rank);
        self.task = self.task.or(other.task);
        self.pid = self.pid.or(other.pid);
        self.host = self.host.take().or_else(|| other.host.clone());
    }
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: Pattern = Pattern::new(|| pattern($text));
    };
}

// `srun --label` pads with zeros (src/common/write_labelled_message.c); other versions may pad with spaces.
pattern!(LABEL, r"^\s{0,6}(\d{1,6}): ?");
pattern!(RANK, r"^\s*\[rank(\d{1,6})\]:? ?");
pattern!(TEE, r"^\s*\[(?:default|trainer|worker|agent)(\d{1,6})\]: ?");
pattern!(MPI, r"^\s*\[\d{1,6},(\d{1,6})\]<std(?:out|err)>: ?");
pattern!(ACTOR, r"^\s*\([A-Za-z0-9_.:/= -]{0,64}?\bpid=(\d{1,10})(?:, ip=[\d.:a-f]{2,45})?\) ?");
// A collector's record around the line (Docker's `json-file`, Kubernetes, structured logging), or Compose's name before it.
pattern!(
    ENVELOPE,
    r#"^\s*\{"(?:log|message|msg|line)": ?"|^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}[-_]\d{1,3} +\| "#
);
pattern!(HOST, r"^\s*([A-Za-z0-9][A-Za-z0-9_.-]{0,252}): ");

/// What a file's lines are known to start with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prefixes {
    /// Lines carry srun's label. A number and a colon alone would not prove it.
    pub(crate) labelled: bool,
    /// Names of the job's hosts: only these count as a host prefix.
    pub(crate) hosts: Vec<String>,
}

impl Prefixes {
    /// Whether most of these lines carry a label.
    pub(crate) fn are_labels<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
        let (mut labelled, mut all) = (0usize, 0usize);
        for line in lines.filter(|line| {
            !line.trim().is_empty() && !line.contains("srun: ") && !line.contains("slurmstepd: ")
        }) {
            all += 1;
            labelled += usize::from(LABEL.is_match(line));
        }
        labelled > 0 && labelled * 2 >= all
    }

    /// Splits the prefixes off a cleaned line.
    pub(crate) fn split<'a>(&self, line: &'a str) -> (Who, &'a str) {
        let mut who = Who::default();
        let mut rest = line;
        for _ in 0..8 {
            let number = |pattern: &Regex| {
                let found = pattern.captures(rest)?;
                Some((found[1].parse::<u32>().ok()?, found.get(0)?.end()))
            };
            let end = if let Some((rank, end)) = number(&RANK) {
                who.rank = Some(rank);
                end
            } else if let Some((rank, end)) = number(&MPI) {
                who.rank = Some(rank);
                end
            } else if let Some((pid, end)) = number(&ACTOR) {
                who.pid = Some(pid);
                end
            } else if let Some((local, end)) = number(&TEE) {
                who.local_rank = Some(local);
                end
            } else if let Some((task, end)) = number(&LABEL).filter(|_| self.labelled && who.task.is_none()) {
                who.task = Some(task);
                end
            } else if let Some(found) = ENVELOPE.find(rest) {
                found.end()
            } else if let Some((host, end)) = self.host(rest).filter(|_| who.host.is_none()) {
                who.host = Some(host);
                end
            } else {
                break;
            };
            rest = &rest[end..];
        }
        (who, rest)
    }

    fn host(&self, line: &str) -> Option<(String, usize)> {
        if self.hosts.is_empty() {
            return None;
        }
        let found = HOST.captures(line)?;
        let name = short_host(&found[1]);
        let host = self.hosts.iter().find(|host| short_host(host) == name)?;
        Some((host.clone(), found.get(0)?.end()))
    }
}

/// A host's name without its domain.
pub(crate) fn short_host(name: &str) -> &str {
    name.split_once('.').map_or(name, |(host, _)| host)
}

/// What a file's name says of who wrote it, seen beside the job's other files.
///
/// Known: `rank_3.log`, `task-3.out`, torchrun's `attempt_0/3/stderr.log`, a host of the job in the name, and `…_3.out`
/// where a sibling differs in that number only (`slurm-%j_%t.out`; alone it would as well be an array's `%A_%a`).
pub(crate) fn from_path(path: &str, all: &[String], hosts: &[String]) -> Who {
    pattern!(NAMED, r"(?i)(?:^|[^a-z])(local[_-]?rank|rank|task)[_=-]?(\d{1,6})(?:[^\d]|$)");
    pattern!(ELASTIC, r"/attempt_\d{1,4}/(\d{1,6})/[^/]+$");
    pattern!(NUMBERED, r"^(.*[_.-])(\d{1,6})(\.(?:out|err|log|txt))$");
    let mut who = Who::default();
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    if let Some(found) = NAMED.captures(name).or_else(|| NAMED.captures(folder)) {
        let number = found[2].parse().ok();
        match found[1].to_ascii_lowercase().as_str() {
            "rank" => who.rank = number,
            "task" => who.task = number,
            _ => who.local_rank = number,
        }
    } else if let Some(found) = ELASTIC.captures(path) {
        who.local_rank = found[1].parse().ok();
    } else if let Some(found) = NUMBERED.captures(path) {
        let sibling = |other: &String| {
            other != path && NUMBERED.captures(other).is_some_and(|o| o[1] == found[1] && o[3] == found[3])
        };
        // Dates and jobs in names do not begin with 0, tasks do.
        let from_zero = |other: &String| {
            let zero = NUMBERED.captures(other).is_some_and(|o| o[2].bytes().all(|digit| digit == b'0'));
            zero && (other == path || sibling(other))
        };
        let (tasks, siblings) = (found[1].ends_with('_'), all.iter().any(sibling));
        if siblings && (tasks || found[1].contains(char::is_numeric) && all.iter().any(from_zero)) {
            who.task = found[2].parse().ok();
        }
    }
    who.host = hosts
        .iter()
        .find(|host| {
            let short = short_host(host);
            let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            name.match_indices(short).any(|(at, _)| {
                !inside(name[..at].chars().next_back()) && !inside(name[at + short.len()..].chars().next())
            })
        })
        .cloned();
    who
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacked_prefixes_come_off() {
        let prefixes = Prefixes { labelled: true, hosts: vec!["gpu-21.cluster".to_owned()] };
        let (who, rest) = prefixes.split("07: [default3]:[rank7]: torch.OutOfMemoryError: CUDA");
        assert_eq!((who.task, who.local_rank, who.rank), (Some(7), Some(3), Some(7)));
        assert_eq!(rest, "torch.OutOfMemoryError: CUDA");
        let (who, rest) = prefixes.split("gpu-21: (Worker_TP0 pid=81) x: y");
        assert_eq!((who.host.as_deref(), who.pid, rest), (Some("gpu-21.cluster"), Some(81), "x: y"));
        let (who, rest) = prefixes.split(r#"{"log":"(VllmWorker rank=0 pid=81) x"#);
        assert_eq!((who.pid, rest), (Some(81), "x"));
        assert_eq!(prefixes.split("trainer-1  | [rank3]: x").1, "x");
        let (who, rest) = prefixes.split(" 3: [1,5]<stderr>:x");
        assert_eq!((who.task, who.rank, rest), (Some(3), Some(5), "x"));
    }

    #[test]
    fn a_number_is_a_label_only_in_labelled_text() {
        let (who, rest) = Prefixes::default().split("12: RuntimeError");
        assert_eq!((who, rest), (Who::default(), "12: RuntimeError"));
        assert!(Prefixes::are_labels(["0: a", "1: b", "srun: error: x", ""].into_iter()));
        assert!(!Prefixes::are_labels(["a", "b", "1: c"].into_iter()));
        assert!(!Prefixes::are_labels(std::iter::empty()));
    }

    #[test]
    fn exception_classes_are_no_hosts() {
        let prefixes = Prefixes { labelled: false, hosts: vec!["gpu-21".to_owned()] };
        assert_eq!(prefixes.split("RuntimeError: x").1, "RuntimeError: x");
    }

    #[test]
    fn file_names_tell_the_rank() {
        let of = |path: &str, all: &[&str]| {
            let all: Vec<String> = all.iter().map(|path| (*path).to_owned()).collect();
            from_path(path, &all, &["gpu-2".to_owned(), "gpu-21".to_owned()])
        };
        assert_eq!(of("/l/rank_3.log", &[]).rank, Some(3));
        assert_eq!(of("/l/train.rank12.err", &[]).rank, Some(12));
        assert_eq!(of("/l/task-4.out", &[]).task, Some(4));
        assert_eq!(of("/l/none_ab/attempt_0/3/stderr.log", &[]).local_rank, Some(3));
        assert_eq!(of("/l/slurm-12_3.out", &["/l/slurm-12_3.out"]).task, None);
        assert_eq!(of("/l/slurm-12_3.out", &["/l/slurm-12_3.out", "/l/slurm-12_4.out"]).task, Some(3));
        assert_eq!(of("/l/slurm-12.out", &["/l/slurm-13.out"]), Who::default());
        assert_eq!(of("/l/12-3.out", &["/l/12-3.out", "/l/12-0.out"]).task, Some(3));
        assert_eq!(of("/l/2026-11-24.log", &["/l/2026-11-24.log", "/l/2026-11-23.log"]).task, None);
        assert_eq!(of("/l/rank_3/stderr.log", &[]).rank, Some(3));
        assert_eq!(of("/l/out.gpu-21.txt", &[]).host.as_deref(), Some("gpu-21"));
        assert_eq!(of("/l/frank9.log", &[]).rank, None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(line in ".{0,200}") {
            let prefixes = Prefixes { labelled: true, hosts: vec!["a".to_owned()] };
            let (_, rest) = prefixes.split(&line);
            proptest::prop_assert!(line.ends_with(rest));
            let _ = from_path(&line, std::slice::from_ref(&line), &["a".to_owned()]);
        }
    }
}
