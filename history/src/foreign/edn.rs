//! EDN, the notation of Clojure, as far as histories use it: maps, vectors, lists, sets, keywords, symbols, texts,
//! numbers, nil, and tags, which are read and dropped. Forms become JSON: a keyword is the text of its name.

use serde_json::{Map, Number, Value as Json};

/// Forms may be nested this deep: a bound for the reader's own recursion.
const MAX_DEPTH: usize = 64;

/// Reads form after form.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: u64,
}

/// What is wrong, and on which line.
pub(super) type Fault = (u64, String);

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, line: u64) -> Self {
        Reader { text, at: 0, line }
    }

    /// The next form with the line it begins on; `None` at the end.
    pub(super) fn next_form(&mut self) -> Result<Option<(u64, Json)>, Fault> {
        self.skip_blank();
        if self.at == self.text.len() {
            return Ok(None);
        }
        let line = self.line;
        self.form(0).map(|form| Some((line, form)))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += u64::from(c == '\n');
        Some(c)
    }

    fn fault<T>(&self, what: impl Into<String>) -> Result<T, Fault> {
        Err((self.line, what.into()))
    }

    fn skip_blank(&mut self) {
        while let Some(c) = self.peek() {
            if c == ';' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.take();
                }
            } else if c.is_whitespace() || c == ',' {
                self.take();
            } else {
                return;
            }
        }
    }

    fn form(&mut self, depth: usize) -> Result<Json, Fault> {
        if depth > MAX_DEPTH {
            return self.fault(format!("nested deeper than {MAX_DEPTH}"));
        }
        self.skip_blank();
        match self.peek() {
            None => self.fault("the text ends in the middle of a form"),
            Some('{') => self.map(depth),
            Some('[') => self.sequence(']', depth),
            Some('(') => self.sequence(')', depth),
            Some('"') => self.string(),
            Some('#') => self.dispatch(depth),
            Some('\\') => {
                self.take();
                Ok(Json::String(self.word().to_owned()))
            }
            Some(c @ ('}' | ']' | ')')) => self.fault(format!("`{c}` closes nothing")),
            Some(_) => self.atom(),
        }
    }

    /// `#{…}` is a set, `#tag form` is the form.
    fn dispatch(&mut self, depth: usize) -> Result<Json, Fault> {
        self.take();
        if self.peek() == Some('{') {
            return self.sequence('}', depth);
        }
        if self.word().is_empty() {
            return self.fault("`#` without a tag");
        }
        self.form(depth + 1)
    }

    fn sequence(&mut self, close: char, depth: usize) -> Result<Json, Fault> {
        self.take();
        let mut items = vec![];
        loop {
            self.skip_blank();
            if self.peek() == Some(close) {
                self.take();
                return Ok(Json::Array(items));
            }
            items.push(self.form(depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Json, Fault> {
        self.take();
        let mut map = Map::new();
        loop {
            self.skip_blank();
            if self.peek() == Some('}') {
                self.take();
                return Ok(Json::Object(map));
            }
            let key = match self.form(depth + 1)? {
                Json::String(key) => key,
                other => other.to_string(),
            };
            self.skip_blank();
            if self.peek() == Some('}') {
                return self.fault(format!("key `{key}` without a value"));
            }
            let value = self.form(depth + 1)?;
            map.insert(key, value);
        }
    }

    fn string(&mut self) -> Result<Json, Fault> {
        self.take();
        let mut out = String::new();
        loop {
            match self.take() {
                None => return self.fault("a text without its closing quote"),
                Some('"') => return Ok(Json::String(out)),
                Some('\\') => match self.take() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('r') => out.push('\r'),
                    Some('u') => out.push(self.escaped()?),
                    Some(c) => out.push(c),
                    None => return self.fault("a text without its closing quote"),
                },
                Some(c) => out.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Fault> {
        let code = self.text.get(self.at..self.at + 4).and_then(|h| u32::from_str_radix(h, 16).ok());
        let Some(code) = code else { return self.fault("`\\u` takes four hexadecimal digits") };
        self.at += 4;
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn word(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | '[' | ']' | '(' | ')' | '"' | ';'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn atom(&mut self) -> Result<Json, Fault> {
        let word = self.word();
        Ok(match word {
            "nil" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ if word.starts_with(':') => Json::String(word[1..].to_owned()),
            _ if word.starts_with(|c: char| c.is_ascii_digit()) || word.len() > 1 && word.starts_with(['-', '+']) => {
                return self.number(word);
            }
            _ => Json::String(word.to_owned()),
        })
    }

    fn number(&self, word: &str) -> Result<Json, Fault> {
        let digits = word.strip_prefix('+').unwrap_or(word);
        let digits = digits.strip_suffix(['N', 'M']).unwrap_or(digits);
        if let Ok(whole) = digits.parse::<i64>() {
            return Ok(whole.into());
        }
        match digits.parse::<f64>().ok().filter(|_| digits.contains(['.', 'e', 'E'])).and_then(Number::from_f64) {
            Some(number) => Ok(Json::Number(number)),
            None => self.fault(format!("`{}` is no number of 64 bits", word.chars().take(40).collect::<String>())),
        }
    }
}

/// A JSON value in EDN.
pub(super) fn write(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("nil"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Number(n) => out.push_str(&n.to_string()),
        Json::String(text) => {
            out.push('"');
            for c in text.chars() {
                match c {
                    '"' | '\\' => out.extend(['\\', c]),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    c => out.push(c),
                }
            }
            out.push('"');
        }
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { " " } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Json::Object(map) => {
            out.push('{');
            for (i, (key, value)) in map.iter().enumerate() {
                out.push_str(if i > 0 { ", :" } else { ":" });
                out.push_str(key);
                out.push(' ');
                write(value, out);
            }
            out.push('}');
        }
    }
}
