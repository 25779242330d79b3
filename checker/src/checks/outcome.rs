//! The outcome of one check.

use crate::verdict::Verdict;
use serde::Serialize;
use serde_json::{Map, Value};

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckResult {
    /// Name of the check.
    pub name: &'static str,
    /// Verdict of the check.
    pub verdict: Verdict,
    /// Figures of the check. Their names include the units.
    pub figure: Map<String, Value>,
    /// A description for the user.
    pub words: String,
}

/// Creates the outcome of the check `name`.
pub(super) fn result(
    name: &'static str,
    verdict: Verdict,
    words: String,
    figure: impl IntoIterator<Item = (&'static str, Value)>,
) -> CheckResult {
    CheckResult { name, verdict, figure: figure.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(), words }
}
