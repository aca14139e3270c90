//! The text of the variable: `key:value,key:value`, as `ConfigTokenizer` in c10/core/AllocatorConfig.h reads it.

/// Keys and values in the order in which they stand; each key once.
pub(super) type Settings = Vec<(String, String)>;

/// Reads the text. White space counts for nothing, a comma at the end is allowed, the last of duplicates wins.
///
/// # Errors
/// A text on which the allocator gives up, with the reason.
pub(super) fn parse(text: &str) -> Result<Settings, String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut settings = Settings::new();
    for item in items(&text)? {
        let (key, value) =
            item.split_once(':').ok_or_else(|| format!("`{item}` has no colon between key and value"))?;
        if key.is_empty() || value.is_empty() {
            return Err(format!("`{item}` lacks its key or its value"));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !key.chars().all(word) {
            return Err(format!("`{key}` is not a key"));
        }
        put(&mut settings, key, value);
    }
    Ok(settings)
}

/// Splits at commas outside of brackets.
fn items(text: &str) -> Result<Vec<&str>, String> {
    let mut items = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.checked_sub(1).ok_or("a bracket is closed that was never opened")?,
            ',' if depth == 0 => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a bracket is not closed".to_owned());
    }
    if start < text.len() {
        items.push(&text[start..]);
    }
    match items.iter().any(|item| item.is_empty()) {
        true => Err("there is nothing between two commas".to_owned()),
        false => Ok(items),
    }
}

/// Sets a key, in its place if it has one.
pub(super) fn put(settings: &mut Settings, key: &str, value: &str) {
    match settings.iter_mut().find(|(other, _)| other == key) {
        Some((_, old)) => value.clone_into(old),
        None => settings.push((key.to_owned(), value.to_owned())),
    }
}

/// The value of a key.
pub(super) fn get<'s>(settings: &'s Settings, key: &str) -> Option<&'s str> {
    settings.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
}

/// Writes the text.
pub(super) fn write(settings: &Settings) -> String {
    settings.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(",")
}
