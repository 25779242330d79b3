//! RESP2, the Redis protocol: commands out, replies in. Pure: converts bytes to values and back.

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resp {
    /// `+OK`.
    Simple(String),
    /// `-ERR …`.
    Error(String),
    /// `:1`.
    Integer(i64),
    /// Bytes; `None` is null.
    Bulk(Option<Vec<u8>>),
    /// A list; `None` is null.
    Array(Option<Vec<Resp>>),
}

/// Maximum size of a reply in bytes.
pub(crate) const MAX_REPLY: usize = 16 << 20;
/// Maximum nesting depth of lists.
const MAX_DEPTH: usize = 8;

/// Encodes a command.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Parses the first reply in `bytes` and returns it with its length, or `None` if the reply is incomplete.
///
/// # Errors
/// Fails if the bytes are not a valid reply.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Resp, usize)>, String> {
    let mut at = 0;
    Ok(next(bytes, &mut at, 0)?.map(|resp| (resp, at)))
}

fn next(bytes: &[u8], at: &mut usize, depth: usize) -> Result<Option<Resp>, String> {
    let Some(line) = line(bytes, at) else { return Ok(None) };
    let (kind, rest) = line.split_first().ok_or("an empty line")?;
    let text = String::from_utf8_lossy(rest);
    let number = || text.parse::<i64>().map_err(|_| format!("`{}` is no number", text.escape_debug()));
    let resp = match kind {
        b'+' => Resp::Simple(text.into_owned()),
        b'-' => Resp::Error(text.into_owned()),
        b':' => Resp::Integer(number()?),
        b'$' => {
            let Some(length) = length(number()?)? else { return Ok(Some(Resp::Bulk(None))) };
            let Some(body) = bytes.get(*at..*at + length) else { return Ok(None) };
            if bytes.len() < *at + length + 2 {
                return Ok(None);
            }
            *at += length + 2;
            Resp::Bulk(Some(body.to_vec()))
        }
        b'*' if depth < MAX_DEPTH => {
            let Some(length) = length(number()?)? else { return Ok(Some(Resp::Array(None))) };
            let mut all = vec![];
            for _ in 0..length {
                let Some(item) = next(bytes, at, depth + 1)? else { return Ok(None) };
                all.push(item);
            }
            Resp::Array(Some(all))
        }
        other => return Err(format!("a reply that begins with `{}`", char::from(*other).escape_debug())),
    };
    Ok(Some(resp))
}

/// Converts a length prefix; `None` means null.
fn length(number: i64) -> Result<Option<usize>, String> {
    match usize::try_from(number) {
        Ok(length) if length <= MAX_REPLY => Ok(Some(length)),
        Ok(_) => Err(format!("a reply of more than {MAX_REPLY} bytes")),
        Err(_) if number == -1 => Ok(None),
        Err(_) => Err(format!("a length of {number}")),
    }
}

fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = &bytes[*at..];
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    *at += end + 2;
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_whole_or_not_at_all() {
        let bulk = |text: &str| Resp::Bulk(Some(text.as_bytes().to_vec()));
        for (text, want) in [
            ("+OK\r\n", Resp::Simple("OK".into())),
            ("-READONLY You can't\r\n", Resp::Error("READONLY You can't".into())),
            (":-7\r\n", Resp::Integer(-7)),
            ("$3\r\na\r\n\r\n", bulk("a\r\n")),
            ("$-1\r\n", Resp::Bulk(None)),
            ("*-1\r\n", Resp::Array(None)),
            ("*2\r\n:0\r\n$-1\r\n", Resp::Array(Some(vec![Resp::Integer(0), Resp::Bulk(None)]))),
            ("*2\r\n*1\r\n$1\r\nx\r\n+y\r\n", Resp::Array(Some(vec![Resp::Array(Some(vec![bulk("x")])), Resp::Simple("y".into())]))),
        ] {
            assert_eq!(parse(format!("{text}+more\r\n").as_bytes()), Ok(Some((want, text.len()))), "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..cut]), Ok(None), "{text:?} cut at {cut}");
            }
        }
        for bad in ["HTTP/1.1 200\r\n", "\r\n", ":x\r\n", "$-2\r\n", "$99999999999\r\n"] {
            parse(bad.as_bytes()).expect_err(bad);
        }
        parse("*1\r\n".repeat(50).as_bytes()).expect_err("too deep");
        assert_eq!(command(&[b"GET", b"k"]), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    }
}
