//! Whether an out-of-memory text is quoted in its line: a comment, source code, documentation, data of a prompt, advice.

use super::message::OomMessage;
use crate::text::{Pattern, boundary, pattern};

/// The class of an exception, and what ran out, up to the trigger.
const PATH: &str = r#"(?:[\w.]*(?:Error|Exception)['"(:\s]{0,4}(?:[A-Z]{3,4} (?:backend |error: )?)?[oT]?|[A-Z]{3,4} (?:backend |error: )?o)$"#;
/// The trigger that is itself the class.
const CLASS: &str = "OutOfMemoryError";
/// Bytes before the trigger in which advice is looked for.
const NEAR: usize = 200;

macro_rules! patterns {
    ($($(#[$about:meta])* $name:ident, $($part:expr),+;)+) => {
        $($(#[$about])* static $name: Pattern = Pattern::new(|| pattern(&[$($part),+].concat()));)+
    };
}

patterns! {
    /// Lines that are source code, a comment or the echo of a command, whatever is in them.
    SOURCE, r"^\s*(?:#|//|\*\s|[-+] `|>|\+{1,3} ?echo\b|echo\b|raise\b|print\(|assert\b|except\b|if\b|elif\b|return\b",
        r"|(?:logg(?:er|ing)|log|warnings?)\.\w+\(|with [\w.]+\(|import \w|from [\w.]+ import\b|[A-Za-z_]+ ?= ?\d+,?\s*$)";
    /// A comment behind code, a string that is given a name, a record of a data set.
    EMBEDDED, r#"\S\s+(?:#|//)\s|^\s*(?:let |mut |const |var |static |auto |final )*[A-Za-z_][\w.]* = [bfru]{0,2}["'(]"#,
        r#"|"(?:instruction|prompt|completion|question|answer|chosen|rejected)": ?"|"role": ?"|<(?:code|li|p|h\d)>"#;
    /// Words right before a message that speak of it.
    SPOKEN, r"(?i:\b(?:why|fix|avoid|prevent|solve|resolve|(?:i|you|we) get|getting|see|seeing|such as|like|called|gives?|giving",
        r#"|for example[:,]?|e\.g\.|this (?:error |message|error message)[:,]?)\s+)["'`*]*"#, PATH;
    ADVISED, r"(?i)\bif (?:you|there|it|an?)\b|\byou (?:may|might|can|could|will|must|should)\b|\bhow (?:do|to|can)\b",
        r"|\bfor example\b|\be\.g\.|如果|避免";
    /// An article: a log does not use one there, but people's words for an exception do.
    ARTICLE, r"\b[Tt]he\s+", PATH;
    /// Code within a sentence, in Markdown.
    INLINE, r"[^\s`]\s*`+", PATH;
    LITERAL, r#"(["'`“‘「『])["'`]*"#, PATH;
    /// The quotation marks of a log: around the text of an exception, the value of a record.
    PRINTED, r#"(?i)(?:(?:Error|Exception)\('|["']\s*:\s*["']|\b(?:err|error|msg|message|exc\w*|reason|cause|event|details?)\s*:\s*["']"#,
        r#"|(?:^|[^,\s]\s+)(?:err|error|msg|message|exc\w*|reason|cause|event|details?)\s*=\s*["']|\bwith error ["'])$"#;
    /// A string on a line of its own, as in a list or between parentheses.
    STRING, r#"^\s{4,}[bfru]{0,2}["'][^"']*(?:["'][,)\s]*)?$"#;
    QUESTION, r#"[A-Za-z)]\?(?:["'`*\s]|$)"#;
    /// The trace of a shell, an interactive session, a patch.
    SESSION, r"^\s*(?:\+|\$ |>>> )";
    ADVICE, r"(?i)\bif (?:you|there|it|an?|the|your)\b|\bwhen (?:you|the|an?)\b|\be\.g\b|for example|such as|in case of",
        r"|to (?:avoid|fix|prevent)|\bhints?:|\btips?:|\bencounter|known issue|\bmeans\b|\bmay cause|\bor reduce";
}

/// Whether the text whose trigger begins at `start` is quoted.
///
/// The less of its figures a message has, the less it takes to be a quotation: nobody who explains an error makes up
/// all of them, and a real message that was cut is rare.
pub(super) fn is_quoted(line: &str, start: usize, message: &OomMessage) -> bool {
    let start = boundary(line, start);
    let class = if line[start..].starts_with(CLASS) { CLASS.len() } else { 0 };
    let before = &line[..start + class];
    let near = &before[boundary(before, before.len().saturating_sub(NEAR))..];
    // A class in Markdown, without what it says.
    let named = class > 0 && line[start + class..].starts_with('`');
    if named
        || SOURCE.is_match(line)
        || EMBEDDED.is_match(before)
        || INLINE.is_match(near)
        || SPOKEN.is_match(near)
        || ADVISED.is_match(near)
    {
        return true;
    }
    if message.capacity.or(message.allocated).is_some() {
        return false;
    }
    let literal = LITERAL.captures(near).and_then(|found| found.get(1));
    if literal.is_some_and(|mark| !PRINTED.is_match(&near[..mark.end()]))
        || ARTICLE.is_match(near)
        || SESSION.is_match(line)
        || STRING.is_match(line)
        || QUESTION.is_match(line)
    {
        return true;
    }
    !message.is_sized() && ADVICE.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oom::message::{Passage, read};
    use crate::oom::triggers::trigger;

    const WHOLE: &str = "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.93 GiB total capacity; 6.00 GiB already \
                         allocated; 14.88 MiB free; 6.00 GiB reserved in total by PyTorch)";
    const TORN: &str = "CUDA out of memory. Tried to allocate 2.00 GiB";

    /// `None`: nothing is read in it at all.
    fn quoted(line: &str) -> Option<bool> {
        let message = read(&Passage::new(line, &[]))?;
        Some(is_quoted(line, trigger(line.as_bytes()).unwrap(), &message))
    }

    #[test]
    fn people_speak_of_errors() {
        for line in [
            format!("If you see `RuntimeError: {WHOLE}`, lower the batch size."),
            format!("For example: RuntimeError: {WHOLE}"),
            format!("You must be familiar with this message: RuntimeError: {WHOLE}"),
            format!("sample 12: Q: why RuntimeError: {WHOLE}? A: reduce the batch size"),
            format!("batch_size: 16  # 32 -> RuntimeError: {WHOLE}"),
            format!("ERR = \"RuntimeError: {WHOLE}\""),
            format!("        let line = \"torch.OutOfMemoryError: {WHOLE}\";"),
            format!("<li><code>RuntimeError: {TORN}</code> lower the batch size</li>"),
            format!("「RuntimeError: {TORN}」というエラーが出た場合"),
            format!("如果出现 RuntimeError: {TORN} 的错误"),
            format!(r#"{{"role": "user", "content": "{WHOLE} What now?"}}"#),
            format!(r#"{{"instruction": "Explain it", "input": "torch.OutOfMemoryError: {WHOLE}"}}"#),
            format!("**Q: I get `RuntimeError: {TORN}`. What should I do?**"),
            format!("1. `torch.OutOfMemoryError: {TORN}` -- lower the batch size"),
            format!("    \"\"\"Handles errors such as RuntimeError: {TORN}.\"\"\""),
            format!("            \"{TORN}\","),
            format!("        text=\"RuntimeError: {TORN} ...\\n\", returncode=1,"),
            format!("+    \"torch.OutOfMemoryError: {TORN}.\","),
            format!("    with pytest.raises(torch.OutOfMemoryError, match=\"{TORN}\"):"),
            format!("+ python check_log.py --pattern 'RuntimeError: {TORN}'"),
            format!("Running command: grep -q 'torch.OutOfMemoryError: {TORN}' train.log"),
            format!("**Symptom:** `torch.OutOfMemoryError: {WHOLE}` during the first step"),
            format!("we get the following issue: ```RuntimeError: {WHOLE}```"),
            format!("        \"Exception: Capture cuda graph failed: {TORN}.\""),
            format!("        _result(True, False, err=\"{TORN}\","),
            "  --batch-size N   (default 8; larger values give RuntimeError: CUDA out of memory. on 16 GB)"
                .into(),
            "You may get RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes".into(),
            "NCCL may fail with Cuda failure 'out of memory' if the GPU is full".into(),
            format!("When `torch.OutOfMemoryError` says: {WHOLE}"),
            format!("    - `torch.OutOfMemoryError: {WHOLE}`"),
            "  CUBLAS_STATUS_ALLOC_FAILED = 3".into(),
            "  cudaErrorMemoryAllocation = 2,".into(),
            "from numpy.core._exceptions import _ArrayMemoryError".into(),
            "kubectl describe shows OOMKilled when the container exceeds its memory limit".into(),
            "exit code 137 means the container was killed".into(),
        ] {
            assert_eq!(quoted(&line), Some(true), "{line}");
        }
        for line in [
            "The RuntimeError: CUDA out of memory occurs when your GPU does not have enough",
            "torch.cuda.OutOfMemoryError: CUDA out of memory is one of those errors",
            "      RuntimeError: CUDA out of memory here",
            "| RuntimeError: CUDA out of memory | use --gradient_checkpointing |",
            "tests/test_oom.py::test_raises[RuntimeError: CUDA out of memory] PASSED",
            "Killed 3 stale processes",
        ] {
            assert_eq!(quoted(line), None, "{line}");
        }
    }

    #[test]
    fn programs_report_them() {
        for line in [
            format!("torch.OutOfMemoryError: {TORN}"),
            format!("AlgorithmError: OutOfMemoryError('{TORN}'), exit code: 1"),
            format!(r#"{{"level": "error", "error": "{TORN}"}}"#),
            format!("time=\"2026-11-23T07:49:56Z\" level=error msg=\"step failed\" err=\"{TORN}\" rank=3"),
            format!("RuntimeError: Worker failed with error '{TORN}', please check the stack trace above"),
            format!("    \"message\": \"{TORN}\","),
            format!("'{WHOLE}'"),
            format!("`{WHOLE}`"),
            format!("error=\"{WHOLE}\" level=error"),
            format!("Got RuntimeError: {WHOLE}"),
            format!("[trainer] got an exception: {TORN}"),
            format!("Encountered an OutOfMemoryError: {TORN}"),
            format!("Encountered an OutOfMemoryError: {WHOLE}"),
            format!("Trial train_abc failed due to RuntimeError: {WHOLE}"),
            format!("torch.OutOfMemoryError: {WHOLE} Is another process using the GPU?"),
            format!("WARNING:root:{TORN}              | 1/2538 [00:00<?, ?batch/s]"),
            format!("FAILED tests/test_a.py::test_b[x] - torch.OutOfMemoryError: {WHOLE}"),
            "RuntimeError: CUDA out of memory.".into(),
            "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests."
                .into(),
            "gpu-1:77:120 [0] include/alloc.h:48 NCCL WARN Cuda failure 2 'out of memory'".into(),
            "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`".into(),
        ] {
            assert_eq!(quoted(&line), Some(false), "{line}");
        }
    }
}
