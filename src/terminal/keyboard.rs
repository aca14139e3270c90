//! Lines that a person types, at the moment they are asked for.

use std::io::{BufRead, IsTerminal};

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::{Mutex, mpsc};

/// The keyboard of the terminal on standard input.
pub(crate) struct Keyboard {
    lines: Mutex<Option<mpsc::UnboundedReceiver<String>>>,
}

impl Keyboard {
    /// The keyboard, if there is one. There is only one: whoever reads takes lines from all others.
    pub(crate) fn of_terminal() -> Option<&'static Self> {
        static ONLY: Keyboard = Keyboard { lines: Mutex::const_new(None) };
        std::io::stdin().is_terminal().then_some(&ONLY)
    }

    /// Forgets what was typed before: an answer counts only after its question was shown.
    pub(crate) async fn forget(&self) {
        let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
        if let Some(lines) = self.lines.lock().await.as_mut() {
            while lines.try_recv().is_ok() {}
        }
    }

    /// The next line without its end; `None` at the end of input.
    pub(crate) async fn line(&self) -> Option<String> {
        let mut lines = self.lines.lock().await;
        lines.get_or_insert_with(listen).recv().await
    }
}

/// Reads on a thread of its own: a read from a terminal cannot be given up, and must not keep the program from ending.
fn listen() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
