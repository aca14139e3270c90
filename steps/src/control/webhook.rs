//! The request that `notify` sends, as the configuration that curl reads on its standard input.
//!
//! A webhook's address is a secret: whoever knows it may post. On an argument list every user of the machine could
//! read it. Format: curl(1), option `--config`.

use std::fmt::Write;
use std::time::Duration;

/// The address of a webhook. Never shown whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Webhook {
    url: String,
}

impl Webhook {
    /// Takes an address that curl can only understand as one request over HTTP.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let lower = url.to_ascii_lowercase();
        if !(lower.starts_with("https://") || lower.starts_with("http://")) {
            return Err("is neither https:// nor http://");
        }
        if url.len() > 2048 {
            return Err("is longer than 2048 characters");
        }
        if !url.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\') {
            return Err("holds a blank, a quote, a backslash or a character that is not ASCII");
        }
        let webhook = Self { url: url.to_owned() };
        if webhook.host().is_empty() { Err("names no host") } else { Ok(webhook) }
    }

    fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit('@').next().unwrap_or_default()
    }

    /// Scheme and host alone.
    pub(super) fn shown(&self) -> String {
        let scheme = self.url.split("://").next().unwrap_or_default().to_ascii_lowercase();
        format!("{scheme}://{}/…", self.host())
    }

    /// The same text without the address.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.url, &self.shown())
    }

    /// curl's configuration for one POST of `body`; it prints the HTTP status and nothing else.
    pub(super) fn config(&self, body: &str, limit: Duration) -> String {
        let mut config = String::new();
        for (option, value) in [
            ("url", self.url.as_str()),
            ("request", "POST"),
            ("header", "Content-Type: application/json"),
            ("data-raw", body),
            ("output", "/dev/null"),
            ("write-out", "%{http_code}"),
            ("proto", "=http,https"),
            ("max-time", &limit.as_secs().max(1).to_string()),
        ] {
            let _ = writeln!(config, "{option} = \"{}\"", escape(value));
        }
        config += "globoff\nsilent\nshow-error\n";
        config
    }
}

/// Within double quotes curl knows `\\`, `\"`, `\t`, `\n`, `\r` and `\v`.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped += "\\\\",
            '"' => escaped += "\\\"",
            '\n' => escaped += "\\n",
            '\r' => escaped += "\\r",
            '\t' => escaped += "\\t",
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_addresses_pass() {
        for url in [
            "file:///etc/passwd",
            "gopher://x/",
            "-K/etc/passwd",
            "https://",
            "https://h/a b",
            "https://h/\"\noutput=x",
            "https://h/\\",
        ] {
            assert!(Webhook::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_secret_part_is_not_shown() {
        let webhook = Webhook::parse("HTTPS://user:pw@hooks.example/services/T0/SECRET").unwrap();
        assert_eq!(webhook.shown(), "https://hooks.example/…");
        let said = format!("curl: (22) {} failed", "HTTPS://user:pw@hooks.example/services/T0/SECRET");
        assert_eq!(webhook.hide(&said), "curl: (22) https://hooks.example/… failed");
    }

    #[test]
    fn a_body_cannot_leave_its_quotes() {
        let config =
            Webhook::parse("https://h/x").unwrap().config("{\"a\":\"\\\"\nurl=evil\"}", Duration::ZERO);
        insta::assert_snapshot!(config, @r#"
        url = "https://h/x"
        request = "POST"
        header = "Content-Type: application/json"
        data-raw = "{\"a\":\"\\\"\nurl=evil\"}"
        output = "/dev/null"
        write-out = "%{http_code}"
        proto = "=http,https"
        max-time = "1"
        globoff
        silent
        show-error
        "#);
    }
}
