//! Parses numbers, characters and texts.

use super::{Fault, Reader, other};
use serde_json::{Number, Value as Json};

/// Maximum length of a word in an error message.
const MAX_SHOWN: usize = 40;

impl Reader<'_> {
    /// Parses a number, a keyword, a symbol, `nil`, `true` or `false`.
    pub(super) fn atom(&mut self) -> Result<Json, Fault> {
        let word = self.word();
        let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
        Ok(match word {
            "nil" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ if word.starts_with(':') => Json::String(word[1..].to_owned()),
            // `-main` and `->Op` are symbols, as is `-` alone.
            _ if unsigned.starts_with(|c: char| c.is_ascii_digit()) => return self.number(word),
            _ => Json::String(word.to_owned()),
        })
    }

    fn number(&self, word: &str) -> Result<Json, Fault> {
        match number(word) {
            Some(number) => Ok(number),
            None => self.fault(format!("`{}` is no number of 64 bits", word.chars().take(MAX_SHOWN).collect::<String>())),
        }
    }

    /// Parses a character: `\a`, `\newline`, `\(`, `\u0041`.
    pub(super) fn character(&mut self) -> Result<Json, Fault> {
        self.take();
        let begin = self.at;
        let Some(first) = self.take() else { return self.fault("the text ends in the middle of a character") };
        if first.is_alphanumeric() {
            self.word();
        }
        Ok(other("#char", Json::String(self.text[begin..self.at].to_owned())))
    }

    pub(super) fn string(&mut self) -> Result<Json, Fault> {
        self.take();
        let mut out = String::new();
        loop {
            match self.take() {
                None => return self.fault("a text without its closing quote"),
                Some('"') => return Ok(Json::String(out)),
                Some('\\') => out.push(self.escape()?),
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        Ok(match self.take() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(c @ ('"' | '\\' | '/' | '\'')) => c,
            Some('u') => return self.unicode(),
            Some(c @ '0'..='7') => {
                let mut code = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    self.take();
                }
                return char::from_u32(code).map_or_else(|| self.fault("an octal escape beyond 377"), Ok);
            }
            Some(c) => return self.fault(format!("`\\{c}` is not a string escape")),
            None => return self.fault("a text without its closing quote"),
        })
    }

    /// Reads a `\u` escape of four hexadecimal digits, or a surrogate pair of two escapes. Different texts must remain
    /// different.
    fn unicode(&mut self) -> Result<char, Fault> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).map_or_else(|| self.fault("half a pair of `\\u` escapes"), Ok);
        }
        if !self.starts_with("\\u") {
            return self.fault("half a pair of `\\u` escapes");
        }
        self.at += 2;
        let second = self.hex()?;
        let code = 0x10000 + ((first - 0xd800) << 10) + second.wrapping_sub(0xdc00);
        char::from_u32(code).filter(|_| (0xdc00..0xe000).contains(&second)).map_or_else(|| self.fault("half a pair of `\\u` escapes"), Ok)
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 4).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|h| u32::from_str_radix(h, 16).ok()) else {
            return self.fault("`\\u` takes four hexadecimal digits");
        };
        self.at += 4;
        Ok(code)
    }

    /// Parses the `"…"` of a regex after `#`. A backslash escapes the next character and is kept.
    pub(super) fn regex(&mut self) -> Result<String, Fault> {
        self.take();
        let begin = self.at;
        loop {
            match self.take() {
                None => return self.fault("a regex without its closing quote"),
                Some('"') => return Ok(self.text[begin..self.at - 1].to_owned()),
                Some('\\') => drop(self.take()),
                Some(_) => {}
            }
        }
    }

    /// Parses the `<…>` of an object after `#`, as printed by old versions of Clojure.
    pub(super) fn unreadable(&mut self) -> Result<String, Fault> {
        let (begin, mut open) = (self.at, 0u64);
        loop {
            match self.take() {
                None | Some('\n') => return self.fault("`#<` without its `>` on the same line"),
                Some('<') => open += 1,
                Some('>') if open == 1 => return Ok(self.text[begin..self.at].to_owned()),
                Some('>') => open -= 1,
                Some(_) => {}
            }
        }
    }
}

/// Parses a number: integers in base 10, 16, 8 and in the form `36rZZ`, with or without `N`; ratios; decimals, with or
/// without `M`. Numbers that do not fit into 64 bits keep their digits.
fn number(word: &str) -> Option<Json> {
    let (sign, digits) = match word.strip_prefix(['-', '+']) {
        Some(digits) => (if word.starts_with('-') { "-" } else { "" }, digits),
        None => ("", word),
    };
    let whole = |digits: &str, base: u32| i64::from_str_radix(&format!("{sign}{digits}"), base).ok();
    let all = |digits: &str, base: u32| !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let (hex, big) = hex.strip_suffix('N').map_or((hex, false), |hex| (hex, true));
        if !all(hex, 16) {
            return None;
        }
        let long = || (big || hex.len() <= 16).then(|| other("#N", Json::String(format!("{sign}0x{}", hex.to_ascii_lowercase()))));
        return whole(hex, 16).map(Json::from).or_else(long);
    }
    if let Some((numerator, denominator)) = digits.split_once('/') {
        let ratio = all(numerator, 10) && all(denominator, 10);
        return ratio.then(|| other("#ratio", Json::String(format!("{sign}{numerator}/{denominator}"))));
    }
    if let Some((base, digits)) = digits.split_once(['r', 'R']) {
        let base = base.parse::<u32>().ok().filter(|base| (2..=36).contains(base))?;
        return all(digits, base).then(|| whole(digits, base)).flatten().map(Json::from);
    }
    if let Some(big) = digits.strip_suffix('N') {
        let long = || other("#N", Json::String(format!("{sign}{}", big.trim_start_matches('0'))));
        return all(big, 10).then(|| whole(big, 10).map_or_else(long, Json::from));
    }
    let (decimal, exact) = digits.strip_suffix('M').map_or((digits, false), |d| (d, true));
    if all(decimal, 10) {
        let octal = decimal.len() > 1 && decimal.starts_with('0') && !exact;
        return whole(decimal, if octal { 8 } else { 10 }).map(Json::from);
    }
    let float = decimal.parse::<f64>().ok().filter(|f| f.is_finite() && decimal.contains(['.', 'e', 'E']))?;
    // Decimals that are not integers keep their digits, because two of them may be equal as 64-bit floats.
    if exact && float.fract() != 0.0 {
        return Some(other("#M", Json::String(format!("{sign}{decimal}"))));
    }
    Number::from_f64(if sign == "-" { -float } else { float }).map(Json::Number)
}
