//! When a job died, where its log gives the time without an offset.

use std::time::Duration;

use engine::site::{Command, SiteErrorKind};
use engine::step::{StepCx, StepError};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::text::clean_to;

/// When a job died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Died {
    pub(super) at: Timestamp,
    /// The offset that was assumed, because the time names none.
    pub(super) assumed: Option<Offset>,
}

/// What no two clocks that are set right differ by.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// A host that is gone is not waited for: it is only about an estimate.
const PATIENCE: Duration = Duration::from_secs(10);

impl Died {
    /// Reads a time of RFC 3339. One without an offset is read as the clock of `host` (of this machine, if that is not known)
    /// would have shown it, if that puts it between the job's start and now; else there is none, and why.
    ///
    /// # Errors
    /// A recording without this exchange.
    pub(super) async fn read(
        cx: &StepCx,
        text: &str,
        host: Option<&str>,
        started: Option<Timestamp>,
    ) -> Result<Result<Self, String>, StepError> {
        if let Ok(at) = text.parse() {
            return Ok(Ok(Self { at, assumed: None }));
        }
        let shown = clean_to(text, 40);
        let Ok(civil) = text.parse::<DateTime>() else {
            return Ok(Err(format!("`failed_at` is no time: {shown}")));
        };
        let whose = host.map_or("this machine".to_owned(), |host| clean_to(host, 64));
        let untold = format!("when it died is not known: {shown} names no offset, and");
        let command = Command::argv(["date", "-d", &civil.to_string(), "+%s"]).timeout(PATIENCE);
        let answer = match cx.site.run(&host.map_or(command.clone(), |host| command.on(host))).await {
            Ok(output) if output.success() => output.text().trim().parse::<i64>().ok(),
            Ok(_) => None,
            Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
            Err(_) => None,
        };
        let Some(at) = answer.and_then(|seconds| Timestamp::from_second(seconds).ok()) else {
            return Ok(Err(format!("{untold} the clock of {whose} could not be asked")));
        };
        let early = started.is_some_and(|started| at.duration_since(started) < -SKEW);
        if early || at.duration_since(cx.site.now()) > SKEW {
            return Ok(Err(format!("{untold} by the clock of {whose} it would lie outside the job's life")));
        }
        let offset = Offset::UTC.to_timestamp(civil).ok().map(|utc| utc.duration_since(at).as_secs());
        let offset = offset.and_then(|seconds| Offset::from_seconds(i32::try_from(seconds).ok()?).ok());
        Ok(match offset {
            Some(offset) => Ok(Self { at, assumed: Some(offset) }),
            None => Err(format!("{untold} the clock of {whose} answers nonsense")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::told::{Told, told};

    async fn read(text: &str, answer: &str, started: Option<&str>) -> Result<Died, String> {
        let site = told().ran("ssh gpu-21 date -d 2026-03-05T11:30:00 +%s", 0, answer, "");
        let started = started.map(|time| time.parse().unwrap());
        Died::read(&site.cx(), text, Some("gpu-21"), started).await.unwrap()
    }

    #[tokio::test]
    async fn a_time_without_an_offset_is_the_hosts() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let died = read("2026-03-05T11:30:00+02:00", "", None).await.unwrap();
        assert_eq!((died.at, died.assumed), (at("2026-03-05T09:30:00Z"), None));
        let died = read("2026-03-05T11:30:00", "1772706600\n", Some("2026-03-05T10:00:00Z")).await.unwrap();
        assert_eq!((died.at, died.assumed), (at("2026-03-05T10:30:00Z"), Some(Offset::constant(1))));
    }

    #[tokio::test]
    async fn what_cannot_be_is_not_assumed() {
        let outside = Err("when it died is not known: 2026-03-05T11:30:00 names no offset, and by the clock of gpu-21 it would lie \
                           outside the job's life"
            .to_owned());
        // Before it started; and an hour from now.
        assert_eq!(read("2026-03-05T11:30:00", "1772706600", Some("2026-03-05T11:00:00Z")).await, outside);
        assert_eq!(read("2026-03-05T11:30:00", "1772715600", None).await, outside);
        for answer in ["", "soon", "9999999999999999999"] {
            assert!(
                read("2026-03-05T11:30:00", answer, None).await.unwrap_err().contains("could not be asked"),
                "{answer}"
            );
        }
        assert!(read("$(reboot)", "", None).await.unwrap_err().contains("is no time"));
    }
}
