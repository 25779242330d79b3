//! The index: runs, suites, comparisons and sweeps, newest first, with a form for the filters.

use super::frame::{page, url};
use super::live_page::live_address;
use super::query::IndexQuery;
use crate::catalogue::{Catalogue, Entry};
use crate::charts::axis::{count, digits, duration};
use crate::filter::{Ended, Filter, Kind};
use crate::groups::ended;
use crate::report::markup::{Html, note};
use crate::results_json::{RunVerdict, Status};
use crate::terminal::Style;

/// Number of rows per page.
const ROWS: usize = 200;
/// Maximum number of names that the form suggests.
const MAX_NAMES: usize = 200;

/// The contents of the index.
#[derive(Debug, Clone, Copy)]
pub struct IndexView<'a> {
    /// The contents of the folder of all runs.
    pub catalogue: &'a Catalogue,
    /// The filter and the page number.
    pub query: &'a IndexQuery,
    /// The folder of all runs, as it is displayed.
    pub folder: &'a str,
}

/// Returns the page.
pub fn index(view: IndexView<'_>) -> String {
    let IndexView { catalogue, query, folder } = view;
    let shown: Vec<&Entry> = catalogue.shown(&query.filter).rev().collect();
    let pages = shown.len().div_ceil(ROWS).max(1);
    let number = query.page.min(pages);
    let rows = &shown[(number - 1) * ROWS..shown.len().min(number * ROWS)];
    let mut body = Html::element("h1", &[], "Runs").and(note(&format!("in {folder}")));
    body.push(catalogue.running().map(banner).collect::<Html>());
    body.push(form(catalogue, query));
    body.push(summary(view, shown.len()));
    if rows.is_empty() {
        let words =
            if catalogue.entries.is_empty() { "There are no runs yet: heckle run makes one." } else { "Nothing matches the filters." };
        body.push(Html::element("p", &[("class", "empty")], words));
    } else {
        body.push(table(rows));
    }
    body.push(pager(query, number, pages));
    page("Runs", body)
}

/// Returns a link to the live page of a run.
fn banner(entry: &Entry) -> Html {
    let name = if entry.name.is_empty() { entry.path.as_str() } else { entry.name.as_str() };
    let link = Html::element("a", &[("href", &live_address(&entry.path))], "watch it live");
    Html::element("p", &[("class", "banner")], Html::text(&format!("{name} is running: ")).and(link))
}

/// Returns a form that works without scripts: submitting it leads to the address of the filtered view.
fn form(catalogue: &Catalogue, query: &IndexQuery) -> Html {
    let filter = &query.filter;
    let plan = filter.plans.first().map_or("", String::as_str);
    let kinds = Kind::ALL.map(|kind| (kind.word(), filter.kinds.first() == Some(&kind)));
    let verdicts = Ended::ALL.map(|ended| (ended.word(), filter.verdicts.first() == Some(&ended)));
    let mut fields = labelled("kind", select("kind", "any kind", &kinds));
    let input =
        [("name", "plan"), ("list", "plans"), ("value", plan), ("placeholder", "any, or quick*"), ("autocomplete", "off"), ("size", "16")];
    fields.push(labelled("plan", Html::open("input", &input)));
    fields.push(labelled("verdict", select("verdict", "any verdict", &verdicts)));
    let since = [
        ("name", "since"),
        ("value", query.since.as_str()),
        ("placeholder", "2h, 7d, 2026-01-31"),
        ("autocomplete", "off"),
        ("size", "16"),
    ];
    fields.push(labelled("since", Html::open("input", &since)));
    let mut check = vec![("type", "checkbox"), ("name", "all"), ("value", "1")];
    if filter.all {
        check.push(("checked", ""));
    }
    fields.push(Html::element("label", &[("class", "check")], Html::open("input", &check).and(" runs of suites, comparisons, sweeps")));
    fields.push(Html::element("button", &[], "Show"));
    if *filter != Filter::default() {
        fields.push(Html::element("a", &[("href", "/")], "no filter"));
    }
    let names = catalogue.names();
    let options: Html = names.iter().take(MAX_NAMES).map(|name| Html::open("option", &[("value", name)])).collect();
    let list = Html::element("datalist", &[("id", "plans")], options);
    Html::element("form", &[("method", "get"), ("action", "/"), ("class", "filters"), ("aria-label", "Filters")], fields.and(list))
}

fn labelled(words: &str, field: Html) -> Html {
    Html::element("label", &[], Html::element("span", &[], words).and(field))
}

fn select(name: &'static str, any: &str, options: &[(&str, bool)]) -> Html {
    let option = |(word, chosen): &(&str, bool)| {
        let mut attributes = vec![("value", *word)];
        if *chosen {
            attributes.push(("selected", ""));
        }
        Html::element("option", &attributes, word.replace('_', " "))
    };
    let first = Html::element("option", &[("value", "")], any);
    Html::element("select", &[("name", name)], first.and(options.iter().map(option).collect::<Html>()))
}

fn summary(view: IndexView<'_>, shown: usize) -> Html {
    let hidden = view.catalogue.hidden(&view.query.filter);
    let all = view.catalogue.entries.len();
    let mut words = Html::text(&format!("{} of {} shown", count(shown as u64), count(all as u64)));
    if hidden > 0 {
        let with_all = IndexQuery { filter: Filter { all: true, ..view.query.filter.clone() }, page: 1, ..view.query.clone() };
        let what = format!("{} belong to suites, comparisons or sweeps", count(hidden as u64));
        words = words.and("; ").and(Html::element("a", &[("href", &with_all.address())], what));
    }
    Html::element("p", &[("class", "dim")], words)
}

