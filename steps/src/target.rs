//! What changes act on, as locks and policies name it. What two names mean alike has one.

/// The job of an id as it is typed. Parts of a heterogeneous job (`123+1`) are stopped together and are one; the tasks of an
/// array (`123_4`) are stopped one by one.
pub fn job(id: &str) -> String {
    let id = id.trim();
    format!("job/{}", id.split_once('+').map_or(id, |(job, _)| job))
}

/// A host, whether Slurm or ssh is told its name.
pub fn node(name: &str) -> String {
    format!("node/{}", name.trim())
}

/// A file by its path.
pub(crate) fn file(path: &str) -> String {
    format!("file/{path}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    /// Every step that changes something, and what it acts on; nothing where nothing can be named beforehand.
    #[test]
    fn every_change_names_what_it_acts_on() {
        let mut registry = engine::step::Registry::default();
        crate::register(&mut registry);
        let changes = [
            ("slurm.cancel", json!({ "job": "123_4" }), "job/123_4"),
            ("slurm.cancel", json!({ "job": "123+1" }), "job/123"),
            ("slurm.submit", json!({ "job": 123 }), "job/123"),
            ("slurm.drain", json!({ "node": "gpu-21", "reason": "Xid 95" }), "node/gpu-21"),
            ("launch.edit", json!({ "script": "/d/train.sbatch" }), "file//d/train.sbatch"),
            ("launch.allocator", json!({ "script": "/d/train.sbatch" }), "file//d/train.sbatch"),
            ("launch.lever", json!({ "script": "/d/train.sbatch" }), "file//d/train.sbatch"),
            ("checkpoint.pin", json!({ "path": "/d/step-9" }), "file//d/step-9"),
            ("ssh", json!({ "host": "gpu-21", "run": "rmmod x" }), "node/gpu-21"),
            ("shell", json!({ "run": "rm x" }), ""),
            ("notify", json!({ "to": "stdout", "text": "x" }), ""),
        ];
        for (kind, params, target) in &changes {
            let targets = registry.get(kind).unwrap().targets(params);
            assert_eq!(targets.first().map_or("", String::as_str), *target, "{kind}");
            assert!(targets.len() <= 1);
        }
        for step in registry.steps().filter(|step| step.spec().effect.changes()) {
            let kind = step.spec().kind;
            assert!(changes.iter().any(|(known, ..)| *known == kind), "{kind} is not among these");
        }
    }
}
