//! Evaluates what was written against what is known.

use minijinja::value::{Object, Value};
use minijinja::{Error, ErrorKind};
use serde_json::Value as Json;
use std::sync::Arc;

use super::delimiters::{is_template, one_expression};
use super::environment::{ENVIRONMENT, SHELL_NAME};
use super::reads::{Reads, noticing, unnoticed};
use super::{Names, shell, tracked};

/// A template that could not be evaluated.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} in `{template}`")]
pub struct TemplateError {
    /// The template as written.
    pub template: String,
    /// What is wrong with it.
    pub message: String,
}

/// A value and what was noticed while it was computed.
#[derive(Debug, Clone, Default)]
pub struct Evaluated<T> {
    /// The value; unknown where an unknown value was read.
    pub value: T,
    /// Unknown values that were read.
    pub unknown: Vec<String>,
    /// Values that only a real run can know and that were read.
    pub open: Vec<String>,
    /// A predicted value was read.
    pub predicted: bool,
}

/// Evaluates a tree in which every string is a template. A string that is one expression keeps its type; one that
/// reads something unknown becomes `null`.
///
/// # Errors
/// If a template is malformed or reads a name that does not exist.
pub fn value(tree: &Json, names: &Names) -> Result<Evaluated<Json>, TemplateError> {
    walk(tree, names, Kind::Value)
}

/// What a template is for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// A value: unknown as a whole if it reads something unknown.
    Value,
    /// Text for a shell: every interpolated value is quoted.
    Shell,
    /// Text for people: what is unknown reads `unknown`.
    Text,
}

/// Evaluates the parameters of a step; a property that its schema marks `x-shell` is text for a shell, one marked
/// `x-text` is text for people.
///
/// # Errors
/// As [`value`], and if a value stands at a place of a shell command where no quoting makes it safe.
pub fn params(with: &Json, schema: &Json, names: &Names) -> Result<Evaluated<Json>, TemplateError> {
    let Json::Object(map) = with else { return value(with, names) };
    let mut all = Evaluated::<Json>::default();
    let mut evaluated = serde_json::Map::with_capacity(map.len());
    for (key, tree) in map {
        let marked = |mark: &str| schema["properties"][key][mark] == Json::Bool(true);
        let kind = match () {
            () if marked("x-shell") => Kind::Shell,
            () if marked("x-text") => Kind::Text,
            () => Kind::Value,
        };
        let part = walk(tree, names, kind)?;
        evaluated.insert(key.clone(), all.take(part));
    }
    all.value = Json::Object(evaluated);
    Ok(all)
}

/// Evaluates an expression as a condition: `None` if it reads something unknown.
///
/// # Errors
/// If it is malformed or reads a name that does not exist.
pub fn condition(expression: &str, names: &Names) -> Result<Evaluated<Option<bool>>, TemplateError> {
    let source = single_expression(expression).unwrap_or(expression);
    let evaluated = evaluate_expression(source, names)?;
    let value = match &evaluated.value {
        Json::Null => None,
        Json::Bool(b) => Some(*b),
        other => return Err(error(expression, format!("the condition yields {other}, not true or false"))),
    };
    Ok(Evaluated { value, unknown: evaluated.unknown, open: evaluated.open, predicted: evaluated.predicted })
}

/// Renders text for people; what is unknown reads `unknown`.
///
/// # Errors
/// If it is malformed or reads a name that does not exist.
pub fn text(template: &str, names: &Names) -> Result<String, TemplateError> {
    Ok(render("text", template, names)?.value)
}

fn walk(tree: &Json, names: &Names, kind: Kind) -> Result<Evaluated<Json>, TemplateError> {
    let mut all = Evaluated::<Json>::default();
    all.value = match tree {
        Json::String(template) => return leaf(template, names, kind),
        Json::Array(list) => {
            let items = list.iter().map(|item| Ok(all.take(walk(item, names, kind)?)));
            Json::Array(items.collect::<Result<_, TemplateError>>()?)
        }
        Json::Object(map) => {
            let entries = map.iter().map(|(key, item)| Ok((key.clone(), all.take(walk(item, names, kind)?))));
            Json::Object(entries.collect::<Result<_, TemplateError>>()?)
        }
        other => other.clone(),
    };
    Ok(all)
}

impl Evaluated<Json> {
    /// Adds what another evaluation noticed and hands out its value.
    fn take(&mut self, part: Self) -> Json {
        self.unknown.extend(part.unknown);
        self.open.extend(part.open);
        self.predicted |= part.predicted;
        part.value
    }
}

