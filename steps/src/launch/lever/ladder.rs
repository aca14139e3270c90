//! The levers of a framework: which comes next, and what it changes in the launch. Pure.

use super::super::edits::Changed;
use super::super::settings::{At, File, Found, Launch, Reading};
use super::choose::{Choice, Edits, Pull, Rung};
use super::estimate::{Estimate, Run};
use super::framework::{Batch, Dimensions, Framework, Turn};
use crate::text::clean;

/// What the choice depends on.
pub(super) struct Ask<'a> {
    pub(super) framework: &'a Framework,
    pub(super) launch: &'a Launch,
    /// Levers that may be taken at all.
    pub(super) allow: &'a [Rung],
    /// Levers that were taken.
    pub(super) tried: &'a [Rung],
    /// The micro-batch may be made smaller again.
    pub(super) repeat: bool,
    /// Ranks of the job.
    pub(super) world_size: Option<u64>,
    pub(super) estimate: &'a Estimate,
}

/// Why a lever is not taken.
enum No {
    /// It has nothing left to give.
    Spent(String),
    /// Its setting was not found, or its value says nothing.
    Unknown(String),
    /// Its setting is there but cannot be edited safely.
    Cannot(String),
}

/// A lever being taken.
struct Taking<'a> {
    ask: &'a Ask<'a>,
    launch: Launch,
    changed: Vec<Changed>,
    notes: Vec<String>,
}

/// What is known of the model and of how it is run.
pub(super) fn run(framework: &Framework, launch: &Launch) -> Option<Run> {
    let word = |places: &[At]| match launch.read(places) {
        Reading::Found(found) => found.value,
        _ => None,
    };
    // Beyond this nothing is a model.
    let number =
        |places: &[At]| word(places)?.parse::<u64>().ok().filter(|number| (1..=1 << 30).contains(number));
    let model = &framework.model;
    let named = || {
        let key = format!("{}/{}", word(&model.name)?, word(&model.flavor)?);
        model.flavors.get(&key).copied()
    };
    let written = || {
        Some(Dimensions {
            layers: number(&model.layers)?,
            hidden: number(&model.hidden)?,
            ffn: number(&model.ffn),
            heads: number(&model.heads),
            vocabulary: number(&model.vocabulary),
        })
    };
    Some(Run {
        model: written().or_else(named)?,
        micro_batch: number(&framework.micro_batch)?,
        sequence: number(&framework.sequence)?,
        tensor: number(&framework.parallel.tensor).unwrap_or(1),
    })
}

/// Chooses the next lever: the first that is allowed, not yet tried, not spent, and can free enough.
pub(super) fn choose(ask: &Ask<'_>) -> Choice {
    let mut spent = Vec::new();
    for rung in Rung::ALL {
        let tried = ask.tried.contains(&rung) && !(rung == Rung::MicroBatch && ask.repeat);
        if tried || !ask.allow.contains(&rung) {
            continue;
        }
        let mut taking = Taking { ask, launch: ask.launch.clone(), changed: Vec::new(), notes: Vec::new() };
        let took = match rung {
            Rung::MicroBatch => taking.micro_batch(),
            Rung::Sequence => taking.sequence(),
            Rung::ActivationCheckpointing => taking.turn(rung, &ask.framework.activation_checkpointing),
            Rung::Sharding => taking.turn(rung, &ask.framework.sharding),
        };
        let took = took.and_then(|from_to| match ask.estimate.too_little(rung, &from_to) {
            Some(why) => Err(No::Spent(why)),
            None => Ok(from_to),
        });
        match took {
            Err(No::Spent(why)) => spent.push(format!("{}: {why}", rung.name())),
            Err(No::Unknown(why)) => {
                return Choice::Unknown(format!("{} ({}): {why}", rung.name(), ask.framework.name));
            }
            Err(No::Cannot(why)) => {
                return Choice::Cannot(format!("{} ({}): {why}", rung.name(), ask.framework.name));
            }
            Ok(from_to) => return Choice::Pull(taking.pull(rung, from_to, &spent)),
        }
    }
    Choice::Exhausted(spent)
}

/// A whole number that a setting holds.
enum Count {
    Absent,
    /// A word that leaves it to others.
    Auto,
    Is(Found, u64),
}

