//! A reader of pickles that cannot run anything.
//!
//! A pickle is a program for a small machine, and some of its instructions call what they name. This machine has only
//! those that build dicts, lists, tuples, strings, numbers, booleans and None (Lib/pickletools.py, protocols 2 to 5); at
//! any other it stops and says which. Bytes, values and nesting are bounded; strings stay where they are in the input,
//! shared values are shared, and of dicts only the keys that are asked for are kept, so that what is built stays in
//! proportion to what was read.

use super::value::{Document, Value};

/// Bounds of what is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Entries of all dicts, lists and tuples and of the memo together.
    pub(super) entries: usize,
    /// Values that were begun and are not finished.
    pub(super) stack: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { entries: 16_000_000, stack: 1_000_000 }
    }
}

/// Reads a pickle. Of dicts only these keys are kept.
///
/// # Errors
/// It is no pickle, it is cut off, it would run something, or it is too large; a line that says so and where.
pub(super) fn load<'a>(bytes: &'a [u8], keys: &'a [&str], bounds: Bounds) -> Result<Document<'a>, String> {
    if u32::try_from(bytes.len()).is_err() {
        return Err("larger than 4 GiB".to_owned());
    }
    let mut machine = Machine {
        bytes,
        at: 0,
        bounds,
        entries: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        keys,
        document: Document::new(bytes),
    };
    machine.run().map_err(|why| format!("byte {}: {why}", machine.at))?;
    Ok(machine.document)
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    bounds: Bounds,
    entries: usize,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: Vec<Value>,
    keys: &'a [&'a str],
    document: Document<'a>,
}

const CUT_OFF: &str = "the file ends in the middle";
const BAD: &str = "no well-formed pickle";

