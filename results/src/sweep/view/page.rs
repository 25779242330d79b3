//! `sweep.html`: a sweep as one self-contained page, to be opened from disk. It contains no scripts and loads nothing. The charts
//! are SVG elements, so they follow the colour scheme of the reader's system and fit a phone.

use super::panels::panels;
use super::svg;
use crate::charts::axis::duration;
use crate::report::markup::{Html, heading, note, table};
use crate::results_json::{RunVerdict, Status};
use crate::sweep::analysis::axis_words::{at_words, load_words};
use crate::sweep::figures::{self, Figure};
use crate::sweep::sweep_json::{Arm, Point, Run, Sweep};
use crate::sweep::text::{remarks, shown_figures};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The style sheet of comparisons, and the additions for sweeps.
const STYLES: [&str; 2] = [include_str!("../../compare/view/compare.css"), include_str!("sweep.css")];

/// Returns the page.
pub fn page(sweep: &Sweep) -> String {
    let style = STYLES.concat();
    let hash = STANDARD.encode(Sha256::digest(&style));
    let title = Html::text(&format!("{} · sweep · {}", sweep.head.name, sweep.sweep_id));
    let body = head(sweep).and(charts(sweep)).and(points(sweep)).and(runs(sweep)).and(method(sweep));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>{style}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
        title.as_str(),
        body.as_str()
    )
}

fn paragraph(class: &str, words: &str) -> Html {
    Html::element("p", &[("class", class)], words).and(Html::fixed("\n"))
}

fn head(sweep: &Sweep) -> Html {
    let design = &sweep.design;
    let line = [
        sweep.sweep_id.clone(),
        format!("seed {}", sweep.head.seed),
        format!("over {}", design.axis),
        load_words(sweep),
        format!("{} of {} runs", sweep.runs.len(), design.runs),
        format!("{} of load each", duration(design.window_s * 1e3)),
        format!("took {}", duration(sweep.head.wall_s * 1e3)),
        sweep.head.started_utc.clone(),
    ];
    let line: Vec<String> = line.into_iter().filter(|part| !part.is_empty()).collect();
    let look = match sweep.head.exit_code {
        0 => "verdict good",
        1 => "verdict bad",
        _ => "verdict doubt",
    };
    let state = if sweep.head.status == Status::Interrupted { ", interrupted" } else { "" };
    let mut verdict = Html::element("span", &[("class", "dim")], format!("exit code {}{state}", sweep.head.exit_code));
    for sentence in &sweep.head.verdict {
        verdict.push(paragraph(if sentence.starts_with("DISQUALIFIED") { "bad" } else { "" }, sentence));
    }
    let links = [("#charts", "charts"), ("#points", "points"), ("#runs", "runs"), ("#how", "how")];
    let links: Html = links.iter().map(|(href, words)| Html::element("a", &[("href", href)], *words)).collect();
    Html::element("h1", &[], sweep.head.name.as_str())
        .and(paragraph("dim", &line.join(" · ")))
        .and(Html::element("nav", &[], links))
        .and(answer(sweep))
        .and(Html::element("div", &[("class", look)], verdict))
}

fn answer(sweep: &Sweep) -> Html {
    if sweep.head.answer.is_empty() {
        return Html::default();
    }
    Html::element("div", &[("class", "answer")], sweep.head.answer.iter().map(|sentence| paragraph("", sentence)).collect::<Html>())
}

fn charts(sweep: &Sweep) -> Html {
    let panels = panels(sweep);
    let item = |sample: Html, words: &str| Html::element("li", &[], sample.and(words));
    let mut legend: Html = sweep.running_arms().map(|(i, arm)| item(svg::line_sample(i), &arm.name)).collect();
    if !sweep.design.find_max && sweep.knees.iter().any(|k| k.at.is_some()) {
        legend.push(item(svg::knee_sample(), "knee: the first point that misses a limit"));
    }
    if sweep.points.iter().any(|p| !p.limited_by.is_empty()) {
        legend.push(item(svg::hollow_sample(), "hollow: load generator or machine was the limit"));
    }
    let bars = match sweep.design.repeats {
        1 => "One run per point.".to_owned(),
        n => format!("A point is the median of up to {n} runs; its bar reaches from the lowest to the highest of them."),
    };
    let all: Html = panels.latency.iter().chain(&panels.over_axis).map(svg::panel).collect();
    heading("h2", "charts", "Charts")
        .and(Html::element("ul", &[("class", "legend")], legend))
        .and(Html::element("div", &[("class", "panels")], all))
        .and(note(&format!(
            "{bars} Latency counts from when an operation was due. Throughput counts what was due in the load window and was answered; requests that time out are none."
        )))
}

fn points(sweep: &Sweep) -> Html {
    let mut out = heading("h2", "points", "Points");
    for (i, arm) in sweep.running_arms() {
        out.push(Html::element("h3", &[], svg::line_sample(i).and(Html::text(&format!(" {}", arm_words(arm))))));
        let all: Vec<&Point> = sweep.points_of(&arm.name).collect();
        out.push(point_table(sweep, &all));
    }
    let left_out: Html = sweep
        .arms
        .iter()
        .filter_map(|a| Some(paragraph("doubt", &format!("arm {} was left out: {}", a.name, a.left_out.as_ref()?))))
        .collect();
    out.and(left_out)
}

fn arm_words(arm: &Arm) -> String {
    let stated: Vec<String> = arm.settings.iter().map(|(k, v)| format!("{k} = {v}")).collect();
    let stated = if stated.is_empty() { "as the plan says".into() } else { stated.join(", ") };
    format!("{} · {stated}", arm.name)
}

