//! From which checkpoint a batch script tells its framework to go on: pure.
//!
//! Sources: transformers `TrainingArguments.resume_from_checkpoint`; Megatron-LM `--load` and `--ckpt-step`
//! (`training/arguments.py`); torchtitan `checkpoint.load_step` (`job_config.py`, -1 is the newest); Lightning's
//! `ckpt_path`.

use super::choose::{Candidate, Pick, Survey};
use super::hints::{absolute, words};
use super::layout::{Layout, named, root_of};
use crate::text::{Pattern, clean_to, pattern};

/// What a script says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// This path: a checkpoint, or a directory of them.
    Path(String, String),
    /// This step, by the flag that is named.
    Step(u64, String),
}

static FLAG: Pattern = Pattern::new(|| {
    pattern(
        r#"(?:^|\s)((?:--)?(?:resume[-_]from(?:[-_]checkpoint)?|ckpt[-_]path|load[-_](?:dir|checkpoint)|checkpoint\.load[-_]step|ckpt[-_]step|trainer\.resume_from_checkpoint)|--resume|--load)(?:=|\s+)("[^"]*"|'[^']*'|[^\s;"'|&]+)"#,
    )
});

/// The last word of a script on where to go on. `None`: nothing, or the newest.
pub(crate) fn told(script: &str) -> Option<Told> {
    let flags = words(script, &FLAG).flags;
    let step = |hint: &&super::hints::Hint| hint.by.ends_with("step");
    let number =
        flags.iter().rev().find(step).and_then(|hint| Some((hint.path.parse().ok()?, hint.by.clone())));
    if let Some((step, by)) = number {
        return Some(Told::Step(step, by));
    }
    // `True`, `auto`, `last` and the like mean the newest.
    let path = flags.iter().rev().find(|hint| !hint.by.ends_with("step") && hint.path.contains('/'))?;
    Some(Told::Path(path.path.clone(), path.by.clone()))
}

/// Sets what the framework would resume from to what the script tells it, where that is another.
pub(crate) fn apply(survey: &mut Survey, told: &Told, workdir: Option<&str>) {
    let pick = |c: &Candidate| Pick { path: Some(c.path.clone()), step: c.step, complete: c.complete };
    let (wanted, by) = match told {
        Told::Step(step, by) => {
            // Only these take a number on the command line.
            let name = match survey.layout {
                Some(Layout::Megatron) => format!("iter_{step:07}"),
                Some(Layout::Torchtitan) => format!("step-{step}"),
                _ => return,
            };
            (format!("{}/{name}", survey.dir), by)
        }
        // What other programs load by a flag of this name may be anything.
        Told::Path(_, by) if by == "--load" && survey.layout != Some(Layout::Megatron) => return,
        Told::Path(path, by) => {
            let Some(path) = absolute(path, workdir) else { return };
            (path.trim_end_matches('/').to_owned(), by)
        }
    };
    if wanted == survey.dir || survey.dir.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('/')) {
        return;
    }
    let shown = clean_to(&wanted, 160);
    survey.resume_pick = Some(match survey.at(&wanted) {
        Some(candidate) => pick(candidate),
        None => {
            let here = root_of(&wanted) == survey.dir;
            let name = wanted.rsplit('/').next().unwrap_or_default();
            let step = named(name, true).or_else(|| named(name, false)).and_then(|named| named.step);
            // What lies elsewhere was not looked into.
            Pick { path: Some(wanted), step, complete: if here { Some(false) } else { None } }
        }
    });
    survey.reasons.insert(0, format!("the script names what to resume from: {shown} ({by})"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_scripts_say() {
        let path = |path: &str, by: &str| Some(Told::Path(path.to_owned(), by.to_owned()));
        for (script, expected) in [
            ("python train.py --resume_from_checkpoint True", None),
            (
                "D=/out\npython train.py --resume_from_checkpoint=$D/checkpoint-200",
                path("/out/checkpoint-200", "--resume_from_checkpoint"),
            ),
            (
                "torchrun pretrain.py --save /out --load /out \\\n  --ckpt-step 4000",
                Some(Told::Step(4000, "--ckpt-step".into())),
            ),
            ("torchrun -m torchtitan.train --checkpoint.load_step -1", None),
            ("python x.py trainer.max_steps=3 ckpt_path=/out/last.ckpt", path("/out/last.ckpt", "ckpt_path")),
            ("python x.py --resume `ls -t | head -1`", None),
            ("# --load /old\npython x.py --load-balance a/b --resume-timeout 3/4", None),
        ] {
            assert_eq!(told(script), expected, "{script}");
        }
    }

    fn survey(layout: Layout) -> Survey {
        let candidate = |step: u64, path: &str| Candidate {
            step: Some(step),
            path: path.to_owned(),
            complete: Some(true),
            bytes: None,
            modified: None,
            why: String::new(),
            writing: None,
            other_world_size: None,
        };
        let candidates = vec![candidate(80, "/out/iter_0000080"), candidate(40, "/out/iter_0000040")];
        Survey { dir: "/out".into(), layout: Some(layout), candidates, ..Survey::default() }
    }

    fn picked(told: &Told, layout: Layout) -> Option<(Option<u64>, Option<bool>)> {
        let mut survey = survey(layout);
        apply(&mut survey, told, Some("/home/ann"));
        survey.resume_pick.map(|pick| (pick.step, pick.complete))
    }

    #[test]
    fn what_becomes_of_it() {
        let path = |path: &str| Told::Path(path.to_owned(), "--load".to_owned());
        let step = |step| Told::Step(step, "--ckpt-step".to_owned());
        assert_eq!(picked(&step(40), Layout::Megatron), Some((Some(40), Some(true))));
        assert_eq!(picked(&step(41), Layout::Megatron), Some((Some(41), Some(false))), "it is not there");
        assert_eq!(picked(&step(40), Layout::HfTrainer), None, "takes no number");
        assert_eq!(picked(&path("/out/"), Layout::Megatron), None, "the directory itself: as ever");
        assert_eq!(picked(&path("/out/iter_0000040/"), Layout::Megatron), Some((Some(40), Some(true))));
        assert_eq!(picked(&path("base/iter_0000007"), Layout::Megatron), Some((Some(7), None)), "elsewhere");
        assert_eq!(picked(&path("base/weights"), Layout::HfTrainer), None, "not a flag of that framework");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\PC\\n]{0,120}") {
            if let Some(told) = told(&format!("x --load {text}\n{text}")) {
                apply(&mut survey(Layout::Megatron), &told, None);
            }
        }
    }
}
