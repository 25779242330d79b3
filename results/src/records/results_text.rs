//! Serialization and parsing of `results.json`. Parse errors state the line and column, and what to do.

use crate::results_json::{Results, SCHEMA};
use serde::Deserialize;

/// Reason why a `results.json` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or JSON with a different structure.
    #[error("line {line}, column {column}: {what}; `heckle check` on the folder judges its history again")]
    IllFormed {
        /// Line number, counted from 1.
        line: usize,
        /// Column number, counted from 1.
        column: usize,
        /// The mistake.
        what: String,
    },
    /// The file has another format.
    #[error("schema `{0}` is not `{SCHEMA}`, the one this version reads")]
    Schema(String),
}

impl Results {
    /// Returns the text of `results.json`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings, numbers and maps with string keys serialize");
        text.push('\n');
        text
    }

    /// Parses the text of `results.json`.
    ///
    /// # Errors
    /// See [`ParseError`].
    pub fn from_json(text: &str) -> Result<Self, ParseError> {
        let ill = |e: serde_json::Error| {
            let (line, column) = (e.line(), e.column());
            let what = e.to_string();
            // serde_json appends the position, but this error puts it first.
            let what = what.split(" at line ").next().unwrap_or_default().to_owned();
            ParseError::IllFormed { line, column, what }
        };
        #[derive(Deserialize)]
        struct SchemaOnly {
            schema: String,
        }
        let SchemaOnly { schema } = serde_json::from_str(text).map_err(ill)?;
        if schema != SCHEMA {
            return Err(ParseError::Schema(schema));
        }
        serde_json::from_str(text).map_err(ill)
    }
}
