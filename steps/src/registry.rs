//! All step kinds that ship.

use engine::step::Registry;

/// The step kinds that ship with `runbook`.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    crate::control::register(&mut registry);
    crate::shell::register(&mut registry);
    registry
}

#[cfg(test)]
mod tests {
    use super::registry;

    #[test]
    fn every_step_describes_itself() {
        let registry = registry();
        for step in registry.steps() {
            let spec = step.spec();
            assert!(!spec.summary.is_empty(), "{}", spec.kind);
            assert_eq!(spec.output["type"], "object", "{}", spec.kind);
            let properties = spec.params["properties"].as_object().into_iter().flatten();
            for (name, property) in properties {
                assert!(property.get("description").is_some(), "{}: `{name}` has no help", spec.kind);
            }
        }
    }
}
