//! Text laid out in columns.

use console::measure_text_width;

/// Breaks text at spaces so that no line is wider than `width`, each indented by `indent` spaces. A word that is too
/// wide stays whole: it may be a path or a command that somebody copies.
pub(crate) fn wrap(text: &str, indent: usize, width: usize) -> Vec<String> {
    let room = width.saturating_sub(indent).max(20);
    let pad = " ".repeat(indent);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let lead: String = paragraph.chars().take_while(|c| *c == ' ').collect();
        let mut line = lead.clone();
        for word in paragraph.split_whitespace() {
            let fresh = line.trim().is_empty();
            if !fresh && measure_text_width(&line) + 1 + measure_text_width(word) > room {
                lines.push(format!("{pad}{line}"));
                line = format!("{lead}{word}");
            } else {
                if !fresh {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        lines.push(format!("{pad}{line}").trim_end().to_owned());
    }
    lines
}

/// A label in its column and text beside it.
pub(crate) fn labelled(label: &str, text: &str, indent: usize, width: usize) -> Vec<String> {
    let column = indent + LABEL;
    let mut lines = wrap(text, column, width);
    if let Some(first) = lines.first_mut() {
        *first = format!("{}{label:<LABEL$}{}", " ".repeat(indent), first.trim_start());
    }
    lines
}

const LABEL: usize = 9;

/// The first `keep` lines and how many more there are.
pub(crate) fn cut(mut lines: Vec<String>, keep: usize, more: impl Fn(usize) -> String) -> Vec<String> {
    // A line that says that one is left out is no shorter than that one.
    if lines.len() > keep + 1 {
        let left = lines.len() - keep;
        lines.truncate(keep);
        lines.push(more(left));
    }
    lines
}

/// A time span as people say it.
pub(crate) fn span(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrap("one two three four five six", 2, 22), ["  one two three four", "  five six"]);
        let path = "/a/very/long/path/that/does/not/fit/anywhere";
        assert_eq!(wrap(&format!("see {path} now"), 0, 20), ["see", path, "now"]);
        assert_eq!(wrap("a\n\n  b", 1, 40), [" a", "", "   b"]);
    }

    #[test]
    fn labels_stand_in_a_column() {
        assert_eq!(labelled("target", "job 1", 3, 60), ["   target   job 1"]);
    }

    #[test]
    fn long_lists_are_cut() {
        let lines: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        assert_eq!(cut(lines.clone(), 2, |left| format!("… {left} more")), ["0", "1", "… 3 more"]);
        assert_eq!(cut(lines.clone(), 4, |left| format!("… {left} more")), lines);
    }

    #[test]
    fn spans_read_like_speech() {
        let said = |seconds| span(Duration::from_millis(seconds));
        assert_eq!(
            [said(1_240), said(42_000), said(130_000), said(7_400_000)],
            ["1.2 s", "42 s", "2 min 10 s", "2 h 03 min"]
        );
    }
}
