//! JAX, TensorFlow and vLLM.

use super::{OomMessage, Passage};
use crate::oom::kind::Kind;
use crate::size::{SIZE, parse_size};
use crate::text::{Pattern, pattern};

static JAX_BYTES: Pattern = Pattern::new(|| {
    pattern(
        r"(?i)(?:out of memory (?:while trying to allocate|allocating)|failed to allocate(?: request for [^(]{0,40}\(| )) ?(\d{1,20}) ?(?:bytes|B)\b",
    )
});
static CUPY: Pattern = Pattern::new(|| pattern(r"\bcupy\b"));
static JAX: Pattern = Pattern::new(|| pattern(r"RESOURCE_EXHAUSTED: .{0,200}[Oo]ut of memory"));
static JAX_DEVICE: Pattern = Pattern::new(|| pattern(r"on device ordinal (\d{1,4})"));
static TENSORFLOW: Pattern = Pattern::new(|| {
    pattern(
        r"OOM when allocating tensor with shape|ResourceExhaustedError: .{0,200}failed to allocate memory",
    )
});
/// TensorFlow's allocators of host memory.
static HOST: Pattern = Pattern::new(|| pattern(r"by allocator (?:cuda_host_bfc|gpu_host_bfc|cpu|mklcpu)"));
static VLLM: Pattern = Pattern::new(|| {
    pattern(
        &[
            r"Freememoryondevice(?:cuda:(\d{1,4}))?\((\d+(?:\.\d+)?)/(",
            SIZE,
            r")\)onstartupislessthandesiredGPUmemoryutilization\([\d.]+,(",
            SIZE,
            r")\)",
        ]
        .concat(),
    )
});

pub(super) fn read(passage: &Passage) -> Option<OomMessage> {
    let line = passage.line.as_str();
    if let Some(found) = VLLM.captures(&passage.squeezed) {
        let unit = found[3].trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        return Some(OomMessage {
            device: found.get(1).and_then(|m| m.as_str().parse().ok()),
            free: parse_size(&format!("{}{unit}", &found[2])),
            capacity: parse_size(&found[3]),
            tried: parse_size(&found[4]),
            ..OomMessage::bare(Kind::VllmStartupCheck)
        });
    }
    // The request may stand on the line after the status.
    let head = passage.text.lines().take(3).collect::<Vec<_>>().join(" ");
    if JAX.is_match(line)
        || JAX_BYTES.is_match(line) && !line.contains("CPUAllocator") && !CUPY.is_match(line)
    {
        return Some(OomMessage {
            tried: JAX_BYTES.captures(&head).and_then(|found| found[1].parse().ok()),
            device: JAX_DEVICE.captures(&head).and_then(|found| found[1].parse().ok()),
            ..OomMessage::bare(Kind::Jax)
        });
    }
    let kind = if HOST.is_match(line) { Kind::HostOom } else { Kind::Tensorflow };
    TENSORFLOW.is_match(line).then(|| OomMessage::bare(kind))
}
