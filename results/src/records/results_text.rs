//! `results.json` as text, and back: what cannot be read is named by line and column, with what to do.

use crate::results_json::{Results, SCHEMA};
use serde::Deserialize;

/// Why a `results.json` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or not of this shape.
    #[error("line {line}, column {column}: {what}; `heckle check` on the folder judges its history again")]
    IllFormed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What.
        what: String,
    },
    /// Another format.
    #[error("schema `{0}` is not `{SCHEMA}`, the one this version reads")]
    Schema(String),
}

impl Results {
    /// The text of a `results.json`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings, numbers and maps with string keys serialize");
        text.push('\n');
        text
    }

    /// Reads the text of a `results.json`.
    ///
    /// # Errors
    /// See [`ParseError`].
    pub fn from_json(text: &str) -> Result<Self, ParseError> {
        let ill = |e: serde_json::Error| {
            let (line, column) = (e.line(), e.column());
            let what = e.to_string();
            // serde_json appends the place, which stands in front here.
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