fn leaf(template: &str, names: &Names, kind: Kind) -> Result<Evaluated<Json>, TemplateError> {
    if !is_template(template) {
        return Ok(Evaluated { value: Json::String(template.to_owned()), ..Evaluated::default() });
    }
    match kind {
        Kind::Shell => Ok(nullify(render(SHELL_NAME, template, names)?)),
        Kind::Text => Ok(Evaluated { value: Json::String(text(template, names)?), ..Evaluated::default() }),
        Kind::Value => match single_expression(template) {
            Some(expression) => evaluate_expression(expression, names),
            None => Ok(nullify(render("value", template, names)?)),
        },
    }
}

/// A text with a hole in it is unknown as a whole.
fn nullify(rendered: Evaluated<String>) -> Evaluated<Json> {
    let Evaluated { value, unknown, open, predicted } = rendered;
    let value = if unknown.is_empty() && open.is_empty() { Json::String(value) } else { Json::Null };
    Evaluated { value, unknown, open, predicted }
}

/// The expression, if the template is `{{ expression }}` and nothing else.
fn single_expression(template: &str) -> Option<&str> {
    one_expression(template).map(|place| template[place].trim())
}

fn evaluate_expression(expression: &str, names: &Names) -> Result<Evaluated<Json>, TemplateError> {
    let fail = |e: &Error| error(expression, describe(e));
    let compiled = ENVIRONMENT.compile_expression(expression).map_err(|e| fail(&e))?;
    let (result, noticed) = noticing(|| {
        let result = compiled.eval(context(names))?;
        // Strict: a name that does not exist is an error also where nothing is done with it.
        if result.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        Ok(result)
    });
    finish(result.map(|value| unnoticed(|| tracked::json(&value))), noticed, Json::Null).map_err(|e| fail(&e))
}

fn render(name: &'static str, template: &str, names: &Names) -> Result<Evaluated<String>, TemplateError> {
    let fail = |e: &Error| error(template, describe(e));
    let compiled = ENVIRONMENT.template_from_named_str(name, template).map_err(|e| fail(&e))?;
    let (result, noticed) = noticing(|| compiled.render(context(names)));
    let result = match result {
        Ok(text) if name == SHELL_NAME => {
            Ok(shell::fill(&text, &noticed.shell).map_err(|e| error(template, e.to_string()))?)
        }
        other => other,
    };
    // Text for people shows what is unknown instead of being unknown; see `nullify` for the others.
    finish(result, noticed, String::new()).map_err(|e| fail(&e))
}

/// An evaluation that read something unknown is unknown, even if it broke over it.
fn finish<T>(result: Result<T, Error>, noticed: Reads, unknown: T) -> Result<Evaluated<T>, Error>
where
    T: Unknowable,
{
    let blind = !noticed.unknown.is_empty() || !noticed.open.is_empty();
    let value = match result {
        Ok(value) if blind => value.blinded(),
        Ok(value) => value,
        Err(_) if blind => unknown,
        Err(error) => return Err(error),
    };
    Ok(Evaluated { value, unknown: noticed.unknown, open: noticed.open, predicted: noticed.predicted })
}

/// What becomes of a value whose evaluation read something unknown.
trait Unknowable {
    fn blinded(self) -> Self;
}

impl Unknowable for Json {
    fn blinded(self) -> Self {
        Json::Null
    }
}

impl Unknowable for String {
    fn blinded(self) -> Self {
        self
    }
}

/// The root of a template's names: looked up one by one, so that nothing is converted that is not used.
#[derive(Debug)]
struct Root(Names);

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        self.0.get(name).map(|binding| tracked::bound(name, binding))
    }
}

fn context(names: &Names) -> Value {
    Value::from_object(Root(names.clone()))
}

fn error(template: &str, message: String) -> TemplateError {
    TemplateError { template: template.trim().to_owned(), message }
}

