//! `compare.html`: a comparison as one self-contained page, to be opened from disk.
//!
//! Like the report of a run, it contains no script and loads nothing: the content security policy allows only embedded images and
//! the style sheet with the given hash, and all external text is escaped.

use crate::charts::Picture;
use crate::charts::axis::{count, digits, duration};
use crate::compare::compare_json::{Arm, Comparison, Contrast, FigureResult, Run};
use crate::compare::decide::{Decision, p_words};
use crate::compare::figures;
use crate::compare::phases::Phase;
use crate::compare::text::decision_style;
use crate::report::markup::Html;
use crate::results_json::Status;
use crate::terminal::Style;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const STYLE: &str = include_str!("compare.css");
/// SHA-256 of [`STYLE`]. A test compares the two and prints the new hash.
const STYLE_HASH: &str = "sha256-9zCC5706dJrrxf+5QxLD5Dxsge6hjMD216eKDp0XhLs=";

/// Returns the page.
pub fn page(comparison: &Comparison, pictures: &[Picture]) -> String {
    let title = format!("{} · compared · {}", comparison.head.name, comparison.comparison_id);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        escape(&title)
    );
    out += &head(comparison);
    out += &arms(&comparison.arms);
    out += &validity(comparison);
    out += &picture(
        pictures,
        "forest",
        "effects",
        "Effects",
        "Left of “same” is less than the reference, right of it more. A line that crosses “same” shows no difference; a line inside the grey band shows that there is none that matters.",
    );
    // Present only if arms differ in pruning or expiry. State is then the subject of the comparison, so it comes early.
    if comparison.state.is_some() {
        out += &picture(
            pictures,
            "state_size",
            "state",
            "Protocol state",
            "What replicas keep beside keys and values, under the same load. A curve that rises for ever is a node that fills. A thin band says that all pairs agree.",
        );
    }
    out += &comparison.contrasts.iter().map(contrast).collect::<String>();
    out += &picture(
        pictures,
        "pairs",
        "pairs",
        "Pairs",
        "The effect is the mean over pairs of what happens along a line. An effect that only one or two lines show is luck.",
    );
    out += &picture(
        pictures,
        "waits",
        "waits",
        "Waits",
        "Higher and further left is better. The axis counts nines, so that the few who wait longest take as much room as the many who do not. A curve that ends in a dot has intents that never finished.",
    );
    out += &picture(
        pictures,
        "successes",
        "successes",
        "Who succeeded when",
        "Starved clients are pale rows, outages are pale columns. The pair is the one with the median effect.",
    );
    out += &runs(comparison);
    out += &method_section(comparison);
    out + "</body>\n</html>\n"
}

/// Escapes text for a page, including quoted attributes.
fn escape(words: &str) -> String {
    Html::text(words).as_str().to_owned()
}

fn class(look: Style) -> &'static str {
    match look {
        Style::Good => "good",
        Style::Bad => "bad",
        Style::Doubt => "doubt",
        Style::Dim => "dim",
        Style::Strong => "strong",
        Style::Plain => "",
    }
}

