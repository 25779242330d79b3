//! The pages under `docs/` are all in the book, and every link of theirs, and of the pages at the root, leads somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn pages() -> Vec<PathBuf> {
    let files = std::fs::read_dir(docs()).expect("docs").map(|e| e.expect("readable").path());
    files.filter(|p| p.extension().is_some_and(|e| e == "md")).collect()
}

/// The targets of the Markdown links in `text`.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

#[test]
fn every_page_is_in_the_book() {
    let summary = std::fs::read_to_string(docs().join("SUMMARY.md")).expect("a summary");
    let listed: BTreeSet<&str> = links(&summary).into_iter().collect();
    let names: Vec<String> = pages().iter().map(|p| p.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    let missing: Vec<&String> = names.iter().filter(|n| *n != "SUMMARY.md" && !listed.contains(n.as_str())).collect();
    assert!(missing.is_empty(), "add a line to docs/SUMMARY.md for {missing:?}");
}

#[test]
fn every_link_leads_somewhere() {
    let at_the_root = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE.md"];
    for page in pages().into_iter().chain(at_the_root.map(|page| docs().join("..").join(page))) {
        let text = std::fs::read_to_string(&page).expect("readable");
        for link in links(&text).into_iter().filter(|l| !l.contains("://") && !l.starts_with('#')) {
            let file = link.split('#').next().unwrap_or(link);
            assert!(page.with_file_name(file).exists(), "{} links to {link}, which is not there", page.display());
        }
    }
}

#[test]
fn pictures_stay_small() {
    for picture in std::fs::read_dir(docs().join("pictures")).expect("pictures").map(|e| e.expect("readable")) {
        let size = picture.metadata().expect("readable").len();
        assert!(size < 150_000, "{} has {size} bytes", picture.path().display());
    }
}