fn describe(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, _) => "a name or field that does not exist".to_owned(),
        // Of a filter that wants a number and was given text.
        (kind, Some(detail)) if detail.contains("invalid float literal") => {
            format!("{kind}: {detail}; `| number` reads a text, and is unknown where that is no number")
        }
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Binding, Standing};
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        names.bind(
            "job",
            Binding::known(json!({"nodes": ["gpu-20", "gpu-21"], "id": 7, "name": "a b", "step": null})),
        );
        names.bind("later", Binding { value: Arc::new(json!({"id": null})), standing: Standing::Open });
        names.bind("soon", Binding { value: Arc::new(json!({"id": 8})), standing: Standing::Predicted });
        names
    }

    fn eval(template: &str) -> Evaluated<Json> {
        value(&json!(template), &names()).expect("evaluates")
    }

    #[test]
    fn one_expression_keeps_its_type() {
        assert_eq!(eval("{{ job.nodes }}").value, json!(["gpu-20", "gpu-21"]));
        assert_eq!(eval("{{ job.id + 1 }}").value, json!(8));
        assert_eq!(eval("{{ job }}").value["step"], Json::Null);
        assert!(eval("{{ job }}").unknown.is_empty(), "handing a record on is no read of its unknown fields");
        assert_eq!(eval("job {{ job.id }} on {{ job.nodes[0] }}").value, json!("job 7 on gpu-20"));
        assert_eq!(eval("{{ job.nodes | length }}").value, json!(2));
        assert_eq!(
            eval("{{ {'a': {'b': job.id}} }}").value,
            json!({"a": {"b": 7}}),
            "braces do not make it text"
        );
        assert_eq!(eval("{{ '}}' }}").value, json!("}}"));
        assert_eq!(eval("{{ job.nodes | join(',') }}").value, json!("gpu-20,gpu-21"));
        assert_eq!(eval("{{ [job.id, job.nodes] }}").value, json!([7, ["gpu-20", "gpu-21"]]));
    }

    #[test]
    fn unknown_is_never_false_nor_zero() {
        for template in [
            "{{ job.step > 5 }}",
            "{{ job.step == 5 }}",
            "{{ not job.step }}",
            "{{ job.step + 1 }}",
            "at {{ job.step }}",
        ] {
            let evaluated = eval(template);
            assert_eq!(
                (evaluated.value, evaluated.unknown),
                (Json::Null, vec!["job.step".to_owned()]),
                "{template}"
            );
        }
        assert_eq!(text("at step {{ job.step }}", &names()).expect("renders"), "at step unknown");
    }

    #[test]
    fn a_text_that_is_no_number_is_unknown_and_not_zero() {
        assert_eq!(eval("{{ '  42 ' | number }}").value, json!(42));
        assert_eq!(eval("{{ '-0.5' | number }}").value, json!(-0.5));
        assert_eq!(eval("{{ job.id | number + 1 }}").value, json!(8));
        assert_eq!(eval("{{ ['1', '2'] | map('number') | sum }}").value, json!(3));
        for template in [
            "{{ '-' | number > 5 }}",
            "{{ '' | number < 5 }}",
            "{{ 'nan' | number < 5 }}",
            "{{ [] | first | number < 5 }}",
            "{{ ['1', 'x'] | map('number') | sum }}",
            "{{ job.step | number < 5 }}",
        ] {
            let evaluated = eval(template);
            assert_eq!(evaluated.value, Json::Null, "{template}");
            assert_eq!(evaluated.unknown.len(), 1, "{template}");
        }
        let error = value(&json!("{{ ' 3' | int }}"), &names()).err().map(|error| error.message);
        assert!(error.is_some_and(|error| error.contains("`| number` reads a text")));
        assert_eq!(eval("{{ 'x' | number is known }}").value, json!(false));
        assert_eq!(eval("{{ 'x' | number | default(7) }}").value, json!(7));
    }

    #[test]
    fn asking_whether_it_is_known_is_no_read() {
        assert_eq!(eval("{{ job.step is known }}").value, json!(false));
        assert_eq!(eval("{{ job.step is unknown or job.step > 3 }}").value, json!(true));
        assert_eq!(eval("{{ job.step is known and job.step > 3 }}").value, json!(false));
        assert_eq!(eval("{{ job.step | default(0) }}").value, json!(0));
        assert_eq!(eval("{{ job.id is known }}").value, json!(true));
    }

    #[test]
    fn open_and_predicted_values_are_noticed() {
        assert_eq!(eval("{{ later.id }}").open, vec!["later", "later.id"]);
        assert!(eval("{{ soon.id }}").predicted);
        assert_eq!(eval("{{ soon.id }}").value, json!(8));
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        for template in [
            "{{ jobb.id }}",
            "{{ job.idd }}",
            "{{ job.idd.x }}",
            "x {{ job.idd }}",
            "{{ 1 +  }}",
            "{{ nodes }}",
        ] {
            assert!(value(&json!(template), &names()).is_err(), "{template}");
        }
    }

    #[test]
    fn a_node_that_has_not_run_can_be_asked_about_or_given_a_default() {
        for (template, expected) in [
            ("{{ 1 if later_node is known else 0 }}", json!(0)),
            ("{{ later_node.step if later_node is defined else 0 }}", json!(0)),
            ("{{ (later_node | default({'step': 0})).step }}", json!(0)),
        ] {
            assert_eq!(eval(template).value, expected, "{template}");
        }
    }

    #[test]
    fn shell_text_is_quoted() {
        let schema = json!({"properties": {"run": {"x-shell": true}}});
        let with =
            json!({"run": "echo {{ job.name }} | grep '{{ job.name }}'", "host": "{{ job.nodes[1] }}"});
        let evaluated = params(&with, &schema, &names()).expect("evaluates");
        assert_eq!(evaluated.value, json!({"run": "echo 'a b' | grep '''a b'''", "host": "gpu-21"}));
    }
}
