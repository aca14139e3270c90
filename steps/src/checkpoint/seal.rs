//! Whether a file of weights was written to its end, from its first and last bytes.
//!
//! torch.save writes a zip archive since PyTorch 1.6; its end-of-central-directory record comes last. A
//! safetensors file tells in its header how long it is (<https://github.com/huggingface/safetensors>,
//! "Format").

use engine::site::Site;
use engine::step::StepError;

use super::gather::bytes;

/// Bytes read from the start of a file: enough for the header of a safetensors file with a thousand tensors.
const HEAD: usize = 256 << 10;
/// Bytes read from the end: a zip's end record is 22 bytes, with zip64's locator 98.
const TAIL: usize = 1024;
/// The longest header that safetensors itself accepts.
const MOST_HEADER: u64 = 100_000_000;

/// What the bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Written to its end.
    Whole,
    /// Its end is missing.
    Cut,
    /// A format that does not tell, or a file that may not be read.
    Unrecognised,
}

/// Reads the two ends of a file of `size` bytes and says whether it is whole.
///
/// # Errors
/// The file system does not answer.
pub(crate) async fn sealed(site: &dyn Site, path: &str, size: u64) -> Result<Seal, StepError> {
    if size == 0 {
        return Ok(Seal::Cut);
    }
    let head = if path.ends_with(".safetensors") { HEAD } else { 64 };
    let Ok(head) = bytes(site, path, 0, head).await? else { return Ok(Seal::Unrecognised) };
    let tail = size.saturating_sub(TAIL as u64);
    let Ok(tail) = bytes(site, path, tail, TAIL).await? else { return Ok(Seal::Unrecognised) };
    Ok(seal(&head, &tail, size, path.ends_with(".safetensors")))
}

/// Judges the first and last bytes of a file of `size` bytes.
pub(crate) fn seal(head: &[u8], tail: &[u8], size: u64, safetensors: bool) -> Seal {
    if size == 0 {
        return Seal::Cut;
    }
    // A file that was made longer first and never filled reads as zeros.
    if head.iter().all(|byte| *byte == 0) {
        return Seal::Cut;
    }
    if head.starts_with(b"PK\x03\x04") {
        let end = memchr::memmem::rfind(tail, b"PK\x05\x06");
        return if end.is_some() { Seal::Whole } else { Seal::Cut };
    }
    if safetensors { tensors(head, size) } else { Seal::Unrecognised }
}

fn tensors(head: &[u8], size: u64) -> Seal {
    let Some(Ok(length)) = head.get(..8).map(<[u8; 8]>::try_from) else { return Seal::Cut };
    let length = u64::from_le_bytes(length);
    if length > MOST_HEADER || head.get(8).is_some_and(|byte| *byte != b'{') {
        return Seal::Unrecognised;
    }
    if length + 8 > size {
        return Seal::Cut;
    }
    let Some(header) = head.get(8..8 + length as usize) else { return Seal::Unrecognised };
    let Ok(serde_json::Value::Object(header)) = serde_json::from_slice(header) else { return Seal::Cut };
    let ends = header.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64());
    let data = ends.max().unwrap_or(0);
    if size >= data.saturating_add(length + 8) { Seal::Whole } else { Seal::Cut }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A zip archive without entries, padded as torch.save's would be with data.
    pub(crate) fn archive() -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend([1; 3000]);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 18]);
        bytes
    }

    pub(crate) fn weights() -> Vec<u8> {
        let header = br#"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend([7; 16]);
        bytes
    }

    fn of(bytes: &[u8], safetensors: bool) -> Seal {
        let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
        seal(&bytes[..bytes.len().min(HEAD)], tail, bytes.len() as u64, safetensors)
    }

    #[test]
    fn a_torch_archive_ends_with_its_directory() {
        assert_eq!(of(&archive(), false), Seal::Whole);
        assert_eq!(of(&archive()[..2000], false), Seal::Cut);
        assert_eq!(of(b"\x80\x02}q\x00.", false), Seal::Unrecognised);
        assert_eq!(of(&[0; 4096], false), Seal::Cut);
        assert_eq!(of(&[], false), Seal::Cut);
    }

    #[test]
    fn a_safetensors_file_is_as_long_as_its_header_says() {
        assert_eq!(of(&weights(), true), Seal::Whole);
        assert_eq!(of(&weights()[..70], true), Seal::Cut);
        assert_eq!(of(&weights()[..20], true), Seal::Cut);
        assert_eq!(of(b"model.safetensors of step 40\n", true), Seal::Unrecognised);
    }

    proptest! {
        #[test]
        fn never_panics(head in proptest::collection::vec(any::<u8>(), 0..100), size: u64, safetensors: bool) {
            let _ = seal(&head, &head, size, safetensors);
        }

        #[test]
        fn every_cut_of_a_whole_file_is_seen(cut in 1usize..2900) {
            let bytes = archive();
            prop_assert_eq!(of(&bytes[..bytes.len() - 22 - cut], false), Seal::Cut);
        }
    }
}
