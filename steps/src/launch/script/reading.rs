//! The value that a variable has where the training is launched.

use std::ops::Range;

use super::facts::{Deed, Event};
use super::flow::{Bearing, Moment, moments};
use super::parse::{Launch, Script};
use super::value::{Style, Value};

/// What is known of a variable at the launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::launch) enum Reading {
    /// The script does not set it. The environment that it is submitted from still may.
    Absent,
    /// The script sets it to this.
    Known(Setting),
    /// The script sets it in a way that cannot be told, or edited, safely.
    Unclear(Unclear),
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::launch) struct Setting {
    /// The value.
    pub(in crate::launch) value: String,
    /// The line that sets it, counted from 1.
    pub(in crate::launch) line: usize,
    /// It reaches the launched program's environment.
    pub(in crate::launch) exported: bool,
    /// The script expands it after it was set.
    pub(in crate::launch) used: bool,
    /// The first line that expands it before it is set: what was made of it there keeps the earlier value.
    pub(in crate::launch) read_before: Option<usize>,
    /// A `${NAME:-value}`: a value in the environment that the script is submitted from wins.
    pub(in crate::launch) soft: bool,
    pub(super) target: Target,
}

/// Where a value is edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The value's text.
    pub(super) value: Range<usize>,
    /// How it is quoted.
    pub(super) style: Style,
    /// The default inside the value, where that alone may be edited.
    pub(super) default: Option<Range<usize>>,
    /// Index of the event that writes it.
    pub(super) event: usize,
}

/// Why a value cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::launch) enum Unclear {
    /// Only running the script tells.
    #[error("line {line} computes it")]
    Computed {
        /// The line.
        line: usize,
    },
    /// It is set in a branch, a loop or a function that may or may not be executed.
    #[error("line {line} sets it only under some condition")]
    Conditional {
        /// The line.
        line: usize,
    },
    /// Its name is followed by `=` in text that another shell or program reads.
    #[error("line {line} sets it in text that another program reads")]
    Elsewhere {
        /// The line.
        line: usize,
    },
    /// Launches see different values.
    #[error("the launches on lines {} see different values", .lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Differs {
        /// The launches' lines.
        lines: Vec<usize>,
    },
    /// The training is started in a function whose calls cannot be told.
    #[error("line {line} starts the training in a function whose calls cannot be told")]
    Untold {
        /// The line.
        line: usize,
    },
    /// Nothing in the script starts the training.
    #[error(
        "no command that starts the training was found (srun, torchrun, python -m torch.distributed…, accelerate launch, deepspeed, mpirun)"
    )]
    NoLaunch,
}

/// Longest chain of `A=${A:-b}` that is followed.
const MOST_DEFAULTS: usize = 20;

impl Script {
    /// What is known of `name` where the training is launched.
    pub(in crate::launch) fn reading(&self, name: &str) -> Reading {
        if let Some(line) = self.untold_launch() {
            return Reading::Unclear(Unclear::Untold { line });
        }
        let mut all = self.launches().iter().map(|launch| self.reading_at(name, launch));
        let Some(first) = all.next() else { return Reading::Unclear(Unclear::NoLaunch) };
        let value = |reading: &Reading| match reading {
            Reading::Known(setting) => Some((setting.value.clone(), setting.exported)),
            _ => None,
        };
        for other in all {
            match (&first, &other) {
                (Reading::Unclear(_), _) => break,
                (_, Reading::Unclear(_)) => return other,
                _ if value(&first) != value(&other) => {
                    return Reading::Unclear(Unclear::Differs { lines: self.launch_lines() });
                }
                _ => {}
            }
        }
        first
    }

    /// What is known of `name` at one launch.
    pub(super) fn reading_at(&self, name: &str, launch: &Launch) -> Reading {
        if let Some(at) = self.elsewhere(name) {
            return Reading::Unclear(Unclear::Elsewhere { line: self.line(at) });
        }
        if let Some(event) = self.entangled(name) {
            return Reading::Unclear(Unclear::Conditional { line: self.line(event.whole.start) });
        }
        self.before(name, &launch.moment, None, 0)
    }

