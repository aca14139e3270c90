//! `notify`: posts a message to a webhook, at most once.
//!
//! It goes out through curl(1) like any other command, so that it can be recorded and rehearsed. The address is often a
//! secret: curl reads it from its standard input, where no list of processes shows it.

use async_trait::async_trait;
use engine::site::{Command, Exit};
use engine::step::{
    ChangeStep, Confirmation, Done, Effect, Outcomes, Performed, Predicted, Preview, Price, StepCx,
    StepError, StepErrorKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::duration::Timespan;

/// `notify`.
pub(crate) struct Notify;

/// What is sent where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Address of the webhook, `https://…`. Only its host is ever shown.
    url: String,
    /// The message: sent as `{"text": …}`, which Slack, Mattermost and many others take. Either this or `payload`.
    #[serde(default)]
    #[schemars(extend("x-text" = true))]
    message: Option<String>,
    /// The whole JSON that is sent.
    #[serde(default)]
    payload: Option<Value>,
    /// Longest time for the answer.
    #[serde(default = "half_a_minute")]
    timeout: Timespan,
}

fn half_a_minute() -> Timespan {
    Timespan::seconds(30)
}

/// What the webhook said.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// HTTP status; `null` if there was none.
    status: Option<u16>,
}

/// A checked address: scheme and host, for people.
fn place(url: &str) -> Result<String, StepError> {
    let wrong = |why: &str| StepError::new(StepErrorKind::Params, format!("notify: the url {why}"));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
    if !matches!(scheme, "http" | "https") {
        return Err(wrong("is neither http nor https"));
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '"' | '\\')) {
        return Err(wrong("has characters that no address has"));
    }
    // What stands before an `@` is a name and a password.
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    if host.is_empty() { Err(wrong("has no host")) } else { Ok(format!("{scheme}://{host}/…")) }
}

fn payload(params: &Params) -> Result<String, StepError> {
    match (&params.message, &params.payload) {
        (Some(text), None) => Ok(json!({ "text": text }).to_string()),
        (None, Some(value)) => Ok(value.to_string()),
        _ => Err(StepError::new(
            StepErrorKind::Params,
            "notify: exactly one of `message` and `payload` must be given",
        )),
    }
}

/// Quotes a value in a curl configuration (curl(1), `--config`).
fn quoted(value: &str) -> String {
    let escaped = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\t', "\\t");
    format!("\"{escaped}\"")
}

fn command(params: &Params) -> Result<Command, StepError> {
    let seconds = params.timeout.0.as_secs().max(1);
    let lines = [
        format!("url = {}", quoted(&params.url)),
        "request = \"POST\"".to_owned(),
        "header = \"Content-Type: application/json\"".to_owned(),
        format!("data-raw = {}", quoted(&payload(params)?)),
        format!("max-time = {seconds}"),
        // An address may hold braces and brackets; they are no pattern.
        "globoff".to_owned(),
        "silent".to_owned(),
        "show-error".to_owned(),
        "output = \"/dev/null\"".to_owned(),
        "write-out = \"%{http_code}\"".to_owned(),
        "proto = \"=http,https\"".to_owned(),
    ];
    let config = lines.join("\n") + "\n";
    let curl = Command::argv(["curl", "--disable", "--config", "-"]).changing();
    Ok(curl.stdin(config).timeout(params.timeout.0 * 2))
}

