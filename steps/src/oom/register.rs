//! The family's step kinds.

use engine::step::{Read, Registry};

use super::classify::OomClassify;
use super::read::OomRead;
use super::snapshot::OomSnapshot;

/// Adds `oom.read`, `oom.snapshot` and `oom.classify`.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(Read::new(OomRead));
    registry.register(Read::new(OomSnapshot));
    registry.register(Read::new(OomClassify));
}

#[cfg(test)]
mod tests {
    use engine::step::{Effect, Outcomes};

    use super::*;

    #[test]
    fn the_kinds_are_described() {
        let mut registry = Registry::default();
        register(&mut registry);
        let words = |kind: &str| {
            let spec = registry.get(kind).unwrap().spec();
            let Outcomes::Fixed(outcomes) = &spec.outcomes else { panic!("outcomes are fixed") };
            let names: Vec<&str> = outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
            (spec.effect, names.join(" "))
        };
        assert_eq!(words("oom.read"), (Effect::Reads, "gpu_oom host_oom none unknown".to_owned()));
        assert_eq!(words("oom.snapshot"), (Effect::Reads, "found none unreadable".to_owned()));
        assert_eq!(
            words("oom.classify"),
            (Effect::Pure, "true_oom fragmentation co_tenant unknown".to_owned())
        );
    }

    #[test]
    fn what_one_yields_the_other_takes() {
        let mut registry = Registry::default();
        register(&mut registry);
        let yields = |kind: &str| registry.get(kind).unwrap().spec().output["properties"].clone();
        let params = &registry.get("oom.classify").unwrap().spec().params;
        // A parameter that may be null refers to its type in one of two ways.
        let takes = |name: &str| {
            let param = &params["properties"][name];
            let of = param["anyOf"][0]["$ref"].as_str().map(|path| path.trim_start_matches('#'));
            let shape = of.map_or(param, |path| params.pointer(path).unwrap());
            shape["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        for (kind, name) in [("oom.read", "error"), ("oom.snapshot", "snapshot")] {
            let yields = yields(kind);
            for key in takes(name) {
                assert!(yields.get(&key).is_some(), "{kind} yields no {key}");
            }
        }
    }
}
