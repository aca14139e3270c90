use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::run::{Act, Entry};
use crate::site::quote;

const TOKEN: &str = "s3cr3t'\"$ tök/+n";

fn of(secret: &str) -> Redactor {
    Redactor::new(&BTreeMap::from([("token".to_owned(), secret.to_owned())]), &[]).unwrap()
}

fn matching(patterns: &[&str]) -> Redactor {
    let patterns: Vec<Regex> = patterns.iter().map(|pattern| Regex::new(pattern).unwrap()).collect();
    Redactor::new(&BTreeMap::new(), &patterns).unwrap()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn a_secret_is_removed_in_every_form() {
    let redactor = of(TOKEN);
    let texts = [
        TOKEN.to_owned(),
        format!("curl -u ada:{}", quote(TOKEN)),
        json!({ "text": TOKEN }).to_string(),
        json!({ "payload": json!({ "text": TOKEN }).to_string() }).to_string(),
        "https://x/?t=s3cr3t%27%22%24%20t%C3%B6k%2F%2Bn".to_owned(),
        "t=s3cr3t%27%22%24+t%c3%b6k%2f%2bn".to_owned(),
        r#"{"text": "s3cr3t'\"$ t\u00f6k/+n"}"#.to_owned(),
        format!("{TOKEN:?}"),
        base64(TOKEN),
        format!("Authorization: Basic {}", base64(&format!("ada:{TOKEN}"))),
        base64(&format!("a{TOKEN}!")),
    ];
    let shown: Vec<String> = texts.iter().map(|text| redactor.text(text).into_owned()).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    ‹secret token›
    curl -u ada:'‹secret token, quoted›'
    {"text":"‹secret token, JSON›"}
    {"payload":"{\"text\":\"‹secret token, JSON in JSON›\"}"}
    https://x/?t=‹secret token, URL›
    t=‹secret token, form lower case›
    {"text": "‹secret token, ASCII JSON›"}
    "‹secret token, JSON›"
    ‹secret token, base64›
    Authorization: Basic YWRhOn‹secret token, base64 after 1›
    YX‹secret token, base64 after 1›IQ==
    "#);
    assert_eq!(redactor.text("nothing of it"), "nothing of it");
    assert!(matches!(redactor.text("nothing of it"), Cow::Borrowed(_)));
}

#[test]
fn lines_of_a_key_and_parts_of_it_are_removed() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----\n";
    let redactor = of(key);
    assert_eq!(redactor.text("line 2: AQEFAASCBKcwggSjAgEAAoIB"), "line 2: ‹secret token, line 3›");
    let redactor = of("correct-horse-battery");
    assert_eq!(redactor.text("posted corre…"), "posted ‹part of secret token›…");
    assert_eq!(redactor.text("posted corre"), "posted corre", "that may be anything");
    assert_eq!(redactor.text("posted correct-h"), "posted ‹part of secret token›");
    assert_eq!(redactor.text("…ttery was posted"), "…‹part of secret token› was posted");
    assert_eq!(redactor.text("rse-battery was posted"), "‹part of secret token› was posted");
}

#[test]
fn patterns_remove_what_they_match_or_their_groups() {
    let redactor = matching(&["sk-[a-z0-9]{8,}", r"(?i)password[=:]\s*(\S+)"]);
    assert_eq!(redactor.text("key sk-abcdefgh1, sk-1"), "key ‹redacted›, sk-1");
    assert_eq!(redactor.text("PASSWORD=a1 password: b2"), "PASSWORD=‹redacted› password: ‹redacted›");
    let expected = [b"\xff", "password=‹redacted›".as_bytes(), b"\xfe"].concat();
    assert_eq!(redactor.kept(b"\xffpassword=x\xfe"), expected);
    let value = redactor.value(json!({ "sk-aaaaaaaaa": [1, "password=x"] }));
    assert_eq!(value, json!({ "‹redacted›": [1, "password=‹redacted›"] }));
    assert!(crate::redact::lost(&value) && !crate::redact::lost(&json!(["a", { "b": 1 }])));
    // One pattern does not tear the marks of another.
    let both = Redactor::new(
        &BTreeMap::from([("pw".into(), "hunter22".into())]),
        &[Regex::new("secret|password=.*").unwrap()],
    );
    assert_eq!(both.unwrap().text("password=hunter22 x"), "‹redacted›‹secret pw› x");
}

