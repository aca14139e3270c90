//! What launchers say about how processes ended: which rank ran on which host.

use super::logtime::{Clock, LogTime};
use crate::text::{Pattern, pattern};

/// One failed worker in torchrun's summary (torch/distributed/elastic/multiprocessing/errors/__init__.py, 1.12–2.15).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorkerEnd {
    pub(crate) time: Option<LogTime>,
    pub(crate) host: Option<String>,
    pub(crate) rank: Option<u32>,
    pub(crate) local_rank: Option<u32>,
    pub(crate) exit: Option<i32>,
    pub(crate) pid: Option<u32>,
    /// It stands under "Root Cause": the first failure that this node's agent saw, not the job's.
    pub(crate) root: bool,
}

/// A line of srun about tasks that ended badly (src/srun/launch.c).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskEnd {
    pub(crate) host: String,
    pub(crate) tasks: Vec<u32>,
    pub(crate) exit: Option<i32>,
}

/// Everything launchers said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launchers {
    pub(crate) workers: Vec<WorkerEnd>,
    pub(crate) tasks: Vec<TaskEnd>,
}

impl Launchers {
    /// Adds what the launchers said in another file.
    pub(crate) fn merge(&mut self, other: &Self) {
        for worker in &other.workers {
            add(&mut self.workers, worker.clone());
        }
        for task in &other.tasks {
            add(&mut self.tasks, task.clone());
        }
    }
}

fn add<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if all.len() < MOST && !all.contains(&one) {
        all.push(one);
    }
}

/// More are not needed to place a failure.
const MOST: usize = 4096;

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: Pattern = Pattern::new(|| pattern($text));
    };
}

pattern!(
    SRUN,
    r"srun: error: ([A-Za-z0-9_.-]{1,253}): tasks? ([0-9,\[\] -]{1,200}): (?:Exited with exit code (\d{1,3}))?"
);
pattern!(FIELD, r"^\s*(time|host|rank|exitcode|error_file|traceback)\s*: (.*)$");
pattern!(RANK, r"^(\d{1,6}) \(local_rank: (\d{1,6})\)");
pattern!(EXIT, r"^(-?\d{1,4}) \(pid: (\d{1,10})\)");

/// Reads torchrun's summary line by line.
#[derive(Debug, Default)]
pub(crate) struct SummaryReader {
    root: bool,
    current: Option<WorkerEnd>,
}

impl SummaryReader {
    /// Takes the next line; gives the worker whose entry it belongs to.
    pub(crate) fn line(&mut self, line: &str, into: &mut Launchers) -> Option<&WorkerEnd> {
        if line.contains("Root Cause (first") {
            self.close(into);
            self.root = true;
        } else if line.trim_start().starts_with("=====") {
            self.close(into);
            self.root = false;
        } else if line.trim_start().starts_with("[") && line.trim_end().ends_with("]:")
            || line.contains("-----")
        {
            self.close(into);
        } else if let Some(found) = FIELD.captures(line) {
            let value = found[2].trim();
            let current = self.current.get_or_insert_default();
            current.root = self.root;
            match &found[1] {
                "time" => current.time = LogTime::find(value, Clock::default()),
                "host" => current.host = Some(crate::text::cut(value, 253).to_owned()),
                "rank" => {
                    if let Some(rank) = RANK.captures(value) {
                        (current.rank, current.local_rank) = (rank[1].parse().ok(), rank[2].parse().ok());
                    }
                }
                "exitcode" => {
                    if let Some(exit) = EXIT.captures(value) {
                        (current.exit, current.pid) = (exit[1].parse().ok(), exit[2].parse().ok());
                    }
                }
                _ => {}
            }
        }
        self.current.as_ref().filter(|current| current.rank.is_some())
    }

    /// Ends the entry that is being read.
    pub(crate) fn close(&mut self, into: &mut Launchers) {
        if let Some(worker) = self.current.take().filter(|worker| worker.rank.is_some()) {
            add(&mut into.workers, worker);
        }
    }
}

/// Reads a line of srun.
pub(crate) fn srun(line: &str, into: &mut Launchers) {
    let Some(found) = SRUN.captures(line) else { return };
    let end = TaskEnd {
        host: found[1].to_owned(),
        tasks: ranges(&found[2]),
        exit: found.get(3).and_then(|code| code.as_str().parse().ok()),
    };
    add(&mut into.tasks, end);
}

/// `0,2-3` → 0, 2, 3; at most 4096 numbers.
fn ranges(text: &str) -> Vec<u32> {
    let mut all = Vec::new();
    for part in text.trim_matches(['[', ']', ' ']).split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            all.extend((first..=last).take(MOST - all.len().min(MOST)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read() {
        let text = "\
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2026-11-23_07:59:56
  host      : gpu-21.cluster
  rank      : 0 (local_rank: 0)
  exitcode  : -6 (pid: 4708)  (SIGABRT)
  error_file: <N/A>
  traceback : Signal 6 (SIGABRT) received by PID 4708
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-23_07:49:56
  host      : gpu-21.cluster
  rank      : 3 (local_rank: 3)
  exitcode  : 1 (pid: 4711)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
============================================================";
        let (mut reader, mut found) = (SummaryReader::default(), Launchers::default());
        for line in text.lines() {
            reader.line(line, &mut found);
        }
        let short: Vec<_> =
            found.workers.iter().map(|w| (w.rank, w.local_rank, w.exit, w.pid, w.root)).collect();
        assert_eq!(
            short,
            [(Some(0), Some(0), Some(-6), Some(4708), false), (Some(3), Some(3), Some(1), Some(4711), true)]
        );
        assert_eq!(found.workers[1].host.as_deref(), Some("gpu-21.cluster"));
    }

    #[test]
    fn srun_lines_are_read() {
        let mut found = Launchers::default();
        srun("srun: error: gpu-21: task 3: Exited with exit code 1", &mut found);
        srun("srun: error: gpu-20: tasks 0,2-3: Killed", &mut found);
        srun("srun: error: gpu-20: tasks 0-4294967295: Killed", &mut found);
        assert_eq!(found.tasks[0], TaskEnd { host: "gpu-21".to_owned(), tasks: vec![3], exit: Some(1) });
        assert_eq!(found.tasks[1].tasks, [0, 2, 3]);
        assert_eq!(found.tasks[2].tasks.len(), MOST);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(line in ".{0,200}") {
            let mut found = Launchers::default();
            srun(&line, &mut found);
            SummaryReader::default().line(&line, &mut found);
        }
    }
}
