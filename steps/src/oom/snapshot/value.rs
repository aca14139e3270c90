//! What a pickle holds: plain values, read by key and never followed further than asked.

/// A value. Those with parts are indices into the [`Document`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A number between 2^63 and 2^64.
    Large(u64),
    /// A number beyond 64 bits.
    Huge,
    Float(f64),
    Text {
        start: u32,
        length: u32,
    },
    /// A list or a tuple.
    List(u32),
    Dict(u32),
}

/// Larger dicts are not searched: those of a snapshot have a dozen keys, and a shared one could be searched very often.
const MOST_KEYS: usize = 64;

/// All that was read. A list may hold itself: what reads it goes down a fixed number of levels.
#[derive(Debug)]
pub(super) struct Document<'a> {
    bytes: &'a [u8],
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    pub(super) root: Value,
}

impl<'a> Document<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, lists: Vec::new(), dicts: Vec::new(), root: Value::None }
    }

    pub(super) fn add_list(&mut self, items: Vec<Value>) -> Value {
        self.lists.push(items);
        Value::List(self.lists.len() as u32 - 1)
    }

    pub(super) fn add_dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() as u32 - 1)
    }

    pub(super) fn list_mut(&mut self, list: Value) -> Option<&mut Vec<Value>> {
        let Value::List(index) = list else { return None };
        self.lists.get_mut(index as usize)
    }

    pub(super) fn dict_mut(&mut self, dict: Value) -> Option<&mut Vec<(Value, Value)>> {
        let Value::Dict(index) = dict else { return None };
        self.dicts.get_mut(index as usize)
    }

    pub(super) fn list(&self, value: Value) -> Option<&[Value]> {
        let Value::List(index) = value else { return None };
        self.lists.get(index as usize).map(Vec::as_slice)
    }

    /// The value of a key, the last one that was set.
    pub(super) fn get(&self, dict: Value, key: &str) -> Option<Value> {
        let Value::Dict(index) = dict else { return None };
        let entries = self.dicts.get(index as usize).filter(|entries| entries.len() <= MOST_KEYS)?;
        let found = entries.iter().rev().find(|(name, _)| self.bytes_of(*name) == Some(key.as_bytes()))?;
        Some(found.1)
    }

    pub(super) fn is_dict(&self, value: Value) -> bool {
        matches!(value, Value::Dict(_))
    }

    fn bytes_of(&self, value: Value) -> Option<&'a [u8]> {
        let Value::Text { start, length } = value else { return None };
        self.bytes.get(start as usize..start as usize + length as usize)
    }

    /// A text; what is no UTF-8 is unknown.
    pub(super) fn text(&self, value: Value) -> Option<&'a str> {
        std::str::from_utf8(self.bytes_of(value)?).ok()
    }

    /// A number that is not negative.
    pub(super) fn number(&self, value: Value) -> Option<u64> {
        match value {
            Value::Int(value) => u64::try_from(value).ok(),
            Value::Large(value) => Some(value),
            _ => None,
        }
    }

    /// A number with a fraction.
    pub(super) fn fraction(&self, value: Value) -> Option<f64> {
        match value {
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn flag(&self, value: Value) -> Option<bool> {
        match value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }
}