#[async_trait]
impl ChangeStep for Notify {
    const KIND: &'static str = "notify";
    const SUMMARY: &'static str = "Post a message to a webhook, at most once";
    const EFFECT: Effect = Effect::Irreversible;
    type Params = Params;
    type Intent = ();
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("sent", "The webhook took it"),
            ("failed", "It did not: it could not be reached, or answered with an error"),
        ])
    }

    async fn preview(&self, _cx: &StepCx, params: &Params) -> Result<Preview<(), Output>, StepError> {
        let target = place(&params.url)?;
        Ok(Preview {
            commands: vec![format!("POST {target} {}", payload(params)?)],
            target,
            diffs: vec![],
            notes: vec![],
            undo: None,
            price: Price::nothing(),
            intent: (),
            predicted: vec![Predicted { outcome: "sent".to_owned(), output: Output { status: None } }],
            writes: vec![],
            nothing_to_do: None,
        })
    }

    async fn perform(&self, cx: &StepCx, params: &Params, _: &()) -> Result<Performed<Output>, StepError> {
        let place = place(&params.url)?;
        let answer = cx.site.run(&command(params)?).await?;
        let status = answer.text().trim().parse::<u16>().ok().filter(|status| *status > 0);
        let outcome =
            if status.is_some_and(|status| (200..300).contains(&status)) { "sent" } else { "failed" };
        let line = match status {
            Some(status) => format!("{place} answered {status}"),
            // curl(1), EXIT CODES: no proxy, no host, no connection. Anything else may have come after it was sent.
            None if matches!(answer.exit, Exit::Code(5..=7)) => {
                format!("{place} could not be reached: nothing was sent")
            }
            None => format!("{place} gave no answer: whether it took the message is not known"),
        };
        Ok(Done::new(outcome, Output { status }).line(line).into())
    }

    async fn confirm(
        &self,
        _cx: &StepCx,
        _params: &Params,
        _: &(),
    ) -> Result<Confirmation<Output>, StepError> {
        Ok(Confirmation::Unknown("a webhook cannot be asked whether it was called".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testkit::{FakeSite, exit, ok};

    fn params(json: Value) -> Params {
        serde_json::from_value(json).unwrap()
    }

    #[tokio::test]
    async fn the_secret_of_the_address_is_shown_nowhere() {
        let site = Arc::new(FakeSite::new());
        site.local(["curl"], ok("204"));
        let params =
            params(json!({"url": "https://u:p@hooks.example/T0/s3cret?k=v", "message": "a \"b\"\n{{ c"}));
        let preview = Notify.preview(&site.cx(), &params).await.unwrap();
        assert_eq!(preview.target, "https://hooks.example/…");
        assert_eq!(preview.commands, [r#"POST https://hooks.example/… {"text":"a \"b\"\n{{ c"}"#]);
        let Performed::Done(done) = Notify.perform(&site.cx(), &params, &()).await.unwrap() else {
            panic!("it asks nobody")
        };
        assert_eq!((done.outcome.as_str(), done.output.status), ("sent", Some(204)));
        assert!(!site.commands().join(" ").contains("s3cret"), "it is in an argument");
        let config = String::from_utf8(command(&params).unwrap().stdin.unwrap()).unwrap();
        assert!(config.contains(r#"data-raw = "{\"text\":\"a \\\"b\\\"\\n{{ c\"}""#), "{config}");
    }

    #[tokio::test]
    async fn an_error_of_the_webhook_is_an_outcome() {
        for (answer, status, told) in [
            (ok("500"), Some(500), ""),
            (exit(7, "000", "refused"), None, "nothing was sent"),
            (exit(28, "000", "timed out"), None, "is not known"),
        ] {
            let site = Arc::new(FakeSite::new());
            site.local(["curl"], answer);
            let params = params(json!({"url": "http://localhost:1/", "payload": {"a": 1}}));
            let Performed::Done(done) = Notify.perform(&site.cx(), &params, &()).await.unwrap() else {
                panic!("it asks nobody")
            };
            assert_eq!((done.outcome.as_str(), done.output.status), ("failed", status));
            assert!(status.is_some() || done.summary[0].contains(told), "{:?}", done.summary);
        }
    }

    #[tokio::test]
    async fn what_is_no_web_address_is_refused() {
        for url in
            ["file:///etc/passwd", "hooks.example", "https://", "https://a b", "https://a\"\noutput = x"]
        {
            let params = params(json!({"url": url, "message": "x"}));
            assert!(Notify.preview(&Arc::new(FakeSite::new()).cx(), &params).await.is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_real_curl_sends_exactly_the_payload() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            while !request.ends_with(b"END\"}") {
                let count = stream.read(&mut chunk).unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&request));
                request.extend_from_slice(&chunk[..count]);
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            String::from_utf8(request).unwrap()
        });
        let message = "@/etc/passwd \"quoted\" back\\slash é\nline END";
        let with = json!({ "url": format!("http://127.0.0.1:{port}/s?a={{1}}&b=[2]"), "message": message });
        let cx = StepCx::new(Arc::new(crate::site::LiveSite::new()), "r/1");
        let Performed::Done(done) =
            engine::step::Step::perform(&engine::step::Change::new(Notify), &cx, &with, &Value::Null)
                .await
                .unwrap()
        else {
            panic!("it asks nobody")
        };
        if done.summary[0].contains("no such program") {
            eprintln!("SKIPPED: no curl on this machine");
            return;
        }
        assert_eq!(
            (done.outcome.as_str(), done.output),
            ("sent", json!({ "status": 204 })),
            "{:?}",
            done.summary
        );
        let request = server.join().unwrap();
        assert!(request.starts_with("POST /s?a={1}&b=[2] HTTP/1.1\r\n"), "{request}");
        let body = request.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({ "text": message }));
    }
}
