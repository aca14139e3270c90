//! Marks that the supervisor on a host writes between a command's own output.
//!
//! A mark is the command's nonce, a letter, three digits and a dot. The nonce is random, so no output can forge one.
//! Without them ssh's exit status 255 could be the command's own, and a login shell's chatter looks like output.

use memchr::memmem;

/// What the supervisor said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The command is about to run.
    Started,
    /// The command returned this status (128 + n: ended by signal n).
    Ended(i32),
    /// The command ran past its time; what is left of its process group is being ended.
    OutOfTime,
    /// The working directory is not there.
    NoDirectory,
    /// The program is not there.
    NoProgram,
}

impl Mark {
    fn parse(tail: &[u8]) -> Option<Self> {
        let [letter, digits @ .., b'.'] = tail else { return None };
        let number: i32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        match (letter, number) {
            (b'S', _) => Some(Self::Started),
            (b'E', status) => Some(Self::Ended(status)),
            (b'T', _) => Some(Self::OutOfTime),
            (b'N', 1) => Some(Self::NoDirectory),
            (b'N', 2) => Some(Self::NoProgram),
            _ => None,
        }
    }
}

/// Part of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Output.
    Data(&'a [u8]),
    /// A mark.
    Mark(Mark),
}

/// Takes the marks out of a stream that arrives in chunks.
pub(super) struct Splitter {
    nonce: Vec<u8>,
    held: Vec<u8>,
}

/// Bytes of a mark after its nonce.
const TAIL: usize = 5;

impl Splitter {
    pub(super) fn new(nonce: &str) -> Self {
        Self { nonce: nonce.as_bytes().to_vec(), held: Vec::new() }
    }

    /// Takes the next chunk; gives every piece that is certain by now.
    pub(super) fn push(&mut self, chunk: &[u8], mut give: impl FnMut(Piece<'_>)) {
        self.held.extend_from_slice(chunk);
        let mut done = 0;
        while let Some(at) = memmem::find(&self.held[done..], &self.nonce) {
            let (start, tail) = (done + at, done + at + self.nonce.len());
            let Some(bytes) = self.held.get(tail..tail + TAIL) else {
                give_data(&self.held[done..start], &mut give);
                self.held.drain(..start);
                return;
            };
            if let Some(mark) = Mark::parse(bytes) {
                give_data(&self.held[done..start], &mut give);
                give(Piece::Mark(mark));
                done = tail + TAIL;
            } else {
                give_data(&self.held[done..tail], &mut give);
                done = tail;
            }
        }
        let rest = &self.held[done..];
        let longest = self.nonce.len().saturating_sub(1).min(rest.len());
        let open = (1..=longest).rev().find(|n| self.nonce.starts_with(&rest[rest.len() - n..])).unwrap_or(0);
        give_data(&rest[..rest.len() - open], &mut give);
        let end = self.held.len() - open;
        self.held.drain(..end);
    }

    /// The stream is at its end: what was held back was no mark.
    pub(super) fn finish(&mut self, mut give: impl FnMut(Piece<'_>)) {
        give_data(&self.held, &mut give);
        self.held.clear();
    }
}

fn give_data(data: &[u8], give: &mut impl FnMut(Piece<'_>)) {
    if !data.is_empty() {
        give(Piece::Data(data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> (Vec<u8>, Vec<Mark>) {
        let (mut data, mut marks) = (Vec::new(), Vec::new());
        let mut splitter = Splitter::new("abab1");
        let mut take = |piece: Piece<'_>| match piece {
            Piece::Data(bytes) => data.extend_from_slice(bytes),
            Piece::Mark(mark) => marks.push(mark),
        };
        for chunk in chunks {
            splitter.push(chunk, &mut take);
        }
        splitter.finish(&mut take);
        (data, marks)
    }

    #[test]
    fn marks_leave_the_output() {
        let (data, marks) = split(&[b"motdabab1S000.outabab1E255.rest"]);
        assert_eq!((data.as_slice(), marks), (&b"motdoutrest"[..], vec![Mark::Started, Mark::Ended(255)]));
    }

    #[test]
    fn what_only_looks_like_a_mark_stays() {
        let (data, marks) = split(&[b"abab1X000.abab1E25", b"5"]);
        assert_eq!((data.as_slice(), marks), (&b"abab1X000.abab1E255"[..], vec![]));
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(text in "(a|b|1|abab1|abab1E0[0-9]{2}\\.|abab1S000\\.){0,30}", cuts in prop::collection::vec(0usize..200, 0..8)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&chunks), split(&[bytes]));
        }
    }
}
