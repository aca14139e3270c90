//! Names out of what people wrote.

use std::collections::BTreeSet;

/// Words that say nothing about a box.
const EMPTY: [&str; 17] = [
    "the", "a", "an", "of", "on", "in", "to", "and", "or", "is", "it", "for", "with", "by", "at", "from",
    "if",
];
/// Words of a name; more is hard to read in a template.
const MOST: usize = 4;

/// Names that were given out.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// This very name.
    pub(crate) fn keep(&mut self, name: &str) -> String {
        self.taken.insert(name.to_owned());
        name.to_owned()
    }

    /// A name that says what `text` says and that nothing else has: `rank_dies_cuda_out`. If it says nothing, one that is as
    /// much like `otherwise` as a name may be.
    pub(crate) fn give(&mut self, text: &str, otherwise: &str) -> String {
        let name = slug(text, MOST);
        let name = if name.is_empty() { legal(otherwise) } else { name };
        let name = if engine::source::is_reserved(&name) { format!("{name}_it") } else { name };
        let mut unique = name.clone();
        let mut number = 2;
        while !self.taken.insert(unique.clone()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        unique
    }
}

/// What of a text may be in a name: of `box_1.2 ä` it is `box_1_2`.
fn legal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// The first words of a text as a name; empty if none of them begins with an ASCII letter.
pub(crate) fn slug(text: &str, most: usize) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let telling: Vec<&str> = words
        .filter(|word| !EMPTY.contains(word))
        .skip_while(|word| !word.starts_with(|c: char| c.is_ascii_lowercase()))
        .take(most)
        .collect();
    let name: String = telling.join("_");
    name.chars().take(40).collect::<String>().trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_unique_and_legal() {
        let mut names = Names::default();
        assert_eq!(names.give("Rank dies: CUDA out of memory", "x"), "rank_dies_cuda_out");
        assert_eq!(names.give("Rank dies: CUDA out!", "x"), "rank_dies_cuda_out_2");
        assert_eq!(names.give("1. micro-batch", "x"), "micro_batch");
        assert_eq!(names.give("größe", "box_a"), "gr_e");
        assert_eq!(names.give("日本", "box_a"), "box_a");
        assert_eq!(names.give("3", "box_1.2-ä"), "box_1_2");
        assert_eq!(names.give("ω", "box_ω"), "box");
        assert_eq!(names.give("Unknown", "x"), "unknown_it");
    }
}
