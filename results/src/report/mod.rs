//! `report.html`: one self-contained page for a run, to be opened from disk.
//!
//! It loads nothing: style, scripts, data and pictures are in it, and its content policy lets nothing else apply or run.
//! What stands in tables and words is there without scripts too; scripts add the charts. Modules in reading order:

pub mod markup; // text that cannot become markup
mod assets; // style sheets, scripts, and the policy that names them
pub mod data; // what the scripts draw from
mod head; // verdict, why, figures
mod charts; // places for the charts, and what they show in words
mod tables; // latency, faults, checks, environment
mod fairness; // who got how much
mod counterexample; // violations: words and lanes
mod scene; // the lanes of a violation as a drawing
mod nodes; // what nodes did, and their logs around faults

use crate::charts::Picture;
use crate::measure::Measured;
use crate::results_json::Results;
use crate::summary::verdict_words;
use assets::Assets;
use heckle_history::History;
use markup::Html;
use serde_json::Value as Json;

/// Everything a page tells of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What happened.
    pub history: &'a History,
    /// Its figures.
    pub measured: &'a Measured,
    /// What it came to.
    pub results: &'a Results,
    /// What the nodes left behind.
    pub nodes: &'a [NodeFiles],
    /// The same as still pictures.
    pub pictures: &'a [Picture],
    /// The command that runs the same plan and seed again.
    pub rerun: &'a str,
}

/// The files of a node, as far as they are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFiles {
    /// Its name.
    pub name: String,
    /// `node.log`.
    pub log: String,
    /// `metrics.jsonl`.
    pub metrics: String,
}

impl NodeFiles {
    /// The samples of its metrics; a torn line is passed over.
    fn samples(&self) -> Vec<Json> {
        self.metrics.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// The page.
pub fn page(subject: Subject<'_>) -> String {
    let assets = Assets::new();
    let results = subject.results;
    let title = format!("{} · {} · seed {}", verdict_words(results), results.plan.name, results.seed);
    let mut head = Html::open("meta", &[("charset", "utf-8")]);
    head.push(Html::open("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &assets.policy())]));
    head.push(Html::open("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]));
    head.push(Html::element("title", &[], title));
    head.push(assets.style());
    let mut body = head::of(subject);
    body.push(counterexample::of(subject));
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
