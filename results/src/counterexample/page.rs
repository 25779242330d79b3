//! `timeline.html`: the counterexample as one self-contained page.

use super::context::Scene;
use super::section;
use super::subject::Subject;
use crate::report::assets::Assets;
use crate::report::markup::{Html, note};
use crate::results_json::{Crash, Violation};

impl Subject<'_> {
    /// Returns the page of a violation.
    pub fn page(self, violation: &Violation) -> String {
        let title = format!("{} on key {}", violation.kind.replace('_', " "), violation.key);
        let mut body = Html::element("h1", &[], title.as_str());
        if !violation.meaning.is_empty() {
            body.push(note(&format!("That is: {}.", violation.meaning)));
        }
        body.push(self.violation(violation));
        self.wrap(&title, body)
    }

    /// Returns the page of a crash.
    pub fn crash_page(self, crash: &Crash) -> String {
        let title = format!("crash of {}", crash.node);
        let mut body = Html::element("h1", &[], title.as_str()).and(self.crash(crash));
        if !crash.log.is_empty() {
            body.push(note("The end of its log:"));
            body.push(Html::element("pre", &[], crash.log.join("\n")));
        }
        self.wrap(&title, body)
    }

    /// Returns the counterexample of a violation: title, drawing, steps, proof and context.
    pub(crate) fn violation(self, violation: &Violation) -> Html {
        let mut out = Html::default();
        match super::of_violation(self.history, violation) {
            Some(argument) => {
                out.push(Html::element("p", &[("class", "a-title")], argument.title.as_str()));
                out.push(section(&argument));
            }
            None => {
                out.push(Html::element("p", &[("class", "a-title")], violation.words.as_str()));
                let why = if violation.ops.is_empty() { "No small set of ops was found" } else { "Its ops are not in this history" };
                out.push(note(&format!("{why}, so there is nothing to draw.")));
            }
        }
        let mut proof = Html::element("p", &[], violation.words.as_str());
        if !violation.steps.is_empty() {
            proof.push(Html::element("ol", &[], items(&violation.steps)));
        }
        out.push(fold("The proof of the checker", proof));
        if let Some(cause) = &violation.cause {
            out.push(Html::element("p", &[], Html::element("b", &[], "Cause: ").and(cause.as_str())));
        }
        if let Some(scene) = Scene::of(self, violation) {
            out.push(fold("All operations on the key at that time", scene.draw()));
        }
        if !violation.nearby.is_empty() {
            out.push(fold("Figures and faults near it, as context and not as proof", Html::element("ul", &[], items(&violation.nearby))));
        }
        out
    }

    /// Returns the drawing of a crash, with its description.
    pub(crate) fn crash(self, crash: &Crash) -> Html {
        let argument = super::of_crash(self.history, crash);
        Html::element("p", &[("class", "a-title")], argument.title.as_str()).and(section(&argument))
    }

    fn wrap(self, title: &str, body: Html) -> String {
        let assets = Assets::of_counterexample();
        let mut head = Html::open("meta", &[("charset", "utf-8")]);
        head.push(Html::open("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &assets.policy())]));
        head.push(Html::open("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]));
        head.push(Html::element("title", &[], title));
        head.push(assets.style());
        let back = Html::element("p", &[], Html::element("a", &[("href", self.report)], "The report of the run"));
        let body = body.and(back).and(assets.scripts());
        let page = Html::element("head", &[], head).and(Html::element("body", &[], body));
        format!("<!doctype html>\n{}\n", Html::element("html", &[("lang", "en")], page).as_str())
    }
}

fn items(lines: &[String]) -> Html {
    lines.iter().map(|line| Html::element("li", &[], line.as_str())).collect()
}

/// Returns a collapsible section.
fn fold(summary: &'static str, inner: Html) -> Html {
    Html::element("details", &[], Html::element("summary", &[], summary).and(inner))
}
