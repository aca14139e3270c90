//! Shell text before its values are known.

use super::delimiters::code;

/// Shell text with a plain word in place of each value that will be quoted: whether a command only reads can be told by it before
/// anything is run. What `shell_raw` puts there could be anything, and stays a template.
pub fn with_words(text: &str) -> String {
    substituted(text, |inner| (!inner.contains("shell_raw")).then_some("value"))
}

/// Text with what `with` gives in place of each `{{ … }}`, of which it is told the inside; one of which it gives nothing stays. What
/// stands between `{% raw %}` and `{% endraw %}` is text.
pub(crate) fn substituted<'w>(text: &str, with: impl Fn(&str) -> Option<&'w str>) -> String {
    let (mut all, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('{') {
        all.push_str(&rest[..at]);
        rest = &rest[at..];
        let raw = rest.strip_prefix("{% raw %}").and_then(|raw| raw.split_once("{% endraw %}"));
        let value = rest.starts_with("{{").then(|| code(rest, 0)).flatten();
        let value = value.and_then(|code| Some((with(&rest[code.inner])?, &rest[code.whole.end..])));
        if let Some((put, after)) = raw.or(value) {
            all.push_str(put);
            rest = after;
        } else {
            all.push('{');
            rest = &rest[1..];
        }
    }
    all.push_str(rest);
    all
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
        let hidden = "x {{ '}}' ~ a | shell_raw }}";
        assert_eq!(with_words(hidden), hidden);
        assert_eq!(with_words("{{ not closed"), "{{ not closed");
        assert_eq!(with_words("{% if a %}x{% endif %}"), "{% if a %}x{% endif %}");
    }
}
