//! Progress bars: the only place where transformers' Trainer, and what is built on it, tells its step.
//!
//! The shape is tqdm's default, ` 12%|█▏        | 500/4000 [10:00<1:10:00,  1.2s/it]`. A bar with a title (`Map:`, `Loading
//! checkpoint shards:`, `Epoch 0:`) counts something else; evaluation's bar has no title either, but fewer steps, so the bar
//! with the highest total is that of the training.

use crate::text::{Pattern, cut, pattern};

/// What a bar shows: how many of how many. `None` for a line that is no bar, or one with a title.
pub(crate) fn of_line(line: &str) -> Option<(u64, u64)> {
    static BAR: Pattern = Pattern::new(|| {
        // Before it at most a task's number, as `srun -l` puts it.
        pattern(r"^(?:\s*\d{1,6}:)?\s*\d{1,3}%\|[^|]{0,200}\|\s*(\d{1,12})/(\d{1,12})\s+\[")
    });
    let found = BAR.captures(cut(line, 2000))?;
    let (done, all) = (found[1].parse().ok()?, found[2].parse().ok()?);
    (done <= all).then_some((done, all))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bars_without_a_title() {
        assert_eq!(of_line(" 12%|█▏        | 500/4000 [10:00<1:10:00,  1.2s/it]"), Some((500, 4000)));
        assert_eq!(of_line("0:   1%|          | 41/5000 [01:10<28:00,  1.5s/it]"), Some((41, 5000)));
        for line in [
            "Map: 100%|██████████| 1000/1000 [00:01<00:00]",
            "Epoch 0:  12%|█▏        | 120/1000 [00:10<01:10, v_num=0]",
            "Loading checkpoint shards:  50%|█████     | 2/4 [00:01<00:01]",
            "it is 12% | done 5/7 [x]",
            "  5%|▌  | 9/8 [00:01<00:01]",
            "",
        ] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = of_line(&text);
            let _ = of_line(&format!("1%|{text}| 1/2 [{text}"));
        }
    }
}
