//! Feeds a running command and reads what it says, without ever holding more than was asked for.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

/// A command that has ended may leave children that hold its streams open: after its end, silence of twice this length
/// is taken for the end of the output.
const SETTLE: Duration = Duration::from_millis(125);

/// Which stream a chunk came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// Who listens to a running command.
pub(super) trait Listener {
    /// Takes the next chunk of a stream.
    fn hear(&mut self, stream: Stream, chunk: &[u8]);

    /// Whether the output itself has said that it is at its end.
    fn ended(&self) -> bool;
}

/// The first bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    pub(super) bytes: Vec<u8>,
    pub(super) truncated: bool,
}

impl Bounded {
    /// Keeps `chunk` as far as `limit` allows.
    pub(super) fn push(&mut self, chunk: &[u8], limit: usize) {
        let room = limit.saturating_sub(self.bytes.len()).min(chunk.len());
        self.bytes.extend_from_slice(&chunk[..room]);
        self.truncated |= room < chunk.len();
    }
}

/// The three streams of a running command.
pub(super) struct Pipes<I, O, E> {
    pub(super) stdin: Option<I>,
    pub(super) stdout: O,
    pub(super) stderr: E,
}

/// How listening to a command came to its end.
pub(super) enum Drained<X> {
    /// What `exit` gave; `None` if it was not waited for.
    Ended(Option<X>),
    /// The deadline came first.
    OutOfTime,
}

/// Feeds `input` and hands every chunk of output to `listener`, until the streams are at their end and `exit`, if there
/// is one, has answered; at most until `deadline`.
pub(super) async fn drain<I, O, E, X>(
    pipes: Pipes<I, O, E>,
    input: &[u8],
    exit: Option<impl Future<Output = X>>,
    deadline: Instant,
    listener: &mut impl Listener,
) -> Drained<X>
where
    I: AsyncWrite + Unpin,
    O: AsyncRead + Unpin,
    E: AsyncRead + Unpin,
{
    let Pipes { stdin, mut stdout, mut stderr } = pipes;
    // A command need not read its input: a closed pipe is no error of ours.
    let mut feed = pin!(async move {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(input).await;
            let _ = stdin.shutdown().await;
        }
    });
    let waited_for = exit.is_some();
    let mut exit = pin!(async move {
        match exit {
            Some(exit) => exit.await,
            None => std::future::pending().await,
        }
    });
    let (mut fed, mut out_open, mut err_open, mut ended, mut quiet) = (false, true, true, None, 0);
    let (mut out, mut err) = (vec![0; 32 << 10], vec![0; 8 << 10]);
    while out_open || err_open || (waited_for && ended.is_none()) {
        tokio::select! {
            read = stdout.read(&mut out), if out_open => match read {
                Ok(count @ 1..) => {
                    quiet = 0;
                    listener.hear(Stream::Out, &out[..count]);
                }
                _ => out_open = false,
            },
            read = stderr.read(&mut err), if err_open => match read {
                Ok(count @ 1..) => {
                    quiet = 0;
                    listener.hear(Stream::Err, &err[..count]);
                }
                _ => err_open = false,
            },
            () = &mut feed, if !fed => fed = true,
            answer = &mut exit, if ended.is_none() => ended = Some(answer),
            // Not at the first time: on a busy machine output may have become ready together with the timer.
            () = sleep(SETTLE), if ended.is_some() => quiet += 1,
            () = sleep_until(deadline) => return Drained::OutOfTime,
        }
        if listener.ended() || quiet == 2 {
            break;
        }
    }
    Drained::Ended(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_bytes_only() {
        let mut bounded = Bounded::default();
        bounded.push(b"abc", 4);
        assert!(!bounded.truncated);
        bounded.push(b"def", 4);
        assert_eq!((bounded.bytes.as_slice(), bounded.truncated), (&b"abcd"[..], true));
    }
}
