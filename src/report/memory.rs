//! GPU memory before and after, from what `oom.read` and `job.watch` yield.

use serde_json::Value;

use super::model::Memory;

/// What this output says of it; nothing if it says nothing.
pub(super) fn memory(visit: u64, step: &str, output: &Value) -> Option<Memory> {
    let number = |name: &str| output.get(name).and_then(Value::as_u64);
    let word = |name: &str| match output.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let none = Memory {
        visit,
        title: String::new(),
        failed: false,
        most: false,
        capacity: number("capacity"),
        allocated: None,
        reserved_unallocated: None,
        reserved: None,
        this_process: None,
        free: None,
        tried: None,
    };
    let memory = match step {
        "oom.read" => Memory {
            title: [("rank ", "rank"), ("on ", "node"), ("at step ", "step")]
                .iter()
                .filter_map(|(before, name)| Some(format!("{before}{}", word(name)?)))
                .collect::<Vec<_>>()
                .join(" "),
            failed: true,
            allocated: number("allocated"),
            reserved_unallocated: number("reserved_unallocated"),
            reserved: number("reserved"),
            this_process: number("this_process"),
            free: number("free"),
            tried: number("tried"),
            ..none
        },
        "job.watch" => Memory {
            title: [("job ", "job"), ("up to step ", "last_step")]
                .iter()
                .filter_map(|(before, name)| Some(format!("{before}{}", word(name)?)))
                .collect::<Vec<_>>()
                .join(" "),
            failed: output.get("oom").is_some_and(|oom| !oom.is_null()),
            most: true,
            reserved: number("peak_reserved"),
            ..none
        },
        _ => return None,
    };
    let told = [memory.allocated, memory.reserved, memory.free, memory.tried].iter().any(Option::is_some);
    told.then_some(memory)
}
