//! What a change costs others, in words for its card.

use engine::step::Price;

use super::clean::line;

/// Names that are shown of a list.
const NAMES: usize = 8;

/// A line or two; the second says what is lost.
pub(crate) fn words(price: &Price) -> Vec<String> {
    if price.is_nothing() {
        return vec!["hits no GPU, node or job".to_owned()];
    }
    let nodes = (!price.nodes.is_empty()).then(|| named("node", &price.nodes));
    let gpus = match price.gpus {
        Some(gpus) => Some(counted(gpus, "GPU")),
        None => (nodes.is_some() || !price.jobs.is_empty()).then(|| "an unknown number of GPUs".to_owned()),
    };
    let jobs = (!price.jobs.is_empty()).then(|| named("job", &price.jobs));
    let users = (!price.users.is_empty()).then(|| named("user", &price.users));
    let hit: Vec<String> = [gpus, nodes, jobs, users].into_iter().flatten().collect();
    if hit.is_empty() {
        return vec!["not known".to_owned()];
    }
    let mut words = vec![hit.join(", ")];
    words.extend(lost(price));
    words
}

fn lost(price: &Price) -> Option<String> {
    let since = "since the last good checkpoint";
    let steps = price.steps_lost.map(|steps| counted(steps, "step"));
    let hours = price.gpu_hours_lost.map(|hours| format!("{hours:.1} GPU-hours"));
    match (steps, hours) {
        _ if (price.steps_lost, price.gpu_hours_lost) == (Some(0), Some(0.0)) => None,
        (Some(steps), Some(hours)) => Some(format!("loses {steps} and {hours} {since}")),
        (Some(steps), None) => Some(format!("loses {steps} {since}; how many GPU-hours is not known")),
        (None, Some(hours)) => Some(format!("loses {hours} {since}; how many steps is not known")),
        (None, None) => Some(format!("what is lost {since} is not known")),
    }
}

/// `1 node`, `2 nodes`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `job 7`, `2 nodes (gpu-20, gpu-21)`.
fn named(noun: &str, names: &[String]) -> String {
    if let [only] = names {
        return format!("{noun} {}", line(only));
    }
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| line(name)).collect();
    let more = names.len().saturating_sub(NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{} ({}{more})", counted(names.len() as u64, noun), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_in_words() {
        let stop = Price {
            gpus: Some(16),
            nodes: vec!["gpu-20".into(), "gpu-21\u{1b}[2J".into()],
            users: vec!["ada".into()],
            jobs: vec!["123456".into()],
            steps_lost: Some(137),
            gpu_hours_lost: Some(8.04),
        };
        let many = Price { nodes: (1..=64).map(|n| format!("gpu-{n}")).collect(), ..stop.clone() };
        let blind = Price { gpus: None, steps_lost: None, gpu_hours_lost: None, ..stop.clone() };
        let half = Price { gpu_hours_lost: None, steps_lost: Some(1), ..stop.clone() };
        let drain = Price { gpus: Some(8), nodes: vec!["gpu-20".into()], ..Price::nothing() };
        let all = [stop, many, blind, half, drain, Price::nothing(), Price::default()];
        let shown: Vec<String> = all.iter().map(|price| words(price).join("\n")).collect();
        insta::assert_snapshot!(shown.join("\n\n"), @r"
        16 GPUs, 2 nodes (gpu-20, gpu-21), job 123456, user ada
        loses 137 steps and 8.0 GPU-hours since the last good checkpoint

        16 GPUs, 64 nodes (gpu-1, gpu-2, gpu-3, gpu-4, gpu-5, gpu-6, gpu-7, gpu-8 and 56 more), job 123456, user ada
        loses 137 steps and 8.0 GPU-hours since the last good checkpoint

        an unknown number of GPUs, 2 nodes (gpu-20, gpu-21), job 123456, user ada
        what is lost since the last good checkpoint is not known

        16 GPUs, 2 nodes (gpu-20, gpu-21), job 123456, user ada
        loses 1 step since the last good checkpoint; how many GPU-hours is not known

        8 GPUs, node gpu-20

        hits no GPU, node or job

        not known
        ");
    }
}
