//! The protocol: <https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/>.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use engine::diagnostic::{Severity, Span};
use engine::step::Registry;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::complete::complete;
use super::document::{Document, covers, range};
use crate::load::{examine_text, registry};

/// Talks to an editor over standard input and output until it says goodbye.
///
/// # Errors
/// If what the editor says is not the protocol, or it goes away in the middle.
pub(crate) fn serve() -> Result<(), String> {
    let (connection, threads) = Connection::stdio();
    let capabilities = json!({
        "textDocumentSync": 1,
        "definitionProvider": true,
        "renameProvider": true,
        "hoverProvider": true,
        "completionProvider": { "triggerCharacters": [".", " ", "{"] },
    });
    connection.initialize(capabilities).map_err(|error| error.to_string())?;
    let mut server = Server {
        registry: registry(),
        documents: HashMap::new(),
        pages: HashMap::new(),
        changed: BTreeSet::new(),
    };
    let spoken = server.converse(&connection);
    drop(connection);
    threads.join().map_err(|error| error.to_string())?;
    spoken
}

/// What an address cannot hold as it is (RFC 3986, 2.3).
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

struct Server {
    registry: Registry,
    /// Open files by their address.
    documents: HashMap<String, Document>,
    /// The page of which something was said last, by the address of its runbook.
    pages: HashMap<String, String>,
    /// Files that were not checked since they changed.
    changed: BTreeSet<String>,
}

impl Server {
    fn converse(&mut self, connection: &Connection) -> Result<(), String> {
        loop {
            // Checks only when nothing more is waiting: whoever types is not kept.
            let message = match connection.receiver.try_recv() {
                Ok(message) => message,
                Err(_) => {
                    for uri in std::mem::take(&mut self.changed) {
                        for said in self.findings(&uri) {
                            send(connection, Message::Notification(said))?;
                        }
                    }
                    let Ok(message) = connection.receiver.recv() else { return Ok(()) };
                    message
                }
            };
            match message {
                Message::Request(request) => {
                    if connection.handle_shutdown(&request).map_err(|error| error.to_string())? {
                        return Ok(());
                    }
                    send(connection, Message::Response(self.answer(request)))?;
                }
                Message::Notification(notification) => self.notice(notification),
                Message::Response(_) => {}
            }
        }
    }

    fn notice(&mut self, notification: Notification) {
        let mut params = notification.params;
        let Some(uri) = params["textDocument"]["uri"].as_str().map(str::to_owned) else { return };
        let text = match notification.method.as_str() {
            "textDocument/didOpen" => params["textDocument"]["text"].take(),
            // Each change is the whole text.
            "textDocument/didChange" => match params["contentChanges"].as_array_mut().and_then(Vec::pop) {
                Some(mut change) => change["text"].take(),
                None => return,
            },
            "textDocument/didClose" => {
                self.documents.remove(&uri);
                self.changed.insert(uri);
                return;
            }
            _ => return,
        };
        let Value::String(text) = text else { return };
        let document = self.documents.entry(uri.clone()).or_insert_with(|| Document::new(&uri));
        document.set(text, &self.registry);
        self.changed.insert(uri);
    }

    /// What the checker says of a file and of its page; nothing of one that was closed.
    fn findings(&mut self, uri: &str) -> Vec<Notification> {
        let mut said = BTreeMap::from([(uri.to_owned(), Vec::new())]);
        said.extend(self.pages.remove(uri).map(|page| (page, Vec::new())));
        if let Some(document) = self.documents.get(uri) {
            let checked = examine_text(document.file.clone(), &self.registry, document.found.as_ref());
            let uris: Vec<Option<String>> = checked
                .files
                .iter()
                .enumerate()
                .map(|(at, file)| {
                    if at == 0 { Some(uri.to_owned()) } else { beside(uri, &document.file.name, &file.name) }
                })
                .collect();
            let place = |at: &Span| {
                let uri = uris[at.file].as_ref()?;
                Some((uri, range(&checked.files[at.file].text, at)))
            };
            for found in &checked.diagnostics {
                let Some((at, range)) = place(&found.at) else { continue };
                let text = [Some(&found.message), found.help.as_ref()].into_iter().flatten();
                let related = found.related.iter().filter_map(|(at, label)| {
                    let (uri, range) = place(at)?;
                    Some(json!({ "location": { "uri": uri, "range": range }, "message": label }))
                });
                said.entry(at.clone()).or_default().push(json!({
                    "range": range,
                    "severity": match found.severity { Severity::Error => 1, Severity::Warning => 2 },
                    "code": found.code,
                    "source": "runbook",
                    "message": text.cloned().collect::<Vec<_>>().join("\n"),
                    "relatedInformation": related.collect::<Vec<_>>(),
                }));
            }
            let page = said.keys().find(|at| *at != uri).cloned();
            self.pages.extend(page.map(|page| (uri.to_owned(), page)));
        }
        let method = "textDocument/publishDiagnostics";
        said.into_iter()
            .map(|(uri, found)| {
                Notification::new(method.to_owned(), json!({ "uri": uri, "diagnostics": found }))
            })
            .collect()
    }

