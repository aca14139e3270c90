//! Bytes → text, with a limit that holds before anything is read.

use std::io::Read;

use crate::check::codes;
use crate::diagnostic::{Diagnostic, Severity, SourceFile, Span};

/// The largest runbook that is read, in bytes (4 MiB).
pub const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads a runbook of `len` bytes (as its file system says) called `name`.
///
/// # Errors
/// If it is too large, cannot be read or is not UTF-8. A file that says it is too large is refused unread.
pub fn from_reader(name: &str, len: u64, reader: impl Read) -> Result<SourceFile, Box<Diagnostic>> {
    if len > MAX_BYTES {
        return Err(too_large(name, len));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    // A file may grow, and a device says it has no length: the limit holds for what is read, too.
    if let Err(error) = reader.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        return Err(refuse(
            codes::SOURCE_UNREADABLE,
            format!("{name} cannot be read: {error}"),
            "Check that it is a file and that you may read it.",
        ));
    }
    from_bytes(name, bytes)
}

/// Takes the bytes of a runbook called `name`.
///
/// # Errors
/// If there are too many of them or they are not UTF-8.
pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<SourceFile, Box<Diagnostic>> {
    let len = bytes.len() as u64;
    if len > MAX_BYTES {
        return Err(too_large(name, len));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
        refuse(
            codes::SOURCE_NOT_UTF8,
            format!("{name} is not UTF-8 text: byte {at} (line {line}) does not belong there"),
            "Save it as UTF-8. If it is no runbook at all, check the path.",
        )
    })?;
    Ok(SourceFile { name: name.to_owned(), text })
}

fn too_large(name: &str, len: u64) -> Box<Diagnostic> {
    // Integer division is exact enough for people.
    refuse(
        codes::SOURCE_TOO_LARGE,
        format!("{name} has {} MiB; a runbook has at most {} MiB", len >> 20, MAX_BYTES >> 20),
        "Is this the right file? A log or a dump is no runbook.",
    )
}

fn refuse(code: &'static str, message: String, help: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic {
        code,
        severity: Severity::Error,
        message,
        at: Span { file: 0, start: 0, len: 0 },
        label: String::new(),
        related: Vec::new(),
        help: Some(help.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Untouched;

    impl Read for Untouched {
        fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
            panic!("must not be read");
        }
    }

    #[test]
    fn a_file_that_says_it_is_too_large_is_refused_unread() {
        let refused = from_reader("core.1234", 100 << 20, Untouched).unwrap_err();
        assert_eq!(refused.code, codes::SOURCE_TOO_LARGE);
        assert_eq!(refused.message, "core.1234 has 100 MiB; a runbook has at most 4 MiB");
    }

    #[test]
    fn a_file_that_does_not_say_its_length_is_read_up_to_the_limit() {
        let refused = from_reader("/dev/zero", 0, std::io::repeat(b' ')).unwrap_err();
        assert_eq!(refused.code, codes::SOURCE_TOO_LARGE);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        let refused = from_bytes("a.yaml", b"runbook: x\ntitle: \xff\xfe".to_vec()).unwrap_err();
        assert_eq!(refused.code, codes::SOURCE_NOT_UTF8);
        assert_eq!(refused.message, "a.yaml is not UTF-8 text: byte 18 (line 2) does not belong there");
    }
}