/// Returns the status or verdict with a symbol next to the word, so that no information depends on colour.
pub(super) fn badge(status: Status, verdict: RunVerdict) -> Html {
    let (style, word) = ended(status, verdict);
    let (class, sign) = match style {
        Style::Good => ("badge good", "✓"),
        Style::Bad => ("badge bad", "✗"),
        Style::Doubt => ("badge doubt", "?"),
        Style::Dim | Style::Strong | Style::Plain => ("badge dim", "…"),
    };
    Html::element("span", &[("class", class)], Html::element("span", &[("aria-hidden", "true")], sign).and(" ").and(word))
}

fn table(rows: &[&Entry]) -> Html {
    let heading = ["began (UTC)", "what", "verdict", "ops", "op/s", "p50", "p99", "faults", "why", ""];
    let head: Html = heading.iter().map(|words| Html::element("th", &[("scope", "col")], *words)).collect();
    let body: Html = rows.iter().map(|entry| row(entry)).collect();
    let inner = Html::element("thead", &[], Html::element("tr", &[], head)).and(Html::element("tbody", &[], body));
    Html::element("table", &[("class", "rows")], inner)
}

/// Returns a row. Each cell carries its heading as an attribute: on a narrow screen, a row becomes a card of lines with headings.
fn row(entry: &Entry) -> Html {
    let cell = |label: &str, class: &str, content: Html| Html::element("td", &[("data-label", label), ("class", class)], content);
    let figure = |label: &'static str, words: Option<String>| match words {
        Some(words) => cell(label, "n", Html::text(&words)),
        None => cell(label, "n none", Html::default()),
    };
    let run = entry.run.as_ref();
    let ms = |x: f64| (x > 0.0).then(|| duration(x));
    let began = entry.started().map_or_else(|| "unknown".to_owned(), |at| at.iso().replace('T', " ").trim_end_matches('Z').to_owned());
    let folder = url("/browse/", &entry.path) + "/";
    let name = if entry.name.is_empty() { entry.path.as_str() } else { entry.name.as_str() };
    let mut what = Html::element("a", &[("href", &folder), ("title", &entry.path)], name);
    if entry.kind != Kind::Run {
        what = what.and(" ").and(Html::element("span", &[("class", "kind")], entry.kind.word()));
    }
    if let Some(part_of) = &entry.part_of {
        let of = url("/browse/", part_of) + "/";
        what = what.and(Html::element(
            "div",
            &[("class", "dim")],
            Html::text("in ").and(Html::element("a", &[("href", &of)], part_of.as_str())),
        ));
    }
    let mut cells = cell("began", "when", Html::text(&began));
    cells.push(cell("what", "what", what));
    cells.push(cell("verdict", "", badge(entry.status, entry.verdict)));
    cells.push(figure("ops", run.map(|r| count(r.ops))));
    cells.push(figure("op/s", run.filter(|r| r.achieved_per_s > 0.0).map(|r| digits(r.achieved_per_s))));
    cells.push(figure("p50", run.and_then(|r| ms(r.p50_ms))));
    cells.push(figure("p99", run.and_then(|r| ms(r.p99_ms))));
    cells.push(figure("faults", run.map(|r| count(r.faults_effective))));
    cells.push(cell("why", "why", Html::text(&entry.reason)));
    cells.push(cell("", "links", links(entry)));
    Html::element("tr", &[], cells)
}

/// Returns links to the pages of an entry. A failed run also has an explanation.
fn links(entry: &Entry) -> Html {
    let file = |file: &str| url("/files/", &format!("{}/{file}", entry.path));
    let link = |address: String, words: &str| Html::element("a", &[("href", &address)], words);
    match (entry.kind, entry.status) {
        (Kind::Run, Status::Running) if entry.verdict != RunVerdict::Error => link(live_address(&entry.path), "live"),
        (_, Status::Running | Status::Killed) => Html::default(),
        (Kind::Run, _) if entry.verdict == RunVerdict::Invalid => {
            link(file("report.html"), "report").and(" ").and(link(file("violations/1/explain.txt"), "explained"))
        }
        (Kind::Run, _) if entry.run.as_ref().is_some_and(|r| r.ops > 0) => link(file("report.html"), "report"),
        (Kind::Run, _) => Html::default(),
        (Kind::Suite, _) => link(file("summary.md"), "summary"),
        (Kind::Comparison, _) => link(file("compare.html"), "report"),
        (Kind::Sweep, _) => link(file("sweep.html"), "report"),
    }
}

fn pager(query: &IndexQuery, number: usize, pages: usize) -> Html {
    if pages == 1 {
        return Html::default();
    }
    let at = |page: usize| IndexQuery { page, ..query.clone() }.address();
    let link = |page: usize, words: &str| Html::element("a", &[("href", &at(page))], words).and(" ");
    let mut out = Html::default();
    if number > 1 {
        out.push(link(number - 1, "newer"));
    }
    out.push(format!("page {number} of {pages} "));
    if number < pages {
        out.push(link(number + 1, "older"));
    }
    Html::element("nav", &[("class", "pager"), ("aria-label", "Pages")], out)
}
