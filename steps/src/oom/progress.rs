//! The training step that a line reports.

use crate::text::{Pattern, pattern};

/// The step number in a line, if it reports one: `step 41/200`, `iteration 120/ 5000`, `'step': 41`, `global_step=41`.
///
/// Settings (`save_steps: 500`, `max_step=9`) and durations (`step time: 1.2`) are none. Progress bars are not read:
/// a bar does not say whether it counts training steps, evaluation batches or files.
pub(crate) fn step_of(line: &str) -> Option<u64> {
    static SHAPE: Pattern = Pattern::new(|| {
        pattern(
            r#"(?i)(?:^|[^\w.-])(?:global[_ ]?step|train(?:ing)?[_ ](?:step|iter(?:ation)?)|step|iteration|iter)['"]?\s*[:=#\[|]?\s*(\d{1,12})(\.?\w?)"#,
        )
    });
    // Beside a count within the epoch (`iteration 5/99`, `Epoch 0: 12%`) the global one is meant; Lightning prints `120.0`.
    static GLOBAL: Pattern = Pattern::new(|| {
        pattern(
            r#"(?i)(?:^|[^\w.-])(?:global[_ ]?step|current_steps)['"]?\s*[:=|]\s*(\d{1,12})(?:\.0{1,6})?(\.?\w?)"#,
        )
    });
    let line = crate::text::cut(line, 2000);
    if let Some(found) = GLOBAL.captures(line)
        && matches!(found.get(2).map_or("", |m| m.as_str()), "" | ".")
    {
        return found[1].parse().ok();
    }
    let found = SHAPE.captures(line)?;
    // `step: 0.5` is no step number, `step 41.` at the end of a sentence is one, `step 10k` is none.
    let plain = matches!(found.get(2).map_or("", |m| m.as_str()), "" | ".");
    if plain { found[1].parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_trainers() {
        for (line, step) in [
            ("step 41/200 loss 2.31", 41),
            (" iteration      120/    5000 | consumed samples:        30720 |", 120),
            ("{'loss': 2.3, 'learning_rate': 1e-4, 'step': 12}", 12),
            ("global_step=7 loss=1", 7),
            ("2026-11-23 07:49:56 - Step: 12, loss: 3", 12),
            ("[2026-11-23 07:49:56] [INFO] step=20, skipped=0, lr=[0.1]", 20),
            ("Epoch 3 step 99.", 99),
            ("epoch 1 | iter 5 | loss 1", 5),
            // torchtitan, NeMo 2, Lightning, LLaMA-Factory's trainer_log.jsonl.
            (
                "[titan] 2026-01-01 10:00:00,000 - root - INFO - step:  1  loss: 12.2  memory: 21.01GiB(26.53%)",
                1,
            ),
            (
                "Training epoch 2, iteration 5/99 | lr: 1e-4 | global_batch_size: 8 | global_step: 205 | loss: 3",
                205,
            ),
            (
                "Epoch 0:  12%|█▏ | 120/1000 [00:10<01:10, v_num=0, train_loss_step=2.10, global_step=120.0]",
                120,
            ),
            ("{\"current_steps\": 10, \"total_steps\": 300, \"loss\": 2.1}", 10),
        ] {
            assert_eq!(step_of(line), Some(step), "{line}");
        }
    }

    #[test]
    fn settings_and_durations_are_no_steps() {
        for line in [
            "save_steps: 500",
            "max_step=1000",
            "warmup_steps 5",
            "step time: 12",
            "lr step: 0.001",
            "every step 10k",
            "--step 10k",
            "steps 100",
            "global_step=0.5",
            "",
        ] {
            assert_eq!(step_of(line), None, "{line}");
        }
    }
}
