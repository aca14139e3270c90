//! An editor, as far as a language server can tell: the Language Server Protocol over the server's stdin and stdout.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An editor that has started a language server.
pub(super) struct Editor {
    server: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// The newest diagnostics of each document, until somebody asks for them.
    diagnostics: HashMap<String, Value>,
    requests: u64,
    /// The version of the newest text.
    version: u64,
}

impl Editor {
    /// Starts the server and greets it.
    pub(super) fn start(command: &mut Command) -> Self {
        let mut server =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let input = server.stdin.take().unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        let (send, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut editor =
            Self { server, input, messages, diagnostics: HashMap::new(), requests: 0, version: 1 };
        let text = json!({
            "completion": { "completionItem": { "documentationFormat": ["markdown"] } },
            "hover": { "contentFormat": ["markdown"] },
        });
        let capabilities = json!({ "textDocument": text });
        let hello = json!({ "processId": null, "rootUri": null, "capabilities": capabilities });
        editor.ask("initialize", &hello).unwrap();
        editor.send(&json!({ "method": "initialized", "params": {} }));
        editor
    }

    /// Opens a document and waits for what is said about it, as `line: message`, lines from 1.
    pub(super) fn open(&mut self, uri: &str, text: &str) -> Vec<String> {
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.said_of(
            uri,
            &json!({ "method": "textDocument/didOpen", "params": { "textDocument": document } }),
        )
    }

    fn said_of(&mut self, uri: &str, notification: &Value) -> Vec<String> {
        self.diagnostics.remove(uri);
        self.send(notification);
        while !self.diagnostics.contains_key(uri) {
            self.receive();
        }
        self.known_of(uri)
    }

    /// What was said last about a document, without waiting.
    pub(super) fn known_of(&self, uri: &str) -> Vec<String> {
        let found = self.diagnostics[uri].as_array().unwrap().iter();
        let line = |one: &Value| one["range"]["start"]["line"].as_u64().unwrap() + 1;
        let mut said: Vec<(u64, String)> =
            found.map(|one| (line(one), one["message"].as_str().unwrap().to_owned())).collect();
        said.sort();
        said.into_iter().map(|(line, message)| format!("{line}: {message}")).collect()
    }

    /// Replaces a document's text and waits for what is said about it.
    pub(super) fn change(&mut self, uri: &str, text: &str) -> Vec<String> {
        self.version += 1;
        let document = json!({ "uri": uri, "version": self.version });
        let params = json!({ "textDocument": document, "contentChanges": [{ "text": text }] });
        self.said_of(uri, &json!({ "method": "textDocument/didChange", "params": params }))
    }

    /// Line and column (from 0) where what is named at a place is defined.
    pub(super) fn definition(&mut self, uri: &str, at: (usize, usize)) -> Option<(usize, usize)> {
        let answer = self.ask("textDocument/definition", &place(uri, at.0, at.1)).unwrap();
        position(&answer["range"]["start"])
    }

    /// The text after what is at a place was renamed.
    pub(super) fn rename(
        &mut self,
        uri: &str,
        text: &str,
        at: (usize, usize),
        new: &str,
    ) -> Result<String, String> {
        let mut params = place(uri, at.0, at.1);
        params["newName"] = json!(new);
        let answer = self.ask("textDocument/rename", &params)?;
        let edits = answer["changes"][uri].as_array().unwrap();
        let starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let byte = |place: &Value| {
            let (line, column) = position(place).unwrap();
            let units = text[starts[line]..].char_indices().scan(0, |units, (at, c)| {
                let before = *units;
                *units += c.len_utf16();
                Some((before, at))
            });
            starts[line] + units.clone().find(|(units, _)| *units == column).unwrap().1
        };
        let mut renamed = text.to_owned();
        for edit in edits.iter().rev() {
            let range = byte(&edit["range"]["start"])..byte(&edit["range"]["end"]);
            renamed.replace_range(range, edit["newText"].as_str().unwrap());
        }
        Ok(renamed)
    }

    /// What could be written at a place (from 0), each with what it means.
    pub(super) fn completions(&mut self, uri: &str, line: usize, column: usize) -> Vec<(String, String)> {
        let answer = self.ask("textDocument/completion", &place(uri, line, column)).unwrap();
        let items = answer.get("items").unwrap_or(&answer).as_array().unwrap().clone();
        let text =
            |value: &Value| value.as_str().or_else(|| value["value"].as_str()).unwrap_or_default().to_owned();
        items.iter().map(|item| (text(&item["label"]), text(&item["documentation"]))).collect()
    }

    /// What is shown over a place (from 0).
    pub(super) fn hover(&mut self, uri: &str, line: usize, column: usize) -> String {
        let answer = self.ask("textDocument/hover", &place(uri, line, column)).unwrap();
        answer["contents"]["value"].as_str().unwrap_or_default().to_owned()
    }

    /// The answer, or what the server refused with.
    fn ask(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "id": id, "method": method, "params": params }));
        loop {
            let message = self.receive();
            if message["id"] == id && message.get("method").is_none() {
                return match message.get("error").filter(|error| !error.is_null()) {
                    Some(error) => Err(error["message"].to_string()),
                    None => Ok(message["result"].clone()),
                };
            }
        }
    }

    fn send(&mut self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = json!("2.0");
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    /// The next message. Diagnostics are kept; what the server asks has no answer.
    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE).unwrap();
        if message["method"] == "textDocument/publishDiagnostics" {
            let uri = message["params"]["uri"].as_str().unwrap().to_owned();
            self.diagnostics.insert(uri, message["params"]["diagnostics"].clone());
        } else if message.get("method").is_some() && message.get("id").is_some() {
            let items = message["params"]["items"].as_array().map(|items| vec![Value::Null; items.len()]);
            self.send(&json!({ "id": message["id"], "result": items }));
        }
        message
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Line and column of a place of the protocol.
fn position(place: &Value) -> Option<(usize, usize)> {
    let number = |key: &str| usize::try_from(place[key].as_u64()?).ok();
    Some((number("line")?, number("character")?))
}

fn place(uri: &str, line: usize, column: usize) -> Value {
    json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": column } })
}

/// One message, `Content-Length` and all; nothing at the end.
fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut header = String::new();
        if output.read_line(&mut header).ok()? == 0 {
            return None;
        }
        match header.trim_end() {
            "" => break,
            header => {
                if let Some(bytes) = header.strip_prefix("Content-Length: ") {
                    length = bytes.parse::<usize>().ok();
                }
            }
        }
    }
    let mut body = vec![0; length?];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
