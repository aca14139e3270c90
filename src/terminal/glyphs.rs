//! The few signs beside words, and their stand-ins where the locale is not UTF-8.

/// Signs.
#[derive(Debug)]
pub(crate) struct Glyphs {
    pub(crate) done: &'static str,
    pub(crate) changed: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) waiting: &'static str,
    pub(crate) escalated: &'static str,
    pub(crate) again: &'static str,
    pub(crate) into: &'static str,
    pub(crate) arrow: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) tee: &'static str,
    pub(crate) corner: &'static str,
    pub(crate) bar: &'static str,
    pub(crate) dot: &'static str,
    pub(crate) more: &'static str,
    pub(crate) spinner: &'static [&'static str],
}

impl Glyphs {
    pub(crate) const UNICODE: Self = Self {
        done: "✓",
        changed: "●",
        failed: "✗",
        waiting: "‖",
        escalated: "▲",
        again: "↻",
        into: "▸",
        arrow: "→",
        rule: "━",
        tee: "├─",
        corner: "└─",
        bar: "│",
        dot: "·",
        more: "…",
        spinner: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "],
    };

    const ASCII: Self = Self {
        done: "+",
        changed: "*",
        failed: "x",
        waiting: "=",
        escalated: "!",
        again: "~",
        into: ">",
        arrow: "->",
        rule: "=",
        tee: "|-",
        corner: "`-",
        bar: "|",
        dot: "-",
        more: "...",
        spinner: &["|", "/", "-", "\\", " "],
    };

    /// Whether they are more than ASCII.
    pub(crate) fn unicode(&self) -> bool {
        !self.rule.is_ascii()
    }

    /// The signs that the locale of this process can show.
    pub(crate) fn of_locale() -> &'static Self {
        // The first that is set decides (POSIX, 8.2 Internationalization Variables).
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if utf8 { &Self::UNICODE } else { &Self::ASCII }
    }
}
