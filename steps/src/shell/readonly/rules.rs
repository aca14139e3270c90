//! The list of commands that only read, and how arguments are held against it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::word::Word;

/// What a command may be given and still only read.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rule {
    any: bool,
    flags: Vec<String>,
    valued: Vec<String>,
    cluster: bool,
    numeric: bool,
    operands: Option<usize>,
    prefix: Option<String>,
    sub: BTreeMap<String, Rule>,
    bare: bool,
    wraps: Option<usize>,
}

/// Were the list unreadable, nothing would count as reading; a test holds that it is readable.
static RULES: LazyLock<BTreeMap<String, Rule>> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("readonly.yaml")).unwrap_or_default());

/// Directories whose programs are what their names say.
const SYSTEM: [&str; 4] = ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"];

/// How deep commands may wrap commands.
const DEEPEST: usize = 4;

/// Whether a simple command, its name first, only reads.
pub(super) fn command_reads(words: &[Word]) -> bool {
    command(words, DEEPEST)
}

fn command(words: &[Word], depth: usize) -> bool {
    let [Word::Is(name), arguments @ ..] = words else { return false };
    let name = SYSTEM.iter().find_map(|dir| name.strip_prefix(dir)).unwrap_or(name);
    depth > 0 && RULES.get(name).is_some_and(|rule| rule.admits(arguments, depth))
}

impl Rule {
    fn admits(&self, arguments: &[Word], depth: usize) -> bool {
        if self.any {
            return true;
        }
        let mut operands = 0;
        let mut rest = arguments.iter().enumerate();
        while let Some((index, word)) = rest.next() {
            let (Word::Is(text) | Word::Begins(text)) = word else { return false };
            // Words behind `--` are held to the same: should a flag here take a value that the list does not know of,
            // it would swallow the `--`.
            let flag = match word {
                Word::Is(text) if text == "--" => continue,
                Word::Is(text) if self.is_exact_flag(text) || (text.starts_with('-') && text.len() > 1) => {
                    Ok(text)
                }
                // A value behind a flag's first letters could complete it to another flag.
                Word::Begins(text) if text.starts_with('-') => return false,
                _ => Err(text),
            };
            match flag {
                Ok(flag) => match self.flag(flag) {
                    None => return false,
                    Some(Takes::Nothing) => {}
                    // Not several words; and no flag, in case the value is optional. `-mtime -1` is a value.
                    Some(Takes::Next) => match rest.next() {
                        Some((_, Word::Is(value) | Word::Begins(value))) if !looks_like_flag(value) => {}
                        _ => return false,
                    },
                },
                Err(operand) => {
                    if self.wraps == Some(operands) {
                        return command(&arguments[index..], depth - 1);
                    }
                    if !self.sub.is_empty() {
                        let known = matches!(word, Word::Is(_));
                        return known
                            && self
                                .sub
                                .get(operand)
                                .is_some_and(|rule| rule.admits(&arguments[index + 1..], depth));
                    }
                    operands += 1;
                    let allowed = self.operands.is_none_or(|most| operands <= most)
                        && (self.operands.is_none() || matches!(word, Word::Is(_)))
                        && self.prefix.as_ref().is_none_or(|prefix| operand.starts_with(prefix));
                    if !allowed {
                        return false;
                    }
                }
            }
        }
        (self.sub.is_empty() || self.bare) && self.wraps.is_none()
    }

    /// Flags that do not begin with a dash: the `!` and `(` of find and test.
    fn is_exact_flag(&self, text: &str) -> bool {
        !text.starts_with('-') && self.flags.iter().any(|flag| flag == text)
    }

    fn flag(&self, flag: &str) -> Option<Takes> {
        let plain = |name: &str| self.flags.iter().any(|flag| flag == name);
        let valued = |name: &str| self.valued.iter().any(|flag| flag == name);
        if plain(flag) {
            return Some(Takes::Nothing);
        }
        if valued(flag) {
            return Some(Takes::Next);
        }
        if let Some((name, _)) = flag.split_once('=')
            && valued(name)
        {
            return Some(Takes::Nothing);
        }
        let letters = flag.strip_prefix('-')?;
        if letters.starts_with('-') {
            return None;
        }
        if self.numeric && letters.chars().all(|c| c.is_ascii_digit()) {
            return Some(Takes::Nothing);
        }
        if !self.cluster {
            return None;
        }
        for (index, letter) in letters.char_indices() {
            let single = format!("-{letter}");
            if plain(&single) {
                // `-b` of journalctl takes an optional value, which can only be attached.
                if valued(&single) {
                    return Some(Takes::Nothing);
                }
            } else if valued(&single) {
                let last = index + letter.len_utf8() == letters.len();
                return Some(if last { Takes::Next } else { Takes::Nothing });
            } else {
                return None;
            }
        }
        Some(Takes::Nothing)
    }
}

fn looks_like_flag(value: &str) -> bool {
    value.strip_prefix('-').is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

enum Takes {
    Nothing,
    Next,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_readable() {
        let rules: BTreeMap<String, Rule> = serde_yaml::from_str(include_str!("readonly.yaml")).unwrap();
        assert!(rules.len() > 100, "{}", rules.len());
    }
}
