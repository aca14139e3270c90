//! Smaller micro-batches with the same global batch, by what the framework derives from what. Pure.

use super::super::settings::{Found, Reading};
use super::framework::Batch;
use super::ladder::{Count, No, Taking};
use crate::text::clean;

impl Taking<'_> {
    /// Ranks that see different samples; `None` where that cannot be told.
    fn data_parallel(&mut self) -> Result<Option<u64>, No> {
        let framework = self.ask.framework;
        let Some(mut ranks) = self.ask.world_size else { return Ok(None) };
        for places in [&framework.parallel.tensor, &framework.parallel.pipeline, &framework.parallel.context]
        {
            if let Count::Is(found, size) = self.count(places)? {
                if ranks % size != 0 {
                    return Err(No::Cannot(format!(
                        "{} is {size}, which does not divide {ranks} ranks",
                        found.place
                    )));
                }
                ranks /= size;
            }
        }
        Ok(Some(ranks))
    }

    pub(super) fn micro_batch(&mut self) -> Result<String, No> {
        let framework = self.ask.framework;
        let micro = self.count(&framework.micro_batch)?;
        let accumulation = self.count(&framework.accumulation)?;
        let global = self.count(&framework.global_batch)?;
        let (micro, size) = match micro {
            Count::Is(found, size) => (found, size),
            _ if framework.batch == Batch::TwoOfThree => {
                return self.through_accumulation(accumulation, global);
            }
            _ => {
                let names = Self::names(&framework.micro_batch);
                return Err(No::Unknown(format!("none of {names} is set to a number")));
            }
        };
        let Some(factor) = self.ask.estimate.factor(size) else {
            return Err(No::Spent(format!("{} is 1 already", micro.place)));
        };
        let new = size / factor;
        match (framework.batch, accumulation, global) {
            (Batch::Explicit | Batch::TwoOfThree, Count::Is(found, steps), _) => {
                let more = steps
                    .checked_mul(factor)
                    .ok_or_else(|| No::Cannot(format!("{} is too large", found.place)))?;
                self.set(&micro, &new.to_string())?;
                self.set(&found, &more.to_string())?;
                self.follow(&framework.agrees.accumulation, steps, more)?;
            }
            // The third follows.
            (Batch::TwoOfThree, _, Count::Is(..)) => self.set(&micro, &new.to_string())?,
            (Batch::Explicit | Batch::TwoOfThree, Count::Auto, _) => {
                return Err(No::Unknown(
                    "the accumulation is left to something else, which was not found".to_owned(),
                ));
            }
            (Batch::Explicit | Batch::TwoOfThree, Count::Absent, _) => {
                let steps = framework.defaults.accumulation.unwrap_or(1);
                let at = Self::alike(&framework.accumulation, &micro.at)
                    .ok_or_else(|| No::Unknown("no place for the accumulation was found".to_owned()))?;
                self.set(&micro, &new.to_string())?;
                let beside = self.again(&micro)?;
                self.add(at, &(steps * factor).to_string(), &beside)?;
                self.follow(&framework.agrees.accumulation, steps, steps * factor)?;
            }
            (Batch::Derived, _, Count::Is(found, all)) => {
                if let Some(ranks) = self.data_parallel()?
                    && size.checked_mul(ranks).is_none_or(|pass| all % pass != 0)
                {
                    return Err(No::Cannot(format!(
                        "{} is {all}, no multiple of {size} on {ranks} ranks",
                        found.place
                    )));
                }
                self.set(&micro, &new.to_string())?;
                self.notes.push(format!("{} stays {all}: the accumulation follows from it.", found.place));
                self.follow_derived(factor)?;
            }
            (Batch::Derived, _, given) => {
                let unset = matches!(given, Count::Auto);
                let why = || {
                    No::Unknown(format!(
                        "{} is {size} and none of {} is set: with fewer samples per pass the global batch would shrink \
                         silently, and the number of data-parallel ranks by which to set it is not known",
                        micro.place,
                        Self::names(&framework.global_batch)
                    ))
                };
                let all = self.data_parallel()?.and_then(|ranks| ranks.checked_mul(size)).ok_or_else(why)?;
                let at = Self::alike(&framework.global_batch, &micro.at).ok_or_else(why)?.clone();
                self.set(&micro, &new.to_string())?;
                match self.read(&framework.global_batch) {
                    Reading::Found(found) if unset => self.set(&found, &all.to_string())?,
                    _ => {
                        let beside = self.again(&micro)?;
                        self.add(&at, &all.to_string(), &beside)?;
                    }
                }
                self.notes.push(format!(
                    "The global batch was {all}, from {} and the ranks; now it is written.",
                    micro.place
                ));
                self.follow_derived(factor)?;
            }
        }
        self.follow(&framework.agrees.micro_batch, size, new)?;
        self.resumed(size, new)?;
        Ok(format!("{size}->{new}"))
    }

    /// DeepSpeed's file may give the accumulation and the global batch only: then the micro-batch follows.
    fn through_accumulation(&mut self, accumulation: Count, global: Count) -> Result<String, No> {
        let framework = self.ask.framework;
        let Count::Is(global, all) = global else {
            let names = Self::names(&[&framework.micro_batch[..], &framework.global_batch[..]].concat());
            return Err(No::Unknown(format!("none of {names} is set to a number")));
        };
        let steps = match &accumulation {
            Count::Is(_, steps) => *steps,
            _ => 1,
        };
        let ranks = self
            .data_parallel()?
            .ok_or_else(|| No::Unknown("the number of ranks is not known".to_owned()))?;
        let size = steps.checked_mul(ranks).filter(|passes| all % passes == 0).map(|passes| all / passes);
        let size = size.ok_or_else(|| {
            No::Cannot(format!("{} is {all}, no multiple of {steps} passes on {ranks} ranks", global.place))
        })?;
        let Some(factor) = self.ask.estimate.factor(size) else {
            return Err(No::Spent(format!(
                "{all} samples in {steps} passes on {ranks} ranks are 1 per pass already"
            )));
        };
        match accumulation {
            Count::Is(found, _) => self.set(&found, &(steps * factor).to_string())?,
            _ => {
                let at = Self::alike(&framework.accumulation, &global.at).cloned();
                let at =
                    at.ok_or_else(|| No::Unknown("no place for the accumulation was found".to_owned()))?;
                self.add(&at, &(steps * factor).to_string(), &global)?;
            }
        }
        Ok(format!("{size}->{}", size / factor))
    }

    /// Where the accumulation follows, another reader of the same file may still have it in numbers.
    fn follow_derived(&mut self, factor: u64) -> Result<(), No> {
        for at in &self.ask.framework.agrees.accumulation {
            if let Reading::Unclear(why) = self.launch.read_at(at) {
                self.notes.push(format!(
                    "{} could not be looked at, and must agree where it is set ({why}).",
                    at.show()
                ));
                continue;
            }
            if let Count::Is(found, steps) = self.count(std::slice::from_ref(at))? {
                self.set(&found, &(steps * factor).to_string())?;
            }
        }
        Ok(())
    }

    /// The same setting after an edit.
    pub(super) fn again(&self, found: &Found) -> Result<Found, No> {
        match self.launch.read_at(&found.at) {
            Reading::Found(found) => Ok(found),
            _ => Err(No::Cannot(format!("{} was lost by an edit", found.place))),
        }
    }

    /// A training that resumes with the micro-batch of its checkpoint must find the new one there.
    fn resumed(&mut self, old: u64, new: u64) -> Result<(), No> {
        let Some(at) = &self.ask.framework.resumes_with else { return Ok(()) };
        let Reading::Found(found) = self.launch.read_at(at) else { return Ok(()) };
        let value = found.value.clone().unwrap_or_default();
        if value == old.to_string() {
            self.set(&found, &new.to_string())?;
        } else {
            self.notes.push(format!("{} is {}: some releases resume with it.", found.place, clean(&value)));
        }
        Ok(())
    }
}
