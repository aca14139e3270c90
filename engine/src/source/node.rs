//! YAML as a tree in which every key and value knows its place.

use serde_json::{Map, Number, Value as Json};
use smol_str::SmolStr;

use crate::diagnostic::Span;

/// A key of a mapping, or a text of which only the words matter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    /// Its text.
    pub(crate) text: SmolStr,
    /// Its place.
    pub(crate) span: Span,
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.text.into()
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Where it is defined. A scalar's place covers its quotes; a block mapping or sequence is an empty place at its
    /// first entry.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Str(SmolStr),
    Seq(Vec<Node>),
    Map(Vec<(Word, Node)>),
    /// `{{ x }}` without quotes, which YAML takes for a mapping whose key is a mapping.
    BareTemplate,
}

impl Node {
    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    pub(crate) fn entries(&self) -> Option<&[(Word, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Keys, values and items in it, itself included.
    pub(crate) fn size(&self) -> usize {
        1 + match &self.value {
            Value::Seq(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|(_, node)| 1 + node.size()).sum(),
            _ => 0,
        }
    }

    /// How deep maps and lists are nested in it, itself included.
    pub(crate) fn depth(&self) -> usize {
        match &self.value {
            Value::Seq(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|(_, node)| node.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Str(_) => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
            Value::BareTemplate => "a template without quotes",
        }
    }

    /// The same value without places, its keys in written order.
    pub(crate) fn to_json(&self) -> Json {
        self.clone().into_json()
    }

    /// The same as [`to_json`](Self::to_json), for a value that is needed no more.
    pub(crate) fn into_json(self) -> Json {
        match self.value {
            Value::Null | Value::BareTemplate => Json::Null,
            Value::Bool(value) => Json::Bool(value),
            Value::Number(number) => Json::Number(number),
            Value::Str(text) => Json::String(text.into()),
            Value::Seq(items) => items.into_iter().map(Self::into_json).collect(),
            Value::Map(entries) => Json::Object(into_object(entries)),
        }
    }

    /// Calls `visit` with every text in the tree, keys excluded.
    pub(crate) fn texts<'a>(&'a self, visit: &mut impl FnMut(&'a str, &'a Span)) {
        match &self.value {
            Value::Str(text) => visit(text, &self.span),
            Value::Seq(items) => items.iter().for_each(|item| item.texts(visit)),
            Value::Map(entries) => entries.iter().for_each(|(_, node)| node.texts(visit)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::BareTemplate => {}
        }
    }
}

/// The same entries without places.
pub(crate) fn into_object(entries: Vec<(Word, Node)>) -> Map<String, Json> {
    entries.into_iter().map(|(key, node)| (key.text.into(), node.into_json())).collect()
}
