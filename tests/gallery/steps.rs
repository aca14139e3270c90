//! Steps for the gallery: data as real ones have, nothing that runs.

use engine::step::{
    AnyPreview, Confirmation, Effect, Outcomes, Performed, Registry, Step, StepCx, StepError, StepSpec,
    Unbounded, UndoPreview, Undone,
};
use serde_json::{Value, json};

struct Picture(StepSpec);

#[async_trait::async_trait]
impl Step for Picture {
    fn spec(&self) -> &StepSpec {
        &self.0
    }

    fn effect(&self, _params: &Value) -> Effect {
        self.0.effect
    }

    /// As a step that looks into commands would say.
    fn unbounded(&self, with: &Value) -> Vec<Unbounded> {
        let follows = with["run"].as_str().is_some_and(|run| run.contains("tail -f"));
        let (message, help) =
            ("`tail -f` does not end by itself".to_owned(), "Take what there is now.".to_owned());
        follows.then_some(Unbounded { param: "run", message, help }).into_iter().collect()
    }

    async fn preview(&self, _cx: &StepCx, _params: &Value) -> Result<AnyPreview, StepError> {
        Err(StepError::failed("a picture"))
    }

    async fn perform(&self, _cx: &StepCx, _p: &Value, _i: &Value) -> Result<Performed<Value>, StepError> {
        Err(StepError::failed("a picture"))
    }

    async fn confirm(&self, _cx: &StepCx, _p: &Value, _i: &Value) -> Result<Confirmation<Value>, StepError> {
        Err(StepError::failed("a picture"))
    }

    async fn preview_undo(&self, _cx: &StepCx, _p: &Value, _i: &Value) -> Result<UndoPreview, StepError> {
        Err(StepError::failed("a picture"))
    }

    async fn undo(&self, _cx: &StepCx, _params: &Value, _intent: &Value) -> Result<Undone, StepError> {
        Err(StepError::failed("a picture"))
    }
}

/// `required` of `properties`, and nothing else.
fn record(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// A few steps, shaped like real ones.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    let mut add = |kind, effect, outcomes, params, output| {
        registry.register(Picture(StepSpec { kind, summary: "", effect, outcomes, params, output }));
    };
    add(
        "slurm.job",
        Effect::Reads,
        Outcomes::fixed(&[
            ("found", "Slurm knows the job"),
            ("missing", "Slurm does not know it"),
            ("unknown", "Slurm did not answer"),
        ]),
        record(&["job"], json!({ "job": text("Job id.") })),
        record(
            &[],
            json!({
                "nodes": { "type": ["array", "null"], "items": { "type": "string" } },
                "script": { "type": ["string", "null"] },
                "steps": {
                    "type": "array",
                    "items": { "type": "object", "properties": { "name": { "type": "string" } } },
                },
            }),
        ),
    );
    add(
        "oom.read",
        Effect::Reads,
        Outcomes::fixed(&[
            ("gpu_oom", "A GPU ran out of memory"),
            ("host_oom", "The host did"),
            ("none", "No such error in the logs"),
            ("unknown", "The logs could not be read"),
        ]),
        record(
            &["logs"],
            json!({
                "logs": { "type": "array", "items": { "type": "string" }, "description": "Log files." },
                "last_lines": { "type": "integer", "minimum": 1, "maximum": 100_000 },
            }),
        ),
        record(
            &[],
            json!({
                "tried": { "type": ["integer", "null"] },
                "free": { "type": ["integer", "null"] },
                "step": { "type": ["integer", "null"] },
                "node": { "type": ["string", "null"] },
            }),
        ),
    );
    add(
        "gpu.health",
        Effect::Reads,
        Outcomes::fixed(&[("healthy", ""), ("faulty", ""), ("unknown", "")]),
        record(
            &["node"],
            json!({ "node": text("Host name."), "depth": { "type": "string", "enum": ["quick", "full"] } }),
        ),
        record(
            &[],
            json!({ "verdict": { "type": "string" }, "xids": { "type": "array", "items": { "type": "integer" } } }),
        ),
    );
    add(
        "decide",
        Effect::Pure,
        Outcomes::keys(None, &[("unknown", "An expression read something unknown")]),
        json!({ "type": "object", "additionalProperties": { "type": ["boolean", "string"] } }),
        record(&[], json!({})),
    );
    add(
        "slurm.cancel",
        Effect::Irreversible,
        Outcomes::fixed(&[("released", "The GPUs are free"), ("stuck", "The job does not end")]),
        record(&["job"], json!({ "job": text("Job id."), "signal": { "type": ["string", "null"] } })),
        record(&[], json!({ "state": { "type": "string" } })),
    );
    add(
        "slurm.drain",
        Effect::Reversible,
        Outcomes::fixed(&[("drained", ""), ("refused", "")]),
        record(
            &["node", "reason"],
            json!({ "node": text("Host name."), "reason": text("Shown to all users.") }),
        ),
        record(&[], json!({ "node": { "type": "string" } })),
    );
    add(
        "shell.run",
        Effect::Irreversible,
        Outcomes::fixed(&[("ok", "Exit code 0"), ("failed", "Another exit code")]),
        record(
            &["run"],
            json!({
                "run": { "type": "string", "x-shell": true },
                "effect": { "type": "string", "enum": ["reads", "changes"] },
                "reason": { "type": ["string", "null"] },
            }),
        ),
        record(&[], json!({ "stdout": { "type": "string" }, "code": { "type": "integer" } })),
    );
    registry
}