fn point_table(sweep: &Sweep, points: &[&Point]) -> Html {
    let shown: Vec<&Figure> = shown_figures(sweep);
    let mut heads = vec![sweep.design.axis.as_str(), "n"];
    heads.extend(shown.iter().map(|f| f.what));
    heads.push("");
    let numbers: Vec<usize> = (0..heads.len() - 1).collect();
    let row = |p: &&Point| {
        let mut cells = vec![Html::text(&p.value.text), Html::text(&p.counted.to_string())];
        cells.extend(shown.iter().map(|f| spread_cell(f, p)));
        cells.push(Html::element("span", &[("class", if p.misses() { "doubt" } else { "dim" })], remarks(sweep, p)));
        cells
    };
    table(&heads, &numbers, points.iter().map(row))
}

/// Returns a cell with the median, and the range below it.
fn spread_cell(figure: &Figure, point: &Point) -> Html {
    let Some(spread) = point.figures.get(figure.name) else { return Html::text("–") };
    let median = Html::text(&figure.words(spread.median));
    if spread.n < 2 || spread.min == spread.max {
        return median;
    }
    let range = format!("{} to {}", figure.words(spread.min), figure.words(spread.max));
    median.and(Html::fixed("<br>")).and(Html::element("span", &[("class", "dim")], range))
}

fn runs(sweep: &Sweep) -> Html {
    let names = [figures::ANSWERED_PER_S, figures::P99_MS];
    let shown: Vec<&Figure> = names.iter().filter_map(|name| figures::find(name)).collect();
    let mut heads = vec!["", "run", "repeat", "seed", "verdict"];
    heads.extend(shown.iter().map(|f| f.what));
    heads.push("");
    let row = |(i, r): (usize, &Run)| {
        let href = format!("{}/report.html", r.path);
        let words = format!("{} at {}", r.arm, at_words(sweep, &r.value.text));
        let look = match r.verdict {
            RunVerdict::Valid | RunVerdict::GateMissed => "",
            RunVerdict::Invalid | RunVerdict::Error => "bad",
            RunVerdict::Unknown => "doubt",
        };
        let mut cells = vec![
            Html::text(&(i + 1).to_string()),
            Html::element("a", &[("href", &href)], words),
            Html::text(&r.repeat.to_string()),
            Html::text(&r.seed),
            Html::element("span", &[("class", look)], r.verdict.word()),
        ];
        cells.extend(shown.iter().map(|f| Html::text(&r.figures.get(f.name).map_or_else(|| "–".into(), |x| f.words(*x)))));
        let mut remarks: Vec<String> = r.not_counted.iter().map(|why| format!("does not count: {why}")).collect();
        remarks.extend(r.no_evidence.iter().map(|why| format!("inconclusive: {why}")));
        if !r.limited_by.is_empty() {
            remarks.push(format!("limited by {}", r.limited_by.join(", ")));
        }
        cells.push(Html::element("span", &[("class", "dim")], remarks.join("; ")));
        cells
    };
    heading("h2", "runs", "Runs").and(note("In the order they were made; the links lead to the runs below this folder.")).and(table(
        &heads,
        &[0, 2, 5, 6],
        sweep.runs.iter().enumerate().map(row),
    ))
}

fn method(sweep: &Sweep) -> Html {
    let d = &sweep.design;
    let order = if d.find_max {
        "Rates are chosen by bisection. At each step the runs of all arms are made in an order drawn from the seed."
    } else {
        "Every point is run once before any is repeated, in an order drawn anew for each round, so that a drift of the machine affects all arms and values alike."
    };
    let limits = if d.slo.is_empty() { String::new() } else { format!("{}, and ", d.slo.join(", ")) };
    let items = [
        order.to_owned(),
        format!("A run holds if {limits}at least {} of the asked rate is answered. The knee is the first point at which at least half of the runs do not.", figures::percent(d.answered_limit)),
        "A run counts unless it broke, violated correctness, or left its history or its faults in doubt. No run is left out for its figures.".to_owned(),
        "The range of n repeats contains the median of all such runs with probability 1 − 2^(1−n): 75 % for 3, 94 % for 5. Percentiles are never averaged.".to_owned(),
        "A point is hollow if at least half of its runs met a bottleneck outside the system under test: the load generator, the relay, the machine, or other programs.".to_owned(),
    ];
    let items: Html = items.iter().map(|words| Html::element("li", &[], words.as_str())).collect();
    let files: Html = [("sweep.json", "sweep.json")]
        .into_iter()
        .chain(sweep.head.artifacts.iter().map(|(name, file)| (name.as_str(), file.as_str())))
        .map(|(_, file)| Html::element("li", &[], Html::element("a", &[("href", file)], file)))
        .collect();
    let machine = format!(
        "machine {} · {} cores · build {} ({})",
        sweep.head.env.fingerprint, sweep.head.env.cores, sweep.head.build.git, sweep.head.build_profile
    );
    heading("h2", "how", "How it was made")
        .and(Html::element("ul", &[], items))
        .and(paragraph("", "Again, with the same seeds and order (the same choices, not the same timing):"))
        .and(Html::element("pre", &[], sweep.head.again.as_str()))
        .and(note(&machine))
        .and(Html::element("h3", &[], "Files"))
        .and(Html::element("ul", &[], files))
}

#[cfg(test)]
mod tests;