#[test]
fn what_looks_like_a_mark_in_a_text_is_none() {
    let redactor = of(TOKEN);
    let hostile = Entry::Stopped { why: "‹secret token› ‹redacted›".to_owned() };
    let kept = redactor.entry(&hostile).unwrap();
    assert_eq!(kept, Entry::Stopped { why: "‹\"secret token\"› ‹\"redacted\"›".to_owned() });
    let record = Record { seq: 1, at: jiff::Timestamp::UNIX_EPOCH, prev: String::new(), entry: kept };
    assert!(!serde_json::to_string(&redactor.restored(&[record])).unwrap().contains("s3cr3t"));
    assert_eq!(redactor.text("‹secret token›"), "‹secret token›", "what was redacted before stays");
}

#[test]
fn what_cannot_be_kept_secret_is_refused() {
    let secret = |text: &str| Redactor::new(&BTreeMap::from([("pin".into(), text.into())]), &[]).map(|_| ());
    assert_eq!(secret("abc"), Err(RedactError::TooShort("pin".into())));
    assert_eq!(secret(""), Err(RedactError::TooShort("pin".into())));
    assert_eq!(secret("abcd"), Ok(()));
    assert_eq!(
        of("sample.change").check_open("step: sample.change"),
        Err(RedactError::InTheOpen("token".into()))
    );
    assert_eq!(of("sample.change").check_open("step: sample.other"), Ok(()));
    assert!(Redactor::default().is_idle() && Redactor::new(&BTreeMap::new(), &[]).unwrap().is_idle());
}

fn secrets() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9]{4,24}", "\\PC{4,24}", "[ -~]{4,12}\n[ -~\t]{4,12}", "[0-9]{6,9}"]
        // The words of these tests' own texts.
        .prop_filter("a word of the test", |text| {
            !"before after part of secret token redacted, line base64 JSON".contains(text.as_str())
        })
}

proptest! {
    /// Whatever is around it and in whatever form it stands, a secret is not kept; and it comes back unharmed.
    #[test]
    fn kept_without_it_and_restored_with_it(secret in secrets(), around in "[a-z {}:/]{0,6}") {
        let redactor = of(&secret);
        let texts: Vec<String> = forms(&secret).into_iter().map(|(text, _)| format!("{around}{text}{around}")).collect();
        let act = Act {
            kind: "put".into(),
            params: json!({ "thing": secret, secret.as_str(): [texts] }),
            intent: json!(texts),
            undo: Some(("put".into(), json!(secret))),
            reversible: Some(format!("undo {secret}")),
        };
        let entry = Entry::Intended { visit: 1, node: "n".into(), item: None, act: Box::new(act) };
        let kept = redactor.entry(&entry).unwrap();
        let record = Record { seq: 1, at: jiff::Timestamp::UNIX_EPOCH, prev: String::new(), entry: kept };
        let line = serde_json::to_string(&record).unwrap();
        for (form, _) in forms(&secret) {
            prop_assert!(!line.contains(&form), "{form} in {line}");
        }
        let records = [record];
        prop_assert_eq!(&redactor.restored(&records)[0].entry, &entry);
    }

    #[test]
    fn no_text_panics(secret in secrets(), text in "\\PC{0,60}", pattern in "[a-z]{1,3}(\\(b\\))?[*+]?") {
        let patterns: Vec<Regex> = Regex::new(&pattern).into_iter().collect();
        let redactor = Redactor::new(&BTreeMap::from([("token".to_owned(), secret.clone())]), &patterns).unwrap();
        let shown = redactor.text(&text).into_owned();
        prop_assert!(!shown.contains(&secret) || "‹›part of secret token redacted".contains(&secret));
        let kept = redactor.kept(text.as_bytes());
        if patterns.is_empty() && !text.contains('‹') && !shown.contains("‹part") {
            prop_assert_eq!(redactor.back(kept), text.as_bytes());
        }
        redactor.secrets(&text);
    }
}