    /// The value at `launch`, as far as events before `bound` make it; `depth` is how many defaults led there.
    fn before(&self, name: &str, launch: &Moment, bound: Option<&[usize]>, depth: usize) -> Reading {
        let conditional =
            |event: &Event| Reading::Unclear(Unclear::Conditional { line: self.line(event.whole.start) });
        let mut last: Option<(usize, &Event, Moment, Bearing)> = None;
        for (index, event) in self.facts.events.iter().enumerate() {
            if event.name != name || matches!(event.deed, Deed::Export(_)) {
                continue;
            }
            let Some(all) = moments(&self.facts, &event.place) else { return conditional(event) };
            for moment in all {
                let bearing = self.bearing(event, &moment, launch);
                // In a loop, what comes after the launch comes before its next round.
                if bearing == Bearing::Possible && moment.order >= launch.order {
                    return conditional(event);
                }
                let bounded = bound.is_none_or(|bound| moment.order.as_slice() < bound);
                let later = last.as_ref().is_none_or(|(_, _, best, _)| moment.order > best.order);
                if bearing != Bearing::None && bounded && later {
                    last = Some((index, event, moment, bearing));
                }
            }
        }
        let Some((index, event, moment, bearing)) = last else { return Reading::Absent };
        if bearing == Bearing::Possible {
            return conditional(event);
        }
        let target = |default| Target {
            value: event.value.clone(),
            style: match &event.deed {
                Deed::Assign(_, style) => *style,
                _ => Style::Bare,
            },
            default,
            event: index,
        };
        match &event.deed {
            Deed::Unset | Deed::Export(_) => Reading::Absent,
            Deed::Opaque | Deed::Assign(Value::Computed, _) => {
                Reading::Unclear(Unclear::Computed { line: self.line(event.whole.start) })
            }
            Deed::Assign(Value::Literal(text), _) => {
                self.known(event, launch, text.clone(), target(None), false)
            }
            Deed::Assign(Value::OwnDefault { .. }, _) if depth == MOST_DEFAULTS => {
                Reading::Unclear(Unclear::Computed { line: self.line(event.whole.start) })
            }
            Deed::Assign(Value::OwnDefault { text, range, over_empty }, _) => {
                // `: ${A:=b}` only assigns where nothing has; `A=${A:-b}` assigns in any case.
                let assigns = event.whole != event.value;
                match self.before(name, launch, Some(&moment.order), depth + 1) {
                    Reading::Unclear(unclear) => Reading::Unclear(unclear),
                    Reading::Known(earlier) if !(earlier.value.is_empty() && *over_empty) => {
                        if assigns {
                            self.known(event, launch, earlier.value, target(None), earlier.soft)
                        } else {
                            Reading::Known(earlier)
                        }
                    }
                    _ => self.known(event, launch, text.clone(), target(Some(range.clone())), true),
                }
            }
        }
    }

    fn known(&self, event: &Event, launch: &Moment, value: String, target: Target, soft: bool) -> Reading {
        let line = self.line(event.whole.start);
        let exported = match self.exported(event, launch) {
            Bearing::Certain => true,
            Bearing::None => false,
            Bearing::Possible => return Reading::Unclear(Unclear::Conditional { line }),
        };
        let used = self.reads(&event.name).any(|at| at > event.whole.end);
        let read_before = self.reads(&event.name).find(|at| *at < event.whole.start).map(|at| self.line(at));
        Reading::Known(Setting { value, line, exported, used, read_before, soft, target })
    }

    /// What `event` at `moment` means for the launch, shells and scopes of variables considered.
    pub(super) fn bearing(&self, event: &Event, moment: &Moment, launch: &Moment) -> Bearing {
        let called = !event.prefix || event.place.command.is_some_and(|id| launch.within(id));
        let inside = !event.local || event.place.function.as_deref().is_none_or(|f| launch.inside(f));
        if called && inside { moment.bearing(launch) } else { Bearing::None }
    }

    /// An event in the scope of another of the same name: in a function that has the variable as its own, or that is called
    /// with it as a prefix. What comes of those is known to few, and not by us.
    fn entangled(&self, name: &str) -> Option<&Event> {
        let events = || self.facts.events.iter().filter(|event| event.name == name);
        let scopes: Vec<&Event> = events().filter(|event| event.local || event.prefix).collect();
        events().find(|event| {
            let all = moments(&self.facts, &event.place).unwrap_or_default();
            scopes.iter().filter(|scope| scope.whole != event.whole).any(|scope| {
                all.iter().any(|moment| match (scope.prefix, scope.place.command, &scope.place.function) {
                    (true, Some(command), _) => moment.within(command),
                    (false, _, Some(function)) => moment.inside(function),
                    _ => false,
                })
            })
        })
    }

