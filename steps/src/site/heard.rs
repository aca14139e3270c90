//! What came back from a host, and what it means.

use std::time::Duration;

use engine::site::{Command, Exit, Output, SiteError, SiteErrorKind};

use super::drain::{Bounded, Listener, Stream};
use super::marks::{Mark, Piece, Splitter};

/// What is kept of a login shell's chatter, for error messages.
const CHATTER_LIMIT: usize = 2 << 10;

/// What came back of a command, marks apart from output.
pub(super) struct Heard {
    splitters: [Splitter; 2],
    limit: usize,
    out: Bounded,
    err: Bounded,
    chatter: Bounded,
    started: [bool; 2],
    ended: [bool; 2],
    pub(super) status: Option<i32>,
    out_of_time: bool,
    cannot: Option<Mark>,
}

impl Listener for Heard {
    fn hear(&mut self, stream: Stream, chunk: &[u8]) {
        self.split(stream, |splitter, give| splitter.push(chunk, give));
    }

    /// In each stream the supervisor's last word comes after all that the command itself wrote.
    fn ended(&self) -> bool {
        self.ended == [true, true]
    }
}

impl Heard {
    pub(super) fn new(nonce: &str, limit: usize) -> Self {
        Self {
            splitters: [Splitter::new(nonce), Splitter::new(nonce)],
            limit,
            out: Bounded::default(),
            err: Bounded::default(),
            chatter: Bounded::default(),
            started: [false; 2],
            ended: [false; 2],
            status: None,
            out_of_time: false,
            cannot: None,
        }
    }

    pub(super) fn finish(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            self.split(stream, |splitter, give| splitter.finish(give));
        }
    }

    fn split(&mut self, stream: Stream, split: impl FnOnce(&mut Splitter, &mut dyn FnMut(Piece<'_>))) {
        let Self { splitters, limit, out, err, chatter, started, ended, status, out_of_time, cannot } = self;
        let (index, kept) = match stream {
            Stream::Out => (0, out),
            Stream::Err => (1, err),
        };
        split(&mut splitters[index], &mut |piece| match piece {
            Piece::Data(data) if started[index] => kept.push(data, *limit),
            Piece::Data(data) => chatter.push(data, CHATTER_LIMIT),
            Piece::Mark(Mark::Started) => started[index] = true,
            Piece::Mark(Mark::Ended(code)) => {
                ended[index] = true;
                *status = Some(code);
            }
            Piece::Mark(Mark::OutOfTime) => *out_of_time = true,
            Piece::Mark(mark) => *cannot = Some(mark),
        });
    }

    /// What it means: an output, or how far the command got.
    pub(super) fn conclude(
        self,
        name: &str,
        command: &Command,
        took: Duration,
        ended: Option<&Result<std::process::ExitStatus, openssh::Error>>,
    ) -> Result<Output, SiteError> {
        let failed = |kind, why: String| Err(SiteError::new(kind, format!("{command}: {why}")));
        match self.cannot {
            Some(Mark::NoDirectory) => {
                let dir = command.cwd.as_deref().unwrap_or_default();
                return failed(SiteErrorKind::NotStarted, format!("{dir}: no such directory on {name}"));
            }
            Some(_) => return failed(SiteErrorKind::NotStarted, format!("no such program on {name}")),
            None => {}
        }
        if let Some(status) = self.status {
            return Ok(Output {
                exit: Exit::Code(status),
                stdout: self.out.bytes,
                stderr: self.err.bytes,
                truncated: self.out.truncated || self.err.truncated,
                took,
            });
        }
        if self.out_of_time || took >= command.timeout {
            let fate = match (self.out_of_time, ended) {
                (false, None) => format!("{name} no longer answers; its own timer ends the command there"),
                _ => "it was ended".to_owned(),
            };
            let why = format!("ran past its limit of {:?}; {fate}", command.timeout);
            return failed(SiteErrorKind::Timeout, why);
        }
        let shell_answered = match ended {
            Some(Ok(_)) => true,
            Some(Err(openssh::Error::Remote(_))) => true, // openssh's word for status 127
            _ => false,
        };
        if !self.started[1] && shell_answered {
            let said = printable(&String::from_utf8_lossy(&self.chatter.bytes));
            let why = if said.is_empty() { "it did not say why" } else { &said };
            return failed(
                SiteErrorKind::NotStarted,
                format!("the login shell of {name} did not run it: {why}"),
            );
        }
        failed(
            SiteErrorKind::Unknown,
            format!("the connection to {name} was lost; it may have had its effect"),
        )
    }
}

/// A text from a host as part of a message.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(shown).take(400).collect()
}
