//! Shell text before its values are known.

/// Shell text with a plain word in place of each value that will be quoted: whether a command only reads can be told by it before
/// anything is run. What `shell_raw` puts there could be anything, and stays a template.
pub fn with_words(text: &str) -> String {
    let (mut words, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('{') {
        words.push_str(&rest[..at]);
        rest = &rest[at..];
        let within = |begin: &str, end: &str| rest.strip_prefix(begin)?.split_once(end);
        rest = if let Some((raw, after)) = within("{% raw %}", "{% endraw %}") {
            words.push_str(raw);
            after
        } else if let Some((_, after)) = within("{{", "}}").filter(|(inner, _)| !inner.contains("shell_raw"))
        {
            words.push_str("value");
            after
        } else {
            words.push('{');
            &rest[1..]
        };
    }
    words.push_str(rest);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_words() {
        assert_eq!(with_words("du {{ a }}/b | sort {{ c | d }}"), "du value/b | sort value");
        assert_eq!(
            with_words("{% raw %}ps --format '{{.ID}}' {% endraw %}{{ a }}"),
            "ps --format '{{.ID}}' value"
        );
        assert_eq!(with_words("rm {{ a | shell_raw }} {x}"), "rm {{ a | shell_raw }} {x}");
        assert_eq!(with_words("{% if a %}x{% endif %}"), "{% if a %}x{% endif %}");
    }
}
