//! `report.html`: one self-contained page for a run, to be opened from disk.
//!
//! It loads nothing: style, scripts, data and images are embedded, and its content security policy allows nothing else. Tables
//! and texts work without scripts. Scripts add the charts. Modules in reading order:

pub mod markup; // HTML that is always escaped
pub(crate) mod assets; // style sheets, scripts, and the content security policy
pub mod data; // data for the scripts
mod head; // verdict, reasons, figures
mod charts; // containers and descriptions of the charts
mod stages; // the table of load stages
mod tables; // latency, faults, checks, environment
mod fairness; // fairness tables
mod violations; // the violations, each with its counterexample
mod nodes; // node events, and logs around faults

use crate::charts::Picture;
use crate::measure::Measured;
use crate::results_json::Results;
use crate::summary::verdict_words;
use assets::Assets;
use heckle_history::History;
use markup::Html;
use serde_json::Value as Json;

/// The contents of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageInput<'a> {
    /// The history of the run.
    pub history: &'a History,
    /// The measured figures.
    pub measured: &'a Measured,
    /// The results of the run.
    pub results: &'a Results,
    /// The files of the nodes.
    pub nodes: &'a [NodeFiles],
    /// The charts as images.
    pub pictures: &'a [Picture],
    /// The command that runs the same plan and seed again.
    pub rerun: &'a str,
}

/// The files of a node. The text of a missing file is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFiles {
    /// Name of the node.
    pub name: String,
    /// Text of `node.log`.
    pub log: String,
    /// Text of `metrics.jsonl`.
    pub metrics: String,
}

impl NodeFiles {
    /// Parses the samples in its metrics, skipping truncated lines.
    fn samples(&self) -> Vec<Json> {
        self.metrics.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// Returns the page.
pub fn page(subject: PageInput<'_>) -> String {
    let assets = Assets::new();
    let results = subject.results;
    let title = format!("{} · {} · seed {}", verdict_words(results), results.plan.name, results.seed);
    let mut head = Html::open("meta", &[("charset", "utf-8")]);
    head.push(Html::open("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &assets.policy())]));
    head.push(Html::open("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]));
    head.push(Html::element("title", &[], title));
    head.push(assets.style());
    let mut body = head::of(subject);
    body.push(violations::of(subject));
    body.push(charts::of(subject));
    body.push(tables::of(subject));
    body.push(nodes::of(subject));
    body.push(tables::run(subject));
    body.push(charts::pictures(subject));
    body.push(Html::element("script", &[("type", "application/json"), ("id", "data")], Html::json(&data::of(&subject))));
    body.push(assets.scripts());
    let page = Html::element("head", &[], head).and(Html::element("body", &[], body));
    format!("<!doctype html>\n{}\n", Html::element("html", &[("lang", "en")], page).as_str())
}

#[cfg(test)]
mod tests;
