//! The differences between two runs: their settings, every figure with its ratio, the verdicts. A single pair of runs proves
//! nothing about performance; `heckle compare` runs pairs and gives confidence intervals.

use crate::charts::axis::digits;
use crate::results_json::Results;
use crate::terminal::{Align, Cell, Colour, Style, clean, run_verdict_style, shorten, table};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Ratio beyond which a difference between figures is highlighted.
const HIGHLIGHT_RATIO: f64 = 1.2;
/// Maximum length of a setting, in characters.
const MAX_SETTING: usize = 24;

/// The differences between two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// The run ids.
    pub runs: [String; 2],
    /// Their verdicts.
    pub verdicts: [String; 2],
    /// Settings that differ, with `null` if a run does not have the setting.
    pub settings: BTreeMap<String, [Option<String>; 2]>,
    /// Figures that at least one of the runs has.
    pub figures: BTreeMap<String, Figure>,
    /// Reasons why the figures are not comparable.
    pub caveats: Vec<String>,
    #[serde(skip)]
    looks: [Style; 2],
}

/// One figure in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The value in each run.
    pub values: [Option<f64>; 2],
    /// The second value divided by the first. Absent if either is missing or the first is zero.
    pub ratio: Option<f64>,
}

/// Compares two runs. The settings are those of their plans, flattened to names such as `load.rate`.
pub fn of(a: &Results, b: &Results, settings: [&BTreeMap<String, String>; 2]) -> Diff {
    let mut differing = BTreeMap::new();
    for key in settings[0].keys().chain(settings[1].keys()) {
        let both = settings.map(|s| s.get(key).cloned());
        if both[0] != both[1] {
            differing.insert(key.clone(), both);
        }
    }
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    for (results, into) in [(a, &mut left), (b, &mut right)] {
        figures(results, into);
    }
    let mut all = BTreeMap::new();
    for key in left.keys().chain(right.keys()) {
        let values = [left.get(key).copied(), right.get(key).copied()];
        let ratio = values[0].zip(values[1]).filter(|(x, _)| *x != 0.0).map(|(x, y)| y / x);
        all.insert(key.clone(), Figure { values, ratio });
    }
    let mut caveats = vec!["one run of each is an anecdote; `heckle compare` runs pairs and says how sure it is".to_owned()];
    if a.env.fingerprint != b.env.fingerprint {
        caveats.push("the runs were made on different machines".into());
    }
    if a.build.git != b.build.git || a.build.dirty || b.build.dirty {
        caveats.push("the runs were made by different builds, or by one with changes".into());
    }
    let name = |r: &Results| r.run_id.clone();
    let verdict = |r: &Results| r.verdict.word().to_owned();
    let (runs, verdicts) = ([name(a), name(b)], [verdict(a), verdict(b)]);
    Diff { runs, verdicts, settings: differing, figures: all, caveats, looks: [run_verdict_style(a.verdict), run_verdict_style(b.verdict)] }
}

/// Collects the comparable figures of a run, by their names in its file.
fn figures(results: &Results, into: &mut BTreeMap<String, f64>) {
    let json = serde_json::to_value(results).unwrap_or_default();
    for part in ["ops", "load", "latency_ms", "paxos", "fairness", "fates"] {
        flatten(part, &json[part], into);
    }
}

fn flatten(name: &str, value: &Json, into: &mut BTreeMap<String, f64>) {
    match value {
        Json::Number(n) => drop(n.as_f64().map(|n| into.insert(name.to_owned(), n))),
        Json::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, into)),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) => {}
    }
}

impl Diff {
    /// Formats the differences for the terminal. Leaves out equal figures.
    pub fn text(&self, width: usize, colour: Colour) -> String {
        // Run ids are long, so they are above the table, where every column fits.
        let heading = [("", Align::Left), ("A", Align::Right), ("B", Align::Right), ("B by A", Align::Right)];
        let plain = |words: String| (Style::Plain, words);
        let verdicts = |i: usize| (self.looks[i], self.verdicts[i].replace('_', " "));
        let mut rows: Vec<Vec<Cell>> = vec![vec![plain("verdict".into()), verdicts(0), verdicts(1), plain(String::new())]];
        for (name, both) in &self.settings {
            let cell = |v: &Option<String>| plain(v.as_ref().map_or("-".into(), |v| shorten(&clean(v), MAX_SETTING)));
            rows.push(vec![plain(clean(name)), cell(&both[0]), cell(&both[1]), plain(String::new())]);
        }
        let mut equal = 0;
        for (name, figure) in &self.figures {
            if figure.values[0] == figure.values[1] {
                equal += 1;
                continue;
            }
            let cell = |v: Option<f64>| plain(v.map_or("-".into(), digits));
            let look = figure
                .ratio
                .map_or(Style::Plain, |r| if (1.0 / HIGHLIGHT_RATIO..=HIGHLIGHT_RATIO).contains(&r) { Style::Dim } else { Style::Strong });
            let ratio = (look, figure.ratio.map_or("-".into(), |r| format!("{}x", digits(r))));
            rows.push(vec![plain(clean(name)), cell(figure.values[0]), cell(figure.values[1]), ratio]);
        }
        let mut out = format!("A  {}\nB  {}\n\n", clean(&self.runs[0]), clean(&self.runs[1]));
        out += &table(&heading, &rows, width, colour);
        out += &format!("{}\n", colour.paint(Style::Dim, &format!("{equal} figures are equal; {} settings differ", self.settings.len())));
        for caveat in &self.caveats {
            out += &format!("note: {caveat}\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Sample};
    use crate::sample_results;

    #[test]
    fn differences_are_shown_and_equal_figures_are_counted() {
        let history = sample::history(Sample::default());
        let a = sample_results::valid(&history);
        let mut b = a.clone();
        b.run_id = "other".into();
        b.latency_ms.get_mut("all").unwrap().from_intended.p99 *= 2.0;
        let settings =
            |rate: &str| BTreeMap::from([("load.rate".to_owned(), rate.to_owned()), ("cluster.nodes".to_owned(), "3".to_owned())]);
        let (left, right) = (settings("400"), settings("800"));
        let diff = of(&a, &b, [&left, &right]);
        assert_eq!(diff.settings.len(), 1);
        assert_eq!(diff.figures["latency_ms.all.from_intended.p99"].ratio, Some(2.0));
        let text = diff.text(100, Colour::Never);
        assert!(text.contains("load.rate") && !text.contains("cluster.nodes") && text.contains("2x"), "{text}");
        assert!(!text.contains("from_intended.p50"), "{text}");
        let narrow = diff.text(80, Colour::Never);
        assert!(narrow.lines().any(|l| l.starts_with("latency_ms.all.from_intended.p99") && l.ends_with("2x")), "{narrow}");
        let same = of(&a, &a, [&left, &left]);
        assert!(same.settings.is_empty() && same.figures.values().all(|f| f.values[0] == f.values[1]));
    }

    #[test]
    fn different_machines_and_builds_are_reported() {
        let a = sample_results::valid(&sample::history(Sample { seconds: 2, ..Sample::default() }));
        let mut b = a.clone();
        b.env.fingerprint = "other".into();
        b.build.git = "other".into();
        let none = BTreeMap::new();
        assert_eq!(of(&a, &b, [&none, &none]).caveats.len(), 3);
        assert_eq!(of(&a, &a, [&none, &none]).caveats.len(), 1);
    }
}
