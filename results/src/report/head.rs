//! The head of the page: the verdict, the reasons, the figures, and the command for running the plan again.

use super::PageInput;
use super::markup::{Html, note};
use crate::bottleneck;
use crate::charts::axis::{count, digits, duration};
use crate::measure::ALL;
use crate::results_json::{LoadUnit, Results};
use crate::summary::{closed_loop_words, verdict_words};
use crate::terminal::{Style, run_verdict_style};

/// Returns the CSS class of a style.
pub(super) fn class(look: Style) -> &'static str {
    match look {
        Style::Good => "good",
        Style::Bad => "bad",
        Style::Doubt => "doubt",
        Style::Dim => "dim",
        Style::Strong | Style::Plain => "",
    }
}

/// Formats text in a style.
pub(super) fn words(look: Style, words: &str) -> Html {
    Html::element("span", &[("class", class(look))], words)
}

pub(super) fn of(subject: PageInput<'_>) -> Html {
    let results = subject.results;
    let mut out = Html::element("a", &[("class", "skip"), ("href", "#charts")], "Skip to the charts");
    out.push(Html::element("h1", &[], results.plan.name.as_str()));
    let labels: String = results.plan.labels.iter().map(|(k, v)| format!(" · {k} {v}")).collect();
    out.push(note(&format!("run {} · seed {} · {}{labels}", results.run_id, results.seed, results.started_utc)));
    out.push(contents(subject));
    out.push(verdict(results));
    out.push(note("The same plan and seed again (the same choices, not the same timing):"));
    out.push(Html::element("pre", &[], subject.rerun));
    out.and(figures(results))
}

fn contents(subject: PageInput<'_>) -> Html {
    let mut places = vec![];
    if !subject.results.linearizability.violations.is_empty() || !subject.results.crashes.is_empty() {
        places.push(("#violations", "violations"));
    }
    places.extend([("#charts", "charts"), ("#percentiles", "percentiles"), ("#slowest", "slowest ops"), ("#faults", "faults")]);
    if !subject.results.stages.is_empty() {
        places.push(("#stages", "stages"));
    }
    places.extend([("#fairness", "fairness"), ("#nodes", "nodes"), ("#checks", "checks"), ("#run", "run")]);
    let links: Html = places.into_iter().map(|(place, words)| Html::element("a", &[("href", place)], words)).collect();
    Html::element("nav", &[("aria-label", "Sections")], links)
}

fn verdict(results: &Results) -> Html {
    let mut inner = Html::element("strong", &[], verdict_words(results));
    inner.push(Html::element("span", &[("class", "dim")], format!(" exit code {}", results.exit_code)));
    let reasons = results.reasons.iter().map(|r| Html::element("li", &[], r.as_str()));
    let warnings = results.warnings.iter().map(|w| Html::element("li", &[("class", "dim")], w.as_str()));
    inner.push(Html::element("ul", &[], reasons.chain(warnings).collect::<Html>()));
    if !results.bottlenecks.is_empty() {
        let slowed = results.bottlenecks.iter().map(|b| Html::element("li", &[("class", "doubt")], format!("Slowed by: {}", b.sentence())));
        let stands = Html::element("li", &[("class", "dim")], bottleneck::VERDICT_HOLDS);
        inner.push(Html::element("ul", &[], slowed.collect::<Html>().and(stands)));
    }
    let class = format!("verdict {}", class(run_verdict_style(results.verdict)));
    Html::element("div", &[("class", &class), ("id", "verdict")], inner)
}

fn figures(results: &Results) -> Html {
    let ops = results.ops;
    let all = results.latency_ms.get(ALL).cloned().unwrap_or_default();
    let unit = results.load.unit.word();
    let mean = if results.stages.is_empty() { "" } else { " on average" };
    let asked = results.load.target_per_s.map_or_else(|| closed_loop_words(&results.load), |t| format!("{} asked{mean}", digits(t)));
    let begun_per_s = match results.load.unit {
        LoadUnit::Op => results.load.achieved_per_s,
        LoadUnit::Intent => results.load.begun_per_s,
    };
    let longest = results.faults.iter().filter_map(|f| f.recovery_ms).max_by(f64::total_cmp);
    let effective = results.faults.iter().filter(|f| f.effective).count();
    let ms = |x: f64| if all.ok == 0 { "–".to_owned() } else { duration(x) };
    let mut cells = vec![
        (count(ops.invoked), "ops sent in the whole run".to_owned()),
        (count(ops.ok), format!("ok, {} condition not met", count(ops.condition_not_met))),
        (count(ops.unknown), format!("unknown, {} failed", count(ops.failed))),
        (digits(begun_per_s), format!("{unit} a second, {asked}")),
        (ms(all.from_intended.p50), "median latency from when due".to_owned()),
        (ms(all.from_intended.p99), "99th percentile".to_owned()),
        (format!("{effective} of {}", results.faults.len()), "faults took effect".to_owned()),
    ];
    cells.extend(longest.map(|ms| (duration(ms), "longest recovery".to_owned())));
    let cell =
        |(figure, what): (String, String)| Html::element("div", &[], Html::element("b", &[], figure).and(Html::element("span", &[], what)));
    Html::element("div", &[("class", "figures")], cells.into_iter().map(cell).collect::<Html>())
}
