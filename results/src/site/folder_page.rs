//! The page of a folder: for a run, its verdict, pictures, explanation and files, and for any other folder, its contents.

use super::frame::{page, url};
use super::index_page::badge;
use super::live_page::live_address;
use crate::catalogue::Entry;
use crate::charts::axis::{bytes, count};
use crate::filter::Kind;
use crate::report::markup::{Html, note};
use crate::results_json::{Results, Status};

/// A file or folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name. For a file in a subfolder, this includes the path from here.
    pub name: String,
    /// Size of a file in bytes, or `None` for a folder.
    pub bytes: Option<u64>,
}

/// The contents of a folder.
#[derive(Debug, Clone, Copy)]
pub struct FolderView<'a> {
    /// Path relative to the folder of all runs. Empty for that folder itself.
    pub path: &'a str,
    /// The folder's entry in the index, if it has one.
    pub entry: Option<&'a Entry>,
    /// The results, if the folder is a run whose results can be read.
    pub results: Option<&'a Results>,
    /// Entries of the index that belong to this one, oldest first.
    pub parts: &'a [&'a Entry],
    /// The files and folders in it.
    pub items: &'a [Item],
    /// Pictures below it, by their paths from here.
    pub pictures: &'a [String],
    /// Explanations of violations, by their paths from here, with their texts.
    pub explanations: &'a [(String, String)],
    /// Whether the folder contains more than `items`.
    pub cut: bool,
}

/// Returns the page.
pub fn folder(view: FolderView<'_>) -> String {
    let mut body = crumbs(view.path);
    let title = match view.entry {
        Some(entry) if !entry.name.is_empty() => entry.name.as_str(),
        _ if view.path.is_empty() => "All folders",
        _ => view.path,
    };
    body.push(Html::element("h1", &[], title));
    if let Some(entry) = view.entry {
        body.push(head(entry, view));
    }
    if !view.parts.is_empty() {
        body.push(Html::element("h2", &[("id", "runs")], format!("Runs ({})", count(view.parts.len() as u64))));
        body.push(Html::element("ul", &[("class", "parts")], view.parts.iter().map(|part| one_part(part)).collect::<Html>()));
    }
    for (path, text) in view.explanations {
        let link = Html::element("a", &[("href", &file(view, path))], path.as_str());
        body.push(Html::element("h2", &[], Html::text("Explained: ").and(link)));
        body.push(Html::element("pre", &[("tabindex", "0")], text.as_str()));
    }
    if !view.pictures.is_empty() {
        body.push(Html::element("h2", &[("id", "pictures")], "Pictures"));
        let picture = |path: &String| {
            let address = file(view, path);
            let image = Html::open("img", &[("src", &address), ("alt", path), ("loading", "lazy")]);
            let link = Html::element("a", &[("href", &address)], image);
            Html::element("figure", &[], link.and(Html::element("figcaption", &[], path.as_str())))
        };
        body.push(Html::element("div", &[("class", "pictures")], view.pictures.iter().map(picture).collect::<Html>()));
    }
    body.push(Html::element("h2", &[("id", "files")], "Files"));
    body.push(files(view));
    page(title, body)
}

fn file(view: FolderView<'_>, path: &str) -> String {
    url("/files/", &format!("{}/{path}", view.path))
}

/// Returns links to the folders above.
fn crumbs(path: &str) -> Html {
    if path.is_empty() {
        return Html::default();
    }
    let mut out = Html::element("a", &[("href", "/browse/")], "all folders");
    let mut so_far = String::new();
    for part in path.split('/') {
        so_far = if so_far.is_empty() { part.to_owned() } else { format!("{so_far}/{part}") };
        out.push(" / ");
        out.push(Html::element("a", &[("href", &(url("/browse/", &so_far) + "/"))], part));
    }
    Html::element("p", &[("class", "crumbs dim")], out)
}

fn head(entry: &Entry, view: FolderView<'_>) -> Html {
    let mut facts = vec![entry.kind.word().to_owned()];
    facts.extend(entry.started().map(|at| at.iso()));
    facts.extend(view.results.map(|r| format!("seed {}", r.seed)).filter(|_| entry.kind == Kind::Run));
    facts.extend(view.results.into_iter().flat_map(|r| r.plan.labels.iter().map(|(k, v)| format!("{k} {v}"))));
    let mut out = note(&facts.join(" · "));
    let mut inner = badge(entry.status, entry.verdict);
    if let Some(results) = view.results.filter(|_| entry.status != Status::Running) {
        inner.push(Html::element("span", &[("class", "dim")], format!(" exit code {}", results.exit_code)));
    }
    let reasons: Vec<&str> = match view.results {
        Some(results) if !results.reasons.is_empty() => results.reasons.iter().chain(&results.warnings).map(String::as_str).collect(),
        _ => vec![entry.reason.as_str()],
    };
    let lines: Html = reasons.iter().filter(|r| !r.is_empty()).map(|r| Html::element("li", &[], *r)).collect();
    inner.push(Html::element("ul", &[], lines));
    out.push(Html::element("div", &[("class", "verdict")], inner));
    let main: &[(&str, &str)] = match entry.kind {
        Kind::Run => &[
            ("report.html", "report"),
            ("summary.md", "summary"),
            ("results.json", "results"),
            ("history.jsonl.zst", "history (zstd)"),
            ("history.jsonl", "history"),
        ],
        Kind::Suite => &[("summary.md", "summary"), ("suite.json", "results")],
        Kind::Comparison => &[("compare.html", "report"), ("compare.json", "results")],
        Kind::Sweep => &[("sweep.html", "report"), ("sweep.json", "results")],
    };
    let there = main.iter().filter(|(name, _)| view.items.iter().any(|item| item.name == *name));
    let links: Html = there.map(|(name, words)| Html::element("a", &[("href", &file(view, name))], *words)).collect();
    let is_live = entry.kind == Kind::Run && entry.status == Status::Running;
    let address = live_address(&entry.path);
    let live = if is_live { Html::element("a", &[("href", &address)], "live") } else { Html::default() };
    out.and(Html::element("p", &[("class", "main-links")], live.and(links)))
}

fn one_part(part: &Entry) -> Html {
    let address = url("/browse/", &part.path) + "/";
    let name = part.path.rsplit('/').take(2).collect::<Vec<_>>();
    let name: Vec<&str> = name.into_iter().rev().collect();
    let line = badge(part.status, part.verdict).and(" ").and(Html::element("a", &[("href", &address)], name.join("/")));
    Html::element("li", &[], line.and(" ").and(Html::element("span", &[("class", "dim")], part.reason.as_str())))
}

fn files(view: FolderView<'_>) -> Html {
    let line = |item: &Item| {
        let (address, size) = match item.bytes {
            Some(size) => (file(view, &item.name), bytes(size as f64)),
            None => (url("/browse/", &format!("{}/{}", view.path, item.name)) + "/", "folder".to_owned()),
        };
        let link = Html::element("a", &[("href", &address)], item.name.as_str());
        Html::element("li", &[], link.and(" ").and(Html::element("span", &[("class", "dim")], size)))
    };
    let mut list: Html = view.items.iter().map(line).collect();
    if view.cut {
        list.push(Html::element("li", &[("class", "dim")], "and more, which are not listed"));
    }
    if view.items.is_empty() {
        return note("The folder is empty.");
    }
    Html::element("ul", &[("class", "files")], list)
}