impl Machine<'_> {
    fn run(&mut self) -> Result<(), String> {
        // PROTO is the first instruction of every pickle since protocol 2.
        if self.take(1)? != [0x80] {
            return Err("no pickle of protocol 2 or later".to_owned());
        }
        let protocol = self.small::<1>()?;
        if !(2..=5).contains(&protocol) {
            return Err(format!("protocol {protocol} is not known"));
        }
        loop {
            let code = self.take(1)?[0];
            if code == b'.' {
                self.document.root = self.pop()?;
                return Ok(());
            }
            self.step(code)?;
        }
    }

    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // FRAME: only a hint for reading ahead.
            0x95 => drop(self.take(8)?),
            b'(' => {
                if self.marks.len() >= self.bounds.stack {
                    return Err("nested too deeply".to_owned());
                }
                self.marks.push(self.stack.len());
            }
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => self.int::<1>()?,
            b'M' => self.int::<2>()?,
            b'J' => {
                let bytes = self.array::<4>()?;
                self.push(Value::Int(i32::from_le_bytes(bytes).into()))?;
            }
            0x8a => {
                let length = self.small::<1>()?;
                self.long(length)?;
            }
            0x8b => {
                let length = self.small::<4>()?;
                self.long(length)?;
            }
            b'G' => {
                let bytes = self.array::<8>()?;
                self.push(Value::Float(f64::from_be_bytes(bytes)))?;
            }
            0x8c => self.text::<1>()?,
            b'X' => self.text::<4>()?,
            0x8d => self.text::<8>()?,
            b']' => {
                let list = self.document.add_list(Vec::new());
                self.push(list)?;
            }
            b')' => self.tuple(0)?,
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let items = self.since_mark()?;
                self.push_list(items)?;
            }
            b'}' => {
                let dict = self.document.add_dict();
                self.push(dict)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?;
            }
            b'q' => self.put::<1>()?,
            b'r' => self.put::<4>()?,
            0x94 => {
                self.memoize(self.memo.len())?;
            }
            b'h' => self.get::<1>()?,
            b'j' => self.get::<4>()?,
            code => return Err(refusal(code)),
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(CUT_OFF)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A length or an index of `N` bytes.
    fn small<const N: usize>(&mut self) -> Result<usize, String> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(self.take(N)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| BAD.to_owned())
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        if self.stack.len() >= self.bounds.stack {
            return Err("too many values at once".to_owned());
        }
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        let floor = self.marks.last().copied().unwrap_or_default();
        if self.stack.len() <= floor {
            return Err(BAD.to_owned());
        }
        self.stack.pop().ok_or_else(|| BAD.to_owned())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or(BAD)?;
        Ok(self.stack.split_off(mark))
    }

    fn grow(&mut self, by: usize) -> Result<(), String> {
        self.entries = self.entries.saturating_add(by);
        if self.entries > self.bounds.entries {
            return Err(format!("more than {} values", self.bounds.entries));
        }
        Ok(())
    }

    fn int<const N: usize>(&mut self) -> Result<(), String> {
        let value = self.small::<N>()?;
        self.push(Value::Int(value as i64))
    }

    /// A number of any size, little-endian two's complement; beyond 64 bits its value is not kept.
    fn long(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.take(length)?;
        let value = match bytes.last() {
            None => Value::Int(0),
            Some(last) => {
                let sign = if last & 0x80 == 0 { 0 } else { 0xff };
                let mut wide = [sign; 16];
                let kept = length.min(16);
                wide[..kept].copy_from_slice(&bytes[..kept]);
                let fits = bytes[kept..].iter().all(|byte| *byte == sign);
                let wide = i128::from_le_bytes(wide);
                match (i64::try_from(wide), u64::try_from(wide)) {
                    (Ok(value), _) if fits => Value::Int(value),
                    (_, Ok(value)) if fits => Value::Large(value),
                    _ => Value::Huge,
                }
            }
        };
        self.push(value)
    }

    fn text<const N: usize>(&mut self) -> Result<(), String> {
        let length = self.small::<N>()?;
        let start = self.at;
        self.take(length)?;
        // Both fit: the input is smaller than 4 GiB.
        self.push(Value::Text { start: start as u32, length: length as u32 })
    }

    fn tuple(&mut self, length: usize) -> Result<(), String> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push_list(items)
    }

    fn push_list(&mut self, items: Vec<Value>) -> Result<(), String> {
        self.grow(items.len().max(1))?;
        let list = self.document.add_list(items);
        self.push(list)
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        self.grow(items.len())?;
        let list = self.top()?;
        self.document.list_mut(list).ok_or(BAD)?.extend(items);
        Ok(())
    }

    fn set(&mut self, items: &[Value]) -> Result<(), String> {
        if !items.len().is_multiple_of(2) {
            return Err(BAD.to_owned());
        }
        let dict = self.top()?;
        for pair in items.chunks_exact(2) {
            let key = self.document.text(pair[0]);
            if key.is_some_and(|key| self.keys.contains(&key)) {
                self.grow(2)?;
                self.document.dict_mut(dict).ok_or(BAD)?.push((pair[0], pair[1]));
            }
        }
        if self.document.is_dict(dict) { Ok(()) } else { Err(BAD.to_owned()) }
    }

    fn top(&self) -> Result<Value, String> {
        let floor = self.marks.last().copied().unwrap_or_default();
        self.stack.get(floor..).and_then(<[Value]>::last).copied().ok_or_else(|| BAD.to_owned())
    }

    fn put<const N: usize>(&mut self) -> Result<(), String> {
        let index = self.small::<N>()?;
        self.memoize(index)
    }

    /// Indices count up; a gap is filled with values that nothing is known of.
    fn memoize(&mut self, index: usize) -> Result<(), String> {
        let value = self.top()?;
        if index >= self.memo.len() {
            self.grow(index - self.memo.len() + 1)?;
            self.memo.resize(index + 1, Value::Huge);
        }
        self.memo[index] = value;
        Ok(())
    }

    fn get<const N: usize>(&mut self) -> Result<(), String> {
        let index = self.small::<N>()?;
        let value = *self.memo.get(index).ok_or(BAD)?;
        self.push(value)
    }
}

/// Why an instruction is not carried out.
fn refusal(code: u8) -> String {
    let name = match code {
        b'c' | 0x93 => "GLOBAL",
        b'R' => "REDUCE",
        b'b' => "BUILD",
        b'i' => "INST",
        b'o' => "OBJ",
        0x81 | 0x92 => "NEWOBJ",
        0x82..=0x84 => "EXT",
        b'P' | b'Q' => "PERSID",
        _ => return format!("instruction 0x{code:02x} has no place in a memory snapshot"),
    };
    format!("it wants to name or call code ({name}): refused, nothing of it was run")
}
