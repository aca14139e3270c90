//! Whether the lines around a message are those of a page for people: a README, a tutorial, a saved answer.
//!
//! Only where nothing else tells: a message there stands alone in its line, as in a log.

use crate::text::{Pattern, pattern};

/// Lines on either side that are looked at.
pub(super) const AROUND: usize = 12;
/// Lines with words on either side in which sentences count, and the words that they need together.
const CLOSE: usize = 4;
const WORDS: usize = 30;

static MARKUP: Pattern = Pattern::new(|| pattern(r"^(?:#{1,6} \S|\*\*\S)"));
static TRACE: Pattern = Pattern::new(|| pattern(r#"^\s*File "|Traceback \(most recent|^\s*\^+\s*$"#));

/// `before` ends right above the message, `after` begins right below its first line.
pub(super) fn is_document(before: &[&str], after: &[&str]) -> bool {
    is_fenced(before, after) || is_among_sentences(before, after)
}

/// In a code block of a Markdown page. A block alone proves nothing: people keep logs like that.
fn is_fenced(before: &[&str], after: &[&str]) -> bool {
    let is_fence = |line: &&str| line.trim_start().starts_with("```");
    let Some(open) = before.iter().rposition(is_fence) else { return false };
    let Some(close) = after.iter().position(is_fence) else { return false };
    before[..open].iter().chain(&after[close..]).any(|line| MARKUP.is_match(line))
}

/// Between sentences, without a traceback that leads to it.
fn is_among_sentences(before: &[&str], after: &[&str]) -> bool {
    let close = |lines: &mut dyn Iterator<Item = &&str>| -> Option<usize> {
        let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).take(CLOSE).copied().collect();
        let counted = lines.iter().map(|line| words_of_a_sentence(line)).sum();
        (counted > 0 && !lines.iter().any(|line| TRACE.is_match(line))).then_some(counted)
    };
    let (above, below) = (close(&mut before.iter().rev()), close(&mut after.iter()));
    above.zip(below).is_some_and(|(above, below)| above + below >= WORDS)
}

/// How many words a line has if it is a sentence: nearly all of them plain, a capital first, a stop at the end.
fn words_of_a_sentence(line: &str) -> usize {
    const LEAST: usize = 6;
    let line = line.trim();
    if !line.starts_with(|c: char| c.is_ascii_uppercase()) || !line.ends_with(['.', ':', '!', '?']) {
        return 0;
    }
    let is_plain = |word: &str| {
        word.trim_matches(|c: char| c.is_ascii_punctuation())
            .chars()
            .all(|c| c.is_alphabetic() || matches!(c, '\'' | '’' | '-'))
    };
    let words = line.split_whitespace().count();
    let plain = line.split_whitespace().filter(|word| is_plain(word)).count();
    if words >= LEAST && plain * 10 >= words * 9 { words } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(before: &str, after: &str) -> bool {
        is_document(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>())
    }

    const HINT: &str = "This error means you ran out of memory on your GPU.\n\nTIPS: If it worked before you might have set the \
                        batch size to a large number.";

    #[test]
    fn pages_are_known_by_their_markup_or_their_sentences() {
        assert!(document("# FAQ\n\n## CUDA out of memory\n\nIf you see this\n```", "```\n\nTo prevent it"));
        assert!(document("**错误信息**：\n```", "```\n\n**解决方案**："));
        assert!(document(
            "You queue an image generation on your GPU server and it dies with a wall of red text:\n",
            "\nThis happens most often when generating at high resolutions, or with batch sizes greater than one. The model, the \
             decoder and the tensors compete for the same pool."
        ));
        assert!(document(
            "The standard message looks like this:",
            "512.00 MiB free; 22.10 GiB reserved in total by PyTorch)\nTwo numbers matter. The first is memory held by live \
             tensors. The other is what PyTorch took from the driver and now keeps for reuse."
        ));
    }

    #[test]
    fn logs_are_none() {
        assert!(!document("Error:\n```", "```\n"));
        assert!(!document("", HINT));
        assert!(!document("Traceback (most recent call last):\n  File \"a.py\", line 1", HINT));
        assert!(!document(
            "You are using a model of type llava to instantiate a model of another type. This is not supported for all \
             configurations.\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>",
            HINT
        ));
        assert!(!document("Training failed with the following error:", "Please check the configuration."));
        assert!(!document(
            "step 41/200 loss 2.31",
            "slurmstepd: error: *** STEP 123.0 ON gpu-20 CANCELLED ***"
        ));
    }
}
