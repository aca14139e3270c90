//! Host memory, which no GPU setting helps.

use super::{OomMessage, Passage};
use crate::oom::kind::Kind;
use crate::text::{Pattern, pattern};

/// Slurm 20.11 to 26.05 (slurmd/…/task_cgroup_memory.c, srun/launch.c), the kernel, Ray, Kubernetes.
static KILLED: Pattern = Pattern::new(|| {
    pattern(concat!(
        r"Detected \d+ oom[-_]kill events?",
        r"|Detected \d+ oom[-_]kill event\(s\)",
        r"|srun: error: [\w.-]+: tasks? [\d,\[\]-]+: Out Of Memory",
        r"|Exceeded (?:job|step) memory limit",
        r"|Out of memory: Kill(?:ed)? process \d+",
        r"|emory cgroup out of memory: Kill(?:ed)? process \d+",
        r"|oom-kill:constraint=",
        r"|ray\.exceptions\.OutOfMemoryError",
        r"|killed due to the node running low on memory",
        r"|\bOOMKilled\b",
        r"|node was low on resource: memory",
    ))
});
static CPU: Pattern = Pattern::new(|| {
    pattern(
        r"DefaultCPUAllocator: (?:can't allocate|not enough) memory: you tried to allocate (\d{1,20}) bytes",
    )
});
static LOADER: Pattern = Pattern::new(|| {
    pattern(r"DataLoader worker \(pids? ?\(?s?\)? ?[\d, ]+\) is killed by signal: (Killed|Bus error)")
});
/// A process got SIGKILL: usually the kernel's doing for want of memory, but launchers and Slurm send it too.
static SIGKILL: Pattern = Pattern::new(|| {
    pattern(concat!(
        r"exitcode\s*: -9 \(pid",
        r"|Signal 9 \(SIGKILL\) received by PID",
        r"|failed \(exitcode: -9\)",
        r"|exits with return code = -9",
        r"|^(?:\S+: line \d+: +\d+ )?Killed\b(?:\s.{0,200})?$",
    ))
});

pub(super) fn read(passage: &Passage) -> Option<OomMessage> {
    let line = passage.line.as_str();
    if let Some(found) = CPU.captures(line) {
        return Some(OomMessage { tried: found[1].parse().ok(), ..OomMessage::bare(Kind::HostOom) });
    }
    if let Some(found) = LOADER.captures(line) {
        let kind = if &found[1] == "Killed" { Kind::HostOom } else { Kind::HostShm };
        return Some(OomMessage::bare(kind));
    }
    if KILLED.is_match(line) {
        return Some(OomMessage::bare(Kind::HostOom));
    }
    SIGKILL.is_match(line.trim()).then(|| OomMessage::bare(Kind::HostOom).suggests())
}