    /// Whether what `event` assigns is exported at the launch; `Possible` where that cannot be told.
    fn exported(&self, event: &Event, launch: &Moment) -> Bearing {
        if event.prefix {
            return Bearing::Certain;
        }
        let others = || self.facts.events.iter().filter(|other| other.name == event.name);
        // Whether a local variable takes over an outer one's export depends on the shell's version and settings.
        if event.local && !event.exports && others().any(|other| !other.local) {
            return Bearing::Possible;
        }
        let mut turns = Vec::new();
        for other in others().filter(|other| !other.prefix) {
            let Some(all) = moments(&self.facts, &other.place) else { return Bearing::Possible };
            for moment in all {
                let bearing = self.bearing(other, &moment, launch);
                match other.deed {
                    Deed::Export(on) => turns.push((moment.order, bearing, on)),
                    Deed::Unset => turns.push((moment.order, bearing, false)),
                    _ if other.exports => turns.push((moment.order, bearing, true)),
                    _ => match self.all_exported(launch, &moment) {
                        Bearing::Certain => turns.push((moment.order, bearing, true)),
                        Bearing::Possible if bearing != Bearing::None => {
                            return Bearing::Possible;
                        }
                        Bearing::Possible | Bearing::None => {}
                    },
                }
            }
        }
        state(turns)
    }

    /// Whether `set -a`, which exports whatever is assigned, holds at a moment before the launch.
    fn all_exported(&self, launch: &Moment, at: &Moment) -> Bearing {
        let mut turns = Vec::new();
        for call in self.facts.calls.iter().filter(|call| call.words.first().is_some_and(|w| w == "set")) {
            let flag = |sign: char| {
                let among = |word: &String| {
                    word.strip_prefix(sign)
                        .is_some_and(|flags| !flags.starts_with(sign) && flags.contains('a'))
                };
                call.words.iter().any(among)
                    || call
                        .words
                        .windows(2)
                        .any(|pair| pair[0] == format!("{sign}o") && pair[1] == "allexport")
            };
            if !flag('-') && !flag('+') {
                continue;
            }
            let Some(all) = moments(&self.facts, &call.place) else { return Bearing::Possible };
            let before = all.into_iter().filter(|moment| moment.order < at.order);
            turns.extend(before.map(|moment| (moment.order.clone(), moment.bearing(launch), flag('-'))));
        }
        state(turns)
    }

    /// Offsets at which `name` is expanded other than in its own assignments and in what is only printed.
    pub(super) fn reads(&self, name: &str) -> impl Iterator<Item = usize> {
        self.facts.reads.iter().filter(move |(read, _)| read == name).map(|(_, at)| *at).filter(move |at| {
            let own = self.facts.events.iter().any(|event| event.name == name && event.whole.contains(at));
            !own && !self.facts.printed.iter().any(|range| range.contains(at))
        })
    }

    /// Whether this is in a comment, and not in one by which sbatch sets variables (`#SBATCH --export=ALL,A=b`).
    fn comment(&self, at: usize) -> bool {
        self.facts.comments.iter().find(|range| range.contains(&at)).is_some_and(|range| {
            let text = &self.text()[range.clone()];
            !(text.starts_with("#SBATCH") && text.contains("--export"))
        })
    }

    /// The first offset at which the text `name=` stands where it is no assignment of this shell: in a string, a here
    /// document or a word, to be read by something else.
    fn elsewhere(&self, name: &str) -> Option<usize> {
        let text = self.text();
        let word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        text.match_indices(name).map(|(at, _)| at).find(|at| {
            let (before, after) = (&text.as_bytes()[..*at], &text[at + name.len()..]);
            let Some(value) = after.strip_prefix('=') else { return false };
            if word(before.last())
                || matches!(before.last(), Some(b'-' | b'$' | b'{'))
                || value.starts_with('=')
            {
                return false;
            }
            // `--export=ALL,A=$A` hands on what it has.
            let passes = [format!("${name}"), format!("${{{name}}}")].iter().any(|own| {
                let rest = value.trim_start_matches(['"', '\\']).strip_prefix(own.as_str());
                rest.is_some_and(|rest| !word(rest.as_bytes().first()))
            });
            let in_any = |ranges: &[Range<usize>]| ranges.iter().any(|range| range.contains(at));
            let assigned = self.facts.events.iter().any(|e| e.whole.start == *at && e.name == name);
            !passes && !assigned && !self.comment(*at) && !in_any(&self.facts.printed)
        })
    }
}

/// A switch after all that turned it on and off, by the order of execution; `Possible` where that cannot be told.
fn state(mut turns: Vec<(Vec<usize>, Bearing, bool)>) -> Bearing {
    turns.sort_by(|a, b| a.0.cmp(&b.0));
    let mut state = Bearing::None;
    for (_, bearing, on) in turns {
        let turned = if on { Bearing::Certain } else { Bearing::None };
        state = match bearing {
            Bearing::Certain => turned,
            Bearing::Possible if state != turned => Bearing::Possible,
            Bearing::Possible | Bearing::None => state,
        };
    }
    state
}
