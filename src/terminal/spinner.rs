//! The one line that is redrawn while something takes time.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::screen::Screen;

/// The one line that is redrawn. Dropping it clears it.
pub(crate) struct Spinner {
    bar: ProgressBar,
    width: usize,
}

impl Spinner {
    /// Starts one, where there is a terminal to draw on.
    pub(crate) fn start(screen: &Screen, text: &str) -> Option<Self> {
        let term = screen.terminal()?.clone();
        let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}").ok()?;
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term(term, 10));
        bar.set_style(style.tick_strings(screen.glyphs.spinner));
        bar.enable_steady_tick(Duration::from_millis(120));
        let spinner = Self { bar, width: screen.width().saturating_sub(14) };
        spinner.say(text);
        Some(spinner)
    }

    /// Changes its text.
    pub(crate) fn say(&self, text: &str) {
        self.bar.set_message(console::truncate_str(text, self.width, "…").into_owned());
    }

    /// Does something with the line out of the way.
    pub(crate) fn aside(&self, act: impl FnOnce()) {
        self.bar.suspend(act);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
