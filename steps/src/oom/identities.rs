//! What must be true of the numbers in one message, whatever happened: so that a person can check them, and so that numbers
//! which contradict each other lead to nothing.

use schemars::JsonSchema;
use serde::Serialize;

use super::kind::Kind;
use super::message::{OomMessage, Process};
use crate::size::{GIB, MIB, exact};

/// Two decimals of a GiB, three times over: sums of printed numbers differ by less.
pub(super) const ROUNDING: u64 = 16 * MIB;
/// The driver itself keeps back up to this much of what it calls free.
pub(super) const HELD_BACK: u64 = 64 * MIB;
/// NVML may count so much less for a process than PyTorch reserved in it.
pub(super) const OWN_LESS: u64 = GIB / 10;

/// A relation between the numbers of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Identity {
    /// The relation, in the names of the fields; `processes` is the sum of theirs.
    pub(crate) identity: &'static str,
    /// Whether it holds, but for `slack`.
    pub(crate) holds: bool,
    /// Left side less right side, bytes.
    pub(crate) difference: i64,
    /// Bytes that may be missing to it: what printed decimals and the driver hide.
    pub(crate) slack: u64,
    /// What follows where it does not hold; null: it holds.
    pub(crate) means: Option<&'static str>,
    /// No device and no allocator prints this: the numbers are not those of one message.
    #[serde(skip)]
    contradicts: bool,
}

impl Identity {
    /// What to say where no message can be like this.
    pub(super) fn contradiction(&self) -> Option<String> {
        self.contradicts.then(|| {
            let by = exact(self.difference.unsigned_abs());
            format!("the numbers contradict each other: {} is off by {by}", self.identity)
        })
    }
}

/// The first contradiction among them.
pub(super) fn contradiction(identities: &[Identity]) -> Option<String> {
    identities.iter().find_map(Identity::contradiction)
}

/// The numbers of a message in bytes; `None`: it does not say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers<'a> {
    pub(super) kind: Option<Kind>,
    pub(super) tried: Option<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) free: Option<u64>,
    pub(super) allocated: Option<u64>,
    pub(super) reserved: Option<u64>,
    pub(super) unallocated: Option<u64>,
    pub(super) pools: Option<u64>,
    pub(super) this_process: Option<u64>,
    pub(super) processes: &'a [Process],
    pub(super) limit: Option<u64>,
}

impl<'a> From<&'a OomMessage> for Numbers<'a> {
    fn from(message: &'a OomMessage) -> Self {
        Self {
            kind: Some(message.kind),
            tried: message.tried,
            capacity: message.capacity,
            free: message.free,
            allocated: message.allocated,
            reserved: message.reserved,
            unallocated: message.reserved_unallocated,
            pools: message.private_pools,
            this_process: message.this_process,
            processes: &message.processes,
            limit: message.limit,
        }
    }
}

const IMPOSSIBLE: &str = "the numbers contradict each other";
const MOVED: &str = "the driver moves memory to the host (WSL, Windows)";
const PARTED: &str =
    "the device is a part of a GPU (MIG), or somebody took memory while the message was composed";
const NVML: &str = "NVML does not see the process as PyTorch does";
const LOWERED: &str = "the memory fraction was lowered after the memory was taken";
const UNPRINTED: &str = "something that is not printed refused it (a memory fraction, MIG, WSL, graph capture, others that have ended)";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    AtMost,
    MoreThan,
}

impl Numbers<'_> {
    /// Every relation of which all numbers are known. `reserved` counts as the message's own even where it follows from the
    /// other two.
    pub(super) fn identities(&self) -> Vec<Identity> {
        use Relation::{AtMost, Equal, MoreThan};
        let mut all = Vec::new();
        let mut check = |name, sides: Option<(i128, i128)>, relation, slack: u64, means: &'static str| {
            let Some((left, right)) = sides else { return };
            let (difference, room) = (left - right, i128::from(slack));
            let holds = match relation {
                Equal => difference.abs() <= room,
                AtMost => difference <= room,
                MoreThan => difference > -room,
            };
            all.push(Identity {
                identity: name,
                holds,
                difference: i64::try_from(difference).unwrap_or(if difference < 0 {
                    i64::MIN
                } else {
                    i64::MAX
                }),
                slack,
                means: (!holds).then_some(means),
                contradicts: !holds && means == IMPOSSIBLE,
            });
        };
        let pair = |left: Option<i128>, right: Option<i128>| left.zip(right);
        let (free, capacity) = (wide(self.free), wide(self.capacity));
        check("free <= capacity", pair(free, capacity), AtMost, ROUNDING, IMPOSSIBLE);
        if !self.kind.is_some_and(Kind::is_caching_allocator) {
            return all;
        }
        let (allocated, reserved) = (wide(self.allocated), wide(self.reserved));
        let parts = sum(allocated, wide(self.unallocated));
        let whole = "allocated + reserved_unallocated = reserved";
        check(whole, pair(parts, reserved), Equal, ROUNDING, IMPOSSIBLE);
        check("allocated <= reserved", pair(allocated, reserved), AtMost, ROUNDING, IMPOSSIBLE);
        check("private_pools <= allocated", pair(wide(self.pools), allocated), AtMost, ROUNDING, IMPOSSIBLE);
        // Where NVML names processes there is a driver that moves nothing to the host.
        let told =
            self.this_process.is_some() || self.processes.iter().any(|process| process.bytes.is_some());
        let beyond = if told { IMPOSSIBLE } else { MOVED };
        let held = sum(reserved, free);
        check("reserved + free <= capacity", pair(held, capacity), AtMost, 4 * ROUNDING, beyond);
        let own = wide(self.this_process);
        check("reserved <= this_process", pair(reserved, own), AtMost, OWN_LESS + ROUNDING, NVML);
        if told {
            let named = self.processes.iter().filter_map(|process| process.bytes);
            let named: i128 = named.map(i128::from).sum::<i128>() + own.unwrap_or(0);
            // Each of them is printed with two decimals.
            let slack = 4 * ROUNDING + ROUNDING / 2 * self.processes.len() as u64;
            let sides = free.map(|free| named + free).zip(capacity);
            check("this_process + processes + free <= capacity", sides, AtMost, slack, PARTED);
        }
        let limit = wide(self.limit);
        check("limit <= capacity", pair(limit, capacity), AtMost, ROUNDING, IMPOSSIBLE);
        check("reserved <= limit", pair(reserved, limit), AtMost, ROUNDING, LOWERED);
        let left = limit.zip(reserved).map(|(limit, reserved)| (limit - reserved).max(0));
        let (name, available) = match (free, left) {
            (Some(free), Some(left)) if left < free => ("tried > limit - reserved", Some(left)),
            (free, _) => ("tried > free", free),
        };
        check(name, pair(wide(self.tried), available), MoreThan, HELD_BACK, UNPRINTED);
        all
    }
}

