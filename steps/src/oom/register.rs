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
        let yields = &registry.get("oom.read").unwrap().spec().output["properties"];
        let takes = &registry.get("oom.classify").unwrap().spec().params["properties"]["error"]["properties"];
        for name in takes.as_object().unwrap().keys() {
            assert!(yields.get(name).is_some(), "oom.read yields no {name}");
        }
    }
}
