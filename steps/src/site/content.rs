//! Bytes in a recording: text where they are text, base64 where they are not, a file beside it where they are many.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes in a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes themselves.
    Inline(Vec<u8>),
    /// Name of a file in the directory that lies beside the recording.
    File(String),
}

impl Default for Content {
    fn default() -> Self {
        Self::Inline(Vec::new())
    }
}

impl Content {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Inline(bytes) if bytes.is_empty())
    }

    /// The bytes; none of a file that was not loaded.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::File(_) => &[],
        }
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pair = |serializer: S, key: &str, value: &str| {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(key, value)?;
            map.end()
        };
        match self {
            Self::File(name) => pair(serializer, "file", name),
            Self::Inline(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => pair(serializer, "base64", &BASE64_STANDARD.encode(bytes)),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("text (numbers in quotes), or `base64: …`, or `file: …`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Inline(text.as_bytes().to_vec()))
    }

    fn visit_unit<E: Error>(self) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let Some((key, value)) = map.next_entry::<String, String>()? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        let content = match key.as_str() {
            "base64" => Content::Inline(BASE64_STANDARD.decode(value.trim()).map_err(A::Error::custom)?),
            // A name only: a recording from somewhere else must not make us read elsewhere.
            "file" if value.contains(['/', '\0']) || value.starts_with('.') || value.is_empty() => {
                return Err(A::Error::custom(format!("{value:?} is no plain file name")));
            }
            "file" => Content::File(value),
            other => return Err(A::Error::unknown_field(other, &["base64", "file"])),
        };
        if map.next_key::<String>()?.is_some() {
            return Err(A::Error::invalid_length(2, &self));
        }
        Ok(content)
    }
}
