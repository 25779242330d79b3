//! Parses EDN, the notation used by Clojure, as printed by `pr`, including unreadable objects.
//!
//! Forms are converted to JSON. A keyword or a symbol becomes a string with its name. A form without a JSON equivalent
//! becomes an object with one entry whose name starts with `#`, such as `{"#ratio":"1/3"}` or `{"#inst":"…"}`, so it
//! can be compared and is never mistaken for a number or a text. The tag of a record (`#jepsen.history.Op{…}`) is
//! dropped.

mod atoms; // numbers, characters, texts
mod write; // writes JSON values as EDN

pub(super) use write::write;

use serde_json::{Map, Value as Json};

/// Maximum nesting depth, which bounds the recursion of the parser. Stack traces with causes reach about 20.
const MAX_DEPTH: usize = 128;

/// Reads a sequence of forms.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: u64,
    /// Line of the `[` of a vector around all events, while it is open.
    vector: Option<u64>,
}

/// The line of an error, and its description.
pub(super) type Fault = (u64, String);

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, line: u64) -> Self {
        Reader { text, at: 0, line, vector: None }
    }

    /// Returns the next form with its starting line; `None` at the end. A vector around all forms is unwrapped so that
    /// each event has its own line number.
    pub(super) fn next_form(&mut self) -> Result<Option<(u64, Json)>, Fault> {
        loop {
            self.skip_blank(0)?;
            match (self.peek(), self.vector) {
                (None, Some(line)) => return Err((line, "a vector without its closing `]`".to_owned())),
                (None, None) => return Ok(None),
                (Some('['), None) => self.vector = Some(self.line),
                (Some(']'), Some(_)) => self.vector = None,
                (Some(_), _) => {
                    let line = self.line;
                    return self.form(0).map(|form| Some((line, form)));
                }
            }
            self.take();
        }
    }

    /// Returns the next form of any type, for a single value such as the argument of an op.
    pub(super) fn one_form(&mut self) -> Result<Option<Json>, Fault> {
        self.skip_blank(0)?;
        if self.peek().is_none() {
            return Ok(None);
        }
        self.form(0).map(Some)
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

    fn starts_with(&self, prefix: &str) -> bool {
        self.text[self.at..].starts_with(prefix)
    }

    fn fault<T>(&self, what: impl Into<String>) -> Result<T, Fault> {
        Err((self.line, what.into()))
    }

    /// Skips whitespace, commas, comments, and forms discarded by `#_`.
    fn skip_blank(&mut self, depth: usize) -> Result<(), Fault> {
        while let Some(c) = self.peek() {
            if c == ';' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.take();
                }
            } else if c.is_whitespace() || c == ',' {
                self.take();
            } else if self.starts_with("#_") {
                self.at += 2;
                self.form(depth + 1)?;
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    fn form(&mut self, depth: usize) -> Result<Json, Fault> {
        if depth > MAX_DEPTH {
            return self.fault(format!("nested deeper than {MAX_DEPTH}"));
        }
        self.skip_blank(depth)?;
        match self.peek() {
            None => self.fault("the text ends in the middle of a form"),
            Some('{') => self.map(depth),
            Some('[') => self.sequence(']', depth),
            Some('(') => self.sequence(')', depth),
            Some('"') => self.string(),
            Some('#') => self.dispatch(depth),
            Some('\\') => self.character(),
            // Metadata is not part of a value.
            Some('^') => {
                self.take();
                self.form(depth + 1)?;
                self.form(depth + 1)
            }
            Some('\'') => {
                self.take();
                self.form(depth + 1)
            }
            Some(c @ ('}' | ']' | ')')) => self.fault(format!("`{c}` closes nothing")),
            Some(_) => self.atom(),
        }
    }

    /// Parses a form that starts with `#`: a set, a regex, `##Inf`, a var, an unreadable object, or a tagged form.
    fn dispatch(&mut self, depth: usize) -> Result<Json, Fault> {
        self.take();
        match self.peek() {
            Some('{') => return self.sequence('}', depth),
            Some('"') => return self.regex().map(|text| other("#regex", Json::String(text))),
            Some('<') => return self.unreadable().map(|text| other("#object", Json::String(text))),
            Some('#') => {
                self.take();
                return match self.word() {
                    name @ ("Inf" | "-Inf" | "NaN") => Ok(other("##", Json::String(name.to_owned()))),
                    name => self.fault(format!("`##{name}` is none of ##Inf, ##-Inf, ##NaN")),
                };
            }
            Some('\'') => {
                self.take();
                return self.form(depth + 1).map(|form| other("#var", form));
            }
            Some(_) | None => {}
        }
        let tag = self.word().to_owned();
        if tag.is_empty() {
            return self.fault("`#` without a tag");
        }
        let form = self.form(depth + 1)?;
        // A record is printed with its class before its map, and a map with a single namespace is printed with that
        // namespace.
        let record = form.is_object() && (tag.starts_with(':') || tag.contains('.'));
        let collection = form.is_array() && tag.ends_with("set");
        Ok(if record || collection { form } else { other(&format!("#{tag}"), form) })
    }

    fn sequence(&mut self, close: char, depth: usize) -> Result<Json, Fault> {
        self.take();
        let mut items = vec![];
        loop {
            self.skip_blank(depth)?;
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
            self.skip_blank(depth)?;
            if self.peek() == Some('}') {
                self.take();
                return Ok(Json::Object(map));
            }
            let key = match self.form(depth + 1)? {
                Json::String(key) => key,
                other => other.to_string(),
            };
            self.skip_blank(depth)?;
            if self.peek() == Some('}') {
                return self.fault(format!("key `{key}` without a value"));
            }
            let value = self.form(depth + 1)?;
            // An event with two values or two processes is ambiguous.
            if depth == 0 && map.contains_key(&key) {
                return self.fault(format!("key `{key}` stands twice in one map"));
            }
            map.insert(key, value);
        }
    }

    /// Reads to the end of a number, a symbol or a keyword.
    fn word(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | '[' | ']' | '(' | ')' | '"' | ';'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }
}

/// Wraps a form that has no JSON equivalent.
fn other(name: &str, form: Json) -> Json {
    Json::Object([(name.to_owned(), form)].into_iter().collect())
}
