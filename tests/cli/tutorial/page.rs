//! Blocks of code of a page, and what is printed held against one.

/// A fenced block.
pub(super) struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    pub language: String,
    pub text: String,
}

pub(super) fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, bool) = (Vec::new(), false);
    for (at, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                blocks.push(Block { line: at + 1, language: language.to_owned(), text: String::new() });
            }
            None if open => blocks.last_mut().unwrap().text += &format!("{line}\n"),
            None => {}
        }
    }
    blocks
}

/// Whether `wanted` is printed, where a line `…` stands for any lines and `…` in a line for any text.
///
/// # Errors
/// The lines that are not printed, or not there.
pub(super) fn says(printed: &str, wanted: &str) -> Result<(), String> {
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let wanted: Vec<&str> = wanted.lines().map(str::trim_end).collect();
    let mut from = 0;
    let pieces: Vec<&[&str]> = wanted.split(|line| *line == "…").collect();
    for (number, piece) in pieces.iter().enumerate() {
        let (first, last) = (number == 0, number + 1 == pieces.len());
        let fits = |at: usize| {
            let lines = printed.get(at..at + piece.len());
            lines.is_some_and(|lines| piece.iter().zip(lines).all(|(wanted, line)| like(line, wanted)))
        };
        let mut places = from..=printed.len().saturating_sub(piece.len());
        let found = match (first, last) {
            (true, false) => Some(0).filter(|at| fits(*at)),
            (true, true) => Some(0).filter(|at| fits(*at) && piece.len() == printed.len()),
            (false, true) if piece.is_empty() => Some(printed.len()),
            (false, true) => places.next_back().filter(|at| fits(*at)),
            (false, false) => places.find(|at| fits(*at)),
        };
        from = found.ok_or_else(|| piece.join("\n"))? + piece.len();
    }
    Ok(())
}

fn like(line: &str, wanted: &str) -> bool {
    let pattern = wanted.split('…').map(regex::escape).collect::<Vec<_>>().join(".+");
    regex::Regex::new(&format!("^{pattern}$")).unwrap().is_match(line)
}

#[test]
fn what_is_left_out_may_be_anything_and_nothing_else_may() {
    let printed = "one\ntwo 3.5 s\nthree\nfour\n";
    for wanted in [printed, "one\n…\n", "…\nthree\nfour\n", "…\ntwo … s\n…\nfour\n", "…\n"] {
        assert_eq!(says(printed, wanted), Ok(()), "{wanted}");
    }
    for wanted in [
        "one\n",
        "two 3.5 s\n…\n",
        "…\nthree\n",
        "one\nthree\n…\n",
        "…\nfive\n…\n",
        "…\nthree\n…\none\n…\n",
        "oneone\n…\n",
    ] {
        assert!(says(printed, wanted).is_err(), "{wanted}");
    }
}
