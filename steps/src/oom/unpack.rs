//! Logs that somebody compressed: gzip (RFC 1952) and Zstandard (RFC 8878), a piece at a time, so that a small file that
//! unpacks to a very large one fills no memory.

use std::io::Write;

use flate2::write::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Compressed bytes given to gzip at once; they unpack to a thousand times as many at most.
const GZIP_PIECE: usize = 1 << 10;
/// A block of Zstandard has at most 128 KiB, its header and the frame's are small.
const ZSTD_PIECE: usize = 256 << 10;

/// Takes compressed bytes and gives what they stand for.
pub(super) enum Unpacker {
    /// Not compressed, whatever the name says.
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<Zstd>),
}

/// Frames of Zstandard, one after the other.
#[derive(Default)]
pub(super) struct Zstd {
    decoder: FrameDecoder,
    inside: bool,
    /// Bytes of a skippable frame that are still to come.
    skip: usize,
}

/// Whether a name says that the file is compressed so that it can be read here.
pub(super) fn is_packed(path: &str) -> bool {
    matches!(path.rsplit_once('.'), Some((_, "gz" | "zst" | "zstd")))
}

/// Whether a name says that the file is compressed in another way.
pub(super) fn is_packed_otherwise(path: &str) -> bool {
    matches!(path.rsplit_once('.'), Some((_, "xz" | "bz2" | "lz4" | "Z" | "7z" | "zip")))
}

impl Unpacker {
    /// By the first bytes of the file.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd(Box::default()),
            _ => Self::Plain,
        }
    }

    /// Compressed bytes that must be at hand for the next step, unless fewer are left.
    pub(super) fn wants(&self) -> usize {
        if matches!(self, Self::Zstd(_)) { ZSTD_PIECE } else { GZIP_PIECE }
    }

    /// Unpacks a piece: how many of the bytes were used, and what they stand for.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<(usize, Vec<u8>), String> {
        match self {
            Self::Plain => Ok((input.len(), input.to_vec())),
            Self::Gzip(decoder) => {
                let piece = &input[..input.len().min(GZIP_PIECE)];
                decoder.write_all(piece).map_err(|error| format!("no valid gzip: {error}"))?;
                Ok((piece.len(), std::mem::take(decoder.get_mut())))
            }
            Self::Zstd(zstd) => zstd.step(input).map_err(|error| format!("no valid zstd: {error}")),
        }
    }

    /// What is left when all bytes were used.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, String> {
        let early = || "its compressed data end too early".to_owned();
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| early())?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Zstd(zstd) if zstd.inside || zstd.skip > 0 => Err(early()),
            Self::Zstd(_) => Ok(Vec::new()),
        }
    }
}

impl Zstd {
    fn step(&mut self, input: &[u8]) -> Result<(usize, Vec<u8>), String> {
        let mut rest = input;
        if self.skip > 0 {
            let skipped = self.skip.min(input.len());
            self.skip -= skipped;
            return Ok((skipped, Vec::new()));
        }
        if !self.inside {
            match self.decoder.reset(&mut rest) {
                Ok(()) => self.inside = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    self.skip = usize::try_from(length).map_err(|error| error.to_string())?;
                }
                Err(error) => return Err(error.to_string()),
            }
            return Ok((input.len() - rest.len(), Vec::new()));
        }
        self.decoder
            .decode_blocks(&mut rest, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|error| error.to_string())?;
        self.inside = !self.decoder.is_finished();
        Ok((input.len() - rest.len(), self.decoder.collect().unwrap_or_default()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `content` compressed by gzip.
    pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// `content` compressed by Zstandard.
    pub(crate) fn zstd(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn unpack(mut input: &[u8]) -> Result<Vec<u8>, String> {
        let mut unpacker = Unpacker::of(input);
        let mut all = Vec::new();
        while !input.is_empty() {
            let (used, out) = unpacker.step(input)?;
            assert!(out.len() < 3 << 20);
            all.extend(out);
            input = &input[used..];
        }
        all.extend(unpacker.finish()?);
        Ok(all)
    }

    #[test]
    fn members_and_frames_join() {
        let text = b"CUDA out of memory\n".repeat(50_000);
        for packed in [gzip(&text), zstd(&text)] {
            assert_eq!(unpack(&packed).unwrap(), text);
            assert_eq!(unpack(&packed.repeat(2)).unwrap(), text.repeat(2));
            assert!(unpack(&packed[..packed.len() / 2]).is_err());
        }
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], zstd(&text).as_slice()].concat();
        assert_eq!(unpack(&skippable).unwrap(), text);
        assert_eq!(unpack(b"plain").unwrap(), b"plain");
    }

    #[test]
    fn a_bomb_comes_in_pieces() {
        let zeros = vec![0; 20 << 20];
        assert_eq!(unpack(&gzip(&zeros)).unwrap().len(), zeros.len());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 4..400), kind in 0..3) {
            let magic: &[u8] = [&[0x1f, 0x8b, 8, 0], &[0x28, 0xb5, 0x2f, 0xfd], &[0x50, 0x2a, 0x4d, 0x18]][kind as usize];
            bytes[..4].copy_from_slice(magic);
            let _ = unpack(&bytes);
        }

        #[test]
        fn broken_bytes_never_panic(at in 0usize..4000, byte in proptest::num::u8::ANY) {
            for mut packed in [gzip(&b"some text of a log\n".repeat(99)), zstd(&b"some text of a log\n".repeat(99))] {
                let at = at % packed.len();
                packed[at] = byte;
                let _ = unpack(&packed);
            }
        }
    }
}