fn wide(bytes: Option<u64>) -> Option<i128> {
    bytes.map(i128::from)
}

fn sum(a: Option<i128>, b: Option<i128>) -> Option<i128> {
    Some(a? + b?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oom::fixtures::{cases, released_messages, render};
    use crate::oom::message::{Passage, read};

    fn of(text: &str) -> Vec<Identity> {
        let mut lines = text.lines();
        let first = lines.next().unwrap();
        let message = read(&Passage::new(first, &lines.collect::<Vec<_>>()));
        message.map_or_else(Vec::new, |message| Numbers::from(&message).identities())
    }

    fn broken(all: &[Identity]) -> Vec<&'static str> {
        all.iter().filter(|identity| !identity.holds).map(|identity| identity.identity).collect()
    }

    #[test]
    fn no_real_message_contradicts_itself() {
        let mut checked = 0;
        for case in cases() {
            let found = of(&render(&case));
            checked += found.len();
            assert_eq!(contradiction(&found), None, "{}: {found:?}", case.id);
            // What does not hold has a cause that the reports' readers found, too.
            for identity in broken(&found) {
                match identity {
                    "reserved + free <= capacity" => {
                        assert!(case.flags.iter().any(|flag| flag == "oversubscribed"), "{}", case.id);
                    }
                    "tried > free" => assert_eq!(case.label, "ambiguous", "{}", case.id),
                    other => panic!("{}: {other}: {found:?}", case.id),
                }
            }
        }
        assert!(checked > 500, "{checked}");
        for (release, scenario, text) in released_messages() {
            let found = of(&text);
            assert_eq!(contradiction(&found), None, "{release} {scenario}: {found:?}");
            assert!(found.len() >= 4, "{release} {scenario}");
        }
    }

    /// Every number of a true message, made a hundred times as large: what that breaks.
    #[test]
    fn a_digit_too_many_is_seen() {
        let text = "CUDA out of memory. Tried to allocate 2.89 GiB. GPU 0 has a total capacity of 39.06 GiB of which 0.17 GiB is \
                    free. Process 7 has 0.20 GiB memory in use. Including non-PyTorch memory, this process has 38.69 GiB memory \
                    in use. 39.00 GiB allowed; Of the allocated memory 31.80 GiB is allocated by PyTorch, with 1.10 GiB allocated \
                    in private pools (e.g., CUDA Graphs), and 6.61 GiB is reserved by PyTorch but unallocated.";
        assert_eq!(broken(&of(text)), Vec::<&str>::new());
        for (number, contradicts) in [
            ("2.89", false),
            ("39.06", false),
            ("0.17", true),
            ("0.20", false),
            ("38.69", false),
            ("39.00", true),
            ("31.80", true),
            ("1.10", true),
            ("6.61", true),
        ] {
            let wrong = text.replacen(number, &number.replace('.', ""), 1);
            let found = of(&wrong);
            assert_eq!(contradiction(&found).is_some(), contradicts, "{number}: {found:?}");
        }
        let lost = text.replacen("39.06", "3.9", 1);
        assert!(contradiction(&of(&lost)).is_some());
        let unseen = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which 0 bytes is \
                      free. Of the allocated memory 9.00 GiB is allocated by PyTorch, and 1.00 GiB is reserved by PyTorch but \
                      unallocated.";
        assert_eq!(contradiction(&of(unseen)), None, "WSL moves memory to the host");
        assert_eq!(broken(&of(unseen)), ["reserved + free <= capacity"]);
    }

    proptest::proptest! {
        #[test]
        fn any_numbers_are_survived(values in proptest::collection::vec(proptest::option::of(proptest::num::u64::ANY), 9)) {
            let processes = [Process { pid: 1, bytes: values[0] }, Process { pid: 2, bytes: values[1] }];
            let numbers = Numbers {
                kind: Some(Kind::CudaCachingAllocator),
                tried: values[0], capacity: values[1], free: values[2], allocated: values[3], reserved: values[4],
                unallocated: values[5], pools: values[6], this_process: values[7], limit: values[8], processes: &processes,
            };
            for identity in numbers.identities() {
                proptest::prop_assert_eq!(identity.holds, identity.means.is_none());
            }
        }
    }
}
