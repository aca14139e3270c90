//! `notify`: tell people by a webhook.

use std::time::Duration;

use async_trait::async_trait;
use engine::site::{Command, SiteErrorKind};
use engine::step::{
    ChangeStep, Confirmation, Done, Effect, Outcomes, Performed, Predicted, Preview, StepCx, StepError,
    StepErrorKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::webhook::Webhook;
use crate::duration::Timespan;
use crate::shell::plain;

/// Posts a message to a webhook, at most once.
pub(super) struct Notify;

/// What to send where.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Address of the webhook, `https://` or `http://`. It is a secret and shown only as far as its host.
    url: String,
    /// Text to send, as `{"text": …}`, which Slack, Mattermost and Teams take. This or `payload`.
    #[serde(default)]
    message: Option<String>,
    /// JSON to send as it is. This or `message`.
    #[serde(default)]
    payload: Option<Value>,
    /// Time for the whole request (seconds at least): `10s` if nothing is said.
    #[serde(default = "ten_seconds")]
    timeout: Timespan,
}

fn ten_seconds() -> Timespan {
    Timespan::seconds(10)
}

/// What the webhook answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// HTTP status; `null` if there was no answer.
    status: Option<u16>,
}

impl Params {
    fn request(&self) -> Result<(Webhook, String), StepError> {
        let wrong = |message: String| StepError::new(StepErrorKind::Params, message);
        let webhook = Webhook::parse(&self.url).map_err(|why| wrong(format!("notify: `url` {why}")))?;
        let body = match (&self.message, &self.payload) {
            (Some(text), None) => json!({ "text": text }).to_string(),
            (None, Some(payload)) => payload.to_string(),
            _ => return Err(wrong("notify: needs either `message` or `payload`".to_owned())),
        };
        Ok((webhook, body))
    }
}

#[async_trait]
impl ChangeStep for Notify {
    const KIND: &'static str = "notify";
    const SUMMARY: &'static str = "Post a message to a webhook";
    const EFFECT: Effect = Effect::Irreversible;
    type Params = Params;
    type Intent = ();
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("sent", "the webhook answered that it took the message"),
            ("failed", "it refused the message or did not answer"),
        ])
    }

    async fn preview(&self, _: &StepCx, params: &Params) -> Result<Preview<(), Output>, StepError> {
        let (webhook, body) = params.request()?;
        let predicted =
            |outcome: &str| Predicted { outcome: outcome.to_owned(), output: Output { status: None } };
        Ok(Preview {
            target: webhook.shown(),
            commands: vec!["curl --config -".to_owned()],
            diffs: Vec::new(),
            notes: vec![format!("POST {}", webhook.shown()), plain(&body, 2000)],
            undo: None,
            intent: (),
            predicted: vec![predicted("sent"), predicted("failed")],
            writes: Vec::new(),
            nothing_to_do: None,
        })
    }

    async fn perform(&self, cx: &StepCx, params: &Params, (): &()) -> Result<Performed<Output>, StepError> {
        let (webhook, body) = params.request()?;
        let Timespan(limit) = params.timeout;
        let command = Command::argv(["curl", "--config", "-"])
            .stdin(webhook.config(&body, limit))
            .timeout(limit + Duration::from_secs(5));
        let failed = |status, why: String| {
            let why = plain(&webhook.hide(&why), 200);
            let line = format!("{}: not sent: {why}", webhook.shown());
            Ok(Done::new("failed", Output { status }).line(line).into())
        };
        let output = match cx.site.run(&command).await {
            Ok(output) => output,
            Err(error) if error.kind == SiteErrorKind::NotStarted => return failed(None, error.message),
            Err(error) => return Err(error.into()),
        };
        let status = output.text().trim().parse().ok().filter(|status| *status != 0);
        match status {
            Some(code @ 200..=299) if output.success() => {
                let line = format!("{}: sent (HTTP {code})", webhook.shown());
                Ok(Done::new("sent", Output { status }).line(line).into())
            }
            Some(code) if output.success() => failed(status, format!("HTTP {code}")),
            _ => failed(status, output.err_text().trim().to_owned()),
        }
    }

    async fn confirm(&self, _: &StepCx, params: &Params, (): &()) -> Result<Confirmation<Output>, StepError> {
        let (webhook, _) = params.request()?;
        Ok(Confirmation::Unknown(format!("whether {} got the message cannot be read back", webhook.shown())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::step::{Change, Step};

    use super::*;
    use crate::testkit::{Answer, Call, FakeSite, exit, fails, ok};

    const URL: &str = "https://hooks.example/services/SECRET";

    async fn notify(answer: Answer) -> (Done<Value>, Arc<FakeSite>) {
        let site = Arc::new(FakeSite::new());
        site.local(["curl"], answer);
        let with = json!({ "url": URL, "message": "job 7 is down" });
        let Performed::Done(done) =
            Change::new(Notify).perform(&site.cx(), &with, &Value::Null).await.unwrap()
        else {
            panic!("it asks nobody")
        };
        (done, site)
    }

    #[tokio::test]
    async fn the_secret_is_on_standard_input_only() {
        let (done, site) = notify(ok("200")).await;
        assert_eq!((done.outcome.as_str(), done.output), ("sent", json!({ "status": 200 })));
        let calls = site.calls();
        let [Call::Run(command)] = calls.as_slice() else { panic!("one command") };
        assert!(!command.to_string().contains("SECRET"));
        assert!(String::from_utf8_lossy(command.stdin.as_deref().unwrap()).contains(URL));
        let with = json!({ "url": URL, "payload": { "a": 1 } });
        let preview = Change::new(Notify).preview(&site.cx(), &with).await.unwrap();
        assert!(!format!("{preview:?}").contains("SECRET"));
        assert_eq!(preview.target, "https://hooks.example/…");
    }

    #[tokio::test]
    async fn what_fails_says_why_without_the_secret() {
        let (refused, _) = notify(ok("404")).await;
        assert_eq!((refused.outcome.as_str(), refused.output), ("failed", json!({ "status": 404 })));
        let (lost, _) = notify(exit(6, "000", format!("curl: (6) {URL}: no\x1b[2J host"))).await;
        assert_eq!(lost.output, json!({ "status": null }));
        assert_eq!(
            lost.summary,
            ["https://hooks.example/…: not sent: curl: (6) https://hooks.example/…: no[2J host"]
        );
        let (missing, _) = notify(fails(SiteErrorKind::NotStarted, "curl: no such program")).await;
        assert_eq!(missing.outcome, "failed");
    }

    #[tokio::test]
    async fn parameters_that_do_not_fit_are_refused() {
        let cx = Arc::new(FakeSite::new()).cx();
        for with in [
            json!({ "url": "ftp://h/x", "message": "m" }),
            json!({ "url": URL }),
            json!({ "url": URL, "message": "m", "payload": {} }),
        ] {
            let error = Change::new(Notify).preview(&cx, &with).await.unwrap_err();
            assert_eq!(error.kind, StepErrorKind::Params);
            assert!(!error.message.contains("SECRET"));
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
        let Performed::Done(done) = Change::new(Notify).perform(&cx, &with, &Value::Null).await.unwrap()
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
