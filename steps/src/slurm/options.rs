//! The options of `sbatch`: which take a value, which short form is which long one.
//!
//! From the manual page of sbatch, 20.11 to 25.11 (<https://slurm.schedmd.com/sbatch.html>).

/// How an option takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// It has none.
    Nothing,
    /// `--name=value`, `--name value`.
    Value,
    /// `--name` or `--name=value`, never the next word.
    Perhaps,
}

/// Short letter, long name, value.
const OPTIONS: &[(Option<char>, &str, Takes)] = {
    use Takes::{Nothing, Perhaps, Value};
    &[
        (Some('A'), "account", Value),
        (Some('a'), "array", Value),
        (Some('b'), "begin", Value),
        (Some('B'), "extra-node-info", Value),
        (Some('c'), "cpus-per-task", Value),
        (Some('C'), "constraint", Value),
        (Some('d'), "dependency", Value),
        (Some('D'), "chdir", Value),
        (Some('e'), "error", Value),
        (Some('F'), "nodefile", Value),
        (Some('G'), "gpus", Value),
        (Some('H'), "hold", Nothing),
        (Some('h'), "help", Nothing),
        (Some('i'), "input", Value),
        (Some('J'), "job-name", Value),
        (Some('k'), "no-kill", Perhaps),
        (Some('L'), "licenses", Value),
        (Some('M'), "clusters", Value),
        (Some('m'), "distribution", Value),
        (Some('N'), "nodes", Value),
        (Some('n'), "ntasks", Value),
        (Some('O'), "overcommit", Nothing),
        (Some('o'), "output", Value),
        (Some('p'), "partition", Value),
        (Some('q'), "qos", Value),
        (Some('Q'), "quiet", Nothing),
        (Some('s'), "oversubscribe", Nothing),
        (Some('S'), "core-spec", Value),
        (Some('t'), "time", Value),
        (Some('u'), "usage", Nothing),
        (Some('V'), "version", Nothing),
        (Some('v'), "verbose", Nothing),
        (Some('w'), "nodelist", Value),
        (Some('W'), "wait", Nothing),
        (Some('x'), "exclude", Value),
        (None, "acctg-freq", Value),
        (None, "autocomplete", Value),
        (None, "batch", Value),
        (None, "bb", Value),
        (None, "bbf", Value),
        (None, "cluster-constraint", Value),
        (None, "comment", Value),
        (None, "consolidate-segments", Nothing),
        (None, "container", Value),
        (None, "container-id", Value),
        (None, "contiguous", Nothing),
        (None, "cores-per-socket", Value),
        (None, "cpu-freq", Value),
        (None, "cpus-per-gpu", Value),
        (None, "deadline", Value),
        (None, "delay-boot", Value),
        (None, "exclusive", Perhaps),
        (None, "export", Value),
        (None, "export-file", Value),
        (None, "external", Nothing),
        (None, "extra", Value),
        (None, "get-user-env", Perhaps),
        (None, "gid", Value),
        (None, "gpu-bind", Value),
        (None, "gpu-freq", Value),
        (None, "gpus-per-node", Value),
        (None, "gpus-per-socket", Value),
        (None, "gpus-per-task", Value),
        (None, "gres", Value),
        (None, "gres-flags", Value),
        (None, "hint", Value),
        (None, "ignore-pbs", Nothing),
        (None, "kill-on-invalid-dep", Value),
        (None, "mail-type", Value),
        (None, "mail-user", Value),
        (None, "mcs-label", Value),
        (None, "mem", Value),
        (None, "mem-bind", Value),
        (None, "mem-per-cpu", Value),
        (None, "mem-per-gpu", Value),
        (None, "mincpus", Value),
        (None, "network", Value),
        (None, "nice", Perhaps),
        (None, "no-requeue", Nothing),
        (None, "ntasks-per-core", Value),
        (None, "ntasks-per-gpu", Value),
        (None, "ntasks-per-node", Value),
        (None, "ntasks-per-socket", Value),
        (None, "open-mode", Value),
        (None, "oom-kill-step", Perhaps),
        (None, "parsable", Nothing),
        (None, "power", Value),
        (None, "prefer", Value),
        (None, "priority", Value),
        (None, "profile", Value),
        (None, "propagate", Perhaps),
        (None, "reboot", Nothing),
        (None, "requeue", Nothing),
        (None, "reservation", Value),
        (None, "resv-ports", Perhaps),
        (None, "segment", Value),
        (None, "signal", Value),
        (None, "sockets-per-node", Value),
        (None, "spread-job", Nothing),
        (None, "spread-segments", Nothing),
        (None, "stepmgr", Nothing),
        (None, "switches", Value),
        (None, "test-only", Nothing),
        (None, "thread-spec", Value),
        (None, "threads-per-core", Value),
        (None, "time-min", Value),
        (None, "tmp", Value),
        (None, "tres-bind", Value),
        (None, "tres-per-task", Value),
        (None, "uid", Value),
        (None, "use-min-nodes", Nothing),
        (None, "wait-all-nodes", Value),
        (None, "wckey", Value),
        (None, "wrap", Value),
    ]
};

/// One option as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SbatchOption {
    /// Its long name; of an option that is not known, the word as written.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: Option<String>,
    /// The words by which it was written.
    pub(crate) words: Vec<String>,
}

/// What the first word of an option says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) takes: Takes,
    /// The value in the same word.
    pub(crate) inline: Option<String>,
}