impl Taking<'_> {
    fn pull(self, rung: Rung, from_to: String, spent: &[String]) -> Pull {
        let Self { ask, launch, changed, mut notes } = self;
        // What a resumed training takes from its checkpoint needs no word where it is changed as well.
        let resumed = ask
            .framework
            .resumes_with
            .as_ref()
            .is_some_and(|at| changed.iter().any(|one| one.name == at.show()));
        let said = ask.framework.notes.get(&rung).into_iter().flatten();
        notes.extend(said.filter(|_| !resumed).cloned());
        notes.extend(match rung {
            Rung::Sequence => Some(super::choose::SHORTER.to_owned()),
            Rung::ActivationCheckpointing => Some(super::choose::SLOWER.to_owned()),
            Rung::Sharding => Some("More communication.".to_owned()),
            Rung::MicroBatch => None,
        });
        notes.extend(spent.iter().map(|why| format!("Not taken: {why}.")));
        let one = |change: &Changed| {
            let show = |value: &Option<String>| value.as_deref().map_or("not set".to_owned(), clean);
            format!("{} {} -> {}", change.name, show(&change.before), show(&change.after))
        };
        let mut description = changed.iter().map(one).collect::<Vec<_>>().join(", ");
        if rung == Rung::MicroBatch {
            description.push_str(": same global batch");
        }
        Pull { rung, edits: Edits::Launch(Box::new(launch), changed), from_to, description, notes }
    }

    fn read(&self, places: &[At]) -> Reading {
        self.launch.read(places)
    }

    fn count(&mut self, places: &[At]) -> Result<Count, No> {
        let found = match self.read(places) {
            Reading::Absent => return Ok(Count::Absent),
            Reading::Unclear(why) => return Err(No::Cannot(why)),
            Reading::Found(found) => found,
        };
        let value = found.value.clone().unwrap_or_default();
        if value == "auto" || value == "null" || self.ask.framework.unset.contains(&value) {
            return Ok(Count::Auto);
        }
        match value.parse::<u64>().ok().filter(|number| *number > 0) {
            Some(number) => Ok(Count::Is(found, number)),
            None => Err(No::Unknown(format!("{} is {}, not a number", found.place, clean(&value)))),
        }
    }

    /// Names of places, for people.
    fn names(places: &[At]) -> String {
        places.iter().map(At::show).collect::<Vec<_>>().join(", ")
    }

    /// Sets what was found to another value.
    fn set(&mut self, found: &Found, new: &str) -> Result<(), No> {
        // An edit made before may have changed it already: an accumulation that the script computes.
        match self.launch.read_at(&found.at) {
            Reading::Found(now) if now.value.as_deref() == Some(new) => {}
            _ => self.launch = self.launch.set(found, new).map_err(No::Cannot)?,
        }
        self.note(&found.at, found.value.clone(), new);
        self.notes.extend(found.notes.iter().cloned());
        Ok(())
    }

    fn add(&mut self, at: &At, new: &str, beside: &Found) -> Result<(), No> {
        self.launch = self.launch.add(at, new, beside).map_err(No::Cannot)?;
        self.note(at, None, new);
        Ok(())
    }

    fn note(&mut self, at: &At, before: Option<String>, new: &str) {
        let file = match at {
            At::Key(key) => match self.launch.files.get(key.split_once(':').map_or("main", |(file, _)| file))
            {
                Some(File::Read { path, .. }) => Some(path.clone()),
                _ => None,
            },
            _ => None,
        };
        let line = match self.launch.read_at(at) {
            Reading::Found(found) => found.line,
            _ => None,
        };
        let after = Some(new.to_owned());
        self.changed.push(Changed { name: at.show(), before, after, line, file });
    }

    /// The place among these that is of the kind of `other`: a flag beside a flag, a key beside a key.
    fn alike<'p>(places: &'p [At], other: &At) -> Option<&'p At> {
        let kind = |at: &At| match at {
            At::Flag(_) => (0, String::new()),
            At::Word(_) => (1, String::new()),
            At::Key(key) => (2, key.rsplit_once('.').map_or(String::new(), |(parent, _)| parent.to_owned())),
            At::Variable(_) => (3, String::new()),
        };
        places.iter().find(|at| kind(at) == kind(other))
    }

    /// Lets the places that must say the same follow.
    fn follow(&mut self, places: &[At], old: u64, new: u64) -> Result<(), No> {
        for at in places {
            if let Reading::Unclear(why) = self.launch.read_at(at) {
                self.notes.push(format!(
                    "{} could not be looked at, and must agree where it is set ({why}).",
                    at.show()
                ));
                continue;
            }
            match self.count(std::slice::from_ref(at))? {
                Count::Absent | Count::Auto => {}
                Count::Is(found, value) if value == old => self.set(&found, &new.to_string())?,
                Count::Is(found, value) => {
                    return Err(No::Cannot(format!(
                        "{} is {value}, where {old} would agree with the rest",
                        found.place
                    )));
                }
            }
        }
        Ok(())
    }

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

    fn micro_batch(&mut self) -> Result<String, No> {
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
    fn again(&self, found: &Found) -> Result<Found, No> {
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

    fn sequence(&mut self) -> Result<String, No> {
        let framework = self.ask.framework;
        if let Some(why) = framework.without.get(&Rung::Sequence) {
            return Err(No::Spent(why.clone()));
        }
        let (found, length) = match self.count(&framework.sequence)? {
            Count::Is(found, length) => (found, length),
            Count::Absent | Count::Auto => {
                let names = Self::names(&framework.sequence);
                return Err(No::Spent(format!("no length of sequences is set (none of {names})")));
            }
        };
        // Sequence and context parallelism cut it into two pieces per rank.
        let mut pieces = 2;
        for places in [&framework.parallel.tensor, &framework.parallel.context] {
            if let Count::Is(_, size) = self.count(places)? {
                pieces *= size;
            }
        }
        if length % 2 != 0 || (length / 2) % pieces != 0 {
            return Err(No::Spent(format!(
                "{} is {length}, whose half cannot be cut into {pieces} pieces",
                found.place
            )));
        }
        self.set(&found, &(length / 2).to_string())?;
        self.follow(&framework.agrees.sequence, length, length / 2)?;
        Ok(format!("{length}->{}", length / 2))
    }

    /// Turns the first switch that fits.
    fn turn(&mut self, rung: Rung, turns: &[Turn]) -> Result<String, No> {
        let mut odd = None;
        for turn in turns {
            let (value, found) = match self.launch.read_at(&turn.at) {
                Reading::Unclear(why) => return Err(No::Cannot(why)),
                Reading::Absent => ("absent".to_owned(), None),
                Reading::Found(found) => {
                    (found.value.clone().unwrap_or_else(|| "bare".to_owned()), Some(found))
                }
            };
            let fits = turn.from.contains(&value) || (turn.from.is_empty() && found.is_some());
            if !fits {
                odd = odd.or(found.map(|found| format!("{} is {}", found.place, clean(&value))));
                continue;
            }
            if turn.halve && !matches!(value.parse::<u64>(), Ok(number) if number > 1 && number % 2 == 0) {
                continue;
            }
            if let Some(why) = &turn.spent {
                let place = found.map_or(String::new(), |found| format!("{}: ", found.place));
                return Err(No::Spent(format!("{place}{why}")));
            }
            return self.turned(turn, &value, found);
        }
        match (odd, self.ask.framework.without.get(&rung)) {
            (Some(odd), _) => Err(No::Unknown(format!("{odd}, which is no value that is known here"))),
            (None, Some(why)) => Err(No::Spent(why.clone())),
            (None, None) => {
                let mut names: Vec<String> = turns.iter().map(|turn| turn.at.show()).collect();
                names.dedup();
                Err(No::Unknown(format!("none of {} is set", names.join(", "))))
            }
        }
    }

    fn turned(&mut self, turn: &Turn, value: &str, found: Option<Found>) -> Result<String, No> {
        self.notes.extend(turn.notes.iter().cloned());
        if turn.halve {
            let found = found.ok_or_else(|| No::Unknown(format!("{} is not set", turn.at.show())))?;
            let half = value.parse::<u64>().map_or(0, |number| number / 2);
            self.set(&found, &half.to_string())?;
            if let Some(other) = &turn.doubles
                && let Count::Is(other, number) = self.count(std::slice::from_ref(other))?
            {
                self.set(&other, &(number * 2).to_string())?;
            }
            return Ok(format!("{value}->{half}"));
        }
        if let (Some(words), Some(found)) = (&turn.words, &found) {
            self.launch = self.launch.replace(found, words).map_err(No::Cannot)?;
            let (name, new) = words.split_once(' ').unwrap_or((words, ""));
            self.note(&turn.at, None, "");
            self.changed.pop();
            let new = new.split(' ').next().unwrap_or_default();
            self.note(&At::Flag(name.to_owned()), Some(turn.at.show()), new);
            return Ok(format!("{}->{new}", turn.at.show()));
        }
        let new = turn.to.clone().unwrap_or_default();
        let anchor = match found {
            Some(found) => {
                self.set(&found, &new)?;
                self.again(&found)?
            }
            None => {
                let Reading::Found(beside) = self.read(&turn.beside) else {
                    let why = format!(
                        "no place for {} was found beside {}",
                        turn.at.show(),
                        Self::names(&turn.beside)
                    );
                    return Err(No::Unknown(why));
                };
                self.add(&turn.at, &new, &beside)?;
                match self.launch.read_at(&turn.at) {
                    Reading::Found(found) => found,
                    _ => beside,
                }
            }
        };
        let mut anchor = anchor;
        for also in &turn.also {
            match self.launch.read_at(&also.at) {
                Reading::Found(other) if other.value.as_deref() == Some(also.to.as_str()) => {}
                Reading::Found(other) => self.set(&other, &also.to)?,
                Reading::Unclear(why) => return Err(No::Cannot(why)),
                Reading::Absent => {
                    self.add(&also.at, &also.to, &anchor)?;
                    if let Reading::Found(found) = self.launch.read_at(&also.at) {
                        anchor = found;
                    }
                }
            }
        }
        let shown = if new.is_empty() { "on".to_owned() } else { new };
        Ok(format!("{value}->{shown}"))
    }
}
