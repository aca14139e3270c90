//! The forms in which a value turns up in commands, logs and answers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::SHORTEST;

/// Lines of a secret of several (a key in PEM) that are secrets of their own, in characters: `-----` is none.
const LINE: usize = 12;

/// The value as it is and as programs write it; each text with the name of its form. Forms that are too short to be told
/// from other text are left out.
pub(super) fn forms(value: &str) -> Vec<(String, String)> {
    let mut forms: Vec<(String, String)> = Vec::new();
    let mut add = |text: String, form: &str| {
        if text.chars().count() >= SHORTEST && !forms.iter().any(|(known, _)| *known == text) {
            forms.push((text, form.to_owned()));
        }
    };
    add(value.to_owned(), "");
    // Within '…' and within "…" of a shell.
    add(value.replace('\'', r"'\''"), "quoted");
    add(escaped(value, &['\\', '"', '$', '`']), "double-quoted");
    let json = json(value);
    add(json.clone(), "JSON");
    add(self::json(&json), "JSON in JSON");
    add(ascii_json(value), "ASCII JSON");
    add(value.escape_debug().to_string(), "escaped");
    add(value.escape_default().to_string(), "ASCII escaped");
    for (upper, plus, form) in [
        (true, false, "URL"),
        (false, false, "URL lower case"),
        (true, true, "form"),
        (false, true, "form lower case"),
    ] {
        add(url(value, upper, plus), form);
    }
    // As a line for people: without control characters.
    let parts = value.split(char::is_control).map(str::trim).filter(|part| !part.is_empty());
    add(parts.collect::<Vec<_>>().join(" "), "one line");
    add(STANDARD.encode(value), "base64");
    add(URL_SAFE.encode(value), "base64url");
    for before in 0..3 {
        // With other bytes around it (`user:secret`) only the characters that are wholly its own are known.
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value.as_bytes());
        let own = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        add(STANDARD_NO_PAD.encode(&bytes)[own.clone()].to_owned(), &format!("base64 after {before}"));
        add(URL_SAFE_NO_PAD.encode(&bytes)[own].to_owned(), &format!("base64url after {before}"));
    }
    if value.contains('\n') {
        for (at, line) in value.lines().enumerate() {
            let line = line.trim();
            if line.chars().count() >= LINE {
                add(line.to_owned(), &format!("line {}", at + 1));
            }
        }
    }
    forms
}

/// Without the quotes around it.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As programs write it that keep JSON to ASCII (Python's `json.dumps`).
fn ascii_json(text: &str) -> String {
    let mut units = [0; 2];
    let escape = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        c => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    json(text).chars().map(escape).collect()
}

fn escaped(text: &str, marks: &[char]) -> String {
    let escape = |c: char| if marks.contains(&c) { format!("\\{c}") } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Percent-encoded (RFC 3986); with `plus` as forms are, a space as `+`.
fn url(text: &str, upper: bool, plus: bool) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        b' ' if plus => "+".to_owned(),
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(encode).collect()
}
