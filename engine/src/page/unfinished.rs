//! Whether shell text goes on in the next line: loops, conditions, groups, open quotes and here-documents.

/// What is open after the lines that were read. It knows enough of the shell to keep together what belongs together, and
/// takes no command apart.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    quote: Option<char>,
    /// Words such as `if` and `{` without their `fi` and `}`.
    compounds: usize,
    parentheses: usize,
    /// Words that end here-documents, the next one first.
    documents: Vec<String>,
    /// A heredoc's body began.
    within: bool,
}

impl Unfinished {
    pub(super) fn is_open(&self) -> bool {
        self.quote.is_some() || self.compounds > 0 || self.parentheses > 0 || !self.documents.is_empty()
    }

    /// Reads one more line.
    pub(super) fn read(&mut self, line: &str) {
        if self.within {
            if self.documents.first().is_some_and(|end| line.trim() == end) {
                self.documents.remove(0);
                self.within = !self.documents.is_empty();
            }
            return;
        }
        // Whether the next word is a command's name, where `if` is no argument.
        let (mut begins, mut word) = (true, String::new());
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if let Some(quote) = self.quote {
                match c {
                    '\\' if quote == '"' => rest = skip(rest),
                    _ if c == quote => self.quote = None,
                    _ => {}
                }
                continue;
            }
            match c {
                '\\' => {
                    word.push('\\');
                    rest = skip(rest);
                }
                '\'' | '"' => {
                    word.push(c);
                    self.quote = Some(c);
                }
                '#' if word.is_empty() => break,
                '{' if rest.starts_with('{') => {
                    word.push(c);
                    rest = rest.split_once("}}").map_or("", |(_, after)| after);
                }
                '{' if word.ends_with('$') => rest = rest.split_once('}').map_or("", |(_, after)| after),
                '<' if rest.starts_with("<<") => rest = &rest[2..],
                '<' if rest.starts_with('<') => {
                    let (end, after) = delimiter(&rest[1..]);
                    self.documents.extend(end);
                    rest = after;
                }
                ' ' | '\t' | ';' | '&' | '|' | '(' | ')' => {
                    begins = self.end_of(&mut word, begins) || !matches!(c, ' ' | '\t');
                    match c {
                        '(' => self.parentheses += 1,
                        ')' => self.parentheses = self.parentheses.saturating_sub(1),
                        _ => {}
                    }
                }
                _ => word.push(c),
            }
        }
        self.end_of(&mut word, begins);
        self.within = !self.documents.is_empty();
    }

    /// Ends a word; tells whether a command's name may follow.
    fn end_of(&mut self, word: &mut String, begins: bool) -> bool {
        let word = std::mem::take(word);
        if word.is_empty() || !begins {
            return begins && word.is_empty();
        }
        match word.as_str() {
            "if" | "while" | "until" | "{" => self.compounds += 1,
            "for" | "case" | "select" => {
                self.compounds += 1;
                return false;
            }
            "fi" | "done" | "esac" | "}" => {
                self.compounds = self.compounds.saturating_sub(1);
                return false;
            }
            "then" | "do" | "else" | "elif" | "!" | "time" => {}
            _ => return false,
        }
        true
    }
}

fn skip(rest: &str) -> &str {
    rest.chars().next().map_or("", |c| &rest[c.len_utf8()..])
}

/// The word after `<<`, and what follows it.
fn delimiter(text: &str) -> (Option<String>, &str) {
    let text = text.strip_prefix('-').unwrap_or(text).trim_start();
    let end = text.find([' ', '\t', ';', '&', '|', '<', '>', ')']).unwrap_or(text.len());
    let word: String = text[..end].chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect();
    (Some(word).filter(|word| !word.is_empty()), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> bool {
        let mut unfinished = Unfinished::default();
        text.lines().for_each(|line| unfinished.read(line));
        unfinished.is_open()
    }

    #[test]
    fn what_is_whole_is_not_open() {
        for text in [
            "df -h | sort; uptime",
            "for h in a b; do ssh $h uptime; done",
            "if [ -f x ]; then\n  rm x\nfi",
            "while read -r line\ndo\n  echo \"$line\"\ndone <list",
            "case $x in\n  a) echo if ;;\n  b) echo ;;\nesac",
            "cat <<E >/tmp/x\nit's for you\nE",
            "cat <<-'END' <<\"B\"\nx\nEND\nb\nB",
            "cat <<<word",
            "echo if then { for",
            "echo 'it is' \"not \\\" open\" it\\'s # it's a comment",
            "f() {\n  echo ${x#(} ${y}\n}",
            "x=$(\n  date\n)",
            "du {{ a | split('%') | first }} {a,b}",
            "done",
            "awk '\n{ print $1 }\n' f",
        ] {
            assert!(!open(text), "{text}");
        }
    }

    #[test]
    fn what_goes_on_is_open() {
        for text in [
            "for h in a b; do",
            "if true",
            "if x; then y",
            "{ a",
            "(cd /tmp",
            "echo 'x",
            "echo \"x",
            "cat <<E\nx",
            "x && {",
            "a | while read b",
        ] {
            assert!(open(text), "{text}");
        }
    }
}
