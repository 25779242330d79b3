//! Reads a foreign file as text, within limits.

use super::MAX_LINE_BYTES;
use crate::reader::{ReadError, ZSTD_MAGIC};
use std::io::{BufRead, BufReader, Read};

/// Chunk size in bytes. Reading in chunks rejects a binary file early, whatever its size.
const CHUNK_BYTES: u64 = 1 << 20;

/// Returns the whole text, decompressed if it is zstd, without a byte order mark.
pub(super) fn read(input: impl Read, max_bytes: u64) -> Result<String, ReadError> {
    let mut input = BufReader::new(input);
    let zstd = input.fill_buf()?.starts_with(&ZSTD_MAGIC);
    let bytes = if zstd { bounded(zstd::Decoder::with_buffer(input)?, max_bytes)? } else { bounded(input, max_bytes)? };
    let text = String::from_utf8(bytes).map_err(|e| not_text(e.as_bytes(), e.utf8_error().valid_up_to()))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn bounded(mut input: impl Read, max_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![];
    loop {
        let begin = bytes.len();
        let room = (max_bytes - begin as u64 + 1).min(CHUNK_BYTES);
        match input.by_ref().take(room).read_to_end(&mut bytes) {
            Ok(0) => return Ok(bytes),
            Ok(_) => {}
            // The part before a torn end may be missing lines, and these formats have no way to detect that.
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(ReadError::at(line_of(&bytes, bytes.len()), "the compressed file ends early here"));
            }
            Err(e) => return Err(ReadError::Io(e)),
        }
        if bytes.len() as u64 > max_bytes {
            return Err(ReadError::too_long(line_of(&bytes, bytes.len()), max_bytes));
        }
        // A character may be split across the end of a chunk. It is then completed by the next one.
        let invalid = std::str::from_utf8(&bytes[begin..]).err().filter(|e| e.error_len().is_some());
        let nul = bytes[begin..].iter().position(|b| *b == 0);
        let cut = |e: &std::str::Utf8Error| e.valid_up_to() < 3 && begin > 0;
        if let Some(at) = nul.or(invalid.filter(|e| !cut(e)).map(|e| e.valid_up_to())) {
            return Err(not_text(&bytes, begin + at));
        }
    }
}

fn not_text(bytes: &[u8], at: usize) -> ReadError {
    ReadError::at(line_of(bytes, at), "not UTF-8 text; is this the right format?")
}

fn line_of(bytes: &[u8], at: usize) -> u64 {
    1 + bytes[..at].iter().filter(|&&b| b == b'\n').count() as u64
}

/// Iterates over the lines of a text with their numbers. Lines longer than the maximum are errors.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Result<(u64, &str), ReadError>> {
    (1u64..).zip(text.lines()).map(|(number, line)| {
        if line.len() > MAX_LINE_BYTES {
            return Err(ReadError::at(number, format!("longer than {MAX_LINE_BYTES} bytes")));
        }
        Ok((number, line))
    })
}
