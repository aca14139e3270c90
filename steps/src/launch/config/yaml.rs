//! YAML → entries.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, Spanned};

use super::doc::{Entry, Scalar};

/// Deepest nesting that is read.
const DEEPEST: usize = 24;
/// Most values that are read.
const MOST: usize = 100_000;

/// The values of a YAML text.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_nodes: MOST,
            max_events: 2 * MOST,
            max_documents: 2,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        emit_comments: false,
        with_snippet: false,
    };
    let root: Spanned<Raw> = serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let message = error.without_snippet().to_string();
        format!("it is not understood as YAML: {}", message.lines().next().unwrap_or_default())
    })?;
    let mut entries = Vec::new();
    match &root.value {
        Raw::Map(_) => walk(&root.value, text, true, &mut Vec::new(), &mut entries),
        _ => return Err("it is not a map".to_owned()),
    }
    Ok(entries)
}

fn walk(value: &Raw, text: &str, own: bool, path: &mut Vec<String>, entries: &mut Vec<Entry>) {
    match value {
        Raw::Map(pairs) => {
            for (key, value) in pairs {
                path.push(key.value.word(text, &key.defined));
                add(value, bytes(&key.defined), text, own && key.referenced == key.defined, path, entries);
                path.pop();
            }
        }
        Raw::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(format!("[{index}]"));
                add(item, 0..0, text, own, path, entries);
                path.pop();
            }
        }
        Raw::Scalar(_) => {}
    }
}

fn add(
    value: &Spanned<Raw>,
    key: Range<usize>,
    text: &str,
    own: bool,
    path: &mut Vec<String>,
    entries: &mut Vec<Entry>,
) {
    let range = bytes(&value.defined);
    let scalar = match &value.value {
        // Numbers as written: `1e-5` is not bent into another spelling.
        Raw::Scalar(Scalar::Number(read)) => {
            let written = text.get(range.clone()).unwrap_or_default();
            Scalar::Number(if written.is_empty() { read.clone() } else { written.to_owned() })
        }
        Raw::Scalar(scalar) => scalar.clone(),
        Raw::Seq(_) | Raw::Map(_) => Scalar::Inner,
    };
    let own = own && value.referenced == value.defined;
    entries.push(Entry { path: path.clone(), value: scalar, range, key, own });
    walk(&value.value, text, own, path, entries);
}

fn bytes(location: &Location) -> Range<usize> {
    let span = location.span();
    let byte = |value: Option<u64>| value.and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let start = byte(span.byte_offset());
    start..start.saturating_add(byte(span.byte_len()))
}

enum Raw {
    Scalar(Scalar),
    Seq(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl Raw {
    /// A key as text.
    fn word(&self, text: &str, at: &Location) -> String {
        match self {
            Self::Scalar(scalar) => scalar.word(),
            Self::Seq(_) | Self::Map(_) => None,
        }
        .unwrap_or_else(|| text.get(bytes(at)).unwrap_or_default().to_owned())
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar::Text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Raw::Map(pairs))
    }
}