/// Formats an HTML table. The columns in `numbers` are right-aligned. A row may have its own class.
fn table(heading: &[String], numbers: &[usize], rows: impl IntoIterator<Item = (&'static str, Vec<String>)>) -> String {
    let cell = |tag: &str, i: usize, words: &str| {
        let class = if numbers.contains(&i) { " class=\"n\"" } else { "" };
        format!("<{tag}{class}>{words}</{tag}>")
    };
    let line = |tag: &str, words: &[String]| -> String { words.iter().enumerate().map(|(i, w)| cell(tag, i, w)).collect() };
    let mut out = format!("<div class=\"scroll\"><table><thead><tr>{}</tr></thead><tbody>\n", line("th", heading));
    for (class, row) in rows {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        out += &format!("<tr{class}>{}</tr>\n", line("td", &row));
    }
    out + "</tbody></table></div>\n"
}

fn head(comparison: &Comparison) -> String {
    let design = &comparison.design;
    let look = outcome_style(comparison);
    let rate = design.rate_per_s.map_or_else(String::new, |r| format!(" of {} a second", digits(r)));
    let mut out = format!(
        "<h1>{}</h1>\n<p class=\"dim\">{} · seed {} · {} pairs · {}{rate} · took {} · {}</p>\n\
         <nav><a href=\"#validity\">validity</a><a href=\"#effects\">effects</a>{}<a href=\"#pairs\">pairs</a><a href=\"#waits\">waits</a><a href=\"#successes\">successes</a><a href=\"#runs\">runs</a><a href=\"#how\">how</a></nav>\n",
        escape(&comparison.head.name),
        escape(&comparison.comparison_id),
        escape(&comparison.head.seed),
        design.pairs,
        design.load.words(),
        duration(comparison.head.wall_s * 1e3),
        escape(&comparison.head.started_utc),
        if comparison.state.is_some() { "<a href=\"#state\">state</a>" } else { "" },
    );
    let state = if comparison.head.status == Status::Interrupted { ", interrupted" } else { "" };
    out += &format!("<div class=\"verdict {}\"><span class=\"dim\">exit code {}{state}</span>\n", class(look), comparison.head.exit_code);
    for sentence in &comparison.head.answer {
        out += &format!("<p class=\"strong\">{}</p>\n", escape(sentence));
    }
    for sentence in &comparison.head.verdict {
        let red = if sentence.starts_with("DISQUALIFIED") { " class=\"bad\"" } else { "" };
        out += &format!("<p{red}>{}</p>\n", escape(sentence));
    }
    out + "</div>\n"
}

/// Returns the style of the outcome. Green is reserved for claims: a comparison that shows no difference, or makes no
/// claim about a primary figure, is not a success.
fn outcome_style(comparison: &Comparison) -> Style {
    let claims = |c: &Contrast| {
        let primary = || c.figures.iter().filter(|f| f.primary).map(|f| f.decision);
        let claim = |d| matches!(d, Decision::Changed | Decision::PracticallyTheSame);
        primary().any(claim) && !primary().any(|d| d == Decision::NoClaim)
    };
    match comparison.head.exit_code {
        0 if !comparison.contrasts.is_empty() && comparison.contrasts.iter().all(claims) => Style::Good,
        1 => Style::Bad,
        _ => Style::Doubt,
    }
}

fn arms(arms: &[Arm]) -> String {
    let rows = arms.iter().enumerate().map(|(i, a)| {
        let stated: Vec<String> = a.settings.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        let stated = if stated.is_empty() { "as the plan says".into() } else { stated.join(", ") };
        let standing = a.disqualified.as_ref().map_or_else(
            || if i == 0 { "reference".to_owned() } else { String::new() },
            |d| {
                format!("<span class=\"bad\">disqualified: {} (<a href=\"{}/report.html\">run</a>)</span>", escape(&d.why), escape(&d.path))
            },
        );
        ("", vec![escape(&a.name), escape(&stated), count(a.intents), count(a.unfinished), standing])
    });
    let heading = ["arm", "states", "intents", "never finished", ""].map(str::to_owned);
    table(&heading, &[2, 3], rows)
}

fn validity(comparison: &Comparison) -> String {
    let item = |v: &crate::compare::compare_json::Validity| {
        let (look, mark) = if v.passed { ("good", "holds") } else { ("doubt", "beware") };
        format!("<li><span class=\"{look}\">{mark}</span> · {}: {}</li>\n", escape(&v.name), escape(&v.words))
    };
    let items: String = comparison.validity.iter().map(item).collect();
    format!("<h2 id=\"validity\">What the figures rest on</h2>\n<div class=\"box\"><ul>\n{items}</ul></div>\n")
}

fn picture(pictures: &[Picture], name: &str, id: &str, heading: &str, caption: &str) -> String {
    let found = pictures.iter().find(|p| p.name == name).map_or_else(String::new, |p| {
        let (alt, data) = (escape(p.alt), STANDARD.encode(&p.png));
        let (width, height) = p.size();
        format!("<figure><img width=\"{width}\" height=\"{height}\" alt=\"{alt}\" src=\"data:image/png;base64,{data}\"><figcaption>{}</figcaption></figure>\n", escape(caption))
    });
    format!("<h2 id=\"{id}\">{heading}</h2>\n{found}")
}

fn contrast(contrast: &Contrast) -> String {
    let title = format!("{} against {}", contrast.arm, contrast.against);
    if contrast.figures.is_empty() {
        return format!("<h3>{}</h3>\n<p>{}</p>\n", escape(&title), escape(&contrast.sentence));
    }
    let heading: Vec<String> =
        ["figure", "in", "n", &contrast.against, &contrast.arm, "effect", "95 % interval", "p", "decision", ""].map(escape).to_vec();
    let row = |f: &FigureResult| {
        let p = f.p_adjusted.unwrap_or(f.p);
        let words = if f.primary { escape(&f.words) } else { String::new() };
        let about = figures::find(&f.figure).map_or("", |f| f.about);
        let name = format!("<span title=\"{}\">{}</span>", escape(about), escape(&f.what));
        let cells = vec![
            name,
            f.phase.map_or("", Phase::words).to_owned(),
            f.n.to_string(),
            escape(&f.value_words(f.reference)),
            escape(&f.value_words(f.arm)),
            escape(&f.effect_cell()),
            escape(&f.interval_cell()),
            escape(&p_words(p)),
            format!("<span class=\"{}\">{}</span>", class(decision_style(f.decision)), f.decision.word()),
            words,
        ];
        (if f.primary { "" } else { "rest" }, cells)
    };
    let mut out = format!("<h3>{}</h3>\n", escape(&title));
    out += &table(&heading, &[2, 3, 4, 5, 6, 7], contrast.figures.iter().map(row));
    out += "<p class=\"dim\">Medians of the runs that count; effects are means over pairs. p is adjusted over all primary figures; the rest is exploratory, not adjusted, and claims nothing.</p>\n";
    if !contrast.dropped.is_empty() {
        let dropped = contrast
            .dropped
            .iter()
            .map(|d| format!("<li>pair {}, {} because of {}: {}</li>\n", d.pair, d.kind.word(), escape(&d.arm), escape(&d.why)));
        out += &format!("<p>Pairs that do not count:</p><ul>{}</ul>\n", dropped.collect::<String>());
    }
    out
}

fn runs(comparison: &Comparison) -> String {
    let row = |r: &Run| {
        let figure = |name: &str| {
            let number = r.figures.get(&Phase::Whole).and_then(|f| f.get(name));
            let words = |n: &crate::compare::compare_json::Number| {
                let bound = if n.at_least { "≥ " } else { "" };
                format!("{bound}{}", figures::find(name).map_or_else(|| digits(n.value), |f| f.words(n.value)))
            };
            number.map_or_else(|| "–".into(), words)
        };
        let others = r.others_cpu.map_or_else(|| "–".into(), |o| format!("{} %", digits(o * 100.0)));
        let counts = r.dropped.as_ref().map_or_else(
            || "<span class=\"good\">counts</span>".into(),
            |d| format!("<span class=\"doubt\">{}: {}</span>", d.kind.word(), escape(&d.why)),
        );
        let link = format!("<a href=\"{}/report.html\">{}</a>", escape(&r.path), escape(&r.arm));
        let mut cells = vec![r.pair.to_string(), r.place.to_string(), link, escape(&r.seed), r.verdict.word().to_owned()];
        cells.extend(comparison.design.primary.iter().map(|name| figure(name)));
        cells.extend([others, counts]);
        ("", cells)
    };
    let mut heading: Vec<String> = ["pair", "place", "arm", "seed", "verdict"].map(str::to_owned).to_vec();
    heading.extend(comparison.design.primary.iter().map(|name| figures::find(name).map_or_else(|| escape(name), |f| escape(f.what))));
    heading.extend(["others’ CPU", ""].map(str::to_owned));
    format!(
        "<h2 id=\"runs\">Runs</h2>\n<p class=\"dim\">In the order they were made; the links lead to the runs below this folder.</p>\n{}",
        table(&heading, &[vec![0, 1], (5..6 + comparison.design.primary.len()).collect()].concat(), comparison.runs.iter().map(row))
    )
}

fn method_section(comparison: &Comparison) -> String {
    let d = &comparison.design;
    let same = digits((d.same_ratio - 1.0) * 100.0);
    let items = [
        format!("Fixed before the first run: it stops {}. Nothing was looked at before the last run ended.", d.stop_rule),
        "Times and rates are compared by the mean log ratio over pairs with Student’s t interval, Jain’s index by the mean difference with the same; counts and shares by sign flips; figures that are only lower bounds by their signs.".to_owned(),
        format!("Claims are made about the primary figures alone, with Holm’s adjustment: the chance of any false claim of change is at most {} %.", digits(d.alpha * 100.0)),
        format!("“Practically the same” is shown, not assumed: a change of {same} % or more, or of {} percentage points or more for a share, would have been seen.", digits(d.same_share * 100.0)) + &same_index(d.same_index),
        "“No difference shown” is no proof that there is none: the interval shows what remains possible.".to_owned(),
        format!("A pair is dropped if a run of it is inconclusive, was sent over {} % of its ops late, or shared over {} % of the machine with others; never for its figures.", digits(d.late_limit * 100.0), digits(d.noise_limit * 100.0)),
        format!("“Recovery” is the first {} after the lift of a fault, in all arms alike.", duration(d.recovery_s * 1e3)),
    ];
    let items: String = items.iter().map(|i| format!("<li>{}</li>\n", escape(i))).collect();
    let files: String =
        comparison.head.artifacts.values().map(|file| format!("<li><a href=\"{0}\">{0}</a></li>\n", escape(file))).collect();
    format!(
        "<h2 id=\"how\">How it was decided</h2>\n<ul>\n{items}</ul>\n<p>Again, with the same seeds and order (the same choices, not the same timing):</p>\n<pre>{}</pre>\n<p class=\"dim\">machine {} · {} cores · build {}</p>\n<h3>Files</h3>\n<ul><li><a href=\"compare.json\">compare.json</a></li>\n{files}</ul>\n",
        escape(&comparison.head.again),
        escape(&comparison.head.env.fingerprint),
        comparison.head.env.cores,
        escape(&comparison.head.build.git),
    )
}

/// Describes the margin of Jain's index. Empty for a comparison from before this margin existed.
fn same_index(margin: f64) -> String {
    if margin > 0.0 { format!(" For Jain’s index it is {}, for a number of clients half of one.", digits(margin)) } else { String::new() }
}

#[cfg(test)]
mod tests;
