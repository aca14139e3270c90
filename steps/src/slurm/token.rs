//! The mark by which a change finds its own effect again: `runbook:<token>` in a comment or a reason.

/// The mark of a token.
pub(crate) fn mark(token: &str) -> String {
    format!("{START}{token}")
}

const START: &str = "runbook:";

/// Whether a text carries the mark of this token.
pub(crate) fn carries(text: &str, token: &str) -> bool {
    !token.is_empty() && text.split_whitespace().any(|word| word.strip_prefix(START) == Some(token))
}

/// Whether a text carries any mark.
pub(crate) fn carries_any(text: &str) -> bool {
    text.split_whitespace().any(|word| word.starts_with(START))
}

/// A text with this token's mark in the place of older ones.
pub(crate) fn marked(text: &str, token: &str) -> String {
    let words = text.split(' ').filter(|word| !word.starts_with(START));
    let kept: Vec<&str> = words.collect();
    format!("{} {}", kept.join(" ").trim(), mark(token)).trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_whole_words() {
        assert_eq!(marked("nightly run", "r/12"), "nightly run runbook:r/12");
        assert_eq!(marked("nightly runbook:r/1", "r/12"), "nightly runbook:r/12");
        assert_eq!(marked("", "r/12"), "runbook:r/12");
        assert!(carries("a runbook:r/12 b", "r/12"));
        assert!(!carries("runbook:r/12", "r/1") && !carries("runbook:", ""));
        assert!(carries_any("x runbook:r/1") && !carries_any("runbooks"));
    }
}