/// Reads the first word of an option; `None` if the word is none. Bundled flags (`-Hv`) are told apart by
/// [`unbundle`].
pub(crate) fn head(word: &str) -> Option<Head> {
    if let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let exact = OPTIONS.iter().find(|(_, known, _)| *known == name);
        // getopt_long takes any beginning that fits only one name.
        let mut starts = OPTIONS.iter().filter(|(_, known, _)| known.starts_with(name));
        let unique = starts.next().filter(|_| starts.next().is_none());
        let inline = value.map(str::to_owned);
        return Some(match exact.or(unique) {
            Some(&(_, known, takes)) => Head { name: known.to_owned(), takes, inline },
            // A plugin's option: with a value only if it is written into the word.
            None => Head { name: name.to_owned(), takes: Takes::Perhaps, inline },
        });
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let letter = letters.next().filter(|&c| c != '-')?;
    let rest = letters.as_str();
    let inline = (!rest.is_empty()).then(|| rest.to_owned());
    Some(match OPTIONS.iter().find(|(short, ..)| *short == Some(letter)) {
        Some(&(_, name, takes)) => Head { name: name.to_owned(), takes, inline },
        None => Head { name: format!("-{letter}"), takes: Takes::Perhaps, inline },
    })
}

/// `-Hv` as `-H` `-v`; every other word as it is.
pub(crate) fn unbundle(word: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = word.to_owned();
    while let Some(Head { takes: Takes::Nothing, inline: Some(more), .. }) =
        head(&rest).filter(|_| !rest.starts_with("--"))
    {
        words.push(rest.chars().take(2).collect());
        rest = format!("-{more}");
    }
    words.push(rest);
    words
}

/// Reads options that stand one after the other, each whole: `["--nodes=2", "-w", "gpu-20"]`. What is no option or
/// lacks its value comes back as an error sentence.
pub(crate) fn read_list(words: &[String]) -> Result<Vec<SbatchOption>, String> {
    let mut options = Vec::new();
    let words: Vec<String> = words.iter().flat_map(|word| unbundle(word)).collect();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Head { name, takes, inline } =
            head(word).ok_or_else(|| format!("{word:?} is no option of sbatch (options begin with -)"))?;
        let mut written = vec![word.clone()];
        let value = match (takes, inline) {
            (Takes::Value, None) => {
                let next = words.next().ok_or_else(|| format!("{word} lacks its value"))?;
                written.push(next.clone());
                Some(next.clone())
            }
            (_, inline) => inline,
        };
        options.push(SbatchOption { name, value, words: written });
    }
    Ok(options)
}

/// The options in the head of a batch script: `#SBATCH` lines before the first command.
pub(crate) fn in_script(script: &str) -> Vec<SbatchOption> {
    let mut options = Vec::new();
    for line in script.lines().take(1000) {
        let line = line.trim_end();
        let Some(text) = line.strip_prefix("#SBATCH") else {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            break;
        };
        let words: Vec<String> = words(text);
        options.extend(read_list(&words).unwrap_or_default());
    }
    options
}

/// Words of a directive: blanks part them, quotes hold them together, `#` begins a comment.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut open = false;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (None, '"' | '\'') => (quote, open) = (Some(c), true),
            (None, ' ' | '\t') => {
                if open {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (None, '#') if !open => break,
            (_, c) => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(words: &[&str]) -> Vec<(String, Option<String>)> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        read_list(&words).unwrap().into_iter().map(|option| (option.name, option.value)).collect()
    }

    #[test]
    fn every_way_to_write_an_option() {
        let nodes = [("nodes".to_owned(), Some("2".to_owned()))];
        for words in [&["-N2"][..], &["-N", "2"], &["--nodes=2"], &["--nodes", "2"]] {
            assert_eq!(read(words), nodes, "{words:?}");
        }
        assert_eq!(
            read(&["--ntasks-per-n=2"]),
            [("ntasks-per-node".into(), Some("2".into()))],
            "a unique beginning"
        );
        assert_eq!(read(&["-HN2"]), [("hold".into(), None), ("nodes".into(), Some("2".into()))]);
        assert_eq!(read(&["--exclusive", "--site-option=x"])[1], ("site-option".into(), Some("x".into())));
        assert!(read_list(&["train.sbatch".into()]).unwrap_err().contains("no option"));
        assert!(read_list(&["--nodes".into()]).unwrap_err().contains("lacks its value"));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = OPTIONS.iter().map(|(_, name, _)| *name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        let mut letters: Vec<char> = OPTIONS.iter().filter_map(|(short, ..)| *short).collect();
        letters.sort_unstable();
        assert!(letters.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn directives_end_at_the_first_command() {
        let script = "#!/bin/bash\n#SBATCH --job-name=\"my job\" -o logs/%x.out # where\n\n# text\nexport A=1\n#SBATCH -e late.err\n";
        let options = in_script(script);
        assert_eq!(options.len(), 2);
        assert_eq!(options[0].value.as_deref(), Some("my job"));
        assert_eq!((options[1].name.as_str(), options[1].value.as_deref()), ("output", Some("logs/%x.out")));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,120}", line in "[-A-Za-z= ]{0,40}") {
            let _ = in_script(&format!("#SBATCH {text}\n#SBATCH {line}"));
            let _ = read_list(&[text, line]);
        }
    }
}
