//! JSON values as minijinja objects that notice when an unknown or open value is read.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use serde_json::Value as Json;

use super::{Binding, Standing, reads};

/// A list or map inside a binding.
#[derive(Debug)]
pub(super) struct Tracked {
    root: Arc<Json>,
    /// Pointer from the root to this value; objects never dangle because the root never changes.
    pointer: String,
    /// As the author writes it, for messages.
    path: String,
    standing: Standing,
}

/// A value that is not known. It prints as `unknown` and compares equal to nothing.
#[derive(Debug)]
pub(super) struct Unknown {
    pub path: String,
}

impl Unknown {
    /// One that was read just now.
    pub(super) fn noticed(path: &str) -> Value {
        reads::notice_unknown(path);
        Value::from_object(Self { path: path.to_owned() })
    }
}

/// A value that only a real run can know; so is everything in it.
#[derive(Debug)]
pub(super) struct Open {
    path: String,
}

/// The value that a name stands for.
pub(super) fn bound(name: &str, binding: &Binding) -> Value {
    reads::notice_standing(binding.standing, name);
    if binding.standing == Standing::Open {
        return Value::from_object(Open { path: name.to_owned() });
    }
    wrap(&binding.value, String::new(), name.to_owned(), binding.standing)
}

/// Takes a value out of minijinja's world again.
pub(super) fn json(value: &Value) -> Json {
    if let Some(tracked) = value.downcast_object_ref::<Tracked>() {
        return tracked.json().clone();
    }
    if value.is_undefined() || is_unknown(value) {
        return Json::Null;
    }
    reads::unnoticed(|| serde_json::to_value(value).unwrap_or(Json::Null))
}

/// Whether it is one of the two values that stand for something not known.
pub(super) fn is_unknown(value: &Value) -> bool {
    value.downcast_object_ref::<Unknown>().is_some() || value.downcast_object_ref::<Open>().is_some()
}

fn wrap(root: &Arc<Json>, pointer: String, path: String, standing: Standing) -> Value {
    match root.pointer(&pointer) {
        // A prediction leaves out what only the act itself can tell.
        Some(Json::Null) if standing == Standing::Predicted => {
            reads::notice_standing(Standing::Open, &path);
            Value::from_object(Open { path })
        }
        Some(Json::Null) => Unknown::noticed(&path),
        Some(Json::Object(_) | Json::Array(_)) => {
            Value::from_object(Tracked { root: Arc::clone(root), pointer, path, standing })
        }
        Some(Json::Bool(b)) => Value::from(*b),
        Some(Json::String(s)) => Value::from(s.as_str()),
        Some(Json::Number(n)) => n
            .as_i64()
            .map(Value::from)
            .or_else(|| n.as_u64().map(Value::from))
            .unwrap_or_else(|| Value::from(n.as_f64())),
        None => Value::UNDEFINED,
    }
}

impl Tracked {
    fn json(&self) -> &Json {
        self.root.pointer(&self.pointer).unwrap_or(&Json::Null)
    }
}

impl Object for Tracked {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.json().is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (token, path) = match (self.json(), key.as_str(), key.as_usize()) {
            (Json::Object(map), Some(name), _) if map.contains_key(name) => {
                (name.replace('~', "~0").replace('/', "~1"), format!("{}.{name}", self.path))
            }
            (Json::Array(list), _, Some(at)) if at < list.len() => {
                (at.to_string(), format!("{}[{at}]", self.path))
            }
            _ => return None,
        };
        Some(wrap(&self.root, format!("{}/{token}", self.pointer), path, self.standing))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.json() {
            Json::Array(list) => Enumerator::Seq(list.len()),
            Json::Object(map) => {
                Enumerator::Values(map.keys().map(|key| Value::from(key.as_str())).collect())
            }
            _ => Enumerator::NonEnumerable,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.json())
    }
}

impl Object for Unknown {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    /// A field of something unknown is unknown, too.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let path = format!("{}.{key}", self.path);
        reads::notice_unknown(&path);
        Some(Value::from_object(Self { path }))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown")
    }
}

impl Object for Open {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let path = format!("{}.{key}", self.path);
        reads::notice_standing(Standing::Open, &path);
        Some(Value::from_object(Self { path }))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.path)
    }
}
