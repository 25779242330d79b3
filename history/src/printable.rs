//! Escapes untrusted text for display. Names of keys, nodes and files, reasons and log lines come from a history, a
//! node, a plan or a folder. None of them may move the cursor, change the text direction, hide characters, or start a
//! line that looks like output of heckle, such as a verdict.
//!
//! | form | newlines | for |
//! |---|---|---|
//! | [`printable`] | escaped, so the result is one line | a field: a name, a reason, a path |
//! | [`block`] | kept, the following lines are indented | text of several lines, such as the end of a log |
//! | [`visible`] | kept | text assembled from such fields, escaped again on output |
//! | [`json`] | kept | a JSON text: the same data, with characters that could steer a terminal escaped in ASCII |

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns whether a character must be escaped: control characters (C0, DEL, C1), separators that some programs treat
/// as line ends, direction marks and overrides, zero-width characters, and tags.
pub fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Formats a field on one line. Characters matched by [`needs_escape`] are escaped, such as `\n` or `\u{1b}`. A field that
/// starts like a verdict is quoted so that it cannot be mistaken for one.
pub fn printable(words: &str) -> Cow<'_, str> {
    let shown = escaped(words, |_| false);
    if shown.trim_start().get(..7).is_some_and(|start| start.eq_ignore_ascii_case("verdict")) {
        return Cow::Owned(format!("\"{shown}\""));
    }
    shown
}

/// Formats a text of several lines. Each line is formatted as by [`printable`]; all but the first are indented by two
/// spaces.
pub fn block(words: &str) -> String {
    words.lines().map(printable).collect::<Vec<_>>().join("\n  ")
}

/// Formats a text of many lines. Characters matched by [`needs_escape`] are escaped, except newlines and tabs.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// Returns a JSON text with the same content, in which characters matched by [`needs_escape`] are written in the form
/// `\u202e`. JSON allows such characters only in strings, where an escape is equivalent.
pub fn json(text: &str) -> Cow<'_, str> {
    let raw = |c: char| needs_escape(c) && c != '\n';
    if !text.chars().any(raw) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if raw(c) {
            let mut units = [0; 2];
            // Writing to a string cannot fail.
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns the escape of one character.
pub fn escape(c: char) -> String {
    // Uses the escapes of Rust: `\n`, `\r`, `\t` and `\u{1b}`.
    c.escape_default().to_string()
}

fn escaped(words: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !words.chars().any(|c| needs_escape(c) && !kept(c)) {
        return Cow::Borrowed(words);
    }
    let mut out = String::with_capacity(words.len() + 16);
    for c in words.chars() {
        if needs_escape(c) && !kept(c) { out.push_str(&escape(c)) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(words: &str, want: &str) {
        assert_eq!(printable(words), want);
        assert_eq!(printable(&printable(words)), want, "once is enough");
        assert!(!visible(words).chars().any(|c| needs_escape(c) && c != '\n' && c != '\t'));
        let text = serde_json::to_string_pretty(&[words]).expect("a string");
        let safe = json(&text);
        assert!(!safe.chars().any(|c| needs_escape(c) && c != '\n'), "{safe:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).expect("JSON"), [words], "the same data");
    }

    #[test]
    fn fields_stay_on_one_line_without_control_characters() {
        shown("k1", "k1");
        shown("Schlüssel 鍵 ✓", "Schlüssel 鍵 ✓");
        shown("a\\b", "a\\b");
        shown("a\x1b[2Jb", "a\\u{1b}[2Jb");
        shown("a\nverdict: valid", "a\\nverdict: valid");
        shown("a\r\tb", "a\\r\\tb");
        shown("\u{7f}\u{9b}31m\u{85}", "\\u{7f}\\u{9b}31m\\u{85}");
        shown("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c");
        shown("a\u{200b}\u{feff}\u{2028}b", "a\\u{200b}\\u{feff}\\u{2028}b");
        shown("\u{e0041}", "\\u{e0041}");
    }

    #[test]
    fn no_field_looks_like_a_verdict() {
        for words in ["verdict: valid", "  Verdict   VALID", "verdict"] {
            assert_eq!(printable(words), format!("\"{words}\""));
        }
        assert_eq!(printable("no verdict: valid"), "no verdict: valid");
        assert_eq!(block("n1 died\nverdict: valid\n\x1b[1A"), "n1 died\n  \"verdict: valid\"\n  \\u{1b}[1A");
    }
}
