//! The budget of a state directory: `budget/<day>.jsonl` has a line per change that was counted, under one lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Budget, BudgetError, Limits, Spending, weigh};
use crate::files::Sharing;

/// How long the lock is waited for. It is held for a moment; whoever was paused with it must not hold everybody up for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// The budget of a state directory.
#[derive(Debug, Clone)]
pub struct DirBudget {
    root: PathBuf,
    limits: Limits,
    /// How long the lock is waited for.
    patience: Duration,
}

impl DirBudget {
    /// The budget of this state directory.
    pub fn new(root: impl Into<PathBuf>, limits: Limits) -> Self {
        Self { root: root.into(), limits, patience: PATIENCE }
    }

    fn place(&self) -> PathBuf {
        self.root.join("budget")
    }

    /// What was spent and may still count.
    fn spent(&self, now: Timestamp) -> Result<Vec<Spending>, BudgetError> {
        let longest = self.limits.values().map(|limit| limit.per).max().unwrap_or_default();
        // A day more, because the clocks of hosts differ.
        let back = SignedDuration::try_from(longest).unwrap_or(SignedDuration::MAX);
        let back = back.saturating_add(SignedDuration::from_hours(24));
        let first = day(now.checked_sub(back).unwrap_or(Timestamp::MIN));
        let place = self.place();
        let mut days: Vec<Date> = fs::read_dir(&place)
            .map_err(broken(&place))?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".jsonl")?.parse().ok())
            .filter(|day| *day >= first)
            .collect();
        days.sort_unstable();
        let mut spent = Vec::new();
        for day in days {
            let path = place.join(format!("{day}.jsonl"));
            let text = fs::read_to_string(&path).map_err(broken(&path))?;
            for (at, line) in text.split_inclusive('\n').enumerate() {
                // A last line that a crash cut off was never counted.
                let Some(line) = line.strip_suffix('\n') else { continue };
                let read = serde_json::from_str(line);
                spent.push(read.map_err(|error| {
                    BudgetError::Broken(format!("{}, line {}: {error}", path.display(), at + 1))
                })?);
            }
        }
        Ok(spent)
    }

    fn write(&self, sharing: Sharing, spending: &Spending) -> io::Result<()> {
        let place = self.place();
        let path = place.join(format!("{}.jsonl", day(spending.at)));
        let new = !path.exists();
        let mut file = sharing.open(OpenOptions::new().read(true).append(true).create(true), &path)?;
        let whole = whole(&mut file)?;
        file.set_len(whole)?;
        let mut line = serde_json::to_vec(spending)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()?;
        if new { File::open(place)?.sync_all() } else { Ok(()) }
    }
}

impl Budget for DirBudget {
    fn spend(&self, spending: &Spending) -> Result<(), BudgetError> {
        let limited = |measure| self.limits.contains_key(measure);
        if !spending.amounts.keys().any(limited) {
            return Ok(());
        }
        let place = self.place();
        let sharing = Sharing::of(&self.root);
        sharing.dirs(&place).map_err(broken(&place))?;
        let path = place.join("lock");
        let options = &mut OpenOptions::new();
        let lock = sharing
            .open(options.read(true).write(true).create(true).truncate(false), &path)
            .map_err(broken(&path))?;
        let begin = Instant::now();
        while let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error != Errno::WOULDBLOCK {
                return Err(broken(&path)(error.into()));
            }
            if begin.elapsed() > self.patience {
                let waited = format!("another process has had it for {:?}", self.patience);
                return Err(broken(&path)(io::Error::new(ErrorKind::TimedOut, waited)));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        weigh(&self.limits, &self.spent(spending.at)?, spending)?;
        self.write(sharing, spending).map_err(broken(&place))
    }
}

fn day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

fn broken(path: &Path) -> impl Fn(io::Error) -> BudgetError {
    let path = path.display().to_string();
    move |error| BudgetError::Broken(format!("{path}: {error}"))
}

/// The length of the whole lines.
fn whole(file: &mut File) -> io::Result<u64> {
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(end as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::budget::{Limit, Measure};
    use crate::run::RunId;

    fn budget(root: &Path, most: f64) -> DirBudget {
        let limit = Limit { most, per: Duration::from_secs(3600) };
        DirBudget::new(root, [(Measure::JobsStopped, limit)].into())
    }

    fn stop(run: &str, at: &str) -> Spending {
        Spending {
            run: RunId::parse(run).unwrap(),
            visit: 1,
            item: None,
            account: "ada".to_owned(),
            at: at.parse().unwrap(),
            amounts: [(Measure::JobsStopped, Some(1.0))].into(),
        }
    }

    const NOW: &str = "2026-11-24T00:10:00Z";

    #[test]
    fn of_many_at_once_only_as_many_get_through_as_there_is_room_for() {
        let root = tempfile::tempdir().unwrap();
        let through = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for number in 0..40 {
                let (root, through) = (root.path(), &through);
                scope.spawn(move || {
                    let spending = stop(&format!("r{number}"), NOW);
                    match budget(root, 5.0).spend(&spending) {
                        Ok(()) => drop(through.fetch_add(1, Ordering::Relaxed)),
                        Err(BudgetError::Exceeded { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                });
            }
        });
        assert_eq!(through.into_inner(), 5);
    }

    #[test]
    fn what_was_spent_the_day_before_counts_and_a_change_that_is_tried_again_counts_once() {
        let root = tempfile::tempdir().unwrap();
        let budget = budget(root.path(), 2.0);
        budget.spend(&stop("a", "2026-11-23T23:50:00Z")).unwrap();
        budget.spend(&stop("b", NOW)).unwrap();
        budget.spend(&stop("a", NOW)).unwrap();
        assert!(matches!(budget.spend(&stop("c", NOW)), Err(BudgetError::Exceeded { .. })));
        budget.spend(&stop("c", "2026-11-24T01:10:00Z")).unwrap();
        let nothing = Spending { amounts: [(Measure::NodesDrained, None)].into(), ..stop("d", NOW) };
        budget.spend(&nothing).unwrap();
    }

    #[test]
    fn a_torn_last_line_was_not_counted_and_any_other_damage_closes_the_budget() {
        let root = tempfile::tempdir().unwrap();
        let budget = budget(root.path(), 2.0);
        budget.spend(&stop("a", NOW)).unwrap();
        let path = root.path().join("budget/2026-11-24.jsonl");
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{}", &whole[..20])).unwrap();
        budget.spend(&stop("b", NOW)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        fs::write(&path, format!("{}\n{whole}", &whole[..20])).unwrap();
        let error = budget.spend(&stop("c", NOW)).unwrap_err();
        assert!(error.to_string().contains("2026-11-24.jsonl, line 1: "), "{error}");
    }

    #[test]
    fn a_lock_that_is_not_let_go_of_is_not_waited_for_for_ever() {
        let root = tempfile::tempdir().unwrap();
        let budget = budget(root.path(), 2.0);
        budget.spend(&stop("a", NOW)).unwrap();
        let lock = File::open(root.path().join("budget/lock")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let hasty = DirBudget { patience: Duration::from_millis(50), ..budget };
        let error = hasty.spend(&stop("b", NOW)).unwrap_err();
        assert!(error.to_string().contains("another process has had it for 50ms"), "{error}");
    }
}
