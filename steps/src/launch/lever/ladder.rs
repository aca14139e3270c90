//! The levers of a framework: which comes next, and what it changes in the launch. Pure.

use super::super::edits::Changed;
use super::super::settings::{At, File, Found, Launch, Reading};
use super::choose::{Choice, Edits, Pull, Rung};
use super::estimate::{Estimate, Run};
use super::framework::{Dimensions, Framework};
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
pub(super) enum No {
    /// It has nothing left to give.
    Spent(String),
    /// Its setting was not found, or its value says nothing.
    Unknown(String),
    /// Its setting is there but cannot be edited safely.
    Cannot(String),
}

/// A lever being taken.
pub(super) struct Taking<'a> {
    pub(super) ask: &'a Ask<'a>,
    /// The launch with what was edited so far.
    pub(super) launch: Launch,
    pub(super) changed: Vec<Changed>,
    pub(super) notes: Vec<String>,
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
pub(super) enum Count {
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

    pub(super) fn read(&self, places: &[At]) -> Reading {
        self.launch.read(places)
    }

    pub(super) fn count(&mut self, places: &[At]) -> Result<Count, No> {
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
    pub(super) fn names(places: &[At]) -> String {
        places.iter().map(At::show).collect::<Vec<_>>().join(", ")
    }

    /// Sets what was found to another value.
    pub(super) fn set(&mut self, found: &Found, new: &str) -> Result<(), No> {
        // An edit made before may have changed it already: an accumulation that the script computes.
        match self.launch.read_at(&found.at) {
            Reading::Found(now) if now.value.as_deref() == Some(new) => {}
            _ => self.launch = self.launch.set(found, new).map_err(No::Cannot)?,
        }
        self.note(&found.at, found.value.clone(), new);
        self.notes.extend(found.notes.iter().cloned());
        Ok(())
    }

    pub(super) fn add(&mut self, at: &At, new: &str, beside: &Found) -> Result<(), No> {
        self.launch = self.launch.add(at, new, beside).map_err(No::Cannot)?;
        self.note(at, None, new);
        Ok(())
    }

    pub(super) fn note(&mut self, at: &At, before: Option<String>, new: &str) {
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
    pub(super) fn alike<'p>(places: &'p [At], other: &At) -> Option<&'p At> {
        let kind = |at: &At| match at {
            At::Flag(_) => (0, String::new()),
            At::Word(_) => (1, String::new()),
            At::Key(key) => (2, key.rsplit_once('.').map_or(String::new(), |(parent, _)| parent.to_owned())),
            At::Variable(_) | At::Passed(_) | At::Starter(_) => (3, String::new()),
        };
        places.iter().find(|at| kind(at) == kind(other))
    }

    /// Lets the places that must say the same follow.
    pub(super) fn follow(&mut self, places: &[At], old: u64, new: u64) -> Result<(), No> {
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
}
