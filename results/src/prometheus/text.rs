//! The Prometheus text format, version 0.0.4: families in order, each with its help and type, then its samples.

use super::families::{COMMON_LABELS, FAMILIES, FamilyKind, family};
use crate::buckets::Buckets;
use heckle_history::printable::needs_escape;
use std::collections::BTreeMap;

/// Nanoseconds per second.
const SECOND_NS: f64 = 1e9;

/// Samples of one run.
#[derive(Debug, Default)]
pub(super) struct Samples {
    plan: String,
    run: String,
    by_family: BTreeMap<&'static str, String>,
}

impl Samples {
    pub(super) fn of(plan: &str, run: &str) -> Self {
        Samples { plan: plan.to_owned(), run: run.to_owned(), by_family: BTreeMap::new() }
    }

    /// Adds a sample, with labels in the order of the family. Leaves out a figure that is not a number.
    ///
    /// # Panics
    /// If there is no such family, or the number of labels differs.
    pub(super) fn add(&mut self, name: &'static str, labels: &[&str], value: f64) {
        let names = family(name).unwrap_or_else(|| panic!("{name} is not in FAMILIES")).labels;
        assert_eq!(names.len(), labels.len(), "labels of {name}");
        if value.is_finite() {
            let pairs: Vec<(&str, &str)> = names.iter().copied().zip(labels.iter().copied()).collect();
            self.line(name, "", &pairs, value);
        }
    }

    /// Adds cumulative counts by bucket, with sum and count.
    pub(super) fn add_buckets(&mut self, name: &'static str, op: &str, buckets: &Buckets) {
        for (bound, count) in buckets.cumulative() {
            let bound = (bound as f64 / SECOND_NS).to_string();
            self.line(name, "_bucket", &[("op", op), ("le", &bound)], count as f64);
        }
        self.line(name, "_bucket", &[("op", op), ("le", "+Inf")], buckets.count() as f64);
        self.line(name, "_sum", &[("op", op)], buckets.sum_ns as f64 / SECOND_NS);
        self.line(name, "_count", &[("op", op)], buckets.count() as f64);
    }

    fn line(&mut self, name: &'static str, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let [plan, run] = COMMON_LABELS;
        let all = [(plan, self.plan.as_str()), (run, self.run.as_str())].into_iter().chain(labels.iter().copied());
        let all: Vec<String> = all.map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let line = format!("{name}{suffix}{{{}}} {value}\n", all.join(","));
        *self.by_family.entry(name).or_default() += &line;
    }

    /// Returns the exposition. Families without samples are left out.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for family in FAMILIES {
            if let Some(lines) = self.by_family.get(family.name) {
                out += &format!("# HELP {0} {1}\n# TYPE {0} {2}\n{lines}", family.name, family.help, FamilyKind::word(family.kind));
            }
        }
        out
    }
}

/// Escapes the value of a label. The format has three escapes. Other control characters become the replacement character.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out += "\\\\",
            '"' => out += "\\\"",
            '\n' => out += "\\n",
            c if needs_escape(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
