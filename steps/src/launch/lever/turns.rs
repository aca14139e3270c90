//! Switches of a framework: recomputation of activations, sharding. Pure.

use super::super::settings::{At, Found, Reading};
use super::choose::Rung;
use super::framework::Turn;
use super::ladder::{Count, No, Taking};
use crate::text::clean;

impl Taking<'_> {
    /// Turns the first switch that fits.
    pub(super) fn turn(&mut self, rung: Rung, turns: &[Turn]) -> Result<String, No> {
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