    fn answer(&self, request: Request) -> Response {
        let params = &request.params;
        let uri = params["textDocument"]["uri"].as_str().unwrap_or_default();
        let Some(document) = self.documents.get(uri) else {
            return Response::new_err(
                request.id,
                ErrorCode::InvalidParams as i32,
                format!("{uri} is not open"),
            );
        };
        let offset = document.offset(&params["position"]);
        let result = match request.method.as_str() {
            "textDocument/completion" => Ok(json!(complete(document, offset, &self.registry))),
            "textDocument/hover" => Ok(hover(document, offset)),
            "textDocument/definition" => Ok(definition(document, uri, offset)),
            "textDocument/rename" => {
                rename(document, uri, offset, params["newName"].as_str().unwrap_or_default())
            }
            other => {
                let code = ErrorCode::MethodNotFound as i32;
                return Response::new_err(request.id, code, format!("{other} is not known here"));
            }
        };
        match result {
            Ok(result) => Response::new_ok(request.id, result),
            Err(why) => Response::new_err(request.id, ErrorCode::RequestFailed as i32, why),
        }
    }
}

fn send(connection: &Connection, message: Message) -> Result<(), String> {
    connection.sender.send(message).map_err(|error| error.to_string())
}

/// The address of a file if it lies in the directory of the one at `uri`, as a page does.
fn beside(uri: &str, name: &str, other: &str) -> Option<String> {
    let other = Path::new(other);
    let near = other.parent() == Path::new(name).parent();
    let file = other.file_name().filter(|_| near)?.to_str()?;
    let (directory, _) = uri.rsplit_once('/')?;
    Some(format!("{directory}/{}", utf8_percent_encode(file, UNSAFE)))
}

/// What a name in a template stands for, or what a node does.
fn hover(document: &Document, offset: usize) -> Value {
    let node = || {
        let name = document.node_at(offset)?;
        document.outline.nodes.iter().find(|node| node.name == name).map(|node| &node.about)
    };
    let named = document.outline.names.iter().find(|(at, _)| covers(at, offset)).map(|(_, about)| about);
    match named.or_else(node) {
        Some(about) => json!({ "contents": { "kind": "markdown", "value": about } }),
        None => Value::Null,
    }
}

fn definition(document: &Document, uri: &str, offset: usize) -> Value {
    let name = document.node_at(offset);
    let node = name.and_then(|name| document.outline.nodes.iter().find(|node| node.name == name));
    node.map_or(Value::Null, |node| json!({ "uri": uri, "range": document.range(&node.at) }))
}

/// Renames a node wherever it is named.
fn rename(document: &Document, uri: &str, offset: usize, new: &str) -> Result<Value, String> {
    if !document.current {
        return Err("the file is no YAML as it is: mend that first".to_owned());
    }
    let name = document.node_at(offset).ok_or("only nodes can be renamed here")?;
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !new.starts_with(|c: char| c.is_ascii_lowercase()) || !new.chars().all(letters) {
        return Err("a node's name is written like a variable: lower-case letters, digits and `_`".to_owned());
    }
    let taken = document.outline.roots.iter().map(|root| &root.name);
    if taken.chain(document.outline.nodes.iter().map(|node| &node.name)).any(|taken| taken == new) {
        return Err(format!("`{new}` is taken"));
    }
    if document.outline.shadowed.iter().any(|shadowed| shadowed == name) {
        return Err(format!(
            "a template has a variable `{name}` of its own beside the node: rename that first"
        ));
    }
    let mut edits = BTreeMap::new();
    for (at, _) in document.outline.mentions.iter().filter(|(_, mentioned)| mentioned == name) {
        let at = document.bare(at, name).ok_or_else(|| {
            format!(
                "`{name}` is named within a text whose places cannot be told: rename it there by hand first"
            )
        })?;
        edits.insert(at.start, json!({ "range": document.range(&at), "newText": new }));
    }
    Ok(json!({ "changes": { uri: edits.into_values().collect::<Vec<_>>() } }))
}
